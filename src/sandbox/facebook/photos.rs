//! Photos: alone, for posts that come later, and as stories.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::graph::{self, GraphError};
use super::super::media::{FetchError, Received};
use super::super::post::{Draft, Family, Kind, Medium};
use super::super::steps::Step;
use super::super::wire::{self, Reply};
use super::super::world::{Platform, World};
use super::feed::{checked_text, place};
use super::{Asked, made_id, refuse};

/// 10 MB.
const MAX_BYTES: u64 = 10_000_000;
/// Unpublished photos are deleted after about a day.
const LIFE: Duration = Duration::from_hours(24);
const TYPES: [&str; 5] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/bmp",
    "image/tiff",
];

const PARAMS: [&str; 9] = [
    "url",
    "caption",
    "message",
    "published",
    "temporary",
    "alt_text_custom",
    "no_story",
    "access_token",
    "fields",
];
const STORY_PARAMS: [&str; 2] = ["photo_id", "access_token"];

/// A photo; one of a post is a part of that.
pub(in crate::sandbox) struct Photo {
    pub(super) page: String,
    medium: Medium,
    caption: String,
    created: Instant,
    created_time: DateTime<Utc>,
    /// It was published, alone or with a post.
    used: bool,
}

impl Photo {
    fn is_gone(&self) -> bool {
        !self.used && self.created.elapsed() >= LIFE
    }

    pub(super) fn node(&self, id: &str) -> Result<Map<String, Value>, GraphError> {
        if self.is_gone() {
            return Err(GraphError::no_such_object(id));
        }
        let node = json!({
            "id": id,
            "name": self.caption,
            "alt_text_custom": self.medium.alt,
            "created_time": graph::time(self.created_time),
            "width": self.medium.width,
            "height": self.medium.height,
            "permalink_url": format!("https://www.facebook.com/photo.php?fbid={id}"),
            "link": format!("https://www.facebook.com/photo.php?fbid={id}"),
        });
        Ok(node.as_object().cloned().unwrap_or_default())
    }
}

pub(super) async fn photo(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    graph::check_known(&asked.fields, &PARAMS)?;
    let is_published = asked.is_published()?;
    let caption = asked.fields.filled("caption");
    let caption = caption.or_else(|| asked.fields.filled("message"));
    let caption = caption.unwrap_or_default();
    checked_text(caption)?;
    let (received, url) = photo_bytes(asked).await?;
    check(&received)?;
    let medium = Medium {
        url,
        alt: asked.fields.filled("alt_text_custom").map(str::to_owned),
        ..Medium::of(&received)
    };
    let step = match (is_published, &asked.file) {
        (true, _) => Step::Publish,
        (false, Some(_)) => Step::Upload,
        (false, None) => Step::Prepare,
    };
    let mut world = asked.call.flight.twin.world();
    world.keep(&received);
    let photo = Photo {
        page: page.to_owned(),
        medium,
        caption: caption.to_owned(),
        created: Instant::now(),
        created_time: super::super::wall_clock(),
        used: is_published,
    };
    let accept = |world: &mut World| keep(world, photo);
    Ok(world.step(Platform::Facebook, step, refuse, accept))
}

/// Takes a photo in; one that is to be seen becomes a post.
fn keep(world: &mut World, photo: Photo) -> Response {
    let id = made_id(world.mint());
    let mut answer = json!({"id": id});
    if photo.used {
        let draft = Draft {
            account: photo.page.clone(),
            text: photo.caption.clone(),
            media: vec![photo.medium.clone()],
            ..Draft::default()
        };
        let (post_id, permalink) = place(world, &photo.page);
        let post = world.publish(Platform::Facebook, draft, post_id, permalink);
        answer["post_id"] = post.id.as_str().into();
    }
    world.facebook.photos.insert(id, photo);
    wire::json(StatusCode::OK, answer)
}

