//! Uploads: where they can stop, how they go on, and whom they trust.

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

use crate::support::stage::Stage;
use crate::{FILM_BYTES, film, member, page, published, requests, sha256};

fn video(film: &NamedTempFile) -> Value {
    json!({"body": "See", "media": [{"path": film.path()}]})
}

/// What a post with the video takes: begun, three parts, completed, asked after, sent.
const VIDEO_REQUESTS: u64 = 7;

#[tokio::test]
async fn a_video_goes_on_at_the_part_where_it_stopped() {
    for fault in ["500", "reset", "reset-at:60%", "truncate"] {
        let film = film(FILM_BYTES);
        let stage = page(&[]).await;
        // Of the three parts the second breaks off.
        stage
            .faults(&[&format!("linkedin/upload:{fault}:50%")])
            .await;
        let first = stage.publish(video(&film)).await;
        assert!(
            first.verdict.starts_with("retry ["),
            "{fault}: {}",
            first.verdict
        );
        let checkpoint = first.checkpoint.unwrap();
        let state = &checkpoint["media"][0]["state"];
        assert_eq!(state["parts"].as_array().unwrap().len(), 2, "{fault}");
        assert_eq!(state["etags"].as_array().unwrap().len(), 1, "{fault}");
        stage.heal().await;
        published(stage.go_on(video(&film), Some(checkpoint)).await);
        assert_eq!(requests(&stage).await, VIDEO_REQUESTS + 1, "{fault}");
        assert_eq!(stage.posts().await[0]["media"][0]["sha256"], sha256(&film));
    }
}

#[tokio::test]
async fn a_connection_cut_within_a_part_costs_that_part() {
    let film = film(FILM_BYTES);
    let stage = page(&["linkedin/upload:reset-at:75%"]).await;
    let first = stage.publish(video(&film)).await;
    assert_eq!(first.verdict, "retry [connection]", "{}", first.message);
    // It is not cut again where it was cut before.
    published(stage.go_on(video(&film), first.checkpoint).await);
    assert_eq!(requests(&stage).await, VIDEO_REQUESTS + 1);
}

#[tokio::test]
async fn pictures_that_are_there_are_not_sent_again() {
    let stage = page(&["linkedin/upload:reset:34%"]).await;
    let media = vec![json!({"url": stage.sample("800x800.png")}); 3];
    let content = json!({"body": "Three", "media": media});
    let first = stage.publish(content.clone()).await;
    assert_eq!(first.verdict, "retry [connection]");
    stage.heal().await;
    published(stage.go_on(content, first.checkpoint).await);
    // Begun, sent and asked after each; one sent in vain; the post.
    assert_eq!(requests(&stage).await, 3 * 3 + 1 + 1);
}

#[tokio::test]
async fn every_step_can_fail_and_be_taken_up_by_a_later_run() {
    for step in ["prepare", "upload", "status"] {
        for fault in [
            "500",
            "500-after-accept",
            "reset",
            "reset-after-accept",
            "401",
            "429",
            "bad-json",
        ] {
            let film = film(100_000);
            let stage = page(&[&format!("linkedin/{step}:{fault}")]).await;
            let first = stage.publish(video(&film)).await;
            assert_ne!(first.verdict, "done", "{step}:{fault}");
            assert_eq!(stage.posts().await.len(), 0, "{step}:{fault}");
            stage.heal().await;
            let mut ending = stage.go_on(video(&film), first.checkpoint).await;
            if ending.verdict.starts_with("wait") {
                ending = stage.go_on(video(&film), ending.checkpoint).await;
            }
            published(ending);
            let posts = stage.posts().await;
            assert_eq!(
                posts[0]["media"][0]["sha256"],
                sha256(&film),
                "{step}:{fault}"
            );
        }
    }
}

#[tokio::test]
async fn a_completion_whose_answer_got_lost_is_not_repeated_in_vain() {
    let film = film(100_000);
    let stage = page(&["linkedin/prepare:500-after-accept:50%"]).await;
    let first = stage.publish(video(&film)).await;
    assert_eq!(first.verdict, "retry [server_error]");
    stage.heal().await;
    published(stage.go_on(video(&film), first.checkpoint).await);
    let posts = stage.posts().await;
    assert_eq!(posts[0]["media"][0]["sha256"], sha256(&film));
}

#[tokio::test]
async fn an_upload_whose_addresses_have_ended_begins_again() {
    let film = film(FILM_BYTES);
    let stage = page(&["linkedin/upload:reset:50%"]).await;
    let first = stage.publish(video(&film)).await;
    // The sandbox forgets what it announced.
    let reset = crate::support::stage::client().post(format!("{}/api/reset", stage.url));
    reset.send().await.unwrap().error_for_status().unwrap();
    stage.heal().await;
    published(stage.go_on(video(&film), first.checkpoint).await);
    assert_eq!(stage.posts().await[0]["media"][0]["sha256"], sha256(&film));
}

#[tokio::test]
async fn an_address_that_is_about_to_end_is_not_used() {
    let mut stage = page(&["linkedin/upload:reset:50%"]).await;
    let film = film(FILM_BYTES);
    let first = stage.publish(video(&film)).await;
    stage.heal().await;
    let before = requests(&stage).await;
    stage.now = "2999-01-01T00:00:00Z".to_owned();
    let second = stage.go_on(video(&film), first.checkpoint).await;
    // The new ones have ended by that clock, too; so often, and no longer at once.
    assert_eq!(second.verdict, "wait 60s");
    assert_eq!(requests(&stage).await, before + 1);
}

