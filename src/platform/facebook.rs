//! Facebook Pages: <https://developers.facebook.com/docs/pages-api/posts>
//!
//! - **Version**: in the path, v25.0 unless configured; the flows are the same from v20 to v26.
//! - **Auth**: a Page access token as bearer (`OAuth` on rupload.facebook.com), from a person who may create content on
//!   the page. Scopes: `pages_show_list`, `pages_manage_posts`, `pages_read_engagement`; `pages_manage_engagement` for
//!   first comments. A page's token that comes from a long-lived user token has no end of its own; it dies with the
//!   password, the app's permission or the role on the page. The user's token, where it is stored as `refresh_token`,
//!   brings a new one; it lives for some 60 days and, with the app's id and secret, is extended with every refresh.
//! - **Limits** (2026-10, see `FIGURES`): Meta documents none for the text; clients use 63,206 characters. Calls in 24
//!   hours: 4,800 times the page's engaged users. 30 reels a day and page, which Meta counts itself; posts a day are not
//!   documented. From 95 % of the app's calls on (`X-App-Usage`), all pages pause for 15 minutes.
//! - **Idempotency**: none. Error 506 reports identical content, which is a hint and no proof. A video or a reel has its
//!   id before it is published, and its status tells what became of it.
//! - **Look-up**: that status; `GET /{page}/published_posts`, by text and time, or by the ids of photos that are known;
//!   `GET /{page}/videos` and `/video_reels`, which prove nothing by what they lack: a video is processed first, and of
//!   some vertical ones of the feed Meta makes drafts (the status tells, and nobody sees them).
//! - **Doubts**: how many photos a post may have (other tools stop at 10), how large a video may be (Meta's pages say
//!   1 GB, 1.75 GB, 2 GB and 10 GB) and how long a title may be. Whether error 6000 passes: it is tried again. What a
//!   second `finish` of the same reel does: it is sent only if the first one surely did nothing, and the same id can't
//!   become two reels. Stories show in `GET /{page}/stories` only if the page archives them; else they have no permalink.
//! - The account's `external_id` is the page's number. A post's id is `{page}_{number}`, a video's or reel's its video's.
//!
//! | kind | media | requests; the one that publishes in capitals |
//! |---|---|---|
//! | post | none | FEED, with `link` |
//! | post | a photo at a URL | PHOTOS |
//! | post | a photo from a file, or up to 10 photos | photos, unpublished; FEED |
//! | post | a video at a URL | VIDEOS; its status, until Facebook shows it |
//! | post | a video from a file | videos: start, transfer …; FINISH; its status |
//! | reel | a video | `video_reels`: start, the bytes or their URL to rupload, its status until all is there; FINISH; its status |
//! | story | a photo | photos, unpublished; `PHOTO_STORIES` |
//! | story | a video | as a reel's, with `video_stories` |
//!
//! A photo from a file is not published by the request that carries it: should that break off, nobody would know.
//! Options: `title` (videos and reels), `first_comment`.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::{Found, Platform, Step, graph};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Session};
use crate::limits::{Figure, Quota};
use crate::outcome::Failure;
use crate::review::Review;

mod checkpoint;
mod feed;
mod login;
mod lookup;
mod photos;
mod rules;
mod transfer;
mod video;
mod wire;

use checkpoint::Checkpoint;
use rules::Shape;

const fn figure(
    name: &'static str,
    value: f64,
    as_of: &'static str,
    source: &'static str,
) -> Figure {
    Figure {
        name,
        value,
        as_of,
        source,
    }
}

