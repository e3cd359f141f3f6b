//! What can be read: containers, posts, lists of them, accounts, the publishing limit.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::graph::{self, GraphError};
use super::super::post::{Comment, Family, Kind, Post};
use super::super::steps::Step;
use super::super::tokens::TokenRefusal;
use super::super::wire::{Call, Fields, Reply};
use super::super::world::{Platform, World};
use super::container::{Container, LIFE};
use super::{oauth, refuse};

/// Meta's own pages say 50 and 100.
pub(super) const QUOTA_TOTAL: usize = 100;

fn day_ago() -> DateTime<Utc> {
    super::super::wall_clock() - LIFE
}

/// How many posts the account published in the last 24 hours.
pub(super) fn usage(world: &World, account: &str) -> usize {
    let since = day_ago();
    let posts = world.posts_of(Platform::Instagram, account);
    posts.take_while(|post| post.published_at > since).count()
}

fn looked_up(world: &mut World, body: Value) -> Reply {
    world.step(Platform::Instagram, Step::Status, refuse, |_| {
        graph::ok(body)
    })
}

pub(super) fn media(call: &Call<'_>, account: &str, fields: &Fields) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    let mut world = call.flight.twin.world();
    let posts = world.posts_of(Platform::Instagram, account);
    let posts = posts.filter(|post| post.kind != Kind::Story);
    let body = graph::list(call, posts, fields, "id", node)?;
    Ok(looked_up(&mut world, body))
}

/// Stories are gone after a day.
pub(super) fn stories(
    call: &Call<'_>,
    account: &str,
    fields: &Fields,
) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    let mut world = call.flight.twin.world();
    let since = day_ago();
    let posts = world.posts_of(Platform::Instagram, account);
    let posts = posts.filter(|post| post.kind == Kind::Story && post.published_at > since);
    let body = graph::list(call, posts, fields, "id", node)?;
    Ok(looked_up(&mut world, body))
}

pub(super) fn comments(call: &Call<'_>, id: &str, fields: &Fields) -> Result<Reply, GraphError> {
    let mut world = call.flight.twin.world();
    let post = world.post(Platform::Instagram, id);
    let post = post.ok_or_else(|| GraphError::no_such_object(id))?;
    let node = |comment: &Comment| {
        let node = json!({
            "id": comment.id, "text": comment.text, "timestamp": graph::time(comment.at),
        });
        node.as_object().cloned().unwrap_or_default()
    };
    let comments = post.comments.iter().rev();
    let data: Result<Vec<Value>, _> = comments
        .map(|comment| graph::select(&node(comment), fields, "id,text,timestamp"))
        .collect();
    let body = json!({ "data": data? });
    Ok(looked_up(&mut world, body))
}

pub(super) fn publishing_limit(
    call: &Call<'_>,
    account: &str,
    fields: &Fields,
) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    let mut world = call.flight.twin.world();
    let limit = json!({
        "quota_usage": usage(&world, account),
        "config": {"quota_total": QUOTA_TOTAL, "quota_duration": LIFE.as_secs()},
    });
    let asked = fields.filled("fields").unwrap_or("quota_usage");
    let mut answer = Map::new();
    for name in asked.split(',') {
        let value = limit.get(name).ok_or_else(|| {
            GraphError::new(
                100,
                format!("(#100) Tried accessing nonexisting field ({name})"),
            )
        })?;
        answer.insert(name.to_owned(), value.clone());
    }
    Ok(looked_up(&mut world, json!({ "data": [answer] })))
}

/// A container, a post or an account: all are plain ids.
pub(super) fn object(call: &Call<'_>, id: &str, fields: &Fields) -> Result<Reply, GraphError> {
    let mut world = call.flight.twin.world();
    let node = if let Some(container) = world.containers.get(id) {
        of_container(id, container)
    } else if let Some(post) = world.post(Platform::Instagram, id) {
        node(post)
    } else if is_account(id) {
        of_account(call, &mut world, id, fields)?
    } else {
        return Err(GraphError::no_such_object(id));
    };
    let body = graph::select(&node, fields, "id")?;
    Ok(looked_up(&mut world, body))
}

/// Any number is somebody's account, unless it looks like one that is given to something else here.
fn is_account(id: &str) -> bool {
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let is_thing = id.len() == 17 && !id.starts_with("1784");
    is_number && !is_thing
}

fn of_account(
    call: &Call<'_>,
    world: &mut World,
    id: &str,
    fields: &Fields,
) -> Result<Map<String, Value>, GraphError> {
    let mut node = Map::new();
    node.insert("id".to_owned(), json!(id));
    node.insert("user_id".to_owned(), json!(id));
    node.insert("username".to_owned(), json!(format!("account_{id}")));
    node.insert("name".to_owned(), json!(format!("Account {id}")));
    let asked = fields.filled("fields").unwrap_or_default();
    if asked.split(',').any(|name| name == "access_token") {
        // A Page's node, read with a user's token, tells the Page's.
        let user = call.bearer().or_else(|| fields.get("access_token"));
        let minted = world
            .tokens
            .refresh(Platform::Instagram, user.unwrap_or_default(), false)
            .map_err(|refusal: TokenRefusal| oauth::refused(refusal))?;
        node.insert("access_token".to_owned(), json!(minted.access_token));
    }
    Ok(node)
}

fn of_container(id: &str, container: &Container) -> Map<String, Value> {
    let mut node = json!({
        "id": id, "status_code": container.status_code(), "status": container.status(),
        "video_status": null, "copyright_check_status": null,
    });
    let uploading = match (&container.pending, container.sent) {
        (Some(pending), _) => Some((
            if pending.intake.bytes() == 0 {
                "not_started"
            } else {
                "in_progress"
            },
            pending.intake.bytes(),
        )),
        (None, Some(bytes)) => Some(("complete", bytes)),
        (None, None) => None,
    };
    if let Some((status, bytes)) = uploading {
        let processed = match container.status_code() {
            "FINISHED" | "PUBLISHED" => "complete",
            "ERROR" => "error",
            _ if status == "complete" => "in_progress",
            _ => "not_started",
        };
        node["video_status"] = json!({
            "uploading_phase": {"status": status, "bytes_transferred": bytes},
            "processing_phase": {"status": processed},
        });
    }
    node.as_object().cloned().unwrap_or_default()
}

fn node(post: &Post) -> Map<String, Value> {
    let shortcode = post.permalink.trim_end_matches('/').rsplit('/').next();
    let caption = Some(&post.text).filter(|text| !text.is_empty());
    let media_type = match post.media.as_slice() {
        [_, _, ..] => "CAROUSEL_ALBUM",
        [medium] if medium.family == Family::Video => "VIDEO",
        _ => "IMAGE",
    };
    let product = match post.kind {
        Kind::Story => "STORY",
        Kind::Reel => "REELS",
        Kind::Post | Kind::Reply => "FEED",
    };
    let node = json!({
        "id": post.id,
        "caption": caption,
        "permalink": post.permalink,
        "shortcode": shortcode,
        "timestamp": graph::time(post.published_at),
        "media_type": media_type,
        "media_product_type": product,
        "media_url": post.media.first().and_then(|medium| medium.url.as_deref()),
        "comments_count": post.comments.len(),
    });
    node.as_object().cloned().unwrap_or_default()
}
