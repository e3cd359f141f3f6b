//! The request that publishes, and what becomes of one that was not answered.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::account::comment_scope;
use super::progress::{Progress, encoded, fingerprint};
use super::reply::{ErrorReply, classify, made};
use super::rest;
use super::share::{filled, share};
use super::upload::{look_pause, media_of, plan};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Step;

fn request(session: &Session<'_>, body: &Value) -> RequestBuilder {
    rest(&session.api, Method::POST, "/rest/posts").json(body)
}

/// Sends the post, for the first time as far as LinkedIn is concerned.
pub(super) async fn send(
    session: &Session<'_>,
    progress: &Progress,
    sent: &str,
) -> Result<Step, Failure> {
    let are_there = progress.media.iter().all(|asset| asset.urn().is_some());
    if !are_there || !progress.is_of(&media_of(session)?) {
        // Somebody changed the post; nothing of it was accepted.
        return plan(session).await;
    }
    let body = share(session.post, &progress.media)?;
    if !is(&body, sent) {
        return plan(session).await;
    }
    let reply = session.publish(request(session, &body)).await?;
    if let Some(urn) = made(&reply) {
        return Ok(Step::Done(live(session, urn).await));
    }
    if reply.status.is_success() {
        return Err(unreadable(&reply, Effect::Publishes));
    }
    if ErrorReply::of(&reply).is_not_ready(&reply) {
        return Ok(progress.unready().wait(look_pause(progress.looks + 1)));
    }
    match classify(&reply, Effect::Publishes, session.api.now) {
        // The same token has just uploaded the media as this author, so it is not the permission that lacks. LinkedIn
        // does not know its own new media everywhere at once.
        Failure::NeedsLogin { reason }
            if reply.status.as_u16() == 403 && !progress.media.is_empty() =>
        {
            Err(Failure::Retry {
                after: None,
                reason: Reason {
                    class: "forbidden",
                    ..reason
                },
            })
        }
        failure => Err(failure),
    }
}

/// Whether this is what was sent before, as far as that is known.
pub(super) fn is(body: &Value, sent: &str) -> bool {
    sent.is_empty() || fingerprint(body.to_string().as_bytes()) == sent
}

/// Sends a post that was not answered once more, unchanged: LinkedIn refuses it, naming the first one, or had not got
/// it.
pub(super) async fn again(
    session: &Session<'_>,
    progress: &Progress,
    sent: &str,
) -> Result<Step, Failure> {
    let body = share(session.post, &progress.media).map_err(still_in_doubt)?;
    if !is(&body, sent) {
        return Err(Failure::Unconfirmed {
            reason: in_doubt("LinkedIn did not answer, and the post has been changed since"),
        });
    }
    // Whatever this attempt comes to, short of an answer, the first one may be live.
    let reply = session
        .publish(request(session, &body))
        .await
        .map_err(still_in_doubt)?;
    if let Some(urn) = made(&reply) {
        return Ok(Step::Done(live(session, urn).await));
    }
    let error = ErrorReply::of(&reply);
    if reply.status.as_u16() == 422
        && let Some(urn) = error.duplicated()
    {
        return Ok(Step::Done(live(session, urn).await));
    }
    if reply.status.is_success() {
        return Err(unreadable(&reply, Effect::Publishes));
    }
    let failure = classify(&reply, Effect::Publishes, session.api.now);
    Err(still_in_doubt(failure))
}

fn in_doubt(what: &str) -> Reason {
    let message = format!("{what}; look at the account's posts on LinkedIn");
    Reason::new("in_doubt", message)
}

/// No refusal of the second attempt says anything of the first.
fn still_in_doubt(failure: Failure) -> Failure {
    if matches!(failure, Failure::Unconfirmed { .. }) {
        return failure;
    }
    let why = failure.reason();
    let reason = in_doubt(&format!(
        "LinkedIn did not answer, and could not be asked again ({})",
        why.message
    ));
    Failure::Unconfirmed {
        reason: Reason {
            code: why.code.clone(),
            ..reason
        },
    }
}

/// A post that LinkedIn has, with its first comment.
pub(super) async fn live(session: &Session<'_>, urn: &str) -> Published {
    session.accepted(urn);
    let published = Published::at(urn, Some(permalink(urn)));
    match filled(&session.post.content, "first_comment") {
        None => published,
        Some(text) => published.but("the first comment", comment(session, urn, text).await),
    }
}

pub(super) fn permalink(urn: &str) -> String {
    format!("https://www.linkedin.com/feed/update/{urn}/")
}

async fn comment(session: &Session<'_>, urn: &str, text: &str) -> Result<(), Failure> {
    let path = format!("/rest/socialActions/{}/comments", encoded(urn));
    let request = rest(&session.api, Method::POST, &path).json(&json!({
        "actor": session.post.account.external_id,
        "object": urn,
        "message": {"text": text},
    }));
    let reply = session.api.send(request, Effect::Follows).await?;
    if reply.status.is_success() {
        return Ok(());
    }
    let failure = classify(&reply, Effect::Follows, session.api.now);
    if reply.status.as_u16() != 403 {
        return Err(failure);
    }
    let scope = comment_scope(&session.post.account);
    Err(Failure::Rejected {
        reason: failure
            .reason()
            .clone()
            .but(&format!("comments need the scope {scope}")),
    })
}
