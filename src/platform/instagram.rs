//! Instagram: <https://developers.facebook.com/docs/instagram-platform/content-publishing>
//!
//! - **Version**: in the path, v25.0 unless configured.
//! - **Auth**: bearer. The account's setting `login` says which login gave the token. `facebook` (the default): a Page's
//!   or user's token, `graph.facebook.com`; scopes `instagram_basic`, `instagram_content_publish`,
//!   `pages_read_engagement`, and `instagram_manage_comments` for first comments. `instagram`: an Instagram user's
//!   token, `graph.instagram.com`, 60 days; scopes `instagram_business_basic`, `instagram_business_content_publish`, and
//!   `instagram_business_manage_comments`. The latter is renewed with itself from 10 days before its end on; a Page's
//!   token with the user's (the stored refresh token), if the setting `page_id` names the Page.
//! - **Limits** (2026-09): caption 2,200 characters, 30 hashtags, 20 mentions; alternative text 1,000 characters;
//!   pictures are JPEG up to 8 MB, from 4:5 to 1.91:1; reels 3 s to 15 min, 300 MB; videos of stories 3 to 60 s,
//!   100 MB; carousels 2 to 10. Posts in 24 hours: the documentation says 50 and 100, so the account's own
//!   `content_publishing_limit` is read before each one.
//! - **Idempotency**: a container is published once. Its id is in the checkpoint before it is published, and its
//!   status is read before every try.
//! - **Look-up**: a container that is `PUBLISHED` is live, one that is `FINISHED` is not; which post it became, only
//!   `GET /{account}/media` (stories: `/stories`, for a day) tells, by caption, kind and time. What has no caption is not
//!   recognized there by these alone.
//! - **Doubts**: what publishing a published container answers is not documented, so it is never tried. Whether `MB`
//!   means 10⁶ bytes or 2²⁰ is not said; the smaller is taken. Nothing is said of how long a video in a carousel may be;
//!   it is taken as a reel. The unit of captions is not said; characters are Unicode's. What renewing a token that is
//!   younger than a day answers is not documented: an answer that does not speak of the token leaves it as it is.
//! - The account's `external_id` is the number of the professional account.
//! - **Kinds**: `post` with a picture, with a video (a reel) or with 2 to 10 of both (a carousel); `reel`; `story` (one
//!   picture or video, no caption). Meta fetches media itself; only videos can be uploaded, and only with Facebook's
//!   login. Alternative texts go with pictures of posts; Instagram has none for videos and stories.
//! - **Options**: `first_comment`, `collaborators`, `location_id`, `user_tags`; of reels `share_to_feed`, `cover_url`,
//!   `thumb_offset_ms`, `audio_name`.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::graph;
use super::{Found, Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Session};
use crate::limits::{Figure, Quota};
use crate::outcome::Failure;
use crate::review::Review;

mod checkpoint;
mod content;
mod errors;
mod figures;
mod find;
mod flow;
mod lookup;
mod quota;
mod tokens;
mod upload;

/// A token of Instagram's own login is renewed so long before its end, should some runs not get to it.
const AHEAD: Duration = Duration::from_hours(10 * 24);

/// The Instagram client.
#[derive(Debug)]
pub struct Instagram;

/// Which login gave an account's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Facebook,
    Instagram,
}

impl Login {
    fn of(account: &Account) -> Self {
        match account.setting("login") {
            Some("instagram") => Self::Instagram,
            _ => Self::Facebook,
        }
    }
}

impl Platform for Instagram {
    fn name(&self) -> &'static str {
        "instagram"
    }

    fn title(&self) -> &'static str {
        "Instagram"
    }

    fn cap(&self) -> usize {
        5
    }

    fn base_url(&self, account: &Account) -> &'static str {
        match Login::of(account) {
            Login::Facebook => "https://graph.facebook.com",
            Login::Instagram => "https://graph.instagram.com",
        }
    }

    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    fn figures(&self) -> &'static [Figure] {
        figures::FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        // The documentation contradicts itself; each account's own limit is read before it publishes.
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("first_comment", "a comment below the post, made at once"),
            (
                "collaborators",
                "up to 3 user names that are invited as authors: a list",
            ),
            (
                "location_id",
                "the id of a Facebook Page that has a location",
            ),
            (
                "user_tags",
                "people in the picture or video: a list of {username, x, y}, x and y from 0 to 1",
            ),
            (
                "share_to_feed",
                "whether a reel is shown among the posts too: true or false",
            ),
            ("cover_url", "the address of a reel's cover"),
            (
                "thumb_offset_ms",
                "where in a reel its cover is, in milliseconds",
            ),
            ("audio_name", "the name of a reel's sound"),
        ]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[
            (
                "login",
                "`facebook` (default) or `instagram`: which login gave the token",
            ),
            (
                "page_id",
                "the Facebook Page that the account is linked with; needed to renew its token",
            ),
        ]
    }

    fn validate(&self, review: &mut Review<'_>) {
        content::validate(review);
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        if graph::is_id(external_id) {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not an Instagram account id (a number, not the user name)"
        ))
    }

    fn validate_settings(&self, settings: &Map<String, Value>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(login) = settings.get("login")
            && !matches!(login.as_str(), Some("facebook" | "instagram"))
        {
            problems.push(format!(
                "login: {login} is not a login; write \"facebook\" or \"instagram\""
            ));
        }
        if let Some(page) = settings.get("page_id")
            && !page.as_str().is_some_and(graph::is_id)
        {
            problems.push(format!(
                "page_id: {page} is not a Facebook Page's id; write its number as a text"
            ));
        }
        problems
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        flow::step(session, checkpoint).boxed_local()
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
        match Login::of(api.account) {
            Login::Instagram => true,
            Login::Facebook => {
                api.credentials.refresh_token.is_some() && api.account.setting("page_id").is_some()
            }
        }
    }

    fn refresh_ahead(&self) -> Duration {
        AHEAD
    }

    fn refresh<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        tokens::refresh(api).boxed_local()
    }

    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        tokens::check(api).boxed_local()
    }
}

#[cfg(test)]
mod tests;