/// What the documentation says, and where it does not, what others found out.
const FIGURES: &[Figure] = &[
    figure(
        "message_chars",
        63_206.0,
        "2026-10",
        "other clients; Meta documents none",
    ),
    figure(
        "photos",
        10.0,
        "2026-10",
        "other clients; Meta documents none",
    ),
    figure(
        "photo_bytes",
        10_000_000.0,
        "2026-09",
        "reference of /photos (10 MB)",
    ),
    figure(
        "video_bytes",
        10_000_000_000.0,
        "2026-09",
        "video uploads, resumable (10 GB)",
    ),
    figure(
        "video_seconds",
        14_400.0,
        "2026-09",
        "video uploads, resumable (4 hours)",
    ),
    figure(
        "hosted_video_bytes",
        1_000_000_000.0,
        "2026-09",
        "video uploads, not resumable (1 GB)",
    ),
    figure(
        "hosted_video_seconds",
        1_200.0,
        "2026-09",
        "video uploads, not resumable (20 minutes)",
    ),
    // 9:16 to 16:9, with room for sizes such as 854 x 480.
    figure(
        "video_aspect_min",
        0.55,
        "2026-09",
        "video uploads (9:16, rounded)",
    ),
    figure(
        "video_aspect_max",
        1.8,
        "2026-09",
        "video uploads (16:9, rounded)",
    ),
    figure("reel_seconds_min", 3.0, "2026-09", "reels publishing guide"),
    figure("reel_seconds", 90.0, "2026-09", "reels publishing guide"),
    figure("story_seconds_min", 3.0, "2026-09", "page stories guide"),
    figure("story_seconds", 60.0, "2026-09", "page stories guide"),
    figure(
        "reel_short_side",
        540.0,
        "2026-09",
        "reels publishing guide (540 x 960)",
    ),
    figure(
        "reel_long_side",
        960.0,
        "2026-09",
        "reels publishing guide (540 x 960)",
    ),
];

/// The Facebook client.
#[derive(Debug)]
pub struct Facebook;

impl Platform for Facebook {
    fn name(&self) -> &'static str {
        "facebook"
    }

    fn title(&self) -> &'static str {
        "Facebook"
    }

    fn cap(&self) -> usize {
        8
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://graph.facebook.com"
    }

    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    /// None: 30 reels a day are documented, but a quota here counts posts of every kind.
    fn quotas(&self) -> &'static [Quota] {
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("title", "the title of a video or reel"),
            (
                "first_comment",
                "what the page says under the post, once it is live",
            ),
        ]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn validate(&self, review: &mut Review<'_>) {
        rules::check(review);
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        if graph::is_id(external_id) {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not a Facebook page id (a number; see the page's \"About\")"
        ))
    }

    fn validate_settings(&self, _settings: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            match checkpoint.map(Checkpoint::read).transpose()? {
                None => begin(session).await,
                Some(Checkpoint::Photos(photos)) => photos::go_on(session, photos).await,
                Some(Checkpoint::Video(upload)) => video::go_on(session, upload).await,
            }
        }
        .boxed_local()
    }

    fn look_up<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Found, Failure>> {
        lookup::look_up(session, checkpoint).boxed_local()
    }

    fn lag(&self) -> Duration {
        Duration::from_mins(1)
    }

    fn can_refresh(&self, api: &Api<'_>) -> bool {
        login::user_token(api).is_some()
    }

    /// An expired user token can't be extended any more, and its life is some 60 days.
    fn refresh_ahead(&self) -> Duration {
        Duration::from_hours(10 * 24)
    }

    fn refresh<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        login::refresh(api).boxed_local()
    }

    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        login::check(api).boxed_local()
    }
}

/// The first step of a post.
async fn begin(session: &Session<'_>) -> Result<Step, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    match Shape::of(&session.post.content, &media, session.facts) {
        Shape::Text => feed::publish(session, &[]).await,
        Shape::HostedPhoto(url) => photos::publish_hosted(session, url).await,
        Shape::Photos => photos::begin(session).await,
        Shape::HostedVideo(url) => video::publish_hosted(session, url).await,
        Shape::Video(edge) => transfer::begin(session, edge).await,
    }
}

#[cfg(test)]
mod tests;
