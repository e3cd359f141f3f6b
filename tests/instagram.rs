//! Instagram's client against the sandbox, and the sandbox's own strictness.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

mod support;

#[path = "instagram/lookup.rs"]
mod lookup;

use publisher::account::App;
use publisher::outcome::Failure;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::stage::{Ending, SHORT, Stage, client, verdict};

const LOCAL_VIDEO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/sandbox/samples/reel-9s.mp4"
);

async fn stage(faults: &[&str]) -> Stage {
    Stage::with("instagram", faults).await
}

fn picture(stage: &Stage) -> Value {
    json!({"body": "Hi @you #all", "media": [{"url": stage.sample("1080x1080.jpg")}]})
}

fn carousel(stage: &Stage) -> Value {
    json!({
        "body": "Many",
        "media": [
            {"url": stage.sample("1080x1080.jpg"), "alt": "A square"},
            {"url": stage.sample("video-5s.mp4")},
            {"url": stage.sample("1200x630.jpg")},
        ],
    })
}

fn done(ending: Ending) -> publisher::outcome::Published {
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    ending.published.unwrap()
}

/// Published without a word of warning; what people see.
async fn seen(stage: &Stage, content: Value) -> Value {
    let published = done(stage.publish(content).await);
    assert_eq!(published.warnings, Vec::<String>::new());
    let posts = stage.posts().await;
    assert_eq!(posts.len(), 1);
    assert_eq!(posts[0]["id"], json!(published.id));
    assert_eq!(posts[0]["permalink"], json!(published.permalink));
    posts[0].clone()
}

#[tokio::test]
async fn a_picture_comes_with_all_that_belongs_to_it() {
    let stage = stage(&[]).await;
    let mut content = picture(&stage);
    content["media"][0]["alt"] = json!("A cat");
    content["options"] = json!({
        "first_comment": "First!", "collaborators": ["@you", "me"], "location_id": "7640348500",
        "user_tags": [{"username": "you", "x": 0.5, "y": 0.25}],
    });
    let post = seen(&stage, content).await;
    assert_eq!(post["kind"], "post");
    assert_eq!(post["text"], "Hi @you #all");
    assert_eq!(post["media"][0]["alt"], "A cat");
    assert_eq!(post["comments"][0]["text"], "First!");
    assert_eq!(
        post["details"],
        json!({
            "collaborators": ["you", "me"], "location_id": "7640348500",
            "user_tags": [{"username": "you", "x": 0.5, "y": 0.25}],
        })
    );
}

#[tokio::test]
async fn a_video_is_a_reel_whichever_way_it_is_asked_for() {
    for kind in ["post", "reel"] {
        let stage = stage(&[]).await;
        let content = json!({
            "kind": kind, "body": "Moving", "media": [{"url": stage.sample("reel-9s.mp4")}],
            "options": {"share_to_feed": true, "thumb_offset_ms": 1500, "audio_name": "Song"},
        });
        let post = seen(&stage, content).await;
        assert_eq!(post["kind"], "reel");
        assert!(post["permalink"].as_str().unwrap().contains("/reel/"));
        assert_eq!(
            post["details"],
            json!({"share_to_feed": true, "thumb_offset": 1500, "audio_name": "Song"})
        );
    }
    let stage = stage(&[]).await;
    let content = json!({
        "kind": "reel", "media": [{"url": stage.sample("reel-9s.mp4")}],
        "options": {"cover_url": stage.sample("1080x1920.jpg")},
    });
    let post = seen(&stage, content).await;
    assert_eq!(post["details"]["cover_url"], stage.sample("1080x1920.jpg"));
}

#[tokio::test]
async fn a_story_is_a_picture_or_a_video() {
    for (file, family) in [("1080x1920.jpg", "image"), ("reel-9s.mp4", "video")] {
        let stage = stage(&[]).await;
        let content = json!({"kind": "story", "media": [{"url": stage.sample(file)}]});
        let post = seen(&stage, content).await;
        assert_eq!(
            (&post["kind"], &post["media"][0]["type"]),
            (&json!("story"), &json!(family))
        );
    }
}

#[tokio::test]
async fn a_carousel_keeps_its_order() {
    let stage = stage(&[]).await;
    let post = seen(&stage, carousel(&stage)).await;
    let media = post["media"].as_array().unwrap();
    let urls: Vec<&str> = media
        .iter()
        .map(|medium| medium["url"].as_str().unwrap())
        .collect();
    let expected = ["1080x1080.jpg", "video-5s.mp4", "1200x630.jpg"].map(|name| stage.sample(name));
    assert_eq!(urls, expected);
    assert_eq!(media[0]["alt"], "A square");
}

