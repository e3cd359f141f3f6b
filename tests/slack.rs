//! Slack's client and its twin in the sandbox: every flow, every fault, and what people see.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

mod support;

#[path = "slack/faults.rs"]
mod faults;
#[path = "slack/permalinks.rs"]
mod permalinks;
#[path = "slack/recover.rs"]
mod recover;
#[path = "slack/strictness.rs"]
mod strictness;
#[path = "slack/tokens.rs"]
mod tokens;

use std::io::Write;
use std::time::Duration;

use publisher::sandbox::Settings;
use serde_json::{Value, json};
use support::stage::{Ending, Stage};
use tempfile::NamedTempFile;

const NONE: Vec<String> = Vec::new();

/// A file of some thousand bytes that is no image.
fn film() -> NamedTempFile {
    let mut file = tempfile::Builder::new()
        .prefix("our film")
        .suffix(".mp4")
        .tempfile()
        .unwrap();
    file.write_all(&[7; 5_000]).unwrap();
    file
}

/// Publishes, and does after each wait what a later run would do.
async fn publish(stage: &Stage, content: &Value) -> Ending {
    to_the_end(stage, content, None).await
}

async fn to_the_end(stage: &Stage, content: &Value, mut checkpoint: Option<Value>) -> Ending {
    for _ in 0..20 {
        let ending = stage.go_on(content.clone(), checkpoint).await;
        if !ending.verdict.starts_with("wait") {
            return ending;
        }
        checkpoint = ending.checkpoint;
    }
    panic!("it waits for ever");
}

/// Publishes something that goes well; the post as people see it.
async fn published(stage: &Stage, content: &Value) -> Value {
    let ending = publish(stage, content).await;
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    let published = ending.published.unwrap();
    assert_eq!(published.warnings, NONE);
    let post = stage.posts().await.pop().unwrap();
    let id = format!("{}:{}", stage.external_id, post["id"].as_str().unwrap());
    assert_eq!(published.id, id);
    assert_eq!(json!(published.permalink), post["permalink"]);
    post
}

#[tokio::test]
async fn a_message_with_a_link() {
    let stage = Stage::with("slack", &[]).await;
    let content = json!({"body": "a <b> & *c*", "link": "https://example.com/?a&b"});
    let post = published(&stage, &content).await;
    assert_eq!(post["text"], "a <b> & *c*\nhttps://example.com/?a&b");
    assert_eq!(
        (&post["kind"], &post["media"]),
        (&json!("post"), &json!([]))
    );
    let details = &post["details"];
    assert_eq!(details["unfurl_links"], true);
    assert_eq!(details["metadata"]["event_type"], "publisher_post");
    assert!(details["metadata"]["event_payload"]["id"].is_string());
    assert_eq!(stage.posts().await.len(), 1);
}

#[tokio::test]
async fn images_are_fetched_by_slack() {
    let stage = Stage::with("slack", &[]).await;
    let content = json!({"body": "Look: ".repeat(1_000), "media": [
        {"url": stage.sample("1080x1080.jpg"), "alt": "A square"}, {"url": stage.sample("800x800.png")},
    ]});
    let post = published(&stage, &content).await;
    let text = post["text"].as_str().unwrap();
    assert_eq!(text.replace('\n', " "), "Look: ".repeat(1_000).trim_end());
    let media = post["media"].as_array().unwrap();
    assert_eq!(media.len(), 2);
    assert_eq!(
        (&media[0]["alt"], &media[1]["alt"]),
        (&json!("A square"), &json!("image"))
    );
    assert_eq!(media[1]["width"], 800);

    let alone = json!({"media": [{"url": stage.sample("800x800.png"), "alt": "A & B"}], "options": {"title": "Ours"}});
    let post = published(&stage, &alone).await;
    assert_eq!(
        (&post["title"], &post["text"]),
        (&json!("Ours"), &json!(""))
    );
    assert_eq!(post["details"]["notification"], "A & B");
}

