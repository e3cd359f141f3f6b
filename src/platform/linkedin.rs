//! LinkedIn: <https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api>
//!
//! - **Version**: header `LinkedIn-Version`, 202609 unless configured. Each lives about a year; then LinkedIn answers
//!   426 to everything until the setting changes.
//! - **Auth**: bearer, `w_member_social` for people, `w_organization_social` for organizations; 60 days.
//! - **Limits** (2026-09): text 3,000 characters, title of a link 400; posts a day 150 for a member and 100,000 for an
//!   app. No header tells when a limit ends; daily ones end at midnight UTC.
//! - **Idempotency**: none, but identical content is refused for a while with 422, naming the post that exists.
//! - **Look-up**: `GET /rest/posts?q=author` for organizations; none for members.
//! - **Doubts**: whether escapes count towards the limit is not documented; the text is counted without them.
//! - The account's `external_id` is its URN.
//!
//! Text and links so far. LinkedIn does not read a link: its title is the option `title`, else the first line of the
//! body.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Effect, Reply, Session, by_status, one_line, shortened, unreadable};
use crate::limits::{Figure, Quota};
use crate::outcome::{Failure, Published, Reason, Scope};
use crate::post::{ClaimedPost, Content, Kind};
use crate::review::Review;

/// The latest that clients are seen to use (2026-10).
const VERSION: &str = "202609";
/// Posts API, `content.article` (2026-09).
const TITLE_LIMIT: usize = 400;
/// Markup to LinkedIn's "little text"; one that is not escaped can silently cut the text off.
const RESERVED: &[char] = &[
    '\\', '|', '{', '}', '@', '[', ']', '(', ')', '<', '>', '#', '*', '_', '~',
];
/// Nothing tells which limit was met: the day's, or a shorter one.
const RATE_LIMIT_PAUSE: TimeDelta = TimeDelta::hours(1);
/// Only the operator can end it, so there is no hurry to ask again.
const VERSION_PAUSE: Duration = Duration::from_hours(1);
/// How much of LinkedIn's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;

/// What the documentation says.
const FIGURES: &[Figure] = &[
    Figure {
        name: "commentary_chars",
        value: 3_000.0,
        as_of: "2026-09",
        source: "help page; the API reference names none",
    },
    Figure {
        name: "title_chars",
        value: 400.0,
        as_of: "2026-09",
        source: "Posts API, content.article",
    },
];

/// The LinkedIn client.
#[derive(Debug)]
pub struct LinkedIn;

impl Platform for LinkedIn {
    fn name(&self) -> &'static str {
        "linkedin"
    }

    fn title(&self) -> &'static str {
        "LinkedIn"
    }

    fn cap(&self) -> usize {
        4
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://api.linkedin.com"
    }

    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[("title", "the title of a link")]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn validate(&self, review: &mut Review<'_>) {
        let content = review.content;
        if content.kind != Kind::Post {
            review.problem("stories, reels and replies on LinkedIn are not supported");
        }
        if content.body.trim().is_empty() {
            review.problem("a LinkedIn post needs a body, with a link too");
        }
        review.characters("the body", &content.body, "commentary_chars");
        review.characters(
            "the link's title",
            content.option("title").unwrap_or(""),
            "title_chars",
        );
        if !content.media.is_empty() {
            review.problem(
                "pictures, videos and documents on LinkedIn are not supported yet; share a link",
            );
        }
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        let person = external_id
            .strip_prefix("urn:li:person:")
            .is_some_and(|id| {
                let mut bytes = id.bytes();
                !id.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        let organization = external_id
            .strip_prefix("urn:li:organization:")
            .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()));
        if person || organization {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not a LinkedIn URN (urn:li:person:… or urn:li:organization:…)"
        ))
    }

    fn validate_settings(&self, _settings: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            let request = session
                .api
                .request(Method::POST, "/rest/posts")
                .header("LinkedIn-Version", session.api.version.unwrap_or(VERSION))
                .header("X-Restli-Protocol-Version", "2.0.0")
                .json(&share(session.post));
            let reply = session.send(request, Effect::Publishes).await?;
            accept(&reply, session.api.now).map(Step::Done)
        }
        .boxed_local()
    }

    fn can_refresh(&self, _api: &Api<'_>) -> bool {
        false
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn refresh<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        async move { Err(Failure::rejected("LinkedIn tokens are not refreshed")) }.boxed_local()
    }

    fn check<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        async move { Ok(Standing::default()) }.boxed_local()
    }
}

