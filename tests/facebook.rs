//! Facebook's client against its twin: every flow, what each fault means, later runs, tokens, and the twin's own
//! strictness.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

mod support;

#[path = "facebook/lookup.rs"]
mod lookup;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use publisher::account::App;
use publisher::outcome::Failure;
use publisher::sandbox::Settings;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use support::hostile::{Answer, Hostile, reply};
use support::stage::{Ending, LONG, SHORT, Stage, client, verdict};
use tempfile::NamedTempFile;

/// More than one chunk of a video, and no multiple of one.
const VIDEO_BYTES: usize = 600_000;

async fn stage() -> Stage {
    Stage::with("facebook", &[]).await
}

/// A file of a sample's bytes.
async fn file(stage: &Stage, name: &str) -> NamedTempFile {
    file_of(stage, name, 0).await
}

/// The same, filled up to that size in a way that players skip.
async fn file_of(stage: &Stage, name: &str, size: usize) -> NamedTempFile {
    let reply = client().get(stage.sample(name)).send().await.unwrap();
    let mut bytes = reply.bytes().await.unwrap().to_vec();
    if let Some(filler) = size.checked_sub(bytes.len()).filter(|filler| *filler > 8) {
        bytes.extend(u32::try_from(filler).unwrap().to_be_bytes());
        bytes.extend(b"free");
        bytes.resize(size, 7);
    }
    let ending = format!(".{}", name.rsplit('.').next().unwrap());
    let file = tempfile::Builder::new().suffix(&ending).tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn expect_done(ending: &Ending) {
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    let published = ending.published.as_ref().unwrap();
    assert_eq!(published.warnings, Vec::<String>::new());
}

/// Publishes it without a hitch, and returns the one post that people see then.
async fn published(stage: &Stage, content: Value) -> Value {
    let ending = stage.publish(content).await;
    expect_done(&ending);
    let posts = stage.posts().await;
    assert_eq!(posts.len(), 1);
    let published = ending.published.unwrap();
    assert_eq!(posts[0]["id"], published.id);
    assert_eq!(posts[0]["permalink"], json!(published.permalink));
    posts[0].clone()
}

/// An app can be set to take no call without a proof of its secret.
#[tokio::test]
async fn calls_carry_a_proof_of_the_apps_secret_where_it_is_known() {
    let mut stage = stage().await;
    stage.credentials = json!({"access_token": "proof(s3cret)good"});
    let content = json!({"body": "Hi", "options": {"first_comment": "First"}});
    let ending = stage.publish(content.clone()).await;
    assert_eq!(ending.verdict, "rate_limited [app]");
    assert!(
        ending.message.contains("app's secret"),
        "{}",
        ending.message
    );
    assert_eq!(stage.posts().await.len(), 0);
    let app = |secret: &str| App {
        client_id: Some("id".to_owned()),
        client_secret: Some(SecretString::from(secret)),
    };
    stage.app = app("another");
    let ending = stage.publish(content.clone()).await;
    assert_eq!(ending.verdict, "rate_limited [app]");
    stage.app = app("s3cret");
    published(&stage, content).await;
    // Uploads and their finish, and the host for videos, too.
    stage.reset().await;
    let video = file_of(&stage, "video-5s.mp4", VIDEO_BYTES).await;
    published(&stage, json!({"media": [{"path": video.path()}]})).await;
}

/// Meta takes some vertical videos of the feed for reels, and leaves them to a person.
#[tokio::test]
async fn a_video_that_became_a_draft_is_not_called_published() {
    let stage = stage().await;
    let file = file_of(&stage, "reel-9s.mp4", VIDEO_BYTES).await;
    let hosted = json!([{"url": stage.sample("reel-9s.mp4")}]);
    for media in [hosted, json!([{"path": file.path()}])] {
        let content =
            json!({"body": "Upright", "media": media, "options": {"first_comment": "First"}});
        let ending = stage.publish(content.clone()).await;
        assert_eq!(ending.verdict, "rejected [rejected]", "{}", ending.message);
        assert!(
            ending.message.contains("made a draft"),
            "{}",
            ending.message
        );
        assert_eq!(stage.posts().await.len(), 0);
        // Where the answer was lost, too: it is not sent again.
        stage.faults(&["facebook:500-after-accept"]).await;
        let doubt = stage.publish(content.clone()).await;
        stage.heal().await;
        assert_eq!(doubt.verdict, "doubt");
        let later = stage.look_again(content, doubt.checkpoint).await;
        assert!(
            matches!(later.verdict.as_str(), "unknown" | "unclear"),
            "{}",
            later.verdict
        );
        stage.reset().await;
    }
}

/// What Facebook fetches itself it does not have as soon as it says yes.
#[tokio::test]
async fn a_reel_that_is_fetched_is_finished_when_it_is_there() {
    let mut stage = stage().await;
    for kind in ["reel", "story"] {
        let content = json!({"kind": kind, "media": [{"url": stage.sample("reel-9s.mp4")}]});
        let (looks, early) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (looked, finished) = (Arc::clone(&looks), Arc::clone(&early));
        let front = Hostile::before(&stage.url, move |request| {
            if request.line().contains("fields=status") && request.line().starts_with("GET") {
                let number = looked.fetch_add(1, Ordering::Relaxed);
                let status = br#"{"status": {"video_status": "uploading",
                    "uploading_phase": {"status": "in_progress", "bytes_transferred": 7}}}"#;
                return (number == 0).then(|| Answer::Bytes(reply("200 OK", "", status)));
            }
            if request.mentions("finish") && looked.load(Ordering::Relaxed) < 2 {
                finished.fetch_add(1, Ordering::Relaxed);
            }
            None
        });
        stage.platform_url = Some(format!("{}/facebook", front.url));
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "wait 5s", "{kind}: {}", first.message);
        expect_done(&stage.go_on(content, first.checkpoint).await);
        assert_eq!(
            early.load(Ordering::Relaxed),
            0,
            "{kind}: finished before it was there"
        );
        stage.reset().await;
    }
}

fn kinds(post: &Value) -> Vec<&str> {
    let media = post["media"].as_array().unwrap();
    media
        .iter()
        .map(|medium| medium["type"].as_str().unwrap())
        .collect()
}