#[tokio::test]
async fn an_item_that_instagram_refuses_is_named() {
    let stage = stage(&[]).await;
    let mut content = carousel(&stage);
    content["media"][2] = json!({"url": stage.sample("4000x100.jpg")});
    let ending = stage.publish(content).await;
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert!(
        ending.message.starts_with("media 3 ("),
        "{}",
        ending.message
    );
    assert_eq!(stage.posts().await.len(), 0);
}

#[tokio::test]
async fn a_local_video_arrives_whole_even_if_it_breaks_off() {
    let sha256 = format!("{:x}", Sha256::digest(std::fs::read(LOCAL_VIDEO).unwrap()));
    let reel = json!({"body": "Mine", "media": [{"path": LOCAL_VIDEO}]});
    let whole = stage(&[]).await;
    let post = seen(&whole, reel.clone()).await;
    assert_eq!(post["media"][0]["sha256"], json!(sha256));
    assert_eq!(post["kind"], "reel");

    let broken = stage(&["instagram:reset-at:50%"]).await;
    let first = broken.publish(reel.clone()).await;
    assert_eq!(first.verdict, "retry [connection]", "{}", first.message);
    // In a later run, from where it stopped: the sandbox refuses any other offset.
    done(broken.go_on(reel.clone(), first.checkpoint).await);
    let posts = broken.posts().await;
    assert_eq!(posts[0]["media"][0]["sha256"], json!(sha256));

    let mixed = stage(&[]).await;
    let content = json!({"media": [{"path": LOCAL_VIDEO}, {"url": mixed.sample("1080x1080.jpg")}]});
    let post = seen(&mixed, content).await;
    assert_eq!(post["media"][0]["sha256"], json!(sha256));
}

#[tokio::test]
async fn instagrams_own_login_takes_no_local_video() {
    let mut stage = stage(&[]).await;
    stage
        .account_settings
        .insert("login".to_owned(), json!("instagram"));
    let ending = stage
        .publish(json!({"media": [{"path": LOCAL_VIDEO}]}))
        .await;
    assert_eq!(ending.verdict, "rejected [rejected]");
    assert!(
        ending.message.contains("Facebook's login"),
        "{}",
        ending.message
    );
}

#[tokio::test]
async fn what_is_processed_is_waited_for_in_this_run_and_the_next() {
    let stage = stage(&["instagram:processing:3600s"]).await;
    for content in [picture(&stage), carousel(&stage)] {
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "wait 5s");
        let second = stage.go_on(content, first.checkpoint).await;
        assert_eq!(second.verdict, "wait 10s");
    }
    assert_eq!(stage.posts().await.len(), 0);
}

#[tokio::test]
async fn containers_that_expire_are_made_anew_and_not_for_ever() {
    let stage = stage(&["instagram:expired-container"]).await;
    for content in [picture(&stage), carousel(&stage)] {
        let ending = stage.publish(content).await;
        assert_eq!(ending.verdict, "rejected [rejected]");
        assert!(ending.message.contains("3 times"), "{}", ending.message);
    }
    stage.faults(&["instagram:expired-container:30%"]).await;
    done(stage.publish(carousel(&stage)).await);
    assert_eq!(stage.posts().await.len(), 1);
}

#[tokio::test]
async fn a_container_that_is_unknown_is_asked_for_again_and_then_replaced() {
    let stage = stage(&[]).await;
    let mut checkpoint = json!({
        "id": "17889000000999999", "created_at": "2020-01-01T00:00:00Z", "number": 1, "looked_after_secs": 0,
    });
    for _ in 0..2 {
        let ending = stage.go_on(picture(&stage), Some(checkpoint)).await;
        assert_eq!(ending.verdict, "wait 60s", "{}", ending.message);
        checkpoint = ending.checkpoint.unwrap();
    }
    done(stage.go_on(picture(&stage), Some(checkpoint.clone())).await);
    assert_eq!(stage.posts().await.len(), 1);

    // In doubt it is looked for among the account's posts; found or not, it is not made anew.
    let found = stage.look_again(picture(&stage), Some(checkpoint.clone()));
    assert_eq!(json!(done(found.await).id), stage.posts().await[0]["id"]);
    let other = json!({"body": "Other", "media": [{"url": stage.sample("1080x1080.jpg")}]});
    let lost = stage.look_again(other, Some(checkpoint)).await;
    assert_eq!(lost.verdict, "not seen");
    assert_eq!(stage.posts().await.len(), 1);
}

