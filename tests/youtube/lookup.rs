//! What a later run finds out about a video that may be live.

use futures::future::join_all;
use publisher::outcome::Published;
use publisher::platform::Found;
use serde_json::{Value, json};

use super::World;
use super::support::stage::{client, told, verdict};

const LATER: &str = "2100-01-01T12:00:00Z";
/// The account's own channel's, for lists say whose a video is.
const OWNERS: &str = "channel(UC_x5XG1OV2P6uZZ5FSM9Ttw)";
const UPLOADING: &str = "scopes(https://www.googleapis.com/auth/youtube.upload)";

fn live(found: &Found) -> &Published {
    match found {
        Found::Live(published) => published,
        other => panic!("it is live, not {other:?}"),
    }
}

impl World {
    async fn owners(faults: &[&str]) -> Self {
        let mut world = Self::with(faults).await;
        world.stage.credentials = json!({"access_token": OWNERS});
        world
    }

    async fn look_up(&self, checkpoint: Option<Value>) -> Found {
        let found = self.stage.look_up(self.content(), checkpoint).await;
        found.unwrap()
    }

    /// The checkpoint of an upload whose last bytes arrived, and no answer to them.
    async fn unanswered() -> (Self, Value) {
        let world = Self::owners(&["youtube:reset-after-accept", "youtube/status:500"]).await;
        let ending = world.publish().await;
        assert!(ending.verdict.starts_with("doubt"), "{}", ending.verdict);
        world.stage.heal().await;
        assert_eq!(world.seen().await, 1);
        (world, ending.checkpoint.unwrap())
    }

    /// The checkpoint of an upload that broke in the midst.
    async fn broken() -> (Self, Value) {
        let world = Self::owners(&["youtube/upload:reset-at:60%", "youtube/status:500"]).await;
        let ending = world.publish().await;
        world.stage.heal().await;
        assert_eq!(world.seen().await, 0);
        (world, ending.checkpoint.unwrap())
    }

    async fn is_it(&self, found: &Found) {
        let posts = self.stage.posts().await;
        assert_eq!(posts.len(), 1);
        assert_eq!(live(found).id, posts[0]["id"]);
        assert_eq!(json!(live(found).permalink), posts[0]["permalink"]);
        assert_eq!(live(found).warnings, Vec::<String>::new());
    }

    /// So many videos of three bytes, one after the other as another program uploads them.
    async fn others(&self, count: usize) {
        let uploads = (0..count).map(async |number| {
            let path = "upload/youtube/v3/videos?uploadType=resumable&part=snippet,status";
            let started = client()
                .post(format!("{}/youtube/{path}", self.stage.url))
                .bearer_auth(OWNERS)
                .header("X-Upload-Content-Length", 3)
                .json(&json!({
                    "snippet": {"title": format!("Number {number}"), "description": ""},
                    "status": {"privacyStatus": "private"},
                }))
                .send()
                .await
                .unwrap();
            let session = started.headers()["location"].to_str().unwrap();
            let done = client().put(session).body("abc").send().await.unwrap();
            assert_eq!(done.status(), 200);
        });
        join_all(uploads).await;
    }
}

#[tokio::test]
async fn a_session_tells_which_video_it_became() {
    let (world, checkpoint) = World::unanswered().await;
    world
        .is_it(&world.look_up(Some(checkpoint.clone())).await)
        .await;
    // Whatever was asked for beside it is not sent now.
    let content = world.content_with(&json!({
        "first_comment": "First!", "playlist": "PL1", "thumbnail": world.stage.sample("800x800.png"),
    }));
    let found = world.stage.look_up(content, Some(checkpoint)).await;
    assert_eq!(
        live(&found.unwrap()).warnings,
        [
            "the thumbnail was not set",
            "it was not added to the playlist",
            "the first comment was not sent",
        ]
    );
    assert_eq!(world.stage.posts().await[0]["comments"], json!([]));
}

#[tokio::test]
async fn a_session_tells_even_whom_the_list_is_closed_to() {
    let (mut world, checkpoint) = World::unanswered().await;
    world.stage.credentials = json!({"access_token": UPLOADING});
    world.is_it(&world.look_up(Some(checkpoint)).await).await;
    let (mut world, checkpoint) = World::broken().await;
    world.stage.credentials = json!({"access_token": UPLOADING});
    assert_eq!(told(&world.look_up(Some(checkpoint)).await), "resend");
}

#[tokio::test]
async fn bytes_that_are_missing_are_no_video_unless_the_file_was_another_since() {
    let (world, checkpoint) = World::broken().await;
    // From where the session stands.
    let Found::Resend(Some(from)) = world.look_up(Some(checkpoint.clone())).await else {
        panic!("the session waits for the rest");
    };
    assert_eq!(from["session"], checkpoint["session"]);
    assert!(from["stored_bytes"].as_u64().unwrap() > 0, "{from}");
    // A later step may have begun another session, and published; the database has this one.
    std::fs::write(world.video.path(), super::bytes(super::CHUNK)).unwrap();
    let found = world.look_up(Some(checkpoint.clone())).await;
    assert_eq!(told(&found), "not seen");
    let ending = world.publish().await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    world.is_it(&world.look_up(Some(checkpoint)).await).await;
}

