//! What became of a post. An error here is a decision: each variant says what happens next.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::post::ClaimedPost;
use crate::schedule::{later, rested};
use crate::text::one_line;

/// Messages are one line of at most so many characters, without control characters: much of their text comes from
/// platforms, and it goes to terminals, logs and the database.
const MESSAGE_LIMIT: usize = 1000;

/// What went wrong: a class to count by, the platform's code, and words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// `timeout`, `connect`, `server_error`, `rate_limited`, `needs_login`, `rejected`, `bug` …
    pub class: &'static str,
    /// The platform's own code, where it gave one.
    pub code: Option<Code>,
    /// What happened and what to do about it, without secrets.
    pub message: String,
}

impl Reason {
    /// A reason without a platform's code.
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: None,
            message: one_line(&message.into(), MESSAGE_LIMIT),
        }
    }

    /// The same with a remark on what it leads to.
    #[must_use]
    pub fn but(mut self, remark: &str) -> Self {
        self.message = format!("{} ({remark})", self.message);
        self
    }

    /// The same with the platform's code.
    #[must_use]
    pub fn code(mut self, code: impl Into<Code>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Whether the platform gave this word as its code.
    pub fn is(&self, word: &str) -> bool {
        matches!(&self.code, Some(Code::Word(own)) if own == word)
    }
}

/// A platform's own code for what went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A word, or an HTTP status: `not_in_channel`, `quotaExceeded`, `503`.
    Word(String),
    /// Meta's numbers, and the id under which it traces the request.
    Numbers {
        /// What went wrong.
        code: Option<i64>,
        /// What exactly.
        subcode: Option<i64>,
        /// The id.
        trace: Option<String>,
    },
}

impl From<&str> for Code {
    fn from(word: &str) -> Self {
        Self::Word(word.to_owned())
    }
}

impl From<String> for Code {
    fn from(word: String) -> Self {
        Self::Word(word)
    }
}

