//! What LinkedIn's replies mean.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;

use super::WORDS_LIMIT;
use crate::http::{Effect, Reply, by_status};
use crate::outcome::{Failure, Reason, Scope};
use crate::text::one_line;

/// Nothing tells which limit was met: the day's, or a shorter one.
const RATE_LIMIT_PAUSE: Duration = Duration::from_hours(1);
/// Only the operator can end it, so there is no hurry to ask again.
const VERSION_PAUSE: Duration = Duration::from_hours(1);
/// A token is new for so long, and tried again after so long.
const NEW_TOKEN: TimeDelta = TimeDelta::minutes(10);
const NEW_TOKEN_PAUSE: Duration = Duration::from_secs(5);
/// `serviceErrorCode` of a token that was withdrawn.
const REVOKED: i64 = 65_601;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorReply {
    message: Option<String>,
    code: Option<String>,
    service_error_code: Option<i64>,
    error_details: Option<ErrorDetails>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorDetails {
    input_errors: Vec<InputError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputError {
    code: Option<String>,
    description: Option<String>,
}

impl ErrorReply {
    pub(super) fn of(reply: &Reply) -> Self {
        reply.json().unwrap_or_default()
    }

    fn field(&self) -> Option<&InputError> {
        self.error_details.as_ref()?.input_errors.first()
    }

    /// The most telling code: that of the first wrong field, else the reply's own.
    pub(super) fn code(&self) -> Option<&str> {
        let field = self.field().and_then(|error| error.code.as_deref());
        let filled = |code: &&str| !code.is_empty();
        field.filter(filled).or(self.code.as_deref().filter(filled))
    }

    /// The post that a duplicate's message names. It can name a person instead, which proves nothing.
    pub(super) fn duplicated(&self) -> Option<&str> {
        duplicated(self.message.as_deref()?)
    }

    /// Whether it says that the token was withdrawn.
    fn is_revoked(&self) -> bool {
        self.service_error_code == Some(REVOKED) || self.code() == Some("REVOKED_ACCESS_TOKEN")
    }

    /// Whether the message has this word, such as `Resource level throttle APPLICATION DAY limit for calls to this
    /// resource is reached`: there is no other sign of which limit it is.
    fn names(&self, word: &str) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        message
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| part == word)
    }

    /// Whether the token lacks a scope of pages: that comes as a wrong value of the author.
    fn lacks_organization_scope(&self) -> bool {
        let field = self.field().and_then(|error| error.description.as_deref());
        let texts = [self.message.as_deref(), field];
        texts
            .into_iter()
            .flatten()
            .any(|text| text.contains("Organization") && text.contains("permissions must be used"))
    }

    /// Whether LinkedIn is still at work on the post's media.
    pub(super) fn is_not_ready(&self, reply: &Reply) -> bool {
        reply.status.as_u16() == 400 && self.code() == Some("MEDIA_ASSET_WAITING_UPLOAD")
    }

    fn words(&self) -> String {
        let field = self.field().and_then(|error| error.description.as_deref());
        let words = field
            .filter(|text| !text.is_empty())
            .or(self.message.as_deref());
        one_line(words.unwrap_or("it does not say why"), WORDS_LIMIT)
    }

    fn reason(&self, class: &'static str, message: impl Into<String>, status: u16) -> Reason {
        let number = self.service_error_code.map(|code| code.to_string());
        let codes = [self.code().map(str::to_owned), number];
        let codes = codes.into_iter().flatten().collect::<Vec<_>>().join("/");
        let code = Some(codes).filter(|codes| !codes.is_empty());
        Reason::new(class, message).code(code.unwrap_or_else(|| status.to_string()))
    }
}

/// Whether the token is minutes old: for some seconds LinkedIn calls new ones withdrawn.
fn is_new(reply: &Reply, now: DateTime<Utc>) -> bool {
    let since = reply.asker.token_since;
    since.is_some_and(|since| now - since < NEW_TOKEN)
}

