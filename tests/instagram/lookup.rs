//! What became of a post whose run died, or whose answer was lost.

use publisher::platform::Found;
use serde_json::{Value, json};

use crate::support::stage::{LONG, SHORT, Stage, told, verdict};
use crate::{LOCAL_VIDEO, carousel, done, picture, stage};

/// Later than the sandbox's clock by more than any margin.
const FUTURE: &str = "2100-01-01T00:00:00Z";
const LOST: [&str; 2] = ["500-after-accept", "reset-after-accept"];

async fn look(stage: &Stage, content: &Value, checkpoint: Option<Value>) -> String {
    let found = stage.look_up(content.clone(), checkpoint).await;
    told(&found.unwrap_or_else(|failure| panic!("{}", verdict(&failure))))
}

/// Sent with this fault and healed again; the checkpoint that was left.
async fn sent(stage: &mut Stage, content: &Value, fault: &str) -> Option<Value> {
    stage.faults(&[&format!("instagram:{fault}")]).await;
    stage.timeout = SHORT;
    let ending = stage.publish(content.clone()).await;
    stage.timeout = LONG;
    stage.heal().await;
    assert!(ending.sent, "{}", ending.verdict);
    ending.checkpoint
}

/// The one post that people see, and that the look-up names: with its address, and without a comment.
async fn expect_live(stage: &Stage, content: &Value, checkpoint: Option<Value>, case: &str) {
    let found = stage.look_up(content.clone(), checkpoint).await.unwrap();
    let posts = stage.posts().await;
    assert_eq!(posts.len(), 1, "{case}");
    let Found::Live(published) = found else {
        panic!("{case}: {}", told(&found));
    };
    assert_eq!(posts[0]["id"], published.id, "{case}");
    assert_eq!(posts[0]["permalink"], json!(published.permalink), "{case}");
    let has_comment = content["options"]["first_comment"].is_string();
    let expected: &[&str] = if has_comment {
        &["the first comment was not sent"]
    } else {
        &[]
    };
    assert_eq!(published.warnings, expected, "{case}");
    assert_eq!(posts[0]["comments"], json!([]), "{case}");
}

fn reel(stage: &Stage) -> Value {
    json!({"kind": "reel", "body": "Moving", "media": [{"url": stage.sample("reel-9s.mp4")}]})
}

fn story(stage: &Stage) -> Value {
    json!({"kind": "story", "media": [{"url": stage.sample("1080x1920.jpg")}]})
}

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_found_with_and_without_its_container() {
    for fault in LOST {
        let mut stage = stage(&[]).await;
        let mut commented = picture(&stage);
        commented["options"] = json!({"first_comment": "First!"});
        let many = carousel(&stage);
        for content in [commented, reel(&stage), many.clone()] {
            stage.reset().await;
            let checkpoint = sent(&mut stage, &content, fault).await;
            expect_live(&stage, &content, checkpoint.clone(), "with").await;
            expect_live(&stage, &content, None, "without").await;
            if content == many {
                let mut older = checkpoint.unwrap();
                older["id"] = Value::Null;
                expect_live(&stage, &content, Some(older), "with its items").await;
            }
        }
        // Without a caption only the container tells.
        let plain = json!({"media": [{"url": stage.sample("1080x1080.jpg")}]});
        for content in [story(&stage), plain] {
            stage.reset().await;
            let checkpoint = sent(&mut stage, &content, fault).await;
            expect_live(&stage, &content, checkpoint, "by its container").await;
            let found = look(&stage, &content, None).await;
            assert!(found.contains("resembles it"), "{found}");
        }
    }
}

#[tokio::test]
async fn what_never_came_is_absent() {
    for fault in ["500", "reset"] {
        let mut stage = stage(&[]).await;
        let mut other = picture(&stage);
        other["body"] = json!("Another");
        done(stage.publish(other).await);
        for content in [picture(&stage), reel(&stage), carousel(&stage)] {
            let checkpoint = sent(&mut stage, &content, fault).await;
            assert_eq!(look(&stage, &content, checkpoint).await, "resend");
            assert_eq!(look(&stage, &content, None).await, "not seen");
        }
        let content = story(&stage);
        let checkpoint = sent(&mut stage, &content, fault).await;
        assert_eq!(look(&stage, &content, checkpoint).await, "resend");
        assert_eq!(stage.posts().await.len(), 1);
    }
}

