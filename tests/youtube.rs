//! YouTube's client against the sandbox, and the sandbox's YouTube over raw HTTP.
//!
//! One story is about 2 GiB and takes minutes, so it runs only when it is asked for:
//! `cargo test --test youtube -- --ignored --nocapture`.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

mod support;

#[path = "youtube/large.rs"]
mod large;
#[path = "youtube/lookup.rs"]
mod lookup;
#[path = "youtube/tokens.rs"]
mod tokens;
#[path = "youtube/wire.rs"]
mod wire;

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::hostile::{Hostile, reply};
use support::stage::{Ending, LONG, SHORT, Stage, client};
use tempfile::NamedTempFile;

/// Chunks of this size, and a video of three of them, the last one shorter.
const CHUNK: usize = 262_144;
const VIDEO_BYTES: usize = 600_000;

/// A stage with a video of three chunks.
struct World {
    stage: Stage,
    video: NamedTempFile,
}

impl World {
    async fn with(faults: &[&str]) -> Self {
        let mut stage = Stage::with("youtube", faults).await;
        stage
            .settings
            .limits
            .insert("chunk_bytes".to_owned(), CHUNK as f64);
        let video = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
        std::fs::write(video.path(), bytes(VIDEO_BYTES)).unwrap();
        Self { stage, video }
    }

    /// With a token of that text.
    async fn with_token(token: &str) -> Self {
        let mut world = Self::with(&[]).await;
        world.stage.credentials = json!({"access_token": token});
        world
    }

    fn content(&self) -> Value {
        json!({"body": "Hi", "media": [{"path": self.video.path()}]})
    }

    fn content_with(&self, options: &Value) -> Value {
        let mut content = self.content();
        content["options"] = options.clone();
        content
    }

    async fn publish(&self) -> Ending {
        self.stage.publish(self.content()).await
    }

    async fn go_on(&self, ending: Ending) -> Ending {
        if ending.verdict == "doubt" {
            return self
                .stage
                .look_again(self.content(), ending.checkpoint)
                .await;
        }
        self.stage.go_on(self.content(), ending.checkpoint).await
    }

    async fn seen(&self) -> usize {
        self.stage.posts().await.len()
    }

    /// One video that has exactly the file's bytes.
    async fn is_live_and_whole(&self) {
        let posts = self.stage.posts().await;
        assert_eq!(posts.len(), 1);
        let expected = std::fs::read(self.video.path()).unwrap();
        assert_eq!(posts[0]["media"][0]["bytes"], expected.len());
        assert_eq!(
            posts[0]["media"][0]["sha256"],
            format!("{:x}", Sha256::digest(&expected))
        );
    }

    /// The sandbox forgets everything.
    async fn forget(&self) {
        let url = format!("{}/api/reset", self.stage.url);
        assert!(
            client()
                .post(url)
                .send()
                .await
                .unwrap()
                .status()
                .is_success()
        );
    }
}

/// So many bytes that tell where they belong.
fn bytes(count: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at / 7 + at / 1009) % 251).unwrap();
    (0..count).map(byte).collect()
}

#[tokio::test]
async fn a_video_is_seen_as_it_was_meant() {
    let mut world = World::with_token("channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)").await;
    let thumbnail = world.stage.sample("1200x630.jpg");
    world.stage.account_settings = json!({"privacy": "unlisted"}).as_object().unwrap().clone();
    let mut content = world.content_with(&json!({
        "title": "A title", "tags": ["one", "two words"], "category_id": "27", "made_for_kids": false,
        "license": "creativeCommon", "embeddable": false, "language": "de", "notify_subscribers": false,
        "synthetic_media": true, "thumbnail": thumbnail, "playlist": "PL_1-a", "first_comment": "First & <b>",
    }));
    content["link"] = json!("https://example.com/?a&b");
    let ending = world.stage.publish(content).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    let published = ending.published.unwrap();
    assert_eq!(published.warnings, Vec::<String>::new());
    world.is_live_and_whole().await;
    let post = &world.stage.posts().await[0];
    assert_eq!(post["account"], world.stage.external_id);
    assert_eq!(post["id"], json!(published.id));
    assert_eq!(post["permalink"], json!(published.permalink));
    assert_eq!(post["kind"], "post");
    assert_eq!(post["title"], "A title");
    assert_eq!(post["text"], "Hi\nhttps://example.com/?a&b");
    assert_eq!(post["comments"][0]["text"], "First & <b>");
    assert_eq!(post["comments"].as_array().unwrap().len(), 1);
    let mut details = post["details"].clone();
    let thumbnail = details
        .as_object_mut()
        .unwrap()
        .remove("thumbnail")
        .unwrap();
    assert_eq!(
        (&thumbnail["width"], &thumbnail["height"]),
        (&json!(1200), &json!(630))
    );
    assert_eq!(
        details,
        json!({
            "privacy": "unlisted", "tags": ["one", "two words"], "category": "27", "made_for_kids": false,
            "license": "creativeCommon", "embeddable": false, "language": "de", "notifies_subscribers": false,
            "synthetic_media": true, "playlist": "PL_1-a",
        })
    );
}

