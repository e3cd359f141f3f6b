//! Media over real sockets and files: what arrives is the whole file, bit by bit, or an error that says why not.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

#[path = "media/downloads.rs"]
mod downloads;
#[path = "media/files.rs"]
mod files;
#[path = "media/looks.rs"]
mod looks;
#[path = "media/objects.rs"]
mod objects;
#[path = "media/server.rs"]
mod server;

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use futures::StreamExt;
use publisher::http::{Http, Timeouts};
use publisher::media::{Policy, Source};
use publisher::outcome::Failure;
use publisher::post::Media;

const MIB: usize = 1 << 20;

/// A client that may reach the test's own servers.
fn http() -> Http {
    http_with(Policy::default())
}

fn http_with(policy: Policy) -> Http {
    let mut policy = Policy {
        allow_private: true,
        ..policy
    };
    if policy.directories.is_empty() {
        policy.directories.push("/".into());
    }
    Http::new(Timeouts::default(), policy)
}

/// One that calls a connection idle after so long.
fn impatient(idle: Duration) -> Http {
    let mut http = http();
    http.timeouts.request = idle;
    http
}

fn at(url: &str) -> Media {
    Media {
        url: Some(url.to_owned()),
        ..Media::default()
    }
}

fn file_at(path: &std::path::Path) -> Media {
    Media {
        path: Some(path.to_str().unwrap().to_owned()),
        ..Media::default()
    }
}

/// Bytes of which no two places look alike.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// What a body brings, and the error that ends it early.
async fn received(source: Source) -> (Vec<u8>, Option<String>) {
    let mut chunks = axum::body::Body::new(source.body).into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(error) => return (bytes, Some(chain(&error))),
        }
    }
    (bytes, None)
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let chain = successors(Some(error), |&error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// `rejected: the media file is empty`.
fn verdict(failure: &Failure) -> String {
    let decision = match failure {
        Failure::Retry { .. } => "retry",
        Failure::Rejected { .. } => "rejected",
        _ => "something else",
    };
    format!("{decision}: {}", failure.reason().message)
}
