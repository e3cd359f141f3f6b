//! Where a post stands between two steps.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Step;
use crate::outcome::{Failure, Reason};

/// Unpublished photos live for about 24 hours; older ones are uploaded anew.
const PHOTOS_LIVE: TimeDelta = TimeDelta::hours(23);
/// What is accepted is looked at after so long, then twice as long, and so on.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const SLOWEST_LOOK: Duration = Duration::from_mins(5);

/// What survives the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(super) enum Checkpoint {
    /// Photos that nobody sees yet.
    Photos(Photos),
    /// A video that has its id already.
    Video(Upload),
}

impl Checkpoint {
    /// One that can't be read may stand for something that was published.
    pub(super) fn read(value: &Value) -> Result<Self, Failure> {
        Self::deserialize(value).map_err(|error| Failure::Unconfirmed {
            reason: Reason::new("bug", format!("the checkpoint can't be read: {error}")),
        })
    }

    pub(super) fn wait(&self, after: Duration) -> Step {
        Step::Wait {
            checkpoint: json!(self),
            after,
        }
    }

    /// Goes on at once.
    pub(super) fn next(&self) -> Step {
        self.wait(Duration::ZERO)
    }
}

/// The photos of a post that are at Facebook, in the post's order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Photos {
    pub(super) ids: Vec<String>,
    /// When the first was sent.
    pub(super) since: DateTime<Utc>,
}

impl Photos {
    pub(super) fn new(now: DateTime<Utc>) -> Self {
        Self {
            ids: Vec::new(),
            since: now,
        }
    }

    /// Whether Facebook may have thrown them away.
    pub(super) fn are_too_old(&self, now: DateTime<Utc>) -> bool {
        now - self.since > PHOTOS_LIVE
    }
}

/// Where a video goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Edge {
    /// The page's feed.
    Videos,
    Reels,
    Stories,
}

impl Edge {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Videos => "videos",
            Self::Reels => "video_reels",
            Self::Stories => "video_stories",
        }
    }
}

/// How far a video has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Its bytes are being sent.
    #[default]
    Sending,
    /// Facebook was told where it is, and fetches it.
    Fetching,
    /// Facebook has it whole; the next step publishes it.
    #[serde(alias = "doubtful")]
    Whole,
    /// Facebook said that it publishes it.
    Accepted,
}

/// A video on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) edge: Edge,
    /// The video's id.
    pub(super) video: String,
    /// Where the bytes of a reel or a story go.
    #[serde(default)]
    pub(super) url: Option<String>,
    /// The session of a feed video's chunks.
    #[serde(default)]
    pub(super) session: Option<String>,
    /// The first byte that Facebook wants next.
    #[serde(default)]
    pub(super) start: u64,
    /// The byte after the last one of that chunk.
    #[serde(default)]
    pub(super) end: u64,
    /// The file's size; 0 if Facebook fetches it itself.
    #[serde(default)]
    pub(super) total: u64,
    #[serde(default)]
    pub(super) stage: Stage,
    /// How often in a row the upload broke off.
    #[serde(default)]
    pub(super) tries: u32,
    /// How often it was begun anew.
    #[serde(default)]
    pub(super) restarts: u32,
    /// How long the last look at it was waited for.
    #[serde(default)]
    pub(super) looked_after_secs: u64,
    /// When it was begun; since it was accepted, when that was.
    pub(super) since: DateTime<Utc>,
}

impl Upload {
    pub(super) fn wait(self, after: Duration) -> Step {
        Checkpoint::Video(self).wait(after)
    }

    /// The same at another stage, which begins without failures.
    pub(super) fn at(self, stage: Stage) -> Self {
        Self {
            stage,
            tries: 0,
            looked_after_secs: 0,
            ..self
        }
    }

    /// Waits longer from look to look.
    pub(super) fn look_again(mut self) -> (Self, Duration) {
        let after = Duration::from_secs(self.looked_after_secs.saturating_mul(2));
        let after = after.clamp(FIRST_LOOK, SLOWEST_LOOK);
        self.looked_after_secs = after.as_secs();
        (self, after)
    }

    /// A video that Facebook took as a whole, and said that it publishes.
    pub(super) fn accepted(edge: Edge, video: String, now: DateTime<Utc>) -> Self {
        Self {
            edge,
            video,
            url: None,
            session: None,
            start: 0,
            end: 0,
            total: 0,
            stage: Stage::Accepted,
            tries: 0,
            restarts: 0,
            looked_after_secs: 0,
            since: now,
        }
    }
}
