//! Facebook Pages, Graph API v20.0 to v26.0: posts, photos, videos, reels, stories and comments.
//!
//! <https://developers.facebook.com/docs/pages-api/posts>. No idempotency key; an attempt in doubt is looked up in the
//! Page's lists, a video's also in its own status.
//!
//! What the documentation leaves open: a second `finish` is refused; a reel shows at once, while its status says that
//! it is processed; 30 reels a day are refused as calls that are too many (613); who asks for a page's token gets one
//! that ends, so that its end can be seen. A Page is any number of fewer than 16 digits.

mod bytes;
mod feed;
mod login;
mod photos;
mod videos;

use std::collections::HashMap;

use axum::body::Body;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::form::{self, File, Form};
use super::graph::{self, GraphError};
use super::post::{Kind, Post};
use super::steps::Step;
use super::wire::{Call, Fields, Refusal, Reply};
use super::world::Platform;

const READING: &str = "pages_read_engagement";
const PUBLISHING: &str = "pages_manage_posts";
const COMMENTING: &str = "pages_manage_engagement";
const LISTING: &str = "pages_show_list";

/// More than a photo or a chunk of a video, with what is around it.
const FORM_LIMIT: usize = 16 * 1024 * 1024;

/// Ids of what is made here have so many digits; those of Pages have fewer.
const MADE_DIGITS: usize = 16;

/// What nobody sees yet.
#[derive(Default)]
pub(super) struct State {
    photos: HashMap<String, photos::Photo>,
    videos: HashMap<String, videos::Video>,
    reels: videos::Reels,
}

/// A request that was read: its path after the version, its fields, and a file if it carries one.
struct Asked<'c, 'a> {
    call: &'c Call<'a>,
    fields: Fields,
    file: Option<File>,
}

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if call.path.starts_with("video-upload/") {
        return bytes::upload(&call, body).await;
    }
    let form = if form::is_form(&call) {
        match form::read(&call, body, FORM_LIMIT).await {
            Ok(form) => Some(form),
            Err(what) => {
                let message = format!("(#100) The form can't be read: {what}");
                return GraphError::new(100, message).into_response().into();
            }
        }
    } else {
        if let Err(refusal) = call.read(body).await {
            return refuse(refusal).into();
        }
        None
    };
    let reply = route(&call, form).await;
    reply.unwrap_or_else(|error| error.into_response().into())
}

async fn route(call: &Call<'_>, form: Option<Form>) -> Result<Reply, GraphError> {
    let (path, mut fields) = graph::open(call)?;
    let file = form.and_then(|form| {
        for (name, value) in form.texts {
            fields.push(name, value);
        }
        form.file
    });
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let asked = Asked { call, fields, file };
    match (call.method, path.as_slice()) {
        (&Method::GET, ["oauth", "access_token"]) => login::exchange(&asked),
        (&Method::GET, ["debug_token"]) => login::debug(&asked),
        (&Method::GET, ["me", "accounts"]) => Ok(login::accounts(&asked)),
        (&Method::POST, [page, edge]) if is_page(page) => post(&asked, page, edge).await,
        (&Method::GET, [page, edge]) if is_page(page) => list(&asked, page, edge),
        (&Method::POST, [id, "comments"]) => feed::comment(&asked, id),
        (&Method::GET, [id, "comments"]) => feed::comments(&asked, id),
        (&Method::GET, [id]) if !id.is_empty() => object(&asked, id),
        _ => Err(GraphError::unknown_path(&path.join("/"))),
    }
}

async fn post(asked: &Asked<'_, '_>, page: &str, edge: &str) -> Result<Reply, GraphError> {
    if let Some(refused) = asked.refused(PUBLISHING) {
        return Ok(refused);
    }
    asked.call.flight.of_account(page);
    match edge {
        "feed" => feed::publish(asked, page),
        "photos" => photos::photo(asked, page).await,
        "photo_stories" => photos::story(asked, page),
        "videos" => videos::feed_video(asked, page).await,
        "video_reels" => videos::reel(asked, page, Kind::Reel),
        "video_stories" => videos::reel(asked, page, Kind::Story),
        _ => Err(GraphError::unknown_path(&format!("{page}/{edge}"))),
    }
}

