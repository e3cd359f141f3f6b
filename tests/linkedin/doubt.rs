//! A post that was sent and not answered: found, sent once more, or left to a person. Never two of them.

use serde_json::{Value, json};

use crate::support::stage::{SHORT, Stage};
use crate::{member, page, published, requests, text};

/// A page whose token may not read posts.
async fn blind_page(faults: &[&str]) -> Stage {
    let mut stage = page(faults).await;
    stage.credentials =
        json!({"access_token": "scopes(w_organization_social,w_organization_social_feed)x"});
    stage
}

async fn everybody(faults: &[&str]) -> [Stage; 3] {
    [
        page(faults).await,
        blind_page(faults).await,
        member(faults).await,
    ]
}

#[tokio::test]
async fn a_fault_means_what_it_proves() {
    for (fault, verdict, seen) in [
        ("500", "doubt", 0),
        ("500-after-accept", "doubt", 1),
        ("reset", "doubt", 0),
        ("reset-after-accept", "doubt", 1),
        ("hang", "doubt", 1),
        ("bad-json", "doubt", 1),
        ("429", "rate_limited [rate_limited]", 0),
        ("401", "unauthorized [needs_login]", 0),
        ("rejected", "rejected [rejected]", 0),
    ] {
        let mut stage = member(&[&format!("linkedin:{fault}")]).await;
        stage.timeout = SHORT;
        let ending = stage.publish(text("Hi")).await;
        assert_eq!(ending.verdict, verdict, "{fault}");
        assert_eq!(stage.posts().await.len(), seen, "{fault}");
    }
}

