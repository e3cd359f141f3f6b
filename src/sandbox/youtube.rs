//! YouTube Data API v3: resumable video uploads, what follows a video, and the lists it is found in.
//!
//! <https://developers.google.com/youtube/v3/docs>. A token stands for a channel, for requests name none; a person who
//! makes one up can write into it what is special about it:
//!
//! | in a token | |
//! |---|---|
//! | `channel(UC…)`, or an id of 24 characters at its end | it is that channel's, and no other's |
//! | `refused(REASON)` | what the reason is about is refused with it, for example `refused(quotaExceeded)` |
//! | `unverified-` | the channel may not set thumbnails, nor upload long videos |
//! | `unaudited-` | the project makes every video private |
//! | `nochannel-` | the Google account has no channel |
//!
//! Reading order: `insert` (a video's metadata), [`super::upload`] (its bytes), `follow`, `list`, `oauth`, and `errors`,
//! the words in which all of them refuse.

mod errors;
mod follow;
mod insert;
mod list;
mod oauth;

use std::collections::HashMap;
use std::time::Instant;

use axum::body::Body;
use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::upload::{self, Session};
use super::wire::{Call, Fields, Refusal, Refused, Reply};

pub(super) use errors::{bad, gone, refuse};

pub(super) const PATH: &str = "upload/youtube/v3/videos";

macro_rules! scopes {
    ($($name:literal),*) => {
        concat!($("https://www.googleapis.com/auth/", $name, "|"),*, "https://www.googleapis.com/auth/youtubepartner")
    };
}

/// Each of them lets an application upload.
pub(super) const UPLOAD: &str = scopes!("youtube.upload", "youtube", "youtube.force-ssl");
const READ: &str = scopes!("youtube.readonly", "youtube", "youtube.force-ssl");
const MANAGE: &str = scopes!("youtube", "youtube.force-ssl");
const COMMENT: &str = "https://www.googleapis.com/auth/youtube.force-ssl";

/// A channel's id has so many characters, the first two of which are `UC`.
const ID_LENGTH: usize = 24;

/// What every method takes in its query.
const COMMON: [&str; 6] = ["part", "key", "alt", "fields", "prettyPrint", "quotaUser"];

/// What YouTube knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) sessions: HashMap<String, Session>,
    /// By id.
    pub(super) videos: HashMap<String, Video>,
    /// What is special about the access tokens that were given out: the refresh tokens they are from.
    origins: HashMap<String, String>,
}

/// A video as its owner sees it.
pub(super) struct Video {
    /// The resource, with every part.
    pub(super) resource: Value,
    pub(super) channel: String,
    /// From then on it is processed.
    pub(super) ready_at: Instant,
    /// Its bytes are no film.
    pub(super) is_invalid: bool,
}

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if upload::is_upload(&call) {
        return upload::upload(&call, body).await;
    }
    if (call.method, call.path) == (&Method::POST, "upload/youtube/v3/thumbnails/set") {
        return follow::thumbnail(&call, body).await;
    }
    if let Err(refusal) = call.read(body).await {
        return refuse(refusal).into();
    }
    let answer = match (call.method, call.path) {
        (&Method::POST, PATH) => insert::start(&call),
        (&Method::POST, "youtube/v3/commentThreads") => follow::comment(&call),
        (&Method::POST, "youtube/v3/playlistItems") => follow::add_to_playlist(&call),
        (&Method::GET, "youtube/v3/videos") => list::videos(&call),
        (&Method::GET, "youtube/v3/channels") => list::channels(&call),
        (&Method::GET, "youtube/v3/playlistItems") => list::playlist_items(&call),
        (&Method::POST, "token") => Ok(oauth::token(&call)),
        _ => Err(refuse(Refusal::NotFound).into()),
    };
    answer.unwrap_or_else(Reply::from)
}

/// Whose request it is.
pub(super) struct Caller {
    /// The channel's id.
    pub(super) channel: String,
    /// The token says so itself.
    pub(super) is_named: bool,
    /// The token's text, or that of the refresh token that it is from.
    marks: String,
}

