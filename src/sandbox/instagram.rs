//! Instagram content publishing, Graph API v20.0 to v26.0: pictures, reels, stories and carousels, their comments, and
//! both logins' tokens.
//!
//! <https://developers.facebook.com/docs/instagram-platform/content-publishing>. A container is made first and published
//! once; its status tells afterwards whether that happened. Pictures are refused when they are fetched, videos when they
//! are processed, as the container's status `ERROR`.

mod bytes;
mod container;
mod nodes;
mod oauth;
mod rules;

use std::time::Instant;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::graph::{self, GraphError};
use super::media::FetchError;
use super::post::{Draft, Kind, Medium};
use super::steps::Step;
use super::wire::{self, Call, Fields, Refusal, Reply};
use super::world::{Platform, World};
pub(super) use container::Containers;
use container::{Container, Pending};
use rules::{Role, Source};

/// The first is of Instagram's own login, the second of Facebook's.
const PUBLISHING_SCOPES: &str = "instagram_business_content_publish|instagram_content_publish";
const READING_SCOPES: &str = "instagram_business_basic|instagram_basic";
const COMMENT_SCOPES: &str = "instagram_business_manage_comments|instagram_manage_comments";
/// A Page's node is read with a user's token.
const ANY_SCOPES: &str =
    "instagram_business_basic|instagram_basic|pages_show_list|pages_read_engagement";

const PUBLISH_PARAMS: [&str; 2] = ["creation_id", "access_token"];
const COMMENT_PARAMS: [&str; 2] = ["message", "access_token"];
const MAX_COMMENT_CHARS: usize = 2200;

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if call.path.starts_with(bytes::PATH) && call.method == Method::POST {
        return bytes::receive(&call, body).await;
    }
    if let Err(refusal) = call.read(body).await {
        return refuse(refusal).into();
    }
    let reply = route(&call).await;
    reply.unwrap_or_else(|error| error.into_response().into())
}

