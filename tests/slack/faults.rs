//! What each fault on the wire means for a message, and that nothing is ever posted twice.

use serde_json::json;

use super::support::stage::{SHORT, Stage};
use super::{film, publish, to_the_end};

const BEFORE: [&str; 2] = ["500", "reset"];
const AFTER: [&str; 6] = [
    "500-after-accept",
    "reset-after-accept",
    "truncate",
    "bad-json",
    "huge-body",
    "hang",
];

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_found_in_its_channel() {
    for kind in AFTER {
        let mut stage = Stage::with("slack", &[&format!("slack:{kind}")]).await;
        let content = json!({"body": "Hi", "options": {"first_comment": "First!"}});
        stage.timeout = SHORT;
        let ending = stage.publish(content.clone()).await;
        assert_eq!(ending.verdict, "doubt", "{kind}");
        assert!(ending.sent);
        stage.timeout = super::support::stage::LONG;
        let ending = stage.look_again(content, ending.checkpoint).await;
        assert_eq!(ending.verdict, "done", "{kind}: {}", ending.message);
        let posts = stage.posts().await;
        assert_eq!(posts.len(), 1, "{kind}");
        assert_eq!(posts[0]["comments"].as_array().unwrap().len(), 1, "{kind}");
        let published = ending.published.unwrap();
        assert_eq!(json!(published.permalink), posts[0]["permalink"]);
    }
}

#[tokio::test]
async fn a_message_that_is_not_found_is_not_seen_and_no_more() {
    for kind in BEFORE {
        let stage = Stage::with("slack", &[&format!("slack:{kind}")]).await;
        let content = json!({"body": "Hi"});
        let first = stage.publish(content.clone()).await;
        stage.heal().await;
        let ending = stage.look_again(content, first.checkpoint).await;
        assert_eq!(ending.verdict, "not seen");
        assert_eq!(stage.posts().await.len(), 0);
    }
}

#[tokio::test]
async fn a_reply_whose_answer_was_lost_is_found_in_its_thread() {
    let stage = Stage::with("slack", &[]).await;
    stage.publish(json!({"body": "Question"})).await;
    let ts = stage.posts().await[0]["id"].clone();
    stage.faults(&["slack:reset-after-accept"]).await;
    let content = json!({"kind": "reply", "body": "Answer", "options": {"thread_ts": ts}});
    let first = stage.publish(content.clone()).await;
    assert_eq!(first.verdict, "doubt");
    let ending = stage.look_again(content, first.checkpoint).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    assert_eq!(stage.posts().await.len(), 2);
}

#[tokio::test]
async fn another_posts_message_is_not_taken_for_it() {
    let stage = Stage::with("slack", &[]).await;
    let metadata = json!({"event_type": "publisher_post", "event_payload": {"id": "1", "scheduled_at": "2001-01-01T00:00:00Z"}});
    let body = json!({"channel": stage.external_id, "text": "Hi", "metadata": metadata});
    let request =
        super::support::stage::client().post(format!("{}/slack/api/chat.postMessage", stage.url));
    request
        .bearer_auth("good")
        .json(&body)
        .send()
        .await
        .unwrap();
    stage.faults(&["slack:500"]).await;
    let content = json!({"body": "Hi"});
    let first = stage.publish(content.clone()).await;
    let ending = stage.look_again(content, first.checkpoint).await;
    assert_eq!(ending.verdict, "not seen");
}

