//! What can be looked up: videos, channels, and what is in a playlist.

use std::time::Instant;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::super::post::Post;
use super::super::steps::Step;
use super::super::wire::{self, Call, Fields, Refused, Reply};
use super::super::world::{Platform, World};
use super::errors::{forbidden, playlist_missing};
use super::{Caller, READ, Video, bad, check_query, parts, refuse, title_of, uploads_of};

const VIDEO_PARTS: [&str; 7] = [
    "id",
    "snippet",
    "status",
    "processingDetails",
    "contentDetails",
    "fileDetails",
    "statistics",
];
const CHANNEL_PARTS: [&str; 5] = ["id", "snippet", "status", "contentDetails", "statistics"];
const ITEM_PARTS: [&str; 4] = ["id", "snippet", "status", "contentDetails"];
/// More ids are refused.
const MAX_IDS: usize = 50;

fn filter_missing(expected: &str) -> Refused {
    let message = format!("No filter selected. Expected one of: {expected}");
    bad("youtube.parameter", "missingRequiredParameter", &message)
}

/// A list as every method answers it.
fn list(kind: &str, items: &[Value]) -> Value {
    let total = items.len();
    json!({
        "kind": format!("youtube#{kind}ListResponse"),
        "etag": "sandbox",
        "pageInfo": {"totalResults": total, "resultsPerPage": total},
        "items": items,
    })
}

/// Kind, etag, id, and the parts that were asked for.
fn picked(resource: &Value, parts: &[&str]) -> Value {
    let Some(fields) = resource.as_object() else {
        return Value::Null;
    };
    let is_wanted = |name: &str| ["kind", "etag", "id"].contains(&name) || parts.contains(&name);
    let fields = fields.iter().filter(|(name, _)| is_wanted(name));
    let fields = fields.map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(fields.collect())
}

impl Video {
    /// The resource as it is now: processing goes on.
    fn now(&self) -> Value {
        let mut resource = self.resource.clone();
        let is_ready = self.ready_at <= Instant::now();
        let (upload, processing) = match (is_ready, self.is_invalid) {
            (false, _) => ("uploaded", "processing"),
            (true, true) => ("failed", "failed"),
            (true, false) => ("processed", "succeeded"),
        };
        resource["status"]["uploadStatus"] = upload.into();
        if upload == "failed" {
            resource["status"]["failureReason"] = "invalidFile".into();
        }
        resource["processingDetails"] = json!({"processingStatus": processing});
        resource
    }
}

/// `videos.list` by id.
pub(super) fn videos(call: &Call<'_>) -> Result<Reply, Refused> {
    let caller = Caller::of(call, READ)?;
    let query = call.query();
    check_query(&query, &["id", "maxResults", "pageToken", "hl"])?;
    let parts = parts(&query, &VIDEO_PARTS)?;
    let ids = query
        .filled("id")
        .ok_or_else(|| filter_missing("chart, id, myRating"))?;
    let ids: Vec<&str> = ids.split(',').collect();
    if ids.len() > MAX_IDS {
        let message = "The request specifies an invalid filter parameter.";
        return Err(bad("youtube.parameter", "invalidFilters", message));
    }
    let owners_alone = ["processingDetails", "fileDetails"];
    let is_private = parts.iter().any(|part| owners_alone.contains(part));
    let mut world = call.flight.twin.world();
    let known = &world.youtube.videos;
    let found: Vec<&Video> = ids.iter().filter_map(|id| known.get(*id)).collect();
    if is_private && found.iter().any(|video| !caller.owns(&video.channel)) {
        let message = "The request cannot access user rating or processing information: it is not authorized.";
        return Err(forbidden("youtube.video", "forbidden", message));
    }
    let is_visible = |video: &&Video| {
        caller.owns(&video.channel) || video.resource["status"]["privacyStatus"] != "private"
    };
    let items: Vec<Value> = found
        .into_iter()
        .filter(is_visible)
        .map(|video| picked(&video.now(), &parts))
        .collect();
    Ok(world.step(Platform::Youtube, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, list("video", &items))
    }))
}

