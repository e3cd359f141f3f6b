//! What the sandbox shows to people and scripts: posts, images, samples, settings, the page.

use super::*;

#[tokio::test]
async fn a_post_is_shown_with_everything_a_reader_sees() {
    let world = World::new().await;
    let container = world.container("Hello #world").await;
    let id = send(world.instagram(&container)).await.body["id"].clone();
    let mut post = world.posts().await.remove(0);
    let bytes = world.client.get(world.jpeg()).send().await.unwrap();
    let bytes = bytes.bytes().await.unwrap();
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let preview = format!("/api/media/{sha256}");
    for name in ["permalink", "published_at"] {
        assert!(
            post[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
        post.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(
        post,
        json!({
            "platform": "instagram", "account": "2001", "id": id, "kind": "post",
            "text": "Hello #world", "link": null, "title": null,
            "media": [{
                "type": "image", "url": world.jpeg(), "alt": null, "name": null,
                "bytes": bytes.len(), "sha256": sha256, "width": 1080, "height": 1080,
                "preview": preview,
            }],
            "comments": [], "reply_to": null, "details": {},
            "sequence": 1, "duplicate": false, "duplicate_of": null,
        })
    );

    let image = world.bare(Method::GET, &preview).send().await.unwrap();
    assert_eq!(image.headers()["content-type"], "image/jpeg");
    assert_eq!(image.headers()["x-content-type-options"], "nosniff");
    assert_eq!(image.bytes().await.unwrap(), bytes);
    assert_eq!(world.get("/api/media/nothing").await.status, 404);
    assert_eq!(world.get("/api/media/..%2f..%2fetc").await.status, 404);

    send(world.post("/api/reset")).await;
    assert_eq!(
        world.get(&preview).await.status,
        404,
        "forgotten with its post"
    );
}

#[tokio::test]
async fn a_duplicate_names_the_first() {
    let world = World::new().await;
    for text in ["one", "two", "one", "one"] {
        send(world.facebook(text)).await;
    }
    let posts = world.posts().await;
    let of: Vec<&Value> = posts.iter().map(|post| &post["duplicate_of"]).collect();
    assert_eq!(of, [&json!(null), &json!(null), &json!(1), &json!(1)]);
}

#[tokio::test]
async fn posts_that_have_not_changed_are_not_sent_again() {
    let world = World::new().await;
    let ask = |tag: &str| {
        let request = world.bare(Method::GET, "/api/posts");
        send(request.header("If-None-Match", tag))
    };
    let tag = world.get("/api/posts").await.header("etag").to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let answer = ask(&known).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (304, &json!("")),
            "{known}"
        );
        assert_eq!(answer.header("etag"), tag);
    }
    send(world.facebook("one")).await;
    let changed = ask(&tag).await;
    assert_eq!(
        (changed.status.as_u16(), changed.body[0]["text"].as_str()),
        (200, Some("one"))
    );
    let tag = changed.header("etag");
    assert_eq!(ask(tag).await.status, 304);
    send(world.post("/api/reset")).await;
    assert_eq!(ask(tag).await.body, json!([]));
    let other = World::new().await;
    let theirs = other.get("/api/posts").await;
    assert_ne!(theirs.header("etag"), tag, "another sandbox, another tag");
}

#[tokio::test]
async fn samples_are_served_as_what_they_are() {
    let world = World::new().await;
    for (name, kind, head) in [
        ("1080x1080.jpg", "image/jpeg", &b"\xff\xd8\xff"[..]),
        ("800x800.png", "image/png", b"\x89PNG"),
        ("document.pdf", "application/pdf", b"%PDF-"),
    ] {
        let sample = world.client.get(world.sample(name)).send().await.unwrap();
        assert_eq!(sample.headers()["content-type"], kind);
        assert!(sample.bytes().await.unwrap().starts_with(head), "{name}");
    }
    let film = world
        .client
        .get(world.sample("reel-9s.mp4"))
        .send()
        .await
        .unwrap();
    assert_eq!(&film.bytes().await.unwrap()[4..8], b"ftyp");
    assert_eq!(world.get("/samples/lost.jpg").await.status, 404);
}

#[tokio::test]
async fn settings_change_while_it_runs() {
    let world = World::new().await;
    let before = json!({"latency": "0s", "processing": "0s", "token_lifetime": "1h"});
    assert_eq!(world.get("/api/settings").await.body, before);
    let change = |settings: Value| send(world.post("/api/settings").json(&settings));
    let now = change(json!({"processing": "1h"})).await.body;
    assert_eq!(now, with(&before, "/processing", json!("1h")));
    let container = world.container("slow").await;
    let early = send(world.instagram(&container)).await;
    assert_eq!(graph_code(&early), (9007, 2_207_027));

    for (settings, word) in [
        (json!({"patience": "1s"}), "patience"),
        (json!({"latency": "soon"}), "soon"),
        (json!({"latency": 5}), "latency"),
    ] {
        let answer = change(settings).await;
        assert!(answer.status.is_client_error(), "{}", answer.status);
        assert!(
            answer.body.as_str().unwrap().contains(word),
            "{}",
            answer.body
        );
    }
    let after = change(json!({"latency": "1ms", "token_lifetime": "30s"}))
        .await
        .body;
    assert_eq!(
        after,
        json!({"latency": "1ms", "processing": "1h", "token_lifetime": "30s"})
    );
}

#[tokio::test]
async fn the_page_may_load_nothing_but_images_and_the_posts() {
    let world = World::new().await;
    let page = world.get("/").await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(
        page.header("content-security-policy"),
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
         img-src * data:; media-src *; connect-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'"
    );
}

#[tokio::test]
async fn the_faults_in_force_can_be_read() {
    let world = World::with_faults(&["*/status:429:retry-after=3", "slack:500:5%"]).await;
    let faults = world.get("/api/faults").await.body;
    assert_eq!(
        faults,
        json!(["*/status:429:retry-after=3", "slack:500:5%"])
    );
}