#[tokio::test]
async fn a_file_that_was_exchanged_begins_again() {
    let stage = page(&["linkedin/upload:reset:50%"]).await;
    let film = film(FILM_BYTES);
    let first = stage.publish(video(&film)).await;
    let larger = crate::film(FILM_BYTES + 5);
    std::fs::copy(larger.path(), film.path()).unwrap();
    stage.heal().await;
    published(stage.go_on(video(&film), first.checkpoint).await);
    assert_eq!(
        stage.posts().await[0]["media"][0]["sha256"],
        sha256(&larger)
    );
}

#[tokio::test]
async fn media_that_were_replaced_in_the_post_are_uploaded_instead() {
    let stage = page(&["linkedin:429"]).await;
    let with = |name: &str| json!({"body": "One", "media": [{"url": stage.sample(name)}]});
    let first = stage.publish(with("800x800.png")).await;
    assert_eq!(first.verdict, "rate_limited [rate_limited]");
    stage.heal().await;
    published(stage.go_on(with("document.pdf"), first.checkpoint).await);
    assert_eq!(stage.posts().await[0]["media"][0]["type"], "document");
}

#[tokio::test]
async fn a_post_forbidden_right_after_its_upload_is_tried_again() {
    let mut stage = page(&["linkedin:429"]).await;
    let content = json!({"body": "One", "media": [{"url": stage.sample("800x800.png")}]});
    let first = stage.publish(content.clone()).await;
    stage.heal().await;
    stage.credentials["access_token"] = "noscope-1".into();
    let second = stage.go_on(content, first.checkpoint).await;
    assert_eq!(second.verdict, "retry [forbidden]");
}

#[tokio::test]
async fn media_in_progress_are_waited_for_longer_and_longer() {
    let film = film(100_000);
    let stage = page(&["linkedin:processing:3600s"]).await;
    let mut checkpoint = None;
    for verdict in [
        "wait 5s", "wait 10s", "wait 20s", "wait 40s", "wait 60s", "wait 60s",
    ] {
        let ending = stage.go_on(video(&film), checkpoint).await;
        assert_eq!(ending.verdict, verdict);
        checkpoint = ending.checkpoint;
    }
    assert_eq!(stage.posts().await.len(), 0);
}

#[tokio::test]
async fn a_member_waits_once_for_pictures_without_asking() {
    let stage = member(&[]).await;
    let media = vec![json!({"url": stage.sample("800x800.png")}); 3];
    let content = json!({"body": "Three", "media": media});
    let first = stage.publish(content.clone()).await;
    assert_eq!(first.verdict, "wait 20s");
    published(stage.go_on(content, first.checkpoint).await);
    // Begun and sent each, asked once for all, the post.
    assert_eq!(requests(&stage).await, 3 * 2 + 1 + 1);
}

#[tokio::test]
async fn a_post_that_comes_before_its_pictures_waits() {
    let stage = member(&["linkedin:processing:3600s"]).await;
    let content = json!({"body": "One", "media": [{"url": stage.sample("800x800.png")}]});
    let mut checkpoint = None;
    for verdict in ["wait 20s", "wait 5s", "wait 20s", "wait 10s"] {
        let ending = stage.go_on(content.clone(), checkpoint).await;
        assert_eq!(ending.verdict, verdict);
        assert!(!ending.sent);
        checkpoint = ending.checkpoint;
    }
    assert_eq!(stage.posts().await.len(), 0);
}

#[tokio::test]
async fn a_medium_that_linkedin_cannot_process_is_rejected_by_name() {
    let film = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(film.path(), vec![7; 100_000]).unwrap();
    let stage = page(&[]).await;
    let ending = stage.publish(video(&film)).await;
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert!(
        ending.message.starts_with("media 1 (") && ending.message.contains("The video is not MP4"),
        "{}",
        ending.message
    );
}

/// A server that is LinkedIn's, but for where it wants the bytes.
async fn misled(stage: &mut Stage, upload_url: &'static str) {
    let begun = move || async move {
        axum::Json(json!({"value": {
            "uploadUrl": upload_url, "uploadUrlExpiresAt": 32_503_680_000_000_i64, "image": "urn:li:image:C4",
        }}))
    };
    let routes = Router::new()
        .route("/rest/images", post(begun))
        .route("/{*any}", get(|_: HeaderMap| async { "no" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.platform_url = Some(format!("http://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

#[tokio::test]
async fn the_token_goes_to_linkedin_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = format!("http://{}/x", listener.local_addr().unwrap());
    let elsewhere: &'static str = elsewhere.leak();
    for url in [
        elsewhere,
        "https://www.linkedin.com.evil.example/x",
        "file:///etc/passwd",
        "no url",
    ] {
        let mut stage = page(&[]).await;
        let content = json!({"body": "One", "media": [{"url": stage.sample("800x800.png")}]});
        misled(&mut stage, url).await;
        let ending = stage.publish(content).await;
        assert_eq!(ending.verdict, "rejected [untrusted]", "{url}");
    }
    let nobody = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(nobody.is_err(), "somebody connected");
}
