//! Every platform's client against the sandbox: its flow, and what each fault on the wire means for the post.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use publisher::account::Credentials;
use publisher::http::{Http, Session, Timeouts, Trail, client_builder};
use publisher::journal::{Journal, Page};
use publisher::media;
use publisher::outcome::{Failure, Published};
use publisher::platform::{self, Step};
use publisher::post::ClaimedPost;
use publisher::sandbox::{Fault, Sandbox, Settings};
use publisher::schedule::Clock;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use uuid::Uuid;

/// Long before the sandbox's clock, so that whatever it publishes comes later.
const NOW: &str = "2020-01-01T12:00:00Z";
/// Longer than any test, and never waited out.
const LONG: Duration = Duration::from_mins(1);
/// For requests that are meant to run into their timeout.
const SHORT: Duration = Duration::from_millis(200);
/// More than one piece of an upload, and no multiple of one.
const VIDEO_BYTES: usize = 600_000;

/// A sandbox, and one post to publish there.
struct World {
    url: String,
    timeout: Duration,
    lease: Duration,
    video: NamedTempFile,
}

/// What a post's steps came to: `done`, `wait 5s`, or the decision and its class.
struct Ending {
    verdict: String,
    /// Why, if it failed.
    message: String,
    /// What the next step would start from.
    checkpoint: Option<Value>,
    published: Option<Published>,
}

impl World {
    async fn with(faults: &[&str]) -> Self {
        let faults = faults.iter().map(|spec| spec.parse::<Fault>().unwrap());
        let sandbox = Sandbox::bind(Settings {
            faults: faults.collect(),
            ..Settings::default()
        });
        let sandbox = sandbox.await.unwrap();
        let url = sandbox.url().as_str().trim_end_matches('/').to_owned();
        // It ends with the test's runtime.
        tokio::spawn(sandbox.serve(std::future::pending()));
        let video = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(video.path(), vec![7; VIDEO_BYTES]).unwrap();
        Self {
            url,
            timeout: LONG,
            lease: LONG,
            video,
        }
    }

    /// A post of the kind that the platform takes.
    fn content(&self, platform: &str) -> Value {
        match platform {
            "instagram" => {
                json!({"body": "Hi @you #all", "media": [{"url": "https://images.example/a.jpg"}]})
            }
            "youtube" => json!({"body": "Hi", "media": [{"path": self.video.path()}]}),
            _ => json!({"body": "Hi (you) & #all", "link": "https://example.com/?a&b"}),
        }
    }

    /// Publishes until there is nothing more to do at once.
    async fn publish(&self, platform: &str, checkpoint: Option<Value>) -> Ending {
        self.publish_content(platform, self.content(platform), checkpoint)
            .await
    }

    async fn publish_content(
        &self,
        platform: &str,
        content: Value,
        mut checkpoint: Option<Value>,
    ) -> Ending {
        let post = claimed(platform, &content);
        let platform = platform::by_name(platform).unwrap();
        assert_eq!(platform.validate(&post.content), Vec::<String>::new());
        assert_eq!(platform.validate_account(&post.account.external_id), Ok(()));
        let credentials: Credentials =
            serde_json::from_value(json!({"access_token": "good"})).unwrap();
        let timeouts = Timeouts {
            request: self.timeout,
            upload: self.timeout,
        };
        let media = media::Policy {
            allow_private: true,
            ..media::Policy::default()
        };
        let (http, trail) = (Http::new(timeouts, media), Trail::default());
        let journal = Journal::new(Uuid::nil(), None);
        let session = Session {
            page: Page {
                journal: &journal,
                clock: Clock::at(NOW.parse().unwrap()),
                post: &post,
                checkpoint: None,
            },
            post: &post,
            credentials: &credentials,
            http: &http,
            base: &format!("{}/{}", self.url, platform.name()),
            version: None,
            now: NOW.parse().unwrap(),
            lease_ends: Instant::now() + self.lease,
            trail: &trail,
        };
        let end = |verdict: String, checkpoint, published| Ending {
            verdict,
            message: String::new(),
            checkpoint,
            published,
        };
        for _ in 0..10 {
            match platform.step(&session, checkpoint.as_ref()).await {
                Ok(Step::Wait {
                    checkpoint: next,
                    after: Duration::ZERO,
                }) => checkpoint = Some(next),
                Ok(Step::Wait { checkpoint, after }) => {
                    return end(format!("wait {after:?}"), Some(checkpoint), None);
                }
                Ok(Step::Done(published)) => return end("done".to_owned(), None, Some(published)),
                Err(failure) => {
                    return Ending {
                        message: failure.reason().message.clone(),
                        ..end(verdict(&failure), checkpoint, None)
                    };
                }
            }
        }
        panic!("{} goes round in circles", platform.name());
    }