/// The container's status settles what the reply left open.
#[tokio::test]
async fn every_doubt_is_settled_by_the_container() {
    for (fault, seen_before) in [
        ("500", 0),
        ("500-after-accept", 1),
        ("reset", 0),
        ("reset-after-accept", 1),
        ("hang", 1),
        ("truncate", 1),
        ("slow-body", 1),
        ("huge-body", 1),
        ("bad-json", 1),
    ] {
        let mut stage = stage(&[&format!("instagram:{fault}")]).await;
        stage.timeout = SHORT;
        let mut content = picture(&stage);
        content["options"] = json!({"first_comment": "First!"});
        let first = stage.publish(content.clone()).await;
        assert_eq!(first.verdict, "doubt", "{fault}");
        assert!(first.sent, "{fault}");
        assert_eq!(stage.posts().await.len(), seen_before, "{fault}");
        stage.heal().await;
        stage.timeout = support::stage::LONG;
        let published = done(stage.look_again(content, first.checkpoint).await);
        assert_eq!(published.warnings, Vec::<String>::new(), "{fault}");
        let posts = stage.posts().await;
        assert_eq!(posts.len(), 1, "{fault}");
        assert_eq!(posts[0]["id"], json!(published.id), "{fault}");
        assert_eq!(posts[0]["permalink"], json!(published.permalink), "{fault}");
        assert_eq!(posts[0]["comments"].as_array().unwrap().len(), 1, "{fault}");
    }
}

#[tokio::test]
async fn a_story_in_doubt_is_found_among_the_stories() {
    let stage = stage(&["instagram:500-after-accept"]).await;
    let content = json!({"kind": "story", "media": [{"url": stage.sample("1080x1920.jpg")}]});
    let first = stage.publish(content.clone()).await;
    let published = done(stage.look_again(content, first.checkpoint).await);
    assert_eq!(json!(published.id), stage.posts().await[0]["id"]);
}

#[tokio::test]
async fn a_doubt_outlives_a_look_that_fails() {
    let stage = stage(&["instagram:500-after-accept", "instagram/status:500"]).await;
    // The looks fail from the beginning, so the first run stops before it publishes.
    let early = stage.publish(picture(&stage)).await;
    assert_eq!(early.verdict, "retry [server_error]");
    stage.faults(&["instagram:500-after-accept"]).await;
    let first = stage.go_on(picture(&stage), early.checkpoint).await;
    assert_eq!(first.verdict, "doubt");
    stage.faults(&["instagram/status:500"]).await;
    let second = stage.look_again(picture(&stage), first.checkpoint).await;
    assert_eq!(second.verdict, "retry [server_error]");
    stage.faults(&["instagram/status:429"]).await;
    let third = stage
        .look_again(picture(&stage), second.checkpoint.clone())
        .await;
    assert_eq!(third.verdict, "rate_limited [rate_limited]");
    stage.heal().await;
    done(stage.look_again(picture(&stage), second.checkpoint).await);
    assert_eq!(stage.posts().await.len(), 1);
}

#[tokio::test]
async fn a_post_that_the_list_does_not_show_is_live_all_the_same() {
    let stage = stage(&["instagram:500-after-accept"]).await;
    let first = stage.publish(picture(&stage)).await;
    let other = json!({"body": "Another", "media": [{"url": stage.sample("1080x1080.jpg")}]});
    let published = done(stage.look_again(other, first.checkpoint.clone()).await);
    assert_eq!(json!(published.id), first.checkpoint.unwrap()["id"]);
    assert_eq!(published.permalink, None);
    assert_eq!(published.warnings.len(), 1);
}

#[tokio::test]
async fn what_follows_a_live_post_never_fails_it() {
    for fault in [
        "500",
        "reset",
        "reset-after-accept",
        "hang",
        "bad-json",
        "429",
        "401",
        "rejected",
    ] {
        let mut stage = stage(&[&format!("instagram/comment:{fault}")]).await;
        stage.timeout = SHORT;
        let mut content = picture(&stage);
        content["options"] = json!({"first_comment": "First!"});
        let published = done(stage.publish(content).await);
        assert_eq!(published.warnings.len(), 1, "{fault}");
        assert!(
            published.warnings[0].starts_with("no first comment: "),
            "{fault}"
        );
        let posts = stage.posts().await;
        assert_eq!(posts.len(), 1, "{fault}");
        assert!(
            posts[0]["comments"].as_array().unwrap().len() <= 1,
            "{fault}"
        );
    }
}

