//! What follows a video: its thumbnail, playlists, comments.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::super::media::{self, Incomplete};
use super::super::steps::Step;
use super::super::wire::{self, Call, Refusal, Refused, Reply};
use super::super::world::Platform;
use super::errors::{About, forbidden, missing, playlist_missing};
use super::{
    COMMENT, Caller, MANAGE, UPLOAD, bad, check_names, check_query, object, parts, refuse,
};

const MAX_THUMBNAIL_BYTES: u64 = 2 * 1024 * 1024;
const MAX_COMMENT_CHARS: usize = 10_000;

/// `thumbnails.set`: the bytes of an image, and nothing else.
pub(super) async fn thumbnail(call: &Call<'_>, body: Body) -> Reply {
    // Read first: a client that is still sending would not hear the refusal.
    let received = media::receive(body, MAX_THUMBNAIL_BYTES, None).await;
    let checked = Caller::of(call, UPLOAD).and_then(|caller| {
        let query = call.query();
        check_query(&query, &["videoId", "uploadType"])?;
        if query.get("uploadType") != Some("media") {
            return Err(bad("global", "badRequest", "uploadType must be media"));
        }
        let video = query.filled("videoId").ok_or_else(|| {
            let message = "No filter selected. Expected one of: videoId";
            bad("youtube.parameter", "missingRequiredParameter", message)
        })?;
        known_video(call, &caller, video, "youtube.thumbnail")?;
        let kinds = ["image/jpeg", "image/png", "application/octet-stream"];
        if !kinds.contains(&call.content_type()) {
            let message = "Media type is not supported. Valid media types: [image/jpeg, image/png, \
                application/octet-stream]";
            return Err(bad("global", "badContent", message));
        }
        if caller.is("unverified-") {
            let message =
                "The authenticated user doesn't have permissions to upload and set custom video \
                thumbnails.";
            return Err(forbidden("youtube.thumbnail", "forbidden", message));
        }
        Ok(video.to_owned())
    });
    let video = match checked {
        Ok(video) => video,
        Err(refused) => return refused.into(),
    };
    let received = match received {
        Ok(received) if received.bytes == 0 => {
            let message = "The request does not include the image content.";
            return bad("youtube.thumbnail", "mediaBodyRequired", message).into();
        }
        Ok(received) => received,
        Err(Incomplete::TooLarge) => return refuse(Refusal::TooLarge).into(),
        Err(Incomplete::Truncated | Incomplete::Cut) => {
            return refuse(Refusal::Truncated).into();
        }
    };
    if !matches!(received.mime, Some("image/jpeg" | "image/png")) {
        let message = "The provided image content is invalid.";
        return bad("youtube.thumbnail", "invalidImage", message).into();
    }
    let mut world = call.flight.twin.world();
    world.keep(&received);
    world.step(Platform::Youtube, Step::Comment, refuse, |world| {
        let shown = json!({
            "sha256": received.sha256, "bytes": received.bytes, "width": received.width, "height": received.height,
        });
        world.detail(Platform::Youtube, &video, "thumbnail", shown);
        let address = format!("https://i.ytimg.com/vi/{video}/default.jpg");
        let item = json!({"default": {"url": address, "width": 120, "height": 90}});
        let list = json!({"kind": "youtube#thumbnailSetResponse", "etag": "sandbox", "items": [item]});
        wire::json(StatusCode::OK, list)
    })
}

/// Whether there is such a video, and it is the caller's.
fn known_video(call: &Call<'_>, caller: &Caller, id: &str, domain: &str) -> Result<(), Refused> {
    let world = call.flight.twin.world();
    let Some(video) = world.youtube.videos.get(id) else {
        let message = "The video that you are trying to change cannot be found.";
        return Err(missing(domain, "videoNotFound", message));
    };
    if caller.owns(&video.channel) {
        return Ok(());
    }
    let message = "The request is not properly authorized for this video.";
    Err(forbidden(domain, "forbidden", message))
}

/// The object `at` that name, whose fields are among the known ones.
fn nested<'o>(
    object: &'o Map<String, Value>,
    name: &str,
    known: &[&str],
) -> Result<&'o Map<String, Value>, Refused> {
    let nested = object.get(name).and_then(Value::as_object).ok_or_else(|| {
        let message = format!("'{name}' must be an object");
        bad("global", "required", &message)
    })?;
    check_names(nested, name, known)?;
    Ok(nested)
}

fn text<'o>(object: &'o Map<String, Value>, name: &str) -> &'o str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Exactly the part `snippet`, in the query and in the body.
fn snippet_alone(call: &Call<'_>, own: &[&str]) -> Result<Map<String, Value>, Refused> {
    let query = call.query();
    check_query(&query, own)?;
    parts(&query, &["snippet"])?;
    let body = object(call)?;
    check_names(&body, "", &["snippet", "kind"])?;
    Ok(body)
}

