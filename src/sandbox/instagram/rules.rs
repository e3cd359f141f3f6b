//! What may be in a container.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::graph::{self, GraphError};
use super::super::media::{FetchError, Received};
use super::super::post::Family;
use super::super::wire::{self, Fields};

const MAX_CAPTION_CHARS: usize = 2200;
const MAX_HASHTAGS: usize = 30;
const MAX_MENTIONS: usize = 20;
const MAX_ALT_CHARS: usize = 1000;
const MAX_COLLABORATORS: usize = 3;
const MAX_USER_TAGS: usize = 20;
const MAX_IMAGE_BYTES: u64 = 8 * 1024 * 1024;
pub(super) const MAX_REEL_BYTES: u64 = 300 * 1024 * 1024;
const MAX_STORY_BYTES: u64 = 100 * 1024 * 1024;
const MAX_VIDEO_WIDTH: u32 = 1920;

const UNUSABLE_VIDEO: &str =
    "Media upload has failed with error code 2207026: The video format is not supported.";

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Picture,
    Reel,
    Story,
    /// One medium of a carousel.
    Item,
    Carousel,
}

/// Where a medium comes from.
pub(super) enum Source<'a> {
    Image(&'a str),
    Video(&'a str),
    /// Its bytes are sent afterwards.
    Sent,
}

impl Role {
    pub(super) fn of(fields: &Fields) -> Result<Self, GraphError> {
        let is_item = fields.flag("is_carousel_item");
        match (fields.filled("media_type"), is_item) {
            (None, false) => Ok(Self::Picture),
            (None | Some("VIDEO"), true) => Ok(Self::Item),
            (Some("REELS"), false) => Ok(Self::Reel),
            (Some("STORIES"), false) => Ok(Self::Story),
            (Some("CAROUSEL"), false) => Ok(Self::Carousel),
            _ => {
                let message = "(#100) Unknown media type, or one that is not possible here";
                Err(GraphError::new(100, message).sub(2_207_023))
            }
        }
    }

    /// The parameters that it may have.
    fn params(self) -> &'static [&'static str] {
        match self {
            Self::Picture => &[
                "image_url",
                "caption",
                "alt_text",
                "user_tags",
                "location_id",
                "collaborators",
                "is_ai_generated",
                "access_token",
            ],
            Self::Reel => &[
                "media_type",
                "video_url",
                "upload_type",
                "caption",
                "share_to_feed",
                "cover_url",
                "thumb_offset",
                "audio_name",
                "collaborators",
                "user_tags",
                "location_id",
                "is_ai_generated",
                "access_token",
            ],
            Self::Story => &[
                "media_type",
                "image_url",
                "video_url",
                "upload_type",
                "user_tags",
                "access_token",
            ],
            Self::Item => &[
                "is_carousel_item",
                "media_type",
                "image_url",
                "video_url",
                "upload_type",
                "alt_text",
                "user_tags",
                "access_token",
            ],
            Self::Carousel => &[
                "media_type",
                "children",
                "caption",
                "collaborators",
                "location_id",
                "is_ai_generated",
                "access_token",
            ],
        }
    }
}

fn invalid(message: impl Into<String>) -> GraphError {
    GraphError::new(100, format!("(#100) {}", message.into()))
}