/// `channels.list`: the caller's own, or by id.
pub(super) fn channels(call: &Call<'_>) -> Result<Reply, Refused> {
    let caller = Caller::of(call, READ)?;
    let query = call.query();
    check_query(&query, &["mine", "id", "maxResults", "pageToken", "hl"])?;
    let parts = parts(&query, &CHANNEL_PARTS)?;
    let id = match (query.flag("mine"), query.filled("id")) {
        (true, None) => Some(caller.channel.as_str()).filter(|_| !caller.is("nochannel-")),
        (false, Some(id)) => Some(id),
        (false, None) => return Err(filter_missing("forUsername, id, managedByMe, mine")),
        (true, Some(_)) => {
            let message = "Incompatible parameters specified in the request: id, mine";
            return Err(bad("youtube.parameter", "incompatibleParameters", message));
        }
    };
    let long = if caller.is("unverified-") {
        "eligible"
    } else {
        "allowed"
    };
    let items: Vec<Value> = id
        .map(|id| {
            let channel = json!({
                "kind": "youtube#channel", "etag": "sandbox", "id": id,
                "snippet": {"title": title_of(id), "description": "", "publishedAt": "2020-01-01T00:00:00Z"},
                "status": {"privacyStatus": "public", "isLinked": true, "longUploadsStatus": long},
                "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": uploads_of(id)}},
                "statistics": {"hiddenSubscriberCount": false},
            });
            picked(&channel, &parts)
        })
        .into_iter()
        .collect();
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Youtube, Step::Status, refuse, |_| {
        let mut answer = list("channel", &items);
        // Google leaves an empty list out.
        if items.is_empty()
            && let Some(fields) = answer.as_object_mut()
        {
            fields.remove("items");
        }
        wire::json(StatusCode::OK, answer)
    }))
}

/// `playlistItems.list`: what a channel uploaded, newest first, or what was added to a playlist.
pub(super) fn playlist_items(call: &Call<'_>) -> Result<Reply, Refused> {
    let caller = Caller::of(call, READ)?;
    let query = call.query();
    check_query(
        &query,
        &["playlistId", "maxResults", "pageToken", "videoId"],
    )?;
    let parts = parts(&query, &ITEM_PARTS)?;
    let playlist = query
        .filled("playlistId")
        .ok_or_else(|| filter_missing("id, playlistId"))?;
    let (size, from) = page(&query)?;
    let mut world = call.flight.twin.world();
    let items = members(&world, &caller, playlist)?;
    let total = items.len();
    let page: Vec<Value> = items
        .iter()
        .enumerate()
        .skip(from)
        .take(size)
        .map(|(position, post)| picked(&item(&world, post, playlist, position), &parts))
        .collect();
    let mut answer = list("playlistItem", &page);
    answer["pageInfo"] = json!({"totalResults": total, "resultsPerPage": size});
    if from + size < total {
        answer["nextPageToken"] = (from + size).to_string().into();
    }
    Ok(world.step(Platform::Youtube, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, answer)
    }))
}

/// How many items a page has, and which is its first.
fn page(query: &Fields) -> Result<(usize, usize), Refused> {
    let size = match query.get("maxResults").map(str::parse) {
        None => 5,
        Some(Ok(size @ 0..=50)) => size,
        Some(_) => {
            let message =
                "Invalid value at 'max_results'. Values must be within the range: [0, 50]";
            return Err(bad("global", "invalidParameter", message));
        }
    };
    let from = query.get("pageToken").map_or(Ok(0), str::parse);
    let from = from.map_err(|_| {
        let message = "The request specifies an invalid page token.";
        bad("youtube.parameter", "invalidPageToken", message)
    })?;
    Ok((size, from))
}

/// The videos of a playlist. One that nobody can know is not found: a list of uploads of a channel that is not the
/// caller's and has none, and a playlist to which nothing was added.
fn members<'w>(
    world: &'w World,
    caller: &Caller,
    playlist: &str,
) -> Result<Vec<&'w Post>, Refused> {
    let channel = playlist.strip_prefix("UU").map(|rest| format!("UC{rest}"));
    let is_public = |post: &&Post| post.details.get("privacy") == Some(&json!("public"));
    if let Some(channel) = channel {
        let mut posts = world.posts_of(Platform::Youtube, &channel).peekable();
        if channel != caller.channel && posts.peek().is_none() {
            return Err(playlist_missing());
        }
        return Ok(posts
            .filter(|post| caller.owns(&channel) || is_public(post))
            .collect());
    }
    let posts = world.posts_of(Platform::Youtube, &caller.channel);
    let is_member = |post: &&Post| post.details.get("playlist") == Some(&json!(playlist));
    let posts: Vec<&Post> = posts.filter(is_member).collect();
    if posts.is_empty() {
        return Err(playlist_missing());
    }
    Ok(posts)
}

fn item(world: &World, post: &Post, playlist: &str, position: usize) -> Value {
    let resource = world.youtube.videos.get(&post.id);
    let resource = resource.map_or(&Value::Null, |video| &video.resource);
    let at = &resource["snippet"]["publishedAt"];
    json!({
        "kind": "youtube#playlistItem",
        "etag": "sandbox",
        "id": format!("UEw{}", post.sequence),
        "snippet": {
            "publishedAt": at,
            "channelId": post.account,
            "channelTitle": title_of(&post.account),
            "videoOwnerChannelId": post.account,
            "videoOwnerChannelTitle": title_of(&post.account),
            "title": resource["snippet"]["title"],
            "description": resource["snippet"]["description"],
            "playlistId": playlist,
            "position": position,
            "resourceId": {"kind": "youtube#video", "videoId": post.id},
        },
        "contentDetails": {"videoId": post.id, "videoPublishedAt": at},
        "status": {"privacyStatus": resource["status"]["privacyStatus"]},
    })
}
