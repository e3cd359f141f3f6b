//! Where a post stands, as it outlives the run.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outcome::{Failure, Reason};
use crate::platform::Step;

/// What has been done for a post.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "snake_case")]
pub(super) enum Checkpoint {
    /// The app has joined the channel; the message was refused before and is to be sent again.
    Message,
    /// Files are on their way. Nobody sees them yet.
    Files(Files),
    /// The message with the files is live; its own id is not known yet.
    Shared(Shared),
    /// Nobody knows whether it is live: written by earlier versions alone.
    Doubt {
        #[serde(default)]
        subject: Value,
    },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Files {
    /// Those that are at Slack, in the order of the post's media.
    #[serde(default)]
    pub(super) stored: Vec<String>,
    /// The app has joined the channel.
    #[serde(default)]
    pub(super) joined: bool,
    /// Slack lost the files once; they are uploaded anew.
    #[serde(default)]
    pub(super) again: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shared {
    /// The first file's id.
    pub(super) file: String,
    /// The first file's own address, should the message's never be known.
    #[serde(default)]
    pub(super) permalink: Option<String>,
    /// How often the message was looked for.
    #[serde(default)]
    pub(super) looks: usize,
}

impl Checkpoint {
    /// Of what can't be read nobody knows how far it got.
    pub(super) fn read(value: &Value) -> Result<Self, Failure> {
        Self::deserialize(value).map_err(|error| Failure::Unconfirmed {
            reason: Reason::new(
                "bug",
                format!(
                    "the post's checkpoint can't be read ({error}); look for it in the channel"
                ),
            ),
        })
    }

    /// Goes on from here after that time.
    pub(super) fn wait(self, after: Duration) -> Step {
        Step::Wait {
            checkpoint: self.value(),
            after,
        }
    }

    pub(super) fn value(self) -> Value {
        serde_json::to_value(self).expect("a checkpoint is plain data")
    }
}
