//! The Page's feed: posts, what they look like in lists, and comments.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::super::graph::{self, GraphError};
use super::super::post::{Draft, Family, Kind, Medium, Post};
use super::super::steps::Step;
use super::super::wire::{self, Reply};
use super::super::world::{Platform, World};
use super::{Asked, COMMENTING, READING, refuse, rejected, status_type};

/// Not documented; the figure that working clients use.
const MAX_MESSAGE_CHARS: usize = 63_206;

const FEED_PARAMS: [&str; 6] = [
    "message",
    "link",
    "attached_media",
    "published",
    "access_token",
    "fields",
];
const COMMENT_PARAMS: [&str; 6] = [
    "message",
    "attachment_id",
    "attachment_share_url",
    "attachment_url",
    "access_token",
    "fields",
];

pub(super) fn publish(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    let photos = attached(asked)?;
    let mut draft = draft(asked, page, photos.is_empty())?;
    // Checked before anything is published: a bad field list must not cost a post.
    graph::select(&blank(), &asked.fields, "id")?;
    let mut world = asked.call.flight.twin.world();
    draft.media = super::photos::attachable(&world, page, &photos)?;
    if !photos.is_empty() {
        draft.details.insert("photo_ids".to_owned(), json!(photos));
    }
    let accept = |world: &mut World| {
        for id in &photos {
            super::photos::use_up(world, id);
        }
        let (id, permalink) = place(world, page);
        let post = world.publish(Platform::Facebook, draft, id, permalink);
        match graph::select(&node(post), &asked.fields, "id") {
            Ok(body) => wire::json(StatusCode::OK, body),
            Err(error) => error.into_response(),
        }
    };
    Ok(world.step(Platform::Facebook, Step::Publish, refuse, accept))
}

/// The id and the address of a new post.
pub(super) fn place(world: &mut World, page: &str) -> (String, String) {
    let number = 122_100_000_000_000 + world.mint();
    let permalink = format!("https://www.facebook.com/{page}/posts/{number}");
    (format!("{page}_{number}"), permalink)
}

/// A text that may be published.
pub(super) fn checked_text(text: &str) -> Result<(), GraphError> {
    if text.chars().count() > MAX_MESSAGE_CHARS {
        let message = "(#100) Param message must be at most 63206 characters long";
        return Err(GraphError::new(100, message));
    }
    if wire::is_rejected(text) {
        return Err(rejected());
    }
    Ok(())
}

fn draft(asked: &Asked<'_, '_>, page: &str, needs_text: bool) -> Result<Draft, GraphError> {
    let fields = &asked.fields;
    let is_attached = |name: &str| name.starts_with("attached_media[");
    graph::check_known_or(fields, &FEED_PARAMS, is_attached)?;
    if !asked.is_published()? {
        let message = "(#100) The sandbox only publishes at once: published must be true";
        return Err(GraphError::new(100, message));
    }
    let message = fields.filled("message").unwrap_or_default();
    let link = fields.filled("link");
    if message.is_empty() && link.is_none() && needs_text {
        let message = "(#100) Missing message or attachment: one of message or link is required";
        return Err(GraphError::new(100, message));
    }
    if link.is_some() && !needs_text {
        let message = "(#100) A post has either a link or attached media";
        return Err(GraphError::new(100, message));
    }
    if link.is_some_and(|link| !wire::is_web_url(link)) {
        let message = "(#100) link URL is not properly formatted";
        return Err(GraphError::new(100, message));
    }
    checked_text(message)?;
    Ok(Draft {
        account: page.to_owned(),
        text: message.to_owned(),
        link: link.map(str::to_owned),
        ..Draft::default()
    })
}

/// The ids in `attached_media`, a JSON list or one field for each.
fn attached(asked: &Asked<'_, '_>) -> Result<Vec<String>, GraphError> {
    let bad = || {
        let message = "(#100) Param attached_media must be an array of {\"media_fbid\": \"…\"}";
        GraphError::new(100, message)
    };
    let id = |medium: &Value| medium["media_fbid"].as_str().map(str::to_owned);
    if let Some(list) = asked.fields.get("attached_media") {
        let list: Vec<Value> = serde_json::from_str(list).map_err(|_| bad())?;
        return list
            .iter()
            .map(|medium| id(medium).ok_or_else(bad))
            .collect();
    }
    let mut ids = Vec::new();
    while let Some(medium) = asked.fields.get(&format!("attached_media[{}]", ids.len())) {
        let medium: Value = serde_json::from_str(medium).map_err(|_| bad())?;
        ids.push(id(&medium).ok_or_else(bad)?);
    }
    Ok(ids)
}

