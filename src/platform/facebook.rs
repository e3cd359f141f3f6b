//! Facebook Pages: <https://developers.facebook.com/docs/graph-api/reference/page/feed>
//!
//! - **Version**: in the path, v25.0 unless configured; the flow is the same from v20 to v26.
//! - **Auth**: a Page access token as bearer. One that comes from a long-lived user token has no end of its own; it
//!   dies with the password, the app's permission or the role on the page, and then only a person can renew it.
//! - **Limits** (2026-10): Meta documents none for the text; clients use 63,206 characters. Calls in 24 hours: 4,800
//!   times the page's engaged users. Posts a day: not documented.
//! - **Idempotency**: none. Error 506 reports identical content, which is a hint and no proof.
//! - **Look-up**: `GET /{page}/published_posts`, by text and time.
//! - The account's `external_id` is the page's number.
//!
//! Text and links so far.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::graph::{self, accept};
use super::{Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Effect, Session};
use crate::limits::{Figure, Quota};
use crate::outcome::{Failure, Published};
use crate::post::{Content, Kind};
use crate::review::Review;

/// What the documentation says.
const FIGURES: &[Figure] = &[Figure {
    name: "message_chars",
    value: 63_206.0,
    as_of: "2026-10",
    source: "other clients; Meta documents none",
}];

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

    fn quotas(&self) -> &'static [Quota] {
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn validate(&self, review: &mut Review<'_>) {
        let content = review.content;
        if content.kind != Kind::Post {
            review.problem("stories, reels and replies on Facebook are not supported yet");
        }
        if content.body.trim().is_empty() && content.link.is_none() {
            review.problem("a Facebook post needs a body or a link");
        }
        review.characters("the body", &content.body, "message_chars");
        if !content.media.is_empty() {
            review.problem("pictures and videos on Facebook are not supported yet; share a link");
        }
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
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            let edge = format!("{}/feed", session.post.account.external_id);
            // The edge reads after it writes: the permalink comes with the id.
            let request = session
                .api
                .request(Method::POST, &graph::path(session, &edge))
                .query(&[("fields", "id,permalink_url")])
                .json(&feed_post(&session.post.content));
            let reply = session.send(request, Effect::Publishes).await?;
            let post: FeedReply = accept(&reply, Effect::Publishes)?;
            Ok(Step::Done(published(post)))
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
        async move { Err(Failure::rejected("Facebook tokens are not refreshed")) }.boxed_local()
    }

    fn check<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        async move { Ok(Standing::default()) }.boxed_local()
    }
}

#[derive(Debug, PartialEq, Serialize)]
struct FeedPost<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
}

fn feed_post(content: &Content) -> FeedPost<'_> {
    FeedPost {
        message: Some(content.body.as_str()).filter(|body| !body.trim().is_empty()),
        link: content.link.as_deref(),
    }
}

#[derive(Deserialize)]
struct FeedReply {
    id: String,
    permalink_url: Option<String>,
}

/// Where the reply names no permalink, the documented address of any post stands in.
fn published(post: FeedReply) -> Published {
    let permalink = post
        .permalink_url
        .unwrap_or_else(|| format!("https://www.facebook.com/{}", post.id));
    Published {
        id: post.id,
        permalink: Some(permalink),
        warnings: Vec::new(),
        pause: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(value: Value) -> Content {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_post_has_a_message_a_link_or_both() {
        let cases = [
            (json!({"body": "Hi"}), json!({"message": "Hi"})),
            (
                json!({"body": " ", "link": "https://a.b/c"}),
                json!({"link": "https://a.b/c"}),
            ),
            (
                json!({"body": "Hi\n<you> & me", "link": "https://a.b"}),
                json!({"message": "Hi\n<you> & me", "link": "https://a.b"}),
            ),
        ];
        for (post, expected) in cases {
            let post = content(post);
            assert_eq!(json!(feed_post(&post)), expected);
            assert!(crate::review::testing::problems(&Facebook, &post).is_empty());
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let post = content(json!({
            "kind": "reel",
            "body": "é".repeat(63_207),
            "link": "example.com",
            "media": [{"path": "a.mp4"}],
            "options": {"first_comment": "Hi"},
        }));
        assert_eq!(
            crate::review::testing::problems(&Facebook, &post),
            [
                "stories, reels and replies on Facebook are not supported yet",
                "the body has 63207 characters; Facebook takes 63206",
                "link: the address is not a URL: relative URL without a base",
                "pictures and videos on Facebook are not supported yet; share a link",
                "a first comment on Facebook is not supported yet",
            ]
        );
        assert_eq!(
            crate::review::testing::problems(&Facebook, &content(json!({"body": "\n"}))),
            ["a Facebook post needs a body or a link"]
        );
    }

    #[test]
    fn a_page_is_a_number() {
        assert!(Facebook.validate_account("104857600").is_ok());
        for id in ["", "me", "12/34", "١٢"] {
            assert!(Facebook.validate_account(id).is_err(), "{id}");
        }
    }

    #[test]
    fn the_permalink_is_the_replys_else_the_documented_one() {
        let published = |reply| super::published(serde_json::from_value(reply).unwrap());
        let url = "https://www.facebook.com/1/posts/2";
        let named = published(json!({"id": "1_2", "permalink_url": url}));
        assert_eq!(named.permalink.as_deref(), Some(url));
        let unnamed = published(json!({"id": "1_2"}));
        assert_eq!(
            unnamed.permalink.as_deref(),
            Some("https://www.facebook.com/1_2")
        );
    }
}