/// Checks everything but the media, and returns the details that readers see.
pub(super) fn check(fields: &Fields, role: Role) -> Result<Map<String, Value>, GraphError> {
    graph::check_known(fields, role.params())?;
    check_caption(fields.get("caption").unwrap_or_default())?;
    let alt = fields.filled("alt_text");
    if alt.is_some_and(|alt| alt.chars().count() > MAX_ALT_CHARS) {
        return Err(invalid(
            "Param alt_text must be at most 1000 characters long",
        ));
    }
    let mut details = Map::new();
    let mut detail = |name: &str, value: Value| drop(details.insert(name.to_owned(), value));
    if let Some(names) = fields.filled("collaborators").map(list) {
        if names.len() > MAX_COLLABORATORS {
            return Err(invalid("Param collaborators may have 3 user names"));
        }
        detail("collaborators", json!(names));
    }
    if let Some(id) = fields.filled("location_id") {
        if !id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("Param location_id is not a valid location page ID"));
        }
        detail("location_id", json!(id));
    }
    if let Some(tags) = fields.filled("user_tags") {
        detail("user_tags", user_tags(tags, role)?);
    }
    for name in ["share_to_feed", "is_ai_generated"] {
        match fields.get(name) {
            None => {}
            Some("true" | "1") => detail(name, json!(true)),
            Some("false" | "0") => detail(name, json!(false)),
            Some(_) => return Err(invalid(format!("Param {name} must be a boolean"))),
        }
    }
    if let Some(cover) = fields.filled("cover_url") {
        if !wire::is_web_url(cover) {
            return Err(unfetched(FetchError::Address));
        }
        detail("cover_url", json!(cover));
    }
    if let Some(offset) = fields.filled("thumb_offset") {
        let offset: u64 = offset
            .parse()
            .map_err(|_| invalid("Param thumb_offset must be an integer"))?;
        detail("thumb_offset", json!(offset));
    }
    if let Some(name) = fields.filled("audio_name") {
        detail("audio_name", json!(name));
    }
    Ok(details)
}

fn user_tags(text: &str, role: Role) -> Result<Value, GraphError> {
    let tags: Vec<Map<String, Value>> = serde_json::from_str(text)
        .map_err(|_| invalid("Param user_tags must be an array of objects"))?;
    if tags.len() > MAX_USER_TAGS {
        return Err(invalid("Too many user tags").sub(2_207_040));
    }
    let is_place = |place: Option<&Value>| match place.map(Value::as_f64) {
        None => role != Role::Picture,
        Some(place) => place.is_some_and(|place| (0.0..=1.0).contains(&place)),
    };
    let fits = |tag: &Map<String, Value>| {
        tag.get("username").is_some_and(Value::is_string)
            && is_place(tag.get("x"))
            && is_place(tag.get("y"))
    };
    if tags.iter().all(fits) {
        Ok(json!(tags))
    } else {
        Err(invalid("Param user_tags needs username, x and y"))
    }
}

/// A list as `a,b` or as JSON.
pub(super) fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let items = text.split(',').map(str::trim);
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

/// Exactly one source, and one that fits.
pub(super) fn source(fields: &Fields, role: Role) -> Result<Source<'_>, GraphError> {
    let image = fields.filled("image_url");
    let video = fields.filled("video_url");
    let is_sent = match fields.filled("upload_type") {
        None => false,
        Some("resumable") => true,
        Some(_) => return Err(invalid("Param upload_type must be resumable")),
    };
    let is_video_item = fields.filled("media_type") == Some("VIDEO");
    match (role, image, video, is_sent) {
        (Role::Picture | Role::Story, Some(url), None, false) => Ok(Source::Image(url)),
        (Role::Item, Some(url), None, false) if !is_video_item => Ok(Source::Image(url)),
        (Role::Reel | Role::Story, None, Some(url), false) => Ok(Source::Video(url)),
        (Role::Item, None, Some(url), false) if is_video_item => Ok(Source::Video(url)),
        (Role::Reel | Role::Story, None, None, true) => Ok(Source::Sent),
        (Role::Item, None, None, true) if is_video_item => Ok(Source::Sent),
        (Role::Reel, ..) => Err(invalid("The parameter video_url is required")),
        (Role::Item, ..) if is_video_item => Err(invalid("The parameter video_url is required")),
        _ => Err(invalid("The parameter image_url is required")),
    }
}

