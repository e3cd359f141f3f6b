use std::time::Duration;

use serde_json::{Value, json};

use super::checkpoint::Checkpoint;
use super::content::{self, Role, marks};
use super::errors::{accept, classify, is_not_ready, is_unknown, used_up};
use super::flow::Status;
use super::upload::{self, Sent};
use super::*;
use crate::http::testing::{reply, verdict};
use crate::http::{Effect, Reply};
use crate::limits::Limits;
use crate::media::{Facts, Family};
use crate::post::{Content, Media};
use crate::review;

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

fn problems(value: Value) -> Vec<String> {
    review::testing::problems(&Instagram, &content(value))
}

/// What is wrong once the media were looked at.
fn problems_with(value: Value, facts: Facts) -> Vec<String> {
    let content = content(value);
    let facts = vec![facts; content.media.len()];
    let limits = Limits::documented(Instagram.figures());
    review::problems(&Instagram, &content, (facts, Vec::new()), limits)
}

fn body(value: Value, role: Role, url: Option<&str>) -> Value {
    let content = content(value);
    let media: Vec<Media> = content.media().unwrap();
    content::medium(&content, role, &media[0], url).unwrap()
}

#[test]
fn each_role_has_its_own_parameters() {
    let post = json!({
        "body": "Hi #there",
        "media": [{"url": "https://a.b/c", "alt": "A cat"}],
        "options": {
            "collaborators": ["@you"], "location_id": 7, "share_to_feed": false, "thumb_offset_ms": 5,
            "audio_name": "Song", "user_tags": [{"username": "me", "x": 0.5, "y": 1.0}],
        },
    });
    let url = Some("https://a.b/c");
    assert_eq!(
        body(post.clone(), Role::Picture, url),
        json!({
            "image_url": "https://a.b/c", "caption": "Hi #there", "alt_text": "A cat", "collaborators": ["you"],
            "location_id": "7", "user_tags": [{"username": "me", "x": 0.5, "y": 1.0}],
        })
    );
    assert_eq!(
        body(post.clone(), Role::Reel, None),
        json!({
            "media_type": "REELS", "upload_type": "resumable", "caption": "Hi #there", "collaborators": ["you"],
            "location_id": "7", "share_to_feed": false, "thumb_offset": 5, "audio_name": "Song",
            "user_tags": [{"username": "me", "x": 0.5, "y": 1.0}],
        })
    );
    assert_eq!(
        body(post.clone(), Role::Item(Family::Video), url),
        json!({"is_carousel_item": true, "media_type": "VIDEO", "video_url": "https://a.b/c"})
    );
    assert_eq!(
        body(post.clone(), Role::Item(Family::Image), url),
        json!({"is_carousel_item": true, "image_url": "https://a.b/c", "alt_text": "A cat"})
    );
    let bare = json!({"media": [{"url": "https://a.b/c"}]});
    assert_eq!(
        body(bare.clone(), Role::Story(Family::Image), url),
        json!({"media_type": "STORIES", "image_url": "https://a.b/c"})
    );
    assert_eq!(
        body(bare, Role::Picture, url),
        json!({"image_url": "https://a.b/c"})
    );
    assert_eq!(
        content::carousel(&content(post), &["1", "2"]).unwrap(),
        json!({
            "media_type": "CAROUSEL", "children": "1,2", "caption": "Hi #there", "collaborators": ["you"],
            "location_id": "7",
        })
    );
}

#[test]
fn every_problem_is_named_at_once() {
    let found = problems(json!({
        "body": format!("{}{}{}", "#a ".repeat(31), "@b ".repeat(21), "c".repeat(2200)),
        "link": "https://a.b",
        "media": [{"url": "https://a.b/a.png", "alt": "d".repeat(1001)}],
        "options": {
            "first_comment": 5, "collaborators": ["a", "b", "c", "not a name"], "location_id": "here",
            "user_tags": [{"username": "me"}], "cover_url": "ftp://a.b", "thumb_offset_ms": -1,
        },
    }));
    assert_eq!(
        found,
        [
            "Instagram has no link posts; leave the link out or write it into the body",
            "the caption has 2356 characters; Instagram takes 2200",
            "the caption has 31 hashtags; Instagram takes 30",
            "the caption has 21 mentions; Instagram takes 20",
            "media 1 (https://a.b/a.png) is image/png; Instagram takes JPEG pictures",
            "the alternative text of media 1 has 1001 characters; Instagram takes 1000",
            "option `first_comment` must be a text",
            "the post has 4 collaborators; Instagram takes 3",
            "option `collaborators` must be a list of user names",
            "option `location_id` must be the id of a Page, a number",
            "option `user_tags`: in a picture every tag needs x and y",
            "option `thumb_offset_ms` must be a number of milliseconds",
            "option `cover_url`: addresses start with http:// or https://, not ftp:",
            "option `cover_url` is for reels alone",
        ]
    );
}

