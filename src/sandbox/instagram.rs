//! Instagram content publishing, Graph API v20.0 to v26.0: single images.
//!
//! <https://developers.facebook.com/docs/instagram-platform/content-publishing>. A container is made
//! first and published once; its status tells afterwards whether that happened.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::graph::{self, GraphError};
use super::media::{FetchError, Received};
use super::post::{Draft, Family, Medium, Post};
use super::steps::Step;
use super::wire::{self, Call, Fields, Refusal, Reply};
use super::world::{Platform, World};

const MAX_CAPTION_CHARS: usize = 2200;
const MAX_HASHTAGS: usize = 30;
const MAX_MENTIONS: usize = 20;
const MAX_ALT_CHARS: usize = 1000;
const MAX_IMAGE_BYTES: u64 = 8 * 1024 * 1024;
const CONTAINER_LIFE: Duration = Duration::from_hours(24);

/// Reported, not enforced: Meta's own pages say 50 and 100.
const QUOTA_TOTAL: u32 = 100;

/// The first is of Instagram's own login, the second of Facebook's.
const PUBLISHING_SCOPES: &str = "instagram_business_content_publish|instagram_content_publish";
const READING_SCOPES: &str = "instagram_business_basic|instagram_basic";

const MEDIA_PARAMS: [&str; 5] = [
    "image_url",
    "caption",
    "alt_text",
    "media_type",
    "access_token",
];
const PUBLISH_PARAMS: [&str; 2] = ["creation_id", "access_token"];

/// Containers by id.
pub(super) type Containers = HashMap<String, Container>;

pub(super) struct Container {
    account: String,
    image: Medium,
    caption: String,
    created: Instant,
    processing: Duration,
    /// By a fault.
    expired: bool,
    published: bool,
}

impl Container {
    fn status_code(&self) -> &'static str {
        let age = self.created.elapsed();
        if self.published {
            "PUBLISHED"
        } else if self.expired || age >= CONTAINER_LIFE {
            "EXPIRED"
        } else if age < self.processing {
            "IN_PROGRESS"
        } else {
            "FINISHED"
        }
    }
}

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if let Err(refusal) = call.read(body).await {
        return refuse(refusal).into();
    }
    let reply = route(&call).await;
    reply.unwrap_or_else(|error| error.into_response().into())
}

async fn route(call: &Call<'_>) -> Result<Reply, GraphError> {
    type Handler = fn(&Call<'_>, &str, &Fields) -> Result<Reply, GraphError>;
    let (path, fields) = graph::open(call)?;
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let (id, needed, handler): (&str, &'static str, Option<Handler>) =
        match (call.method, path.as_slice()) {
            (&Method::POST, [id, "media"]) => (id, PUBLISHING_SCOPES, None),
            (&Method::POST, [id, "media_publish"]) => (id, PUBLISHING_SCOPES, Some(publish)),
            (&Method::GET, [id, "media"]) => (id, READING_SCOPES, Some(media)),
            (&Method::GET, [id, "content_publishing_limit"]) => {
                (id, READING_SCOPES, Some(publishing_limit))
            }
            (&Method::GET, [id]) if !id.is_empty() => (id, READING_SCOPES, Some(object)),
            _ => return Err(GraphError::unknown_path(&path.join("/"))),
        };
    if let Err(refusal) = graph::authorize(call, &fields, needed) {
        return Ok(refuse(refusal).into());
    }
    match handler {
        Some(handler) => handler(call, id, &fields),
        // The only one that has to wait: for the image.
        None => create(call, id, &fields).await,
    }
}

pub(super) fn refuse(refusal: Refusal) -> Response {
    let error = match refusal {
        Refusal::NoScope { .. } => {
            GraphError::new(10, "(#10) Application does not have permission for this action")
                .status(StatusCode::FORBIDDEN)
        }
        Refusal::RateLimited { retry_after } => GraphError::new(
            80002,
            "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again.",
        )
        .used_up("instagram", retry_after),
        Refusal::Internal => {
            GraphError::new(2, "An unexpected error has occurred. Please retry your request later.")
                .status(StatusCode::INTERNAL_SERVER_ERROR)
                .transient()
        }
        Refusal::Rejected => GraphError::new(36003, "The aspect ratio is not supported.")
            .sub(2_207_009)
            .explained("The submitted image's aspect ratio is not between 4:5 and 1.91:1."),
        other => graph::refuse(other),
    };
    error.into_response()
}

async fn create(call: &Call<'_>, account: &str, fields: &Fields) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    graph::check_known(fields, &MEDIA_PARAMS)?;
    if fields.get("media_type").is_some() {
        let message = "(#100) Unknown media type: the sandbox takes single images, which have none";
        return Err(GraphError::new(100, message).sub(2_207_023));
    }
    let image_url = fields
        .filled("image_url")
        .ok_or_else(|| GraphError::new(100, "(#100) The parameter image_url is required"))?;
    let caption = fields.get("caption").unwrap_or_default();
    check_caption(caption)?;
    let alt = fields.filled("alt_text");
    if alt.is_some_and(|alt| alt.chars().count() > MAX_ALT_CHARS) {
        let message = "(#100) Param alt_text must be at most 1000 characters long";
        return Err(GraphError::new(100, message));
    }
    // Fetched before the world is locked: it takes its time, and may come from this very server.
    let image = call.fetch(image_url).await.map_err(unfetched)?;
    check_image(&image)?;
    let image = Medium {
        url: Some(image_url.to_owned()),
        alt: alt.map(str::to_owned),
        ..Medium::of(&image)
    };
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Instagram, Step::Prepare, refuse, |world| {
            let id = (17_889_000_000_000_000 + world.mint()).to_string();
            let container = Container {
                account: account.to_owned(),
                image,
                caption: caption.to_owned(),
                created: Instant::now(),
                processing: world.processing(Platform::Instagram),
                expired: world.expires(Platform::Instagram),
                published: false,
            };
            world.containers.insert(id.clone(), container);
            graph::ok(json!({ "id": id }))
        }),
    )
}

