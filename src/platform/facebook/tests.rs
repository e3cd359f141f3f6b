use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::checkpoint::{Edge, Stage, Upload};
use super::rules::Shape;
use super::wire::{Looked, Proof, Wanted, accept_bytes, after_break};
use super::*;
use crate::http::testing::{reply, verdict};
use crate::http::{Effect, Reply};
use crate::limits::Limits;
use crate::media::{Facts, Family, Policy, examine};
use crate::post::Content;
use crate::review;

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

fn problems(value: Value) -> Vec<String> {
    review::testing::problems(&Facebook, &content(value))
}

/// What is wrong once the media were looked at.
fn problems_with(value: Value, facts: &[Facts]) -> Vec<String> {
    let content = content(value);
    let (mut known, wrong) = examine(&content, &Policy::default());
    known.clone_from_slice(facts);
    let limits = Limits::documented(FIGURES);
    review::problems(&Facebook, &content, (known, wrong), limits)
}

fn photo(mime: &str, bytes: u64) -> Facts {
    Facts {
        family: Some(Family::Image),
        mime: Some(mime.to_owned()),
        bytes: Some(bytes),
        ..Facts::default()
    }
}

fn film(width: u32, height: u32, seconds: u64) -> Facts {
    Facts {
        family: Some(Family::Video),
        mime: Some("video/mp4".to_owned()),
        bytes: Some(1_000_000),
        width: Some(width),
        height: Some(height),
        duration: Some(Duration::from_secs(seconds)),
    }
}

fn urls(names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| json!({"url": format!("https://a.example/{name}")}))
        .collect()
}

#[test]
fn a_post_has_a_message_a_link_or_both() {
    for (post, expected) in [
        (json!({"body": "Hi"}), json!({"message": "Hi"})),
        (
            json!({"body": " ", "link": "https://a.b/c"}),
            json!({"link": "https://a.b/c"}),
        ),
        (
            json!({"body": "Hi\n<you> & me", "link": "https://a.b"}),
            json!({"message": "Hi\n<you> & me", "link": "https://a.b"}),
        ),
    ] {
        assert_eq!(problems(post.clone()), Vec::<String>::new());
        assert_eq!(json!(feed::feed_post(&content(post), &[])), expected);
    }
    let photos = ["1".to_owned(), "2".to_owned()];
    let post = content(json!({"body": "Two"}));
    let media = json!([{"media_fbid": "1"}, {"media_fbid": "2"}]);
    let expected = json!({"message": "Two", "attached_media": media});
    assert_eq!(json!(feed::feed_post(&post, &photos)), expected);
}

#[test]
fn media_and_kind_decide_how_a_post_is_made() {
    for (kind, medium, expected) in [
        (
            "post",
            json!({"url": "https://a.example/a.jpg"}),
            "HostedPhoto(\"https://a.example/a.jpg\")",
        ),
        ("post", json!({"path": "a.jpg"}), "Photos"),
        ("post", json!({"url": "s3://b/a.jpg"}), "Photos"),
        (
            "post",
            json!({"url": "https://a.example/a.mp4"}),
            "HostedVideo(\"https://a.example/a.mp4\")",
        ),
        ("post", json!({"path": "a.mp4"}), "Video(Videos)"),
        ("post", json!({"url": "s3://b/a.mp4"}), "Video(Videos)"),
        (
            "reel",
            json!({"url": "https://a.example/a"}),
            "Video(Reels)",
        ),
        (
            "story",
            json!({"url": "https://a.example/a.mp4"}),
            "Video(Stories)",
        ),
        ("story", json!({"url": "https://a.example/a.jpg"}), "Photos"),
    ] {
        let content = content(json!({"kind": kind, "media": [medium]}));
        let media = content.media().unwrap();
        assert_eq!(format!("{:?}", Shape::of(&content, &media, &[])), expected);
    }
    let bare = content(json!({"body": "Hi", "media": [{"url": "https://a.example/a"}]}));
    let media = bare.media().unwrap();
    let shape = Shape::of(&bare, &media, &[film(1280, 720, 5)]);
    assert_eq!(
        shape,
        Shape::HostedVideo("https://a.example/a"),
        "by its own bytes"
    );
}