#[test]
fn each_kind_has_its_media() {
    let picture = json!({"url": "https://a.b/c.jpg"});
    let video = json!({"url": "https://a.b/c.mp4"});
    let text = json!({"url": "https://a.b/c.pdf"});
    let many = |count| vec![picture.clone(); count];
    for (kind, media, expected) in [
        ("post", vec![picture.clone()], None),
        ("post", vec![video.clone()], None),
        ("post", many(10), None),
        (
            "post",
            many(11),
            Some("the post has 11 media; Instagram takes 10"),
        ),
        (
            "post",
            many(0),
            Some("Instagram has no posts without media; add a picture or a video"),
        ),
        (
            "post",
            vec![text],
            Some(
                "media 1 (https://a.b/c.pdf) is application/pdf; Instagram takes pictures and videos",
            ),
        ),
        ("reel", vec![video.clone()], None),
        (
            "reel",
            vec![picture.clone()],
            Some("media 1 (https://a.b/c.jpg) is image/jpeg; Instagram takes videos as reels"),
        ),
        (
            "reel",
            vec![video.clone(); 2],
            Some("a reel is exactly one video; this one has 2 media"),
        ),
        ("story", vec![picture.clone()], None),
        ("story", vec![video], None),
        (
            "story",
            many(2),
            Some("a story on Instagram is exactly one picture or video; this one has 2 media"),
        ),
        (
            "reply",
            many(1),
            Some("posts on Instagram can't be replies; use a first comment"),
        ),
    ] {
        let found = problems(json!({"kind": kind, "media": media}));
        assert_eq!(
            found.first().map(String::as_str),
            expected,
            "{kind}: {found:?}"
        );
    }
    let story = json!({
        "kind": "story", "body": "Hi", "media": [picture],
        "options": {"first_comment": "x", "location_id": "7", "audio_name": "x"},
    });
    assert_eq!(
        problems(story),
        [
            "stories on Instagram have no caption; leave the body empty",
            "stories on Instagram have no `first_comment`",
            "stories on Instagram have no `location_id`",
            "option `audio_name` is for reels alone",
        ]
    );
}

#[test]
fn media_are_measured() {
    let picture = |width, height, bytes| Facts {
        family: Some(Family::Image),
        mime: Some("image/jpeg".to_owned()),
        bytes: Some(bytes),
        width: Some(width),
        height: Some(height),
        duration: None,
    };
    let video = |width, seconds, bytes| Facts {
        family: Some(Family::Video),
        mime: Some("video/mp4".to_owned()),
        bytes: Some(bytes),
        width: Some(width),
        height: Some(1920),
        duration: Some(Duration::from_secs(seconds)),
    };
    for (kind, facts, expected) in [
        ("post", picture(800, 1000, 8_000_000), None),
        ("post", picture(1910, 1000, 1), None),
        (
            "post",
            picture(799, 1000, 1),
            Some("width by height is 0.8; Instagram takes at least 0.8"),
        ),
        (
            "post",
            picture(1000, 500, 1),
            Some("width by height is 2; Instagram takes at most 1.91"),
        ),
        ("story", picture(1080, 1920, 1), None),
        (
            "post",
            picture(1, 1, 8_000_001),
            Some("the size is 8000001 bytes; Instagram takes at most 8000000 bytes"),
        ),
        ("post", video(1080, 3, 1), None),
        ("reel", video(1080, 900, 300_000_000), None),
        (
            "reel",
            video(1080, 2, 1),
            Some("the duration is 2 s; Instagram takes at least 3 s"),
        ),
        (
            "reel",
            video(1080, 901, 1),
            Some("the duration is 901 s; Instagram takes at most 900 s"),
        ),
        (
            "story",
            video(1080, 61, 1),
            Some("the duration is 61 s; Instagram takes at most 60 s"),
        ),
        (
            "story",
            video(1080, 60, 100_000_001),
            Some("the size is 100000001 bytes; Instagram takes at most 100000000 bytes"),
        ),
        (
            "reel",
            video(1921, 9, 1),
            Some("the width is 1921 pixels; Instagram takes at most 1920 pixels"),
        ),
    ] {
        let post = json!({"kind": kind, "media": [{"url": "https://a.b/c"}]});
        let expected: Vec<String> = expected
            .map(|problem| format!("media 1 (https://a.b/c): {problem}"))
            .into_iter()
            .collect();
        assert_eq!(problems_with(post, facts), expected, "{kind}");
    }
    let late = json!({
        "media": [{"url": "https://a.b/c"}],
        "options": {"thumb_offset_ms": 3001, "cover_url": "https://a.b/d"},
    });
    assert_eq!(
        problems_with(late, video(1080, 3, 1)),
        [
            "give either `cover_url` or `thumb_offset_ms`, not both",
            "option `thumb_offset_ms` is 3001; the video has 3000 ms",
        ]
    );
    let local = json!({"media": [{"path": "c.jpg"}]});
    assert_eq!(
        problems_with(local, picture(1, 1, 1)),
        [
            "media 1 (c.jpg): Instagram fetches pictures itself and can't reach a local file; give a public url or an s3:// address"
        ]
    );
}

