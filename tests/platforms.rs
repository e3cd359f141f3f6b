//! Every platform's client against the sandbox: its flow, and what each fault on the wire means for the post.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

mod support;

use std::time::Duration;

use publisher::platform;
use serde_json::{Value, json};
use support::stage::{Ending, SHORT, Stage, client, told};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

/// More than one piece of an upload, and no multiple of one.
const VIDEO_BYTES: usize = 600_000;

/// A stage with a video on it.
struct World {
    stage: Stage,
    video: NamedTempFile,
}

impl World {
    async fn with(platform: &str, faults: &[&str]) -> Self {
        let stage = Stage::with(platform, faults).await;
        let video = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(video.path(), vec![7; VIDEO_BYTES]).unwrap();
        Self { stage, video }
    }

    /// A post of the kind that the platform takes.
    fn content(&self) -> Value {
        match self.stage.platform.name() {
            "instagram" => {
                json!({"body": "Hi @you #all", "media": [{"url": self.stage.sample("1080x1080.jpg")}]})
            }
            "youtube" => json!({"body": "Hi", "media": [{"path": self.video.path()}]}),
            _ => json!({"body": "Hi (you) & #all", "link": "https://example.com/?a&b"}),
        }
    }

    /// The same with that text.
    fn saying(&self, text: &str) -> Value {
        match self.stage.platform.name() {
            "instagram" => {
                json!({"body": text, "media": [{"url": self.stage.sample("1080x1080.jpg")}]})
            }
            "youtube" => json!({
                "body": "A clip", "media": [{"path": self.video.path()}],
                "options": {"title": text.trim().replace(['<', '>'], "")},
            }),
            _ => json!({"body": text}),
        }
    }

    /// The account has a post with that text, which nothing marks as ours.
    async fn shows(&self, text: &str) {
        if self.stage.platform.name() != "slack" {
            let ending = self.stage.publish(self.saying(text)).await;
            assert_eq!(ending.verdict, "done", "{}", ending.message);
            return;
        }
        let message = json!({"channel": self.stage.external_id, "text": text});
        let url = format!("{}/slack/api/chat.postMessage", self.stage.url);
        let request = client().post(url).bearer_auth("good").json(&message);
        assert!(request.send().await.unwrap().status().is_success());
    }

    /// Publishes until there is nothing more to do at once.
    async fn publish(&self, checkpoint: Option<Value>) -> Ending {
        self.stage.go_on(self.content(), checkpoint).await
    }

    /// What people see.
    async fn posts(&self) -> Vec<Value> {
        self.stage.posts().await
    }
}

#[tokio::test]
async fn every_platform_publishes_once() {
    for platform in platform::names() {
        let world = World::with(platform, &[]).await;
        let ending = world.publish(None).await;
        assert_eq!(ending.verdict, "done", "{platform}: {}", ending.message);
        let published = ending.published.unwrap();
        assert_eq!(published.warnings, Vec::<String>::new(), "{platform}");
        let posts = world.posts().await;
        assert_eq!(posts.len(), 1, "{platform}");
        assert_eq!(posts[0]["platform"], platform);
        assert_eq!(posts[0]["permalink"], json!(published.permalink));
    }
}

#[tokio::test]
async fn what_people_see_is_what_was_written() {
    for (platform, text, link) in [
        (
            "facebook",
            "Hi (you) & #all",
            json!("https://example.com/?a&b"),
        ),
        (
            "linkedin",
            "Hi (you) & #all",
            json!("https://example.com/?a&b"),
        ),
        (
            "slack",
            "Hi (you) & #all\nhttps://example.com/?a&b",
            json!(null),
        ),
    ] {
        let world = World::with(platform, &[]).await;
        world.publish(None).await;
        let posts = world.posts().await;
        assert_eq!(posts[0]["text"], text, "{platform}");
        assert_eq!(posts[0]["link"], link, "{platform}");
    }
}