/// What Instagram says of an address that brings nothing.
fn unfetched(error: FetchError) -> GraphError {
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

fn check_image(image: &Received) -> Result<(), GraphError> {
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
    if width * 5 < height * 4 || width * 100 > height * 191 || width == 0 {
        return Err(GraphError::new(36003, "The aspect ratio is not supported.")
            .sub(2_207_009)
            .explained("The image's aspect ratio is not between 4:5 and 1.91:1."));
    }
    Ok(())
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

fn publish(call: &Call<'_>, account: &str, fields: &Fields) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    graph::check_known(fields, &PUBLISH_PARAMS)?;
    let id = fields
        .filled("creation_id")
        .ok_or_else(|| GraphError::new(100, "(#100) The parameter creation_id is required"))?;
    let mut world = call.flight.twin.world();
    let container = world.containers.get(id);
    check_publishable(container, account)?;
    Ok(
        world.step(Platform::Instagram, Step::Publish, refuse, |world| {
            let number = world.mint();
            let media_id = (18_000_000_000_000_000 + number).to_string();
            let permalink = format!("https://www.instagram.com/p/{}/", shortcode(number));
            let container = world
                .containers
                .get_mut(id)
                .expect("it was found above, under the same lock");
            container.published = true;
            let draft = Draft {
                account: container.account.clone(),
                text: container.caption.clone(),
                media: vec![container.image.clone()],
                ..Draft::default()
            };
            let post = world.publish(Platform::Instagram, draft, media_id, permalink);
            wire::json(StatusCode::OK, json!({ "id": post.id }))
        }),
    )
}

fn check_publishable(container: Option<&Container>, account: &str) -> Result<(), GraphError> {
    match container {
        Some(container) if container.account != account => {
            Err(GraphError::new(24, "The requested resource does not exist")
                .sub(2_207_006)
                .explained("The media was not found among this account's."))
        }
        Some(container) if container.status_code() == "FINISHED" => Ok(()),
        // What a second publish answers is not documented. This code is the one that makes a client
        // look at the container's status, which tells it the truth.
        Some(container) if container.status_code() != "EXPIRED" => {
            Err(GraphError::new(9007, "Media ID is not available")
                .sub(2_207_027)
                .explained("The media is not ready for publishing, please wait for a moment."))
        }
        _ => Err(GraphError::new(24, "The requested resource does not exist")
            .sub(2_207_008)
            .explained("The media container does not exist or has expired.")),
    }
}

fn media(call: &Call<'_>, account: &str, fields: &Fields) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    let mut world = call.flight.twin.world();
    let posts = world.posts_of(Platform::Instagram, account);
    let body = graph::list(posts, fields, "id", node)?;
    Ok(looked_up(&mut world, body))
}

fn publishing_limit(call: &Call<'_>, account: &str, fields: &Fields) -> Result<Reply, GraphError> {
    call.flight.of_account(account);
    let mut world = call.flight.twin.world();
    let day_ago = super::wall_clock() - CONTAINER_LIFE;
    let posts = world.posts_of(Platform::Instagram, account);
    let usage = posts.take_while(|post| post.published_at > day_ago).count();
    let limit = json!({
        "quota_usage": usage,
        "config": {"quota_total": QUOTA_TOTAL, "quota_duration": CONTAINER_LIFE.as_secs()},
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

fn looked_up(world: &mut World, body: Value) -> Reply {
    world.step(Platform::Instagram, Step::Status, refuse, |_| {
        graph::ok(body)
    })
}

/// A container or a published media object: both are plain ids.
fn object(call: &Call<'_>, id: &str, fields: &Fields) -> Result<Reply, GraphError> {
    let mut world = call.flight.twin.world();
    let node = if let Some(container) = world.containers.get(id) {
        let status = container.status_code();
        let words = match status {
            "IN_PROGRESS" => "In Progress: Media is still being processed.",
            "FINISHED" => "Finished: Media has been uploaded and it is ready to be published.",
            "PUBLISHED" => "Published: Media has been published.",
            _ => "Expired: The container was not published within 24 hours.",
        };
        let node = json!({"id": id, "status_code": status, "status": words});
        node.as_object().cloned().unwrap_or_default()
    } else {
        let post = world.post(Platform::Instagram, id);
        node(post.ok_or_else(|| GraphError::no_such_object(id))?)
    };
    let body = graph::select(&node, fields, "id")?;
    Ok(looked_up(&mut world, body))
}

fn node(post: &Post) -> Map<String, Value> {
    let shortcode = post.permalink.trim_end_matches('/').rsplit('/').next();
    let caption = Some(&post.text).filter(|text| !text.is_empty());
    let node = json!({
        "id": post.id,
        "caption": caption,
        "permalink": post.permalink,
        "shortcode": shortcode,
        "timestamp": graph::time(post.published_at),
        "media_type": "IMAGE",
        "media_product_type": "FEED",
        "media_url": post.media.first().and_then(|medium| medium.url.as_deref()),
    });
    node.as_object().cloned().unwrap_or_default()
}

/// Eleven characters, different for every number.
fn shortcode(mut number: u64) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefgh";
    let mut code = *b"CAAAAAAAAAA";
    for place in code[1..].iter_mut().rev() {
        *place = ALPHABET[usize::from(number.to_le_bytes()[0] % 32)];
        number /= 32;
    }
    code.iter().map(|byte| char::from(*byte)).collect()
}
