//! A post that is live: which one it is, where people see it, and its first comment.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::checkpoint::Checkpoint;
use super::errors::accept;
use super::{content, path};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::outcome::{Failure, Published};
use crate::platform::graph;
use crate::post::Kind;

/// How far Instagram's clock and ours may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// Completes a post that was accepted just now.
pub(super) async fn follow(session: &Session<'_>, id: &str) -> Published {
    let (permalink, problem) = match permalink(session, id).await {
        Ok(permalink) => (Some(permalink), Ok(())),
        Err(failure) => (None, Err(failure)),
    };
    let published = Published::at(id, permalink).but("no permalink", problem);
    match content::first_comment(&session.post.content) {
        Some(text) => published.but("no first comment", comment(session, id, text).await),
        None => published,
    }
}

async fn permalink(session: &Session<'_>, id: &str) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Permalink {
        permalink: String,
    }
    let reply = read(session, id, "permalink").await?;
    accept(&reply, Effect::Reads).map(|Permalink { permalink }| permalink)
}

/// Reads a node, or an edge of one.
async fn read(session: &Session<'_>, id: &str, fields: &str) -> Result<Reply, Failure> {
    let (node, edge) = id.split_once('/').unwrap_or((id, ""));
    if !graph::is_id(node) {
        return Err(Failure::rejected(format!(
            "Instagram's id `{node}` is no number, so nothing can be read of it"
        )));
    }
    let mut request = session
        .api
        .request(Method::GET, &path(&session.api, id))
        .query(&[("fields", fields)]);
    if !edge.is_empty() {
        request = request.query(&[("limit", "25")]);
    }
    session.api.send(request, Effect::Reads).await
}

/// Sent once: whatever comes of it, nobody sends it again.
async fn comment(session: &Session<'_>, id: &str, text: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Made {
        #[expect(dead_code, reason = "a comment without an id is none")]
        id: String,
    }
    if !graph::is_id(id) {
        return Err(Failure::rejected("the post's id is no number"));
    }
    let request = session
        .api
        .request(Method::POST, &path(&session.api, &format!("{id}/comments")))
        .json(&json!({"message": text}));
    let reply = session.api.send(request, Effect::Follows).await?;
    accept::<Made>(&reply, Effect::Follows).map(|_| ())
}

/// The post that a published container became. It is live whether or not the list shows it.
pub(super) async fn published(
    session: &Session<'_>,
    checkpoint: &Checkpoint,
    container: &str,
) -> Published {
    session.accepted(container);
    let missing = |why: &str| {
        let mut post = Published::at(container, None);
        post.warnings.push(format!(
            "Instagram published it, but {why}; the id is that of its upload"
        ));
        if content::first_comment(&session.post.content).is_some() {
            post.warnings
                .push("no first comment: the post was not found".to_owned());
        }
        post
    };
    match listed(session, checkpoint).await {
        Ok(Some(post)) => complete(session, post).await,
        Ok(None) => missing("the account's list does not show which post it is"),
        Err(failure) => missing(&failure.reason().message),
    }
}

/// Completes a post that was found. Its first comment may be there already.
pub(super) async fn complete(session: &Session<'_>, post: Post) -> Published {
    let published = Published::at(post.id.as_str(), post.permalink);
    let Some(text) = content::first_comment(&session.post.content) else {
        return published;
    };
    let made = match has_comment(session, &post.id, text).await {
        Ok(true) => Ok(()),
        Ok(false) => comment(session, &post.id, text).await,
        Err(failure) => Err(failure),
    };
    published.but("no first comment", made)
}

async fn has_comment(session: &Session<'_>, id: &str, text: &str) -> Result<bool, Failure> {
    #[derive(Deserialize)]
    struct Comments {
        data: Vec<Comment>,
    }
    #[derive(Deserialize)]
    struct Comment {
        #[serde(default)]
        text: String,
    }
    let reply = read(session, &format!("{id}/comments"), "id,text").await?;
    let Comments { data } = accept(&reply, Effect::Reads)?;
    Ok(data
        .iter()
        .any(|comment| comment.text.trim() == text.trim()))
}

/// The account's one post that fits, if there is one.
pub(super) async fn listed(
    session: &Session<'_>,
    checkpoint: &Checkpoint,
) -> Result<Option<Post>, Failure> {
    #[derive(Deserialize)]
    struct Posts {
        data: Vec<Post>,
    }
    let content = &session.post.content;
    let list = match content.kind {
        Kind::Story => "stories",
        _ => "media",
    };
    let edge = format!("{}/{list}", session.post.account.external_id);
    let reply = read(session, &edge, "id,caption,permalink,timestamp").await?;
    let Posts { data } = accept(&reply, Effect::Reads)?;
    if data.iter().any(|post| !graph::is_id(&post.id)) {
        return Err(unreadable(&reply, Effect::Reads));
    }
    Ok(fitting(data, checkpoint.created_at, &content.body))
}

/// The one post with this caption since then; none if there are several.
pub(super) fn fitting(posts: Vec<Post>, since: DateTime<Utc>, caption: &str) -> Option<Post> {
    // The list may leave the signs of mentions out.
    let plain = |text: &str| text.trim().replace('@', "");
    let since = since - CLOCK_SKEW;
    let mut fitting = posts.into_iter().filter(|post| {
        let own = post.caption.as_deref().unwrap_or("");
        post.created_at().is_some_and(|at| at >= since) && plain(own) == plain(caption)
    });
    let found = fitting.next()?;
    fitting.next().is_none().then_some(found)
}

/// A post as the lists show it.
#[derive(Deserialize)]
pub(super) struct Post {
    pub(super) id: String,
    pub(super) caption: Option<String>,
    pub(super) permalink: Option<String>,
    pub(super) timestamp: String,
}

impl Post {
    /// `2026-09-01T12:00:00+0000`: ISO 8601, but not RFC 3339.
    fn created_at(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_str(&self.timestamp, "%Y-%m-%dT%H:%M:%S%z")
            .ok()
            .map(|at| at.to_utc())
    }
}