    /// What people see.
    async fn posts(&self) -> Vec<Value> {
        let request = client().get(format!("{}/api/posts", self.url));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Takes the faults away.
    async fn heal(&self) {
        let request = client().post(format!("{}/api/faults", self.url));
        let reply = request.json(&json!([])).send().await.unwrap();
        assert!(reply.status().is_success());
    }
}

fn client() -> reqwest::Client {
    client_builder().build().unwrap()
}

fn claimed(platform: &str, content: &Value) -> ClaimedPost {
    let external_id = match platform {
        "facebook" | "instagram" => "1001",
        "linkedin" => "urn:li:organization:42",
        "youtube" => "UC_x5XG1OV2P6uZZ5FSM9Ttw",
        _ => "C024BE91L",
    };
    let mut post = json!({
        "id": 7, "action": "publish", "scheduled_at": NOW, "expires_at": NOW, "attempts": 1,
        "max_attempts": 5, "checkpoint": null,
        "account": {
            "id": 1, "owner": "o", "platform": platform, "external_id": external_id,
            "credentials": null, "token_expires_at": null,
        },
    });
    let fields = post.as_object_mut().unwrap();
    fields.extend(content.as_object().unwrap().clone());
    serde_json::from_value(post).unwrap()
}

fn verdict(failure: &Failure) -> String {
    let decision = match failure {
        Failure::Retry { .. } => "retry",
        Failure::RateLimited { .. } => "rate_limited",
        Failure::NeedsLogin { .. } => "needs_login",
        Failure::Rejected { .. } => "rejected",
        Failure::Unconfirmed { .. } => "unconfirmed",
    };
    format!("{decision} [{}]", failure.reason().class)
}

#[tokio::test]
async fn every_platform_publishes_once() {
    for platform in platform::names() {
        let world = World::with(&[]).await;
        let ending = world.publish(platform, None).await;
        assert_eq!(ending.verdict, "done", "{platform}");
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
    let world = World::with(&[]).await;
    for platform in ["facebook", "linkedin", "slack"] {
        world.publish(platform, None).await;
    }
    let posts = world.posts().await;
    assert_eq!(posts[0]["text"], "Hi (you) & #all");
    assert_eq!(posts[0]["link"], "https://example.com/?a&b");
    assert_eq!(posts[1]["text"], "Hi (you) & #all");
    assert_eq!(posts[1]["link"], "https://example.com/?a&b");
    assert_eq!(posts[1]["title"], "Hi (you) & #all");
    assert_eq!(
        posts[2]["text"],
        "Hi (you) & #all\nhttps://example.com/?a&b"
    );
}

#[tokio::test]
async fn a_fault_means_what_it_proves() {
    // What a post comes to, and how many of it people see.
    const FAULTS: &[(&str, [&str; 5])] = &[
        (
            "500",
            [
                "unconfirmed [server_error] 0",
                "unconfirmed [server_error] 0",
                "unconfirmed [server_error] 0",
                "retry [server_error] 0",
                "unconfirmed [server_error] 0",
            ],
        ),
        (
            "500-after-accept",
            [
                "unconfirmed [server_error] 1",
                "unconfirmed [server_error] 1",
                "unconfirmed [server_error] 1",
                "done 1",
                "unconfirmed [server_error] 1",
            ],
        ),
        (
            "reset",
            [
                "unconfirmed [connection] 0",
                "unconfirmed [connection] 0",
                "unconfirmed [connection] 0",
                "retry [connection] 0",
                "unconfirmed [connection] 0",
            ],
        ),
        (
            "reset-after-accept",
            [
                "unconfirmed [connection] 1",
                "unconfirmed [connection] 1",
                "unconfirmed [connection] 1",
                "done 1",
                "unconfirmed [connection] 1",
            ],
        ),
        ("429:retry-after=180", ["rate_limited [rate_limited] 0"; 5]),
        ("401", ["needs_login [needs_login] 0"; 5]),
        ("rejected", ["rejected [rejected] 0"; 5]),
    ];
    for (fault, expected) in FAULTS {
        for (platform, expected) in platform::names().into_iter().zip(expected) {
            let world = World::with(&[&format!("*:{fault}")]).await;
            let ending = world.publish(platform, None).await;
            let seen = format!("{} {}", ending.verdict, world.posts().await.len());
            assert_eq!(&seen, expected, "{platform}: {fault}");
        }
    }
}

#[tokio::test]
async fn a_reply_that_never_comes_is_unconfirmed_unless_the_platform_tells() {
    for platform in platform::names() {
        let mut world = World::with(&["*:hang"]).await;
        world.timeout = SHORT;
        let ending = world.publish(platform, None).await;
        let expected = match platform {
            "youtube" => "done",
            _ => "unconfirmed [timeout]",
        };
        assert_eq!(ending.verdict, expected, "{platform}");
        assert_eq!(world.posts().await.len(), 1, "{platform}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for platform in platform::names() {
        let mut world = World::with(&[]).await;
        world.url = format!("http://{address}");
        let ending = world.publish(platform, None).await;
        assert_eq!(ending.verdict, "retry [connect]", "{platform}");
    }
}

#[tokio::test]
async fn nothing_is_published_after_the_lease() {
    for platform in platform::names() {
        let mut world = World::with(&[]).await;
        world.lease = Duration::ZERO;
        let ending = world.publish(platform, None).await;
        assert_eq!(ending.verdict, "retry [lease_ended]", "{platform}");
        assert_eq!(world.posts().await.len(), 0, "{platform}");
    }
}

/// Two of the platforms can be asked what became of a post; the step that follows a doubtful one finds out.
#[tokio::test]
async fn a_checkpoint_never_publishes_twice() {
    let faults = ["500", "500-after-accept", "reset", "reset-after-accept"];
    for platform in ["instagram", "youtube"] {
        for fault in faults {
            let world = World::with(&[&format!("{platform}:{fault}")]).await;
            let mut ending = world.publish(platform, None).await;
            if ending.verdict != "done" {
                assert!(ending.checkpoint.is_some(), "{platform}: {fault}");
                world.heal().await;
                ending = world.publish(platform, ending.checkpoint).await;
            }
            assert_eq!(ending.verdict, "done", "{platform}: {fault}");
            let published = ending.published.unwrap();
            let posts = world.posts().await;
            assert_eq!(posts.len(), 1, "{platform}: {fault}");
            assert_eq!(json!(published.id), posts[0]["id"], "{platform}: {fault}");
            assert_eq!(published.warnings, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn an_instagram_container_in_progress_is_waited_for() {
    let world = World::with(&["instagram:processing:3600s"]).await;
    let first = world.publish("instagram", None).await;
    assert_eq!(first.verdict, "wait 5s");
    let second = world.publish("instagram", first.checkpoint).await;
    assert_eq!(second.verdict, "wait 10s");
    assert_eq!(world.posts().await.len(), 0);
}

#[tokio::test]
async fn an_instagram_post_that_the_list_does_not_show_is_live_all_the_same() {
    let world = World::with(&["instagram:500-after-accept"]).await;
    let first = world.publish("instagram", None).await;
    let other = json!({"body": "Another", "media": [{"url": "https://images.example/a.jpg"}]});
    let second = world
        .publish_content("instagram", other, first.checkpoint.clone())
        .await;
    assert_eq!(second.verdict, "done");
    let published = second.published.unwrap();
    assert_eq!(json!(published.id), first.checkpoint.unwrap()["id"]);
    assert_eq!(published.permalink, None);
    assert_eq!(published.warnings.len(), 1);
}

#[tokio::test]
async fn linkedin_reports_a_duplicate_with_its_urn() {
    let world = World::with(&[]).await;
    let first = world.publish("linkedin", None).await.published.unwrap();
    let second = world.publish("linkedin", None).await;
    assert_eq!(second.verdict, "rejected [duplicate]");
    assert!(second.message.contains(&first.id), "{}", second.message);
    assert_eq!(world.posts().await.len(), 1);
}

#[tokio::test]
async fn a_video_arrives_whole_from_a_file_and_from_a_url() {
    let bytes = vec![7_u8; VIDEO_BYTES];
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let files = Router::new().route("/a.mp4", get(move || async move { bytes }));
    tokio::spawn(async move { axum::serve(listener, files).await });
    let world = World::with(&[]).await;
    let from_url = json!({
        "body": "Hi from afar",
        "media": [{"url": format!("http://{address}/a.mp4"), "type": "video/mp4"}],
    });
    for content in [world.content("youtube"), from_url] {
        let ending = world.publish_content("youtube", content, None).await;
        assert_eq!(ending.verdict, "done");
    }
    for post in world.posts().await {
        assert_eq!(post["bytes"], VIDEO_BYTES);
        assert_eq!(post["sha256"], sha256);
    }
}

#[tokio::test]
async fn a_youtube_session_elsewhere_is_not_given_the_token() {
    let world = World::with(&[]).await;
    let elsewhere = json!({"session": "http://127.0.0.1:9/upload?upload_id=1", "length_bytes": 1});
    let ending = world.publish("youtube", Some(elsewhere)).await;
    assert_eq!(ending.verdict, "unconfirmed [moved]");
}

#[tokio::test]
async fn a_forgotten_youtube_session_proves_nothing() {
    let world = World::with(&[]).await;
    let session = format!(
        "{}/youtube/upload/youtube/v3/videos?uploadType=resumable&upload_id=gone",
        world.url
    );
    let checkpoint = json!({"session": session, "length_bytes": VIDEO_BYTES});
    let ending = world.publish("youtube", Some(checkpoint)).await;
    assert_eq!(ending.verdict, "unconfirmed [upload_gone]");
    assert_eq!(world.posts().await.len(), 0);
}

#[tokio::test]
async fn an_exchanged_file_gets_a_session_of_its_own() {
    let world = World::with(&["youtube:500"]).await;
    let first = world.publish("youtube", None).await;
    assert_eq!(first.verdict, "retry [server_error]");
    world.heal().await;
    std::fs::write(world.video.path(), vec![8; 1000]).unwrap();
    let second = world.publish("youtube", first.checkpoint).await;
    assert_eq!(second.verdict, "done");
    let posts = world.posts().await;
    assert_eq!((posts.len(), &posts[0]["bytes"]), (1, &json!(1000)));
}

#[tokio::test]
async fn half_an_upload_starts_over_and_becomes_one_video() {
    let mut world = World::with(&[]).await;
    world.lease = Duration::ZERO;
    let checkpoint = world.publish("youtube", None).await.checkpoint.unwrap();
    let half = client()
        .put(checkpoint["session"].as_str().unwrap())
        .header("Content-Range", format!("bytes 0-262143/{VIDEO_BYTES}"))
        .body(vec![7; 262_144]);
    assert_eq!(half.send().await.unwrap().status(), 308);
    world.lease = LONG;
    let ending = world.publish("youtube", Some(checkpoint)).await;
    assert_eq!(ending.verdict, "done");
    assert_eq!(world.posts().await.len(), 1);
}