mod flows {
    use super::*;

    #[tokio::test]
    async fn a_text_with_a_link_and_a_first_comment() {
        let stage = stage().await;
        let post = published(
            &stage,
            json!({
                "body": "Hi <you> & \"all\"\nnext", "link": "https://example.com/?a&b",
                "options": {"first_comment": "First!"},
            }),
        )
        .await;
        assert_eq!(post["kind"], "post");
        assert_eq!(post["text"], "Hi <you> & \"all\"\nnext");
        assert_eq!(post["link"], "https://example.com/?a&b");
        assert_eq!(post["comments"][0]["text"], "First!");
        assert_eq!(post["comments"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn one_photo_at_a_url() {
        let stage = stage().await;
        let url = stage.sample("1080x1080.jpg");
        let media = json!([{"url": url, "alt": "A square"}]);
        let post = published(
            &stage,
            json!({"body": "Look", "media": media, "options": {"first_comment": "More"}}),
        )
        .await;
        assert_eq!(post["text"], "Look");
        assert_eq!(post["media"][0]["url"], url);
        assert_eq!(post["media"][0]["alt"], "A square");
        assert_eq!(post["comments"][0]["text"], "More");
        assert!(post["id"].as_str().unwrap().starts_with("1001_"));
    }

    #[tokio::test]
    async fn one_photo_from_a_file() {
        let stage = stage().await;
        let photo = file(&stage, "800x800.png").await;
        let media = json!([{"path": photo.path(), "alt": "A square"}]);
        let post = published(&stage, json!({"body": "Look", "media": media})).await;
        let bytes = std::fs::metadata(photo.path()).unwrap().len();
        assert_eq!(post["text"], "Look");
        assert_eq!(post["media"][0]["bytes"], bytes);
        assert_eq!(post["media"][0]["alt"], "A square");
    }

    #[tokio::test]
    async fn ten_photos_in_their_order() {
        let stage = stage().await;
        let photo = file(&stage, "1200x630.jpg").await;
        let mut media = vec![json!({"url": stage.sample("1080x1080.jpg"), "alt": "one"})];
        media.push(json!({"path": photo.path(), "alt": "two"}));
        let more =
            (3..=10).map(|n| json!({"url": stage.sample("800x800.png"), "alt": n.to_string()}));
        media.extend(more);
        let post = published(&stage, json!({"body": "Ten", "media": media})).await;
        let alts = post["media"].as_array().unwrap().iter();
        let alts: Vec<&str> = alts.map(|medium| medium["alt"].as_str().unwrap()).collect();
        let expected = ["one", "two", "3", "4", "5", "6", "7", "8", "9", "10"];
        assert_eq!(alts, expected);
    }

    #[tokio::test]
    async fn a_video_at_a_url() {
        let stage = stage().await;
        let media = json!([{"url": stage.sample("video-5s.mp4")}]);
        let options = json!({"title": "Five seconds", "first_comment": "Nice"});
        let content = json!({"body": "Watch", "media": media, "options": options});
        let post = published(&stage, content).await;
        assert_eq!(
            (post["title"].as_str(), post["text"].as_str()),
            (Some("Five seconds"), Some("Watch"))
        );
        assert_eq!(kinds(&post), ["video"]);
        assert_eq!(post["comments"][0]["text"], "Nice");
        let permalink = post["permalink"].as_str().unwrap();
        assert!(
            permalink.starts_with("https://www.facebook.com/1001/videos/"),
            "{permalink}"
        );
    }

    #[tokio::test]
    async fn a_video_from_a_file_in_chunks() {
        let stage = stage().await;
        let video = file_of(&stage, "video-5s.mp4", VIDEO_BYTES).await;
        let content = json!({
            "body": "Watch", "media": [{"path": video.path()}], "options": {"title": "Chunks"},
        });
        let post = published(&stage, content).await;
        assert_eq!(post["title"], "Chunks");
        assert_eq!(post["media"][0]["bytes"], VIDEO_BYTES);
        assert_eq!(post["media"][0]["width"], 1280);
        let requests = stage.get("api/stats").await["platforms"]["facebook"]["requests"].clone();
        assert_eq!(requests, 6, "start, three chunks, finish, permalink");
    }

    #[tokio::test]
    async fn a_reel_from_a_url_and_from_a_file() {
        for from_file in [false, true] {
            let stage = stage().await;
            let video = file_of(&stage, "reel-9s.mp4", VIDEO_BYTES).await;
            let medium = if from_file {
                json!({"path": video.path()})
            } else {
                json!({"url": stage.sample("reel-9s.mp4")})
            };
            let options = json!({"title": "Nine", "first_comment": "Wow"});
            let content =
                json!({"kind": "reel", "body": "See", "media": [medium], "options": options});
            let post = published(&stage, content).await;
            assert_eq!(post["kind"], "reel");
            assert_eq!(
                (post["title"].as_str(), post["text"].as_str()),
                (Some("Nine"), Some("See"))
            );
            assert_eq!(post["media"][0]["height"], 1920);
            assert_eq!(post["comments"][0]["text"], "Wow");
            let id = post["id"].as_str().unwrap();
            assert_eq!(
                post["permalink"],
                format!("https://www.facebook.com/reel/{id}/")
            );
        }
    }

    #[tokio::test]
    async fn stories_of_photos_and_of_videos() {
        for (name, family) in [("1080x1920.jpg", "image"), ("reel-9s.mp4", "video")] {
            for from_file in [false, true] {
                let stage = stage().await;
                let local = file(&stage, name).await;
                let medium = if from_file {
                    json!({"path": local.path()})
                } else {
                    json!({"url": stage.sample(name)})
                };
                let content = json!({"kind": "story", "media": [medium]});
                let post = published(&stage, content).await;
                assert_eq!(post["kind"], "story");
                assert_eq!(kinds(&post), [family]);
            }
        }
    }

    #[tokio::test]
    async fn a_configured_version_is_in_every_path() {
        let mut stage = stage().await;
        stage.settings.api_version = Some("v26.0".to_owned());
        let media = json!([{"url": stage.sample("reel-9s.mp4")}]);
        published(&stage, json!({"kind": "reel", "media": media})).await;
        stage.settings.api_version = Some("v9.0".to_owned());
        let ending = stage.publish(json!({"body": "Hi"})).await;
        assert_eq!(ending.verdict, "retry [version]");
    }
}

mod refusals {
    use super::*;

    #[tokio::test]
    async fn what_the_platform_refuses_is_said_in_its_words() {
        for (kind, name, expected) in [
            ("reel", "video-5s.mp4", "done"),
            ("reel", "document.mp4", "rejected [upload]"),
            ("post", "nowhere.jpg", "rejected [rejected]"),
            ("post", "nowhere.mp4", "retry [fetch]"),
        ] {
            let stage = stage().await;
            // The look at media before the first step would find these out; here the platform does.
            let media = json!([{"url": stage.sample(name)}]);
            let content = json!({"kind": kind, "media": media});
            let ending = stage.go_on_unseen(content).await;
            assert_eq!(
                ending.verdict, expected,
                "{kind} {name}: {}",
                ending.message
            );
        }
        let stage = stage().await;
        let ending = stage.publish(json!({"body": "a [[reject]] b"})).await;
        assert_eq!(ending.verdict, "rejected [rejected]");
        assert_eq!(
            ending.message,
            "Meta refuses the post: This content goes against our Community Standards."
        );
        assert!(ending.code.unwrap().starts_with("368/1404102 trace A"));
    }

    /// A file that is no video is found out when it is processed: nobody ever sees the reel.
    #[tokio::test]
    async fn a_reel_that_cant_be_processed_is_rejected() {
        let stage = stage().await;
        let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(file.path(), [7; 5000]).unwrap();
        let content = json!({"kind": "reel", "media": [{"path": file.path()}]});
        let ending = stage.publish(content).await;
        assert_eq!(ending.verdict, "rejected [rejected]");
        assert_eq!(
            ending.message,
            "Facebook could not process the video: The file is no video that can be played."
        );
        assert_eq!(stage.posts().await.len(), 0);
    }

    #[tokio::test]
    async fn the_thirty_first_reel_of_a_day_waits() {
        let stage = stage().await;
        let content = || json!({"kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}]});
        for _ in 0..30 {
            expect_done(&stage.publish(content()).await);
        }
        let ending = stage.publish(content()).await;
        assert_eq!(ending.verdict, "rate_limited [rate_limited]");
        assert_eq!(stage.posts().await.len(), 30);
    }

    #[tokio::test]
    async fn the_refused_photo_of_several_is_named() {
        let stage = stage().await;
        let media = json!([
            {"url": stage.sample("1080x1080.jpg")}, {"url": stage.sample("document.pdf"), "type": "image/png"},
        ]);
        let ending = stage.go_on_unseen(json!({"media": media})).await;
        assert_eq!(ending.verdict, "rejected [rejected]");
        let place = stage.sample("document.pdf");
        let expected = format!("media 2 ({place}): Meta refuses the post: This file is no photo.");
        assert_eq!(ending.message, expected);
    }
}

mod faults {
    use super::*;

    /// One content of each flow, by name.
    struct Contents {
        photo: NamedTempFile,
        video: NamedTempFile,
        reel: NamedTempFile,
    }

    const FLOWS: [&str; 10] = [
        "text",
        "photo",
        "photo file",
        "photos",
        "video",
        "video file",
        "reel",
        "reel file",
        "photo story",
        "video story",
    ];

    impl Contents {
        async fn of(stage: &Stage) -> Self {
            Self {
                photo: file(stage, "1080x1080.jpg").await,
                video: file_of(stage, "video-5s.mp4", VIDEO_BYTES).await,
                reel: file(stage, "reel-9s.mp4").await,
            }
        }

        fn get(&self, stage: &Stage, flow: &str) -> Value {
            let url = |name| json!({"url": stage.sample(name)});
            let path = |file: &NamedTempFile| json!({"path": file.path()});
            let comment = json!({"first_comment": "First"});
            match flow {
                "text" => json!({"body": "Hi", "options": comment}),
                "photo" => json!({"media": [url("1080x1080.jpg")], "options": comment}),
                "photo file" => json!({"media": [path(&self.photo)]}),
                "photos" => json!({"media": [url("800x800.png"), path(&self.photo)]}),
                "video" => json!({"media": [url("video-5s.mp4")], "options": comment}),
                "video file" => json!({"media": [path(&self.video)]}),
                "reel" => json!({"kind": "reel", "media": [url("reel-9s.mp4")]}),
                "reel file" => {
                    json!({"kind": "reel", "media": [path(&self.reel)], "options": comment})
                }
                "photo story" => json!({"kind": "story", "media": [path(&self.photo)]}),
                _ => json!({"kind": "story", "media": [path(&self.reel)]}),
            }
        }
    }

    /// Whatever goes wrong, wherever: the decision fits what people see, and the checkpoint leads to exactly one post.
    #[tokio::test]
    async fn every_flow_with_every_fault_ends_in_at_most_one_post() {
        const KINDS: [&str; 9] = [
            "500",
            "500-after-accept",
            "reset",
            "reset-after-accept",
            "hang",
            "truncate",
            "bad-json",
            "429:retry-after=180",
            "401",
        ];
        const STEPS: [&str; 5] = ["publish", "prepare", "upload", "status", "comment"];
        let mut stage = stage().await;
        let contents = Contents::of(&stage).await;
        for flow in FLOWS {
            for step in STEPS {
                for kind in KINDS {
                    stage.reset().await;
                    stage.faults(&[&format!("facebook/{step}:{kind}")]).await;
                    let case = format!("{flow}/{step}:{kind}");
                    let content = contents.get(&stage, flow);
                    check(&mut stage, &content, &case).await;
                }
            }
        }
    }

    async fn check(stage: &mut Stage, content: &Value, case: &str) {
        stage.timeout = SHORT;
        let ending = stage.publish(content.clone()).await;
        stage.timeout = LONG;
        let seen = stage.posts().await.len();
        let decision = ending.verdict.split(' ').next().unwrap();
        let accepted = ending.checkpoint.as_ref();
        let accepted = accepted.is_some_and(|at| at["stage"] == "accepted");
        let fits = match decision {
            "done" => seen == 1,
            "doubt" | "unconfirmed" => seen <= 1,
            // It waits for a reel that the platform has said it publishes.
            _ if accepted => seen == 1,
            _ => seen == 0,
        };
        let verdict = &ending.verdict;
        assert!(fits, "{case}: {verdict}, and people see {seen}");
        stage.heal().await;
        if decision == "done" || decision == "unconfirmed" {
            return;
        }
        let mut later = ending;
        for _ in 0..5 {
            let checkpoint = later.checkpoint.clone();
            later = match later.verdict.as_str() {
                "done" => break,
                "doubt" => stage.look_again(content.clone(), checkpoint).await,
                // A story may be there unseen: that is a person's.
                "unknown" | "unclear" => return,
                _ => stage.go_on(content.clone(), checkpoint).await,
            };
        }
        assert_eq!(later.verdict, "done", "{case}, later: {}", later.message);
        assert_eq!(stage.posts().await.len(), 1, "{case}, later");
        assert_eq!(stage.get("api/stats").await["duplicates"], 0, "{case}");
    }

    /// A publishing request without a clear answer: the lists tell, or a video's status, or nothing.
    #[tokio::test]
    async fn what_a_lost_answer_means_depends_on_what_can_be_asked() {
        let stage = stage().await;
        let contents = Contents::of(&stage).await;
        for (flow, expected) in [
            ("text", "done"),
            // Without a text nothing tells.
            ("photo", "unclear"),
            ("photos", "done"),
            ("video", "unclear"),
            ("photo story", "done"),
            ("video file", "done"),
            ("reel", "done"),
            ("video story", "done"),
        ] {
            stage.reset().await;
            stage.faults(&["facebook:500-after-accept"]).await;
            let content = contents.get(&stage, flow);
            let ending = stage.publish(content.clone()).await;
            assert_eq!(ending.verdict, "doubt", "{flow}");
            let later = stage.look_again(content, ending.checkpoint).await;
            assert_eq!(later.verdict, expected, "{flow}: {}", later.message);
            assert_eq!(stage.posts().await.len(), 1, "{flow}");
        }
    }

    /// The platform surely did nothing: it is asked again, for the same video.
    #[tokio::test]
    async fn a_video_that_stays_untouched_is_finished_again() {
        let stage = stage().await;
        let content = json!({"kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}]});
        stage.faults(&["facebook:500"]).await;
        let first = stage.publish(content.clone()).await;
        assert_eq!((first.verdict.as_str(), first.sent), ("doubt", true));
        stage.heal().await;
        let second = stage.look_again(content.clone(), first.checkpoint).await;
        assert_eq!(second.verdict, "not seen");
        assert_eq!(stage.posts().await.len(), 0);
        expect_done(&stage.go_on(content, second.checkpoint).await);
        assert_eq!(stage.posts().await.len(), 1);
    }

    #[tokio::test]
    async fn a_reel_is_waited_for_without_a_post_of_its_own_failing() {
        let processing = Duration::from_millis(300);
        let settings = Settings {
            processing,
            ..Settings::default()
        };
        let stage = Stage::set("facebook", settings).await;
        let content = json!({
            "kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}], "options": {"first_comment": "First"},
        });
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "wait 5s");
        stage.faults(&["facebook/status:500"]).await;
        let second = stage.go_on(content.clone(), first.checkpoint).await;
        assert_eq!(second.verdict, "wait 10s", "a look that fails is no try");
        stage.heal().await;
        let video = second.checkpoint.as_ref().unwrap()["video"]
            .as_str()
            .unwrap();
        until_ready(&stage, video).await;
        expect_done(&stage.go_on(content, second.checkpoint).await);
        let posts = stage.posts().await;
        assert_eq!(posts[0]["comments"].as_array().unwrap().len(), 1);
    }

    /// Asks the twin itself.
    async fn until_ready(stage: &Stage, video: &str) {
        let path = format!("v25.0/{video}?fields=status");
        for _ in 0..10_000 {
            let (_, body) = send(graph(stage, Method::GET, &path)).await;
            if body["status"]["video_status"] == "ready" {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the video is never ready");
    }

    #[tokio::test]
    async fn a_broken_upload_goes_on_where_it_stopped() {
        for flow in ["video file", "reel file", "video story"] {
            let stage = stage().await;
            let contents = Contents::of(&stage).await;
            let content = contents.get(&stage, flow);
            stage.faults(&["facebook:reset-at:60%"]).await;
            let first = stage.publish(content.clone()).await;
            assert_eq!(first.verdict, "wait 2s", "{flow}: {}", first.message);
            let later = stage.go_on(content, first.checkpoint).await;
            expect_done(&later);
            assert_eq!(stage.posts().await.len(), 1, "{flow}");
        }
    }

    #[tokio::test]
    async fn an_upload_that_always_breaks_off_rests_until_a_later_run() {
        let stage = stage().await;
        let contents = Contents::of(&stage).await;
        for flow in ["video file", "reel", "reel file"] {
            stage.faults(&["facebook/upload:500"]).await;
            let content = contents.get(&stage, flow);
            let mut ending = stage.publish(content.clone()).await;
            let mut waits = Vec::new();
            while ending.verdict.starts_with("wait") {
                waits.push(ending.verdict);
                ending = stage.go_on(content.clone(), ending.checkpoint).await;
            }
            assert_eq!(
                waits,
                ["wait 2s", "wait 4s", "wait 8s", "wait 16s", "wait 32s"]
            );
            assert_eq!(ending.verdict, "retry [server_error]", "{flow}");
        }
    }

    #[tokio::test]
    async fn what_follows_a_live_post_never_fails_it() {
        let stage = stage().await;
        let contents = Contents::of(&stage).await;
        stage
            .faults(&["facebook/comment:reset", "facebook/status:500"])
            .await;
        let ending = stage.publish(contents.get(&stage, "photo")).await;
        assert_eq!(ending.verdict, "done");
        let published = ending.published.unwrap();
        let warnings = published.warnings.join("; ");
        assert!(
            warnings.contains("the permalink is a guess: "),
            "{warnings}"
        );
        assert!(warnings.contains("no first comment: "), "{warnings}");
        let expected = format!("https://www.facebook.com/{}", published.id);
        assert_eq!(published.permalink, Some(expected));
        assert_eq!(stage.posts().await[0]["comments"], json!([]));
    }

    #[tokio::test]
    async fn a_first_comment_is_sent_once_even_if_its_answer_is_lost() {
        let stage = stage().await;
        stage.faults(&["facebook/comment:reset-after-accept"]).await;
        let content = json!({"body": "Hi", "options": {"first_comment": "First"}});
        let ending = stage.publish(content).await;
        assert_eq!(ending.published.unwrap().warnings.len(), 1);
        assert_eq!(
            stage.posts().await[0]["comments"].as_array().unwrap().len(),
            1
        );
    }
}

mod later_runs {
    use super::*;

    /// Photos that were sent are not sent again, unless Facebook has thrown them away.
    #[tokio::test]
    async fn photos_are_kept_for_a_day() {
        let mut stage = stage().await;
        let media =
            json!([{"url": stage.sample("1080x1080.jpg")}, {"url": stage.sample("800x800.png")}]);
        let content = json!({"body": "Two", "media": media});
        stage.faults(&["facebook:429:retry-after=600"]).await;
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "rate_limited [rate_limited]");
        let ids = |checkpoint: &Option<Value>| checkpoint.as_ref().unwrap()["ids"].clone();
        assert_eq!(ids(&first.checkpoint).as_array().unwrap().len(), 2);
        stage.now = "2020-01-02T10:59:00Z".to_owned();
        let second = stage.go_on(content.clone(), first.checkpoint.clone()).await;
        assert_eq!(ids(&second.checkpoint), ids(&first.checkpoint));
        stage.now = "2020-01-02T11:01:00Z".to_owned();
        let third = stage.go_on(content.clone(), second.checkpoint).await;
        assert_ne!(ids(&third.checkpoint), ids(&first.checkpoint));
        stage.heal().await;
        expect_done(&stage.go_on(content, third.checkpoint).await);
        assert_eq!(stage.posts().await.len(), 1);
    }

    /// A sandbox that forgot everything stands for sessions that have ended.
    #[tokio::test]
    async fn a_video_that_facebook_forgot_is_sent_anew() {
        for kind in ["reel", "story"] {
            let stage = stage().await;
            let video = file(&stage, "reel-9s.mp4").await;
            let content = json!({"kind": kind, "media": [{"path": video.path()}]});
            stage.faults(&["facebook/upload:reset-at:50%"]).await;
            let first = stage.publish(content.clone()).await;
            assert_eq!(first.verdict, "wait 2s");
            stage.heal().await;
            stage.reset().await;
            expect_done(&stage.go_on(content, first.checkpoint).await);
            assert_eq!(stage.posts().await.len(), 1);
        }
    }

    #[tokio::test]
    async fn a_file_that_was_exchanged_is_sent_from_its_beginning() {
        for (kind, sample) in [("post", "video-5s.mp4"), ("reel", "reel-9s.mp4")] {
            let stage = stage().await;
            let video = file_of(&stage, sample, VIDEO_BYTES).await;
            let content = json!({"kind": kind, "media": [{"path": video.path()}]});
            stage.faults(&["facebook/upload:reset-at:50%"]).await;
            let first = stage.publish(content.clone()).await;
            assert_eq!(first.verdict, "wait 2s");
            let other = file(&stage, sample).await;
            std::fs::copy(other.path(), video.path()).unwrap();
            stage.heal().await;
            expect_done(&stage.go_on(content, first.checkpoint).await);
            let posts = stage.posts().await;
            let size = std::fs::metadata(video.path()).unwrap().len();
            assert_eq!(
                (posts.len(), &posts[0]["media"][0]["bytes"]),
                (1, &json!(size))
            );
        }
    }

    #[tokio::test]
    async fn a_token_goes_to_no_foreign_address() {
        let stage = stage().await;
        let video = file(&stage, "reel-9s.mp4").await;
        let content = json!({"kind": "reel", "media": [{"path": video.path()}]});
        let foreign = json!({
            "of": "video", "edge": "reels", "video": "1", "url": "http://evil.example/video-upload/v25.0/1", "total": 9,
            "since": "2020-01-01T00:00:00Z",
        });
        let ending = stage.go_on(content, Some(foreign)).await;
        assert_eq!(ending.verdict, "retry [bad_reply]");
        assert!(ending.message.contains("not its own"), "{}", ending.message);
    }
}

mod tokens {
    use super::*;

    fn app() -> App {
        App {
            client_id: Some("123".to_owned()),
            client_secret: Some(SecretString::from("s3cret")),
        }
    }

    async fn refreshed(
        credentials: Value,
        app: App,
    ) -> (Stage, Result<publisher::account::Renewed, Failure>) {
        let mut stage = stage().await;
        stage.credentials = credentials;
        stage.app = app;
        let renewed = stage.refresh().await;
        (stage, renewed)
    }

    #[tokio::test]
    async fn refused_tokens_ask_for_a_fresh_one_or_for_a_person() {
        for (token, expected) in [
            ("expired-1", "unauthorized [needs_login]"),
            ("revoked-1", "needs_login [needs_login]"),
            ("noscope-1", "needs_login [needs_login]"),
            ("scopes(pages_read_engagement)", "needs_login [needs_login]"),
        ] {
            let mut stage = stage().await;
            stage.credentials = json!({"access_token": token});
            let media = json!([{"url": stage.sample("reel-9s.mp4")}]);
            for content in [
                json!({"body": "Hi"}),
                json!({"kind": "reel", "media": media}),
            ] {
                let ending = stage.publish(content).await;
                assert_eq!(ending.verdict, expected, "{token}");
                assert!(!ending.message.contains(token), "{}", ending.message);
            }
            assert_eq!(stage.posts().await.len(), 0);
        }
    }

    #[tokio::test]
    async fn a_persons_token_brings_a_pages_and_is_extended_by_its_app() {
        let credentials = json!({"access_token": "expired-1", "refresh_token": "person"});
        let (mut stage, renewed) = refreshed(credentials.clone(), App::default()).await;
        let renewed = renewed.unwrap();
        assert!(renewed.refresh_token.is_none() && renewed.lives.is_none());
        stage.credentials = json!({"access_token": renewed.access_token.expose_secret()});
        expect_done(&stage.publish(json!({"body": "Hi"})).await);

        let (_, renewed) = refreshed(credentials, app()).await;
        let renewed = renewed.unwrap();
        let next = renewed.refresh_token.unwrap();
        assert_ne!(next.expose_secret(), "person");
        assert_ne!(next.expose_secret(), renewed.access_token.expose_secret());
        assert_eq!(renewed.lives, Some(Duration::from_hours(1)));
    }

    #[tokio::test]
    async fn what_a_refresh_can_come_to() {
        let wrong = || App {
            client_secret: Some(SecretString::from("wrong-1")),
            ..app()
        };
        let odd = || App {
            client_id: Some("my-app".to_owned()),
            ..app()
        };
        for (token, app, expected) in [
            ("revoked-1", app(), "needs_login [needs_login]"),
            ("expired-1", app(), "needs_login [needs_login]"),
            ("expired-1", App::default(), "needs_login [needs_login]"),
            ("flaky-1", app(), "retry [server_error]"),
            ("noscope-1", App::default(), "needs_login [needs_login]"),
            ("person", wrong(), "retry [app]"),
            ("person", odd(), "retry [app]"),
        ] {
            let credentials = json!({"access_token": "expired-1", "refresh_token": token});
            let (_, renewed) = refreshed(credentials, app).await;
            let failure = renewed.unwrap_err();
            assert_eq!(verdict(&failure), expected, "{token}");
            if expected == "retry [app]" {
                let message = &failure.reason().message;
                assert!(
                    message.contains("PUBLISHER_FACEBOOK_CLIENT_SECRET"),
                    "{message}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_token_can_be_refreshed_if_a_persons_is_stored() {
        for (credentials, expected) in [
            (
                json!({"access_token": "a", "refresh_token": "person"}),
                true,
            ),
            (json!({"access_token": "a", "refresh_token": ""}), false),
            (json!({"access_token": "a"}), false),
        ] {
            let mut stage = stage().await;
            stage.credentials = credentials;
            let can = stage.api(async |api| stage.platform.can_refresh(api)).await;
            assert_eq!(can, expected);
        }
    }

    #[tokio::test]
    async fn a_check_says_what_the_token_may_do() {
        let mut stage = stage().await;
        let standing = stage.check().await.unwrap();
        assert_eq!(standing.name.as_deref(), Some("Page 1001"));
        assert_eq!((standing.scopes, standing.notes.len()), (None, 1));

        stage.app = app();
        let standing = stage.check().await.unwrap();
        assert_eq!(standing.missing, Vec::<String>::new());
        assert_eq!(standing.notes, Vec::<String>::new());
        assert_eq!(standing.scopes.unwrap().len(), 4);

        let token = "scopes(pages_show_list,pages_read_engagement)1";
        stage.credentials = json!({"access_token": token});
        let standing = stage.check().await.unwrap();
        assert_eq!(standing.missing, ["pages_manage_posts"]);
        assert_eq!(
            standing.notes,
            ["first comments need pages_manage_engagement, too"]
        );

        stage.credentials = json!({"access_token": "revoked-1"});
        let failure = stage.check().await.unwrap_err();
        assert_eq!(verdict(&failure), "needs_login [needs_login]");

        stage.credentials = json!({"access_token": "good"});
        stage.app.client_secret = Some(SecretString::from("wrong-1"));
        let failure = stage.check().await.unwrap_err();
        assert_eq!(verdict(&failure), "retry [app]");
    }
}

/// A request to the twin with a token that is good.
fn graph(stage: &Stage, method: Method, path: &str) -> RequestBuilder {
    let url = format!("{}/facebook/{path}", stage.url);
    client().request(method, url).bearer_auth("good")
}

/// Status and body.
async fn send(request: RequestBuilder) -> (u16, Value) {
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    (status, reply.json().await.unwrap())
}

fn codes(body: &Value) -> (i64, i64) {
    let error = &body["error"];
    let number = |name: &str| error[name].as_i64().unwrap_or_default();
    (number("code"), number("error_subcode"))
}

mod twin {
    use super::*;

    #[tokio::test]
    #[expect(clippy::too_many_lines, reason = "one table of refusals")]
    async fn the_twin_refuses_what_the_documentation_refuses() {
        let stage = stage().await;
        let photo = stage.sample("1080x1080.jpg");
        let (_, made) = send(
            graph(&stage, Method::POST, "v25.0/1001/photos")
                .json(&json!({"url": photo, "published": false})),
        )
        .await;
        let (page, video) = (made["id"].clone(), stage.sample("video-5s.mp4"));
        let attached =
            |ids: &[&Value]| -> Value { ids.iter().map(|id| json!({"media_fbid": id})).collect() };
        for (path, body, expected) in [
            ("1001/photos", json!({}), (324, 0)),
            (
                "1001/photos",
                json!({"url": photo, "colour": "red"}),
                (100, 0),
            ),
            (
                "1001/photos",
                json!({"url": photo, "published": "maybe"}),
                (100, 0),
            ),
            ("1001/photos", json!({"url": video}), (324, 2_069_019)),
            (
                "1001/photos",
                json!({"url": stage.sample("nowhere.jpg")}),
                (324, 2_069_019),
            ),
            (
                "1001/feed",
                json!({"attached_media": attached(&[&json!("7")])}),
                (100, 0),
            ),
            (
                "1001/feed",
                json!({"attached_media": attached(&[&page, &page])}),
                (100, 0),
            ),
            (
                "1002/feed",
                json!({"attached_media": attached(&[&page])}),
                (100, 0),
            ),
            ("1001/feed", json!({"attached_media": "1"}), (100, 0)),
            (
                "1001/feed",
                json!({"attached_media": attached(&[&page]), "link": "https://a.b"}),
                (100, 0),
            ),
            ("1001/photo_stories", json!({}), (100, 0)),
            ("1001/photo_stories", json!({"photo_id": "7"}), (100, 0)),
            ("1001/videos", json!({}), (100, 0)),
            (
                "1001/videos",
                json!({"file_url": stage.sample("nowhere.mp4")}),
                (389, 0),
            ),
            ("1001/videos", json!({"file_url": photo}), (352, 1_363_031)),
            (
                "1001/videos",
                json!({"file_url": video, "upload_phase": "start"}),
                (100, 0),
            ),
            ("1001/videos", json!({"upload_phase": "start"}), (100, 0)),
            (
                "1001/videos",
                json!({"upload_phase": "start", "file_size": 0}),
                (100, 1_363_022),
            ),
            (
                "1001/videos",
                json!({"upload_phase": "start", "file_size": 10_000_000_001_u64}),
                (382, 1_363_023),
            ),
            (
                "1001/videos",
                json!({"upload_phase": "transfer", "upload_session_id": "9"}),
                (6000, 1_363_041),
            ),
            (
                "1001/videos",
                json!({"upload_phase": "finish", "upload_session_id": "9"}),
                (6000, 1_363_041),
            ),
            ("1001/videos", json!({"upload_phase": "dance"}), (100, 0)),
            ("1001/video_reels", json!({}), (100, 0)),
            (
                "1001/video_reels",
                json!({"upload_phase": "finish", "video_id": "7", "video_state": "PUBLISHED"}),
                (100, 33),
            ),
            (
                "1001/video_reels",
                json!({"upload_phase": "finish", "video_id": "7"}),
                (100, 0),
            ),
            (
                "1001/video_stories",
                json!({"upload_phase": "start", "description": "a story has none"}),
                (100, 0),
            ),
            ("1001/nowhere", json!({}), (2500, 0)),
            (
                "1001_7/comments",
                json!({"message": "to nobody"}),
                (100, 33),
            ),
        ] {
            let path = format!("v25.0/{path}");
            let (status, answer) = send(graph(&stage, Method::POST, &path).json(&body)).await;
            assert_eq!(codes(&answer), expected, "{path} {body}: {answer}");
            assert!(status >= 400, "{path} {body}");
        }
        assert_eq!(stage.posts().await.len(), 0);
    }

    #[tokio::test]
    async fn a_chunk_must_start_where_the_last_one_ended() {
        let stage = stage().await;
        let post = || graph(&stage, Method::POST, "v25.0/1001/videos");
        let start = json!({"upload_phase": "start", "file_size": 600_000});
        let (_, started) = send(post().json(&start)).await;
        assert_eq!(started["end_offset"], "262144");
        let session = started["upload_session_id"].as_str().unwrap().to_owned();
        let chunk = |offset: &str, bytes: Vec<u8>| {
            let part = reqwest::multipart::Part::bytes(bytes).file_name("chunk");
            let form = reqwest::multipart::Form::new()
                .text("upload_phase", "transfer")
                .text("upload_session_id", session.clone())
                .text("start_offset", offset.to_owned())
                .part("video_file_chunk", part);
            send(post().multipart(form))
        };
        let (_, wrong) = chunk("7", vec![0; 10]).await;
        assert_eq!(codes(&wrong), (6000, 1_363_037));
        let wanted = json!({"start_offset": "0", "end_offset": "262144"});
        assert_eq!(wrong["error"]["error_data"], wanted);
        let (_, next) = chunk("0", vec![0; 10]).await;
        assert_eq!(next, json!({"start_offset": "10", "end_offset": "262154"}));
        let (_, long) = chunk("10", vec![0; 600_000]).await;
        assert_eq!(codes(&long), (6000, 1_363_033));
        let finish = json!({"upload_phase": "finish", "upload_session_id": session});
        let (_, early) = send(post().json(&finish)).await;
        assert_eq!(codes(&early), (6000, 1_363_033));
    }

    #[tokio::test]
    async fn bytes_go_to_their_own_host_with_its_own_scheme() {
        let stage = stage().await;
        let start = json!({"upload_phase": "start"});
        let reels = || graph(&stage, Method::POST, "v25.0/1001/video_reels");
        let (_, started) = send(reels().json(&start)).await;
        let video = started["video_id"].as_str().unwrap().to_owned();
        let url = started["upload_url"].as_str().unwrap().to_owned();
        let bytes = |authorization: &str, offset: u64, length: usize| {
            let request = client().post(&url).header("authorization", authorization);
            let request = request.header("offset", offset).header("file_size", 100);
            send(request.body(vec![7; length]))
        };
        let (_, scheme) = bytes("Bearer good", 0, 100).await;
        assert_eq!(codes(&scheme).0, 104, "another scheme than the Graph API's");
        let (_, expired) = bytes("OAuth expired-1", 0, 100).await;
        assert_eq!(codes(&expired), (190, 463));
        let (_, offset) = bytes("OAuth good", 7, 93).await;
        assert_eq!(offset["debug_info"]["type"], "OffsetInvalidError");
        let (_, partial) = bytes("OAuth good", 0, 40).await;
        assert_eq!(partial["debug_info"]["type"], "PartialRequestError");
        let finish =
            json!({"upload_phase": "finish", "video_id": video, "video_state": "PUBLISHED"});
        let (_, early) = send(reels().json(&finish)).await;
        assert_eq!(codes(&early), (100, 1_363_130));
        let path = format!("v25.0/{video}?fields=status");
        let (_, looked) = send(graph(&stage, Method::GET, &path)).await;
        assert_eq!(
            looked["status"]["uploading_phase"],
            json!({"status": "in_progress", "bytes_transferred": 40})
        );
        // Older versions keep the spelling that the documentation had for years.
        let path = format!("v24.0/{video}?fields=status");
        let (_, looked_before) = send(graph(&stage, Method::GET, &path)).await;
        let phase = &looked_before["status"]["uploading_phase"];
        assert_eq!(
            phase,
            &json!({"status": "in_progress", "bytes_transfered": 40})
        );
        assert_eq!(looked["status"]["video_status"], "uploading");
        let (status, whole) = bytes("OAuth good", 40, 60).await;
        assert_eq!((status, whole), (200, json!({"success": true})));
        let (_, again) = bytes("OAuth good", 0, 100).await;
        assert_eq!(again["debug_info"]["type"], "OffsetInvalidError");
    }

    #[tokio::test]
    async fn reels_and_stories_are_measured() {
        let stage = stage().await;
        for (edge, sample, expected) in [
            ("video_reels", "video-5s.mp4", (0, 0)),
            ("video_stories", "reel-9s.mp4", (0, 0)),
        ] {
            let path = format!("v25.0/1001/{edge}");
            let post = |body: Value| send(graph(&stage, Method::POST, &path).json(&body));
            let (_, started) = post(json!({"upload_phase": "start"})).await;
            let url = started["upload_url"].as_str().unwrap();
            let request = client().post(url).header("authorization", "OAuth good");
            let (status, _) = send(request.header("file_url", stage.sample(sample))).await;
            assert_eq!(status, 200);
            let mut finish = json!({"upload_phase": "finish", "video_id": started["video_id"]});
            if edge == "video_reels" {
                finish["video_state"] = json!("PUBLISHED");
            }
            let (_, answer) = post(finish.clone()).await;
            assert_eq!(codes(&answer), expected, "{edge} {answer}");
            let (_, again) = post(finish).await;
            assert_eq!(codes(&again), (100, 0), "published once");
        }
    }

    #[tokio::test]
    async fn lists_show_what_was_published() {
        let stage = stage().await;
        let reel =
            json!({"kind": "reel", "body": "See", "media": [{"url": stage.sample("reel-9s.mp4")}]});
        let story = json!({"kind": "story", "media": [{"url": stage.sample("1080x1920.jpg")}]});
        let text = json!({"body": "Hi", "options": {"first_comment": "First"}});
        for content in [reel, story, text] {
            expect_done(&stage.publish(content).await);
        }
        for (list, field, expected) in [
            ("published_posts?fields=message", "message", json!("Hi")),
            (
                "feed?fields=status_type",
                "status_type",
                json!("mobile_status_update"),
            ),
            (
                "video_reels?fields=description,permalink_url",
                "description",
                json!("See"),
            ),
            (
                "stories?fields=media_type,url",
                "media_type",
                json!("photo"),
            ),
        ] {
            let path = format!("v25.0/1001/{list}");
            let (_, body) = send(graph(&stage, Method::GET, &path)).await;
            let data = body["data"].as_array().unwrap();
            assert_eq!(data.len(), 1, "{list}");
            assert_eq!(data[0][field], expected, "{list}");
        }
        let posts = stage.posts().await;
        let path = format!("v25.0/{}/comments", posts[2]["id"].as_str().unwrap());
        let (_, comments) = send(graph(&stage, Method::GET, &path)).await;
        assert_eq!(comments["data"][0]["message"], "First");
    }

    #[tokio::test]
    async fn a_list_names_its_next_page_as_long_as_there_is_one() {
        let stage = stage().await;
        for body in ["one", "two", "three"] {
            expect_done(&stage.publish(json!({"body": body})).await);
        }
        let path = "v25.0/1001/published_posts?fields=message&limit=2";
        let (_, first) = send(graph(&stage, Method::GET, path)).await;
        assert_eq!(first["data"][1]["message"], "two");
        let next = first["paging"]["next"].as_str().unwrap();
        let (_, second) = send(client().get(next).bearer_auth("good")).await;
        assert_eq!(second["data"][0]["message"], "one");
        assert_eq!(second["paging"]["next"], Value::Null);
        let (_, refused) = send(graph(&stage, Method::GET, &format!("{path}&after=x"))).await;
        assert_eq!(codes(&refused), (100, 0));
    }

    #[tokio::test]
    async fn a_slash_at_the_end_of_a_path_means_nothing() {
        let stage = stage().await;
        let post = graph(&stage, Method::POST, "v25.0/1001/feed/").json(&json!({"message": "Hi"}));
        let (status, made) = send(post).await;
        assert_eq!(status, 200, "{made}");
        let id = made["id"].as_str().unwrap();
        for path in [
            "1001",
            "1001/published_posts",
            id,
            &format!("{id}/comments"),
        ] {
            let bare = send(graph(&stage, Method::GET, &format!("v25.0/{path}"))).await;
            assert_eq!(bare.0, 200, "{path}: {}", bare.1);
            let slashed = send(graph(&stage, Method::GET, &format!("v25.0/{path}/"))).await;
            assert_eq!(slashed, bare, "{path}");
        }
        let (status, _) = send(graph(&stage, Method::GET, "v25.0/1001/feed//")).await;
        assert_eq!(status, 404);
    }

    #[tokio::test]
    async fn what_metas_own_clients_add_is_taken() {
        let stage = stage().await;
        // The token's digest stands in the address of every request; a file has a number.
        let path = "v25.0/1001/photos?appsecret_proof=0123";
        let upload = async |field: &'static str| {
            let photo = include_bytes!("../src/sandbox/samples/800x800.png");
            let part = reqwest::multipart::Part::bytes(photo.as_slice()).file_name("a.png");
            let form = reqwest::multipart::Form::new().part(field, part);
            send(graph(&stage, Method::POST, path).multipart(form)).await
        };
        for field in ["source", "source0"] {
            let (status, body) = upload(field).await;
            assert_eq!(status, 200, "{field}: {body}");
        }
        assert_eq!(upload("sources").await.0, 400);
    }

    #[tokio::test]
    async fn a_photo_is_attached_once() {
        let stage = stage().await;
        let photo = json!({"url": stage.sample("1080x1080.jpg"), "published": false});
        let (_, made) = send(graph(&stage, Method::POST, "v25.0/1001/photos").json(&photo)).await;
        let media = json!({"media_fbid": made["id"]}).to_string();
        let post = || {
            let form = [("attached_media[0]", media.as_str())];
            send(graph(&stage, Method::POST, "v25.0/1001/feed").form(&form))
        };
        assert_eq!(post().await.0, 200, "as a form");
        assert_eq!(codes(&post().await.1), (100, 0));
        let (_, accounts) = send(graph(&stage, Method::GET, "v25.0/me/accounts")).await;
        assert_eq!(accounts["data"][0]["id"], "1001");
    }
}
