//! LinkedIn: <https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api>
//!
//! - **Version**: header `LinkedIn-Version`, 202609 unless configured. Each lives about a year; then LinkedIn answers
//!   426 to everything until the setting changes.
//! - **Auth**: bearer, `w_member_social` for people, `w_organization_social` for organizations (with a role on the
//!   page); first comments take `w_member_social_feed` or `w_organization_social_feed`, too. 60
//!   days. Only approved applications get refresh tokens, which live for a year; refreshing does not prolong that.
//! - **Limits** (2026-09): in `FIGURES`. Posts a day 150 for a member and 100,000 for an app, and what leads to a post
//!   counts, too: a picture takes two requests. No header tells when a limit ends; daily ones end at midnight UTC.
//! - **Idempotency**: none, but identical content is refused for a while with 422, naming the post that exists. So a
//!   post that was sent and not answered is sent once more, unchanged and within minutes: either LinkedIn names the
//!   first one, or it had not got it. Media are uploaded before, and their URNs kept, so that nothing differs.
//! - **Look-up**: `GET /rest/posts?q=author` for organizations with `r_organization_social`; none for members, whose
//!   scope for it is closed. A post is known by its text and its link or media, and by the time it was made.
//! - **Doubts**: whether escapes count towards the text's limit is not documented; it is counted without them. Nor is
//!   how long identical content is refused. A video's least and greatest size are read as 76,800 and 500,000,000
//!   bytes. A GIF's frames (at most 250) and a document's pages (at most 300) are left to LinkedIn, and so is the size
//!   of a picture's file, for which no limit is published. Whether a document's state can be asked for with a member's
//!   token is not known; a refusal counts as "wait a little".
//! - The account's `external_id` is its URN: `urn:li:person:…` or `urn:li:organization:…`.
//!
//! | kind | content |
//! |---|---|
//! | text | the body |
//! | link | LinkedIn does not read it: its title is the option `title`, else the first line of the body; a `description`; with `thumbnail` the post's only picture |
//! | pictures | 1 to 20 JPG, PNG or GIF with descriptions (`alt`) |
//! | video | one MP4, with the option `title` |
//! | document | one PDF, PPT(X) or DOC(X); its title is the option `title`, else the file's name |
//!
//! Options: `title`, `description`, `thumbnail`, `visibility`, `first_comment`. Setting: `visibility`.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value};

use super::{Found, Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Session};
use crate::limits::{Figure, Per, Quota};
use crate::outcome::Failure;
use crate::review::Review;

mod account;
mod little;
mod lookup;
mod progress;
mod reply;
mod rules;
mod send;
mod share;
mod upload;

use progress::{Progress, Stage};

/// The latest that clients are seen to use (2026-10).
const VERSION: &str = "202609";
/// Where its addresses for uploads and tokens are.
const WWW: &str = "www.linkedin.com";
/// Below which path it takes uploads.
const UPLOADS: &str = "/dms-uploads/";
/// How much of LinkedIn's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;

const fn figure(name: &'static str, value: f64, source: &'static str) -> Figure {
    Figure {
        name,
        value,
        as_of: "2026-09",
        source,
    }
}

/// What the documentation says.
const FIGURES: &[Figure] = &[
    figure(
        "commentary_chars",
        3_000.0,
        "help page; the API reference names none",
    ),
    figure("title_chars", 400.0, "Posts API, content.article"),
    figure(
        "comment_chars",
        1_250.0,
        "reported by clients; the API reference names none",
    ),
    figure("alt_chars", 4_086.0, "Posts API, altText"),
    figure("images", 20.0, "MultiImage API"),
    figure(
        "image_pixels",
        36_152_319.0,
        "Images API: fewer than 36,152,320",
    ),
    figure("video_bytes_min", 76_800.0, "Videos API: 75 KB"),
    figure("video_bytes", 500_000_000.0, "Videos API: 500 MB"),
    figure("video_seconds_min", 3.0, "Videos API"),
    figure("video_seconds", 1_800.0, "Videos API"),
    figure("document_bytes", 100_000_000.0, "Documents API: 100 MB"),
    figure(
        "posts_per_day",
        150.0,
        "Share on LinkedIn: requests of a member a day",
    ),
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
        &[Quota {
            figure: "posts_per_day",
            per: Per::Account,
            window: "day",
        }]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("title", "the title of a link, a video or a document"),
            ("description", "the text below the title of a link"),
            (
                "thumbnail",
                "true: the post's picture is shown as that of its link",
            ),
            (
                "visibility",
                "PUBLIC (default), LOGGED_IN, or CONNECTIONS of a person",
            ),
            ("first_comment", "a comment by the author below the post"),
        ]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "visibility",
            "the visibility of posts that name none: PUBLIC, LOGGED_IN or CONNECTIONS",
        )]
    }

    fn validate(&self, review: &mut Review<'_>) {
        rules::check(review);
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

    fn validate_settings(&self, settings: &Map<String, Value>) -> Vec<String> {
        rules::settings(settings)
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            let Some(progress) = Progress::read(checkpoint)? else {
                return upload::plan(session).await;
            };
            match &progress.stage {
                Stage::Preparing => upload::next(session, progress).await,
                Stage::Sending { sent } => send::send(session, &progress, sent).await,
                Stage::Again { sent } => send::again(session, &progress, sent).await,
            }
        }
        .boxed_local()
    }

    fn look_up<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Found, Failure>> {
        lookup::look(session, checkpoint).boxed_local()
    }

    fn lag(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn can_refresh(&self, api: &Api<'_>) -> bool {
        account::can_refresh(api)
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn refresh<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        account::refresh(api).boxed_local()
    }

    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        account::check(api).boxed_local()
    }
}

/// A request to the versioned API.
fn rest(api: &Api<'_>, method: Method, path: &str) -> RequestBuilder {
    api.request(method, path)
        .header("LinkedIn-Version", api.version.unwrap_or(VERSION))
        .header("X-Restli-Protocol-Version", "2.0.0")
}

/// Whether an account is a page rather than a person.
fn is_organization(account: &Account) -> bool {
    account.external_id.starts_with("urn:li:organization:")
}

#[cfg(test)]
mod tests;
