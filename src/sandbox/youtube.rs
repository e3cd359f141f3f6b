//! YouTube Data API v3: resumable video uploads.
//!
//! <https://developers.google.com/youtube/v3/guides/using_resumable_upload_protocol>. The session is
//! the idempotency key: probed after a doubtful request, it tells how many bytes it has, or the video.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::steps::Step;
use super::upload::{self, Session};
use super::wire::{self, Call, Fields, Refusal, Refused, Reply};
use super::world::Platform;

pub(super) const PATH: &str = "upload/youtube/v3/videos";

/// Each of them lets an application upload.
pub(super) const SCOPES: &str = "https://www.googleapis.com/auth/youtube.upload|\
    https://www.googleapis.com/auth/youtube|https://www.googleapis.com/auth/youtube.force-ssl|\
    https://www.googleapis.com/auth/youtubepartner";

const MAX_BYTES: u64 = 274_877_906_944;
const MAX_TITLE_CHARS: usize = 100;
const MAX_DESCRIPTION_BYTES: usize = 5000;
const MAX_TAGS_CHARS: usize = 500;

const SNIPPET_FIELDS: [&str; 6] = [
    "title",
    "description",
    "tags",
    "categoryId",
    "defaultLanguage",
    "defaultAudioLanguage",
];

const STATUS_FIELDS: [&str; 7] = [
    "privacyStatus",
    "publishAt",
    "selfDeclaredMadeForKids",
    "license",
    "embeddable",
    "publicStatsViewable",
    "containsSyntheticMedia",
];

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if upload::is_upload(&call) {
        return upload::upload(&call, body).await;
    }
    if let Err(refusal) = call.read(body).await {
        return refuse(refusal).into();
    }
    let answer = match (call.method, call.path) {
        (&Method::POST, PATH) => start(&call),
        _ => Err(refuse(Refusal::NotFound).into()),
    };
    answer.unwrap_or_else(Reply::from)
}

pub(super) fn refuse(refusal: Refusal) -> Response {
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

pub(super) fn bad(domain: &str, reason: &str, message: &str) -> Refused {
    error(400, domain, reason, message, None).into()
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

fn start(call: &Call<'_>) -> Result<Reply, Refused> {
    let token = call.check_token(call.bearer(), SCOPES).map_err(refuse)?;
    let channel = channel(token);
    call.flight.of_account(&channel);
    let query = call.query();
    if query.get("uploadType") != Some("resumable") {
        return Err(bad("global", "badRequest", "uploadType must be resumable"));
    }
    let total = declared_size(call)?;
    let Ok(Value::Object(mut video)) = serde_json::from_slice(&call.body) else {
        return Err(bad("global", "parseError", "The body is not a JSON object"));
    };
    check_parts(&query, &video)?;
    check_snippet(&video)?;
    check_status(&video)?;
    video.insert("kind".to_owned(), "youtube#video".into());
    let host = call.header("host").unwrap_or("127.0.0.1");
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Youtube, Step::Prepare, refuse, |world| {
            let id = format!("sandbox-{}", world.mint());
            let session = Session::new(channel, video.into(), total);
            world.sessions.insert(id.clone(), session);
            let location =
                format!("http://{host}/youtube/{PATH}?uploadType=resumable&upload_id={id}");
            match HeaderValue::from_str(&location) {
                Ok(location) => (StatusCode::OK, [(header::LOCATION, location)]).into_response(),
                Err(_) => refuse(Refusal::Internal),
            }
        }),
    )
}

/// A channel of the token's own. The API names none: the token stands for it.
fn channel(token: &str) -> String {
    let digest = Sha256::digest(token);
    format!("UC{}", URL_SAFE_NO_PAD.encode(&digest[..16]))
}

fn declared_size(call: &Call<'_>) -> Result<u64, Refused> {
    let size = call.header("x-upload-content-length");
    let size = size.and_then(|size| size.parse().ok());
    let size = size.filter(|size| (1..=MAX_BYTES).contains(size));
    let size = size.ok_or_else(|| {
        let message = "X-Upload-Content-Length must be the size of the video";
        bad("youtube.video", "mediaBodyRequired", message)
    })?;
    let media_type = call.header("x-upload-content-type");
    let is_video = |media_type: &str| {
        media_type.starts_with("video/") || media_type == "application/octet-stream"
    };
    if media_type.is_some_and(|media_type| !is_video(media_type)) {
        let message =
            "Media type is not supported. Valid media types: [video/*, application/octet-stream]";
        return Err(bad("global", "badContent", message));
    }
    Ok(size)
}

