//! A video's own bytes, from where the last try stopped.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::checkpoint::Upload;
use super::content::Role;
use super::errors::{accept, classify, is_unknown};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::media::{self, Family, Source};
use crate::outcome::{Failure, Reason};
use crate::platform::graph;
use crate::platform::graph::bytes::{self, Refusal};
use crate::post::Media;

/// A connection that broke is made again soon, in the same run.
const SOON: Duration = Duration::from_secs(2);

/// What became of it.
pub(super) enum Sent {
    /// All of it is there.
    Whole,
    /// This container will not have it; another one may.
    Never(String),
}

/// Sends what Instagram does not have yet of the post's medium at `place` (from 0).
pub(super) async fn send(
    session: &Session<'_>,
    place: usize,
    container: &str,
    upload: &Upload,
) -> Result<Sent, Failure> {
    if !session
        .api
        .trusts(&upload.uri, &[bytes::HOST], &["/ig-api-upload/"])
    {
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new(
                "bad_reply",
                "Instagram names an address for the video that is not on its own hosts; the token is not sent there",
            ),
        });
    }
    let offset = match progress(session, container).await? {
        Progress::Bytes(offset) => offset,
        Progress::Ended(sent) => return Ok(sent),
    };
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let medium = media
        .get(place)
        .ok_or_else(|| Failure::rejected("the video is no longer part of the post"))?;
    let role = Role::of(&session.post.content, media.len(), Family::Video)?;
    let limit = session.api.limits.count(role.bytes_figure());
    let Some(source) = source(session, medium, upload, offset, limit).await? else {
        return Ok(Sent::Never("the file was exchanged meanwhile".to_owned()));
    };
    let request = session
        .api
        .anonymous(Method::POST, &upload.uri)
        .timeout(session.api.http.timeouts.for_bytes(source.length))
        .header(AUTHORIZATION, format!("OAuth {}", session.api.token()))
        .header("offset", source.offset)
        .header("file_size", source.total)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, source.length)
        .body(source.body);
    match session.api.send(request, Effect::Prepares).await {
        Ok(reply) => answer(&reply),
        Err(Failure::Retry {
            after: None,
            reason,
        }) => Err(Failure::Retry {
            after: Some(SOON),
            reason,
        }),
        Err(failure) => Err(failure),
    }
}

/// The bytes from there on; none if it is another file by now.
async fn source(
    session: &Session<'_>,
    medium: &Media,
    upload: &Upload,
    offset: u64,
    limit: u64,
) -> Result<Option<Source>, Failure> {
    let http = session.api.http;
    let whole = media::open(medium, http, limit).await?;
    if upload.bytes.is_some_and(|bytes| bytes != whole.total) || offset >= whole.total {
        return Ok(None);
    }
    if offset == 0 {
        return Ok(Some(whole));
    }
    let rest = media::open_part(medium, http, offset..whole.total, limit).await?;
    Ok((rest.total == whole.total).then_some(rest))
}

enum Progress {
    Bytes(u64),
    Ended(Sent),
}

#[derive(Deserialize)]
struct State {
    #[serde(default)]
    status_code: String,
    video_status: Option<VideoStatus>,
}

#[derive(Deserialize)]
struct VideoStatus {
    uploading_phase: Option<Phase>,
}

#[derive(Deserialize)]
struct Phase {
    #[serde(default)]
    status: String,
    bytes_transferred: Option<u64>,
    /// As Facebook's videos had it in earlier versions.
    bytes_transfered: Option<u64>,
}

/// Whether Instagram still waits for bytes of the file.
pub(super) async fn is_incomplete(session: &Session<'_>, container: &str) -> Result<bool, Failure> {
    let progress = progress(session, container).await?;
    Ok(matches!(progress, Progress::Bytes(_)))
}

/// How much of the file Instagram has.
async fn progress(session: &Session<'_>, container: &str) -> Result<Progress, Failure> {
    let request = session
        .api
        .request(Method::GET, &graph::api_path(&session.api, container))
        .query(&[("fields", "status_code,status,video_status")]);
    let reply = session.api.send(request, Effect::Reads).await?;
    let never = |why: &str| Ok(Progress::Ended(Sent::Never(why.to_owned())));
    if is_unknown(&reply) {
        return never("Instagram knows it no more");
    }
    let state: State = accept(&reply, Effect::Reads)?;
    match state.status_code.as_str() {
        "EXPIRED" => return never("it expired"),
        "ERROR" => return never("the upload failed"),
        "FINISHED" => return Ok(Progress::Ended(Sent::Whole)),
        _ => {}
    }
    let phase = state.video_status.and_then(|status| status.uploading_phase);
    Ok(match phase {
        Some(phase) if phase.status.starts_with("complete") => Progress::Ended(Sent::Whole),
        Some(phase) => {
            let bytes = phase.bytes_transferred.or(phase.bytes_transfered);
            Progress::Bytes(bytes.unwrap_or(0))
        }
        None => Progress::Bytes(0),
    })
}

#[derive(Deserialize)]
struct Success {
    success: bool,
}

pub(super) fn answer(reply: &Reply) -> Result<Sent, Failure> {
    if reply.status == StatusCode::UNAUTHORIZED {
        return Err(classify(reply, Effect::Prepares));
    }
    if let Some(refusal) = Refusal::of(reply) {
        let words = crate::text::one_line(&format!("{}: {}", refusal.kind, refusal.message), 300);
        // The next try asks how much has arrived.
        if refusal.passes() {
            return Err(Failure::Retry {
                after: Some(SOON),
                reason: Reason::new("upload", format!("Meta did not take the video: {words}")),
            });
        }
        return Ok(Sent::Never(format!("Meta did not take the video: {words}")));
    }
    if !reply.status.is_success() {
        return Err(classify(reply, Effect::Prepares));
    }
    match reply.json() {
        Some(Success { success: true }) => Ok(Sent::Whole),
        _ => Err(unreadable(reply, Effect::Prepares)),
    }
}
