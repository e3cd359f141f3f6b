use super::*;
use crate::http::testing::{reply, verdict};

const NOON: &str = "2026-09-01T12:00:00Z";

fn content(value: Value) -> Content {
    serde_json::from_value(value).unwrap()
}

fn post(mut value: Value) -> ClaimedPost {
    let rest = json!({
        "id": 7, "scheduled_at": NOON, "expires_at": NOON, "attempts": 1, "max_attempts": 5,
        "checkpoint": null,
        "account": {
            "id": 1, "owner": "o", "platform": "linkedin", "external_id": "urn:li:person:aB-1",
            "credentials": null, "token_expires_at": null,
        },
    });
    let fields = value.as_object_mut().unwrap();
    fields.extend(rest.as_object().unwrap().clone());
    serde_json::from_value(value).unwrap()
}

#[test]
fn every_reserved_character_is_escaped() {
    assert_eq!(
        escape(r"\|{}@[]()<>#*_~"),
        r"\\\|\{\}\@\[\]\(\)\<\>\#\*\_\~"
    );
    assert_eq!(escape("ä b\n!?&\"'/%"), "ä b\n!?&\"'/%");
}

#[test]
fn a_share_is_public_and_complete() {
    let mut expected = json!({
        "author": "urn:li:person:aB-1",
        "commentary": "Hi \\#all",
        "visibility": "PUBLIC",
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
    });
    assert_eq!(share(&post(json!({"body": "Hi #all"}))), expected);
    expected["content"] = json!({"article": {"source": "https://a.b", "title": "Hi #all"}});
    let linked = post(json!({"body": "Hi #all", "link": "https://a.b"}));
    assert_eq!(share(&linked), expected);
}

#[test]
fn a_link_has_a_title_of_its_own_or_the_first_line() {
    let title = |value| super::title(&content(value));
    assert_eq!(title(json!({"body": "a", "options": {"title": "b"}})), "b");
    assert_eq!(title(json!({"body": "\n \n a \nb"})), "a");
    let long = title(json!({"body": "a".repeat(401)}));
    assert_eq!(long.chars().count(), 400);
    assert!(long.ends_with('…'));
    let exact = title(json!({"options": {"title": "a".repeat(400)}}));
    assert_eq!(exact, "a".repeat(400));
}

#[test]
fn every_problem_is_named_at_once() {
    let fine = json!({"body": "#".repeat(3000), "link": "https://a.b"});
    assert_eq!(
        crate::review::testing::problems(&LinkedIn, &content(fine)),
        Vec::<String>::new()
    );
    let post = content(json!({
        "kind": "reply",
        "body": "a".repeat(3001),
        "link": "mailto:me@a.b",
        "media": [{"path": "a.pdf"}],
        "options": {"title": "b".repeat(401), "first_comment": "Hi"},
    }));
    assert_eq!(
        crate::review::testing::problems(&LinkedIn, &post),
        [
            "stories, reels and replies on LinkedIn are not supported",
            "the body has 3001 characters; LinkedIn takes 3000",
            "link: addresses start with http:// or https://, not mailto:",
            "the link's title has 401 characters; LinkedIn takes 400",
            "pictures, videos and documents on LinkedIn are not supported yet; share a link",
            "a first comment on LinkedIn is not supported yet",
        ]
    );
    assert_eq!(
        crate::review::testing::problems(&LinkedIn, &content(json!({"link": "https://a.b"}))),
        ["a LinkedIn post needs a body, with a link too"]
    );
}

#[test]
fn an_account_is_a_urn() {
    for id in ["urn:li:person:aB_1-2", "urn:li:organization:42"] {
        assert!(LinkedIn.validate_account(id).is_ok(), "{id}");
    }
    for id in [
        "",
        "42",
        "urn:li:person:",
        "urn:li:organization:x",
        "urn:li:share:1",
        "urn:li:person:a/b",
    ] {
        assert!(LinkedIn.validate_account(id).is_err(), "{id}");
    }
}

