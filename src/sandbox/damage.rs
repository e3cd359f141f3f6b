//! Answers that are damaged on their way to the client.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use futures::{Stream, StreamExt, stream};

/// No answer of a platform's here comes near it.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(100);
const HUGE_BYTES: u64 = 50_000_000;
const FILLER: &[u8] = &[b' '; 64 * 1024];
/// How much more is promised than comes.
const MISSING_BYTES: usize = 100;

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// One byte in 100 ms.
    Slow,
    /// Half of it comes, more was promised, and the connection is closed.
    Truncated,
    /// Blanks follow it, up to 50 MB.
    Huge,
}

/// The answer as it arrives.
pub(super) async fn damaged(damage: Damage, response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    // The sandbox's own answers are in memory: this neither waits nor fails.
    let body = axum::body::to_bytes(body, ANSWER_LIMIT).await;
    let body = body.unwrap_or_default();
    let (length, body) = match damage {
        Damage::Slow => (body.len() as u64, Body::from_stream(slowly(body))),
        Damage::Truncated => {
            let length = body.len() + MISSING_BYTES;
            let half = body.slice(..body.len() / 2);
            (length as u64, Body::from_stream(torn_off(half)))
        }
        Damage::Huge => (HUGE_BYTES, Body::from_stream(padded(body))),
    };
    let length = HeaderValue::from(length);
    head.headers.insert(header::CONTENT_LENGTH, length);
    Response::from_parts(head, body)
}

/// The page that a proxy in front of the platform might answer with.
pub(super) fn page() -> Response {
    let page = "<!DOCTYPE html><title>Welcome</title><h1>Something is here</h1>\n";
    (StatusCode::OK, Html(page)).into_response()
}

fn slowly(body: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    let pieces = (0..body.len()).map(move |at| body.slice(at..=at));
    stream::iter(pieces).then(async |piece| {
        tokio::time::sleep(PAUSE).await;
        Ok(piece)
    })
}

fn torn_off(half: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    let end = stream::once(async {
        // Having to wait, the server sends what it has; failing at once, it might send nothing.
        tokio::task::yield_now().await;
        Err(io::ErrorKind::ConnectionReset.into())
    });
    stream::iter([Ok(half)]).chain(end)
}

fn padded(body: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    let mut missing = HUGE_BYTES.saturating_sub(body.len() as u64);
    let filler = std::iter::from_fn(move || {
        let size = missing.min(FILLER.len() as u64);
        missing -= size;
        let size = usize::try_from(size).ok().filter(|size| *size > 0)?;
        Some(Bytes::from_static(&FILLER[..size]))
    });
    stream::iter(std::iter::once(body).chain(filler).map(Ok))
}