/// `not_in_channel`, or `100/1609005 trace AbC`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, subcode, trace) = match self {
            Self::Word(word) => return f.write_str(word),
            Self::Numbers {
                code,
                subcode,
                trace,
            } => (code, subcode, trace),
        };
        let numbers = [code, subcode].into_iter().flatten();
        let numbers: Vec<String> = numbers.map(i64::to_string).collect();
        f.write_str(&numbers.join("/"))?;
        match trace {
            Some(trace) if numbers.is_empty() => write!(f, "trace {trace}"),
            Some(trace) => write!(f, " trace {trace}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Code {
    /// Changes what a platform wrote itself: it may quote a secret.
    pub(crate) fn reword(&mut self, mut change: impl FnMut(&mut String)) {
        match self {
            Self::Word(text) => change(text),
            Self::Numbers { trace, .. } => trace.iter_mut().for_each(change),
        }
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
    /// Nothing was published: the platform does not accept the token. It is refreshed once, where that is possible;
    /// else a person must connect the account again. Uses up no attempt.
    Unauthorized {
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
            | Self::Unauthorized { reason }
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The platform's id.
    pub id: String,
    /// Where people see it. One that can't be read never fails a post.
    pub permalink: Option<String>,
    /// What went wrong beside it (a permalink, a first comment).
    pub warnings: Vec<String>,
    /// The platform has had enough for a while.
    pub pause: Option<Pause>,
}

impl Published {
    /// A post of that id, seen there.
    pub fn at(id: impl Into<String>, permalink: Option<String>) -> Self {
        Self {
            id: id.into(),
            permalink,
            ..Self::default()
        }
    }

    /// The same with what went wrong beside it, if anything did.
    #[must_use]
    pub fn but<T>(mut self, what: &str, result: Result<T, Failure>) -> Self {
        if let Err(failure) = result {
            self.warnings
                .push(format!("{what}: {}", failure.reason().message));
        }
        self
    }
}

/// How long the others of an account, or of a platform, had better wait after a post that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// How long.
    pub after: Duration,
    /// Whom it concerns.
    pub scope: Scope,
    /// Why, for `accounts.blocked_reason`.
    pub why: String,
}

/// What a failure means for the other posts of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// They wait until a person has connected the account again.
    NeedsLogin,
    /// They (or those of the whole platform) wait until then.
    Until(DateTime<Utc>, Scope),
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
        /// What it means for the account.
        block: Option<Block>,
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
    /// The claimed post; what it says may be gone by now.
    pub post: ClaimedPost,
    /// What became of it.
    pub outcome: Outcome,
    /// Where an unfinished upload stands now.
    pub checkpoint: Option<Value>,
    /// How long it was at work, waits included; zero if it never started.
    pub took: Duration,
}

impl Outcome {
    /// What a failure means for the post, after this try. `delay` is the back-off, should it be tried again.
    pub fn of(failure: Failure, post: &ClaimedPost, now: DateTime<Utc>, delay: Duration) -> Self {
        match failure {
            Failure::Rejected { reason } => Self::Failed { reason },
            Failure::Unconfirmed { reason } => Self::Unconfirmed { reason },
            Failure::NeedsLogin { reason } | Failure::Unauthorized { reason } => Self::Retry {
                due_at: now,
                counts: false,
                block: Some(Block::NeedsLogin),
                reason,
            },
            Failure::RateLimited {
                after,
                scope,
                reason,
            } => {
                let until = rested(now, after);
                // Past its expiry the post comes back only to be dropped.
                Self::Retry {
                    due_at: until.min(post.expires_at),
                    counts: false,
                    block: Some(Block::Until(until, scope)),
                    reason,
                }
            }
            Failure::Retry { after, reason } => {
                let due_at = later(now, delay.max(after.unwrap_or_default()));
                if post.attempts >= post.max_attempts {
                    Self::Failed {
                        reason: reason
                            .but(&format!("it was the last of {} tries", post.max_attempts)),
                    }
                } else if due_at >= post.expires_at {
                    Self::Failed {
                        reason: reason.but("the post expires before the next try"),
                    }
                } else {
                    Self::Retry {
                        due_at,
                        counts: true,
                        block: None,
                        reason,
                    }
                }
            }
        }
    }

    /// One word for it, as the summary counts it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Published { .. } => "published",
            Self::Retry { .. } => "retry",
            Self::Failed { .. } => "failed",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Expired => "expired",
            Self::Waiting { .. } | Self::Released => "released",
        }
    }

    /// Why, if it went wrong.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Retry { reason, .. } | Self::Failed { reason } | Self::Unconfirmed { reason } => {
                Some(reason)
            }
            Self::Published { .. } | Self::Waiting { .. } | Self::Expired | Self::Released => None,
        }
    }

    /// The same, to be changed.
    pub fn reason_mut(&mut self) -> Option<&mut Reason> {
        match self {
            Self::Retry { reason, .. } | Self::Failed { reason } | Self::Unconfirmed { reason } => {
                Some(reason)
            }
            Self::Published { .. } | Self::Waiting { .. } | Self::Expired | Self::Released => None,
        }
    }
}

/// A post with its outcome as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The claimed post.
    pub post: &'a ClaimedPost,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Where an unfinished upload stands.
    pub checkpoint: Option<&'a Value>,
    /// How long it was at work.
    pub took: Duration,
}

impl Settled {
    /// The same, borrowed.
    pub fn verdict(&self) -> Verdict<'_> {
        Verdict {
            post: &self.post,
            outcome: &self.outcome,
            checkpoint: self.checkpoint.as_ref(),
            took: self.took,
        }
    }

    /// Whether the platform has, or may have, the post: what must not get lost if the database can't be reached.
    pub fn was_sent(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Published { .. } | Outcome::Unconfirmed { .. }
        )
    }
}

#[cfg(test)]
mod tests;