#[tokio::test]
async fn a_look_up_that_is_refused_ends_the_search_and_one_that_fails_does_not() {
    let content = json!({"body": "Hi"});
    let mut stage = Stage::with("slack", &["slack:500-after-accept"]).await;
    stage.credentials = json!({"access_token": "scopes(chat:write)x"});
    let first = stage.publish(content.clone()).await;
    let ending = stage.look_again(content.clone(), first.checkpoint).await;
    assert_eq!(ending.verdict, "unknown");
    assert!(
        ending.message.contains("channels:history"),
        "{}",
        ending.message
    );
    // With the scope added, a later look finds it.
    stage.credentials = json!({"access_token": "good"});
    let ending = stage.look_again(content.clone(), ending.checkpoint).await;
    assert_eq!(ending.verdict, "done");

    for (kind, verdict) in [
        ("500", "retry [server_error]"),
        ("reset", "retry [connection]"),
        ("bad-json", "retry [bad_reply]"),
        ("429:retry-after=30", "rate_limited [rate_limited]"),
        ("401", "unauthorized [needs_login]"),
        ("rejected", "unconfirmed [unconfirmed]"),
    ] {
        let stage = Stage::with(
            "slack",
            &["slack:500-after-accept", &format!("slack/status:{kind}")],
        )
        .await;
        let first = stage.publish(content.clone()).await;
        let ending = stage.look_again(content.clone(), first.checkpoint).await;
        assert_eq!(ending.verdict, verdict, "{kind}");
        stage.heal().await;
        let ending = stage.look_again(content.clone(), ending.checkpoint).await;
        assert_eq!(ending.verdict, "done", "{kind}");
        assert_eq!(stage.posts().await.len(), 1);
    }
}

#[tokio::test]
async fn files_whose_sharing_was_lost_are_found_by_their_id() {
    let film = film();
    let content = json!({"body": "Hi", "media": [{"path": film.path()}], "options": {"first_comment": "First!"}});
    for kind in AFTER {
        let mut stage = Stage::with("slack", &[&format!("slack:{kind}")]).await;
        stage.timeout = SHORT;
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "doubt", "{kind}: {}", first.message);
        stage.timeout = super::support::stage::LONG;
        let ending = stage.look_again(content.clone(), first.checkpoint).await;
        assert_eq!(ending.verdict, "done", "{kind}: {}", ending.message);
        let posts = stage.posts().await;
        assert_eq!(
            (posts.len(), posts[0]["comments"].as_array().unwrap().len()),
            (1, 1),
            "{kind}"
        );
    }
    for kind in BEFORE {
        let stage = Stage::with("slack", &[&format!("slack:{kind}")]).await;
        let first = stage.publish(content.clone()).await;
        stage.heal().await;
        let ending = stage.look_again(content.clone(), first.checkpoint).await;
        assert_eq!(ending.verdict, "not seen", "{kind}");
        assert_eq!(stage.posts().await.len(), 0);
    }
}