/// What Instagram says of an address that brings nothing.
pub(super) fn unfetched(error: FetchError) -> GraphError {
    match error {
        FetchError::Timeout => GraphError::new(-2, "Timeout while downloading the media.")
            .sub(2_207_003)
            .explained("It takes too long to download the media."),
        FetchError::TooLarge => too_large(),
        FetchError::Address | FetchError::Unreachable | FetchError::Status(_) => {
            GraphError::new(9004, "Only photo or video can be accepted as media type.")
                .sub(2_207_052)
                .explained("The media could not be fetched from this URI.")
        }
    }
}

fn too_large() -> GraphError {
    GraphError::new(36000, "The image size is too large.")
        .sub(2_207_004)
        .explained("The image is larger than 8 MiB.")
}

pub(super) fn check_image(image: &Received, role: Role) -> Result<(), GraphError> {
    // Neither photo nor video: a page that says "not found" with status 200, say.
    if !matches!(image.family(), Some(Family::Image | Family::Video)) {
        return Err(unfetched(FetchError::Address));
    }
    if image.mime != Some("image/jpeg") {
        return Err(GraphError::new(36001, "The image format is not supported.")
            .sub(2_207_005)
            .explained("The image is not a JPEG."));
    }
    if image.bytes > MAX_IMAGE_BYTES {
        return Err(too_large());
    }
    // An image whose size cannot be read is none that could be cropped.
    let (width, height) = (image.width.unwrap_or(0), image.height.unwrap_or(0));
    // 4:5 to 1.91:1, in whole numbers.
    let is_odd = width * 5 < height * 4 || width * 100 > height * 191;
    if width == 0 || is_odd && role != Role::Story {
        return Err(GraphError::new(36003, "The aspect ratio is not supported.")
            .sub(2_207_009)
            .explained("The image's aspect ratio is not between 4:5 and 1.91:1."));
    }
    Ok(())
}

/// What processing finds wrong with a video.
pub(super) fn video_problem(video: &Received, role: Role) -> Option<&'static str> {
    let (longest, largest) = match role {
        Role::Story => (Duration::from_mins(1), MAX_STORY_BYTES),
        _ => (Duration::from_mins(15), MAX_REEL_BYTES),
    };
    let lasts = |duration| (Duration::from_secs(3)..=longest).contains(&duration);
    let (width, height) = (video.width.unwrap_or(0), video.height.unwrap_or(0));
    let is_narrow = (1..=MAX_VIDEO_WIDTH).contains(&width);
    let is_sane = width <= height.saturating_mul(10) && height <= width.saturating_mul(100);
    let fits = matches!(video.mime, Some("video/mp4" | "video/quicktime"))
        && video.duration.is_some_and(lasts)
        && video.bytes <= largest
        && is_narrow
        && is_sane;
    (!fits).then_some(UNUSABLE_VIDEO)
}

pub(super) fn check_thumbnail(
    details: &Map<String, Value>,
    video: &Received,
) -> Result<(), GraphError> {
    let offset = details.get("thumb_offset").and_then(Value::as_u64);
    let end = video.duration.map(|duration| duration.as_millis());
    match offset.zip(end) {
        Some((offset, end)) if u128::from(offset) > end => {
            Err(GraphError::new(1, "The thumbnail offset is out of range.")
                .sub(2_207_057)
                .explained("The thumbnail offset must lie within the video."))
        }
        _ => Ok(()),
    }
}

fn check_caption(caption: &str) -> Result<(), GraphError> {
    let too_long = caption.chars().count() > MAX_CAPTION_CHARS;
    let crowded = tags(caption, '#') > MAX_HASHTAGS || tags(caption, '@') > MAX_MENTIONS;
    if too_long || crowded || wire::is_rejected(caption) {
        return Err(GraphError::new(36004, "The caption is not accepted.")
            .sub(2_207_010)
            .explained("The caption is too long, has too many tags, or is not allowed."));
    }
    Ok(())
}

/// How many words start with `mark`.
fn tags(text: &str, mark: char) -> usize {
    let after = text.split(mark).skip(1);
    after
        .filter(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        .count()
}
