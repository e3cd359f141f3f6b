//! Media on their way to LinkedIn, one request a step: begun, sent (a video in parts), completed, and waited for.
//!
//! Whatever a step achieved is in the checkpoint, so an upload goes on where it stopped, in this run or in a later one.
//! Nobody sees an upload; it can always be begun again.

use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::progress::{Asset, AssetKind, Part, Progress, State, Upload, encoded};
use super::reply::{ErrorReply, classify};
use super::{UPLOADS, WORDS_LIMIT, WWW, rest};
use crate::http::{Effect, Session, unreadable};
use crate::media::{self, Source};
use crate::outcome::{Failure, Reason};
use crate::platform::Step;
use crate::post::Media;
use crate::review::named;
use crate::text::one_line;

mod answers;

use answers::{Begun, MediaState, Standing};

/// A member's token may not ask for the state of pictures. They are usually ready sooner.
const BLIND_PAUSE: Duration = Duration::from_secs(20);
/// Before a medium is looked at again: at first, and at most. Every look counts towards the day's requests.
const LOOK_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
/// Found waiting for bytes so often that were all sent, a medium is uploaded again.
const LOOKS_IN_VAIN: u32 = 10;
/// Before an upload is begun for the second, third and fourth time.
const RESTARTS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_mins(1),
    Duration::from_mins(5),
];
/// An address that ends so soon is not used any more.
const EXPIRY_MARGIN_MS: i64 = 60_000;
/// Before an upload that broke off goes on.
const BREATH: Duration = Duration::from_secs(2);

/// The first step: what there is to upload.
pub(super) async fn plan(session: &Session<'_>) -> Result<Step, Failure> {
    let media = media_of(session)?;
    let mut assets = Vec::with_capacity(media.len());
    for (index, medium) in media.iter().enumerate() {
        let kind = kind(session, index, medium).await?;
        assets.push(Asset::planned(kind, medium));
    }
    let progress = Progress::of(assets);
    let progress = if media.is_empty() {
        progress.sending(session.post)?
    } else {
        progress
    };
    Ok(progress.wait(Duration::ZERO))
}

pub(super) fn media_of(session: &Session<'_>) -> Result<Vec<Media>, Failure> {
    session.post.content.media().map_err(Failure::rejected)
}

async fn kind(session: &Session<'_>, index: usize, medium: &Media) -> Result<AssetKind, Failure> {
    let family = session.facts.get(index).and_then(|facts| facts.family);
    if let Some(family) = family {
        return Ok(AssetKind::of(family));
    }
    let mime = glimpse(session, medium).await?.mime;
    match mime.as_str() {
        _ if mime.starts_with("image/") => Ok(AssetKind::Image),
        _ if mime.starts_with("video/") => Ok(AssetKind::Video),
        "application/pdf" => Ok(AssetKind::Document),
        _ => Err(Failure::rejected(format!(
            "{}: its name and its bytes don't tell what it is; give its `type`",
            named(index + 1, medium)
        ))),
    }
}

/// The file's size and type, from its first byte.
async fn glimpse(session: &Session<'_>, medium: &Media) -> Result<Source, Failure> {
    media::open_part(medium, session.api.http, 0..1, u64::MAX).await
}

/// The next step of what is not ready yet: first everything is sent, then waited for.
pub(super) async fn next(session: &Session<'_>, progress: Progress) -> Result<Step, Failure> {
    let media = media_of(session)?;
    if !progress.is_of(&media) {
        return plan(session).await;
    }
    let unsent = |asset: &Asset| asset.urn().is_none();
    let unready = |asset: &Asset| matches!(asset.state, State::Processing { .. });
    if let Some(index) = progress.media.iter().position(unsent) {
        let work = Work {
            session,
            index,
            medium: &media[index],
        };
        return match progress.media[index].state.clone() {
            State::Uploading(upload) if upload.parts.is_empty() => {
                work.complete(progress, upload).await
            }
            State::Uploading(upload) => work.send(progress, upload).await,
            _ => work.begin(progress).await,
        };
    }
    if let Some(index) = progress.media.iter().position(unready) {
        let work = Work {
            session,
            index,
            medium: &media[index],
        };
        return work.look(progress).await;
    }
    Ok(progress.sending(session.post)?.wait(Duration::ZERO))
}

/// One medium's step.
struct Work<'a> {
    session: &'a Session<'a>,
    index: usize,
    medium: &'a Media,
}

