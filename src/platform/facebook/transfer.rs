//! A video's bytes on their way: in chunks for the feed, as one stream for reels and stories.
//!
//! An upload that breaks off goes on from where Facebook says that it stands, a little later in this run or in the next.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::super::Step;
use super::checkpoint::{Checkpoint, Edge, Stage, Upload};
use super::feed::edge;
use super::graph::{self, GraphError, accept, bytes};
use super::rules::hosted;
use super::video::look;
use super::wire::{self, Proof, Started, Wanted, accept_bytes, after_break, is_a_break};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::media::{self, Source};
use crate::outcome::{Failure, Reason};
use crate::post::Media;

/// Where videos for the feed go.
const VIDEO_HOST: &str = "graph-video.facebook.com";
/// An upload that breaks off so often in a row rests until a later run.
const BREAKS: u32 = 5;
/// What Facebook has not fetched for so long it does not fetch any more.
const FETCH_LIMIT: TimeDelta = TimeDelta::hours(1);
/// A video that Facebook forgets, or a file that changes, so often in a row makes no post.
const RESTARTS: u32 = 3;
/// The bytes that were sent are not those that Facebook expected; it says which it does.
const WRONG_OFFSET: i64 = 1_363_037;

/// A request to a feed video's edge.
pub(super) fn video_post(session: &Session<'_>, name: &str) -> RequestBuilder {
    let path = edge(session, name);
    session.api.request_at(Method::POST, VIDEO_HOST, &path)
}

fn medium(session: &Session<'_>) -> Result<Media, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let first = media.into_iter().next();
    first.ok_or_else(|| Failure::rejected("the post has no video any more"))
}

/// The file's size.
async fn size(session: &Session<'_>, medium: &Media) -> Result<u64, Failure> {
    let limit = session.api.limits.count("video_bytes");
    let source = media::open(medium, session.api.http, limit).await?;
    Ok(source.total)
}

/// Asks for an id for the video, and for a place for its bytes.
pub(super) async fn begin(session: &Session<'_>, edge: Edge) -> Result<Step, Failure> {
    start(session, edge, 0).await
}

/// Starts over: Facebook does not know the video any more, or the file is another one than that of which it has the
/// beginning. Nothing was published. `why` stands if that happens again and again.
pub(super) async fn restart(
    session: &Session<'_>,
    upload: &Upload,
    why: Reason,
) -> Result<Step, Failure> {
    if upload.restarts >= RESTARTS {
        return Err(Failure::Retry {
            after: None,
            reason: why,
        });
    }
    start(session, upload.edge, upload.restarts + 1).await
}

async fn start(session: &Session<'_>, edge: Edge, restarts: u32) -> Result<Step, Failure> {
    let medium = medium(session)?;
    let is_fetched = edge != Edge::Videos && hosted(&medium).is_some();
    let total = if is_fetched {
        0
    } else {
        size(session, &medium).await?
    };
    let request = match edge {
        Edge::Videos => {
            let start = json!({"upload_phase": "start", "file_size": total});
            video_post(session, edge.name()).json(&start)
        }
        Edge::Reels | Edge::Stories => {
            let path = super::feed::edge(session, edge.name());
            let request = session.api.request(Method::POST, &path);
            request.json(&json!({"upload_phase": "start"}))
        }
    };
    let reply = session.api.send(request, Effect::Prepares).await?;
    let started: Started = accept(&reply, Effect::Prepares)?;
    let upload = Upload {
        edge,
        video: wire::id(&started.video_id, &reply, Effect::Prepares)?,
        url: started.upload_url,
        session: started.upload_session_id,
        start: 0,
        end: 0,
        total,
        stage: Stage::Sending,
        tries: 0,
        restarts,
        looked_after_secs: 0,
        since: session.api.now,
    };
    let upload = match (edge, started.wanted) {
        (Edge::Videos, Some(wanted)) if upload.session.is_some() => moved(upload, wanted, &reply)?,
        (Edge::Reels | Edge::Stories, _) if upload.url.is_some() => upload,
        _ => return Err(unreadable(&reply, Effect::Prepares)),
    };
    Ok(upload.wait(Duration::ZERO))
}

/// Sends what is missing, or the next chunk of it.
pub(super) async fn go_on(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    match upload.edge {
        Edge::Videos => send_chunk(session, upload).await,
        Edge::Reels | Edge::Stories => send_stream(session, upload).await,
    }
}

/// The upload where Facebook says that it stands.
fn moved(upload: Upload, wanted: Wanted, reply: &Reply) -> Result<Upload, Failure> {
    let Wanted { start, end } = wanted;
    if start == end {
        return Ok(upload.at(Stage::Whole));
    }
    if start > end || end > upload.total {
        return Err(unreadable(reply, Effect::Prepares));
    }
    Ok(Upload {
        start,
        end,
        ..upload
    })
}

/// A break in the upload: it goes on in a moment, unless it breaks off again and again.
fn broken(upload: Upload, failure: Failure) -> Result<Step, Failure> {
    if !is_a_break(&failure) || upload.tries >= BREAKS {
        return Err(failure);
    }
    let tries = upload.tries + 1;
    Ok(Upload { tries, ..upload }.wait(after_break(tries)))
}

fn exchanged() -> Reason {
    let message = "the video file is not the one of which Facebook has the beginning";
    Reason::new("media_changed", message)
}