#[test]
fn only_words_count_as_hashtags() {
    assert_eq!(marks("# a ## #b#c #1 e#f #_", '#'), 5);
    assert_eq!(marks("#", '#'), 0);
}

#[test]
fn settings_are_checked() {
    let problems = |settings: Value| Instagram.validate_settings(settings.as_object().unwrap());
    assert_eq!(
        problems(json!({"login": "instagram", "page_id": "17"})),
        Vec::<String>::new()
    );
    assert_eq!(
        problems(json!({"login": "meta", "page_id": 17})),
        [
            "login: \"meta\" is not a login; write \"facebook\" or \"instagram\"",
            "page_id: 17 is not a Facebook Page's id; write its number as a text",
        ]
    );
}

fn checkpoint() -> Checkpoint {
    let now = "2026-09-01T12:00:00Z".parse().unwrap();
    let mut checkpoint = Checkpoint::new(now, 1);
    checkpoint.id = Some("17".to_owned());
    checkpoint
}

#[test]
fn looks_grow_apart_up_to_a_minute() {
    let mut checkpoint = checkpoint();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let Step::Wait {
            checkpoint: next,
            after,
        } = checkpoint.look_again()
        else {
            panic!("a look is a wait");
        };
        waits.push(after.as_secs());
        checkpoint = Checkpoint::read(&next).unwrap();
    }
    assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
}

#[test]
fn older_checkpoints_are_read_and_unreadable_ones_are_no_licence_to_start_over() {
    let older = json!({"id": "17", "created_at": "2026-09-01T12:00:00Z", "number": 1, "looked_after_secs": 0});
    assert_eq!(Checkpoint::read(&older).unwrap(), checkpoint());
    let failure = Checkpoint::read(&json!({"session": "x"})).unwrap_err();
    assert_eq!(verdict(&failure), "unconfirmed [bug] -");
}

#[test]
fn an_upload_that_failed_in_passing_may_be_made_again() {
    let status = |text: &str| Status {
        status_code: "ERROR".to_owned(),
        status: text.to_owned(),
    };
    assert!(status("Error: Media upload has failed with error code 2207082").is_passing());
    assert!(!status("Error: unsupported format, error code 2207026").is_passing());
    assert!(!status("").is_passing());
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../tests/fixtures/instagram/",
            $name,
            ".json"
        ))
    };
}