async fn route(call: &Call<'_>) -> Result<Reply, GraphError> {
    type Handler = fn(&Call<'_>, &str, &Fields) -> Result<Reply, GraphError>;
    if call.path == "refresh_access_token" && call.method == Method::GET {
        return oauth::renew(call);
    }
    let (path, fields) = graph::open(call)?;
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let (id, needed, handler): (&str, &'static str, Option<Handler>) =
        match (call.method, path.as_slice()) {
            // These two prove who they are by themselves.
            (&Method::GET, ["debug_token"]) => return oauth::debug(call, &fields),
            (&Method::GET, ["oauth", "access_token"]) => return oauth::exchange(call, &fields),
            (&Method::POST, [id, "media"]) => (id, PUBLISHING_SCOPES, None),
            (&Method::POST, [id, "media_publish"]) => (id, PUBLISHING_SCOPES, Some(publish)),
            (&Method::GET, [id, "media"]) => (id, READING_SCOPES, Some(nodes::media)),
            (&Method::GET, [id, "stories"]) => (id, READING_SCOPES, Some(nodes::stories)),
            (&Method::GET, [id, "content_publishing_limit"]) => {
                (id, READING_SCOPES, Some(nodes::publishing_limit))
            }
            (&Method::POST, [id, "comments"]) => (id, COMMENT_SCOPES, Some(comment)),
            (&Method::GET, [id, "comments"]) => (id, READING_SCOPES, Some(nodes::comments)),
            (&Method::GET, [id]) if !id.is_empty() => (id, ANY_SCOPES, Some(nodes::object)),
            _ => return Err(GraphError::unknown_path(&path.join("/"))),
        };
    if let Err(refusal) = graph::authorize(call, &fields, needed) {
        return Ok(refuse(refusal).into());
    }
    graph::check_proof(call, &fields)?;
    match handler {
        Some(handler) => handler(call, id, &fields),
        // The only one that has to wait: for the media.
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
    let role = Role::of(fields)?;
    let details = rules::check(fields, role)?;
    // Fetched before the world is locked: it takes its time, and may come from this very server.
    let made = match role {
        Role::Carousel => Made::default(),
        _ => fetch(call, fields, role, &details).await?,
    };
    let mut world = call.flight.twin.world();
    if !world.containers.has_room(account) {
        let message = "Application request limit reached: 400 containers in 24 hours";
        return Err(GraphError::new(9, message).sub(2_207_042));
    }
    let media = match role {
        Role::Carousel => items(&world, account, fields)?,
        _ => made.media,
    };
    let uri = made.pending.is_some().then(|| {
        let host = call.header("host").unwrap_or_default();
        let version = call.segments().remove(0).into_owned();
        format!("http://{host}/instagram/{}{version}/", bytes::PATH)
    });
    let caption = fields.get("caption").unwrap_or_default().to_owned();
    Ok(
        world.step(Platform::Instagram, Step::Prepare, refuse, |world| {
            let id = (17_889_000_000_000_000 + world.mint()).to_string();
            let now = Instant::now();
            let container = Container {
                account: account.to_owned(),
                role,
                caption,
                details,
                media,
                created: now,
                whole: now,
                processing: world.processing(Platform::Instagram),
                expired: world.expires(Platform::Instagram),
                published: false,
                problem: made.problem,
                pending: made.pending,
                sent: None,
            };
            world.containers.insert(id.clone(), container);
            match uri {
                Some(uri) => graph::ok(json!({ "id": id, "uri": format!("{uri}{id}") })),
                None => graph::ok(json!({ "id": id })),
            }
        }),
    )
}

/// What a request's medium turned out to be.
#[derive(Default)]
struct Made {
    media: Vec<Medium>,
    problem: Option<&'static str>,
    pending: Option<Pending>,
}

async fn fetch(
    call: &Call<'_>,
    fields: &Fields,
    role: Role,
    details: &Map<String, Value>,
) -> Result<Made, GraphError> {
    let (url, is_video) = match rules::source(fields, role)? {
        Source::Sent => {
            return Ok(Made {
                pending: Some(Pending::default()),
                ..Made::default()
            });
        }
        Source::Image(url) => (url, false),
        Source::Video(url) => (url, true),
    };
    let received = call.fetch(url).await.map_err(rules::unfetched)?;
    let problem = if is_video {
        if received.mime.is_none() {
            return Err(rules::unfetched(FetchError::Address));
        }
        rules::check_thumbnail(details, &received)?;
        rules::video_problem(&received, role)
    } else {
        rules::check_image(&received, role)?;
        None
    };
    let medium = Medium {
        url: Some(url.to_owned()),
        alt: fields.filled("alt_text").map(str::to_owned),
        ..Medium::of(&received)
    };
    Ok(Made {
        media: vec![medium],
        problem,
        pending: None,
    })
}

/// The media of a carousel's items, each of which must be ready.
fn items(world: &World, account: &str, fields: &Fields) -> Result<Vec<Medium>, GraphError> {
    let ids = rules::list(fields.get("children").unwrap_or_default());
    if !(2..=10).contains(&ids.len()) {
        let message = "(#100) A carousel has 2 to 10 items";
        return Err(GraphError::new(100, message).sub(2_207_028));
    }
    let mut media = Vec::new();
    for id in &ids {
        let item = world.containers.get(id);
        check_publishable(item, account)?;
        let item = item.filter(|item| item.role == Role::Item);
        let item = item.ok_or_else(|| {
            GraphError::new(100, "(#100) A carousel's children must be carousel items")
                .sub(2_207_028)
        })?;
        media.extend(item.media.iter().cloned());
    }
    Ok(media)
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
    if container.is_some_and(|container| container.role == Role::Item) {
        let message = "(#100) An item of a carousel can't be published alone";
        return Err(GraphError::new(100, message).sub(2_207_023));
    }
    if nodes::usage(&world, account) >= nodes::QUOTA_TOTAL {
        return Err(GraphError::new(9, "Application request limit reached")
            .sub(2_207_042)
            .explained("You reached the maximum number of posts that is allowed for 24 hours."));
    }
    Ok(
        world.step(Platform::Instagram, Step::Publish, refuse, |world| {
            let number = world.mint();
            let media_id = (18_000_000_000_000_000 + number).to_string();
            let container = world
                .containers
                .get_mut(id)
                .expect("it was found above, under the same lock");
            container.published = true;
            let kind = container.kind();
            let permalink = match kind {
                Kind::Story => {
                    format!("https://www.instagram.com/stories/account_{account}/{media_id}/")
                }
                Kind::Reel => format!("https://www.instagram.com/reel/{}/", shortcode(number)),
                Kind::Post | Kind::Reply => {
                    format!("https://www.instagram.com/p/{}/", shortcode(number))
                }
            };
            let draft = Draft {
                account: container.account.clone(),
                kind,
                text: container.caption.clone(),
                media: container.media.clone(),
                details: container.details.clone(),
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

fn comment(call: &Call<'_>, id: &str, fields: &Fields) -> Result<Reply, GraphError> {
    graph::check_known(fields, &COMMENT_PARAMS)?;
    let text = fields
        .filled("message")
        .ok_or_else(|| GraphError::new(100, "(#100) The parameter message is required"))?;
    if text.chars().count() > MAX_COMMENT_CHARS || wire::is_rejected(text) {
        return Err(GraphError::new(100, "(#100) The comment is not accepted"));
    }
    let mut world = call.flight.twin.world();
    let post = world.post(Platform::Instagram, id);
    match post.map(|post| post.kind) {
        None => return Err(GraphError::no_such_object(id)),
        Some(Kind::Story) => {
            return Err(GraphError::new(100, "(#100) Stories have no comments"));
        }
        Some(_) => {}
    }
    Ok(world.step(
        Platform::Instagram,
        Step::Comment,
        refuse,
        |world| match world.comment(Platform::Instagram, id, text) {
            Some(id) => graph::ok(json!({ "id": id })),
            None => GraphError::no_such_object(id).into_response(),
        },
    ))
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