/// What a reply that is no success means, to a request of that effect.
pub(super) fn classify(reply: &Reply, effect: Effect, now: DateTime<Utc>) -> Failure {
    let status = reply.status.as_u16();
    let error = ErrorReply::of(reply);
    let reason = |class, message: String| error.reason(class, message, status);
    match status {
        401 if error.is_revoked() && is_new(reply, now) => Failure::Retry {
            after: Some(NEW_TOKEN_PAUSE),
            reason: reason(
                "new_token",
                "LinkedIn does not know the new token everywhere yet".to_owned(),
            ),
        },
        // The words could quote the token.
        401 if error.is_revoked() => {
            Failure::NeedsLogin {
                reason: reason(
                    "needs_login",
                    "the person withdrew LinkedIn's permission; connect the account again"
                        .to_owned(),
                ),
            }
        }
        401 => Failure::Unauthorized {
            reason: reason(
                "needs_login",
                "LinkedIn does not accept the token; connect the account again".to_owned(),
            ),
        },
        403 => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                format!(
                    "the token may not do that for this account (scope or page role): {}",
                    error.words()
                ),
            ),
        },
        422 => match error.duplicated() {
            Some(urn) => Failure::Rejected {
                reason: reason(
                    "duplicate",
                    format!("LinkedIn has the same content already, as {urn}; change the text"),
                ),
            },
            None => refused(&error, status),
        },
        426 => Failure::RateLimited {
            after: VERSION_PAUSE,
            scope: Scope::Platform,
            reason: reason(
                "version",
                "LinkedIn has retired this version of its API; set a newer one as `api_version` in [platforms.linkedin]"
                    .to_owned(),
            ),
        },
        429 => Failure::RateLimited {
            after: reply
                .retry_after()
                .unwrap_or_else(|| if error.names("DAY") { rest_of_day(now) } else { pause(now) }),
            scope: if error.names("APPLICATION") {
                Scope::Platform
            } else {
                Scope::Account
            },
            reason: reason(
                "rate_limited",
                format!("LinkedIn limits requests: {}", error.words()),
            ),
        },
        400 if error.lacks_organization_scope() => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                "the token lacks the scope w_organization_social for posts of a page; connect the account again, and \
                 grant it"
                    .to_owned(),
            ),
        },
        400 if error.is_not_ready(reply) => Failure::Retry {
            after: None,
            reason: reason(
                "not_ready",
                "LinkedIn is still at work on the media".to_owned(),
            ),
        },
        400 | 404 | 405 | 410..=417 => refused(&error, status),
        _ => by_status(reply, effect),
    }
}

fn refused(error: &ErrorReply, status: u16) -> Failure {
    let message = format!("LinkedIn refuses the post: {}", error.words());
    Failure::Rejected {
        reason: error.reason("rejected", message, status),
    }
}

/// An hour, or until midnight UTC if that comes first.
pub(super) fn pause(now: DateTime<Utc>) -> Duration {
    rest_of_day(now).min(RATE_LIMIT_PAUSE)
}

/// Until midnight UTC, when the limits by the day begin anew.
fn rest_of_day(now: DateTime<Utc>) -> Duration {
    let midnight = (now + TimeDelta::days(1)).date_naive();
    let left = midnight.and_time(NaiveTime::MIN).and_utc() - now;
    left.to_std().unwrap_or_default()
}

pub(super) fn duplicated(message: &str) -> Option<&str> {
    ["urn:li:share:", "urn:li:ugcPost:", "urn:li:activity:"]
        .into_iter()
        .find_map(|prefix| {
            let urn = &message[message.find(prefix)?..];
            let digits = urn[prefix.len()..]
                .bytes()
                .take_while(u8::is_ascii_digit)
                .count();
            (digits > 0).then(|| &urn[..prefix.len() + digits])
        })
}

/// The post that a reply names as just made. The body is empty; the id is in a header alone.
pub(super) fn made(reply: &Reply) -> Option<&str> {
    let urn = reply
        .header("x-restli-id")
        .or_else(|| reply.header("x-linkedin-id"))?;
    (reply.status.is_success() && is_post(urn)).then_some(urn)
}

/// Whether this names a post; it becomes a part of addresses.
pub(super) fn is_post(urn: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
    let named = urn.strip_prefix("urn:li:").unwrap_or_default();
    !named.is_empty() && named.chars().all(allowed)
}
