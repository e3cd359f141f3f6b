//! How Google's APIs refuse.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::super::wire::{self, Refusal, Refused};

/// What a reason can be about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Insert,
    Comment,
    Playlist,
}

/// A refusal as the documentation has it: about what, status, domain, reason, message.
type Documented = (About, u16, &'static str, &'static str, &'static str);

/// Refusals that have no cause in a sandbox; a token asks for them.
const DOCUMENTED: &[Documented] = &[
    (
        About::Insert,
        403,
        "youtube.quota",
        "quotaExceeded",
        "The request cannot be completed because you have exceeded your quota.",
    ),
    (
        About::Insert,
        403,
        "usageLimits",
        "dailyLimitExceeded",
        "Daily Limit Exceeded",
    ),
    (
        About::Insert,
        403,
        "usageLimits",
        "rateLimitExceeded",
        "Rate Limit Exceeded",
    ),
    (
        About::Insert,
        403,
        "usageLimits",
        "userRateLimitExceeded",
        "User Rate Limit Exceeded",
    ),
    (
        About::Insert,
        429,
        "global",
        "RESOURCE_EXHAUSTED",
        "Resource has been exhausted (e.g. check quota).",
    ),
    (
        About::Insert,
        400,
        "youtube.video",
        "uploadLimitExceeded",
        "The user has exceeded the number of videos they may upload.",
    ),
    (
        About::Insert,
        403,
        "usageLimits",
        "accessNotConfigured",
        "YouTube Data API v3 has not been used in project 1 before or it is disabled.",
    ),
    (
        About::Insert,
        401,
        "youtube.header",
        "youtubeSignupRequired",
        "Unauthorized",
    ),
    (
        About::Insert,
        403,
        "youtube.common",
        "authenticatedUserAccountClosed",
        "The YouTube account of the authenticated user is closed.",
    ),
    (
        About::Insert,
        403,
        "youtube.common",
        "authenticatedUserAccountSuspended",
        "The YouTube account of the authenticated user is suspended.",
    ),
    (
        About::Insert,
        403,
        "youtube.common",
        "authenticatedUserNotChannel",
        "The authenticated user does not have a channel.",
    ),
    (
        About::Insert,
        403,
        "youtube.common",
        "accountDelegationForbidden",
        "The authenticated user cannot act on behalf of the specified Google account.",
    ),
    (
        About::Insert,
        403,
        "youtube.common",
        "forbidden",
        "Access forbidden. The request may not be properly authorized.",
    ),
    (
        About::Insert,
        403,
        "youtube.video",
        "forbiddenLicenseSetting",
        "The request attempts to set an invalid license for the video.",
    ),
    (
        About::Insert,
        403,
        "youtube.video",
        "forbiddenPrivacySetting",
        "The request attempts to set an invalid privacy setting for the video.",
    ),
    (
        About::Insert,
        400,
        "youtube.video",
        "invalidFilename",
        "The video filename specified in the Slug header is invalid.",
    ),
    (
        About::Comment,
        403,
        "youtube.commentThread",
        "commentsDisabled",
        "The video identified by the videoId parameter has disabled comments.",
    ),
    (
        About::Comment,
        403,
        "youtube.commentThread",
        "ineligibleAccount",
        "The YouTube account used to authorize the API request must be merged with the user's Google account.",
    ),
    (
        About::Playlist,
        403,
        "youtube.playlistItem",
        "playlistContainsMaximumNumberOfVideos",
        "The playlist already contains the maximum allowed number of items.",
    ),
    (
        About::Playlist,
        403,
        "youtube.playlistItem",
        "playlistItemsNotAccessible",
        "The request is not properly authorized to insert the specified playlist item.",
    ),
];

/// The refusal for that reason, if that is what it is about.
pub(super) fn documented(about: About, reason: &str) -> Option<Response> {
    let mut all = DOCUMENTED.iter();
    let (_, code, domain, reason, message) = all.find(|one| one.0 == about && one.3 == reason)?;
    let status = (*code == 429).then_some("RESOURCE_EXHAUSTED");
    let reason = if *code == 429 {
        "rateLimitExceeded"
    } else {
        reason
    };
    Some(error(*code, domain, reason, message, status))
}

pub(in crate::sandbox) fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoToken => unauthenticated("required", "Login Required."),
        // Google does not tell the two apart here; the refresh of a revoked one fails for good.
        Refusal::Expired | Refusal::Revoked => unauthenticated("authError", "Invalid Credentials"),
        Refusal::NoScope { .. } => error(
            403,
            "global",
            "insufficientPermissions",
            "Request had insufficient authentication scopes.",
            Some("PERMISSION_DENIED"),
        ),
        Refusal::RateLimited { .. } => error(
            403,
            "usageLimits",
            "rateLimitExceeded",
            "Rate Limit Exceeded",
            None,
        ),
        Refusal::Internal => error(500, "global", "backendError", "Backend Error", None),
        Refusal::Rejected => bad(
            "youtube.video",
            "invalidVideoMetadata",
            "The request metadata is invalid.",
        )
        .response(),
        Refusal::NotFound => error(404, "global", "notFound", "Not Found", Some("NOT_FOUND")),
        Refusal::TooLarge => error(413, "global", "uploadTooLarge", "Request Too Large", None),
        Refusal::Truncated => {
            bad("global", "badRequest", "The request body is incomplete").response()
        }
    }
}

fn unauthenticated(reason: &str, message: &str) -> Response {
    error(401, "global", reason, message, Some("UNAUTHENTICATED"))
}

pub(in crate::sandbox) fn bad(domain: &str, reason: &str, message: &str) -> Refused {
    error(400, domain, reason, message, None).into()
}

pub(super) fn forbidden(domain: &str, reason: &str, message: &str) -> Refused {
    error(403, domain, reason, message, None).into()
}

pub(super) fn missing(domain: &str, reason: &str, message: &str) -> Refused {
    error(404, domain, reason, message, None).into()
}

/// The refusal of a `playlistId` that is none.
pub(super) fn playlist_missing() -> Refused {
    let (reason, domain) = ("playlistNotFound", "youtube.playlistItem");
    let message = "The playlist identified with the request's <code>playlistId</code> parameter cannot be found.";
    let detail = json!({
        "message": message, "domain": domain, "reason": reason,
        "location": "playlistId", "locationType": "parameter",
    });
    let error = json!({"code": 404, "message": message, "errors": [detail]});
    wire::json(StatusCode::NOT_FOUND, json!({ "error": error })).into()
}

/// What was there once, and is no more.
pub(in crate::sandbox) fn gone() -> Response {
    error(410, "global", "gone", "The upload has expired.", None)
}

fn error(code: u16, domain: &str, reason: &str, message: &str, status: Option<&str>) -> Response {
    let detail = json!({"domain": domain, "reason": reason, "message": message});
    let mut error = json!({"code": code, "message": message, "errors": [detail]});
    if let Some(status) = status {
        error["status"] = status.into();
    }
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    wire::json(code, json!({ "error": error }))
}