#[tokio::test]
async fn an_upright_video_from_the_web_is_a_short() {
    let world = World::with(&[]).await;
    let media = json!([{"url": world.stage.sample("reel-9s.mp4")}]);
    let content = json!({"kind": "reel", "body": "Up", "media": media});
    let ending = world.stage.publish(content).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    assert_eq!(ending.published.unwrap().warnings, Vec::<String>::new());
    let post = &world.stage.posts().await[0];
    assert_eq!(
        (&post["kind"], &post["title"]),
        (&json!("reel"), &json!("Up"))
    );
    assert_eq!(post["media"][0]["type"], "video");
    assert_eq!(post["media"][0]["height"], 1920);
}

#[tokio::test]
async fn what_follows_a_video_never_fails_it() {
    let world =
        World::with_token("unverified-refused(commentsDisabled)UC_x5XG1OV2P6uZZ5FSM9Ttw").await;
    let content = world.content_with(&json!({
        "thumbnail": world.stage.sample("800x800.png"), "playlist": "PLmissing", "first_comment": "Hi",
    }));
    let ending = world.stage.publish(content).await;
    assert_eq!(ending.verdict, "done");
    assert_eq!(
        ending.published.unwrap().warnings,
        [
            "the thumbnail was not set: YouTube refuses it (forbidden): The authenticated user doesn't have \
             permissions to upload and set custom video thumbnails.",
            "it was not added to the playlist: YouTube refuses it (playlistNotFound): The playlist identified with \
             the request's <code>playlistId</code> parameter cannot be found.",
            "the first comment: YouTube refuses it (commentsDisabled): The video identified by the videoId \
             parameter has disabled comments.",
        ]
    );
    let upload = "https://www.googleapis.com/auth/youtube.upload";
    let world = World::with_token(&format!("scopes({upload})UC_x5XG1OV2P6uZZ5FSM9Ttw")).await;
    let content = world.content_with(&json!({
        "thumbnail": world.stage.sample("document.pdf"), "playlist": "PL1", "first_comment": "Hi",
    }));
    assert_eq!(
        world.stage.problems(&content),
        ["option `thumbnail`: YouTube takes JPEG and PNG, not application/pdf"]
    );
    // A name that tells nothing: the file itself does.
    let odd = world.video.path().with_extension("");
    std::fs::write(&odd, b"%PDF-1.7 and so on").unwrap();
    let content =
        world.content_with(&json!({"thumbnail": odd, "playlist": "PL1", "first_comment": "Hi"}));
    let ending = world.stage.publish(content).await;
    std::fs::remove_file(&odd).unwrap();
    assert_eq!(
        ending.published.unwrap().warnings,
        [
            "the thumbnail was not set: the file is application/pdf; YouTube takes JPEG and PNG",
            "it was not added to the playlist: the token lacks the scope youtube; connect the account again, and \
             grant it",
            "the first comment: the token lacks the scope youtube.force-ssl; connect the account again, and grant it",
        ]
    );
    assert_eq!(world.seen().await, 1);
}

#[tokio::test]
async fn a_first_comment_is_sent_once_whatever_becomes_of_it() {
    for fault in [
        "500",
        "500-after-accept",
        "reset",
        "reset-after-accept",
        "hang",
        "truncate",
        "huge-body",
        "429",
        "401",
    ] {
        let mut world = World::with(&[&format!("youtube/comment:{fault}")]).await;
        world.stage.timeout = SHORT;
        let content = world.content_with(&json!({"first_comment": "Hi"}));
        let ending = world.stage.publish(content).await;
        assert_eq!(ending.verdict, "done", "{fault}");
        assert_eq!(ending.published.unwrap().warnings.len(), 1, "{fault}");
        let posts = world.stage.posts().await;
        assert_eq!(posts.len(), 1, "{fault}");
        assert!(
            posts[0]["comments"].as_array().unwrap().len() <= 1,
            "{fault}"
        );
    }
}