fn share(post: &ClaimedPost) -> Value {
    let mut share = json!({
        "author": post.account.external_id,
        "commentary": escape(&post.content.body),
        "visibility": "PUBLIC",
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
    });
    if let Some(link) = &post.content.link {
        share["content"] = json!({"article": {"source": link, "title": title(&post.content)}});
    }
    share
}

/// Text as LinkedIn's "little text" wants it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if RESERVED.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// The title of a post's link.
fn title(content: &Content) -> String {
    let first_line = || content.body.lines().find(|line| !line.trim().is_empty());
    let title = content.option("title").or_else(first_line).unwrap_or("");
    shortened(title, TITLE_LIMIT)
}

/// The post that the reply reports, or what its error means.
fn accept(reply: &Reply, now: DateTime<Utc>) -> Result<Published, Failure> {
    if !reply.status.is_success() {
        return Err(classify(reply, now));
    }
    // The body is empty; the id is in a header alone.
    let urn = reply
        .header("x-restli-id")
        .or_else(|| reply.header("x-linkedin-id"))
        .ok_or_else(|| unreadable(reply, Effect::Publishes))?;
    Ok(Published {
        id: urn.to_owned(),
        permalink: Some(format!("https://www.linkedin.com/feed/update/{urn}/")),
        warnings: Vec::new(),
        pause: None,
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorReply {
    message: String,
    code: Option<String>,
    service_error_code: Option<i64>,
    error_details: ErrorDetails,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorDetails {
    input_errors: Vec<InputError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct InputError {
    code: String,
    description: String,
}

impl ErrorReply {
    /// The most telling code: that of the first wrong field, else the reply's own.
    fn code(&self) -> Option<&str> {
        let field = self.error_details.input_errors.first();
        field
            .map(|error| error.code.as_str())
            .filter(|code| !code.is_empty())
            .or(self.code.as_deref())
    }

    fn words(&self) -> String {
        let field = self.error_details.input_errors.first();
        let words = field
            .map(|error| error.description.as_str())
            .filter(|text| !text.is_empty());
        one_line(words.unwrap_or(&self.message), WORDS_LIMIT)
    }

    fn reason(&self, class: &'static str, message: impl Into<String>, status: u16) -> Reason {
        let number = self.service_error_code.map(|code| code.to_string());
        let codes = [self.code().map(str::to_owned), number];
        let codes = codes.into_iter().flatten().collect::<Vec<_>>().join("/");
        let code = Some(codes).filter(|codes| !codes.is_empty());
        Reason::new(class, message).code(code.unwrap_or_else(|| status.to_string()))
    }
}

/// What an error reply to a publishing request means.
fn classify(reply: &Reply, now: DateTime<Utc>) -> Failure {
    let status = reply.status.as_u16();
    let error: ErrorReply = reply.json().unwrap_or_default();
    let reason = |class, message: String| error.reason(class, message, status);
    match status {
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
                    "the token may not post for this account (scope or page role): {}",
                    error.words()
                ),
            ),
        },
        422 => match duplicated(&error.message) {
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
                "LinkedIn has retired this version of its API; configure a newer one".to_owned(),
            ),
        },
        429 => Failure::RateLimited {
            after: reply.retry_after().unwrap_or_else(|| pause(now)),
            scope: Scope::Account,
            reason: reason(
                "rate_limited",
                format!("LinkedIn limits posts: {}", error.words()),
            ),
        },
        400 if error.code() == Some("MEDIA_ASSET_WAITING_UPLOAD") => Failure::Retry {
            after: None,
            reason: reason(
                "not_ready",
                "LinkedIn is still at work on the media".to_owned(),
            ),
        },
        400 | 404 | 405 | 410..=417 => refused(&error, status),
        _ => by_status(reply, Effect::Publishes),
    }
}

fn refused(error: &ErrorReply, status: u16) -> Failure {
    let message = format!("LinkedIn refuses the post: {}", error.words());
    Failure::Rejected {
        reason: error.reason("rejected", message, status),
    }
}

/// An hour, or until midnight UTC if that comes first.
fn pause(now: DateTime<Utc>) -> Duration {
    let midnight = (now + TimeDelta::days(1)).date_naive();
    let left = midnight.and_time(NaiveTime::MIN).and_utc() - now;
    left.min(RATE_LIMIT_PAUSE).to_std().unwrap_or_default()
}

/// The post that a duplicate's message names. It can name a person instead, which proves nothing.
fn duplicated(message: &str) -> Option<&str> {
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

#[cfg(test)]
mod tests;
