//! Where a post stands: the checkpoint.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::share::share;
use crate::media::Family;
use crate::outcome::{Failure, Reason};
use crate::platform::Step;
use crate::post::{ClaimedPost, Media};

/// What a URN keeps in a path; its colons are encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) stage: Stage,
    /// One for each of the post's media, in their order.
    #[serde(default)]
    pub(super) media: Vec<Asset>,
    /// How often LinkedIn was found at work on them.
    #[serde(default)]
    pub(super) looks: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum Stage {
    /// Media are uploaded or processed; nothing was sent.
    Preparing,
    /// Everything is there: the next step sends the post, and whether it did is not known of one that ended there.
    #[serde(alias = "doubt")]
    Sending {
        /// The fingerprint of what is sent: nothing else is ever sent after it.
        #[serde(default)]
        sent: String,
    },
    /// It was sent, and the next step sends the same once more: LinkedIn takes no second one, and names the first.
    Again {
        /// As above.
        sent: String,
    },
}

/// A medium on its way to LinkedIn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asset {
    pub(super) kind: AssetKind,
    /// The fingerprint of where the file is: another one belongs to another medium.
    #[serde(default)]
    place: String,
    /// How often its upload was begun.
    #[serde(default)]
    pub(super) begun: u32,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AssetKind {
    Image,
    Video,
    Document,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub(super) enum State {
    Planned,
    Uploading(Upload),
    /// LinkedIn has all of it.
    Processing {
        urn: String,
    },
    /// It can be posted, as far as LinkedIn tells.
    Ready {
        urn: String,
    },
}

/// An upload that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) urn: String,
    /// Handed back when a video is complete; often empty.
    #[serde(default)]
    pub(super) token: String,
    /// The size of the file for which it was begun, where LinkedIn was told.
    #[serde(default)]
    pub(super) total: Option<u64>,
    /// When its addresses end, in Unix milliseconds.
    #[serde(default)]
    pub(super) expires_at: Option<i64>,
    /// What is still to be sent.
    #[serde(default)]
    pub(super) parts: Vec<Part>,
    /// What LinkedIn called the parts of a video that it has, in their order.
    #[serde(default)]
    pub(super) etags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) url: String,
    /// Its first and its last byte; `None`: it is the whole file.
    #[serde(default)]
    pub(super) bytes: Option<(u64, u64)>,
}

impl Progress {
    pub(super) fn of(media: Vec<Asset>) -> Self {
        Self {
            stage: Stage::Preparing,
            media,
            looks: 0,
        }
    }

    /// The same with everything there, to be sent next.
    pub(super) fn sending(mut self, post: &ClaimedPost) -> Result<Self, Failure> {
        let sent = fingerprint(share(post, &self.media)?.to_string().as_bytes());
        self.stage = Stage::Sending { sent };
        Ok(self)
    }

    /// `None`: nothing has begun, or nothing that can be read has begun and surely nothing was sent.
    pub(super) fn read(checkpoint: Option<&Value>) -> Result<Option<Self>, Failure> {
        let Some(checkpoint) = checkpoint else {
            return Ok(None);
        };
        match Self::deserialize(checkpoint) {
            Ok(progress) => Ok(Some(progress)),
            Err(_) if checkpoint["stage"]["is"] == "preparing" => Ok(None),
            Err(error) => Err(Failure::Unconfirmed {
                reason: Reason::new(
                    "bug",
                    format!(
                        "the checkpoint can't be read ({error}); look at LinkedIn before the post is sent again"
                    ),
                ),
            }),
        }
    }

    /// Whether these are the media that it tells of. Somebody may have changed the post since.
    pub(super) fn is_of(&self, media: &[Media]) -> bool {
        self.media.len() == media.len()
            && self
                .media
                .iter()
                .zip(media)
                .all(|(asset, medium)| asset.place == fingerprint(medium.location().as_bytes()))
    }

    /// The same with media that LinkedIn turned out to be at work on still.
    pub(super) fn unready(&self) -> Self {
        let mut progress = self.clone();
        for asset in &mut progress.media {
            if let Some(urn) = asset.urn().map(str::to_owned) {
                asset.state = State::Processing { urn };
            }
        }
        progress.stage = Stage::Preparing;
        progress.looks += 1;
        progress
    }

    /// The same, to be sent as for the first time: nothing of it was accepted.
    pub(super) fn unsent(&self) -> Self {
        let mut progress = self.clone();
        if let Stage::Again { sent } = progress.stage {
            progress.stage = Stage::Sending { sent };
        }
        progress
    }

    pub(super) fn wait(&self, after: Duration) -> Step {
        Step::Wait {
            checkpoint: json!(self),
            after,
        }
    }
}

impl Asset {
    pub(super) fn planned(kind: AssetKind, medium: &Media) -> Self {
        Self {
            kind,
            place: fingerprint(medium.location().as_bytes()),
            begun: 0,
            state: State::Planned,
        }
    }

    /// LinkedIn's name for it, once it has all of it.
    pub(super) fn urn(&self) -> Option<&str> {
        match &self.state {
            State::Planned | State::Uploading(_) => None,
            State::Processing { urn } | State::Ready { urn } => Some(urn),
        }
    }
}

impl AssetKind {
    pub(super) fn of(family: Family) -> Self {
        match family {
            Family::Image => Self::Image,
            Family::Video => Self::Video,
            Family::Document => Self::Document,
        }
    }

    pub(super) fn collection(self) -> &'static str {
        match self {
            Self::Image => "images",
            Self::Video => "videos",
            Self::Document => "documents",
        }
    }

    pub(super) fn urn_start(self) -> &'static str {
        match self {
            Self::Image => "urn:li:image:",
            Self::Video => "urn:li:video:",
            Self::Document => "urn:li:document:",
        }
    }
}

/// Enough of a hash to tell a change.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let mut hash = format!("{:x}", Sha256::digest(bytes));
    hash.truncate(16);
    hash
}

/// A URN as a segment of a path.
pub(super) fn encoded(urn: &str) -> String {
    utf8_percent_encode(urn, PLAIN).to_string()
}
