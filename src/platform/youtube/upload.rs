//! The upload: a session, chunk after chunk, and what became of those that were not answered.
//!
//! A session is all that is needed to go on, in this run or a later one: asked, it says how many bytes it has, or which
//! video they became. So bytes that are sent twice never make a second video; only a second session could, and one is
//! begun only while the last bytes surely never left.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::{self, Options};
use super::replies::{Progress, Video, classify};
use super::{HOSTS, SESSIONS, follow, upload_path};
use crate::http::{Api, Effect, Session, unreadable};
use crate::media;
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Step;

/// Chunks come in multiples of this.
const GRAIN: u64 = 262_144;
/// So many sessions are begun for one post before it is given up.
const SESSION_LIMIT: u32 = 3;
/// So many tries in a row that bring no new byte are made at once; the first comes after a second, each further one
/// after twice the time.
const FRUITLESS_LIMIT: u32 = 5;

/// The checkpoint: a session that waits for the video's bytes, or has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Upload {
    /// The session's address.
    session: String,
    /// The size of the file.
    length_bytes: u64,
    /// What else tells the file from a later state of it.
    #[serde(default)]
    version: Option<String>,
    /// How many bytes the session has, as it last said. Unknown in the checkpoints of earlier versions, which sent all
    /// bytes at once.
    #[serde(default)]
    stored_bytes: Option<u64>,
    /// Which of the post's sessions it is, from 1.
    #[serde(default = "first")]
    number: u32,
    /// How many tries in a row brought no new byte.
    #[serde(default)]
    fruitless: u32,
    /// The video is no older than this.
    #[serde(default)]
    begun_at: Option<DateTime<Utc>>,
}

fn first() -> u32 {
    1
}

impl Upload {
    fn read(checkpoint: &Value) -> Result<Self, Failure> {
        Self::deserialize(checkpoint).map_err(|error| Failure::Unconfirmed {
            reason: Reason::new("bug", format!("the checkpoint can't be read: {error}")),
        })
    }

    fn wait(&self, after: Duration) -> Step {
        Step::Wait {
            checkpoint: json!(self),
            after,
        }
    }

    /// The next bytes are these; they can be sent at once.
    fn stands_at(&self, stored: u64) -> Step {
        let upload = Self {
            stored_bytes: Some(stored),
            fruitless: 0,
            ..self.clone()
        };
        upload.wait(Duration::ZERO)
    }

    /// The next bytes are these, and the last try brought none: after a while, and so often.
    fn stands_still_at(&self, stored: u64, why: Reason) -> Result<Step, Failure> {
        if self.fruitless >= FRUITLESS_LIMIT {
            return Err(Failure::Retry {
                after: None,
                reason: why,
            });
        }
        let upload = Self {
            stored_bytes: Some(stored),
            fruitless: self.fruitless + 1,
            ..self.clone()
        };
        Ok(upload.wait(Duration::from_secs(1 << self.fruitless)))
    }

    /// The token goes along, so it goes only to where YouTube's sessions are.
    fn request(&self, api: &Api<'_>) -> Option<RequestBuilder> {
        let trusted = api.trusts(&self.session, HOSTS, SESSIONS);
        trusted.then(|| {
            api.anonymous(Method::PUT, &self.session)
                .bearer_auth(api.token())
        })
    }
}

/// Some bytes of the file, with all of its facts.
async fn open(session: &Session<'_>, bytes: Range<u64>) -> Result<media::Source, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let [video] = media.as_slice() else {
        return Err(Failure::rejected("YouTube needs exactly one video"));
    };
    let limit = session.api.limits.count("file_bytes");
    media::open_part(video, session.api.http, bytes, limit).await
}

/// Begins a session, the post's `number`th.
pub(super) async fn begin(session: &Session<'_>, number: u32) -> Result<Step, Failure> {
    let api = &session.api;
    let source = open(session, 0..1).await?;
    if !options::is_video(&source.mime) {
        return Err(Failure::rejected(format!(
            "the media is {}; YouTube takes videos",
            source.mime
        )));
    }
    let (options, _) = Options::read(&session.post.content);
    let mut request = api
        .request(Method::POST, &upload_path(api, "videos"))
        .query(&[("uploadType", "resumable"), ("part", "snippet,status")])
        .header("X-Upload-Content-Length", source.total)
        .header("X-Upload-Content-Type", declared(&source))
        .json(&options::video(session.post));
    if let Some(notify) = options.notify_subscribers {
        request = request.query(&[("notifySubscribers", notify)]);
    }
    let reply = session.send(request, Effect::Prepares).await?;
    if !reply.status.is_success() {
        return Err(classify(&reply, Effect::Prepares, api.now));
    }
    let address = reply.header("location");
    let address = address.ok_or_else(|| unreadable(&reply, Effect::Prepares))?;
    if !api.trusts(address, HOSTS, SESSIONS) {
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new(
                "bad_reply",
                "YouTube named an upload address on another host, which is not given the token",
            ),
        });
    }
    let upload = Upload {
        session: address.to_owned(),
        length_bytes: source.total,
        version: source.version,
        stored_bytes: Some(0),
        number,
        fruitless: 0,
        begun_at: Some(api.now),
    };
    Ok(upload.wait(Duration::ZERO))
}

