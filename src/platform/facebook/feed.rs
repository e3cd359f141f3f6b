//! The page's feed, and what follows a post that is live.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::super::Step;
use super::graph::{self, accept};
use super::wire::{self, Made, Post};
use crate::http::{Effect, Reply, Session, web_address};
use crate::outcome::{Failure, Published};
use crate::post::{Content, Kind};

/// Where people see what a permalink leads to.
const SITE: &str = "https://www.facebook.com";

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FeedPost<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attached_media: Vec<Value>,
}

pub(super) fn feed_post<'a>(content: &'a Content, photos: &[String]) -> FeedPost<'a> {
    FeedPost {
        message: text(content),
        link: content.link.as_deref(),
        attached_media: photos.iter().map(|id| json!({"media_fbid": id})).collect(),
    }
}

/// The body, if there is one.
pub(super) fn text(content: &Content) -> Option<&str> {
    Some(content.body.as_str()).filter(|body| !body.trim().is_empty())
}

/// The title of a video, if there is one.
pub(super) fn title(content: &Content) -> Option<&str> {
    content
        .option("title")
        .filter(|title| !title.trim().is_empty())
}

/// A path below the page.
pub(super) fn edge(session: &Session<'_>, name: &str) -> String {
    let page = &session.post.account.external_id;
    graph::path(session, &format!("{page}/{name}"))
}

/// Publishes a text, a link, or photos that are there.
pub(super) async fn publish(session: &Session<'_>, photos: &[String]) -> Result<Step, Failure> {
    // The edge reads after it writes: the permalink comes with the id.
    let request = session
        .api
        .request(Method::POST, &edge(session, "feed"))
        .query(&[("fields", "id,permalink_url")])
        .json(&feed_post(&session.post.content, photos));
    let reply = session.publish(request).await?;
    let post: Post = accept(&reply, Effect::Publishes)?;
    let id = wire::id(&post.id, &reply, Effect::Publishes)?;
    session.accepted(&id);
    let fallback = format!("{SITE}/{id}");
    let permalink = absolute(post.permalink_url.as_deref(), fallback);
    let published = Published::at(id, Some(permalink));
    Ok(Step::Done(followed(session, &reply, published).await))
}

/// A post that is live, with its first comment; `reply` is the platform's yes.
pub(super) async fn followed(
    session: &Session<'_>,
    reply: &Reply,
    published: Published,
) -> Published {
    Published {
        pause: graph::pause(reply),
        ..commented(session, published).await
    }
}

/// A post that is live, with its first comment.
pub(super) async fn commented(session: &Session<'_>, published: Published) -> Published {
    let content = &session.post.content;
    let comment = content.option("first_comment");
    let comment = comment.filter(|text| !text.trim().is_empty() && content.kind != Kind::Story);
    match comment {
        None => published,
        Some(text) => {
            let said = say(session, &published.id, text).await;
            published.but("no first comment", said)
        }
    }
}

async fn say(session: &Session<'_>, post: &str, text: &str) -> Result<(), Failure> {
    let path = graph::path(session, &format!("{post}/comments"));
    let request = session.api.request(Method::POST, &path);
    let request = request.json(&json!({"message": text}));
    let reply = session.api.send(request, Effect::Follows).await?;
    accept(&reply, Effect::Follows).map(|Made { .. }| ())
}

/// A post that is live and whose reply did not say where: asked, with the documented address if there is no answer.
pub(super) async fn located(session: &Session<'_>, id: String, fallback: String) -> Published {
    let asked = permalink(session, &id).await;
    let named = asked.as_ref().ok().and_then(Option::as_deref);
    let address = absolute(named, fallback);
    Published::at(id, Some(address)).but("the permalink is a guess", asked)
}

async fn permalink(session: &Session<'_>, id: &str) -> Result<Option<String>, Failure> {
    #[derive(serde::Deserialize)]
    struct Located {
        permalink_url: Option<String>,
    }
    let request = session
        .api
        .request(Method::GET, &graph::path(session, id))
        .query(&[("fields", "permalink_url")]);
    let reply = session.api.send(request, Effect::Reads).await?;
    let Located { permalink_url } = accept(&reply, Effect::Reads)?;
    Ok(permalink_url)
}

/// An address that people can open: those of videos come as a path.
pub(super) fn absolute(named: Option<&str>, fallback: String) -> String {
    match named {
        Some(path) if path.starts_with('/') && !path.starts_with("//") => format!("{SITE}{path}"),
        Some(url) if web_address(url).is_ok() => url.to_owned(),
        _ => fallback,
    }
}

/// Where a post without an address of its own is.
pub(super) fn address(path: &str) -> String {
    format!("{SITE}/{path}")
}
