//! A video's metadata, for which an upload session is opened.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value};

use super::super::steps::Step;
use super::super::upload::Session;
use super::super::wire::{self, Call, Fields, Refusal, Refused, Reply};
use super::super::world::Platform;
use super::errors::About;
use super::{Caller, PATH, UPLOAD, bad, check_names, check_query, object, parts, refuse};

const MAX_BYTES: u64 = 274_877_906_944;
const MAX_TITLE_CHARS: usize = 100;
const MAX_DESCRIPTION_BYTES: usize = 5000;
const MAX_TAGS_CHARS: usize = 500;

const QUERY: [&str; 6] = [
    "uploadType",
    "notifySubscribers",
    "autoLevels",
    "stabilize",
    "onBehalfOfContentOwner",
    "onBehalfOfContentOwnerChannel",
];

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

const FLAGS: [&str; 4] = [
    "selfDeclaredMadeForKids",
    "embeddable",
    "publicStatsViewable",
    "containsSyntheticMedia",
];

/// The categories into which videos can be put (videoCategories: list, region US).
const CATEGORIES: [&str; 15] = [
    "1", "2", "10", "15", "17", "19", "20", "22", "23", "24", "25", "26", "27", "28", "29",
];

pub(super) fn start(call: &Call<'_>) -> Result<Reply, Refused> {
    let caller = Caller::of(call, UPLOAD)?;
    caller.check(About::Insert)?;
    if caller.is("nochannel-") {
        let refusal = super::errors::documented(About::Insert, "youtubeSignupRequired");
        return Err(refusal.unwrap_or_else(|| refuse(Refusal::Internal)).into());
    }
    let query = call.query();
    check_query(&query, &QUERY)?;
    if query.get("uploadType") != Some("resumable") {
        return Err(bad("global", "badRequest", "uploadType must be resumable"));
    }
    let notify = query.get("notifySubscribers");
    if !matches!(notify, None | Some("true" | "false")) {
        let message = "Invalid value at 'notify_subscribers' (TYPE_BOOL)";
        return Err(bad("global", "invalidParameter", message));
    }
    let total = declared_size(call)?;
    let mut video = object(call)?;
    check_parts(&query, &video)?;
    check_snippet(&video)?;
    check_status(&video)?;
    video.insert("kind".to_owned(), "youtube#video".into());
    let host = call.header("host").unwrap_or("127.0.0.1");
    let is_quiet = notify == Some("false");
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Youtube, Step::Prepare, refuse, |world| {
            let id = format!("sandbox-{}", world.mint());
            let session = Session::new(caller, video.into(), total, is_quiet);
            world.youtube.sessions.insert(id.clone(), session);
            let location =
                format!("http://{host}/youtube/{PATH}?uploadType=resumable&upload_id={id}");
            match HeaderValue::from_str(&location) {
                Ok(location) => (StatusCode::OK, [(header::LOCATION, location)]).into_response(),
                Err(_) => refuse(Refusal::Internal),
            }
        }),
    )
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
    let mut parts = parts(query, &["snippet", "status"])?;
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

fn check_snippet(video: &Map<String, Value>) -> Result<(), Refused> {
    let snippet = video.get("snippet").unwrap_or(&Value::Null);
    let forbidden = |text: &str| text.contains(['<', '>']) || wire::is_rejected(text);
    let invalid = |reason: &str, what: &str| {
        let message = format!("The request metadata specifies {what}.");
        Err(bad("youtube.video", reason, &message))
    };
    let title = snippet["title"].as_str().unwrap_or_default();
    if title.trim().is_empty() || title.chars().count() > MAX_TITLE_CHARS || forbidden(title) {
        return invalid("invalidTitle", "an invalid or empty video title");
    }
    let is_text = |value: &Value| value.is_null() || value.is_string();
    let description = snippet["description"].as_str().unwrap_or_default();
    let is_too_long = description.len() > MAX_DESCRIPTION_BYTES;
    if is_too_long || forbidden(description) || !is_text(&snippet["description"]) {
        return invalid("invalidDescription", "an invalid video description");
    }
    let tags = match &snippet["tags"] {
        Value::Null => Some(0),
        Value::Array(tags) => tags_length(tags),
        _ => None,
    };
    if tags.is_none_or(|length| length > MAX_TAGS_CHARS) {
        return invalid("invalidTags", "invalid video keywords");
    }
    let is_known = |id: &Value| id.as_str().is_some_and(|id| CATEGORIES.contains(&id));
    let category = &snippet["categoryId"];
    if !category.is_null() && !is_known(category) {
        return invalid("invalidCategoryId", "an invalid category ID");
    }
    for name in ["defaultLanguage", "defaultAudioLanguage"] {
        if !snippet[name].is_null() && !snippet[name].as_str().is_some_and(is_language) {
            return invalid("invalidVideoMetadata", "an invalid language");
        }
    }
    Ok(())
}

/// The outline of a BCP 47 tag.
fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    let language = parts.next().unwrap_or_default();
    let is_alphanumeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (2..=3).contains(&language.len())
        && is_alphanumeric(language)
        && parts.all(|part| !part.is_empty() && is_alphanumeric(part))
}

/// As YouTube counts: the commas between tags too, and two quotes for a tag with a space.
fn tags_length(tags: &[Value]) -> Option<usize> {
    let lengths = tags.iter().map(|tag| {
        let tag = tag.as_str().filter(|tag| !tag.contains(['<', '>']))?;
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
    let license = &status["license"];
    if !license.is_null() && license != "youtube" && license != "creativeCommon" {
        let message = format!("Invalid value at 'status.license' (TYPE_ENUM), {license}");
        return Err(bad("global", "badRequest", &message));
    }
    for flag in FLAGS {
        if !status[flag].is_null() && !status[flag].is_boolean() {
            let message = format!("Invalid value at 'status.{flag}' (TYPE_BOOL)");
            return Err(bad("global", "badRequest", &message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tags_are_counted_with_commas_and_quotes() {
        let tags = [json!("one"), json!("two words")];
        assert_eq!(tags_length(&tags), Some(3 + 1 + 9 + 2));
        assert_eq!(tags_length(&[json!(1)]), None);
    }
}
