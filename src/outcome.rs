//! What became of a post. An error here is a decision: each variant says what happens next.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

/// What went wrong: a class to count by, the platform's code, and words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// `timeout`, `connect`, `server_error`, `rate_limited`, `needs_login`, `rejected`, `bug` …
    pub class: &'static str,
    /// The platform's own code, subcode and trace id, where it gave them.
    pub code: Option<String>,
    /// What happened and what to do about it, without secrets.
    pub message: String,
}

impl Reason {
    /// A reason without a platform's code.
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: message.into(),
        }
    }

    /// The same with the platform's code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

/// Whom a rate limit or a block concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This account alone.
    Account,
    /// Every account of the platform (the app's own limit).
    Platform,
}

/// Why a step did not go on, as a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was published; a later try can succeed. `after` is the platform's own wish.
    Retry {
        /// Not before this has passed.
        after: Option<Duration>,
        /// Why.
        reason: Reason,
    },
    /// Nothing was published, and nothing will be for a while. Uses up no attempt.
    RateLimited {
        /// How long.
        after: Duration,
        /// Whom it concerns.
        scope: Scope,
        /// Why.
        reason: Reason,
    },
    /// Nothing was published; a person must connect the account again. Uses up no attempt.
    NeedsLogin {
        /// Why.
        reason: Reason,
    },
    /// Nothing was published, and nothing will be until a person changes the post.
    Rejected {
        /// Why.
        reason: Reason,
    },
    /// The platform may have published it. Never sent again blindly.
    Unconfirmed {
        /// Why.
        reason: Reason,
    },
}

impl Failure {
    /// Why.
    pub fn reason(&self) -> &Reason {
        match self {
            Self::Retry { reason, .. }
            | Self::RateLimited { reason, .. }
            | Self::NeedsLogin { reason }
            | Self::Rejected { reason }
            | Self::Unconfirmed { reason } => reason,
        }
    }

    /// A rejection in words that the author of the post understands.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::Rejected {
            reason: Reason::new("rejected", message),
        }
    }
}

/// A post that is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The platform's id.
    pub id: String,
    /// Where people see it. One that can't be read never fails a post.
    pub permalink: Option<String>,
    /// What went wrong beside it (a permalink, a first comment).
    pub warnings: Vec<String>,
}

/// What the run records of a post.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is live.
    Published {
        /// Id, permalink, warnings.
        post: Published,
        /// When the platform accepted it.
        at: DateTime<Utc>,
    },
    /// A later run tries again.
    Retry {
        /// Not before.
        due_at: DateTime<Utc>,
        /// Whether the try counts (a rate limit or a missing login does not).
        counts: bool,
        /// Why.
        reason: Reason,
    },
    /// Media are still being processed; a later run goes on from the checkpoint.
    Waiting {
        /// Not before.
        due_at: DateTime<Utc>,
    },
    /// Failed for good: rejected, or out of attempts.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// It may be live; nobody knows.
    Unconfirmed {
        /// Why.
        reason: Reason,
    },
    /// Too old; no platform was called.
    Expired,
    /// Not started: given back untouched, the attempt too.
    Released,
}

/// A post's outcome with what else the commit writes.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The claimed post.
    pub post: crate::post::ClaimedPost,
    /// What became of it.
    pub outcome: Outcome,
    /// Where an unfinished upload stands now.
    pub checkpoint: Option<Value>,
    /// How long it was at work, waits included; zero if it never started.
    pub took: Duration,
}