#[tokio::test]
async fn what_is_odd_about_a_video_is_said() {
    let world = World::with_token("unaudited-channel(UC0000000000000000000001)").await;
    let warnings = world.publish().await.published.unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "the video is on the channel UC0000000000000000000001, not on UC_x5XG1OV2P6uZZ5FSM9Ttw: the token is \
             another channel's",
            "YouTube made the video private: it does so while Google has not audited the project that the token is of",
        ]
    );
}

/// What a fault in the last chunk, or in an earlier one, means; then, without faults, one video in the end.
#[tokio::test]
async fn every_fault_of_a_chunk_ends_in_one_video() {
    for (step, fault, expected, seen) in [
        ("publish", "500", "doubt", 0),
        ("publish", "500-after-accept", "doubt", 1),
        ("publish", "reset", "doubt", 0),
        ("publish", "reset-after-accept", "doubt", 1),
        ("publish", "hang", "doubt", 1),
        ("publish", "truncate", "doubt", 1),
        ("publish", "slow-body", "doubt", 1),
        ("publish", "huge-body", "doubt", 1),
        ("publish", "bad-json", "doubt", 1),
        ("publish", "429", "rate_limited [rate_limited]", 0),
        ("publish", "401", "unauthorized [needs_login]", 0),
        ("publish", "rejected", "rejected [rejected]", 0),
        ("upload", "500", "wait 1s", 0),
        ("upload", "500-after-accept", "doubt", 1),
        ("upload", "reset", "wait 1s", 0),
        ("upload", "reset-after-accept", "doubt", 1),
        ("upload", "reset-at:70%", "wait 1s", 0),
        ("upload", "hang", "doubt", 1),
        ("upload", "truncate", "doubt", 1),
        ("upload", "bad-json", "doubt", 1),
        ("upload", "429", "rate_limited [rate_limited]", 0),
        ("upload", "401", "unauthorized [needs_login]", 0),
        ("upload", "rejected", "rejected [rejected]", 0),
        ("prepare", "500", "retry [server_error]", 0),
        ("prepare", "reset-after-accept", "retry [connection]", 0),
        ("prepare", "bad-json", "retry [bad_reply]", 0),
        ("prepare", "429", "rate_limited [rate_limited]", 0),
        ("prepare", "401", "unauthorized [needs_login]", 0),
        ("prepare", "rejected", "rejected [rejected]", 0),
    ] {
        let mut world = World::with(&[&format!("youtube/{step}:{fault}")]).await;
        if matches!(fault, "hang" | "slow-body") {
            world.stage.timeout = SHORT;
        }
        let ending = world.publish().await;
        assert_eq!(
            ending.verdict, expected,
            "{step}:{fault}: {}",
            ending.message
        );
        assert_eq!(world.seen().await, seen, "{step}:{fault}");
        world.stage.timeout = LONG;
        world.stage.heal().await;
        if ending.verdict != "done" {
            let ending = world.go_on(ending).await;
            assert_eq!(ending.verdict, "done", "{step}:{fault}: {}", ending.message);
        }
        world.is_live_and_whole().await;
    }
}

#[tokio::test]
async fn a_chunk_that_never_arrives_is_tried_for_a_while() {
    let world = World::with(&["youtube/upload:500"]).await;
    let mut ending = world.publish().await;
    for expected in ["wait 1s", "wait 2s", "wait 4s", "wait 8s", "wait 16s"] {
        assert_eq!(ending.verdict, expected);
        ending = world.go_on(ending).await;
    }
    assert_eq!(ending.verdict, "retry [server_error]");
    world.stage.heal().await;
    assert_eq!(world.go_on(ending).await.verdict, "done");
    world.is_live_and_whole().await;
}

