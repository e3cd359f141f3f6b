//! What people see of every kind of post, and what is refused before anything is sent.

use serde_json::{Value, json};

use crate::support::stage::Stage;
use crate::{FILM_BYTES, film, member, page, published, sha256};

/// Publishes it as a page; returns what people see.
async fn seen(stage: &Stage, content: Value) -> Value {
    let published = published(stage.publish(content).await);
    let posts = stage.posts().await;
    let post = posts.last().unwrap().clone();
    assert_eq!(post["id"], json!(published.id));
    assert_eq!(post["permalink"], json!(published.permalink));
    let permalink = format!("https://www.linkedin.com/feed/update/{}/", published.id);
    assert_eq!(published.permalink, Some(permalink));
    post
}

#[tokio::test]
async fn text_is_seen_as_it_was_written() {
    let stage = page(&[]).await;
    let body = r"Hi (you) & #all: a_b *c* [d] {e} <f> @g ~h |i \j";
    let post = seen(&stage, json!({"body": body})).await;
    assert_eq!(post["text"], body);
    assert_eq!(post["account"], "urn:li:organization:42");
    assert_eq!(post["details"]["visibility"], "PUBLIC");
    assert_eq!(post["media"], json!([]));
}

#[tokio::test]
async fn a_link_has_title_and_description_and_perhaps_a_thumbnail() {
    let stage = page(&[]).await;
    let link = "https://example.com/?a&b";
    let plain = json!({
        "body": "Read\nthis", "link": link, "options": {"description": "About it", "visibility": "LOGGED_IN"},
    });
    let post = seen(&stage, plain).await;
    assert_eq!(
        (&post["link"], &post["title"]),
        (&json!(link), &json!("Read"))
    );
    let details = json!({"description": "About it", "visibility": "LOGGED_IN"});
    assert_eq!(post["details"], details);
    let with_thumbnail = json!({
        "body": "Look", "link": link, "media": [{"url": stage.sample("1200x630.jpg")}],
        "options": {"thumbnail": true, "title": "A title"},
    });
    let post = seen(&stage, with_thumbnail).await;
    assert_eq!(
        (&post["link"], &post["title"]),
        (&json!(link), &json!("A title"))
    );
    assert_eq!(post["details"]["thumbnail"], post["media"][0]["url"]);
    assert_eq!(post["media"][0]["width"], 1200);
}

#[tokio::test]
async fn pictures_keep_their_order_and_descriptions() {
    let stage = page(&[]).await;
    let one =
        json!({"body": "One", "media": [{"url": stage.sample("800x800.png"), "alt": "A square"}]});
    let post = seen(&stage, one).await;
    assert_eq!(post["media"][0]["alt"], "A square");
    assert_eq!(post["media"][0]["type"], "image");
    let names = ["1080x1080.jpg", "800x800.png", "1200x630.jpg"];
    let media: Vec<Value> = names
        .iter()
        .map(|name| json!({"url": stage.sample(name), "alt": name}))
        .collect();
    let post = seen(&stage, json!({"body": "Three", "media": media})).await;
    let media = post["media"].as_array().unwrap();
    let alts: Vec<&Value> = media.iter().map(|medium| &medium["alt"]).collect();
    assert_eq!(alts, names);
    assert_eq!(media[1]["width"], 800);
}

#[tokio::test]
async fn twenty_pictures_go_out_as_one_post() {
    let stage = page(&[]).await;
    let media = vec![json!({"url": stage.sample("800x800.png")}); 20];
    let post = seen(&stage, json!({"body": "Twenty", "media": media})).await;
    assert_eq!(post["media"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_video_arrives_whole_in_its_parts() {
    let stage = page(&[]).await;
    let film = film(FILM_BYTES);
    let content = json!({
        "body": "See", "media": [{"path": film.path()}], "options": {"title": "A film"},
    });
    let post = seen(&stage, content).await;
    assert_eq!(post["title"], "A film");
    let medium = &post["media"][0];
    assert_eq!(medium["type"], "video");
    assert_eq!(medium["bytes"], FILM_BYTES);
    assert_eq!(medium["sha256"], sha256(&film));
    assert_eq!(medium["width"], 1080);
}

#[tokio::test]
async fn a_document_has_a_title_of_its_own_or_its_files_name() {
    let stage = page(&[]).await;
    let media = json!([{"url": stage.sample("document.pdf")}]);
    let post = seen(&stage, json!({"body": "One", "media": media})).await;
    assert_eq!(post["title"], "document.pdf");
    assert_eq!(post["media"][0]["type"], "document");
    let titled = json!({"body": "Two", "media": media, "options": {"title": "Our year"}});
    assert_eq!(seen(&stage, titled).await["title"], "Our year");
}

#[tokio::test]
async fn the_first_comment_follows_once() {
    for stage in [page(&[]).await, member(&[]).await] {
        let content = json!({"body": "Hi", "options": {"first_comment": "More (here) #below"}});
        let post = seen(&stage, content).await;
        let comments = post["comments"].as_array().unwrap();
        assert_eq!(comments.len(), 1);
        assert_eq!(comments[0]["text"], "More (here) #below");
    }
}

#[tokio::test]
async fn a_comment_that_fails_is_a_warning() {
    for fault in [
        "500",
        "500-after-accept",
        "reset-after-accept",
        "429",
        "rejected",
        "401",
    ] {
        let stage = page(&[&format!("linkedin/comment:{fault}")]).await;
        let content = json!({"body": "Hi", "options": {"first_comment": "More"}});
        let ending = stage.publish(content).await;
        assert_eq!(ending.verdict, "done", "{fault}");
        let warnings = ending.published.unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{fault}: {warnings:?}");
        assert!(
            warnings[0].starts_with("the first comment: "),
            "{warnings:?}"
        );
        let stats = stage.get("api/stats").await;
        let comments = stats["platforms"]["linkedin"]["comments"].as_u64().unwrap();
        assert_eq!(comments, u64::from(fault.contains("accept")), "{fault}");
    }
}

#[tokio::test]
async fn an_account_can_set_who_sees_its_posts() {
    let mut stage = member(&[]).await;
    stage
        .account_settings
        .insert("visibility".to_owned(), "CONNECTIONS".into());
    let post = seen(&stage, json!({"body": "Hi"})).await;
    assert_eq!(post["details"]["visibility"], "CONNECTIONS");
    let own = json!({"body": "Ho", "options": {"visibility": "public"}});
    assert_eq!(seen(&stage, own).await["details"]["visibility"], "PUBLIC");
}

#[tokio::test]
async fn files_are_measured_before_anything_is_sent() {
    let stage = page(&[]).await;
    let small = film(50_000);
    let problems = stage.problems(&json!({"body": "a", "media": [{"path": small.path()}]}));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].ends_with("its size is 50000 bytes; LinkedIn takes at least 76800 bytes"),
        "{problems:?}"
    );
    let ending = stage
        .publish(json!({"body": "a", "media": [{"url": stage.sample("reel-9s.mp4")}]}))
        .await;
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert!(
        ending.message.contains("at least 76800 bytes"),
        "{}",
        ending.message
    );
    assert_eq!(crate::requests(&stage).await, 0);
}

#[tokio::test]
async fn a_corrected_figure_is_the_one_that_counts() {
    let mut stage = page(&[]).await;
    stage
        .settings
        .limits
        .insert("commentary_chars".to_owned(), 5.0);
    let problems = stage.problems(&json!({"body": "123456"}));
    assert_eq!(problems, ["the body has 6 characters; LinkedIn takes 5"]);
}