fn declared(source: &media::Source) -> &str {
    if source.mime.starts_with("video/") {
        &source.mime
    } else {
        "application/octet-stream"
    }
}

/// Begins another session for one that surely never becomes a video.
async fn begin_again(session: &Session<'_>, old: &Upload, why: &str) -> Result<Step, Failure> {
    if old.number >= SESSION_LIMIT {
        return Err(Failure::rejected(format!(
            "the upload to YouTube was begun {SESSION_LIMIT} times and came to nothing, the last time because {why}"
        )));
    }
    begin(session, old.number + 1).await
}

/// Takes the upload a step further.
pub(super) async fn go_on(session: &Session<'_>, checkpoint: &Value) -> Result<Step, Failure> {
    let upload = Upload::read(checkpoint)?;
    match upload.stored_bytes {
        Some(stored) if stored < upload.length_bytes => send(session, &upload, stored).await,
        _ => ask(session, &upload).await,
    }
}

/// The next chunk. The one with the last bytes publishes.
async fn send(session: &Session<'_>, upload: &Upload, from: u64) -> Result<Step, Failure> {
    let total = upload.length_bytes;
    let chunk = session.api.limits.count("chunk_bytes") / GRAIN * GRAIN;
    let end = from.saturating_add(chunk.max(GRAIN)).min(total);
    let source = match open(session, from..end).await {
        Ok(source) => source,
        // There is another file by now, or none, which the beginning says.
        Err(Failure::Rejected { reason }) => {
            return begin_again(session, upload, &reason.message).await;
        }
        Err(failure) => return Err(failure),
    };
    if source.total != total || source.version != upload.version {
        return begin_again(session, upload, "the file changed meanwhile").await;
    }
    let Some(request) = upload.request(&session.api) else {
        return begin_again(session, upload, "it was begun on another host").await;
    };
    let request = request
        .timeout(session.api.http.timeouts.for_bytes(end - from))
        .header(CONTENT_LENGTH, end - from)
        .header(CONTENT_TYPE, declared(&source))
        .header(CONTENT_RANGE, format!("bytes {from}-{}/{total}", end - 1))
        .body(source.body);
    let effect = if end == total {
        Effect::Publishes
    } else {
        Effect::Prepares
    };
    let progress = match session.send(request, effect).await {
        Ok(reply) => Progress::of(&reply, effect, session.api.now),
        Err(failure) => Err(failure),
    };
    match progress {
        Ok(Progress::Published(video)) => Ok(published(session, video).await),
        Ok(Progress::Stored(stored)) if stored > from && stored < total => {
            Ok(upload.stands_at(stored))
        }
        Ok(Progress::Stored(_)) => {
            let reason = Reason::new("bad_reply", "YouTube did not take the bytes that were sent");
            match crate::http::in_doubt(effect, reason) {
                failure @ Failure::Unconfirmed { .. } => Err(failure),
                failure => settle(session, upload, from, failure).await,
            }
        }
        Ok(Progress::Gone) => begin_again(session, upload, "YouTube has forgotten it").await,
        Err(failure @ Failure::Rejected { .. }) => settle(session, upload, from, failure).await,
        Err(failure @ Failure::Retry { after: None, .. }) if effect == Effect::Prepares => {
            settle(session, upload, from, failure).await
        }
        Err(failure) => Err(failure),
    }
}

/// Finds out what became of a chunk, the bytes from `from` on, that was refused or not answered, and surely published
/// nothing by that.
async fn settle(
    session: &Session<'_>,
    upload: &Upload,
    from: u64,
    failure: Failure,
) -> Result<Step, Failure> {
    match probe(session, upload).await {
        Ok(Progress::Published(video)) => Ok(published(session, video).await),
        Ok(Progress::Stored(stored)) if stored >= upload.length_bytes => Err(unfinished()),
        Ok(Progress::Stored(stored)) if stored > from => Ok(upload.stands_at(stored)),
        Ok(Progress::Stored(stored))
            if stored == from && matches!(failure, Failure::Rejected { .. }) =>
        {
            Err(failure)
        }
        // It can be behind the checkpoint, too.
        Ok(Progress::Stored(stored)) => {
            upload.stands_still_at(stored.min(from), failure.reason().clone())
        }
        Ok(Progress::Gone) => begin_again(session, upload, "YouTube has forgotten it").await,
        Err(_) => Err(failure),
    }
}