/// Whatever goes wrong on the wire: a decision that lets the post be sent again means that nobody sees it, and what is
/// called published is seen once.
#[tokio::test]
async fn a_decision_is_never_at_odds_with_what_people_see() {
    const KINDS: [&str; 13] = [
        "500",
        "500-after-accept",
        "reset",
        "reset-after-accept",
        "hang",
        "truncate",
        "slow-body",
        "huge-body",
        "bad-json",
        "429",
        "429:retry-after=180",
        "401",
        "rejected",
    ];
    const STEPS: [&str; 5] = ["publish", "prepare", "upload", "status", "comment"];
    for platform in platform::names() {
        for step in STEPS {
            for kind in KINDS {
                let mut world = World::with(platform, &[&format!("*/{step}:{kind}")]).await;
                world.stage.timeout = SHORT;
                let ending = world.publish(None).await;
                let seen = world.posts().await.len();
                let decision = ending.verdict.split(' ').next().unwrap();
                let fits = match decision {
                    "done" => seen == 1,
                    "doubt" | "unconfirmed" => seen <= 1,
                    _ => seen == 0,
                };
                let verdict = &ending.verdict;
                assert!(
                    fits,
                    "{platform}/{step}:{kind}: {verdict}, and people see {seen}"
                );
            }
        }
    }
}

/// What follows a doubt never makes a second post.
#[tokio::test]
async fn a_doubt_never_publishes_twice() {
    let faults = [
        "500",
        "500-after-accept",
        "reset",
        "reset-after-accept",
        "truncate",
    ];
    for platform in platform::names() {
        for fault in faults {
            let world = World::with(platform, &[&format!("{platform}:{fault}")]).await;
            let first = world.publish(None).await;
            assert_eq!(first.verdict, "doubt", "{platform}: {fault}");
            let was_seen = !world.posts().await.is_empty();
            world.stage.heal().await;
            let content = world.content();
            let second = world.stage.look_again(content, first.checkpoint).await;
            let verdict = second.verdict.as_str();
            // What can't be found for sure is not sent again yet.
            let fits = verdict == "done" || verdict == "not seen" && !was_seen;
            assert!(fits, "{platform}: {fault}: {verdict}: {}", second.message);
            assert!(world.posts().await.len() <= 1, "{platform}: {fault}");
        }
    }
}

/// What platforms do to texts, and what a look-up may make of it. Nothing of it is taken for another post: that would be
/// sent again.
#[tokio::test]
async fn a_text_that_the_platform_changed_is_not_called_absent() {
    const CHANGES: [(&str, &str, &str); 9] = [
        ("  Hello  there, all\r\n", "Hello there, all", "live"),
        ("Cafe\u{301} is open", "Caf\u{e9} is open", "live"),
        ("We \u{2764}\u{fe0f} it all", "We \u{2764} it all", "live"),
        ("Hi (you) & #all of us", "Hi you all of us", "unclear"),
        (
            "Thanks @anna_k for the help",
            "Thanks Anna Karlsson for the help",
            "unclear",
        ),
        (
            "Read https://example.com/a/long/path today",
            "Read https://lnkd.in/abc today",
            "unclear",
        ),
        (
            "Our new product is here, and it is quick",
            "Our new product is here\u{2026}",
            "unclear",
        ),
        (
            "Well done \u{1f44d}\u{1f3fd}",
            "Well done \u{1f44d}",
            "live",
        ),
        ("Our new product is here", "Good morning", "not seen"),
    ];
    for platform in platform::names() {
        for (sent, listed, expected) in CHANGES {
            let world = World::with(platform, &[]).await;
            world.shows(listed).await;
            assert_eq!(world.posts().await.len(), 1, "{platform}");
            let found = world.stage.look_up(world.saying(sent), None).await.unwrap();
            let told = told(&found);
            // Slack knows its own messages by their mark. Without it they are never sure.
            let expected = match (platform, expected) {
                ("slack", "live") => "unclear",
                _ => expected,
            };
            assert!(
                told.starts_with(expected),
                "{platform}: {sent:?} as {listed:?}: {told}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for platform in platform::names() {
        let mut world = World::with(platform, &[]).await;
        let content = world.content();
        world.stage.platform_url = Some(format!("http://{address}"));
        let ending = world.stage.publish(content).await;
        assert_eq!(ending.verdict, "retry [connect]", "{platform}");
    }
}

#[tokio::test]
async fn nothing_is_published_after_the_lease() {
    for platform in platform::names() {
        let mut world = World::with(platform, &[]).await;
        world.stage.lease = Duration::ZERO;
        let ending = world.publish(None).await;
        assert_eq!(ending.verdict, "retry [lease_ended]", "{platform}");
        assert_eq!(world.posts().await.len(), 0, "{platform}");
    }
}
