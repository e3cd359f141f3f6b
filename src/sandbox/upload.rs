//! The bytes of a video: the sessions of [`super::youtube`], and the PUTs to them.
//!
//! A video is never held: its bytes are counted and hashed as they come.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fault::Kind;
use super::post::{Draft, Family, Medium};
use super::steps::Step;
use super::wire::{self, Call, Refusal, Refused, Reply};
use super::world::{Platform, World};
use super::youtube::{PATH, SCOPES, bad, refuse};

/// Chunks come in multiples of this, and an interrupted upload keeps multiples of it.
const GRAIN: u64 = 262_144;

/// Upload sessions by id.
pub(super) type Sessions = HashMap<String, Session>;

pub(super) struct Session {
    channel: String,
    video: Value,
    total: u64,
    stored: u64,
    hash: Sha256,
    /// How far the bytes came at best, kept or not: there, no connection is cut a second time.
    reached: u64,
    published: bool,
}

impl Session {
    /// `video` is the resource as the client described it.
    pub(super) fn new(channel: String, video: Value, total: u64) -> Self {
        Self {
            channel,
            video,
            total,
            stored: 0,
            hash: Sha256::new(),
            reached: 0,
            published: false,
        }
    }
}

/// Whether this is a request whose body must be read as it comes.
pub(super) fn is_upload(call: &Call<'_>) -> bool {
    call.method == Method::PUT && call.path == PATH
}

/// A PUT to a session: bytes, or a probe without any.
pub(super) async fn upload(call: &Call<'_>, body: Body) -> Reply {
    let id = call.query().get("upload_id").unwrap_or_default().to_owned();
    let range = match plan(call, &id) {
        Ok(range) => range,
        Err(response) => {
            drain(body).await;
            return response.into();
        }
    };
    let (fault, cut_at) = fault(&mut call.flight.twin.world(), &id, range);
    let truth = if fault.is_none_or(Kind::accepts) || cut_at.is_some() {
        receive(call, &id, range, body, cut_at).await
    } else {
        drain(body).await;
        None
    };
    match (fault, truth) {
        (Some(kind), truth) => kind.reply(truth, refuse),
        (None, Some(truth)) => truth.into(),
        (None, None) => refuse(Refusal::Internal).into(),
    }
}

/// What strikes a PUT, and at which byte of the video if that matters. The PUT that brings the last
/// byte publishes too.
fn fault(world: &mut World, id: &str, range: Range) -> (Option<Kind>, Option<u64>) {
    let session = world.sessions.get(id);
    let (total, reached) = session.map_or((0, 0), |session| (session.total, session.reached));
    let upload = world.fault(Platform::Youtube, Step::Upload);
    let cut_at = upload.and_then(|kind| kind.cut_at(total));
    // Not again where it was cut before, and not where the bytes do not get to.
    let cuts = cut_at.is_none_or(|at| reached < at.max(1) && at <= range.end);
    let upload = upload.filter(|_| cuts);
    let publish = if range.end == total {
        world.fault(Platform::Youtube, Step::Publish)
    } else {
        None
    };
    match upload {
        Some(kind) => (Some(kind), cut_at),
        None => (publish, None),
    }
}

/// The client must have sent everything before it reads an answer.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

/// The bytes of a PUT: from the first one to before `end`.
#[derive(Clone, Copy)]
struct Range {
    start: u64,
    end: u64,
}

/// What a PUT wants to do; the error is the answer where it is known without any bytes.
fn plan(call: &Call<'_>, id: &str) -> Result<Range, Refused> {
    // The session's address is a secret of its own, so a token is not needed; a bad one is refused.
    if let Some(token) = call.bearer() {
        call.check_token(Some(token), SCOPES).map_err(refuse)?;
    }
    let mut world = call.flight.twin.world();
    let Some(session) = world.sessions.get_mut(id) else {
        return Err(refuse(Refusal::NotFound).into());
    };
    let channel = session.channel.clone();
    let range = session.range(call.header("content-range"));
    drop(world);
    call.flight.of_account(&channel);
    range
}

impl Session {
    fn range(&self, header: Option<&str>) -> Result<Range, Refused> {
        let mut range = Range {
            start: 0,
            end: self.total,
        };
        if let Some(header) = header {
            let (bytes, total) = parse_range(header).ok_or_else(|| {
                bad(
                    "global",
                    "badRequest",
                    "Failed to parse Content-Range header.",
                )
            })?;
            if total != self.total {
                let message = "The total size is not the one that the session was started with";
                return Err(bad("global", "badRequest", message));
            }
            range = bytes.ok_or_else(|| self.progress())?;
        }
        if self.published {
            return Err(self.progress().into());
        }
        let size = range.end.saturating_sub(range.start);
        if size == 0 || range.end > self.total {
            return Err(bad(
                "global",
                "badRequest",
                "The range is not inside the video",
            ));
        }
        if range.start != self.stored {
            let message = format!("The next byte of this upload is {}", self.stored);
            return Err(bad("global", "badRequest", &message));
        }
        if range.end != self.total && !size.is_multiple_of(GRAIN) {
            let message = "Every chunk but the last must be a multiple of 262144 bytes";
            return Err(bad("global", "badRequest", message));
        }
        Ok(range)
    }

