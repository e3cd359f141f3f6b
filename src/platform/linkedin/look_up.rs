//! A post among its author's latest: pages alone can be read.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::progress::{Progress, Stage, encoded};
use super::reply::classify;
use super::send::at;
use super::share::{share, unescape};
use super::{is_organization, rest};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::Failure;
use crate::platform::Found;

/// Two clocks are seldom further apart.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(2);

/// How many posts are asked for.
const PAGE: usize = 10;

/// What a page's latest posts tell of one that was sent.
pub(super) enum Latest {
    /// This is it.
    Shows(String),
    /// It is none of those since, and there are some: LinkedIn may show it otherwise than it was sent.
    ShowsOthers,
    /// The page has no post since.
    ShowsNone,
    /// The token may not read them.
    Hidden,
}

/// What became of a post of which the last checkpoint tells.
pub(super) async fn look_up(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    if !is_organization(&session.post.account) {
        return Ok(Found::Unknown(
            "LinkedIn does not let an application read a member's posts",
        ));
    }
    // An older checkpoint may know neither the media's URNs nor the time; no post is sent before it is due.
    let progress = Progress::read(checkpoint).ok().flatten();
    let since = match progress.as_ref().map(|progress| &progress.stage) {
        Some(Stage::Doubt { sent_at, .. }) => *sent_at,
        _ => session.post.scheduled_at,
    };
    let media = progress.map(|progress| progress.media).unwrap_or_default();
    let body = share(session.post, &media)?;
    Ok(match latest(session, &body, since).await? {
        Latest::Shows(urn) => Found::Live(at(&urn)),
        Latest::ShowsNone => Found::Absent,
        Latest::ShowsOthers => {
            Found::Unknown("the page has posts since then, and none is the same")
        }
        Latest::Hidden => {
            Found::Unknown("the token may not read the page's posts (scope r_organization_social)")
        }
    })
}

/// Asks for a page's latest posts, for one that was `sent` (its body) not before `sent_at`.
pub(super) async fn latest(
    session: &Session<'_>,
    sent: &Value,
    sent_at: DateTime<Utc>,
) -> Result<Latest, Failure> {
    let path = format!(
        "/rest/posts?q=author&author={}&count={PAGE}&sortBy=LAST_MODIFIED",
        encoded(&session.post.account.external_id)
    );
    let request = rest(&session.api, Method::GET, &path).header("X-RestLi-Method", "FINDER");
    let reply = session.api.send(request, Effect::Reads).await?;
    if reply.status.as_u16() == 403 {
        return Ok(Latest::Hidden);
    }
    if !reply.status.is_success() {
        return Err(classify(&reply, Effect::Reads, session.api.now));
    }
    let posts: Posts = reply
        .json()
        .ok_or_else(|| unreadable(&reply, Effect::Reads))?;
    let since = (sent_at - CLOCKS_APART).timestamp_millis();
    // The list is cut off at ten; it is whole, or goes back beyond that time.
    let is_older = |post: &Post| post.last_modified_at.is_some_and(|at| at < since);
    let is_whole = posts.elements.len() < PAGE || posts.elements.iter().any(is_older);
    // One without a time may be new.
    let is_new = |post: &Post| post.created_at.is_none_or(|created| created >= since);
    let new: Vec<Post> = posts.elements.into_iter().filter(is_new).collect();
    if new.is_empty() && is_whole {
        return Ok(Latest::ShowsNone);
    }
    let same = new.into_iter().find(|post| post.is(sent));
    Ok(same
        .and_then(|post| post.id)
        .map_or(Latest::ShowsOthers, Latest::Shows))
}

#[derive(Deserialize)]
struct Posts {
    elements: Vec<Post>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Post {
    id: Option<String>,
    commentary: Option<String>,
    created_at: Option<i64>,
    last_modified_at: Option<i64>,
    content: Value,
    lifecycle_state: Option<String>,
}

impl Post {
    /// Whether it is what was sent.
    fn is(&self, sent: &Value) -> bool {
        let text = |commentary: Option<&str>| unescape(commentary.unwrap_or_default());
        let same_text = text(self.commentary.as_deref()) == text(sent["commentary"].as_str());
        let is_live = self.lifecycle_state.as_deref() != Some("PUBLISH_FAILED");
        let has_time = self.created_at.is_some();
        let same_thing = main_thing(&self.content) == main_thing(&sent["content"]);
        same_text && is_live && has_time && same_thing
    }
}

/// What a post's content is about: its link, or its first medium.
fn main_thing(content: &Value) -> Option<&str> {
    let things = ["/article/source", "/media/id", "/multiImage/images/0/id"];
    let mut things = things.iter().filter_map(|at| content.pointer(at));
    things.next()?.as_str()
}