#[tokio::test]
async fn an_upload_that_broke_costs_that_file_alone() {
    let (one, other) = (film(), film());
    let content = json!({"media": [{"path": one.path()}, {"path": other.path()}]});
    for fault in [
        "slack/upload:reset-at:50%:50%",
        "slack/upload:500:50%",
        "slack/upload:truncate:50%",
        "slack/prepare:500:50%",
    ] {
        let stage = Stage::with("slack", &[fault]).await;
        let first = stage.publish(content.clone()).await;
        assert!(
            first.verdict.starts_with("retry"),
            "{fault}: {}",
            first.verdict
        );
        let stored = first.checkpoint.as_ref().unwrap()["stored"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(stored, 1, "{fault}");
        stage.heal().await;
        let ending = to_the_end(&stage, &content, first.checkpoint).await;
        assert_eq!(ending.verdict, "done", "{fault}: {}", ending.message);
        let posts = stage.posts().await;
        assert_eq!(
            (posts.len(), posts[0]["media"].as_array().unwrap().len()),
            (1, 2),
            "{fault}"
        );
    }
}

#[tokio::test]
async fn files_that_slack_forgot_are_uploaded_once_more() {
    let film = film();
    let content = json!({"media": [{"path": film.path()}]});
    let stage = Stage::with("slack", &[]).await;
    let forgotten = json!({"at": "files", "stored": ["F0FORGOTTEN"]});
    let ending = to_the_end(&stage, &content, Some(forgotten)).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    assert_eq!(stage.posts().await.len(), 1);
    let again = json!({"at": "files", "stored": ["F0FORGOTTEN"], "again": true});
    let ending = stage.go_on(content, Some(again)).await;
    assert_eq!(
        (ending.verdict.as_str(), ending.code.as_deref()),
        ("rejected [rejected]", Some("file_not_found"))
    );
}

#[tokio::test]
async fn what_follows_a_live_message_never_fails_it() {
    let film = film();
    for content in [
        json!({"body": "Hi", "options": {"first_comment": "First!"}}),
        json!({"media": [{"path": film.path()}], "options": {"first_comment": "First!"}}),
    ] {
        for kind in [
            "500",
            "reset",
            "500-after-accept",
            "truncate",
            "429",
            "401",
            "rejected",
            "bad-json",
        ] {
            let stage = Stage::with("slack", &[&format!("slack/comment:{kind}")]).await;
            let ending = publish(&stage, &content).await;
            assert_eq!(ending.verdict, "done", "{kind}: {}", ending.message);
            let warnings = ending.published.unwrap().warnings;
            assert_eq!(warnings.len(), 1, "{kind}: {warnings:?}");
            assert!(warnings[0].starts_with("no first comment"), "{warnings:?}");
            let posts = stage.posts().await;
            assert_eq!(posts.len(), 1, "{kind}");
            assert!(
                posts[0]["comments"].as_array().unwrap().len() <= 1,
                "{kind}"
            );
        }
        let stage = Stage::with("slack", &["slack/status:500"]).await;
        let ending = publish(&stage, &content).await;
        assert_eq!(ending.verdict, "done", "{}", ending.message);
        assert!(!ending.published.unwrap().warnings.is_empty());
        assert_eq!(stage.posts().await.len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_leaves_nothing_behind() {
    for (kind, verdict) in [
        ("429:retry-after=90", "rate_limited [rate_limited]"),
        ("401", "unauthorized [needs_login]"),
        ("rejected", "rejected [rejected]"),
    ] {
        let stage = Stage::with("slack", &[&format!("slack:{kind}")]).await;
        let ending = stage.publish(json!({"body": "Hi"})).await;
        assert_eq!(ending.verdict, verdict);
        assert_eq!(stage.posts().await.len(), 0, "{kind}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_nobodys_is_in_doubt() {
    let stage = Stage::with("slack", &[]).await;
    let strange = Some(json!({"at": "the moon"}));
    let ending = stage.go_on(json!({"body": "Hi"}), strange).await;
    assert_eq!(ending.verdict, "unconfirmed [bug]");
    assert_eq!(stage.posts().await.len(), 0);
}

#[tokio::test]
async fn a_persons_message_cannot_be_looked_up() {
    let mut stage = Stage::with("slack", &[]).await;
    stage.credentials = json!({"access_token": "xoxp-1"});
    let ending = stage.publish(json!({"body": "Hi"})).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    assert!(stage.posts().await[0]["details"]["metadata"].is_null());
    stage.faults(&["slack:500-after-accept"]).await;
    let ending = stage.publish(json!({"body": "Hi again"})).await;
    assert_eq!(ending.verdict, "doubt");
    let again = json!({"body": "Hi again"});
    let ending = stage.look_again(again, ending.checkpoint).await;
    assert_eq!(ending.verdict, "unknown");
    assert_eq!(stage.posts().await.len(), 2);
}

#[tokio::test]
async fn a_message_that_slack_cut_off_has_a_warning() {
    let mut stage = Stage::with("slack", &[]).await;
    stage
        .settings
        .limits
        .insert("text_chars".to_owned(), 50_000.0);
    let ending = stage.publish(json!({"body": "x".repeat(45_000)})).await;
    let warnings = ending.published.unwrap().warnings;
    assert_eq!(warnings, ["Slack cut the message off: it is too long"]);
}