/// The Page's lists, newest first.
fn list(asked: &Asked<'_, '_>, page: &str, edge: &str) -> Result<Reply, GraphError> {
    if let Some(refused) = asked.refused(READING) {
        return Ok(refused);
    }
    asked.call.flight.of_account(page);
    let mut world = asked.call.flight.twin.world();
    let posts = |kind: Kind| {
        let posts = world.posts_of(Platform::Facebook, page);
        posts.filter(move |post| post.kind == kind)
    };
    let (call, fields) = (asked.call, &asked.fields);
    let body = match edge {
        "published_posts" | "feed" => graph::list(
            call,
            posts(Kind::Post),
            fields,
            "created_time,message,id",
            feed::node,
        )?,
        "videos" | "video_reels" => {
            let kind = if edge == "videos" {
                Kind::Post
            } else {
                Kind::Reel
            };
            let videos = posts(kind).filter(|post| status_type(post) == "added_video");
            graph::list(
                call,
                videos,
                fields,
                "description,updated_time,id",
                videos::listed_node,
            )?
        }
        "stories" => {
            let default = "post_id,status,creation_time,media_type,media_id,url";
            graph::list(call, posts(Kind::Story), fields, default, feed::story_node)?
        }
        _ => return Err(GraphError::unknown_path(&format!("{page}/{edge}"))),
    };
    let found = |_: &mut _| graph::ok(body);
    Ok(world.step(Platform::Facebook, Step::Status, refuse, found))
}

/// A video, a photo, a post, or the Page itself.
fn object(asked: &Asked<'_, '_>, id: &str) -> Result<Reply, GraphError> {
    let is_for_token = asked.fields.get("fields").is_some_and(|fields| {
        let mut names = fields.split(',');
        names.any(|name| name.trim() == "access_token")
    });
    if is_page(id) && is_for_token {
        return login::page_token(asked, id);
    }
    if let Some(refused) = asked.refused(READING) {
        return Ok(refused);
    }
    let mut world = asked.call.flight.twin.world();
    let state = &world.facebook;
    let (account, node, default) = if let Some(video) = state.videos.get(id) {
        (
            video.page().to_owned(),
            video.node(id, graph::bytes_name(asked.call)),
            "updated_time,description,id",
        )
    } else if let Some(photo) = state.photos.get(id) {
        (photo.page.clone(), photo.node(id)?, "created_time,name,id")
    } else if let Some(post) = world.post(Platform::Facebook, id) {
        (
            post.account.clone(),
            feed::node(post),
            "created_time,message,id",
        )
    } else if is_page(id) {
        (id.to_owned(), page_node(id), "name,id")
    } else {
        return Err(GraphError::no_such_object(id));
    };
    let body = graph::select(&node, &asked.fields, default)?;
    drop(world);
    asked.call.flight.of_account(&account);
    world = asked.call.flight.twin.world();
    let found = |_: &mut _| graph::ok(body);
    Ok(world.step(Platform::Facebook, Step::Status, refuse, found))
}

impl Asked<'_, '_> {
    /// The refusal, unless the token has this scope.
    fn refused(&self, needed: &'static str) -> Option<Reply> {
        if let Err(refusal) = graph::authorize(self.call, &self.fields, needed) {
            return Some(refuse(refusal).into());
        }
        let refusal = graph::check_proof(self.call, &self.fields).err()?;
        Some(refusal.into_response().into())
    }

    /// A required field.
    fn required(&self, name: &str) -> Result<&str, GraphError> {
        self.fields.filled(name).ok_or_else(|| {
            let message = format!("(#100) The parameter {name} is required");
            GraphError::new(100, message)
        })
    }

    /// Whether it is to be visible, which it is unless it says something else.
    fn is_published(&self) -> Result<bool, GraphError> {
        match self.fields.get("published") {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(GraphError::new(100, "(#100) published must be a boolean")),
        }
    }
}

pub(super) fn refuse(refusal: Refusal) -> Response {
    let error = match refusal {
        Refusal::RateLimited { retry_after } => GraphError::new(
            80001,
            "(#80001) There have been too many calls to this Page account. Wait a bit and try again.",
        )
        .used_up("pages", retry_after),
        Refusal::Rejected => rejected(),
        other => graph::refuse(other),
    };
    error.into_response()
}

fn rejected() -> GraphError {
    let message = "(#368) The action attempted has been deemed abusive or is otherwise disallowed";
    GraphError::new(368, message)
        .sub(1_404_102)
        .explained("This content goes against our Community Standards.")
}

fn is_page(id: &str) -> bool {
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    digits && !id.is_empty() && id.len() < MADE_DIGITS
}

/// An id of something that is made here.
fn made_id(number: u64) -> String {
    (1_200_000_000_000_000 + number).to_string()
}

fn page_node(id: &str) -> Map<String, Value> {
    let node = json!({"id": id, "name": format!("Page {id}"), "username": null, "link": null});
    node.as_object().cloned().unwrap_or_default()
}

/// What a post is, as `published_posts` tells it.
fn status_type(post: &Post) -> &'static str {
    match post.media.first().map(|medium| medium.family) {
        Some(super::post::Family::Video) => "added_video",
        Some(_) => "added_photos",
        None if post.link.is_some() => "shared_story",
        None => "mobile_status_update",
    }
}
