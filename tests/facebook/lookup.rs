//! What became of a post whose run died, or whose answer was lost.

use publisher::platform::Found;
use serde_json::{Value, json};

use crate::support::stage::{SHORT, Stage, told, verdict};
use crate::{VIDEO_BYTES, expect_done, file, file_of, stage};

/// Later than the sandbox's clock by more than any margin.
const FUTURE: &str = "2100-01-01T00:00:00Z";

async fn look(stage: &Stage, content: &Value, checkpoint: Option<Value>) -> String {
    let found = stage.look_up(content.clone(), checkpoint).await;
    told(&found.unwrap_or_else(|failure| panic!("{}", verdict(&failure))))
}

/// Sent with this fault and healed again; the checkpoint that was left.
async fn sent(stage: &mut Stage, content: &Value, fault: &str) -> Option<Value> {
    stage.faults(&[&format!("facebook:{fault}")]).await;
    stage.timeout = SHORT;
    let ending = stage.publish(content.clone()).await;
    stage.timeout = crate::support::stage::LONG;
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

const LOST: [&str; 2] = ["500-after-accept", "reset-after-accept"];

#[tokio::test]
async fn a_post_whose_answer_was_lost_is_found_by_what_it_says() {
    for fault in LOST {
        let mut stage = stage().await;
        let photo = |name: &str| json!({"url": stage.sample(name)});
        let (one, other) = (photo("1080x1080.jpg"), photo("800x800.png"));
        let video = json!({"url": stage.sample("video-5s.mp4")});
        let comment = json!({"first_comment": "First"});
        let titled = json!({"title": "Five", "first_comment": "First"});
        for content in [
            json!({"body": " Hi\r\n<you>  & all ", "options": comment}),
            json!({"link": "https://example.com"}),
            json!({"body": "Look", "media": [one], "options": comment}),
            json!({"body": "Both", "media": [one, other]}),
            json!({"body": "Watch", "media": [video], "options": titled}),
            json!({"media": [video], "options": titled}),
        ] {
            stage.reset().await;
            sent(&mut stage, &content, fault).await;
            expect_live(&stage, &content, None, &format!("{fault}: {content}")).await;
        }
    }
}

#[tokio::test]
async fn what_never_came_is_absent_unless_it_may_be_processed() {
    for fault in ["500", "reset"] {
        let mut stage = stage().await;
        let samples = stage.sample("");
        let media = |name: &str| json!([{"url": format!("{samples}{name}")}]);
        let (photo, video) = (media("1080x1080.jpg"), media("video-5s.mp4"));
        let nameless = json!([{"url": stage.sample("1080x1080.jpg").replace(".jpg", "")}]);
        let text = json!({"body": "Hi"});
        sent(&mut stage, &text, fault).await;
        // Another post of the page says nothing about these.
        expect_done(&stage.publish(json!({"body": "Another"})).await);
        for content in [
            text,
            json!({"link": "https://example.com"}),
            json!({"body": "Look", "media": photo}),
        ] {
            assert_eq!(look(&stage, &content, None).await, "not seen", "{content}");
        }
        for content in [
            json!({"body": "Watch", "media": video}),
            json!({"body": "Which?", "media": nameless}),
            json!({"kind": "reel", "body": "See", "media": media("reel-9s.mp4")}),
            json!({"kind": "story", "media": media("1080x1920.jpg")}),
        ] {
            let found = look(&stage, &content, None).await;
            assert!(found.starts_with("un"), "{content}: {found}");
        }
    }
}

#[tokio::test]
async fn photos_that_have_ids_are_recognized_by_them() {
    let mut stage = stage().await;
    let media = json!([
        {"url": stage.sample("1080x1080.jpg")}, {"url": stage.sample("800x800.png")},
    ]);
    let content = json!({"media": media});
    let checkpoint = json!({"of": "photos", "ids": [], "since": "2020-01-01T12:00:00Z"});
    let with = |ids: Value| {
        let mut checkpoint = checkpoint.clone();
        checkpoint["ids"] = ids;
        Some(checkpoint)
    };
    let never = sent(&mut stage, &content, "500").await;
    assert_eq!(look(&stage, &content, never).await, "not seen");
    sent(&mut stage, &content, "500-after-accept").await;
    let ids = stage.posts().await[0]["details"]["photo_ids"].clone();
    // The checkpoint of the last step, and an older one.
    expect_live(&stage, &content, with(ids.clone()), "all").await;
    expect_live(&stage, &content, with(json!([ids[0]])), "the first").await;
    // Without them nothing tells it from another post that is only photos.
    let found = look(&stage, &content, None).await;
    assert!(found.contains("resembles it"), "{found}");
    let found = look(&stage, &content, with(json!(["17"]))).await;
    assert!(found.contains("resembles it"), "{found}");
}

#[tokio::test]
async fn a_video_that_has_an_id_is_known_by_its_status() {
    let mut stage = stage().await;
    let (feed, reel) = (
        file_of(&stage, "video-5s.mp4", VIDEO_BYTES).await,
        file(&stage, "reel-9s.mp4").await,
    );
    let comment = json!({"first_comment": "First"});
    for content in [
        json!({"media": [{"path": feed.path()}], "options": comment}),
        json!({"kind": "reel", "media": [{"path": reel.path()}], "options": comment}),
        json!({"kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}]}),
        json!({"kind": "story", "media": [{"path": reel.path()}]}),
    ] {
        for fault in LOST {
            stage.reset().await;
            let checkpoint = sent(&mut stage, &content, fault).await.unwrap();
            expect_live(&stage, &content, Some(checkpoint.clone()), fault).await;
            // From an older checkpoint, the same.
            for before in ["whole", "sending"] {
                let mut older = checkpoint.clone();
                older["stage"] = json!(before);
                expect_live(&stage, &content, Some(older), before).await;
            }
        }
        stage.reset().await;
        let checkpoint = sent(&mut stage, &content, "500").await.unwrap();
        assert_eq!(
            look(&stage, &content, Some(checkpoint.clone())).await,
            "not seen"
        );
        let mut accepted = checkpoint.clone();
        accepted["stage"] = json!("accepted");
        let found = look(&stage, &content, Some(accepted)).await;
        assert!(found.contains("does not show it yet"), "{found}");
        let mut forgotten = checkpoint;
        forgotten["video"] = json!("1200000000999999");
        let found = look(&stage, &content, Some(forgotten)).await;
        assert!(
            found.contains("knows the uploaded video no more"),
            "{found}"
        );
    }
}

#[tokio::test]
async fn a_video_whose_bytes_are_missing_is_absent_unless_another_took_its_place() {
    let stage = stage().await;
    let video = file_of(&stage, "video-5s.mp4", VIDEO_BYTES).await;
    let content = json!({"body": "Watch", "media": [{"path": video.path()}]});
    stage.faults(&["facebook/upload:reset-at:50%"]).await;
    let ending = stage.publish(content.clone()).await;
    stage.heal().await;
    let checkpoint = ending.checkpoint.unwrap();
    assert_eq!(checkpoint["stage"], "sending");
    let found = look(&stage, &content, Some(checkpoint.clone())).await;
    assert_eq!(found, "not seen");
    expect_done(&stage.publish(content.clone()).await);
    expect_live(&stage, &content, Some(checkpoint), "another").await;
}

#[tokio::test]
async fn a_reel_that_is_processed_is_neither() {
    let mut stage = stage().await;
    let content = json!({"kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}]});
    stage
        .faults(&["facebook:processing:3600s", "facebook:500-after-accept"])
        .await;
    let checkpoint = stage.publish(content.clone()).await.checkpoint;
    let found = look(&stage, &content, checkpoint).await;
    assert!(found.contains("does not say yet"), "{found}");
    let without = json!({"kind": "reel", "body": "See", "media": content["media"]});
    stage.heal().await;
    sent(&mut stage, &without, "500-after-accept").await;
    let found = look(&stage, &without, None).await;
    assert!(found.starts_with("live "), "by its words: {found}");
}

#[tokio::test]
async fn a_photo_story_is_found_by_its_photo() {
    let mut stage = stage().await;
    let content = json!({"kind": "story", "media": [{"url": stage.sample("1080x1920.jpg")}]});
    sent(&mut stage, &content, "500-after-accept").await;
    let photo = stage.posts().await[0]["details"]["media_id"].clone();
    let checkpoint = json!({"of": "photos", "ids": [photo], "since": "2020-01-01T12:00:00Z"});
    expect_live(&stage, &content, Some(checkpoint), "story").await;
    let found = look(&stage, &content, None).await;
    assert!(found.contains("stories only if"), "{found}");
}

#[tokio::test]
async fn an_older_post_does_not_count_and_two_do_not_either() {
    let mut stage = stage().await;
    let content = json!({"body": "Good morning"});
    expect_done(&stage.publish(content.clone()).await);
    let now = std::mem::replace(&mut stage.now, FUTURE.to_owned());
    assert_eq!(look(&stage, &content, None).await, "not seen");
    stage.now = now;
    expect_done(&stage.publish(content.clone()).await);
    let found = look(&stage, &content, None).await;
    assert!(found.contains("several posts"), "{found}");
}

#[tokio::test]
async fn a_long_list_is_followed_and_a_longer_one_proves_nothing() {
    let stage = stage().await;
    let (first, never) = (json!({"body": "The first"}), json!({"body": "Never"}));
    expect_done(&stage.publish(first.clone()).await);
    for number in 1..250 {
        expect_done(
            &stage
                .publish(json!({"body": format!("No. {number}")}))
                .await,
        );
    }
    let found = look(&stage, &first, None).await;
    assert!(found.starts_with("live "), "{found}");
    assert_eq!(look(&stage, &never, None).await, "not seen");
    expect_done(&stage.publish(json!({"body": "One too many"})).await);
    for content in [first, never] {
        let found = look(&stage, &content, None).await;
        assert!(found.contains("too many newer"), "{found}");
    }
}

#[tokio::test]
async fn a_token_that_may_not_read_leaves_it_open_and_faults_are_failures() {
    let mut stage = stage().await;
    let content = json!({"body": "Hi"});
    let reel = json!({"kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}]});
    let checkpoint = sent(&mut stage, &reel, "500").await;
    stage.credentials = json!({"access_token": "scopes(pages_manage_posts)"});
    for (content, checkpoint) in [(&content, None), (&reel, checkpoint)] {
        let found = look(&stage, content, checkpoint).await;
        assert!(found.contains("pages_read_engagement"), "{found}");
    }
    stage.credentials = json!({"access_token": "expired-"});
    let failure = stage.look_up(content.clone(), None).await.unwrap_err();
    assert_eq!(verdict(&failure), "unauthorized [needs_login]");
    stage.credentials = json!({"access_token": "good"});
    for (fault, expected) in [
        ("500", "retry [server_error]"),
        ("429", "rate_limited [rate_limited]"),
        ("bad-json", "retry [bad_reply]"),
    ] {
        stage.faults(&[&format!("facebook/status:{fault}")]).await;
        let failure = stage.look_up(content.clone(), None).await.unwrap_err();
        assert_eq!(verdict(&failure), expected, "{fault}");
    }
}