/// What bytes that were sent by an earlier version have become, before anything else is done.
async fn ask(session: &Session<'_>, upload: &Upload) -> Result<Step, Failure> {
    match probe(session, upload).await? {
        Progress::Published(video) => Ok(published(session, video).await),
        Progress::Stored(now) if now >= upload.length_bytes => Err(unfinished()),
        Progress::Stored(now) => Ok(upload.stands_at(now)),
        Progress::Gone => Err(Failure::Unconfirmed {
            reason: Reason::new(
                "upload_gone",
                "YouTube has forgotten the upload; look at the channel before trying again",
            ),
        }),
    }
}

fn unfinished() -> Failure {
    Failure::Unconfirmed {
        reason: Reason::new(
            "processing",
            "YouTube has all bytes and has not said yet which video they are",
        ),
    }
}

async fn probe(session: &Session<'_>, upload: &Upload) -> Result<Progress, Failure> {
    let request = upload
        .request(&session.api)
        .ok_or_else(|| Failure::Unconfirmed {
            reason: Reason::new(
                "moved",
                "the upload was begun on another host; look at the channel before trying again",
            ),
        })?;
    let range = format!("bytes */{}", upload.length_bytes);
    let request = request
        .header(CONTENT_LENGTH, 0)
        .header(CONTENT_RANGE, range);
    let reply = session.send(request, Effect::Reads).await?;
    Progress::of(&reply, Effect::Reads, session.api.now)
}

/// What a session says of a post that may be live.
pub(super) enum Told {
    /// It is this video.
    Video(Video),
    /// It has not all bytes, and no other session was begun for them: they can go on from there.
    Unfinished(Value),
    /// It is gone, or another one may have taken its place.
    Nothing,
    /// The bytes may still become a video.
    Unclear,
}

/// Asks the session of a checkpoint. It sends no bytes, and begins nothing.
pub(super) async fn told(session: &Session<'_>, checkpoint: &Value) -> Result<Told, Failure> {
    let Ok(upload) = Upload::read(checkpoint) else {
        return Ok(Told::Unclear);
    };
    match probe(session, &upload).await {
        Ok(Progress::Published(video)) => Ok(Told::Video(video)),
        Ok(Progress::Stored(stored)) if stored >= upload.length_bytes => Ok(Told::Unclear),
        // For a file that changed a later step begins another session, of which the checkpoint need not know.
        Ok(Progress::Stored(stored)) if is_unchanged(session, &upload).await => {
            let stored_bytes = Some(stored);
            Ok(Told::Unfinished(json!(Upload {
                stored_bytes,
                ..upload
            })))
        }
        Ok(Progress::Stored(_) | Progress::Gone) => Ok(Told::Nothing),
        Err(Failure::Unconfirmed { .. } | Failure::Rejected { .. }) => Ok(Told::Unclear),
        Err(failure) => Err(failure),
    }
}

/// Whether the file is still the one that the session was begun for.
async fn is_unchanged(session: &Session<'_>, upload: &Upload) -> bool {
    let source = open(session, 0..1).await;
    source
        .is_ok_and(|source| source.total == upload.length_bytes && source.version == upload.version)
}

/// The video is there: what belongs to it is added, and what is odd about it is said.
async fn published(session: &Session<'_>, video: Video) -> Step {
    Step::Done(complete(session, &video).await)
}

/// The same of one that was looked up.
pub(super) async fn complete(session: &Session<'_>, video: &Video) -> Published {
    session.accepted(&video.id);
    follow::all(session, &video.id, noted(session, video)).await
}

/// A live video with what is odd about it.
pub(super) fn noted(session: &Session<'_>, video: &Video) -> Published {
    let mut published = Published::at(&video.id, Some(video.permalink()));
    let own = &session.post.account.external_id;
    let channel = video.snippet.channel_id.as_ref();
    if let Some(channel) = channel.filter(|channel| *channel != own) {
        published.warnings.push(format!(
            "the video is on the channel {channel}, not on {own}: the token is another channel's"
        ));
    }
    let wanted = options::privacy(session.post);
    let privacy = video.status.privacy_status.as_deref();
    if privacy == Some("private") && wanted != options::Privacy::Private {
        published.warnings.push(
            "YouTube made the video private: it does so while Google has not audited the project that the token is of"
                .to_owned(),
        );
    }
    published
}
