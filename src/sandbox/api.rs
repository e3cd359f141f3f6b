//! The routes for people and scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::samples;
use super::world::{Twin, World};
use crate::config::Span;

const INDEX: &str = "\
publisher's sandbox: a local twin of Facebook, Instagram, LinkedIn, YouTube and Slack.
Nothing leaves this machine. A platform's scheme and host become this URL plus its name:

  POST /facebook/v25.0/{page-id}/feed
  POST /instagram/v25.0/{ig-id}/media, then /media_publish
  POST /linkedin/rest/posts
  POST /youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status, then PUT its Location
  POST /slack/api/chat.postMessage

  GET  /api/posts           what was published, oldest first (with an ETag)
  GET  /api/media/{sha256}  the bytes of a published image
  GET  /api/stats           counters: requests, posts, duplicates, comments, tokens, requests at once
  POST /api/reset           forget all of it
  GET  /api/faults          the faults in force
  POST /api/faults          a JSON list of faults that replaces them, for example
                            [\"facebook:500-after-accept:5%\", \"*/status:429:retry-after=3\", \"*:reset:1%\"]
  GET  /api/settings        latency, processing and token_lifetime
  POST /api/settings        a JSON object that changes some of them, for example {\"processing\": \"2s\"}
  GET  /samples/{name}      files to publish: 1080x1080.jpg, 1200x630.jpg, 1080x1920.jpg, 4000x100.jpg,
                            800x800.png, reel-9s.mp4, video-5s.mp4, document.pdf

Any token is good, unless it starts with expired-, revoked- or noscope-; one that starts with
scopes(a,b) has those scopes alone. One that ends with the id of a YouTube channel is that channel's.
A text that holds [[reject]] is refused as the platform would refuse it.
";

/// The page shows what anybody published, so it may load nothing but images and talk to nobody else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    img-src * data:; media-src *; connect-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

pub(super) async fn page() -> Response {
    let page = Html(include_str!("page.html"));
    ([(header::CONTENT_SECURITY_POLICY, PAGE_POLICY)], page).into_response()
}

pub(super) async fn index() -> &'static str {
    INDEX
}

/// A browser must take it for what it is: it came from wherever the posts did.
const NOSNIFF: (HeaderName, HeaderValue) = (
    header::X_CONTENT_TYPE_OPTIONS,
    HeaderValue::from_static("nosniff"),
);

pub(super) async fn sample(Path(name): Path<String>) -> Response {
    let Some(sample) = samples::find(&name) else {
        return (StatusCode::NOT_FOUND, "no such sample; see /api\n").into_response();
    };
    let kind = HeaderValue::from_static(sample.mime);
    ([(header::CONTENT_TYPE, kind), NOSNIFF], sample.bytes).into_response()
}

pub(super) async fn posts(State(twin): State<Arc<Twin>>, headers: HeaderMap) -> Response {
    let world = twin.world();
    let tag = world.tag();
    if is_known(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    // Written out under the lock: cheaper than a copy of every post.
    match serde_json::to_vec(&world.listing()) {
        Ok(body) => {
            let kind = "application/json".to_owned();
            ([(header::CONTENT_TYPE, kind), (header::ETAG, tag)], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether `If-None-Match` names this tag, or any.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = lists.flat_map(|list| list.to_str().unwrap_or_default().split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

pub(super) async fn media(State(twin): State<Arc<Twin>>, Path(sha256): Path<String>) -> Response {
    let Some(image) = twin.world().gallery().image(&sha256).cloned() else {
        return (StatusCode::NOT_FOUND, "no such image, or no longer kept\n").into_response();
    };
    let kind = HeaderValue::from_static(image.mime);
    ([(header::CONTENT_TYPE, kind), NOSNIFF], image.bytes).into_response()
}

pub(super) async fn stats(State(twin): State<Arc<Twin>>) -> Response {
    Json(twin.world().stats()).into_response()
}

pub(super) async fn reset(State(twin): State<Arc<Twin>>) -> StatusCode {
    twin.world().reset();
    StatusCode::NO_CONTENT
}

pub(super) async fn faults(State(twin): State<Arc<Twin>>) -> Json<Vec<String>> {
    Json(twin.world().faults())
}

/// Replaces the faults, or none of them if one cannot be read. Answers with the list now in force.
pub(super) async fn set_faults(
    State(twin): State<Arc<Twin>>,
    Json(specs): Json<Vec<String>>,
) -> Response {
    let parsed: Result<Vec<Fault>, _> = specs.iter().map(|spec| spec.parse()).collect();
    match parsed {
        Ok(faults) => {
            let mut world = twin.world();
            world.set_faults(faults);
            Json(world.faults()).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// What can be changed while the sandbox runs. Durations as on the command line: `500ms`, `2s`, `1h`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    latency: Option<Span>,
    processing: Option<Span>,
    token_lifetime: Option<Span>,
}

#[derive(Serialize)]
pub(super) struct InForce {
    latency: String,
    processing: String,
    token_lifetime: String,
}

impl InForce {
    fn of(world: &World) -> Self {
        let shown = |duration| Span(duration).to_string();
        Self {
            latency: shown(world.latency),
            processing: shown(world.processing),
            token_lifetime: shown(world.tokens.lifetime),
        }
    }
}

pub(super) async fn settings(State(twin): State<Arc<Twin>>) -> Json<InForce> {
    Json(InForce::of(&twin.world()))
}

/// Changes the settings that are named. Answers with all of them as they are now.
pub(super) async fn set_settings(
    State(twin): State<Arc<Twin>>,
    Json(changes): Json<Changes>,
) -> Json<InForce> {
    let mut world = twin.world();
    let change = |setting: &mut _, value: Option<Span>| {
        if let Some(Span(value)) = value {
            *setting = value;
        }
    };
    change(&mut world.latency, changes.latency);
    change(&mut world.processing, changes.processing);
    change(&mut world.tokens.lifetime, changes.token_lifetime);
    Json(InForce::of(&world))
}