impl Caller {
    /// The owner of a good token with one of these scopes.
    fn of(call: &Call<'_>, scopes: &'static str) -> Result<Self, Refused> {
        let token = call.check_token(call.bearer(), scopes).map_err(refuse)?;
        let world = call.flight.twin.world();
        let origin = world.youtube.origins.get(token).cloned();
        drop(world);
        let marks = origin.unwrap_or_else(|| token.to_owned());
        let named = mark(&marks, "channel").or_else(|| id_at_end(&marks));
        let caller = Self {
            channel: named.map_or_else(|| channel_of(&marks), str::to_owned),
            is_named: named.is_some(),
            marks,
        };
        call.flight.of_account(&caller.channel);
        Ok(caller)
    }

    /// Whether the token says so of itself.
    pub(super) fn is(&self, what: &str) -> bool {
        self.marks.contains(what)
    }

    /// Whether a video of that channel is the caller's; a token that names no channel may be anybody's.
    fn owns(&self, channel: &str) -> bool {
        !self.is_named || self.channel == channel
    }

    /// Refuses what the token's own reason is about.
    fn check(&self, method: errors::About) -> Result<(), Refused> {
        let reason = mark(&self.marks, "refused");
        reason
            .and_then(|reason| errors::documented(method, reason))
            .map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}

/// What stands in `name(…)` in a token.
fn mark<'t>(token: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = token.split_once(&format!("{name}("))?;
    Some(rest.split_once(')')?.0)
}

/// A channel's id at the end of a token, `demo-token-UC…`.
fn id_at_end(token: &str) -> Option<&str> {
    let id = token.get(token.len().checked_sub(ID_LENGTH)?..)?;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (id.starts_with("UC") && id.bytes().all(is_id)).then_some(id)
}

/// A channel's name.
pub(super) fn title_of(channel: &str) -> String {
    format!("Channel {channel}")
}

/// A channel of the token's own.
fn channel_of(token: &str) -> String {
    let digest = Sha256::digest(token);
    format!("UC{}", URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// The playlist of everything that a channel uploaded.
fn uploads_of(channel: &str) -> String {
    format!("UU{}", channel.strip_prefix("UC").unwrap_or(channel))
}

/// The parts that a request names, which must be among the known ones.
fn parts<'q>(query: &'q Fields, known: &[&str]) -> Result<Vec<&'q str>, Refused> {
    let parts = query.filled("part").ok_or_else(|| {
        let message = "No filter selected. Expected one of: part";
        bad("youtube.parameter", "missingRequiredParameter", message)
    })?;
    let parts: Vec<&str> = parts.split(',').map(str::trim).collect();
    match parts.iter().find(|part| !known.contains(part)) {
        None => Ok(parts),
        Some(part) => Err(bad("youtube.part", "unknownPart", part)),
    }
}

/// Refuses a parameter that neither the method nor all of them know.
fn check_query(query: &Fields, own: &[&str]) -> Result<(), Refused> {
    let known = [own, &COMMON].concat();
    match query.unknown(&known) {
        None => Ok(()),
        Some(name) => {
            let message = format!(
                "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' \
                 could not be found in request message."
            );
            Err(bad("global", "badRequest", &message))
        }
    }
}

/// The body, which must be a JSON object.
fn object(call: &Call<'_>) -> Result<Map<String, Value>, Refused> {
    if call.content_type() != "application/json" {
        let message = "Media type is not supported. Valid media types: [application/json]";
        return Err(bad("global", "badContent", message));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(bad("global", "parseError", "The body is not a JSON object")),
    }
}

fn check_names(object: &Map<String, Value>, at: &str, known: &[&str]) -> Result<(), Refused> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("Invalid JSON payload received. Unknown name \"{name}\" at '{at}'");
            Err(bad("global", "badRequest", &message))
        }
    }
}
