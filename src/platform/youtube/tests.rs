use super::*;
use crate::http::testing::{reply, verdict};

const NOON: &str = "2026-09-01T12:00:00Z";

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
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
            "title": "Title", "privacy": "private", "tags": ["a", "b c"], "category_id": "22",
            "made_for_kids": false,
        },
    });
    assert_eq!(
        video(&post(full, &json!({"privacy": "unlisted"}))),
        json!({
            "snippet": {
                "title": "Title", "description": "Text\nhttps://a.b", "tags": ["a", "b c"],
                "categoryId": "22",
            },
            "status": {"privacyStatus": "private", "selfDeclaredMadeForKids": false},
        })
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
    assert_eq!(
        crate::review::testing::problems(&YouTube, &content(fine)),
        Vec::<String>::new()
    );
    let post = content(json!({
        "kind": "reel",
        "body": format!("<{}", "ä".repeat(2500)),
        "media": [{"path": "a.mp4"}, {"path": "b.mp4"}],
        "options": {
            "title": format!("{}>", "b".repeat(100)), "privacy": "secret", "category_id": 22,
            "tags": ["c".repeat(250), format!("{} d", "d".repeat(248))], "made_for_kids": "no",
            "first_comment": "Hi",
        },
    }));
    assert_eq!(
        crate::review::testing::problems(&YouTube, &post),
        [
            "stories, reels and replies on YouTube are not supported yet",
            "option `privacy` must be public, unlisted or private",
            "option `category_id` must be a text such as \"22\"",
            "option `made_for_kids` must be true or false",
            "the title has 101 characters; YouTube takes 100",
            "YouTube takes no < or > in the title",
            "the description (body and link) has 5001 bytes; YouTube takes 5000",
            "YouTube takes no < or > in the description",
            "the tags have 503 characters with their commas and quotes; YouTube takes 500",
            "YouTube needs exactly one video; this post has 2 media",
            "a first comment on YouTube is not supported yet",
        ]
    );
    let empty = content(json!({"options": {"tags": "a,b"}, "media": [{"path": "a.jpg"}]}));
    assert_eq!(
        crate::review::testing::problems(&YouTube, &empty),
        [
            "option `tags` must be a list of texts",
            "a YouTube video needs a title (option `title`) or a body",
            "YouTube takes videos, not image/jpeg",
        ]
    );
}

#[test]
fn an_account_is_a_channel() {
    let channel = "UC_x5XG1OV2P6uZZ5FSM9Ttw";
    assert!(YouTube.validate_account(channel).is_ok());
    for id in ["", "UC", "@handle", "UC_x5XG1OV2P6uZZ5FSM9Tt/"] {
        assert!(YouTube.validate_account(id).is_err(), "{id}");
    }
}

#[test]
fn a_session_says_how_far_it_is() {
    let now = NOON.parse().unwrap();
    let video = |id: &str| Progress::Published(Video { id: id.to_owned() });
    let cases = [
        (reply(200, r#"{"id": "abc"}"#), Ok(video("abc"))),
        (reply(201, r#"{"id": "abc"}"#), Ok(video("abc"))),
        (reply(308, ""), Ok(Progress::Stored(0))),
        (
            reply(308, "").with("range", "bytes=0-99"),
            Ok(Progress::Stored(100)),
        ),
        (reply(404, ""), Ok(Progress::Gone)),
        (reply(410, ""), Ok(Progress::Gone)),
        (reply(200, ""), Err("unconfirmed [bad_reply] -")),
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

#[test]
fn the_first_reason_decides() {
    let cases = [
        (
            403,
            "quotaExceeded",
            "rate_limited for 68400s, Platform [rate_limited]",
        ),
        (
            403,
            "dailyLimitExceeded",
            "rate_limited for 68400s, Platform [rate_limited]",
        ),
        (
            403,
            "rateLimitExceeded",
            "rate_limited for 60s, Platform [rate_limited]",
        ),
        (
            403,
            "userRateLimitExceeded",
            "rate_limited for 60s, Account [rate_limited]",
        ),
        (
            400,
            "uploadLimitExceeded",
            "rate_limited for 86400s, Account [rate_limited]",
        ),
        (401, "authError", "needs_login [needs_login]"),
        (401, "youtubeSignupRequired", "needs_login [needs_login]"),
        (
            403,
            "authenticatedUserAccountClosed",
            "needs_login [needs_login]",
        ),
        (
            403,
            "authenticatedUserAccountSuspended",
            "needs_login [needs_login]",
        ),
        (
            403,
            "accountDelegationForbidden",
            "needs_login [needs_login]",
        ),
        (403, "insufficientPermissions", "needs_login [needs_login]"),
        (403, "accessNotConfigured", "needs_login [needs_login]"),
        (403, "forbidden", "needs_login [needs_login]"),
        (400, "invalidTitle", "rejected [rejected]"),
        (400, "invalidTags", "rejected [rejected]"),
        (400, "mediaBodyRequired", "rejected [rejected]"),
        (403, "forbiddenPrivacySetting", "rejected [rejected]"),
    ];
    let now = "2026-09-01T12:00:00Z".parse().unwrap();
    for (status, code, expected) in cases {
        let body = json!({"error": {"code": status, "message": "m", "errors": [{"reason": code}]}});
        let failure = classify(&reply(status, &body.to_string()), Effect::Publishes, now);
        assert_eq!(verdict(&failure), format!("{expected} {code}"));
    }
    let by_status = [
        (
            429,
            r#"{"error": {"status": "RESOURCE_EXHAUSTED"}}"#,
            "rate_limited for 60s, Platform [rate_limited] RESOURCE_EXHAUSTED",
        ),
        (
            401,
            r#"{"error": {"status": "UNAUTHENTICATED"}}"#,
            "needs_login [needs_login] UNAUTHENTICATED",
        ),
        (
            500,
            r#"{"error": {"errors": [{"reason": "backendError"}]}}"#,
            "unconfirmed [server_error] 500",
        ),
        (
            503,
            r#"{"error": {"errors": [{"reason": "backendError"}]}}"#,
            "unconfirmed [server_error] 503",
        ),
        (502, "<html>", "unconfirmed [server_error] 502"),
        (413, "", "rejected [rejected] 413"),
    ];
    for (status, body, expected) in by_status {
        let failure = classify(&reply(status, body), Effect::Publishes, now);
        assert_eq!(verdict(&failure), expected);
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