#[test]
fn every_problem_is_named_at_once() {
    for (post, expected) in [
        (
            json!({"body": "\n"}),
            &["a Facebook post needs a body, a link or media"][..],
        ),
        (
            json!({"kind": "reply", "body": "é".repeat(63_207), "link": "example.com", "options": {"first_comment": 1}}),
            &[
                "link: the address is not a URL: relative URL without a base",
                "replies on Facebook are not supported; what the page says under its own post is the option \
                 `first_comment`",
                "the body has 63207 characters; Facebook takes 63206",
                "option `first_comment` must be a text",
            ],
        ),
        (
            json!({"link": "https://a.b", "media": urls(&["a.jpg"])}),
            &[
                "Facebook shows either a link or media; leave one of them out, or write the link into the body",
            ],
        ),
        (
            json!({"media": urls(&["a.jpg", "b.mp4"]), "options": {"title": ["x"]}}),
            &[
                "a Facebook post has either photos or one video, not both; make two posts of it",
                "option `title` must be a text",
            ],
        ),
        (
            json!({"media": urls(&["a.mp4", "b.mp4"])}),
            &["a Facebook post has at most one video; this one has 2"],
        ),
        (
            json!({"media": urls(&["a.jpg"; 11])}),
            &["the post has 11 photos; Facebook takes 10"],
        ),
        (
            json!({"media": urls(&["a.pdf", "b.webp"])}),
            &[
                "media 1 (https://a.example/a.pdf) is application/pdf; Facebook takes photos and videos",
                "media 2 (https://a.example/b.webp) is image/webp; Facebook takes JPEG, PNG, GIF, BMP and TIFF pictures",
            ],
        ),
        (
            json!({"kind": "reel", "link": "https://a.b", "media": urls(&["a.jpg", "b.jpg"])}),
            &[
                "a reel on Facebook needs exactly one video; this post has 2 media",
                "a reel on Facebook is a video; publish a picture as a post or a story",
                "a reel on Facebook has no link; write it into the body",
            ],
        ),
        (
            json!({"kind": "story", "body": "Hi", "options": {"first_comment": "Hi"}}),
            &[
                "a story on Facebook needs exactly one picture or video; this post has 0 media",
                "a story on Facebook has no text and no link; leave the body and the link empty",
                "a story on Facebook has no comments; leave `first_comment` out",
            ],
        ),
        (
            json!({"kind": "story", "media": urls(&["a.jpg"]), "options": {"first_comment": " "}}),
            &[],
        ),
        (json!({"media": urls(&["a.jpg"; 10])}), &[]),
        (
            json!({"kind": "reel", "media": urls(&["a.mp4"]), "options": {"title": null}}),
            &[],
        ),
    ] {
        assert_eq!(problems(post), expected);
    }
}