impl Work<'_> {
    async fn begin(&self, mut progress: Progress) -> Result<Step, Failure> {
        let api = &self.session.api;
        let kind = progress.media[self.index].kind;
        let mut wanted = json!({"owner": api.account.external_id});
        let mut total = None;
        if kind == AssetKind::Video {
            let bytes = self.size().await?;
            wanted["fileSizeBytes"] = bytes.into();
            wanted["uploadCaptions"] = false.into();
            wanted["uploadThumbnail"] = false.into();
            total = Some(bytes);
        }
        let path = format!("/rest/{}?action=initializeUpload", kind.collection());
        let request = rest(api, Method::POST, &path);
        let request = request.json(&json!({"initializeUploadRequest": wanted}));
        let reply = api.send(request, Effect::Prepares).await?;
        if !reply.status.is_success() {
            return Err(self.named(classify(&reply, Effect::Prepares, api.now)));
        }
        let upload = reply
            .json()
            .and_then(|Begun { value }| value.upload(kind, total))
            .ok_or_else(|| unreadable(&reply, Effect::Prepares))?;
        // With the bytes goes the token, or at least what is not public yet.
        if let Some(part) = upload
            .parts
            .iter()
            .find(|part| !api.trusts(&part.url, &[WWW], &[UPLOADS]))
        {
            let message = format!(
                "LinkedIn wants the upload sent to another host than its own ({})",
                one_line(&part.url, WORDS_LIMIT)
            );
            return Err(Failure::Rejected {
                reason: Reason::new("untrusted", message),
            });
        }
        let asset = &mut progress.media[self.index];
        asset.begun += 1;
        asset.state = State::Uploading(upload);
        Ok(progress.wait(Duration::ZERO))
    }

    /// The file's size, which a later run may have to ask for.
    async fn size(&self) -> Result<u64, Failure> {
        let known = self
            .session
            .facts
            .get(self.index)
            .and_then(|facts| facts.bytes);
        match known {
            Some(bytes) => Ok(bytes),
            None => Ok(glimpse(self.session, self.medium).await?.total),
        }
    }

    /// Sends the next part, or the whole.
    async fn send(&self, mut progress: Progress, mut upload: Upload) -> Result<Step, Failure> {
        let api = &self.session.api;
        let now = api.now.timestamp_millis();
        if upload
            .expires_at
            .is_some_and(|end| end - EXPIRY_MARGIN_MS <= now)
        {
            return self.begin_again(progress);
        }
        let part = upload.parts.remove(0);
        let source = self.open(&part).await?;
        if upload.total.is_some_and(|total| total != source.total) {
            // The file was exchanged meanwhile; parts of two files make no video.
            return self.begin_again(progress);
        }
        let is_video = progress.media[self.index].kind == AssetKind::Video;
        let request = self.put(&part, source, is_video)?;
        let reply = api
            .send(request, Effect::Prepares)
            .await
            .map_err(|failure| self.named(soon(failure)))?;
        if !reply.status.is_success() {
            let status = reply.status.as_u16();
            let expired = ErrorReply::of(&reply).code() == Some("EXPIRED_UPLOAD_URL");
            // A part's address is its own permission: a refusal is about that, not about the account.
            if expired || status == 410 || is_video && matches!(status, 401 | 403) {
                return self.begin_again(progress);
            }
            let failure = classify(&reply, Effect::Prepares, api.now);
            return Err(self.named(soon(failure)));
        }
        if is_video {
            let etag = reply.header("etag").filter(|etag| !etag.is_empty());
            let etag = etag.ok_or_else(|| unreadable(&reply, Effect::Prepares))?;
            upload.etags.push(etag.to_owned());
        }
        progress.media[self.index].state = if is_video {
            State::Uploading(upload)
        } else {
            State::Processing { urn: upload.urn }
        };
        Ok(progress.wait(Duration::ZERO))
    }

    async fn open(&self, part: &Part) -> Result<Source, Failure> {
        let http = self.session.api.http;
        let opened = match part.bytes {
            Some((first, last)) => {
                let range = first..last.saturating_add(1);
                media::open_part(self.medium, http, range, u64::MAX).await
            }
            // It is streamed, and its size was reviewed: no limit here.
            None => media::open(self.medium, http, u64::MAX).await,
        };
        opened.map_err(|failure| self.named(failure))
    }

    /// The address again, for a checkpoint is no better than what wrote it.
    fn put(&self, part: &Part, source: Source, is_video: bool) -> Result<RequestBuilder, Failure> {
        let api = &self.session.api;
        if !api.trusts(&part.url, &[WWW], &[UPLOADS]) {
            return Err(Failure::Rejected {
                reason: Reason::new("untrusted", "the upload was begun on another host"),
            });
        }
        let request = api.anonymous(Method::PUT, &part.url);
        // A part's address is signed; pictures and documents want the token.
        let request = if is_video {
            request
        } else {
            request.bearer_auth(api.token())
        };
        Ok(request
            .timeout(api.http.timeouts.for_bytes(source.length))
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, source.length)
            .body(source.body))
    }

    /// Tells LinkedIn that a video's parts are all there.
    async fn complete(&self, mut progress: Progress, upload: Upload) -> Result<Step, Failure> {
        let api = &self.session.api;
        let request = rest(api, Method::POST, "/rest/videos?action=finalizeUpload").json(&json!({
            "finalizeUploadRequest": {
                "video": upload.urn, "uploadToken": upload.token, "uploadedPartIds": upload.etags,
            },
        }));
        let reply = api
            .send(request, Effect::Prepares)
            .await
            .map_err(|failure| self.named(soon(failure)))?;
        if !reply.status.is_success() {
            let failure = classify(&reply, Effect::Prepares, api.now);
            if !matches!(failure, Failure::Rejected { .. }) {
                return Err(self.named(soon(failure)));
            }
            // It may have been told before, in an attempt whose answer got lost.
            let standing = self.standing(AssetKind::Video, &upload.urn).await?;
            if !standing.is_complete() {
                return self.begin_again(progress).map_err(|_| self.named(failure));
            }
        }
        progress.media[self.index].state = State::Processing { urn: upload.urn };
        Ok(progress.wait(Duration::ZERO))
    }

    /// Asks whether LinkedIn is done with it.
    async fn look(&self, mut progress: Progress) -> Result<Step, Failure> {
        let asset = &progress.media[self.index];
        let (kind, urn) = (asset.kind, asset.urn().unwrap_or_default().to_owned());
        match self.standing(kind, &urn).await? {
            Standing::Ready => {
                progress.media[self.index].state = State::Ready { urn };
                Ok(progress.wait(Duration::ZERO))
            }
            Standing::Hidden => {
                for asset in &mut progress.media {
                    if let State::Processing { urn } = &asset.state {
                        asset.state = State::Ready { urn: urn.clone() };
                    }
                }
                Ok(progress.wait(BLIND_PAUSE))
            }
            Standing::Failed(why) => Err(self.named(Failure::rejected(format!(
                "LinkedIn could not process it: {why}"
            )))),
            Standing::Waiting if progress.looks >= LOOKS_IN_VAIN => {
                progress.looks = 0;
                self.begin_again(progress)
            }
            Standing::Waiting | Standing::Processing => {
                progress.looks += 1;
                Ok(progress.wait(look_pause(progress.looks)))
            }
        }
    }

    async fn standing(&self, kind: AssetKind, urn: &str) -> Result<Standing, Failure> {
        let api = &self.session.api;
        let path = format!("/rest/{}/{}", kind.collection(), encoded(urn));
        let reply = api
            .send(rest(api, Method::GET, &path), Effect::Reads)
            .await
            .map_err(|failure| self.named(soon(failure)))?;
        match reply.status.as_u16() {
            403 => return Ok(Standing::Hidden),
            // It was announced; not all of LinkedIn knows yet.
            404 => return Ok(Standing::Waiting),
            _ => {}
        }
        if !reply.status.is_success() {
            let failure = classify(&reply, Effect::Reads, api.now);
            return Err(self.named(soon(failure)));
        }
        let state: MediaState = reply
            .json()
            .ok_or_else(|| unreadable(&reply, Effect::Reads))?;
        Ok(Standing::of(state))
    }

    /// Forgets the upload, to begin another.
    fn begin_again(&self, mut progress: Progress) -> Result<Step, Failure> {
        let asset = &mut progress.media[self.index];
        let before = usize::try_from(asset.begun).unwrap_or(usize::MAX);
        let Some(after) = RESTARTS.get(before.saturating_sub(1)) else {
            return Err(self.named(Failure::Retry {
                after: None,
                reason: Reason::new(
                    "upload",
                    format!("LinkedIn has refused {before} uploads of it"),
                ),
            }));
        };
        asset.state = State::Planned;
        Ok(progress.wait(*after))
    }

    /// The same failure, saying which medium it is about.
    fn named(&self, failure: Failure) -> Failure {
        let what = named(self.index + 1, self.medium);
        let told = |reason: Reason| Reason {
            message: Reason::new(reason.class, format!("{what}: {}", reason.message)).message,
            ..reason
        };
        match failure {
            Failure::Retry { after, reason } => Failure::Retry {
                after,
                reason: told(reason),
            },
            Failure::Rejected { reason } => Failure::Rejected {
                reason: told(reason),
            },
            // These are about the account.
            other => other,
        }
    }
}

/// What passes is waited out within the run.
fn soon(failure: Failure) -> Failure {
    match failure {
        Failure::Retry {
            after: None,
            reason,
        } => Failure::Retry {
            after: Some(BREATH),
            reason,
        },
        other => other,
    }
}

pub(super) fn look_pause(looks: u32) -> Duration {
    let doubled = LOOK_PAUSES.0 * 2_u32.pow(looks.clamp(1, 10) - 1);
    doubled.min(LOOK_PAUSES.1)
}
