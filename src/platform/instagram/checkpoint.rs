//! The checkpoint: uploads that nobody sees yet.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::outcome::{Failure, Reason};
use crate::platform::Step;

/// Pictures are ready at once as a rule, so the first look comes soon; Meta's own pace is one look a minute.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const SLOWEST_LOOK: Duration = Duration::from_mins(1);

/// Where a post stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The container that is published; none while the items of a carousel are prepared.
    #[serde(default)]
    pub(super) id: Option<String>,
    /// When the first of the present containers was made.
    pub(super) created_at: DateTime<Utc>,
    /// Which try at the post's containers it is, from 1.
    pub(super) number: u32,
    /// How long the last look was waited for.
    #[serde(default)]
    pub(super) looked_after_secs: u64,
    /// The containers of a carousel's items, in order, as far as they are made.
    #[serde(default)]
    pub(super) items: Vec<Item>,
    /// The bytes that `id` still waits for.
    #[serde(default)]
    pub(super) upload: Option<Upload>,
    /// How often in a row Instagram did not know the container.
    #[serde(default)]
    pub(super) missed: u32,
}

/// The container of one medium.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(default)]
    pub(super) ready: bool,
    #[serde(default)]
    pub(super) upload: Option<Upload>,
}

/// A file that is to be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Upload {
    /// Where Instagram wants it.
    pub(super) uri: String,
    /// Its size when the container was made, if it was known: parts of another file must not follow.
    #[serde(default)]
    pub(super) bytes: Option<u64>,
}

impl Checkpoint {
    pub(super) fn new(now: DateTime<Utc>, number: u32) -> Self {
        Self {
            id: None,
            created_at: now,
            number,
            looked_after_secs: 0,
            items: Vec::new(),
            upload: None,
            missed: 0,
        }
    }

    pub(super) fn read(checkpoint: &Value) -> Result<Self, Failure> {
        Self::deserialize(checkpoint).map_err(|error| Failure::Unconfirmed {
            reason: Reason::new("bug", format!("the checkpoint can't be read: {error}")),
        })
    }

    /// Goes on at once, from a state in which nothing was looked for in vain.
    pub(super) fn go_on(self) -> Step {
        let fresh = Self {
            looked_after_secs: 0,
            missed: 0,
            ..self
        };
        fresh.wait(Duration::ZERO)
    }

    /// Looks again, after longer from look to look.
    pub(super) fn look_again(self) -> Step {
        let after = self.next_look();
        self.looked(after)
    }

    /// Looks again after that time.
    pub(super) fn looked(self, after: Duration) -> Step {
        Self {
            looked_after_secs: after.as_secs(),
            ..self
        }
        .wait(after)
    }

    fn next_look(&self) -> Duration {
        let after = Duration::from_secs(2 * self.looked_after_secs);
        after.clamp(FIRST_LOOK, SLOWEST_LOOK)
    }

    fn wait(self, after: Duration) -> Step {
        Step::Wait {
            checkpoint: json!(self),
            after,
        }
    }
}