/// Every class of error of the documentation, as an answer to a request that prepares, and to the one that publishes.
#[test]
#[expect(clippy::too_many_lines, reason = "a table has a line for each case")]
fn codes_decide() {
    let rate = "rate_limited for 3600s";
    let long = "rate_limited for 21600s, Account [rate_limited]";
    for (body, prepares, publishes) in [
        (
            fixture!("server_error"),
            "retry [server_error] -1/2207001",
            "unconfirmed [server_error] -1/2207001",
        ),
        (
            fixture!("download_timeout"),
            "retry [server_error] -2/2207003",
            "unconfirmed [server_error] -2/2207003",
        ),
        (
            fixture!("media_expired"),
            "retry [server_error] -2/2207020",
            "unconfirmed [server_error] -2/2207020",
        ),
        (
            fixture!("container_failed"),
            "retry [server_error] -1/2207032",
            "unconfirmed [server_error] -1/2207032",
        ),
        (
            fixture!("thumb_offset"),
            "rejected [rejected] 1/2207057",
            "",
        ),
        (fixture!("spam"), &format!("{long} 4/2207051"), ""),
        (
            fixture!("app_limit"),
            &format!("{rate}, Platform [rate_limited] 4"),
            "",
        ),
        (fixture!("daily_limit"), &format!("{long} 9/2207042"), ""),
        (
            fixture!("media_not_found"),
            "retry in 60s [upload_gone] 24/2207006",
            "",
        ),
        (
            fixture!("container_gone"),
            "retry in 60s [upload_gone] 24/2207008",
            "",
        ),
        (
            fixture!("restricted"),
            "needs_login [needs_login] 25/2207050",
            "",
        ),
        (
            fixture!("media_type"),
            "rejected [rejected] 100/2207023",
            "",
        ),
        (
            fixture!("carousel_count"),
            "rejected [rejected] 100/2207028",
            "",
        ),
        (
            fixture!("video_format"),
            "rejected [rejected] 352/2207026",
            "",
        ),
        (
            fixture!("not_fetched"),
            "rejected [rejected] 9004/2207052",
            "",
        ),
        (
            fixture!("image_size"),
            "rejected [rejected] 36000/2207004",
            "",
        ),
        (
            fixture!("image_format"),
            "rejected [rejected] 36001/2207005",
            "",
        ),
        (
            fixture!("aspect_ratio"),
            "rejected [rejected] 36003/2207009",
            "",
        ),
        (fixture!("caption"), "rejected [rejected] 36004/2207010", ""),
        (
            fixture!("token_expired"),
            "unauthorized [needs_login] 190/463",
            "",
        ),
        (
            fixture!("app_removed"),
            "needs_login [needs_login] 190/458",
            "",
        ),
        (
            fixture!("no_object"),
            "needs_login [needs_login] 100/33",
            "",
        ),
        (
            fixture!("no_permission"),
            "needs_login [needs_login] 10",
            "",
        ),
        (
            fixture!("call_rate"),
            &format!("{rate}, Account [rate_limited] 80002"),
            "",
        ),
    ] {
        let reply = reply(400, body);
        let publishes = if publishes.is_empty() {
            prepares
        } else {
            publishes
        };
        for (effect, expected) in [(Effect::Prepares, prepares), (Effect::Publishes, publishes)] {
            let failure = classify(&reply, effect);
            assert_eq!(verdict(&failure), format!("{expected} trace AbCdEf123"));
            assert!(!failure.reason().message.contains("EAAsecret"));
        }
    }
    assert!(is_not_ready(&reply(400, fixture!("not_ready"))));
    for gone in [
        fixture!("container_gone"),
        fixture!("no_object"),
        fixture!("media_not_found"),
    ] {
        assert!(is_unknown(&reply(400, gone)));
        assert!(!is_unknown(&reply(500, gone)));
    }
    let fault = reply(500, fixture!("daily_limit"));
    let failure = accept::<Value>(&fault, Effect::Publishes).unwrap_err();
    assert_eq!(
        verdict(&failure),
        "unconfirmed [server_error] 9/2207042 trace AbCdEf123"
    );
}

#[test]
fn the_host_for_bytes_speaks_for_itself() {
    let answer = |reply: Reply| match upload::answer(&reply) {
        Ok(Sent::Whole) => "whole".to_owned(),
        Ok(Sent::Never(_)) => "never".to_owned(),
        Err(failure) => verdict(&failure),
    };
    assert_eq!(
        answer(reply(200, r#"{"success": true, "message": "m"}"#)),
        "whole"
    );
    assert_eq!(answer(reply(400, fixture!("upload_failed"))), "never");
    assert_eq!(
        answer(reply(500, fixture!("upload_retriable"))),
        "retry in 2s [upload] -"
    );
    assert_eq!(
        answer(reply(400, fixture!("upload_offset"))),
        "retry in 2s [upload] -"
    );
    assert_eq!(answer(reply(200, "<html>")), "retry [bad_reply] -");
    assert_eq!(
        answer(reply(401, fixture!("token_expired"))),
        "unauthorized [needs_login] 190/463 trace AbCdEf123"
    );
}

#[test]
fn calls_that_are_used_up_are_rested_from() {
    let usage = |minutes: u64| json!({"1": [{"type": "instagram", "estimated_time_to_regain_access": minutes}]});
    let pause = |text: &str| used_up(&reply(200, "{}").with("x-business-use-case-usage", text));
    assert_eq!(
        pause(&usage(7).to_string()).unwrap().after,
        Duration::from_mins(7)
    );
    assert_eq!(pause(&usage(0).to_string()), None);
    assert_eq!(pause("no json"), None);
}