#[test]
fn what_media_are_decides_too() {
    let one = |kind: &str| json!({"kind": kind, "media": urls(&["a"])});
    let big = Facts {
        bytes: Some(1_000_000_001),
        ..film(1280, 720, 1201)
    };
    let turned = |facts: Facts| Facts {
        mime: Some("video/webm".to_owned()),
        ..facts
    };
    for (post, facts, expected) in [
        (one("post"), photo("image/jpeg", 10_000_000), &[][..]),
        (
            one("post"),
            photo("image/jpeg", 10_000_001),
            &["the size is 10000001 bytes; Facebook takes at most 10000000 bytes"],
        ),
        (
            one("post"),
            big,
            &[
                "the duration is 1201 s; Facebook takes at most 1200 s",
                "the size is 1000000001 bytes; Facebook takes at most 1000000000 bytes",
            ],
        ),
        (one("post"), film(854, 480, 5), &[]),
        (
            one("post"),
            film(2560, 1080, 5),
            &["width by height is 2.37; Facebook takes at most 1.8"],
        ),
        (one("reel"), film(1080, 1920, 90), &[]),
        (
            one("reel"),
            film(320, 640, 91),
            &[
                "the duration is 91 s; Facebook takes at most 90 s",
                "the shorter side is 320 pixels; Facebook takes at least 540 pixels",
                "the longer side is 640 pixels; Facebook takes at least 960 pixels",
                "width by height is 0.5; Facebook takes at least 0.55",
            ],
        ),
        (
            one("story"),
            film(1080, 1920, 61),
            &["the duration is 61 s; Facebook takes at most 60 s"],
        ),
        (
            one("story"),
            film(1080, 1920, 2),
            &["the duration is 2 s; Facebook takes at least 3 s"],
        ),
    ] {
        let found = problems_with(post, std::slice::from_ref(&facts));
        let named: Vec<String> = expected
            .iter()
            .map(|problem| format!("media 1 (https://a.example/a): {problem}"))
            .collect();
        assert_eq!(found, named, "{facts:?}");
    }
    let webm = problems_with(one("reel"), &[turned(film(1080, 1920, 9))]);
    assert_eq!(
        webm,
        [
            "media 1 (https://a.example/a) is video/webm; Facebook takes MP4 and other common videos, but not this type"
        ]
    );
    let file = json!({"media": [{"url": "s3://b/a.mp4"}]});
    let large = Facts {
        bytes: Some(2_000_000_000),
        ..film(1280, 720, 1201)
    };
    let found = problems_with(file, &[large]).join("; ");
    assert!(!found.contains("takes at most"), "in chunks: {found}");
}

#[test]
fn a_page_is_a_number() {
    assert!(Facebook.validate_account("104857600").is_ok());
    for id in ["", "me", "12/34", "١٢"] {
        assert!(Facebook.validate_account(id).is_err(), "{id}");
    }
}

#[test]
fn permalinks_are_made_whole_and_foreign_ones_are_not_believed() {
    let fallback = "https://www.facebook.com/1_2";
    for (named, expected) in [
        (
            Some("https://www.facebook.com/1/posts/2"),
            "https://www.facebook.com/1/posts/2",
        ),
        (Some("/reel/7/"), "https://www.facebook.com/reel/7/"),
        (Some("//evil.example/"), fallback),
        (Some("javascript:alert(1)"), fallback),
        (None, fallback),
    ] {
        assert_eq!(feed::absolute(named, fallback.to_owned()), expected);
    }
}

/// A recorded reply: `{status, headers, body}`.
#[derive(Deserialize)]
struct Fixture {
    status: u16,
    headers: std::collections::HashMap<String, String>,
    body: Value,
}

impl Fixture {
    fn reply(&self) -> Reply {
        let body = match &self.body {
            Value::String(page) => page.clone(),
            body => body.to_string(),
        };
        let usage = ["x-app-usage", "x-business-use-case-usage"];
        let mut plain = reply(self.status, &body);
        "104857600".clone_into(&mut plain.asker.external_id);
        usage
            .iter()
            .fold(plain, |reply, name| match self.headers.get(*name) {
                Some(value) => reply.with(name, value),
                None => reply,
            })
    }
}

macro_rules! fixtures {
    ($($name:literal => $expected:literal,)*) => {
        [$((
            $name,
            include_str!(concat!("../../../tests/fixtures/facebook/", $name, ".json")),
            $expected,
        )),*]
    };
}

