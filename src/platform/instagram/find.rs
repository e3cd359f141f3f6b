//! A post that is live: where people see it, and its first comment.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::content;
use super::errors::accept;
use crate::http::{Effect, Reply, Session};
use crate::outcome::{Failure, Published};
use crate::platform::graph;

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
        .request(Method::GET, &graph::api_path(&session.api, id))
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
        .request(
            Method::POST,
            &graph::api_path(&session.api, &format!("{id}/comments")),
        )
        .json(&json!({"message": text}));
    let reply = session.api.send(request, Effect::Follows).await?;
    accept::<Made>(&reply, Effect::Follows).map(|_| ())
}

/// A post that was found, with its first comment, which may be there already.
pub(super) async fn commented(session: &Session<'_>, published: Published) -> Published {
    let Some(text) = content::first_comment(&session.post.content) else {
        return published;
    };
    let made = match has_comment(session, &published.id, text).await {
        Ok(true) => Ok(()),
        Ok(false) => comment(session, &published.id, text).await,
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
