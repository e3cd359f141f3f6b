//! What YouTube answers, and what that means.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::America::Los_Angeles;
use serde::Deserialize;

use crate::http::{Effect, Reply, by_status, unreadable};
use crate::outcome::{Failure, Reason, Scope};
use crate::text::one_line;

/// Limits by the second or minute come without a time to wait.
const SHORT_PAUSE: Duration = Duration::from_mins(1);
/// How long the platform's posts wait where the operator has to mend the Google project.
const APP_PAUSE: Duration = Duration::from_hours(1);
/// A channel's cap on uploads counts over a day.
const DAY: Duration = Duration::from_hours(24);
/// How much of Google's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;

/// What a session answers.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// The bytes are a video.
    Published(Video),
    /// It has so many bytes and waits for more.
    Stored(u64),
    /// There is no such session.
    Gone,
}

impl Progress {
    pub(super) fn of(reply: &Reply, effect: Effect, now: DateTime<Utc>) -> Result<Self, Failure> {
        match reply.status.as_u16() {
            200 | 201 => reply
                .json()
                .filter(Video::is_sound)
                .map(Self::Published)
                .ok_or_else(|| unreadable(reply, effect)),
            308 => stored(reply.header("range"))
                .map(Self::Stored)
                .ok_or_else(|| unreadable(reply, effect)),
            404 | 410 => Ok(Self::Gone),
            _ => Err(classify(reply, effect, now)),
        }
    }
}

/// `bytes=0-99` are 100 bytes; without the header there are none.
fn stored(range: Option<&str>) -> Option<u64> {
    let Some(range) = range else { return Some(0) };
    let (unit, last) = range.split_once("0-")?;
    let last: u64 = last.parse().ok()?;
    matches!(unit, "bytes=" | "bytes " | "")
        .then(|| last.checked_add(1))
        .flatten()
}

/// A video as the reply to its last bytes describes it.
#[derive(Debug, Default, Deserialize, PartialEq)]
pub(super) struct Video {
    pub(super) id: String,
    #[serde(default)]
    pub(super) snippet: Snippet,
    #[serde(default)]
    pub(super) status: Status,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Snippet {
    pub(super) channel_id: Option<String>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub(super) privacy_status: Option<String>,
}

impl Video {
    /// Whether the id is one: it becomes a part of addresses.
    pub(super) fn is_sound(&self) -> bool {
        let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=64).contains(&self.id.len()) && self.id.bytes().all(in_alphabet)
    }

    pub(super) fn permalink(&self) -> String {
        format!("https://www.youtube.com/watch?v={}", self.id)
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Complaint,
}

/// An error as all of Google's APIs write it.
#[derive(Deserialize)]
pub(super) struct Complaint {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<Detail>,
    /// The same in the newer form; not every entry has a reason.
    #[serde(default)]
    details: Vec<Detail>,
    /// Google's general word for it, where there is no detail.
    status: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// What the newer form says of a quota.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    /// `1/d/{project}`, `1/min/{project}/{user}`
    quota_unit: String,
    /// `VideoUploadsPerDayPerProject`
    quota_limit: String,
}

impl Metadata {
    fn names_a_day(&self) -> bool {
        self.quota_unit.contains("/d/") || self.quota_limit.contains("PerDay")
    }
}

impl Complaint {
    /// The error in a reply, if it has one that can be read.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        reply.json().map(|Envelope { error }| error)
    }

    /// The first reason, else the general word.
    pub(super) fn code(&self) -> Option<&str> {
        let details = self.errors.iter().chain(&self.details);
        let mut reasons = details.filter_map(|detail| detail.reason.as_deref());
        reasons.next().or(self.status.as_deref())
    }

    pub(super) fn words(&self) -> String {
        one_line(&self.message, WORDS_LIMIT)
    }

    /// Whether the limit that was met is that of a day. Of those by the minute Google speaks in the same code.
    fn names_a_day(&self) -> bool {
        self.details
            .iter()
            .any(|detail| detail.metadata.names_a_day())
            || self.message.to_lowercase().contains("per day")
    }

    /// Whether the token lacks the scope for what was asked.
    pub(super) fn lacks_scope(&self) -> bool {
        self.code().is_some_and(lacks_scope)
    }
}