#[tokio::test]
async fn refusals_leave_nothing_behind() {
    for (fault, expected) in [
        ("429:retry-after=180", "rate_limited [rate_limited]"),
        ("401", "unauthorized [needs_login]"),
        ("rejected", "rejected [rejected]"),
    ] {
        for step in ["publish", "prepare"] {
            let stage = stage(&[&format!("instagram/{step}:{fault}")]).await;
            let ending = stage.publish(picture(&stage)).await;
            assert_eq!(ending.verdict, expected, "{step}:{fault}");
            assert_eq!(stage.posts().await.len(), 0, "{step}:{fault}");
        }
    }
}

#[tokio::test]
async fn a_token_is_refused_in_the_right_words() {
    for (token, expected) in [
        ("expired-1", "unauthorized [needs_login]"),
        ("revoked-1", "needs_login [needs_login]"),
        ("scopes(instagram_basic)1", "needs_login [needs_login]"),
    ] {
        let mut stage = stage(&[]).await;
        stage.credentials = json!({"access_token": token});
        let ending = stage.publish(picture(&stage)).await;
        assert_eq!(ending.verdict, expected, "{token}");
        assert!(!ending.message.contains(token), "{}", ending.message);
    }
}

#[tokio::test]
async fn instagrams_own_token_buys_its_successor() {
    let mut stage = stage(&[]).await;
    stage
        .account_settings
        .insert("login".to_owned(), json!("instagram"));
    assert!(stage.api(async |api| stage.platform.can_refresh(api)).await);
    let renewed = stage.refresh().await.unwrap();
    assert_ne!(renewed.access_token.expose_secret(), "good");
    assert!(renewed.lives.is_some());
    stage.credentials = json!({"access_token": renewed.access_token.expose_secret()});
    done(stage.publish(picture(&stage)).await);

    stage.credentials = json!({"access_token": "young-1"});
    let kept = stage.refresh().await.unwrap();
    assert_eq!(kept.access_token.expose_secret(), "young-1");
    for token in ["expired-1", "revoked-1"] {
        stage.credentials = json!({"access_token": token});
        let failure = stage.refresh().await.unwrap_err();
        assert_eq!(verdict(&failure), "needs_login [needs_login]", "{token}");
    }
    stage.credentials = json!({"access_token": "flaky-1"});
    let failure = stage.refresh().await.unwrap_err();
    assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
    stage.refresh().await.unwrap();
}

#[tokio::test]
async fn a_users_token_buys_a_pages() {
    let mut stage = stage(&[]).await;
    stage.credentials = json!({"access_token": "expired-page", "refresh_token": "user"});
    assert!(!stage.api(async |api| stage.platform.can_refresh(api)).await);
    stage
        .account_settings
        .insert("page_id".to_owned(), json!("2002"));
    assert!(stage.api(async |api| stage.platform.can_refresh(api)).await);
    let renewed = stage.refresh().await.unwrap();
    assert!(renewed.refresh_token.is_none());
    assert_eq!(renewed.lives, None);

    stage.app = App {
        client_id: Some("1".to_owned()),
        client_secret: Some("secret".into()),
    };
    let renewed = stage.refresh().await.unwrap();
    assert!(renewed.refresh_token.is_some());
    stage.credentials = json!({"access_token": renewed.access_token.expose_secret()});
    done(stage.publish(picture(&stage)).await);

    stage.credentials = json!({"access_token": "x", "refresh_token": "revoked-user"});
    let failure = stage.refresh().await.unwrap_err();
    assert_eq!(verdict(&failure), "needs_login [needs_login]");
    stage.app.client_secret = Some("wrong".into());
    let failure = stage.refresh().await.unwrap_err();
    assert_eq!(verdict(&failure), "retry [app]");
    assert!(
        failure
            .reason()
            .message
            .contains("PUBLISHER_INSTAGRAM_CLIENT_SECRET")
    );
}

#[tokio::test]
async fn a_check_tells_what_the_token_opens() {
    let mut stage = stage(&[]).await;
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.name.as_deref(), Some("@account_1001"));
    assert!(
        standing.notes[0].starts_with("0 of 100 posts"),
        "{:?}",
        standing.notes
    );
    stage.app = App {
        client_id: Some("1".to_owned()),
        client_secret: Some("secret".into()),
    };
    stage.credentials = json!({"access_token": "scopes(instagram_basic,pages_read_engagement)1"});
    let standing = stage.check().await.unwrap();
    assert_eq!(standing.missing, ["instagram_content_publish"]);
    stage.credentials = json!({"access_token": "expired-1"});
    let failure = stage.check().await.unwrap_err();
    assert_eq!(verdict(&failure), "unauthorized [needs_login]");
}

