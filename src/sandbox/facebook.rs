//! Facebook Pages, Graph API v20.0 to v26.0: text and link posts on a Page.
//!
//! <https://developers.facebook.com/docs/graph-api/reference/page/feed>. No idempotency key;
//! an attempt in doubt is looked up in the Page's list of posts.

use axum::body::Body;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::graph::{self, GraphError};
use super::post::{Draft, Post};
use super::steps::Step;
use super::wire::{self, Call, Fields, Refusal, Reply};
use super::world::Platform;

/// Not documented; the figure that working clients use.
const MAX_MESSAGE_CHARS: usize = 63_206;

/// What every request here needs.
const SCOPE: &str = "pages_manage_posts";

const FEED_PARAMS: [&str; 5] = ["message", "link", "published", "access_token", "fields"];

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    match call.read(body).await {
        Ok(()) => route(&call).unwrap_or_else(|error| error.into_response().into()),
        Err(refusal) => refuse(refusal).into(),
    }
}

fn route(call: &Call<'_>) -> Result<Reply, GraphError> {
    let (path, fields) = graph::open(call)?;
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    match (call.method, path.as_slice()) {
        (&Method::POST, [page, "feed"]) => feed(call, page, &fields),
        (&Method::GET, [page, "published_posts" | "feed"]) => published_posts(call, page, &fields),
        (&Method::GET, [id]) if !id.is_empty() => post(call, id, &fields),
        _ => Err(GraphError::unknown_path(&path.join("/"))),
    }
}

pub(super) fn refuse(refusal: Refusal) -> Response {
    let error = match refusal {
        Refusal::RateLimited { retry_after } => GraphError::new(
            80001,
            "(#80001) There have been too many calls to this Page account. Wait a bit and try again.",
        )
        .used_up("pages", retry_after),
        Refusal::Rejected => GraphError::new(368, "(#368) The action attempted has been deemed abusive or is otherwise disallowed")
            .sub(1_404_102)
            .explained("This content goes against our Community Standards."),
        other => graph::refuse(other),
    };
    error.into_response()
}

fn feed(call: &Call<'_>, page: &str, fields: &Fields) -> Result<Reply, GraphError> {
    if let Err(refusal) = graph::authorize(call, fields, SCOPE) {
        return Ok(refuse(refusal).into());
    }
    call.flight.of_account(page);
    let draft = match draft(page, fields)? {
        Ok(draft) => draft,
        Err(refusal) => return Ok(refuse(refusal).into()),
    };
    // Checked before anything is published: a bad field list must not cost a post.
    select(&blank(), fields)?;
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Facebook, Step::Publish, refuse, |world| {
            let number = 122_100_000_000_000 + world.mint();
            let id = format!("{page}_{number}");
            let permalink = format!("https://www.facebook.com/{page}/posts/{number}");
            let post = world.publish(Platform::Facebook, draft, id, permalink);
            match select(&node(post), fields) {
                Ok(body) => wire::json(axum::http::StatusCode::OK, body),
                Err(error) => error.into_response(),
            }
        }),
    )
}

/// The post in a request; the inner error is the content rejection, which has no fault of form.
fn draft(page: &str, fields: &Fields) -> Result<Result<Draft, Refusal>, GraphError> {
    graph::check_known(fields, &FEED_PARAMS)?;
    if !matches!(fields.get("published"), None | Some("true" | "1")) {
        let message = "(#100) The sandbox only publishes at once: published must be true";
        return Err(GraphError::new(100, message));
    }
    let message = fields.filled("message").unwrap_or_default();
    let link = fields.filled("link");
    if message.is_empty() && link.is_none() {
        return Err(GraphError::new(
            100,
            "(#100) Missing message or attachment: one of message or link is required",
        ));
    }
    if message.chars().count() > MAX_MESSAGE_CHARS {
        return Err(GraphError::new(
            100,
            "(#100) Param message must be at most 63206 characters long",
        ));
    }
    if link.is_some_and(|link| !wire::is_web_url(link)) {
        return Err(GraphError::new(
            100,
            "(#100) link URL is not properly formatted",
        ));
    }
    if wire::is_rejected(message) {
        return Ok(Err(Refusal::Rejected));
    }
    Ok(Ok(Draft {
        account: page.to_owned(),
        text: message.to_owned(),
        link: link.map(str::to_owned),
        ..Draft::default()
    }))
}

fn published_posts(call: &Call<'_>, page: &str, fields: &Fields) -> Result<Reply, GraphError> {
    if let Err(refusal) = graph::authorize(call, fields, SCOPE) {
        return Ok(refuse(refusal).into());
    }
    call.flight.of_account(page);
    let mut world = call.flight.twin.world();
    let posts = world.posts_of(Platform::Facebook, page);
    let body = graph::list(posts, fields, "created_time,message,id", node)?;
    Ok(world.step(Platform::Facebook, Step::Status, refuse, |_| {
        graph::ok(body)
    }))
}

fn post(call: &Call<'_>, id: &str, fields: &Fields) -> Result<Reply, GraphError> {
    if let Err(refusal) = graph::authorize(call, fields, SCOPE) {
        return Ok(refuse(refusal).into());
    }
    let account = id.rsplit_once('_').map_or(id, |(page, _)| page);
    call.flight.of_account(account);
    let mut world = call.flight.twin.world();
    let post = world.post(Platform::Facebook, id);
    let post = post.ok_or_else(|| GraphError::no_such_object(id))?;
    let body = graph::select(&node(post), fields, "created_time,message,id")?;
    Ok(world.step(Platform::Facebook, Step::Status, refuse, |_| {
        graph::ok(body)
    }))
}

/// A publishing request answers with the id alone unless it asks for more.
fn select(node: &Map<String, Value>, fields: &Fields) -> Result<Value, GraphError> {
    graph::select(node, fields, "id")
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

fn node(post: &Post) -> Map<String, Value> {
    let mut node = blank();
    node["id"] = post.id.as_str().into();
    if !post.text.is_empty() {
        node["message"] = post.text.as_str().into();
    }
    node["created_time"] = graph::time(post.published_at).into();
    node["permalink_url"] = post.permalink.as_str().into();
    node["is_published"] = true.into();
    node["status_type"] = "mobile_status_update".into();
    if let Some(link) = &post.link {
        node["status_type"] = "shared_story".into();
        node["attachments"] = json!({"data": [{"media_type": "link", "target": {"url": link}}]});
    }
    node
}