    /// The answer to a probe, and to a chunk.
    fn progress(&self) -> Response {
        if self.published {
            return wire::json(StatusCode::OK, self.video.clone());
        }
        let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
        if self.stored > 0 {
            let range = HeaderValue::from_str(&format!("bytes=0-{}", self.stored - 1));
            let range = range.expect("digits make a valid header value");
            response.headers_mut().insert(header::RANGE, range);
        }
        response
    }
}

/// `bytes 0-9/20` as its bytes and the total; a probe (`bytes */20`) has no bytes.
fn parse_range(header: &str) -> Option<(Option<Range>, u64)> {
    let (bytes, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let total = total.parse().ok()?;
    if bytes == "*" {
        return Some((None, total));
    }
    let (first, last) = bytes.split_once('-')?;
    let last: u64 = last.parse().ok()?;
    let range = Range {
        start: first.parse().ok()?,
        end: last.checked_add(1)?,
    };
    Some((Some(range), total))
}

/// Reads the bytes of a range. What came before the connection broke is kept, in whole grains.
/// `None`: it has to be cut, for the byte `cut_at` has come.
async fn receive(
    call: &Call<'_>,
    id: &str,
    range: Range,
    body: Body,
    cut_at: Option<u64>,
) -> Option<Response> {
    let twin = &call.flight.twin;
    let hash = twin
        .world()
        .sessions
        .get(id)
        .map(|session| session.hash.clone());
    let Some(mut hash) = hash else {
        return Some(refuse(Refusal::NotFound));
    };
    let mut position = range.start;
    let mut kept = range.start;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(mut chunk) = chunk else {
            return Some(refuse(Refusal::Truncated));
        };
        if chunk.len() as u64 > range.end - position {
            while let Some(Ok(_)) = chunks.next().await {}
            let message = "More bytes were sent than announced";
            return Some(bad("global", "badRequest", message).response());
        }
        while !chunk.is_empty() {
            let grain = GRAIN - position % GRAIN;
            let room = cut_at.map_or(grain, |at| grain.min(at.saturating_sub(position)));
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let piece = chunk.split_to(room.min(chunk.len()));
            hash.update(&piece);
            position += piece.len() as u64;
            let whole_grain = position.is_multiple_of(GRAIN) && position < range.end;
            if whole_grain && position > kept {
                if !advance(&mut twin.world(), id, kept, position, &hash) {
                    return Some(overtaken());
                }
                kept = position;
            }
            if cut_at.is_some_and(|at| position >= at) {
                if let Some(session) = twin.world().sessions.get_mut(id) {
                    session.reached = session.reached.max(position).max(1);
                }
                return None;
            }
        }
    }
    if position < range.end {
        return Some(refuse(Refusal::Truncated));
    }
    let mut world = twin.world();
    if !advance(&mut world, id, kept, position, &hash) {
        return Some(overtaken());
    }
    Some(finish(&mut world, id))
}

fn overtaken() -> Response {
    bad(
        "global",
        "badRequest",
        "Another request has sent these bytes",
    )
    .response()
}

/// Keeps the bytes from `kept` to `position`, unless another request was faster.
fn advance(world: &mut World, id: &str, kept: u64, position: u64, hash: &Sha256) -> bool {
    match world.sessions.get_mut(id) {
        Some(session) if session.stored == kept => {
            session.stored = position;
            session.reached = session.reached.max(position);
            session.hash = hash.clone();
            true
        }
        _ => false,
    }
}

/// Publishes the video if it is complete.
fn finish(world: &mut World, id: &str) -> Response {
    let number = world.mint();
    let Some(session) = world.sessions.get_mut(id) else {
        return refuse(Refusal::NotFound);
    };
    if session.stored < session.total {
        return session.progress();
    }
    session.published = true;
    let text = |name: &str| session.video["snippet"][name].as_str().map(str::to_owned);
    let draft = Draft {
        account: session.channel.clone(),
        text: text("description").unwrap_or_default(),
        title: text("title"),
        media: vec![Medium {
            family: Family::Video,
            url: None,
            alt: None,
            name: None,
            bytes: Some(session.total),
            sha256: Some(format!("{:x}", session.hash.clone().finalize())),
            width: None,
            height: None,
        }],
        ..Draft::default()
    };
    let video_id = video_id(number);
    let permalink = format!("https://www.youtube.com/watch?v={video_id}");
    let post = world.publish(Platform::Youtube, draft, video_id.clone(), permalink);
    let published_at = post.published_at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let Some(session) = world.sessions.get_mut(id) else {
        return refuse(Refusal::NotFound);
    };
    let channel = session.channel.clone();
    let video = &mut session.video;
    video["etag"] = format!("sandbox-{video_id}").into();
    video["id"] = video_id.into();
    video["snippet"]["publishedAt"] = published_at.into();
    video["snippet"]["channelId"] = channel.into();
    video["status"]["uploadStatus"] = "uploaded".into();
    session.progress()
}

/// Eleven characters, as YouTube's ids have.
fn video_id(number: u64) -> String {
    URL_SAFE_NO_PAD.encode(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_id_has_eleven_characters() {
        assert_eq!(video_id(1).len(), 11);
        assert_ne!(video_id(1), video_id(2));
    }
}