/// Code and subcode of a refusal; nought and nought if it is none.
async fn ask(stage: &Stage, method: Method, path: &str, body: &Value) -> (Value, (i64, i64)) {
    let url = format!("{}/instagram/{path}", stage.url);
    let mut request = client().request(method, url).bearer_auth("good");
    if !body.is_null() {
        request = request.json(body);
    }
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let number = |name: &str| answer["error"][name].as_i64().unwrap_or_default();
    let codes = (number("code"), number("error_subcode"));
    (answer, codes)
}

async fn make(stage: &Stage, body: &Value) -> (String, (i64, i64)) {
    let (answer, codes) = ask(stage, Method::POST, "v25.0/1001/media", body).await;
    (answer["id"].as_str().unwrap_or_default().to_owned(), codes)
}

async fn publish(stage: &Stage, account: &str, id: &str) -> (i64, i64) {
    let path = format!("v25.0/{account}/media_publish");
    ask(stage, Method::POST, &path, &json!({"creation_id": id}))
        .await
        .1
}

#[tokio::test]
async fn the_sandbox_refuses_what_instagram_refuses() {
    let stage = stage(&[]).await;
    let (jpeg, film) = (stage.sample("1080x1080.jpg"), stage.sample("reel-9s.mp4"));
    let tag = json!({"username": "a", "x": 0.5, "y": 0.5});
    for (body, code) in [
        (json!({"caption": "no image"}), (100, 0)),
        (json!({"image_url": "ftp://a.b/a.jpg"}), (9004, 2_207_052)),
        (
            json!({"image_url": stage.sample("nothing.jpg")}),
            (9004, 2_207_052),
        ),
        (
            json!({"image_url": stage.sample("800x800.png")}),
            (36001, 2_207_005),
        ),
        (
            json!({"image_url": stage.sample("4000x100.jpg")}),
            (36003, 2_207_009),
        ),
        (
            json!({"image_url": stage.sample("1080x1920.jpg")}),
            (36003, 2_207_009),
        ),
        (
            json!({"image_url": jpeg, "caption": "é".repeat(2201)}),
            (36004, 2_207_010),
        ),
        (json!({"image_url": jpeg, "colour": "red"}), (100, 0)),
        (json!({"image_url": jpeg, "share_to_feed": true}), (100, 0)),
        (
            json!({"image_url": jpeg, "collaborators": ["a", "b", "c", "d"]}),
            (100, 0),
        ),
        (json!({"image_url": jpeg, "location_id": "here"}), (100, 0)),
        (
            json!({"image_url": jpeg, "user_tags": vec![tag; 21]}),
            (100, 2_207_040),
        ),
        (
            json!({"image_url": jpeg, "user_tags": [{"username": "a"}]}),
            (100, 0),
        ),
        (
            json!({"image_url": jpeg, "media_type": "VIDEO"}),
            (100, 2_207_023),
        ),
        (json!({"media_type": "REELS", "image_url": jpeg}), (100, 0)),
        (
            json!({"media_type": "REELS", "video_url": film, "thumb_offset": 10_000}),
            (1, 2_207_057),
        ),
        (
            json!({"media_type": "REELS", "video_url": film, "upload_type": "resumable"}),
            (100, 0),
        ),
        (
            json!({"media_type": "STORIES", "video_url": film, "caption": "x"}),
            (100, 0),
        ),
        (
            json!({"is_carousel_item": true, "image_url": jpeg, "caption": "x"}),
            (100, 0),
        ),
        (
            json!({"media_type": "CAROUSEL", "children": "1"}),
            (100, 2_207_028),
        ),
        (
            json!({"media_type": "CAROUSEL", "children": "1,2"}),
            (24, 2_207_008),
        ),
    ] {
        let (_, codes) = make(&stage, &body).await;
        assert_eq!(codes, code, "{body}");
    }
    // A picture is no video: that comes out when it is processed.
    let (id, _) = make(&stage, &json!({"media_type": "REELS", "video_url": jpeg})).await;
    let path = format!("v25.0/{id}?fields=status_code,status");
    let (status, _) = ask(&stage, Method::GET, &path, &Value::Null).await;
    assert_eq!(status["status_code"], "ERROR");
    assert!(status["status"].as_str().unwrap().contains("2207026"));
}

