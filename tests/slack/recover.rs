//! What a later run finds out about a message that may be live.

use publisher::outcome::Published;
use publisher::platform::Found;
use serde_json::{Value, json};

use super::film;
use super::support::hostile::{Hostile, reply};
use super::support::stage::{Stage, verdict};

const LATER: &str = "2100-01-01T12:00:00Z";

fn live(found: &Found) -> &Published {
    match found {
        Found::Live(published) => published,
        other => panic!("it is live, not {other:?}"),
    }
}

async fn look(stage: &Stage, content: &Value, checkpoint: Option<&Value>) -> Found {
    let found = stage.look_up(content.clone(), checkpoint.cloned()).await;
    found.unwrap()
}

/// It is what was found: with its address, and without a comment.
async fn is_it(stage: &Stage, post: usize, found: &Found) {
    let posts = stage.posts().await;
    let id = format!(
        "{}:{}",
        stage.external_id,
        posts[post]["id"].as_str().unwrap()
    );
    assert_eq!(live(found).id, id);
    assert_eq!(json!(live(found).permalink), posts[post]["permalink"]);
    assert_eq!(live(found).warnings, ["the first comment was not sent"]);
    assert_eq!(posts[post]["comments"], json!([]));
}

fn with_comment(mut content: Value) -> Value {
    content["options"]["first_comment"] = json!("First!");
    content
}

