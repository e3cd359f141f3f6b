use std::time::Duration;

use serde_json::{Value, json};

use super::options::{Options, title, video};
use super::replies::{Progress, Video, classify, until_quota_day};
use super::{YouTube, login};
use crate::http::Effect;
use crate::http::testing::{reply, verdict};
use crate::limits::Limits;
use crate::media::{Facts, Family};
use crate::platform::Platform;
use crate::post::{ClaimedPost, Content};
use crate::review;

const NOON: &str = "2026-09-01T12:00:00Z";

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/youtube/", $name, ".json"))
    };
}

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

/// What is wrong with a post whose one video has these facts.
fn problems(value: Value, facts: Facts) -> Vec<String> {
    let limits = Limits::documented(YouTube.figures());
    let content = content(value);
    let all = vec![facts; content.media.len()];
    review::problems(&YouTube, &content, (all, Vec::new()), limits)
}

fn film() -> Facts {
    Facts {
        family: Some(Family::Video),
        mime: Some("video/mp4".to_owned()),
        bytes: Some(1000),
        width: Some(1080),
        height: Some(1920),
        duration: Some(Duration::from_mins(1)),
    }
}

fn post(mut value: Value, settings: &Value) -> ClaimedPost {
    let rest = json!({
        "id": 7, "scheduled_at": NOON, "expires_at": NOON, "attempts": 1, "max_attempts": 5,
        "checkpoint": null,
        "account": {
            "id": 1, "owner": "o", "platform": "youtube", "external_id": "UC", "settings": settings,
            "credentials": null, "token_expires_at": null,
        },
    });
    let fields = value.as_object_mut().unwrap();
    fields.extend(rest.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_video_has_a_title_a_description_and_what_else_is_given() {
    let bare = json!({"body": "\nFirst\nSecond"});
    assert_eq!(
        video(&post(bare.clone(), &json!({}))),
        json!({
            "snippet": {"title": "First", "description": "\nFirst\nSecond"},
            "status": {"privacyStatus": "public"},
        })
    );
    let unlisted = post(bare, &json!({"privacy": "unlisted"}));
    assert_eq!(video(&unlisted)["status"]["privacyStatus"], "unlisted");
    let full = json!({
        "body": "Text",
        "link": "https://a.b",
        "options": {
            "title": " A \n title ", "privacy": "private", "tags": ["a", " ", "b c"], "category_id": "22",
            "made_for_kids": false, "license": "creativeCommon", "embeddable": false, "language": "pt-BR",
            "synthetic_media": true, "notify_subscribers": false, "thumbnail": "a.jpg", "playlist": "PL1",
            "first_comment": "Hi",
        },
    });
    assert_eq!(
        video(&post(full, &json!({"privacy": "unlisted"}))),
        json!({
            "snippet": {
                "title": "A title", "description": "Text\nhttps://a.b", "tags": ["a", "b c"],
                "categoryId": "22", "defaultLanguage": "pt-BR",
            },
            "status": {
                "privacyStatus": "private", "selfDeclaredMadeForKids": false, "license": "creativeCommon",
                "embeddable": false, "containsSyntheticMedia": true,
            },
        })
    );
    let nothing =
        json!({"body": "Text", "options": {"title": "", "tags": null, "category_id": " "}});
    let nothing = video(&post(nothing, &json!({})));
    assert_eq!(
        nothing["snippet"],
        json!({"title": "Text", "description": "Text"})
    );
}

#[test]
fn a_long_first_line_is_cut_to_a_title() {
    let content = content(json!({"body": "a".repeat(101)}));
    let title = title(&content, &Options::default());
    assert_eq!(title.chars().count(), 100);
    assert!(title.ends_with("a…"));
}

#[test]
fn every_problem_is_named_at_once() {
    let fine = json!({"body": "Hi", "media": [{"path": "a.mp4"}]});
    assert_eq!(problems(fine, Facts::default()), Vec::<String>::new());
    let all = json!({
        "kind": "story",
        "body": format!("<{}", "ä".repeat(2500)),
        "media": [{"path": "a.mp4"}, {"path": "b.mp4"}],
        "options": {
            "title": format!("{}>", "b".repeat(100)), "privacy": "secret", "category_id": 22,
            "tags": ["c".repeat(250), format!("{} d", "d".repeat(248))], "made_for_kids": "no",
            "license": "mine", "embeddable": 1, "language": "english", "notify_subscribers": [],
            "synthetic_media": {}, "thumbnail": "a.webp", "playlist": "https://youtube.com/playlist?list=PL1",
            "first_comment": "x".repeat(10_001),
        },
    });
    assert_eq!(
        problems(all, film()),
        [
            "YouTube has videos and Shorts (kind `reel`); it has no stories, and no replies of their own",
            "option `privacy` must be public, unlisted or private",
            "option `category_id` must be a text such as \"22\"",
            "option `made_for_kids` must be true or false",
            "option `license` must be youtube or creativeCommon",
            "option `embeddable` must be true or false",
            "option `notify_subscribers` must be true or false",
            "option `synthetic_media` must be true or false",
            "the title has 101 characters; YouTube takes 100",
            "YouTube takes no < or > in the title",
            "the description (body and link) has 5001 bytes; YouTube takes 5000",
            "YouTube takes no < or > in the description",
            "the list of tags has 503 characters with its commas and quotes; YouTube takes 500",
            "the first comment has 10001 characters; YouTube takes 10000",
            "option `language` must be a language's code, such as en or pt-BR",
            "option `playlist` must be a playlist's id: what follows `list=` in its address",
            "option `thumbnail`: YouTube takes JPEG and PNG, not image/webp",
            "YouTube needs exactly one video; this post has 2 media",
        ]
    );
    let empty = json!({
        "options": {
            "tags": "a,b", "category_id": "fun", "thumbnail": "ftp://a.b/c.jpg", "made_for_kids": true,
            "first_comment": "Hi",
        },
        "media": [{"path": "a.jpg"}],
    });
    let picture = Facts {
        family: Some(Family::Image),
        mime: Some("image/jpeg".to_owned()),
        ..Facts::default()
    };
    assert_eq!(
        problems(empty, picture),
        [
            "option `tags` must be a list of texts",
            "a YouTube video needs a title (option `title`) or a body",
            "YouTube takes no comments on videos that are made for kids; leave out `first_comment`",
            "option `category_id` must be a number in a text, such as \"22\"",
            "option `thumbnail`: addresses start with http:// or https://, not ftp:",
            "media 1 (a.jpg) is image/jpeg; YouTube takes videos",
        ]
    );
}

#[test]
fn the_file_is_measured_where_that_is_possible() {
    let of = |kind: &str| json!({"kind": kind, "body": "Hi", "media": [{"path": "a.mp4"}]});
    let with = |change: fn(&mut Facts)| {
        let mut facts = film();
        change(&mut facts);
        facts
    };
    let long = with(|facts| facts.duration = Some(Duration::from_secs(181)));
    let wide = with(|facts| facts.width = Some(1921));
    let endless = with(|facts| facts.duration = Some(Duration::from_secs(43_201)));
    let huge = with(|facts| facts.bytes = Some(274_877_906_945));
    let unknown = with(|facts| *facts = Facts::default());
    let square = with(|facts| facts.width = Some(1920));
    let none: [&str; 0] = [];
    assert_eq!(problems(of("reel"), film()), none);
    assert_eq!(problems(of("reel"), square), none);
    assert_eq!(problems(of("reel"), unknown), none);
    assert_eq!(problems(of("post"), long.clone()), none);
    assert_eq!(problems(of("post"), wide.clone()), none);
    assert_eq!(
        problems(of("reel"), long),
        [
            "media 1 (a.mp4): the duration of a Short is 181 seconds; YouTube takes at most 180 seconds"
        ]
    );
    assert_eq!(
        problems(of("reel"), wide),
        ["media 1 (a.mp4) is 1921x1920; a Short is upright or square"]
    );
    assert_eq!(
        problems(of("post"), endless),
        ["media 1 (a.mp4): the duration is 43201 seconds; YouTube takes at most 43200 seconds"]
    );
    assert_eq!(
        problems(of("post"), huge),
        [
            "media 1 (a.mp4): the size is 274877906945 bytes; YouTube takes at most 274877906944 bytes"
        ]
    );
}

#[test]
fn an_account_is_a_channel_and_has_a_privacy() {
    let channel = "UC_x5XG1OV2P6uZZ5FSM9Ttw";
    assert!(YouTube.validate_account(channel).is_ok());
    for id in ["", "UC", "@handle", "UC_x5XG1OV2P6uZZ5FSM9Tt/"] {
        assert!(YouTube.validate_account(id).is_err(), "{id}");
    }
    let wrong = |value: Value| YouTube.validate_settings(value.as_object().unwrap()).len();
    assert_eq!(wrong(json!({})), 0);
    assert_eq!(wrong(json!({"privacy": "unlisted"})), 0);
    assert_eq!(wrong(json!({"privacy": "hidden"})), 1);
    assert_eq!(wrong(json!({"privacy": null})), 1);
}

#[test]
fn a_session_says_how_far_it_is() {
    let now = NOON.parse().unwrap();
    let video = |id: &str| {
        Progress::Published(Video {
            id: id.to_owned(),
            ..Video::default()
        })
    };
    let cases = [
        (reply(200, r#"{"id": "abc"}"#), Ok(video("abc"))),
        (reply(201, r#"{"id": "abc"}"#), Ok(video("abc"))),
        (reply(308, ""), Ok(Progress::Stored(0))),
        (
            reply(308, "").with("range", "bytes=0-99"),
            Ok(Progress::Stored(100)),
        ),
        (
            reply(308, "").with("range", "0-99"),
            Ok(Progress::Stored(100)),
        ),
        (
            reply(308, "").with("range", "bytes=0-18446744073709551615"),
            Err("unconfirmed [bad_reply] -"),
        ),
        (
            reply(308, "").with("range", "bytes=5-99"),
            Err("unconfirmed [bad_reply] -"),
        ),
        (reply(404, ""), Ok(Progress::Gone)),
        (reply(410, ""), Ok(Progress::Gone)),
        (reply(200, ""), Err("unconfirmed [bad_reply] -")),
        (
            reply(200, r#"{"id": "../a?b"}"#),
            Err("unconfirmed [bad_reply] -"),
        ),
        (reply(503, ""), Err("unconfirmed [server_error] 503")),
    ];
    for (reply, expected) in cases {
        let progress = Progress::of(&reply, Effect::Publishes, now);
        assert_eq!(
            progress.map_err(|failure| verdict(&failure)),
            expected.map_err(str::to_owned)
        );
    }
}

/// Status, body, and what they mean for a request that publishes.
const ERRORS: &[(u16, &str, &str)] = &[
    (
        403,
        fixture!("quota_exceeded"),
        "rate_limited for 68400s, Platform [rate_limited] quotaExceeded",
    ),
    (
        403,
        fixture!("daily_limit_exceeded"),
        "rate_limited for 68400s, Platform [rate_limited] dailyLimitExceeded",
    ),
    (
        403,
        fixture!("rate_limit_exceeded"),
        "rate_limited for 60s, Platform [rate_limited] rateLimitExceeded",
    ),
    (
        403,
        fixture!("user_rate_limit_exceeded"),
        "rate_limited for 60s, Account [rate_limited] userRateLimitExceeded",
    ),
    (
        429,
        fixture!("resource_exhausted"),
        "rate_limited for 60s, Platform [rate_limited] rateLimitExceeded",
    ),
    // A limit of the day in the words of one by the minute.
    (
        429,
        fixture!("video_uploads_per_day"),
        "rate_limited for 68400s, Platform [rate_limited] rateLimitExceeded",
    ),
    (
        429,
        r#"{"error": {"errors": [{"reason": "rateLimitExceeded"}], "message": "Video Uploads per day"}}"#,
        "rate_limited for 68400s, Platform [rate_limited] rateLimitExceeded",
    ),
    (
        429,
        fixture!("requests_per_minute"),
        "rate_limited for 60s, Platform [rate_limited] rateLimitExceeded",
    ),
    (
        400,
        fixture!("upload_limit_exceeded"),
        "rate_limited for 86400s, Account [rate_limited] uploadLimitExceeded",
    ),
    (
        500,
        fixture!("internal_error"),
        "unconfirmed [server_error] 500",
    ),
    (
        503,
        fixture!("backend_error"),
        "unconfirmed [server_error] 503",
    ),
    (
        401,
        fixture!("auth_error"),
        "unauthorized [needs_login] authError",
    ),
    (
        401,
        fixture!("unauthenticated"),
        "unauthorized [needs_login] UNAUTHENTICATED",
    ),
    (
        401,
        fixture!("youtube_signup_required"),
        "needs_login [needs_login] youtubeSignupRequired",
    ),
    (
        403,
        fixture!("account_closed"),
        "needs_login [needs_login] authenticatedUserAccountClosed",
    ),
    (
        403,
        fixture!("account_suspended"),
        "needs_login [needs_login] authenticatedUserAccountSuspended",
    ),
    (
        403,
        fixture!("not_a_channel"),
        "needs_login [needs_login] authenticatedUserNotChannel",
    ),
    (
        403,
        fixture!("delegation_forbidden"),
        "needs_login [needs_login] accountDelegationForbidden",
    ),
    (
        403,
        fixture!("forbidden"),
        "needs_login [needs_login] forbidden",
    ),
    (
        403,
        fixture!("insufficient_permissions"),
        "needs_login [needs_login] insufficientPermissions",
    ),
    (
        403,
        fixture!("scope_insufficient"),
        "needs_login [needs_login] ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ),
    (
        403,
        fixture!("access_not_configured"),
        "rate_limited for 3600s, Platform [app] accessNotConfigured",
    ),
    (
        400,
        fixture!("invalid_title"),
        "rejected [rejected] invalidTitle",
    ),
    (
        400,
        fixture!("default_language_not_set"),
        "rejected [rejected] defaultLanguageNotSet",
    ),
    (
        400,
        fixture!("media_body_required"),
        "rejected [rejected] mediaBodyRequired",
    ),
    (
        403,
        fixture!("forbidden_privacy_setting"),
        "rejected [rejected] forbiddenPrivacySetting",
    ),
    (502, "<html>", "unconfirmed [server_error] 502"),
    (413, "", "rejected [rejected] 413"),
    (401, "", "unauthorized [needs_login] 401"),
];

#[test]
fn every_class_of_errors_is_a_decision() {
    let now = NOON.parse().unwrap();
    for (status, body, expected) in ERRORS {
        let failure = classify(&reply(*status, body), Effect::Publishes, now);
        assert_eq!(verdict(&failure), *expected);
    }
    let unavailable = reply(503, fixture!("backend_error"));
    let failure = classify(&unavailable, Effect::Prepares, now);
    assert_eq!(verdict(&failure), "retry [server_error] 503");
}

#[test]
fn every_refusal_of_a_new_token_is_a_decision() {
    for (status, body, expected) in [
        (
            400,
            fixture!("token_invalid_grant"),
            "needs_login [needs_login] invalid_grant",
        ),
        (
            400,
            fixture!("token_admin_policy"),
            "needs_login [needs_login] admin_policy_enforced",
        ),
        (
            401,
            fixture!("token_invalid_client"),
            "retry [app] invalid_client",
        ),
        (
            401,
            fixture!("token_unauthorized_client"),
            "retry [app] unauthorized_client",
        ),
        (
            400,
            fixture!("token_invalid_request"),
            "retry [refresh] invalid_request",
        ),
        (
            503,
            fixture!("token_internal_failure"),
            "retry [server_error] internal_failure",
        ),
        (502, "<html>", "retry [server_error] 502"),
        (429, "", "rate_limited for 60s, Account [rate_limited] 429"),
    ] {
        let failure = login::refused(&reply(status, body));
        assert_eq!(verdict(&failure), expected);
        // Google's own words may quote what was sent.
        assert!(!failure.reason().message.contains("expired or revoked"));
    }
}

#[test]
fn quotas_begin_at_midnight_in_los_angeles() {
    let hours = |now: &str| until_quota_day(now.parse().unwrap()).as_secs_f64() / 3600.0;
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(close(hours("2026-09-01T06:30:00Z"), 0.5));
    assert!(close(hours("2026-09-01T07:00:00Z"), 24.0));
    // The days on which the clocks change have 23 and 25 hours.
    assert!(close(hours("2026-03-08T08:00:00Z"), 23.0));
    assert!(close(hours("2026-11-01T07:00:00Z"), 25.0));
}