#[test]
fn every_class_of_error_is_a_decision() {
    let trace = " trace AbC1dEf2GhI3jKl4MnO5pQ6";
    for (name, fixture, expected) in fixtures![
        "unknown_error" => "unconfirmed [server_error] 1",
        "unknown_error_400" => "unconfirmed [server_error] 1",
        "service_unavailable" => "unconfirmed [server_error] 2",
        "transient" => "unconfirmed [server_error] 1348004",
        "service_hiccup" => "unconfirmed [server_error] 100/1609010",
        "video_upload_failed" => "retry [upload] 6001",
        "video_upload_timeout" => "retry [upload] 6000/1363030",
        "video_url_not_fetched" => "retry [fetch] 389",
        "app_limit" => "rate_limited for 3600s, Platform [rate_limited] 4",
        "application_limit_341" => "rate_limited for 3600s, Platform [rate_limited] 341",
        "user_limit" => "rate_limited for 3600s, Account [rate_limited] 17",
        "page_limit_user_token" => "rate_limited for 3600s, Account [rate_limited] 32",
        "custom_limit" => "rate_limited for 3600s, Account [rate_limited] 613/1996",
        "page_limit" => "rate_limited for 1140s, Account [rate_limited] 80001",
        "posting_too_fast" => "rate_limited for 21600s, Account [rate_limited] 368/1390008",
        "limited_access" => "rate_limited for 21600s, Account [rate_limited] 368/1404112",
        "identity_check" => "needs_login [needs_login] 368/4854002",
        "flagged_abusive" => "rejected [rejected] 368/1346003",
        "community_standards" => "rejected [rejected] 368/1404102",
        "same_content" => "rejected [duplicate] 368/1404082",
        "duplicate" => "rejected [duplicate] 506/1455006",
        "photos_posted_already" => "rejected [duplicate] 100/1366051",
        "token_expired" => "unauthorized [needs_login] 190/463",
        "token_invalid" => "unauthorized [needs_login] 190/467",
        "token_malformed" => "unauthorized [needs_login] 190",
        "session_key" => "unauthorized [needs_login] 102",
        "app_removed" => "needs_login [needs_login] 190/458",
        "checkpointed" => "needs_login [needs_login] 190/459",
        "password_changed" => "needs_login [needs_login] 190/460",
        "unconfirmed_user" => "needs_login [needs_login] 190/464",
        "role_lost" => "needs_login [needs_login] 190/492",
        "permission_missing" => "needs_login [needs_login] 200",
        "capability_missing" => "needs_login [needs_login] 3",
        "permission_10" => "needs_login [needs_login] 10",
        "page_publishing_authorization" => "needs_login [needs_login] 100/1404078",
        "invalid_parameter" => "rejected [rejected] 100",
        "link_not_scraped" => "rejected [rejected] 1609005/1609005",
        "link_to_facebook" => "rejected [rejected] 100/1609008",
        "bad_url" => "rejected [rejected] 100/2061006",
        "photo_format" => "rejected [rejected] 100/1349125",
        "photo_too_large" => "rejected [rejected] 1/1366046",
        "file_invalid" => "rejected [rejected] 324/2069019",
        "video_too_small" => "rejected [rejected] 382",
        "reel_aspect" => "rejected [rejected] 100/1363040",
        "reel_duration" => "rejected [rejected] 100/1363128",
        "no_such_page" => "needs_login [needs_login] 100/33",
        "unknown_version" => "retry [version] 2500",
    ] {
        let fixture: Fixture = serde_json::from_str(fixture).unwrap();
        let failure = graph::classify(&fixture.reply(), Effect::Publishes);
        assert_eq!(verdict(&failure), format!("{expected}{trace}"), "{name}");
        let message = &failure.reason().message;
        assert!(!message.contains("EAAsecret"), "{name}: {message}");
    }
    let [(_, page, expected)] = fixtures!["proxy_page" => "unconfirmed [server_error] 502",];
    let page: Fixture = serde_json::from_str(page).unwrap();
    let failure = graph::classify(&page.reply(), Effect::Publishes);
    assert_eq!(verdict(&failure), expected);
}

