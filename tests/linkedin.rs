//! LinkedIn's client against the sandbox: every kind of post, every fault with what it means, every place where an
//! upload can stop; and the sandbox's own strictness, over raw HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the helpers of an integration test"
)]

mod support;

#[path = "linkedin/accounts.rs"]
mod accounts;
#[path = "linkedin/doubt.rs"]
mod doubt;
#[path = "linkedin/endpoints.rs"]
mod endpoints;
#[path = "linkedin/kinds.rs"]
mod kinds;
#[path = "linkedin/lookup.rs"]
mod lookup;
#[path = "linkedin/strictness.rs"]
mod strictness;
#[path = "linkedin/uploads.rs"]
mod uploads;

use publisher::outcome::Published;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::stage::{Ending, Stage};
use tempfile::NamedTempFile;

/// A member's token as most applications get it.
const MEMBER: &str = "scopes(openid,profile,w_member_social,w_member_social_feed)member(aB-1)";

/// A page with a token for everything, and these faults.
async fn page(faults: &[&str]) -> Stage {
    Stage::with("linkedin", faults).await
}

/// A member who may only post.
async fn member(faults: &[&str]) -> Stage {
    Stage {
        external_id: "urn:li:person:aB-1".to_owned(),
        credentials: json!({"access_token": MEMBER}),
        ..page(faults).await
    }
}

/// A real MP4 that is made as large as this by a box that players skip.
fn film(bytes: usize) -> NamedTempFile {
    let mut film = include_bytes!("../src/sandbox/samples/reel-9s.mp4").to_vec();
    let rest = bytes - film.len();
    film.extend(u32::try_from(rest).unwrap().to_be_bytes());
    film.extend(b"free");
    film.resize(bytes, 7);
    let file = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(file.path(), film).unwrap();
    file
}

/// Three parts, the last of them short.
const FILM_BYTES: usize = 2 * 4 * 1024 * 1024 + 1000;

fn sha256(file: &NamedTempFile) -> String {
    format!("{:x}", Sha256::digest(std::fs::read(file.path()).unwrap()))
}

/// How many requests LinkedIn has had.
async fn requests(stage: &Stage) -> u64 {
    let stats = stage.get("api/stats").await;
    stats["platforms"]["linkedin"]["requests"].as_u64().unwrap()
}

/// The post that is live without a warning.
fn published(ending: Ending) -> Published {
    assert_eq!(ending.verdict, "done", "{}", ending.message);
    let published = ending.published.unwrap();
    assert_eq!(published.warnings, Vec::<String>::new());
    published
}

fn text(body: &str) -> Value {
    json!({"body": body})
}