#[tokio::test]
async fn what_was_accepted_is_found_with_and_without_a_checkpoint() {
    for fault in ["500-after-accept", "reset-after-accept"] {
        let stage = Stage::with("slack", &[]).await;
        let images = json!([{"url": stage.sample("800x800.png")}]);
        for content in [
            json!({"body": "Hi <you> & :all:", "link": "https://a.example/?x&y"}),
            json!({"body": "Look", "media": images}),
        ] {
            stage.reset().await;
            stage.faults(&[&format!("slack:{fault}")]).await;
            let content = with_comment(content);
            let doubt = stage.publish(content.clone()).await;
            assert_eq!(doubt.verdict, "doubt", "{}", doubt.message);
            stage.heal().await;
            let strange = json!({"at": "the moon"});
            assert_eq!(doubt.checkpoint, None);
            for checkpoint in [None, Some(&json!({"at": "message"})), Some(&strange)] {
                is_it(&stage, 0, &look(&stage, &content, checkpoint).await).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_never_accepted_is_absent_and_can_be_sent() {
    let film = film();
    for fault in ["500", "reset"] {
        for content in [
            json!({"body": "Hi"}),
            json!({"body": "Hi", "media": [{"path": film.path()}]}),
        ] {
            let mut stage = Stage::with("slack", &[]).await;
            let now = std::mem::replace(&mut stage.now, LATER.to_owned());
            stage.publish(json!({"body": "Good morning"})).await;
            stage.now = now;
            stage.faults(&[&format!("slack:{fault}")]).await;
            let doubt = stage.publish(content.clone()).await.checkpoint;
            stage.heal().await;
            for checkpoint in [None, doubt.as_ref()] {
                // What is uploaded is not uploaded again.
                let found = look(&stage, &content, checkpoint).await;
                assert_eq!(found, Found::NotSeen(checkpoint.cloned()), "{fault}");
            }
            let ending = super::publish(&stage, &content).await;
            assert_eq!(ending.verdict, "done", "{}", ending.message);
            assert_eq!(stage.posts().await.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_reply_is_found_in_its_thread() {
    let stage = Stage::with("slack", &[]).await;
    stage.publish(json!({"body": "Hi"})).await;
    let ts = stage.posts().await[0]["id"].clone();
    let content =
        with_comment(json!({"kind": "reply", "body": "Hi", "options": {"thread_ts": ts}}));
    assert_eq!(look(&stage, &content, None).await, Found::NotSeen(None));
    stage.faults(&["slack:reset-after-accept"]).await;
    stage.publish(content.clone()).await;
    stage.heal().await;
    is_it(&stage, 1, &look(&stage, &content, None).await).await;
}

#[tokio::test]
async fn files_are_found_by_their_ids_or_else_by_text_and_number() {
    let (one, other) = (film(), film());
    let content = with_comment(json!({
        "body": "Hi & <you>", "media": [{"path": one.path()}, {"path": other.path()}],
    }));
    let stage = Stage::with("slack", &["slack:500-after-accept"]).await;
    let doubt = stage.publish(content.clone()).await.checkpoint.unwrap();
    stage.heal().await;
    let id = &doubt["stored"][0];
    assert!(id.is_string(), "{doubt}");
    let partly = json!({"at": "files", "stored": [id]});
    let lost = json!({"at": "files", "stored": ["F0FORGOTTEN"], "again": true});
    let shared = json!({"at": "shared", "file": id});
    let older = json!({"at": "doubt", "subject": {"file": {"id": id}}});
    for checkpoint in [
        None,
        Some(&doubt),
        Some(&partly),
        Some(&lost),
        Some(&shared),
        Some(&older),
    ] {
        is_it(&stage, 0, &look(&stage, &content, checkpoint).await).await;
    }
    // The id alone is enough, whatever the text has become.
    let mut rewritten = content.clone();
    rewritten["body"] = json!("Hello");
    is_it(&stage, 0, &look(&stage, &rewritten, Some(&doubt)).await).await;
    assert_eq!(look(&stage, &rewritten, None).await, Found::NotSeen(None));
    let mut fewer = content.clone();
    fewer["media"].as_array_mut().unwrap().pop();
    assert_eq!(
        look(&stage, &fewer, None).await,
        Found::Unclear("the account has a post since then that resembles it")
    );
    super::publish(&stage, &content).await;
    assert_eq!(
        look(&stage, &content, None).await,
        Found::Unclear("the account has several posts since then like it")
    );
}

#[tokio::test]
async fn files_without_a_text_could_be_any() {
    let film = film();
    let content = json!({"media": [{"path": film.path()}]});
    let stage = Stage::with("slack", &[]).await;
    assert_eq!(look(&stage, &content, None).await, Found::NotSeen(None));
    super::publish(&stage, &content).await;
    assert_eq!(
        look(&stage, &content, None).await,
        Found::Unclear("the account has a post since then that resembles it")
    );
}

#[tokio::test]
async fn files_that_were_shared_are_live_whatever_slack_shows() {
    let stage = Stage::with("slack", &["slack/status:500"]).await;
    let content = with_comment(json!({"media": [{"path": film().path()}]}));
    let shared = json!({"at": "shared", "file": "F1", "permalink": "https://a.example/"});
    let found = look(&stage, &content, Some(&shared)).await;
    assert_eq!(live(&found).id, "F1");
    assert_eq!(
        live(&found).permalink.as_deref(),
        Some("https://a.example/")
    );
    assert_eq!(live(&found).warnings.len(), 2);
}

#[tokio::test]
async fn another_message_and_an_older_one_do_not_count() {
    let mut stage = Stage::with("slack", &[]).await;
    let content = json!({"body": "Hi"});
    stage.publish(content.clone()).await;
    // The same words at another time are another post's.
    stage.now = "2020-01-02T12:00:00Z".to_owned();
    assert_eq!(look(&stage, &content, None).await, Found::NotSeen(None));
    let film = film();
    let files = json!({"body": "Hi", "media": [{"path": film.path()}]});
    super::publish(&stage, &files).await;
    stage.now = LATER.to_owned();
    assert_eq!(look(&stage, &files, None).await, Found::NotSeen(None));
}

#[tokio::test]
async fn who_may_not_read_says_so() {
    let content = json!({"body": "Hi"});
    let mut stage = Stage::with("slack", &[]).await;
    stage.publish(content.clone()).await;
    for (token, channel, words) in [
        ("scopes(chat:write)x", "C024BE91L", "channels:history"),
        ("good", "C024OUTSIDE", "not in the channel"),
        ("xoxp-1", "C024BE91L", "a person's token"),
    ] {
        stage.credentials = json!({"access_token": token});
        channel.clone_into(&mut stage.external_id);
        let Found::Unknown(why) = look(&stage, &content, None).await else {
            panic!("{token} in {channel} can't tell");
        };
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test]
async fn a_list_without_an_end_tells_nothing() {
    let page = json!({
        "ok": true, "has_more": true, "response_metadata": {"next_cursor": "more"},
        "messages": [{"ts": "1600000000.000100", "text": "Good morning"}],
    });
    let hostile = Hostile::answers(move |_| reply("200 OK", "", page.to_string().as_bytes()));
    let mut stage = Stage::with("slack", &[]).await;
    stage.platform_url = Some(hostile.url.clone());
    assert_eq!(
        look(&stage, &json!({"body": "Hi"}), None).await,
        Found::Unclear("the account has too many newer posts to find it among them")
    );
    assert_eq!(hostile.requests(), 5);
}

/// Without our metadata it could be ours only if an app sent it.
#[tokio::test]
async fn a_message_of_an_app_with_the_same_words_is_left_to_a_person() {
    for (more, expected) in [
        (json!({}), Found::NotSeen(None)),
        (
            json!({"metadata": {"event_type": "x", "event_payload": {}}, "bot_id": "B1"}),
            Found::NotSeen(None),
        ),
        (
            json!({"bot_id": "B1"}),
            Found::Unclear("the account has a post since then that resembles it"),
        ),
    ] {
        let mut message =
            json!({"ts": "1600000000.000100", "text": "Hi <https://a.example|there>"});
        let fields = message.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let page = json!({"ok": true, "has_more": false, "messages": [message]});
        let hostile = Hostile::answers(move |_| reply("200 OK", "", page.to_string().as_bytes()));
        let mut stage = Stage::with("slack", &[]).await;
        stage.platform_url = Some(hostile.url.clone());
        let content = json!({"body": "Hi https://a.example"});
        assert_eq!(look(&stage, &content, None).await, expected);
    }
}

#[tokio::test]
async fn a_fault_while_looking_is_no_answer() {
    for (fault, expected) in [
        ("500", "retry [server_error]"),
        ("reset", "retry [connection]"),
        ("bad-json", "retry [bad_reply]"),
        ("429", "rate_limited [rate_limited]"),
        ("401", "unauthorized [needs_login]"),
        ("rejected", "unconfirmed [unconfirmed]"),
    ] {
        let stage = Stage::with("slack", &[&format!("slack/status:{fault}")]).await;
        let failure = stage.look_up(json!({"body": "Hi"}), None).await;
        assert_eq!(verdict(&failure.unwrap_err()), expected, "{fault}");
    }
}
