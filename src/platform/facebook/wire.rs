//! Replies as values, and what Facebook's own hosts add to Meta's errors.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::graph;
use super::graph::bytes::Refusal;
use crate::http::{Effect, Reply, by_status, in_doubt, unreadable};
use crate::outcome::{Failure, Reason};
use crate::text::one_line;

/// How much of Facebook's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;
/// So long after the first break an upload goes on; twice as long after the next, and so on.
const FIRST_BREAK: Duration = Duration::from_secs(2);

/// What was made: a photo, a video, a comment.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) id: String,
}

/// A post that was made.
#[derive(Deserialize)]
pub(super) struct Post {
    pub(super) id: String,
    pub(super) permalink_url: Option<String>,
}

/// The answer to a published photo: its own id is not its post's.
#[derive(Deserialize)]
pub(super) struct PhotoPost {
    pub(super) id: String,
    pub(super) post_id: Option<String>,
}

/// The answer to the beginning of an upload.
#[derive(Deserialize)]
pub(super) struct Started {
    pub(super) video_id: String,
    pub(super) upload_url: Option<String>,
    pub(super) upload_session_id: Option<String>,
    #[serde(flatten)]
    pub(super) wanted: Option<Wanted>,
}

/// The bytes that Facebook wants next: from the first to before the last. None are wanted if both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Wanted {
    #[serde(rename = "start_offset", deserialize_with = "number")]
    pub(super) start: u64,
    #[serde(rename = "end_offset", deserialize_with = "number")]
    pub(super) end: u64,
}

/// The answer to the end of an upload.
#[derive(Deserialize)]
pub(super) struct Finished {
    pub(super) success: bool,
    pub(super) post_id: Option<String>,
}

/// A number that may be written as text.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => text.trim().parse().map_err(serde::de::Error::custom),
    }
}

/// What `?fields=status` of a video says.
#[derive(Debug, Deserialize)]
pub(super) struct Looked {
    pub(super) status: VideoStatus,
    pub(super) permalink_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VideoStatus {
    #[serde(rename = "video_status")]
    overall: String,
    uploading_phase: Phase,
    processing_phase: Phase,
    publishing_phase: Phase,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Phase {
    status: String,
    bytes_transferred: Option<u64>,
    /// The same in earlier versions, sic.
    bytes_transfered: Option<u64>,
    publish_status: String,
    error: Option<Trouble>,
    errors: Vec<Trouble>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Trouble {
    message: String,
}

/// What a video's status proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// People see it.
    Published,
    /// Facebook gave up on it; nobody sees it.
    Broken(String),
    /// It waits for being published.
    Untouched,
    /// Facebook has processed it, and waits for a person to publish it.
    Draft,
    /// None of these for sure.
    Unclear,
}

impl VideoStatus {
    /// How many bytes have arrived.
    pub(super) fn received(&self) -> u64 {
        let phase = &self.uploading_phase;
        phase
            .bytes_transferred
            .or(phase.bytes_transfered)
            .unwrap_or(0)
    }

    /// Whether it has all of the video.
    pub(super) fn is_whole(&self) -> bool {
        // `complete` in Meta's samples, `completed` in its text.
        self.uploading_phase.status.starts_with("complete") || self.overall == "upload_complete"
    }

    pub(super) fn proof(&self) -> Proof {
        match self.publishing_phase.publish_status.as_str() {
            "published" => return Proof::Published,
            "draft" if self.overall == "ready" => return Proof::Draft,
            // A video of the feed whose status says no more than that.
            "" if self.overall == "ready" => return Proof::Published,
            _ => {}
        }
        let phases = [
            &self.uploading_phase,
            &self.processing_phase,
            &self.publishing_phase,
        ];
        let is_broken = matches!(self.overall.as_str(), "error" | "expired" | "upload_failed");
        if is_broken || phases.iter().any(|phase| phase.status == "error") {
            let told = phases
                .iter()
                .flat_map(|phase| phase.error.iter().chain(&phase.errors))
                .map(|trouble| trouble.message.as_str())
                .find(|message| !message.is_empty());
            let words = told.unwrap_or("it does not say why");
            return Proof::Broken(one_line(words, WORDS_LIMIT));
        }
        let waits = matches!(
            self.overall.as_str(),
            "uploading" | "upload_complete" | "draft"
        );
        if waits || self.publishing_phase.publish_status == "draft" {
            return Proof::Untouched;
        }
        Proof::Unclear
    }
}

/// The id of something new. It goes into paths, so it must be one.
pub(super) fn id(text: &str, reply: &Reply, effect: Effect) -> Result<String, Failure> {
    if graph::is_node(text) {
        return Ok(text.to_owned());
    }
    Err(unreadable(reply, effect))
}

/// Whether a failed upload can go on where it stopped.
pub(super) fn is_a_break(failure: &Failure) -> bool {
    matches!(failure, Failure::Retry { after: None, .. })
}

/// How long to wait after so many breaks in a row.
pub(super) fn after_break(number: u32) -> Duration {
    FIRST_BREAK * 2_u32.saturating_pow(number.saturating_sub(1).min(5))
}

/// The yes of the host that takes bytes, or what its error means.
pub(super) fn accept_bytes(reply: &Reply) -> Result<(), Failure> {
    let effect = Effect::Prepares;
    if let Some(refusal) = Refusal::of(reply) {
        let words = one_line(&refusal.message, WORDS_LIMIT);
        let reason = Reason::new(
            "upload",
            format!("Facebook did not take the video: {words}"),
        );
        let reason = reason.code(refusal.kind.clone());
        return Err(if refusal.passes() {
            Failure::Retry {
                after: None,
                reason,
            }
        } else {
            Failure::Rejected { reason }
        });
    }
    if !reply.status.is_success() {
        return Err(match graph::GraphError::of(reply) {
            Some(_) => graph::classify(reply, effect),
            None => by_status(reply, effect),
        });
    }
    match reply.json() {
        Some(Finished { success: true, .. }) => Ok(()),
        Some(Finished { success: false, .. }) => {
            let reason = Reason::new(
                "upload",
                "Facebook did not take the video, and says no more",
            );
            Err(in_doubt(effect, reason))
        }
        None => Err(unreadable(reply, effect)),
    }
}