/// `part` lists exactly what the body writes.
fn check_parts(query: &Fields, video: &Map<String, Value>) -> Result<(), Refused> {
    let parts = query.filled("part").ok_or_else(|| {
        let message = "No filter selected. Expected one of: part";
        bad("youtube.parameter", "missingRequiredParameter", message)
    })?;
    let mut parts: Vec<&str> = parts.split(',').map(str::trim).collect();
    let mut written: Vec<&str> = video.keys().map(String::as_str).collect();
    parts.sort_unstable();
    written.sort_unstable();
    if parts != written {
        let message = format!("part is {parts:?}, but the body has {written:?}");
        return Err(bad("youtube.part", "unexpectedPart", &message));
    }
    check_names(video, "", &["snippet", "status"])?;
    for (part, known) in [("snippet", &SNIPPET_FIELDS[..]), ("status", &STATUS_FIELDS)] {
        match video.get(part) {
            None => {}
            Some(Value::Object(fields)) => check_names(fields, part, known)?,
            Some(_) => return Err(bad("global", "badRequest", "A part must be an object")),
        }
    }
    Ok(())
}

fn check_names(object: &Map<String, Value>, at: &str, known: &[&str]) -> Result<(), Refused> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("Invalid JSON payload received. Unknown name \"{name}\" at '{at}'");
            Err(bad("global", "badRequest", &message))
        }
    }
}

fn check_snippet(video: &Map<String, Value>) -> Result<(), Refused> {
    let snippet = video.get("snippet").unwrap_or(&Value::Null);
    let forbidden = |text: &str| text.contains(['<', '>']) || wire::is_rejected(text);
    let title = snippet["title"].as_str().unwrap_or_default();
    if title.trim().is_empty() || title.chars().count() > MAX_TITLE_CHARS || forbidden(title) {
        let message = "The request metadata specifies an invalid or empty video title.";
        return Err(bad("youtube.video", "invalidTitle", message));
    }
    let description = snippet["description"].as_str().unwrap_or_default();
    if description.len() > MAX_DESCRIPTION_BYTES || forbidden(description) {
        let message = "The request metadata specifies an invalid video description.";
        return Err(bad("youtube.video", "invalidDescription", message));
    }
    let tags = match &snippet["tags"] {
        Value::Null => Some(0),
        Value::Array(tags) => tags_length(tags),
        _ => None,
    };
    if tags.is_none_or(|length| length > MAX_TAGS_CHARS) {
        let message = "The request metadata specifies invalid video keywords.";
        return Err(bad("youtube.video", "invalidTags", message));
    }
    Ok(())
}

/// As YouTube counts: the commas between tags too, and two quotes for a tag with a space.
fn tags_length(tags: &[Value]) -> Option<usize> {
    let lengths = tags.iter().map(|tag| {
        let tag = tag.as_str()?;
        let quotes = if tag.contains(' ') { 2 } else { 0 };
        Some(tag.chars().count() + quotes)
    });
    let sum: usize = lengths.sum::<Option<usize>>()?;
    Some(sum + tags.len().saturating_sub(1))
}

fn check_status(video: &Map<String, Value>) -> Result<(), Refused> {
    let status = video.get("status").unwrap_or(&Value::Null);
    let privacy = status["privacyStatus"].as_str();
    if !matches!(privacy, Some("public" | "unlisted" | "private")) {
        return Err(refuse(Refusal::Rejected).into());
    }
    if !status["publishAt"].is_null() && privacy != Some("private") {
        let message = "publishAt can only be set on a private video.";
        return Err(bad("youtube.video", "invalidPublishAt", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_with_commas_and_quotes() {
        let tags = [json!("one"), json!("two words")];
        assert_eq!(tags_length(&tags), Some(3 + 1 + 9 + 2));
        assert_eq!(tags_length(&[json!(1)]), None);
    }
}