#[tokio::test]
async fn a_doubt_ends_with_the_sessions_answer() {
    for (fault, seen) in [("reset-after-accept", 1), ("reset", 0)] {
        let fault = format!("youtube:{fault}");
        let world = World::with(&[&fault, "youtube/status:500"]).await;
        let mut ending = world.publish().await;
        assert_eq!(ending.verdict, "doubt");
        assert_eq!(world.seen().await, seen);
        let checkpoint = ending.checkpoint.clone();
        ending = world.go_on(ending).await;
        assert_eq!(ending.verdict, "retry [server_error]", "still no answer");
        world.stage.heal().await;
        // Where bytes are missing they go on from there.
        let ending = world.stage.look_again(world.content(), checkpoint).await;
        assert_eq!(ending.verdict, "done", "{}", ending.message);
        world.is_live_and_whole().await;
    }
}

#[tokio::test]
async fn a_session_that_is_gone_is_begun_again_unless_it_may_be_a_video() {
    let mut world = World::with(&[]).await;
    world.stage.lease = Duration::ZERO;
    let ending = world.publish().await;
    assert_eq!(ending.verdict, "retry [lease_ended]");
    let checkpoint = ending.checkpoint.clone().unwrap();
    assert_eq!(checkpoint["stored_bytes"], 2 * CHUNK);
    world.stage.lease = LONG;
    world.forget().await;
    assert_eq!(world.go_on(ending).await.verdict, "done");
    world.is_live_and_whole().await;

    let faults = ["youtube:reset-after-accept", "youtube/status:500"];
    let world = World::with(&faults).await;
    let ending = world.publish().await;
    world.stage.heal().await;
    world.forget().await;
    let ending = world.go_on(ending).await;
    assert_eq!(ending.verdict, "not seen");
    assert_eq!(world.seen().await, 0, "it is not sent again");
}

#[tokio::test]
async fn an_upload_goes_on_in_a_later_run_where_it_stopped() {
    let mut world = World::with(&[]).await;
    world.stage.lease = Duration::ZERO;
    let ending = world.publish().await;
    world.stage.lease = LONG;
    // From here on, every request for a new session would fail.
    world.stage.faults(&["youtube/prepare:500"]).await;
    assert_eq!(world.go_on(ending).await.verdict, "done");
    world.is_live_and_whole().await;
}

/// A run that died knows less than the session does, or its checkpoint is from a database that was set back.
#[tokio::test]
async fn the_session_knows_better_than_the_checkpoint() {
    for stored in [0, CHUNK] {
        let mut world = World::with(&[]).await;
        world.stage.lease = Duration::ZERO;
        let mut ending = world.publish().await;
        world.stage.lease = LONG;
        ending.checkpoint.as_mut().unwrap()["stored_bytes"] = json!(stored);
        assert_eq!(world.go_on(ending).await.verdict, "done", "{stored}");
        world.is_live_and_whole().await;
    }
    let world = World::with(&["youtube/upload:500"]).await;
    let mut ending = world.publish().await;
    world.stage.heal().await;
    ending.checkpoint.as_mut().unwrap()["stored_bytes"] = json!(CHUNK);
    let ending = world.go_on(ending).await;
    assert_eq!(ending.verdict, "wait 2s", "the checkpoint was ahead");
    assert_eq!(world.go_on(ending).await.verdict, "done");
    world.is_live_and_whole().await;
}

#[tokio::test]
async fn the_checkpoints_of_earlier_versions_are_read() {
    let mut world = World::with(&[]).await;
    world.stage.lease = Duration::ZERO;
    let session = world.publish().await.checkpoint.unwrap()["session"].clone();
    world.stage.lease = LONG;
    // They had no version of the file, so its session can't be trusted to be about this file.
    let old = |session: &Value| Some(json!({"session": session, "length_bytes": VIDEO_BYTES}));
    let ending = world.stage.go_on(world.content(), old(&session)).await;
    assert_eq!(ending.verdict, "done");
    world.is_live_and_whole().await;
    for (session, expected) in [
        (
            format!(
                "{}/youtube/upload/youtube/v3/videos?upload_id=gone",
                world.stage.url
            ),
            "unconfirmed [upload_gone]",
        ),
        (
            "http://127.0.0.1:9/upload?upload_id=1".to_owned(),
            "unconfirmed [moved]",
        ),
    ] {
        let ending = world
            .stage
            .go_on(world.content(), old(&json!(session)))
            .await;
        assert_eq!(ending.verdict, expected);
    }
    let nonsense = world.stage.go_on(world.content(), Some(json!([1]))).await;
    assert_eq!(nonsense.verdict, "unconfirmed [bug]");
    assert_eq!(world.seen().await, 1);
}