/// `commentThreads.insert`.
pub(super) fn comment(call: &Call<'_>) -> Result<Reply, Refused> {
    const DOMAIN: &str = "youtube.commentThread";
    let caller = Caller::of(call, COMMENT)?;
    let body = snippet_alone(call, &[])?;
    let snippet = nested(
        &body,
        "snippet",
        &["videoId", "channelId", "topLevelComment"],
    )?;
    let comment = nested(snippet, "topLevelComment", &["snippet", "kind"])?;
    let comment = nested(comment, "snippet", &["textOriginal"])?;
    let (video, said) = (text(snippet, "videoId"), text(comment, "textOriginal"));
    if video.is_empty() {
        let message = "The comment thread resource must specify a value for the videoId property.";
        return Err(bad(DOMAIN, "videoIdMissing", message));
    }
    if said.trim().is_empty() {
        let message =
            "The comment thread resource must specify a value for the textOriginal property.";
        return Err(bad(DOMAIN, "commentTextRequired", message));
    }
    if said.chars().count() > MAX_COMMENT_CHARS {
        let message = "The comment is too long.";
        return Err(bad(DOMAIN, "commentTextTooLong", message));
    }
    if wire::is_rejected(said) {
        let message = "The comment cannot be created due to processing failure.";
        return Err(bad(DOMAIN, "processingFailure", message));
    }
    caller.check(About::Comment)?;
    let mut world = call.flight.twin.world();
    let Some(known) = world.youtube.videos.get(video) else {
        let message = "The video identified by the videoId parameter could not be found.";
        return Err(missing(DOMAIN, "videoNotFound", message));
    };
    if known.resource["status"]["selfDeclaredMadeForKids"] == true {
        let message = "The video identified by the videoId parameter has disabled comments.";
        return Err(forbidden(DOMAIN, "commentsDisabled", message));
    }
    Ok(world.step(Platform::Youtube, Step::Comment, refuse, |world| {
        let Some(number) = world.comment(Platform::Youtube, video, said) else {
            return refuse(Refusal::NotFound);
        };
        let id = format!("Ugx{number}");
        let top = json!({"kind": "youtube#comment", "id": id, "snippet": {"textOriginal": said, "videoId": video}});
        let thread = json!({
            "kind": "youtube#commentThread", "etag": "sandbox", "id": id,
            "snippet": {"videoId": video, "topLevelComment": top, "canReply": true, "totalReplyCount": 0},
        });
        wire::json(StatusCode::OK, thread)
    }))
}

/// `playlistItems.insert`. Every playlist whose id starts with `PL` is there, and the caller's, unless it goes on with
/// `missing` or `foreign`.
pub(super) fn add_to_playlist(call: &Call<'_>) -> Result<Reply, Refused> {
    const DOMAIN: &str = "youtube.playlistItem";
    let caller = Caller::of(call, MANAGE)?;
    let body = snippet_alone(call, &["onBehalfOfContentOwner"])?;
    let snippet = nested(&body, "snippet", &["playlistId", "resourceId", "position"])?;
    let resource = nested(snippet, "resourceId", &["kind", "videoId"])?;
    let playlist = text(snippet, "playlistId");
    if playlist.is_empty() {
        let message = "The request must specify a value for the playlistId property.";
        return Err(bad(DOMAIN, "playlistIdRequired", message));
    }
    if text(resource, "kind") != "youtube#video" {
        let message = "The resourceId must be of the kind youtube#video.";
        return Err(bad(DOMAIN, "invalidResourceType", message));
    }
    if playlist.starts_with("UU") {
        let message = "The API does not support the ability to insert into this playlist.";
        return Err(bad(DOMAIN, "playlistOperationUnsupported", message));
    }
    if !playlist.starts_with("PL") || playlist.starts_with("PLmissing") {
        return Err(playlist_missing());
    }
    if playlist.starts_with("PLforeign") {
        let message =
            "The request is not properly authorized to insert the specified playlist item.";
        return Err(forbidden(DOMAIN, "playlistItemsNotAccessible", message));
    }
    caller.check(About::Playlist)?;
    let video = text(resource, "videoId");
    let mut world = call.flight.twin.world();
    if !world.youtube.videos.contains_key(video) {
        return Err(missing(DOMAIN, "videoNotFound", "Video not found."));
    }
    Ok(world.step(Platform::Youtube, Step::Comment, refuse, |world| {
        world.detail(Platform::Youtube, video, "playlist", playlist);
        let id = format!("UEw{}", world.mint());
        let item = json!({"kind": "youtube#playlistItem", "etag": "sandbox", "id": id, "snippet": snippet});
        let response: Response = wire::json(StatusCode::OK, item);
        response.into_response()
    }))
}