#[tokio::test]
async fn files_are_uploaded_and_shared_in_one_message() {
    let stage = Stage::with("slack", &[]).await;
    let film = film();
    let content = json!({"body": "See <below>", "link": "https://example.com", "media": [
        {"path": film.path(), "alt": "A film"},
        {"url": stage.sample("document.pdf")},
        {"url": stage.sample("800x800.png")},
    ], "options": {"first_comment": "First!"}});
    let post = published(&stage, &content).await;
    assert_eq!(post["text"], "See <below>\nhttps://example.com");
    let media = post["media"].as_array().unwrap();
    let of = |name: &str| {
        media
            .iter()
            .map(|medium| medium[name].clone())
            .collect::<Value>()
    };
    let name = film.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(of("name"), json!([name, "document.pdf", "800x800.png"]));
    assert_eq!(
        (&media[0]["bytes"], &media[0]["alt"]),
        (&json!(5_000), &json!("A film"))
    );
    assert_eq!(of("type"), json!(["document", "document", "image"]));
    assert_eq!(post["comments"][0]["text"], "First!");
    assert_eq!(stage.posts().await.len(), 1);
}

#[tokio::test]
async fn an_image_is_uploaded_if_that_is_wanted() {
    let stage = Stage::with("slack", &[]).await;
    let content = json!({"media": [{"url": stage.sample("800x800.png")}], "options": {"upload": true, "title": "Ours"}});
    let post = published(&stage, &content).await;
    assert_eq!(
        (&post["media"][0]["name"], &post["text"]),
        (&json!("Ours"), &json!(""))
    );
    assert!(post["media"][0]["url"].is_null());
}

#[tokio::test]
async fn replies_go_to_their_thread() {
    let stage = Stage::with("slack", &[]).await;
    let parent = published(&stage, &json!({"body": "Question"})).await;
    let ts = parent["id"].as_str().unwrap();

    let options = json!({"thread_ts": ts, "reply_broadcast": true, "first_comment": "More"});
    let reply = json!({"kind": "reply", "body": "Answer", "options": options});
    let post = published(&stage, &reply).await;
    assert_eq!(
        (&post["kind"], &post["reply_to"]),
        (&json!("reply"), &json!(ts))
    );
    assert_eq!(post["details"]["reply_broadcast"], true);
    assert!(
        post["permalink"]
            .as_str()
            .unwrap()
            .contains(&format!("thread_ts={ts}"))
    );
    // A comment on a reply goes to the same thread: Slack's have one level.
    assert_eq!(stage.posts().await[0]["comments"][0]["text"], "More");

    let film = film();
    let to = parent["permalink"].clone();
    let files =
        json!({"kind": "reply", "media": [{"path": film.path()}], "options": {"reply_to": to}});
    let post = published(&stage, &files).await;
    assert_eq!(
        (&post["reply_to"], &post["media"][0]["bytes"]),
        (&json!(ts), &json!(5_000))
    );

    let elsewhere =
        json!({"kind": "reply", "body": "x", "options": {"reply_to": "C0OTHER:1503435956.000247"}});
    let ending = stage.publish(elsewhere).await;
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert!(ending.message.contains("C0OTHER") && ending.message.contains("C024BE91L"));
    let unknown =
        json!({"kind": "reply", "body": "x", "options": {"thread_ts": "1503435956.000248"}});
    let ending = stage.publish(unknown).await;
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert_eq!(ending.code.as_deref(), Some("cannot_reply_to_message"));
}