#[tokio::test]
async fn the_sandbox_publishes_a_container_once_and_for_its_account() {
    let stage = stage(&[]).await;
    let jpeg = stage.sample("1080x1080.jpg");
    let (id, _) = make(&stage, &json!({"image_url": jpeg})).await;
    assert_eq!(publish(&stage, "1002", &id).await, (24, 2_207_006));
    assert_eq!(publish(&stage, "1001", &id).await, (0, 0));
    assert_eq!(publish(&stage, "1001", &id).await, (9007, 2_207_027));
    let (item, _) = make(
        &stage,
        &json!({"is_carousel_item": true, "image_url": jpeg}),
    )
    .await;
    assert_eq!(publish(&stage, "1001", &item).await, (100, 2_207_023));
    let (single, _) = make(&stage, &json!({"image_url": jpeg})).await;
    let mixed = json!({"media_type": "CAROUSEL", "children": [item, single]});
    assert_eq!(make(&stage, &mixed).await.1, (100, 2_207_028));
    assert_eq!(stage.posts().await.len(), 1);
}

#[tokio::test]
async fn the_sandbox_takes_bytes_in_their_order() {
    let stage = stage(&[]).await;
    let reel = json!({"media_type": "REELS", "upload_type": "resumable"});
    let (made, _) = ask(&stage, Method::POST, "v25.0/1001/media", &reel).await;
    let id = made["id"].as_str().unwrap();
    let send = async |token: &str, offset: u64, bytes: Vec<u8>| {
        let request = client().post(made["uri"].as_str().unwrap()).body(bytes);
        let request = request.header("authorization", token);
        let request = request.header("offset", offset).header("file_size", 10);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["debug_info"]["type"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(
        send("OAuth good", 4, vec![7; 6]).await,
        "OffsetInvalidError"
    );
    assert_eq!(
        send("OAuth good", 0, vec![7; 4]).await,
        "PartialRequestError"
    );
    let path = format!("v25.0/{id}?fields=status_code,video_status");
    let (status, _) = ask(&stage, Method::GET, &path, &Value::Null).await;
    assert_eq!(
        status["video_status"]["uploading_phase"]["bytes_transferred"],
        4
    );
    assert_eq!(publish(&stage, "1001", id).await, (9007, 2_207_027));
    // The Graph API's scheme is not this host's.
    assert_eq!(send("Bearer good", 4, vec![7; 6]).await, "");
    assert_eq!(send("OAuth good", 4, vec![7; 6]).await, "");
    let (status, _) = ask(&stage, Method::GET, &path, &Value::Null).await;
    assert_eq!(status["status_code"], "ERROR", "ten bytes are no film");
    assert_eq!(
        send("OAuth good", 0, vec![7; 10]).await,
        "ProcessingFailedError"
    );
}

/// A hundred posts, and not one more: the client reads the limit before it publishes.
#[tokio::test]
async fn an_account_that_is_full_is_left_alone() {
    let stage = stage(&[]).await;
    let body = json!({"image_url": stage.sample("1080x1080.jpg")});
    for _ in 0..99 {
        let (id, _) = make(&stage, &body).await;
        assert_eq!(publish(&stage, "1001", &id).await, (0, 0));
    }
    let last = done(stage.publish(picture(&stage)).await);
    assert!(last.pause.is_some(), "the last one says so");
    let over = stage.publish(picture(&stage)).await;
    assert_eq!(over.verdict, "rate_limited [rate_limited]");
    assert!(
        over.message.contains("100 posts in 24 hours"),
        "{}",
        over.message
    );
    let (id, _) = make(&stage, &body).await;
    assert_eq!(publish(&stage, "1001", &id).await, (9, 2_207_042));
    assert_eq!(stage.posts().await.len(), 100);
    // Without an answer about the limit the post is tried, and Instagram's own word counts.
    stage.faults(&["instagram/status:rejected:50%"]).await;
    let tried = stage.publish(picture(&stage)).await;
    assert_eq!(tried.verdict, "rate_limited [rate_limited]");
}

#[tokio::test]
async fn the_sandbox_makes_four_hundred_containers_a_day() {
    let stage = stage(&[]).await;
    let body = json!({"media_type": "REELS", "upload_type": "resumable"});
    for _ in 0..400 {
        assert_eq!(make(&stage, &body).await.1, (0, 0));
    }
    assert_eq!(make(&stage, &body).await.1, (9, 2_207_042));
}
