//! What each class of LinkedIn's replies means, from one recorded reply of each.

use chrono::{DateTime, TimeDelta, Utc};

use super::super::account::refused;
use super::super::reply::{classify, duplicated, made, pause};
use super::NOON;
use crate::http::Effect;
use crate::http::testing::{reply, verdict};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../../tests/fixtures/linkedin/",
            $name,
            ".json"
        ))
    };
}

/// Each reply to the publishing request becomes what stands beside it.
fn decides(cases: &[(u16, &str, &str)]) {
    let now = NOON.parse().unwrap();
    for (status, body, expected) in cases {
        let failure = classify(&reply(*status, body), Effect::Publishes, now);
        assert_eq!(verdict(&failure), *expected, "HTTP {status} {body}");
    }
}

/// For some seconds LinkedIn calls a new token withdrawn.
#[test]
fn a_new_token_is_not_given_up() {
    let now: DateTime<Utc> = NOON.parse().unwrap();
    for (minutes, expected) in [
        (0, "retry in 5s [new_token] REVOKED_ACCESS_TOKEN/65601"),
        (9, "retry in 5s [new_token] REVOKED_ACCESS_TOKEN/65601"),
        (10, "needs_login [needs_login] REVOKED_ACCESS_TOKEN/65601"),
    ] {
        let mut reply = reply(401, fixture!("401-revoked-token"));
        reply.asker.token_since = Some(now - TimeDelta::minutes(minutes));
        let failure = classify(&reply, Effect::Publishes, now);
        assert_eq!(verdict(&failure), expected, "{minutes} minutes");
    }
}

#[test]
fn what_passes_is_tried_again() {
    decides(&[
        (
            500,
            fixture!("500-internal"),
            "unconfirmed [server_error] 500",
        ),
        (502, "", "unconfirmed [server_error] 502"),
        (
            503,
            fixture!("503-unavailable"),
            "unconfirmed [server_error] 503",
        ),
        (504, "<html>", "unconfirmed [server_error] 504"),
        (409, fixture!("409-conflict"), "retry [refused] 409"),
        (
            400,
            fixture!("400-media-waiting"),
            "retry [not_ready] MEDIA_ASSET_WAITING_UPLOAD",
        ),
        (
            429,
            fixture!("429-throttled"),
            "rate_limited for 3600s, Account [rate_limited] TOO_MANY_REQUESTS",
        ),
        // Until midnight UTC.
        (
            429,
            fixture!("429-application-day"),
            "rate_limited for 43200s, Platform [rate_limited] TOO_MANY_REQUESTS",
        ),
        (
            429,
            fixture!("429-member-day"),
            "rate_limited for 43200s, Account [rate_limited] TOO_MANY_REQUESTS",
        ),
        (
            429,
            fixture!("429-comment-throttled"),
            "rate_limited for 3600s, Account [rate_limited] 429",
        ),
    ]);
}

#[test]
fn a_token_is_renewed_or_a_person_asked() {
    decides(&[
        (
            401,
            fixture!("401-invalid-token"),
            "unauthorized [needs_login] INVALID_ACCESS_TOKEN/65600",
        ),
        (
            401,
            fixture!("401-expired-token"),
            "unauthorized [needs_login] EXPIRED_ACCESS_TOKEN/65602",
        ),
        (
            401,
            fixture!("401-empty-token"),
            "unauthorized [needs_login] EMPTY_ACCESS_TOKEN/65604",
        ),
        (
            401,
            fixture!("401-revoked-token"),
            "needs_login [needs_login] REVOKED_ACCESS_TOKEN/65601",
        ),
        (
            400,
            fixture!("400-organization-scope"),
            "needs_login [needs_login] 400",
        ),
        (
            401,
            r#"{"serviceErrorCode": 65601}"#,
            "needs_login [needs_login] 65601",
        ),
        (
            403,
            fixture!("403-access-denied"),
            "needs_login [needs_login] ACCESS_DENIED/100",
        ),
    ]);
}