#[tokio::test]
async fn options_reach_the_message() {
    let stage = Stage::with("slack", &[]).await;
    let options = json!({"unfurl": false, "username": "Herald", "icon_emoji": ":tada:", "first_comment": "1 < 2"});
    let content = json!({"body": "Hi", "link": "https://example.com", "options": options});
    let post = published(&stage, &content).await;
    let details = &post["details"];
    assert_eq!(
        (&details["unfurl_links"], &details["unfurl_media"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(
        (&details["username"], &details["icon_emoji"]),
        (&json!("Herald"), &json!(":tada:"))
    );
    assert_eq!(post["comments"][0]["text"], "1 < 2");

    let picture = json!({"body": "Hi", "options": {"icon_url": "https://example.com/i.png"}});
    let post = published(&stage, &picture).await;
    assert_eq!(post["details"]["icon_url"], "https://example.com/i.png");

    let content = json!({"body": "**Hi** & <https://example.com>", "options": {"markdown": true}});
    let post = published(&stage, &content).await;
    assert_eq!(post["details"]["markdown"], true);
    assert_eq!(post["text"], "**Hi** & <https://example.com>");
}

#[tokio::test]
async fn a_public_channel_is_joined_once() {
    let film = film();
    for content in [
        json!({"body": "Hi"}),
        json!({"media": [{"path": film.path()}]}),
    ] {
        let mut stage = Stage::with("slack", &[]).await;
        stage.external_id = "C0OUTSIDE".to_owned();
        published(&stage, &content).await;
        assert_eq!(stage.posts().await.len(), 1);

        for (channel, token) in [
            ("G0OUTSIDE", "good"),
            ("C1OUTSIDE", "scopes(chat:write,files:write)x"),
        ] {
            stage.external_id = channel.to_owned();
            stage.credentials = json!({"access_token": token});
            let ending = publish(&stage, &content).await;
            assert_eq!(ending.verdict, "rejected [rejected]");
            assert!(
                ending.message.contains("/invite @app"),
                "{}",
                ending.message
            );
        }
        // What joining would not have needed is not done without need.
        stage.credentials = json!({"access_token": "good"});
        stage.external_id = "C2OUTSIDE".to_owned();
        stage.faults(&["slack/prepare:500:100%"]).await;
        let ending = publish(&stage, &content).await;
        assert_eq!(ending.verdict, "retry [server_error]");
        stage.heal().await;
        let ending = to_the_end(&stage, &content, ending.checkpoint).await;
        assert_eq!(ending.verdict, "done");
        assert_eq!(stage.posts().await.len(), 2);
    }
}

#[tokio::test]
async fn channels_that_take_no_message_say_why() {
    for (channel, code) in [
        ("C0ARCHIVED", "is_archived"),
        ("C0NOWHERE", "channel_not_found"),
        ("C0READONLY", "restricted_action_read_only_channel"),
        ("C0THREADS", "restricted_action_thread_only_channel"),
    ] {
        let mut stage = Stage::with("slack", &[]).await;
        stage.external_id = channel.to_owned();
        let ending = stage.publish(json!({"body": "Hi"})).await;
        assert_eq!(ending.verdict, "rejected [rejected]", "{channel}");
        assert_eq!(ending.code.as_deref(), Some(code));
        assert_eq!(stage.posts().await.len(), 0);
    }
}

#[tokio::test]
async fn the_message_of_files_is_looked_for_and_then_let_be() {
    let settings = Settings {
        processing: Duration::from_hours(1),
        ..Settings::default()
    };
    let stage = Stage::set("slack", settings).await;
    let film = film();
    let content = json!({"media": [{"path": film.path()}], "options": {"first_comment": "First!"}});
    let first = stage.publish(content.clone()).await;
    assert_eq!(first.verdict, "wait 500ms");
    let ending = to_the_end(&stage, &content, first.checkpoint.clone()).await;
    let published = ending.published.unwrap();
    assert!(published.id.starts_with("F0"), "{}", published.id);
    assert!(published.permalink.unwrap().contains(&published.id));
    assert_eq!(published.warnings.len(), 2, "{:?}", published.warnings);
    assert!(published.warnings[1].starts_with("no first comment"));

    // Without the scope to look there is no reason to wait.
    let mut stage = Stage::with("slack", &[]).await;
    stage.credentials = json!({"access_token": "scopes(chat:write,files:write)x"});
    let ending = publish(&stage, &json!({"media": [{"path": film.path()}]})).await;
    let published = ending.published.unwrap();
    assert_eq!(published.warnings.len(), 1);
    assert!(
        published.warnings[0].contains("files:read"),
        "{:?}",
        published.warnings
    );
    assert_eq!(stage.posts().await.len(), 1);
}

#[tokio::test]
async fn what_slack_refuses_of_files_is_rejected() {
    let stage = Stage::with("slack", &[]).await;
    let forbidden = tempfile::Builder::new().suffix(".exe").tempfile().unwrap();
    std::fs::write(forbidden.path(), "MZ").unwrap();
    let ending = stage
        .publish(json!({"media": [{"path": forbidden.path()}]}))
        .await;
    assert_eq!(
        (ending.verdict.as_str(), ending.code.as_deref()),
        ("rejected [rejected]", Some("file_type_not_allowed"))
    );
    let rejected = json!({"body": "[[reject]]", "media": [{"url": stage.sample("800x800.png")}]});
    assert_eq!(stage.publish(rejected).await.verdict, "rejected [rejected]");
    assert_eq!(stage.posts().await.len(), 0);
}