#[test]
fn the_host_of_bytes_has_errors_of_its_own() {
    for (name, fixture, expected) in fixtures![
        "rupload_processing" => "rejected [upload] ProcessingFailedError",
        "rupload_offset" => "retry [upload] OffsetInvalidError",
        "rupload_partial" => "retry [upload] PartialRequestError",
        "token_expired" => "unauthorized [needs_login] 190/463 trace AbC1dEf2GhI3jKl4MnO5pQ6",
        "proxy_page" => "retry [server_error] 502",
    ] {
        let fixture: Fixture = serde_json::from_str(fixture).unwrap();
        let failure = accept_bytes(&fixture.reply()).unwrap_err();
        assert_eq!(verdict(&failure), expected, "{name}");
    }
    assert!(accept_bytes(&reply(200, r#"{"success": true}"#)).is_ok());
    let no = accept_bytes(&reply(200, r#"{"success": false}"#)).unwrap_err();
    assert_eq!(verdict(&no), "retry [upload] -");
    let odd = accept_bytes(&reply(200, "<html>")).unwrap_err();
    assert_eq!(verdict(&odd), "retry [bad_reply] -");
}

#[test]
fn a_videos_status_proves_what_became_of_it() {
    let broken = |why: &str| Proof::Broken(why.to_owned());
    for (status, expected) in [
        (
            json!({"video_status": "ready", "publishing_phase": {"status": "complete", "publish_status": "published"}}),
            Proof::Published,
        ),
        (
            json!({"video_status": "upload_complete", "publishing_phase": {"status": "not_started"}}),
            Proof::Untouched,
        ),
        (json!({"video_status": "uploading"}), Proof::Untouched),
        (
            json!({"video_status": "ready", "publishing_phase": {"publish_status": "draft"}}),
            Proof::Draft,
        ),
        (
            json!({"video_status": "processing", "publishing_phase": {"publish_status": "draft"}}),
            Proof::Untouched,
        ),
        (
            json!({"video_status": "ready", "publishing_phase": {"status": "not_started", "publish_status": "scheduled"}}),
            Proof::Unclear,
        ),
        (
            json!({"video_status": "processing", "publishing_phase": {"status": "not_started"}}),
            Proof::Unclear,
        ),
        (json!({"video_status": "ready"}), Proof::Published),
        (json!({}), Proof::Unclear),
        (
            json!({"video_status": "processing", "processing_phase": {"status": "error", "error": {"message": "No sound"}}}),
            broken("No sound"),
        ),
        (
            json!({"video_status": "upload_failed", "uploading_phase": {"errors": [{"message": "Too slow"}]}}),
            broken("Too slow"),
        ),
        (
            json!({"video_status": "expired"}),
            broken("it does not say why"),
        ),
    ] {
        let looked: Looked = serde_json::from_value(json!({"status": status})).unwrap();
        assert_eq!(looked.status.proof(), expected, "{status}");
    }
}

#[test]
fn offsets_are_numbers_or_texts() {
    for written in [
        json!({"start_offset": "7", "end_offset": "9"}),
        json!({"start_offset": 7, "end_offset": 9}),
    ] {
        let wanted: Wanted = serde_json::from_value(written).unwrap();
        assert_eq!((wanted.start, wanted.end), (7, 9));
    }
    let negative = json!({"start_offset": "-1", "end_offset": 9});
    assert!(serde_json::from_value::<Wanted>(negative).is_err());
}

#[test]
fn an_upload_rests_longer_from_break_to_break() {
    let waits = [1, 2, 3, 99].map(|number| after_break(number).as_secs());
    assert_eq!(waits, [2, 4, 8, 64]);
}

#[test]
fn an_older_checkpoint_is_read_and_an_unreadable_one_may_be_live() {
    let old = json!({
        "of": "video", "edge": "reels", "video": "7", "since": "2026-01-01T00:00:00Z",
    });
    let Ok(Checkpoint::Video(upload)) = Checkpoint::read(&old) else {
        panic!("it has all that is needed");
    };
    assert_eq!((upload.edge, upload.stage), (Edge::Reels, Stage::Sending));
    let back = json!(Checkpoint::Video(Upload {
        stage: Stage::Accepted,
        ..upload
    }));
    let Ok(Checkpoint::Video(upload)) = Checkpoint::read(&back) else {
        panic!("it reads what it wrote");
    };
    assert_eq!(upload.stage, Stage::Accepted);
    let mut older = back;
    older["stage"] = json!("doubtful");
    let Ok(Checkpoint::Video(upload)) = Checkpoint::read(&older) else {
        panic!("it reads what earlier versions wrote");
    };
    assert_eq!(upload.stage, Stage::Whole);
    for unreadable in [json!(null), json!({"of": "poem"}), json!("video")] {
        let failure = Checkpoint::read(&unreadable).unwrap_err();
        assert_eq!(verdict(&failure), "unconfirmed [bug] -");
    }
}
