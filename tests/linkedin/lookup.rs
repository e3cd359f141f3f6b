//! What a later run finds out about a post that may be live.

use futures::future::join_all;
use publisher::outcome::Published;
use publisher::platform::Found;
use serde_json::{Value, json};

use crate::support::stage::{Stage, client, told, verdict};
use crate::{member, page, published, text};

const LATER: &str = "2100-01-01T12:00:00Z";

fn live(found: &Found) -> &Published {
    match found {
        Found::Live(published) => published,
        other => panic!("it is live, not {other:?}"),
    }
}

/// Every kind of post.
fn kinds(stage: &Stage) -> Vec<Value> {
    let picture = json!({"url": stage.sample("1080x1080.jpg"), "alt": "A square"});
    let other = json!({"url": stage.sample("800x800.png")});
    vec![
        text("Hi (you) #all, 50_%  \n\nthere "),
        json!({"body": "Read", "link": "https://a.example"}),
        json!({"body": "Read", "link": "https://a.example/x", "media": [picture], "options": {"thumbnail": true}}),
        json!({"body": "One", "media": [picture]}),
        json!({"body": "Two", "media": [picture, other]}),
        json!({"body": "Paper", "media": [{"url": stage.sample("document.pdf")}]}),
    ]
}

/// Texts that LinkedIn has, one after the other, as another program posts them.
async fn others(stage: &Stage, texts: impl Iterator<Item = String>) {
    let posts = texts.map(|text| {
        client()
            .post(format!("{}/linkedin/rest/posts", stage.url))
            .bearer_auth("good")
            .header("LinkedIn-Version", "202609")
            .header("X-Restli-Protocol-Version", "2.0.0")
            .json(&json!({
                "author": stage.external_id, "commentary": text, "visibility": "PUBLIC",
                "distribution": {"feedDistribution": "MAIN_FEED"}, "lifecycleState": "PUBLISHED",
            }))
            .send()
    });
    let posts: Vec<_> = posts.collect();
    for reply in join_all(posts).await {
        assert_eq!(reply.unwrap().status(), 201);
    }
}

#[tokio::test]
async fn what_was_accepted_is_found_with_and_without_a_checkpoint() {
    for fault in ["500-after-accept", "reset-after-accept"] {
        let stage = page(&[]).await;
        for mut content in kinds(&stage) {
            stage.reset().await;
            stage.faults(&[&format!("linkedin:{fault}")]).await;
            content["options"]["first_comment"] = json!("More");
            let doubt = stage.publish(content.clone()).await;
            assert_eq!(doubt.verdict, "doubt", "{}", doubt.message);
            stage.heal().await;
            let mut before = doubt.checkpoint.clone().unwrap();
            before["stage"] = json!({"is": "sending"});
            let mut earlier = before.clone();
            earlier["stage"]["is"] = json!("preparing");
            earlier["media"] = json!([]);
            for checkpoint in [None, doubt.checkpoint, Some(before), Some(earlier)] {
                let found = stage.look_up(content.clone(), checkpoint.clone()).await;
                let found = found.unwrap();
                let posts = stage.posts().await;
                assert_eq!(live(&found).id, posts[0]["id"], "{content} {checkpoint:?}");
                assert_eq!(json!(live(&found).permalink), posts[0]["permalink"]);
                assert_eq!(live(&found).warnings, ["the first comment was not sent"]);
                assert_eq!(posts.len(), 1);
                assert_eq!(posts[0]["comments"], json!([]));
            }
        }
    }
}

#[tokio::test]
async fn what_was_never_accepted_is_absent_and_can_be_sent() {
    for fault in ["500", "reset"] {
        let stage = page(&[&format!("linkedin:{fault}")]).await;
        let doubt = stage.publish(text("Hi")).await;
        stage.heal().await;
        others(&stage, ["Good morning".to_owned()].into_iter()).await;
        for checkpoint in [None, doubt.checkpoint] {
            let found = stage.look_up(text("Hi"), checkpoint).await.unwrap();
            assert_eq!(told(&found), "not seen", "{fault}");
        }
        published(stage.publish(text("Hi")).await);
        assert_eq!(stage.posts().await.len(), 2);
    }
}

