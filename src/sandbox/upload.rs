//! The bytes of a video: the sessions of [`super::youtube`], and the PUTs to them.
//!
//! A video is never held: its bytes are counted, hashed and searched for its size as they come, a grain at a time. What
//! a broken connection brought is kept in whole grains.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use serde_json::{Map, Value, json};

use super::fault::Kind;
use super::media::{Intake, Received};
use super::post::{self, Draft, Family, Medium};
use super::steps::Step;
use super::wire::{self, Call, Refusal, Refused, Reply};
use super::world::{Platform, Twin, World};
use super::youtube::{self, Caller, PATH, UPLOAD, Video, bad, gone, refuse};

/// Chunks come in multiples of this, and an interrupted upload keeps multiples of it.
const GRAIN: u64 = 262_144;
/// An upright video that is no longer is a Short.
const SHORT: Duration = Duration::from_mins(3);

/// An upload that was begun.
pub(super) struct Session {
    caller: Caller,
    video: Value,
    /// Nobody is told of the video.
    is_quiet: bool,
    total: u64,
    stored: u64,
    /// None while a request adds to it.
    intake: Option<Intake>,
    /// How far the bytes came at best, kept or not: there, no connection is cut a second time.
    reached: u64,
    published: bool,
}

impl Session {
    /// `video` is the resource as the client described it.
    pub(super) fn new(caller: Caller, video: Value, total: u64, is_quiet: bool) -> Self {
        Self {
            caller,
            video,
            is_quiet,
            total,
            stored: 0,
            intake: Some(Intake::default()),
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
        Ok(Plan::Take(range)) => range,
        Ok(Plan::Tell(progress)) => {
            drain(body).await;
            let mut world = call.flight.twin.world();
            return world.step(Platform::Youtube, Step::Status, refuse, |_| progress);
        }
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
    let session = world.youtube.sessions.get(id);
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

/// What a PUT wants.
enum Plan {
    /// To bring these bytes.
    Take(Range),
    /// To hear how far the upload is.
    Tell(Response),
}

/// What a PUT wants to do; the error is the answer where it is known without any bytes.
fn plan(call: &Call<'_>, id: &str) -> Result<Plan, Refused> {
    // The session's address is a secret of its own, so a token is not needed; a bad one is refused.
    if let Some(token) = call.bearer() {
        call.check_token(Some(token), UPLOAD).map_err(refuse)?;
    }
    let world = call.flight.twin.world();
    let Some(session) = world.youtube.sessions.get(id) else {
        let number = id.strip_prefix("sandbox-");
        let was_given_out = number.is_some_and(|number| number.parse::<u64>().is_ok());
        let answer = if was_given_out {
            gone()
        } else {
            refuse(Refusal::NotFound)
        };
        return Err(answer.into());
    };
    let channel = session.caller.channel.clone();
    let plan = session.plan(call.header("content-range"));
    drop(world);
    call.flight.of_account(&channel);
    plan
}

impl Session {
    fn plan(&self, header: Option<&str>) -> Result<Plan, Refused> {
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
            if total.is_some_and(|total| total != self.total) {
                let message = "The total size is not the one that the session was started with";
                return Err(bad("global", "badRequest", message));
            }
            match bytes {
                Some(bytes) => range = bytes,
                None => return Ok(Plan::Tell(self.progress())),
            }
        }
        if self.published {
            return Ok(Plan::Tell(self.progress()));
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
        Ok(Plan::Take(range))
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

/// `bytes 0-9/20` as its bytes and the total; a probe (`bytes */20`, `bytes */*`) has no bytes.
fn parse_range(header: &str) -> Option<(Option<Range>, Option<u64>)> {
    let (bytes, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
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
    let mut position = range.start;
    // What came since the last whole grain.
    let mut grain = Vec::new();
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
            let rest = GRAIN - position % GRAIN;
            let room = cut_at.map_or(rest, |at| rest.min(at.saturating_sub(position)));
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let piece = chunk.split_to(room.min(chunk.len()));
            grain.extend_from_slice(&piece);
            position += piece.len() as u64;
            if position.is_multiple_of(GRAIN) && position < range.end {
                if !advance(twin, id, position, &grain) {
                    return Some(overtaken());
                }
                grain.clear();
            }
            if cut_at.is_some_and(|at| position >= at) {
                if let Some(session) = twin.world().youtube.sessions.get_mut(id) {
                    session.reached = session.reached.max(position).max(1);
                }
                return None;
            }
        }
    }
    if position < range.end {
        return Some(refuse(Refusal::Truncated));
    }
    if !advance(twin, id, position, &grain) {
        return Some(overtaken());
    }
    Some(finish(&mut twin.world(), id))
}

fn overtaken() -> Response {
    let message = "Another request has sent these bytes";
    bad("global", "badRequest", message).response()
}

/// Keeps the bytes that end before `position`, unless another request was faster. They are worked on without a lock.
fn advance(twin: &Twin, id: &str, position: u64, bytes: &[u8]) -> bool {
    let follows = |session: &&mut Session| session.stored + bytes.len() as u64 == position;
    let mut world = twin.world();
    let session = world.youtube.sessions.get_mut(id).filter(follows);
    let Some(mut intake) = session.and_then(|session| session.intake.take()) else {
        return false;
    };
    drop(world);
    intake.take(bytes);
    let mut world = twin.world();
    let Some(session) = world.youtube.sessions.get_mut(id) else {
        return false;
    };
    session.stored = position;
    session.reached = session.reached.max(position);
    session.intake = Some(intake);
    true
}

/// Publishes the video if it is complete.
fn finish(world: &mut World, id: &str) -> Response {
    let number = world.mint();
    let processing = world.processing(Platform::Youtube);
    let Some(session) = world.youtube.sessions.get_mut(id) else {
        return refuse(Refusal::NotFound);
    };
    if session.stored < session.total {
        return session.progress();
    }
    let Some(received) = session.intake.take().map(Intake::end) else {
        return refuse(Refusal::Internal);
    };
    session.published = true;
    let video_id = video_id(number);
    session.complete(&video_id);
    let (resource, channel) = (session.video.clone(), session.caller.channel.clone());
    let draft = session.draft(&received);
    let permalink = format!("https://www.youtube.com/watch?v={video_id}");
    let post = world.publish(Platform::Youtube, draft, video_id.clone(), permalink);
    let published_at = post.published_at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut video = Video {
        resource,
        channel,
        ready_at: Instant::now() + processing,
        is_invalid: received.mime.is_some() && received.family() != Some(Family::Video),
    };
    video.resource["snippet"]["publishedAt"] = published_at.into();
    let resource = video.resource.clone();
    world.youtube.videos.insert(video_id, video);
    let Some(session) = world.youtube.sessions.get_mut(id) else {
        return refuse(Refusal::NotFound);
    };
    session.video = resource;
    session.progress()
}

impl Session {
    /// Fills in what YouTube adds to a video's resource.
    fn complete(&mut self, id: &str) {
        let video = &mut self.video;
        video["etag"] = format!("sandbox-{id}").into();
        video["id"] = id.into();
        let channel = &self.caller.channel;
        video["snippet"]["channelId"] = channel.as_str().into();
        video["snippet"]["channelTitle"] = youtube::title_of(channel).into();
        if self.caller.is("unaudited-") {
            video["status"]["privacyStatus"] = "private".into();
        }
        let defaults = [
            ("snippet", "categoryId", json!("22")),
            ("snippet", "liveBroadcastContent", json!("none")),
            ("status", "uploadStatus", json!("uploaded")),
            ("status", "license", json!("youtube")),
            ("status", "embeddable", json!(true)),
            ("status", "publicStatsViewable", json!(true)),
        ];
        for (part, name, value) in defaults {
            if video[part][name].is_null() {
                video[part][name] = value;
            }
        }
    }

    /// The video as its viewers see it.
    fn draft(&self, received: &Received) -> Draft {
        let text = |name: &str| self.video["snippet"][name].as_str().map(str::to_owned);
        let size = received.width.zip(received.height);
        let is_upright = size.is_some_and(|(width, height)| width <= height);
        let is_short = is_upright && received.duration.is_some_and(|long| long <= SHORT);
        Draft {
            account: self.caller.channel.clone(),
            kind: if is_short {
                post::Kind::Reel
            } else {
                post::Kind::Post
            },
            text: text("description").unwrap_or_default(),
            title: text("title"),
            media: vec![Medium {
                family: Family::Video,
                ..Medium::of(received)
            }],
            details: self.details(),
            ..Draft::default()
        }
    }

    /// What was said beside title and description.
    fn details(&self) -> Map<String, Value> {
        let (snippet, status) = (&self.video["snippet"], &self.video["status"]);
        let details = [
            ("privacy", &status["privacyStatus"]),
            ("tags", &snippet["tags"]),
            ("category", &snippet["categoryId"]),
            ("language", &snippet["defaultLanguage"]),
            ("license", &status["license"]),
            ("embeddable", &status["embeddable"]),
            ("made_for_kids", &status["selfDeclaredMadeForKids"]),
            ("synthetic_media", &status["containsSyntheticMedia"]),
        ];
        let details = details.into_iter().filter(|(_, value)| !value.is_null());
        let mut details: Map<String, Value> = details
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        details.insert("notifies_subscribers".to_owned(), (!self.is_quiet).into());
        details
    }
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
