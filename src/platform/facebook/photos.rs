//! Photos, in the feed and as a story.

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::super::Step;
use super::checkpoint::{Checkpoint, Photos};
use super::feed::{self, address, edge, followed, located};
use super::graph::accept;
use super::rules::hosted;
use super::wire::{self, Finished, Made, PhotoPost};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::media;
use crate::outcome::{Failure, Published, Reason};
use crate::post::{Kind, Media};

/// Publishes one photo that Facebook fetches itself.
pub(super) async fn publish_hosted(session: &Session<'_>, url: &str) -> Result<Step, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let mut photo = json!({"url": url, "published": true});
    if let Some(caption) = feed::text(&session.post.content) {
        photo["caption"] = json!(caption);
    }
    if let Some(alt) = media.first().and_then(alt) {
        photo["alt_text_custom"] = json!(alt);
    }
    let request = post(session, "photos").json(&photo);
    let reply = session.publish(request).await?;
    let PhotoPost { id, post_id } = accept(&reply, Effect::Publishes)?;
    let id = wire::id(&post_id.unwrap_or(id), &reply, Effect::Publishes)?;
    session.accepted(&id);
    let fallback = address(&id);
    let published = located(session, id, fallback).await;
    Ok(Step::Done(followed(session, &reply, published).await))
}

/// Sends the first photo.
pub(super) async fn begin(session: &Session<'_>) -> Result<Step, Failure> {
    go_on(session, Photos::new(session.api.now)).await
}

/// Sends the next photo; when all are there, publishes them.
pub(super) async fn go_on(session: &Session<'_>, photos: Photos) -> Result<Step, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let mut photos = if photos.are_too_old(session.api.now) || photos.ids.len() > media.len() {
        Photos::new(session.api.now)
    } else {
        photos
    };
    if let Some(medium) = media.get(photos.ids.len()) {
        let id = send(session, photos.ids.len() + 1, medium).await?;
        photos.ids.push(id);
        return Ok(Checkpoint::Photos(photos).next());
    }
    match (session.post.content.kind, photos.ids.as_slice()) {
        (Kind::Story, [photo]) => publish_story(session, photo).await,
        (_, ids) => feed::publish(session, ids).await,
    }
}

/// Sends a photo that nobody sees yet.
async fn send(session: &Session<'_>, number: usize, medium: &Media) -> Result<String, Failure> {
    let request = post(session, "photos").timeout(session.api.http.timeouts.upload);
    let request = if let Some(url) = hosted(medium) {
        let mut photo = json!({"url": url, "published": false});
        if let Some(alt) = alt(medium) {
            photo["alt_text_custom"] = json!(alt);
        }
        request.json(&photo)
    } else {
        let (form, bytes) = form(session, medium).await?;
        request
            .timeout(session.api.http.timeouts.for_bytes(bytes))
            .multipart(form)
    };
    let reply = session.api.send(request, Effect::Prepares).await?;
    let made: Result<Made, Failure> = accept(&reply, Effect::Prepares);
    let Made { id } = made.map_err(|failure| about(failure, number, medium))?;
    wire::id(&id, &reply, Effect::Prepares)
}

/// The photo as a form, and how many bytes it has.
async fn form(session: &Session<'_>, medium: &Media) -> Result<(Form, u64), Failure> {
    let limit = session.api.limits.count("photo_bytes");
    let source = media::open(medium, session.api.http, limit).await?;
    let bytes = source.length;
    let part = Part::stream_with_length(source.body, bytes).file_name("photo");
    let part = part.mime_str(&source.mime).map_err(|_| {
        let place = media::shown(medium);
        Failure::rejected(format!("the type of {place} is no type of a file"))
    })?;
    let form = Form::new().text("published", "false").part("source", part);
    let form = match alt(medium) {
        Some(alt) => form.text("alt_text_custom", alt.to_owned()),
        None => form,
    };
    Ok((form, bytes))
}

/// A refused photo with its number: a post has up to ten.
fn about(failure: Failure, number: usize, medium: &Media) -> Failure {
    match failure {
        Failure::Rejected { reason } => {
            let place = media::shown(medium);
            let message = format!("media {number} ({place}): {}", reason.message);
            Failure::Rejected {
                reason: Reason {
                    code: reason.code,
                    ..Reason::new(reason.class, message)
                },
            }
        }
        other => other,
    }
}

async fn publish_story(session: &Session<'_>, photo: &str) -> Result<Step, Failure> {
    let request = post(session, "photo_stories").json(&json!({"photo_id": photo}));
    let reply = session.publish(request).await?;
    let finished: Finished = accept(&reply, Effect::Publishes)?;
    story(session, &reply, &finished).await
}

/// A story that was accepted.
pub(super) async fn story(
    session: &Session<'_>,
    reply: &Reply,
    finished: &Finished,
) -> Result<Step, Failure> {
    let id = match &finished.post_id {
        Some(id) if finished.success => wire::id(id, reply, Effect::Publishes)?,
        _ => return Err(unreadable(reply, Effect::Publishes)),
    };
    session.accepted(&id);
    let found = find_story(session, &id).await;
    let permalink = found.as_ref().ok().and_then(Clone::clone);
    let published = Published::at(id, permalink).but("no permalink", found);
    Ok(Step::Done(followed(session, reply, published).await))
}

/// The address of a story; none if the page does not archive its stories, for then the list leaves it out.
async fn find_story(session: &Session<'_>, id: &str) -> Result<Option<String>, Failure> {
    let query = [("fields", "post_id,url"), ("limit", "25")];
    let request = session
        .api
        .request(Method::GET, &edge(session, "stories"))
        .query(&query);
    let reply = session.api.send(request, Effect::Reads).await?;
    let list: Value = accept(&reply, Effect::Reads)?;
    let stories = list["data"].as_array();
    let found = stories
        .into_iter()
        .flatten()
        .find(|story| story["post_id"] == id);
    let url = found.and_then(|story| story["url"].as_str());
    Ok(url.map(|url| feed::absolute(Some(url), address(id))))
}

/// What a photo shows, in words.
fn alt(medium: &Media) -> Option<&str> {
    medium.alt.as_deref().filter(|alt| !alt.trim().is_empty())
}

fn post(session: &Session<'_>, name: &str) -> RequestBuilder {
    session.api.request(Method::POST, &edge(session, name))
}