/// Whether the token lacks the scope for what was asked.
pub(super) fn lacks_scope(code: &str) -> bool {
    matches!(
        code,
        "insufficientPermissions" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT" | "PERMISSION_DENIED"
    )
}

/// What an error reply means, by its first reason.
pub(super) fn classify(reply: &Reply, effect: Effect, now: DateTime<Utc>) -> Failure {
    let error = Complaint::of(reply);
    let Some((error, code)) = error
        .as_ref()
        .and_then(|error| Some((error, error.code()?)))
    else {
        return by_status(reply, effect);
    };
    if reply.status.is_server_error() {
        return by_status(reply, effect);
    }
    let words = error.words();
    let reason = |class, message: String| Reason::new(class, message).code(code);
    let limited = |after, scope| Failure::RateLimited {
        after,
        scope,
        reason: reason("rate_limited", format!("YouTube limits uploads: {words}")),
    };
    match code {
        "quotaExceeded" | "dailyLimitExceeded" => limited(until_quota_day(now), Scope::Platform),
        "rateLimitExceeded" | "RESOURCE_EXHAUSTED" | "RATE_LIMIT_EXCEEDED"
            if error.names_a_day() =>
        {
            limited(until_quota_day(now), Scope::Platform)
        }
        "userRateLimitExceeded" if error.names_a_day() => {
            limited(until_quota_day(now), Scope::Account)
        }
        "rateLimitExceeded" | "RESOURCE_EXHAUSTED" | "RATE_LIMIT_EXCEEDED" => {
            limited(reply.retry_after().unwrap_or(SHORT_PAUSE), Scope::Platform)
        }
        "userRateLimitExceeded" => limited(
            reply.retry_after().unwrap_or(SHORT_PAUSE),
            Scope::Account,
        ),
        "uploadLimitExceeded" => limited(DAY, Scope::Account),
        // Nothing is wrong with any account, so none is marked.
        "accessNotConfigured" | "SERVICE_DISABLED" => Failure::RateLimited {
            after: APP_PAUSE,
            scope: Scope::Platform,
            reason: reason(
                "app",
                "the YouTube Data API v3 is not enabled in the Google project of the tokens; enable it in its console"
                    .to_owned(),
            ),
        },
        _ => refusal_of_account(reply, code, &words)
            .unwrap_or_else(|| match reply.status.as_u16() {
                408 | 409 | 425 | 429 => by_status(reply, effect),
                _ => Failure::Rejected {
                    reason: reason("rejected", format!("YouTube refuses the video: {words}")),
                },
            }),
    }
}

/// The refusals that are about the token or its account, not about the post.
fn refusal_of_account(reply: &Reply, code: &str, words: &str) -> Option<Failure> {
    let reason = |message: &str| Reason::new("needs_login", message).code(code);
    let message = match code {
        "youtubeSignupRequired" | "authenticatedUserNotChannel" => {
            "the Google account has no YouTube channel; make one, then connect the account again"
        }
        "authenticatedUserAccountClosed" | "authenticatedUserAccountSuspended" => {
            "YouTube has closed or suspended the account"
        }
        "accountDelegationForbidden" | "forbidden" => {
            &format!("the token's owner may not upload to this channel: {words}")
        }
        _ if lacks_scope(code) => {
            "the token may not upload videos; connect the account again, and grant the scope youtube.upload"
        }
        // Not Google's words here: they may quote the token.
        _ if reply.status == 401 => {
            return Some(Failure::Unauthorized {
                reason: reason("YouTube does not accept the token; connect the account again"),
            });
        }
        _ => return None,
    };
    Some(Failure::NeedsLogin {
        reason: reason(message),
    })
}

/// Until the next midnight in Los Angeles, when the day of Google's quotas begins.
pub(super) fn until_quota_day(now: DateTime<Utc>) -> Duration {
    let there = now.with_timezone(&Los_Angeles);
    let midnight = (there.date_naive() + TimeDelta::days(1)).and_time(NaiveTime::MIN);
    midnight
        .and_local_timezone(Los_Angeles)
        .earliest()
        .and_then(|midnight| (midnight.to_utc() - now).to_std().ok())
        .unwrap_or(DAY)
}