#[tokio::test]
async fn an_exchanged_file_gets_a_session_of_its_own() {
    for size in [1000, VIDEO_BYTES, 2 * VIDEO_BYTES] {
        let mut world = World::with(&[]).await;
        world.stage.lease = Duration::ZERO;
        let ending = world.publish().await;
        world.stage.lease = LONG;
        std::fs::write(world.video.path(), vec![8; size]).unwrap();
        let later = std::time::UNIX_EPOCH + Duration::from_secs(1);
        let file = std::fs::File::options()
            .write(true)
            .open(world.video.path())
            .unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(world.go_on(ending).await.verdict, "done");
        world.is_live_and_whole().await;
    }
}

#[tokio::test]
async fn a_post_does_not_begin_uploads_for_ever() {
    let mut world = World::with(&[]).await;
    world.stage.lease = Duration::ZERO;
    let mut ending = world.publish().await;
    for number in [1, 2, 3] {
        assert_eq!(ending.verdict, "retry [lease_ended]");
        assert_eq!(ending.checkpoint.as_ref().unwrap()["number"], number);
        // The last chunk does not leave without a lease, so it is the first one that finds the session gone.
        ending.checkpoint.as_mut().unwrap()["stored_bytes"] = json!(0);
        world.forget().await;
        ending = world.go_on(ending).await;
    }
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert!(
        ending.message.contains("begun 3 times"),
        "{}",
        ending.message
    );
}

#[tokio::test]
async fn the_token_stays_with_youtube() {
    let hostile = Hostile::answers(|_| {
        reply(
            "200 OK",
            "location: http://evil.example/?upload_id=1\r\n",
            b"",
        )
    });
    let mut world = World::with(&[]).await;
    world.stage.platform_url = Some(hostile.url.clone());
    let ending = world.publish().await;
    assert_eq!(ending.verdict, "retry [bad_reply]");
    assert_eq!(hostile.requests(), 1);

    // Begun elsewhere, and its last bytes never left: another upload here.
    let mut world = World::with(&[]).await;
    world.stage.lease = Duration::ZERO;
    let mut ending = world.publish().await;
    world.stage.lease = LONG;
    ending.checkpoint.as_mut().unwrap()["session"] = json!("http://127.0.0.1:9/?upload_id=1");
    assert_eq!(world.go_on(ending).await.verdict, "done");
    world.is_live_and_whole().await;
}

#[tokio::test]
async fn what_youtube_refuses_is_a_decision() {
    for (reason, expected) in [
        ("quotaExceeded", "rate_limited [rate_limited]"),
        ("RESOURCE_EXHAUSTED", "rate_limited [rate_limited]"),
        ("uploadLimitExceeded", "rate_limited [rate_limited]"),
        ("accessNotConfigured", "rate_limited [app]"),
        ("youtubeSignupRequired", "needs_login [needs_login]"),
        (
            "authenticatedUserAccountSuspended",
            "needs_login [needs_login]",
        ),
        ("forbidden", "needs_login [needs_login]"),
        ("forbiddenPrivacySetting", "rejected [rejected]"),
        ("invalidFilename", "rejected [rejected]"),
    ] {
        let world = World::with_token(&format!("refused({reason})")).await;
        let ending = world.publish().await;
        assert_eq!(ending.verdict, expected, "{reason}: {}", ending.message);
    }
    for (token, expected) in [
        ("expired-1", "unauthorized [needs_login]"),
        ("revoked-1", "unauthorized [needs_login]"),
        ("noscope-1", "needs_login [needs_login]"),
        ("nochannel-1", "needs_login [needs_login]"),
    ] {
        let ending = World::with_token(token).await.publish().await;
        assert_eq!(ending.verdict, expected, "{token}");
        assert!(!ending.message.contains(token), "{}", ending.message);
    }
    let mut world = World::with(&[]).await;
    world.stage.settings.api_version = Some("v9".to_owned());
    let ending = world.publish().await;
    assert_eq!(
        (ending.verdict.as_str(), ending.code.as_deref()),
        ("rejected [rejected]", Some("notFound"))
    );
}