/// Every field a Page post has here, without values.
fn blank() -> Map<String, Value> {
    let names = [
        "id",
        "message",
        "created_time",
        "permalink_url",
        "status_type",
        "is_published",
        "attachments",
    ];
    names
        .map(|name| (name.to_owned(), Value::Null))
        .into_iter()
        .collect()
}

pub(super) fn node(post: &Post) -> Map<String, Value> {
    let mut node = blank();
    node["id"] = post.id.as_str().into();
    if !post.text.is_empty() {
        node["message"] = post.text.as_str().into();
    }
    node["created_time"] = graph::time(post.published_at).into();
    node["permalink_url"] = post.permalink.as_str().into();
    node["is_published"] = true.into();
    node["status_type"] = status_type(post).into();
    if let Some(link) = &post.link {
        node["attachments"] = json!({"data": [{"media_type": "link", "target": {"url": link}}]});
    } else if let Some(medium) = post.media.first() {
        let media_type = match (medium.family, post.media.len()) {
            (Family::Video, _) => "video",
            (_, 1) => "photo",
            _ => "album",
        };
        let mut shown = json!({"media_type": media_type, "target": {"id": post.id}});
        let photos = post.details.get("photo_ids").and_then(Value::as_array);
        match photos.map(Vec::as_slice) {
            Some([photo]) => shown["target"]["id"] = photo.clone(),
            Some(photos) => {
                let part = |photo| json!({"media_type": "photo", "target": {"id": photo}});
                let parts: Vec<Value> = photos.iter().map(part).collect();
                shown["subattachments"] = json!({"data": parts});
            }
            None => {}
        }
        node["attachments"] = json!({"data": [shown]});
    }
    node
}

/// A story as the Page's archive shows it.
pub(super) fn story_node(post: &Post) -> Map<String, Value> {
    let is_video = |medium: &Medium| medium.family == Family::Video;
    let is_video = post.media.first().is_some_and(is_video);
    let node = json!({
        "id": post.id,
        "post_id": post.id,
        "status": "published",
        "creation_time": post.published_at.timestamp().to_string(),
        "media_type": if is_video { "video" } else { "photo" },
        "media_id": post.details.get("media_id"),
        "url": post.permalink,
    });
    node.as_object().cloned().unwrap_or_default()
}

pub(super) fn comment(asked: &Asked<'_, '_>, id: &str) -> Result<Reply, GraphError> {
    if let Some(refused) = asked.refused(COMMENTING) {
        return Ok(refused);
    }
    graph::check_known(&asked.fields, &COMMENT_PARAMS)?;
    let attachments = ["attachment_id", "attachment_share_url", "attachment_url"];
    let attachments = attachments
        .iter()
        .filter(|name| asked.fields.filled(name).is_some());
    let attachments = attachments.count();
    let text = asked.fields.filled("message").unwrap_or_default();
    if text.is_empty() && attachments == 0 {
        return Err(GraphError::new(
            100,
            "(#100) The parameter message is required",
        ));
    }
    if attachments > 1 {
        let message = "(#100) A comment has at most one attachment";
        return Err(GraphError::new(100, message));
    }
    checked_text(text)?;
    let mut world = asked.call.flight.twin.world();
    let post = world.post(Platform::Facebook, id);
    let page = match post {
        Some(post) if post.kind != Kind::Story => post.account.clone(),
        _ => return Err(GraphError::no_such_object(id)),
    };
    drop(world);
    asked.call.flight.of_account(&page);
    world = asked.call.flight.twin.world();
    let accept = |world: &mut World| match world.comment(Platform::Facebook, id, text) {
        Some(comment) => graph::ok(json!({"id": comment})),
        None => GraphError::no_such_object(id).into_response(),
    };
    Ok(world.step(Platform::Facebook, Step::Comment, refuse, accept))
}

pub(super) fn comments(asked: &Asked<'_, '_>, id: &str) -> Result<Reply, GraphError> {
    if let Some(refused) = asked.refused(READING) {
        return Ok(refused);
    }
    let mut world = asked.call.flight.twin.world();
    let post = world.post(Platform::Facebook, id);
    let post = post.ok_or_else(|| GraphError::no_such_object(id))?;
    let comments = post.comments.iter().map(|comment| {
        json!({
            "id": comment.id, "message": comment.text, "created_time": graph::time(comment.at),
        })
    });
    let body = json!({"data": comments.collect::<Vec<_>>()});
    let found = |_: &mut World| graph::ok(body);
    Ok(world.step(Platform::Facebook, Step::Status, refuse, found))
}