#[tokio::test]
async fn without_a_session_the_list_of_uploads_tells() {
    for fault in ["500-after-accept", "reset-after-accept"] {
        let world = World::owners(&[&format!("youtube:{fault}")]).await;
        world.publish().await;
        world.stage.heal().await;
        world.is_it(&world.look_up(None).await).await;
    }
    let (world, mut checkpoint) = World::unanswered().await;
    let gone = format!(
        "{}/youtube/upload/youtube/v3/videos?upload_id=sandbox-999999",
        world.stage.url
    );
    checkpoint["session"] = json!(gone);
    world
        .is_it(&world.look_up(Some(checkpoint.clone())).await)
        .await;
    world.forget().await;
    assert_eq!(told(&world.look_up(Some(checkpoint)).await), "not seen");
    assert_eq!(world.look_up(None).await, Found::NotSeen(None));
    let ending = world.publish().await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
}

#[tokio::test]
async fn a_session_that_can_not_be_asked_leaves_it_open() {
    let (_, mut elsewhere) = World::unanswered().await;
    elsewhere["session"] = json!("https://elsewhere.example/upload?upload_id=1");
    for checkpoint in [elsewhere, json!({"of": "another version"})] {
        let (world, _) = World::unanswered().await;
        world
            .is_it(&world.look_up(Some(checkpoint.clone())).await)
            .await;
        world.forget().await;
        assert_eq!(
            world.look_up(Some(checkpoint)).await,
            Found::Unclear("the channel does not show it, but its upload can't be ruled out")
        );
    }
}

#[tokio::test]
async fn other_videos_and_older_ones_do_not_count() {
    let mut world = World::owners(&[]).await;
    let titled = |title: &str| world.content_with(&json!({"title": title}));
    let (ours, another) = (titled("Ours"), titled("Another"));
    world.stage.publish(another).await;
    let look = async |world: &World| world.stage.look_up(ours.clone(), None).await.unwrap();
    assert_eq!(look(&world).await, Found::NotSeen(None));
    world.stage.publish(ours.clone()).await;
    assert_eq!(
        live(&look(&world).await).id,
        world.stage.posts().await[1]["id"]
    );
    let mut rewritten = ours.clone();
    rewritten["body"] = json!("Another text");
    assert_eq!(
        world.stage.look_up(rewritten, None).await.unwrap(),
        Found::Unclear("the account has a post since then that resembles it")
    );
    world.stage.publish(ours.clone()).await;
    assert_eq!(
        look(&world).await,
        Found::Unclear("the account has several posts since then like it")
    );
    world.stage.now = LATER.to_owned();
    assert_eq!(look(&world).await, Found::NotSeen(None));
}

#[tokio::test]
async fn who_may_not_list_says_so() {
    let world = World::with_token(UPLOADING).await;
    world.publish().await;
    let failure = world.stage.look_up(world.content(), None).await;
    let failure = failure.unwrap_err();
    assert_eq!(verdict(&failure), "unconfirmed [unconfirmed]");
    let why = &failure.reason().message;
    assert!(why.contains("youtube.readonly"), "{why}");
    let world = World::with_token("nochannel-").await;
    assert!(matches!(world.look_up(None).await, Found::Unknown(why) if why.contains("no channel")));
}

#[tokio::test]
async fn further_pages_are_read_and_a_list_that_is_too_long_tells_nothing() {
    let world = World::owners(&[]).await;
    world.publish().await;
    let ours = world.stage.posts().await[0]["id"].clone();
    world.others(120).await;
    assert_eq!(live(&world.look_up(None).await).id, ours);
    world.others(130).await;
    assert_eq!(
        world.look_up(None).await,
        Found::Unclear("the account has too many newer posts to find it among them")
    );
}

#[tokio::test]
async fn a_fault_while_looking_is_no_answer() {
    for (fault, expected) in [
        ("500", "retry [server_error]"),
        ("reset", "retry [connection]"),
        ("bad-json", "retry [bad_reply]"),
        ("429", "rate_limited [rate_limited]"),
        ("401", "unauthorized [needs_login]"),
    ] {
        let (world, checkpoint) = World::unanswered().await;
        world
            .stage
            .faults(&[&format!("youtube/status:{fault}")])
            .await;
        for checkpoint in [None, Some(checkpoint)] {
            let found = world.stage.look_up(world.content(), checkpoint).await;
            assert_eq!(verdict(&found.unwrap_err()), expected, "{fault}");
        }
    }
}