/// The photo and where it was fetched, if it was.
async fn photo_bytes(asked: &Asked<'_, '_>) -> Result<(Received, Option<String>), GraphError> {
    match (&asked.file, asked.fields.filled("url")) {
        (Some(file), None) if file.is_source() => Ok((file.received(), None)),
        (None, Some(url)) => {
            // Fetched before the world is locked: it takes its time, and may come from this very server.
            let received = asked.call.fetch(url).await.map_err(unfetched)?;
            Ok((received, Some(url.to_owned())))
        }
        (Some(_), Some(_)) => Err(GraphError::new(
            100,
            "(#100) A photo comes either as url or as source",
        )),
        _ => Err(GraphError::new(324, "(#324) Requires upload file")),
    }
}

fn unfetched(error: FetchError) -> GraphError {
    match error {
        FetchError::TooLarge => too_large(),
        _ => GraphError::new(324, "(#324) Missing or invalid image file")
            .sub(2_069_019)
            .explained("The photo could not be fetched from this address."),
    }
}

fn too_large() -> GraphError {
    GraphError::new(1, "(#1) Your photos couldn't be uploaded")
        .status(StatusCode::BAD_REQUEST)
        .sub(1_366_046)
        .explained("Your photos couldn't be uploaded. Photos should be less than 10 MB and saved as JPG, PNG, GIF or TIFF files.")
}

fn check(photo: &Received) -> Result<(), GraphError> {
    if photo.family() != Some(Family::Image) {
        let error = GraphError::new(324, "(#324) Missing or invalid image file");
        return Err(error.sub(2_069_019).explained("This file is no photo."));
    }
    if !photo.mime.is_some_and(|mime| TYPES.contains(&mime)) {
        let error = GraphError::new(100, "(#100) The image format is not supported");
        return Err(error
            .sub(1_349_125)
            .explained("The photo has a format that is not supported."));
    }
    if photo.bytes > MAX_BYTES {
        return Err(too_large());
    }
    Ok(())
}

/// The photos that a post attaches: this Page's own, which nobody sees yet.
pub(super) fn attachable(
    world: &World,
    page: &str,
    ids: &[String],
) -> Result<Vec<Medium>, GraphError> {
    let photos = ids.iter().enumerate().map(|(place, id)| {
        let photo = world.facebook.photos.get(id);
        let photo = photo.filter(|photo| photo.page == page && !photo.used && !photo.is_gone());
        match photo {
            Some(photo) if !ids[..place].contains(id) => Ok(photo.medium.clone()),
            _ => {
                let message =
                    format!("(#100) attached_media: {id} is no unpublished photo of this Page");
                Err(GraphError::new(100, message))
            }
        }
    });
    photos.collect()
}

pub(super) fn use_up(world: &mut World, id: &str) {
    if let Some(photo) = world.facebook.photos.get_mut(id) {
        photo.used = true;
    }
}

pub(super) fn story(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    graph::check_known(&asked.fields, &STORY_PARAMS)?;
    let photo = asked.required("photo_id")?.to_owned();
    let mut world = asked.call.flight.twin.world();
    let media = attachable(&world, page, std::slice::from_ref(&photo))?;
    let accept = |world: &mut World| {
        use_up(world, &photo);
        publish_story(world, page, &photo, media)
    };
    Ok(world.step(Platform::Facebook, Step::Publish, refuse, accept))
}

/// A story's post has a number of its own, without the Page's.
pub(super) fn publish_story(
    world: &mut World,
    page: &str,
    media_id: &str,
    media: Vec<Medium>,
) -> Response {
    let mut draft = Draft {
        account: page.to_owned(),
        kind: Kind::Story,
        media,
        ..Draft::default()
    };
    draft.details.insert("media_id".to_owned(), media_id.into());
    let id = made_id(world.mint());
    let permalink = format!("https://www.facebook.com/stories/{page}/{id}/");
    let post = world.publish(Platform::Facebook, draft, id, permalink);
    wire::json(StatusCode::OK, json!({"success": true, "post_id": post.id}))
}
