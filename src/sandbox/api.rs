//! The routes for people and scripts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::fault::Fault;
use super::world::Twin;

const INDEX: &str = "\
publisher's sandbox: a local twin of Facebook, Instagram, LinkedIn, YouTube and Slack.
Nothing leaves this machine. A platform's scheme and host become this URL plus its name:

  POST /facebook/v25.0/{page-id}/feed
  POST /instagram/v25.0/{ig-id}/media, then /media_publish
  POST /linkedin/rest/posts
  POST /youtube/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status, then PUT its Location
  POST /slack/api/chat.postMessage

  GET  /api/posts    what was published, oldest first
  GET  /api/stats    counters: requests, posts, duplicates, requests at once
  POST /api/reset    forget all of it
  POST /api/faults   a JSON list of faults that replaces the present ones, for example
                     [\"facebook:500-after-accept:5%\", \"slack:429:retry-after=3\", \"*:reset:1%\"]

Any token is good, unless it starts with expired-, revoked- or noscope-.
A text that holds [[reject]] is refused as the platform would refuse it.
";

pub(super) async fn index() -> &'static str {
    INDEX
}

pub(super) async fn posts(State(twin): State<Arc<Twin>>) -> Response {
    // Written out under the lock: cheaper than a copy of every post.
    match serde_json::to_vec(twin.world().posts()) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

pub(super) async fn stats(State(twin): State<Arc<Twin>>) -> Response {
    Json(twin.world().stats()).into_response()
}

pub(super) async fn reset(State(twin): State<Arc<Twin>>) -> StatusCode {
    twin.world().reset();
    StatusCode::NO_CONTENT
}

/// Replaces the faults, or none of them if one cannot be read. Answers with the list now in force.
pub(super) async fn faults(
    State(twin): State<Arc<Twin>>,
    Json(specs): Json<Vec<String>>,
) -> Response {
    let parsed: Result<Vec<Fault>, _> = specs.iter().map(|spec| spec.parse()).collect();
    match parsed {
        Ok(faults) => {
            let now: Vec<String> = faults.iter().map(ToString::to_string).collect();
            twin.world().set_faults(faults);
            Json(now).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}