#[test]
fn the_id_comes_in_a_header() {
    let now = NOON.parse().unwrap();
    let created = reply(201, "").with("x-restli-id", "urn:li:share:7");
    let published = accept(&created, now).unwrap();
    assert_eq!(published.id, "urn:li:share:7");
    assert_eq!(
        published.permalink.as_deref(),
        Some("https://www.linkedin.com/feed/update/urn:li:share:7/")
    );
    let failure = accept(&reply(201, ""), now).unwrap_err();
    assert_eq!(verdict(&failure), "unconfirmed [bad_reply] -");
}

#[test]
fn status_and_code_decide() {
    let input = |code| {
        format!(r#"{{"message": "m", "errorDetails": {{"inputErrors": [{{"code": "{code}"}}]}}}}"#)
    };
    let code = |code| format!(r#"{{"message": "m", "code": "{code}"}}"#);
    let message = |message| format!(r#"{{"message": "{message}", "status": 422}}"#);
    let number = |number| format!(r#"{{"message": "m", "serviceErrorCode": {number}}}"#);
    let cases = [
        (
            500,
            code("INTERNAL_SERVER_ERROR"),
            "unconfirmed [server_error] 500",
        ),
        (502, String::new(), "unconfirmed [server_error] 502"),
        (
            503,
            code("SERVICE_UNAVAILABLE"),
            "unconfirmed [server_error] 503",
        ),
        (504, String::new(), "unconfirmed [server_error] 504"),
        (409, code("CONFLICT"), "retry [refused] 409"),
        (
            400,
            input("MEDIA_ASSET_WAITING_UPLOAD"),
            "retry [not_ready] MEDIA_ASSET_WAITING_UPLOAD",
        ),
        (
            429,
            code("TOO_MANY_REQUESTS"),
            "rate_limited for 3600s, Account [rate_limited] TOO_MANY_REQUESTS",
        ),
        (401, number(65600), "needs_login [needs_login] 65600"),
        (401, number(65601), "needs_login [needs_login] 65601"),
        (
            401,
            code("EMPTY_ACCESS_TOKEN"),
            "needs_login [needs_login] EMPTY_ACCESS_TOKEN",
        ),
        (403, number(100), "needs_login [needs_login] 100"),
        (
            400,
            input("FIELD_LENGTH_TOO_LONG"),
            "rejected [rejected] FIELD_LENGTH_TOO_LONG",
        ),
        (400, code("INVALID_URL"), "rejected [rejected] INVALID_URL"),
        (400, "nonsense".to_owned(), "rejected [rejected] 400"),
        (
            422,
            code("UNPROCESSABLE_ENTITY"),
            "rejected [rejected] UNPROCESSABLE_ENTITY",
        ),
        (
            422,
            message("Content is a duplicate of urn:li:share:71"),
            "rejected [duplicate] 422",
        ),
        (
            422,
            message("Content is a duplicate of urn:li:person:71"),
            "rejected [rejected] 422",
        ),
        (
            426,
            code("NONEXISTENT_VERSION"),
            "rate_limited for 3600s, Platform [version] NONEXISTENT_VERSION",
        ),
    ];
    for (status, body, expected) in cases {
        let failure = classify(&reply(status, &body), NOON.parse().unwrap());
        assert_eq!(verdict(&failure), expected, "HTTP {status} {body}");
    }
}

#[test]
fn a_duplicate_names_the_post_that_exists() {
    let cases = [
        (
            "Content is a duplicate of urn:li:share:71",
            Some("urn:li:share:71"),
        ),
        ("duplicate of urn:li:ugcPost:72.", Some("urn:li:ugcPost:72")),
        ("(urn:li:activity:73)", Some("urn:li:activity:73")),
        ("by urn:li:person:x of urn:li:share:", None),
    ];
    for (message, expected) in cases {
        assert_eq!(duplicated(message), expected);
    }
}

#[test]
fn a_limit_never_outlasts_the_day() {
    let pause = |now: &str| super::pause(now.parse().unwrap()).as_secs();
    assert_eq!(pause("2026-09-01T12:00:00Z"), 3600);
    assert_eq!(pause("2026-09-01T23:50:00Z"), 600);
}