#[tokio::test]
async fn a_container_that_is_of_no_use_leaves_it_to_the_list() {
    let stage = stage(&["instagram:expired-container"]).await;
    let content = picture(&stage);
    let mut checkpoint = json!({
        "id": "17889000000999999", "created_at": "2020-01-01T00:00:00Z", "number": 1,
    });
    assert_eq!(
        look(&stage, &content, Some(checkpoint.clone())).await,
        "not seen"
    );
    let body = json!({"image_url": stage.sample("1080x1080.jpg")});
    let (made, _) = crate::make(&stage, &body).await;
    checkpoint["id"] = json!(made);
    assert_eq!(
        look(&stage, &content, Some(checkpoint.clone())).await,
        "not seen"
    );
    stage.heal().await;
    // Another container took its place.
    done(stage.publish(content.clone()).await);
    expect_live(&stage, &content, Some(checkpoint), "another").await;
}

#[tokio::test]
async fn a_container_that_is_processed_is_neither_unless_it_waits_for_bytes() {
    let stage = stage(&["instagram:processing:3600s"]).await;
    let content = picture(&stage);
    let first = stage.publish(content.clone()).await;
    assert_eq!(first.verdict, "wait 5s");
    let found = look(&stage, &content, first.checkpoint).await;
    assert!(found.contains("still processing"), "{found}");
    stage.faults(&["instagram:reset-at:50%"]).await;
    let mine = json!({"body": "Mine", "media": [{"path": LOCAL_VIDEO}]});
    let broken = stage.publish(mine.clone()).await;
    assert_eq!(broken.verdict, "retry [connection]");
    assert_eq!(look(&stage, &mine, broken.checkpoint).await, "resend");
}

#[tokio::test]
async fn a_published_container_that_the_list_does_not_name_is_live() {
    let mut stage = stage(&[]).await;
    let content = picture(&stage);
    let checkpoint = sent(&mut stage, &content, "500-after-accept").await;
    let other = json!({"body": "Other", "media": [{"url": stage.sample("1080x1080.jpg")}]});
    let found = stage.look_up(other, checkpoint.clone()).await.unwrap();
    let Found::Live(published) = found else {
        panic!("{}", told(&found));
    };
    assert_eq!(json!(published.id), checkpoint.unwrap()["id"]);
    assert_eq!((published.permalink, published.warnings.len()), (None, 1));
}

#[tokio::test]
async fn an_older_post_does_not_count_and_two_do_not_either() {
    let mut stage = stage(&[]).await;
    let content = picture(&stage);
    done(stage.publish(content.clone()).await);
    let now = std::mem::replace(&mut stage.now, FUTURE.to_owned());
    assert_eq!(look(&stage, &content, None).await, "not seen");
    stage.now = now;
    done(stage.publish(content.clone()).await);
    let found = look(&stage, &content, None).await;
    assert!(found.contains("several posts"), "{found}");
}

#[tokio::test]
async fn lists_that_leave_something_out_prove_nothing() {
    let mut stage = stage(&[]).await;
    let mut hidden = reel(&stage);
    hidden["options"] = json!({"share_to_feed": false});
    let found = look(&stage, &hidden, None).await;
    assert!(found.contains("not shared to the feed"), "{found}");
    // By the stage's clock, the time of a story is now; a day later its list has ended.
    assert_eq!(look(&stage, &story(&stage), None).await, "not seen");
    let mut late = story(&stage);
    late["scheduled_at"] = json!("2020-01-01T00:00:00Z");
    stage.now = "2020-01-02T00:00:00Z".to_owned();
    let found = look(&stage, &late, None).await;
    assert!(found.contains("for a day only"), "{found}");
}

#[tokio::test]
async fn a_token_that_may_not_read_leaves_it_open_and_faults_are_failures() {
    let mut stage = stage(&[]).await;
    let content = picture(&stage);
    let checkpoint = sent(&mut stage, &content, "500").await;
    for (login, publishing, reading) in [
        ("facebook", "instagram_content_publish", "instagram_basic"),
        (
            "instagram",
            "instagram_business_content_publish",
            "instagram_business_basic",
        ),
    ] {
        stage
            .account_settings
            .insert("login".to_owned(), json!(login));
        stage.credentials = json!({"access_token": format!("scopes({publishing})")});
        for checkpoint in [None, checkpoint.clone()] {
            let found = look(&stage, &content, checkpoint).await;
            assert!(found.contains(&format!("scope {reading},")), "{found}");
        }
    }
    stage.credentials = json!({"access_token": "good"});
    for (fault, expected) in [
        ("500", "retry [server_error]"),
        ("429", "rate_limited [rate_limited]"),
        ("bad-json", "retry [bad_reply]"),
    ] {
        stage.faults(&[&format!("instagram/status:{fault}")]).await;
        for checkpoint in [None, checkpoint.clone()] {
            let failure = stage.look_up(content.clone(), checkpoint).await;
            assert_eq!(verdict(&failure.unwrap_err()), expected, "{fault}");
        }
    }
}