#[test]
fn a_refusal_is_final_until_somebody_mends_it() {
    decides(&[
        (
            400,
            fixture!("400-field-too-long"),
            "rejected [rejected] FIELD_LENGTH_TOO_LONG",
        ),
        (
            400,
            fixture!("400-blank-field"),
            "rejected [rejected] INVALID_VALUE_BLANK_FIELD",
        ),
        (
            400,
            fixture!("400-invalid-image"),
            "rejected [rejected] INVALID_IMAGE_ID",
        ),
        (
            400,
            fixture!("400-processing-failed"),
            "rejected [rejected] MEDIA_ASSET_PROCESSING_FAILED",
        ),
        (
            400,
            fixture!("400-expired-upload-url"),
            "rejected [rejected] EXPIRED_UPLOAD_URL",
        ),
        (
            400,
            fixture!("400-version-missing"),
            "rejected [rejected] VERSION_MISSING",
        ),
        (400, "nonsense", "rejected [rejected] 400"),
        (
            422,
            fixture!("422-unprocessable"),
            "rejected [rejected] UNPROCESSABLE_ENTITY",
        ),
        (
            422,
            fixture!("422-duplicate"),
            "rejected [duplicate] DUPLICATE_POST",
        ),
        (
            422,
            fixture!("422-duplicate-of-person"),
            "rejected [rejected] 422",
        ),
        (
            426,
            fixture!("426-version"),
            "rate_limited for 3600s, Platform [version] NONEXISTENT_VERSION",
        ),
    ]);
}

#[test]
fn what_publishes_nothing_is_tried_again_after_a_fault() {
    let of = |status| classify(&reply(status, ""), Effect::Prepares, NOON.parse().unwrap());
    assert_eq!(verdict(&of(500)), "retry [server_error] 500");
    assert_eq!(verdict(&of(504)), "retry [server_error] 504");
}

#[test]
fn a_token_that_is_not_renewed_says_who_can_help() {
    let cases = [
        (
            400,
            fixture!("oauth-400-invalid-grant"),
            "needs_login [needs_login] invalid_request",
        ),
        (
            400,
            r#"{"error": "invalid_grant"}"#,
            "needs_login [needs_login] invalid_grant",
        ),
        (
            401,
            fixture!("oauth-401-invalid-client"),
            "retry [app] invalid_client",
        ),
        (
            400,
            r#"{"error": "unauthorized_client"}"#,
            "retry [app] unauthorized_client",
        ),
        (429, "", "rate_limited for 60s, Account [rate_limited] 429"),
        (503, fixture!("oauth-503"), "retry [server_error] 503"),
        (404, "<html>", "retry [refused] 404"),
    ];
    for (status, body, expected) in cases {
        assert_eq!(verdict(&refused(&reply(status, body))), expected, "{body}");
    }
}

#[test]
fn the_id_comes_in_a_header() {
    let created = |urn| reply(201, "").with("x-restli-id", urn);
    assert_eq!(made(&created("urn:li:ugcPost:7")), Some("urn:li:ugcPost:7"));
    assert_eq!(
        made(&reply(201, "").with("x-linkedin-id", "urn:li:share:7")),
        Some("urn:li:share:7")
    );
    for strange in [
        "",
        "7",
        "urn:li:",
        "urn:li:share:7/../8",
        "urn:li:share:7?a",
    ] {
        assert_eq!(made(&created(strange)), None, "{strange}");
    }
    assert_eq!(made(&reply(201, "")), None);
    let refused = reply(500, "").with("x-restli-id", "urn:li:share:7");
    assert_eq!(made(&refused), None);
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
    let pause = |now: &str| pause(now.parse().unwrap()).as_secs();
    assert_eq!(pause("2026-09-01T12:00:00Z"), 3600);
    assert_eq!(pause("2026-09-01T23:50:00Z"), 600);
}