async fn send_chunk(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    let medium = medium(session)?;
    let range = upload.start..upload.end;
    let limit = session.api.limits.count("video_bytes");
    let source = match media::open_part(&medium, session.api.http, range, limit).await {
        Ok(source) if source.total == upload.total => source,
        Ok(_) => return restart(session, &upload, exchanged()).await,
        Err(Failure::Rejected { .. }) if size(session, &medium).await? != upload.total => {
            return restart(session, &upload, exchanged()).await;
        }
        Err(failure) => return Err(failure),
    };
    let request = video_post(session, upload.edge.name())
        .timeout(session.api.http.timeouts.for_bytes(source.length))
        .multipart(chunk(&upload, source));
    let reply = match session.api.send(request, Effect::Prepares).await {
        Ok(reply) => reply,
        Err(failure) => return broken(upload, failure),
    };
    let error = GraphError::of(&reply).filter(|_| !reply.status.is_success());
    if let Some(error) = error
        && error.subcode == Some(WRONG_OFFSET)
    {
        return corrected(upload, &error, &reply);
    }
    match accept(&reply, Effect::Prepares) {
        // No progress is a break, too: it must end some time.
        Ok(wanted @ Wanted { start, end }) if start > upload.start || start == end => {
            let upload = moved(upload, wanted, &reply)?;
            Ok(Upload { tries: 0, ..upload }.wait(Duration::ZERO))
        }
        Ok(_) => broken(upload, unreadable(&reply, Effect::Prepares)),
        Err(failure) => broken(upload, failure),
    }
}

/// Goes on with the bytes that Facebook asks for.
fn corrected(upload: Upload, error: &GraphError, reply: &Reply) -> Result<Step, Failure> {
    let failure = Failure::Retry {
        after: None,
        reason: error.reason("upload", format!("Facebook lost count: {}", error.words())),
    };
    let Some(wanted) = error.data::<Wanted>() else {
        return Err(failure);
    };
    let tries = upload.tries + 1;
    if tries > BREAKS {
        return Err(failure);
    }
    let upload = moved(upload, wanted, reply)?;
    Ok(Upload { tries, ..upload }.wait(Duration::ZERO))
}

fn chunk(upload: &Upload, source: Source) -> Form {
    let part = Part::stream_with_length(source.body, source.length).file_name("chunk");
    Form::new()
        .text("upload_phase", "transfer")
        .text(
            "upload_session_id",
            upload.session.clone().unwrap_or_default(),
        )
        .text("start_offset", upload.start.to_string())
        .part("video_file_chunk", part)
}

async fn send_stream(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    let url = upload.url.as_deref().unwrap_or_default();
    if !session.api.trusts(url, &[bytes::HOST], &["/video-upload/"]) {
        let message = "Facebook named an address for the upload that is not its own; the token was not sent there";
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new("bad_reply", message),
        });
    }
    let medium = medium(session)?;
    let token = session.api.token();
    let request = session
        .api
        .anonymous(Method::POST, url)
        .header(AUTHORIZATION, format!("OAuth {token}"))
        .timeout(session.api.http.timeouts.upload);
    // By the checkpoint: the bytes are sent if it was begun with them.
    let fetched = hosted(&medium).filter(|_| upload.total == 0);
    let request = match fetched {
        Some(address) => request.header("file_url", address),
        None => match missing(session, &upload, &medium).await? {
            Missing::Nothing => return Ok(whole(upload)),
            Missing::Everything => return restart(session, &upload, exchanged()).await,
            Missing::From(source) => request
                .timeout(session.api.http.timeouts.for_bytes(source.length))
                .header("offset", source.offset)
                .header("file_size", source.total)
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, source.length)
                .body(source.body),
        },
    };
    let sent = session.api.send(request, Effect::Prepares).await;
    match sent.and_then(|reply| accept_bytes(&reply)) {
        // It says yes before it has fetched the file.
        Ok(()) if fetched.is_some() => Ok(upload.at(Stage::Fetching).wait(Duration::ZERO)),
        Ok(()) => Ok(whole(upload)),
        Err(failure) => broken(upload, failure),
    }
}

/// Waits until Facebook has all of what it fetches.
pub(super) async fn fetched(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    let looked = look(session, &upload.video).await?;
    if let Proof::Broken(why) = looked.status.proof() {
        let message = format!("Facebook could not fetch the video: {why}");
        return broken(
            upload.at(Stage::Sending),
            Failure::Retry {
                after: None,
                reason: Reason::new("fetch", message),
            },
        );
    }
    if looked.status.is_whole() {
        return Ok(whole(upload));
    }
    if session.api.now - upload.since > FETCH_LIMIT {
        let message = "Facebook has not fetched the video for an hour";
        return restart(session, &upload, Reason::new("fetch", message)).await;
    }
    let (upload, after) = upload.look_again();
    Ok(upload.wait(after))
}

fn whole(upload: Upload) -> Step {
    Checkpoint::Video(upload.at(Stage::Whole)).next()
}

/// What Facebook does not have yet.
enum Missing {
    Nothing,
    From(Source),
    /// What it has is of another file.
    Everything,
}

async fn missing(
    session: &Session<'_>,
    upload: &Upload,
    medium: &Media,
) -> Result<Missing, Failure> {
    // Asked before the first byte, too: a run that was cut off can't have written down how far it came.
    let has = look(session, &upload.video).await?.status.received();
    if upload.total > 0 && has == upload.total {
        return Ok(Missing::Nothing);
    }
    let total = size(session, medium).await?;
    if total != upload.total || has > total {
        return Ok(Missing::Everything);
    }
    let limit = session.api.limits.count("video_bytes");
    let source = media::open_part(medium, session.api.http, has..total, limit).await?;
    Ok(Missing::From(source))
}

/// A path of a video.
pub(super) fn video_path(session: &Session<'_>, video: &str) -> String {
    graph::path(session, video)
}
