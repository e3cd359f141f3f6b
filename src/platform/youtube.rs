//! YouTube: <https://developers.google.com/youtube/v3/guides/using_resumable_upload_protocol>
//!
//! - **Version**: in the path, v3 unless configured.
//! - **Auth**: bearer, an hour; refreshed at `oauth2.googleapis.com` with the refresh token and the application's id
//!   and secret (the refresh token stays the same). Scopes: `youtube.upload` for videos and thumbnails, `youtube` for
//!   playlists, `youtube.force-ssl` for comments (which covers the others, too); `youtube.readonly` is enough for
//!   `accounts check`. Uploads of a project that Google has not audited stay private.
//! - **Limits** (2026-11): see `FIGURES`. A project has quotas per day, which begin at midnight in Los Angeles; a channel
//!   has a number of uploads, which is not published.
//! - **Idempotency**: the upload's session. Its address is in the checkpoint before the first byte is sent; asked
//!   again, it names the video that the bytes became, or how many of them it has.
//! - **Look-up**: that session; without it, the channel's list of uploads, by title, description and time (scope
//!   `youtube.readonly`).
//! - **Doubts**: how long a session lives is not documented; one that is gone proves nothing once the last bytes were
//!   sent. The documentation of quotas says 100 uploads a day now and said 1,600 of 10,000 units each for years
//!   (6 a day); the reply that a quota is used up is what counts. How titles are counted beyond characters of the Basic
//!   Multilingual Plane, the longest duration, what a Short is at most, and how long a comment may be are not in the
//!   API's documentation.
//! - The post's id is the video's, the account's `external_id` the channel's. Requests do not name the channel: the
//!   token decides.
//!
//! Kinds: `post` is a video, `reel` is one that YouTube will take for a Short (it decides by itself). Options: see
//! `Options`. The bytes go in chunks, one a step, so that a run that has to end stops between two of them; only the last
//! chunk publishes. Each chunk of a file from the web is a request of its own to its server: where that knows no ranges,
//! raise the figure `chunk_bytes` beyond the file's size.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::{Found, Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Session};
use crate::limits::{Figure, Per, Quota};
use crate::outcome::Failure;
use crate::review::Review;

mod follow;
mod login;
mod lookup;
mod options;
mod replies;
mod upload;

#[cfg(test)]
mod tests;

use options::Privacy;

/// Where upload sessions live.
/// Below which path its upload sessions are.
const SESSIONS: &[&str] = &["/upload/youtube/v3/", "/resumable/upload/youtube/v3/"];
const HOSTS: &[&str] = &["www.googleapis.com", "youtube.googleapis.com"];

/// What the documentation says.
const FIGURES: &[Figure] = &[
    Figure {
        name: "title_chars",
        value: 100.0,
        as_of: "2026-11",
        source: "videos: insert",
    },
    Figure {
        name: "description_bytes",
        value: 5_000.0,
        as_of: "2026-11",
        source: "videos: insert",
    },
    Figure {
        name: "tags_chars",
        value: 500.0,
        as_of: "2026-11",
        source: "videos: insert",
    },
    Figure {
        name: "file_bytes",
        value: 274_877_906_944.0,
        as_of: "2026-11",
        source: "maxSize of the discovery document, revision 20261104",
    },
    Figure {
        name: "video_seconds",
        value: 43_200.0,
        as_of: "2026-11",
        source: "product help; unverified channels: 900",
    },
    Figure {
        name: "short_seconds",
        value: 180.0,
        as_of: "2026-11",
        source: "product help",
    },
    Figure {
        name: "thumbnail_bytes",
        value: 2_097_152.0,
        as_of: "2026-11",
        source: "thumbnails: set (its discovery document says 50 MB)",
    },
    Figure {
        name: "comment_chars",
        value: 10_000.0,
        as_of: "2026-11",
        source: "what the product takes; not documented",
    },
    Figure {
        name: "uploads_per_day",
        value: 100.0,
        as_of: "2026-11",
        source: "determine_quota_cost: calls of videos.insert per project and day",
    },
    Figure {
        name: "chunk_bytes",
        value: 8_388_608.0,
        as_of: "2026-11",
        source: "ours: a second of a usual line, in multiples of 262,144",
    },
];

/// The YouTube client.
#[derive(Debug)]
pub struct YouTube;

impl Platform for YouTube {
    fn name(&self) -> &'static str {
        "youtube"
    }

    fn title(&self) -> &'static str {
        "YouTube"
    }

    fn cap(&self) -> usize {
        4
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://www.googleapis.com"
    }

    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        &[Quota {
            figure: "uploads_per_day",
            per: Per::Platform,
            window: "day",
        }]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        options::NAMES
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "privacy",
            "public (default), unlisted or private, where the post does not say",
        )]
    }

    fn validate(&self, review: &mut Review<'_>) {
        options::validate(review);
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let well_formed = external_id.len() == 24
            && external_id.starts_with("UC")
            && external_id.bytes().all(in_alphabet);
        if well_formed {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not a YouTube channel id (UC and 22 characters; see the advanced settings)"
        ))
    }

    fn validate_settings(&self, settings: &Map<String, Value>) -> Vec<String> {
        let privacy = settings.get("privacy");
        let is_wrong = privacy.is_some_and(|value| Privacy::of(value).is_none());
        let problem = || "setting `privacy` must be public, unlisted or private".to_owned();
        is_wrong.then(problem).into_iter().collect()
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            match checkpoint {
                None => upload::begin(session, 1).await,
                Some(checkpoint) => upload::go_on(session, checkpoint).await,
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
        Duration::from_mins(2)
    }

    fn can_refresh(&self, api: &Api<'_>) -> bool {
        login::can_refresh(api)
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn refresh<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        login::refresh(api).boxed_local()
    }

    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        login::check(api).boxed_local()
    }
}

/// A path of the API: `/youtube/v3/videos`.
fn path(api: &Api<'_>, method: &str) -> String {
    format!("/youtube/{}/{method}", api.version.unwrap_or("v3"))
}

/// A path for media: `/upload/youtube/v3/videos`.
fn upload_path(api: &Api<'_>, method: &str) -> String {
    format!("/upload{}", path(api, method))
}