#[tokio::test]
async fn an_older_post_of_the_same_content_does_not_count() {
    let mut stage = page(&[]).await;
    for content in kinds(&stage) {
        stage.reset().await;
        published(stage.publish(content.clone()).await);
        let now = std::mem::replace(&mut stage.now, LATER.to_owned());
        let found = stage.look_up(content, None).await.unwrap();
        assert_eq!(told(&found), "not seen");
        stage.now = now;
    }
}

#[tokio::test]
async fn what_can_not_be_told_apart_is_left_to_a_person() {
    let stage = page(&[]).await;
    let to = |link: &str, title: &str| json!({"body": "Read", "link": link, "options": {"title": title}});
    published(stage.publish(to("https://a.example/", "One")).await);
    let other = stage.look_up(to("https://b.example/", "One"), None).await;
    let resembles = Found::Unclear("the account has a post since then that resembles it");
    assert_eq!(other.unwrap(), resembles);
    let cut_off = text("Read me, please");
    assert_eq!(stage.look_up(cut_off, None).await.unwrap(), resembles);
    let another = stage.look_up(text("Red"), None).await.unwrap();
    assert_eq!(told(&another), "not seen");
    published(stage.publish(to("https://a.example/", "Two")).await);
    let several = stage.look_up(to("https://a.example/", "One"), None).await;
    assert_eq!(
        several.unwrap(),
        Found::Unclear("the account has several posts since then like it")
    );
}

#[tokio::test]
async fn a_picture_that_is_known_tells_posts_of_one_text_apart() {
    let stage = page(&[]).await;
    let with = |name: &str| json!({"body": "Look", "media": [{"url": stage.sample(name)}]});
    published(stage.publish(with("800x800.png")).await);
    stage.faults(&["linkedin:500-after-accept"]).await;
    let doubt = stage.publish(with("1080x1080.jpg")).await;
    stage.heal().await;
    let found = stage
        .look_up(with("1080x1080.jpg"), doubt.checkpoint)
        .await
        .unwrap();
    assert_eq!(live(&found).id, stage.posts().await[1]["id"]);
    let found = stage.look_up(with("1080x1080.jpg"), None).await.unwrap();
    assert_eq!(
        found,
        Found::Unclear("the account has several posts since then like it")
    );
}

#[tokio::test]
async fn a_post_that_was_changed_since_is_left_to_a_person() {
    let stage = page(&["linkedin:500-after-accept"]).await;
    let doubt = stage.publish(text("Hi")).await;
    let found = stage.look_up(text("Ho"), doubt.checkpoint).await.unwrap();
    assert_eq!(
        found,
        Found::Unknown("the post was changed after it was sent")
    );
}

#[tokio::test]
async fn who_may_not_read_says_so() {
    let member = member(&[]).await;
    published(member.publish(text("Hi")).await);
    let Found::Unknown(why) = member.look_up(text("Hi"), None).await.unwrap() else {
        panic!("a member's posts can't be read");
    };
    assert!(why.contains("r_member_social"), "{why}");
    let mut blind = page(&[]).await;
    blind.credentials = json!({"access_token": "scopes(w_organization_social)x"});
    published(blind.publish(text("Hi")).await);
    let failure = blind.look_up(text("Hi"), None).await.unwrap_err();
    assert_eq!(verdict(&failure), "unconfirmed [unconfirmed]");
    let why = &failure.reason().message;
    assert!(why.contains("r_organization_social"), "{why}");
}

#[tokio::test]
async fn further_pages_are_read_and_a_list_that_is_too_long_tells_nothing() {
    let stage = page(&[]).await;
    let ours = published(stage.publish(text("Hi")).await);
    others(&stage, (0..120).map(|n| format!("Number {n}"))).await;
    let found = stage.look_up(text("Hi"), None).await.unwrap();
    assert_eq!(live(&found).id, ours.id);
    let never = stage.look_up(text("Ho"), None).await.unwrap();
    assert_eq!(told(&never), "not seen");
    others(&stage, (120..250).map(|n| format!("Number {n}"))).await;
    for body in ["Hi", "Ho"] {
        assert_eq!(
            stage.look_up(text(body), None).await.unwrap(),
            Found::Unclear("the account has too many newer posts to find it among them")
        );
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
        let stage = page(&[]).await;
        published(stage.publish(text("Hi")).await);
        stage.faults(&[&format!("linkedin/status:{fault}")]).await;
        let failure = stage.look_up(text("Hi"), None).await.unwrap_err();
        assert_eq!(verdict(&failure), expected);
    }
}