#[tokio::test]
async fn what_was_accepted_is_found_and_what_was_not_is_sent() {
    for fault in [
        "500",
        "500-after-accept",
        "reset",
        "reset-after-accept",
        "hang",
        "bad-json",
    ] {
        for mut stage in everybody(&[&format!("linkedin:{fault}")]).await {
            stage.timeout = SHORT;
            let content = json!({"body": "Hi (you)", "options": {"first_comment": "More"}});
            let first = stage.publish(content.clone()).await;
            assert_eq!(first.verdict, "doubt", "{fault}");
            stage.heal().await;
            let live = published(stage.look_again(content, first.checkpoint).await);
            let posts = stage.posts().await;
            assert_eq!(posts.len(), 1, "{fault}");
            assert_eq!(posts[0]["id"], json!(live.id), "{fault}");
            assert_eq!(posts[0]["comments"].as_array().unwrap().len(), 1, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_page_that_may_read_is_looked_at_and_not_written_to() {
    let stage = page(&["linkedin:500-after-accept"]).await;
    let first = stage.publish(text("Hi")).await;
    let before = requests(&stage).await;
    // The fault still strikes whatever is sent.
    published(stage.look_again(text("Hi"), first.checkpoint).await);
    // To the end of its list.
    assert_eq!(requests(&stage).await, before + 2);
}

#[tokio::test]
async fn a_post_with_media_is_sent_again_with_the_same_media() {
    for stage in everybody(&["linkedin:reset-after-accept"]).await {
        let media = json!([{"url": stage.sample("document.pdf")}]);
        let content = json!({"body": "Hi", "media": media});
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "doubt");
        stage.heal().await;
        published(stage.look_again(content, first.checkpoint).await);
        assert_eq!(stage.posts().await.len(), 1);
    }
}

#[tokio::test]
async fn another_post_with_the_same_text_is_not_mistaken_for_it() {
    let stage = page(&[]).await;
    let to = |link: &str| json!({"body": "Read", "link": link});
    published(stage.publish(to("https://a.example/")).await);
    stage.faults(&["linkedin:500"]).await;
    let first = stage.publish(to("https://b.example/")).await;
    stage.heal().await;
    let second = published(
        stage
            .look_again(to("https://b.example/"), first.checkpoint)
            .await,
    );
    let posts = stage.posts().await;
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[1]["id"], json!(second.id));
    assert_eq!(posts[1]["link"], "https://b.example/");
}

#[tokio::test]
async fn it_is_asked_once_and_then_left_to_a_person() {
    for fault in ["500", "500-after-accept", "reset", "bad-json"] {
        for (stage, reads) in everybody(&[&format!("linkedin:{fault}")])
            .await
            .into_iter()
            .zip([true, false, false])
        {
            let first = stage.publish(text("Hi")).await;
            let second = stage.look_again(text("Hi"), first.checkpoint).await;
            let accepts = !matches!(fault, "500" | "reset");
            if accepts && (reads || stage.posts().await.len() == 1) {
                // Found by reading, or named by the refusal, which comes before any fault.
                assert_eq!(second.verdict, "done", "{fault}");
            } else {
                assert_eq!(second.verdict, "doubt", "{fault}");
                let third = stage.look_again(text("Hi"), second.checkpoint).await;
                let expected = if accepts { "done" } else { "not sent again" };
                let ends = match third.verdict.as_str() {
                    "not seen" | "unknown" | "unconfirmed [unconfirmed]" => "not sent again",
                    other => other,
                };
                assert_eq!(ends, expected, "{fault}");
            }
            assert!(stage.posts().await.len() <= 1, "{fault}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_the_second_request_says_nothing_of_the_first() {
    for fault in ["429", "401", "rejected"] {
        let stage = member(&["linkedin:500"]).await;
        let first = stage.publish(text("Hi")).await;
        stage.faults(&[&format!("linkedin:{fault}")]).await;
        let second = stage.look_again(text("Hi"), first.checkpoint).await;
        assert_eq!(second.verdict, "doubt", "{fault}");
        assert!(
            second.message.contains("could not be asked again"),
            "{fault}: {}",
            second.message
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_again_later_than_five_minutes_or_after_the_lease() {
    let mut stage = member(&["linkedin:500-after-accept"]).await;
    let first = stage.publish(text("Hi")).await;
    stage.heal().await;
    let before = requests(&stage).await;
    for now in ["2020-01-01T12:05:01Z", "2020-01-01T11:59:59Z"] {
        stage.now = now.to_owned();
        let late = stage.look_again(text("Hi"), first.checkpoint.clone()).await;
        assert_eq!(late.verdict, "unknown", "{now}");
    }
    stage.now = "2020-01-01T12:04:59Z".to_owned();
    stage.lease = std::time::Duration::ZERO;
    let after = stage.look_again(text("Hi"), first.checkpoint).await;
    assert_eq!(after.verdict, "unconfirmed [in_doubt]");
    assert_eq!(requests(&stage).await, before);
}

#[tokio::test]
async fn a_page_is_looked_at_however_late() {
    let mut stage = page(&["linkedin:500-after-accept"]).await;
    let first = stage.publish(text("Hi")).await;
    stage.now = "2020-01-03T12:00:00Z".to_owned();
    published(stage.look_again(text("Hi"), first.checkpoint).await);
}

#[tokio::test]
async fn a_duplicate_that_was_not_in_doubt_is_rejected_with_its_urn() {
    for stage in everybody(&[]).await {
        let first = published(stage.publish(text("Hi")).await);
        let second = stage.publish(text("Hi")).await;
        assert_eq!(second.verdict, "rejected [duplicate]");
        assert!(second.message.contains(&first.id), "{}", second.message);
        assert_eq!(stage.posts().await.len(), 1);
    }
}

#[tokio::test]
async fn a_checkpoint_that_was_about_to_send_sends() {
    let stage = member(&["linkedin:429"]).await;
    let first = stage.publish(text("Hi")).await;
    let checkpoint = first.checkpoint.unwrap();
    assert_eq!(checkpoint["stage"]["is"], "sending");
    stage.heal().await;
    published(stage.go_on(text("Hi"), Some(checkpoint)).await);
}

#[tokio::test]
async fn a_checkpoint_of_another_shape_is_left_to_a_person() {
    let stage = page(&[]).await;
    for checkpoint in [json!({}), json!({"session": "x"}), Value::from(5)] {
        let ending = stage.go_on(text("Hi"), Some(checkpoint)).await;
        assert_eq!(ending.verdict, "unconfirmed [bug]");
    }
    assert_eq!(requests(&stage).await, 0);
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_not_sent_after_what_is_in_doubt() {
    let stage = member(&["linkedin:500"]).await;
    let first = stage.publish(text("Hi")).await;
    stage.heal().await;
    let before = requests(&stage).await;
    let second = stage.look_again(text("Ho"), first.checkpoint).await;
    assert_eq!(second.verdict, "unknown");
    assert!(second.message.contains("was changed"), "{}", second.message);
    assert_eq!(requests(&stage).await, before);
}
