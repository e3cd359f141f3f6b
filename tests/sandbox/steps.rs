//! Faults at other steps than publishing, and answers that are damaged on their way.

use super::*;

#[tokio::test]
async fn a_fault_strikes_the_step_that_it_names() {
    let world = World::with_faults(&["*/prepare:500", "*/status:429:retry-after=3"]).await;
    let form = [("image_url", &*world.jpeg())];
    let container = send(world.post("/instagram/v25.0/2001/media").form(&form)).await;
    assert_eq!(container.status, 500);
    assert_eq!(send(world.session(&video("A"), 3)).await.status, 500);
    assert_eq!(send(world.facebook("hi")).await.status, 200);
    for path in [
        "/facebook/v25.0/1001/published_posts",
        "/instagram/v25.0/2001/media",
        "/slack/api/conversations.history?channel=C012",
        "/slack/api/auth.test",
    ] {
        let status = world.get(path).await.status;
        assert!(matches!(status.as_u16(), 400 | 429), "{path}: {status}");
    }
    assert_eq!(world.posts().await.len(), 1);
}

#[tokio::test]
async fn an_expired_container_cannot_be_published() {
    let world = World::with_faults(&["instagram:expired-container:50%"]).await;
    let status = async |id: &str| {
        let path = format!("/instagram/v25.0/{id}?fields=status_code");
        world.get(&path).await.body["status_code"].clone()
    };
    let (first, second) = (world.container("a").await, world.container("b").await);
    assert_eq!(status(&first).await, "FINISHED");
    assert_eq!(status(&second).await, "EXPIRED");
    let late = send(world.instagram(&second)).await;
    assert_eq!(graph_code(&late), (24, 2_207_008));
    assert_eq!(send(world.instagram(&first)).await.status, 200);
}

#[tokio::test]
async fn an_upload_is_cut_once_where_the_fault_says() {
    let world = World::with_faults(&["youtube:reset-at:60%"]).await;
    let bytes = vec![3_u8; GRAIN * 4];
    let session = world.upload(bytes.len()).await;
    let put = || world.client.put(&session);
    let error = put().body(bytes.clone()).send().await.unwrap_err();
    assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    let probe = send(put().header("Content-Range", format!("bytes */{}", bytes.len()))).await;
    assert_eq!(
        probe.header("range"),
        "bytes=0-524287",
        "whole grains before 60%"
    );
    let rest = format!("bytes {}-{}/{}", GRAIN * 2, bytes.len() - 1, bytes.len());
    let rest = put()
        .header("Content-Range", rest)
        .body(bytes[GRAIN * 2..].to_vec());
    assert_eq!(send(rest).await.status, 200);
    let digest = format!("{:x}", Sha256::digest(&bytes));
    assert_eq!(world.posts().await[0]["media"][0]["sha256"], digest);
}

#[tokio::test]
async fn a_small_upload_is_cut_too() {
    let world = World::with_faults(&["youtube:reset-at:1%"]).await;
    let session = world.upload(3).await;
    world
        .client
        .put(&session)
        .body("abc")
        .send()
        .await
        .unwrap_err();
    let again = send(world.client.put(&session).body("abc")).await;
    assert_eq!(again.status, 200, "not a second time");
}

#[tokio::test]
async fn a_slow_answer_comes_byte_by_byte() {
    let world = World::with_faults(&["slack:slow-body"]).await;
    let response = world.slack("hi").send().await.unwrap();
    assert_eq!(world.posts().await.len(), 1);
    let length = response.content_length().unwrap();
    let mut response = response;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "{");
    assert_eq!(response.chunk().await.unwrap().unwrap(), "\"");
    assert!(length > 50, "{length}");
}

#[tokio::test]
async fn a_truncated_answer_ends_before_its_length() {
    for platform in PLATFORMS {
        let world = World::with_faults(&["*:truncate"]).await;
        let response = world.publishing(platform).await.send().await.unwrap();
        assert!(response.status().is_success(), "{platform}");
        assert!(response.content_length() >= Some(100), "{platform}");
        response.bytes().await.unwrap_err();
        assert_eq!(world.posts().await.len(), 1, "{platform}");
    }
}

#[tokio::test]
async fn a_huge_answer_and_a_page_instead_of_json_hide_a_post() {
    let world = World::with_faults(&["slack:huge-body", "facebook:bad-json"]).await;
    let huge = world.slack("hi").send().await.unwrap();
    assert_eq!(huge.status(), 200);
    assert_eq!(huge.bytes().await.unwrap().len(), 50_000_000);
    let page = send(world.facebook("hi")).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.body.as_str().unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(world.posts().await.len(), 2);
}

#[tokio::test]
async fn a_token_has_the_scopes_that_it_names() {
    let world = World::new().await;
    let slack = async |token: &str| {
        let request = world.bare(Method::POST, "/slack/api/chat.postMessage");
        let form = [("channel", "C012"), ("text", token)];
        send(request.bearer_auth(token).form(&form)).await.body
    };
    assert_eq!(slack("scopes(chat:write)x").await["ok"], true);
    let refused = slack("scopes(channels:history)x").await;
    assert_eq!(
        (&refused["error"], &refused["needed"]),
        (&json!("missing_scope"), &json!("chat:write"))
    );
    assert_eq!(world.posts().await.len(), 1);
}
