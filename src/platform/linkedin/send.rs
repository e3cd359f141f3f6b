//! The request that publishes, and what becomes of one that was not answered.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::look_up::{Latest, latest};
use super::progress::{Progress, Stage, State, encoded, fingerprint};
use super::reply::{ErrorReply, classify, made};
use super::share::{filled, share};
use super::upload::{look_pause, media_of, plan};
use super::{is_organization, rest};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Step;
use crate::post::Action;

/// Before an unanswered post is asked after: LinkedIn may still be at work on it.
const DOUBT_PAUSE: Duration = Duration::from_secs(5);
/// How long LinkedIn surely knows a duplicate is not documented; so long it is trusted to.
const DUPLICATE_WINDOW: TimeDelta = TimeDelta::minutes(5);

fn request(session: &Session<'_>, body: &Value) -> RequestBuilder {
    rest(&session.api, Method::POST, "/rest/posts").json(body)
}

/// Sends the post, for the first time as far as LinkedIn is concerned.
pub(super) async fn send(session: &Session<'_>, mut progress: Progress) -> Result<Step, Failure> {
    if session.post.action != Action::Publish {
        return Err(Failure::Unconfirmed {
            reason: in_doubt("the run that was about to send it ended"),
        });
    }
    let are_there = progress.media.iter().all(|asset| asset.urn().is_some());
    if !are_there || !progress.is_of(&media_of(session)?) {
        // Somebody changed the post; nothing of it was accepted.
        return plan(session).await;
    }
    let body = share(session.post, &progress.media)?;
    let doubt = |reason| Step::Doubt {
        checkpoint: json!(Progress {
            stage: Stage::Doubt {
                sent_at: session.api.now,
                sent: fingerprint(body.to_string().as_bytes()),
            },
            ..progress.clone()
        }),
        after: DOUBT_PAUSE,
        reason,
    };
    let reply = match session.publish(request(session, &body)).await {
        Ok(reply) => reply,
        Err(Failure::Unconfirmed { reason }) => return Ok(doubt(reason)),
        Err(failure) => return Err(failure),
    };
    if let Some(urn) = made(&reply) {
        return Ok(Step::Done(live(session, urn).await));
    }
    let failure = if reply.status.is_success() {
        unreadable(&reply, Effect::Publishes)
    } else {
        classify(&reply, Effect::Publishes, session.api.now)
    };
    match failure {
        Failure::Unconfirmed { reason } => Ok(doubt(reason)),
        Failure::Retry { reason, .. } if reason.class == "not_ready" => {
            for asset in &mut progress.media {
                if let Some(urn) = asset.urn().map(str::to_owned) {
                    asset.state = State::Processing { urn };
                }
            }
            progress.stage = Stage::Preparing;
            progress.looks += 1;
            Ok(progress.wait(look_pause(progress.looks)))
        }
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

/// Finds out what became of a post that was sent at that time: by looking, where that is allowed, else by sending it
/// once more unchanged. LinkedIn refuses that, naming the first one, or had not got it.
pub(super) async fn settle(
    session: &Session<'_>,
    progress: &Progress,
    sent_at: DateTime<Utc>,
    sent: &str,
) -> Result<Step, Failure> {
    let body = share(session.post, &progress.media).map_err(still_in_doubt)?;
    if fingerprint(body.to_string().as_bytes()) != sent {
        return Err(Failure::Unconfirmed {
            reason: in_doubt("LinkedIn did not answer, and the post has been changed since"),
        });
    }
    if is_organization(&session.post.account)
        // One that is not found, or may not be looked for, proves nothing so soon.
        && let Ok(Latest::Shows(urn)) = latest(session, &body, sent_at).await
    {
        return Ok(Step::Done(live(session, &urn).await));
    }
    let age = session.api.now - sent_at;
    let is_in_time = (TimeDelta::zero()..=DUPLICATE_WINDOW).contains(&age);
    if !is_in_time || session.post.action != Action::Publish {
        return Err(Failure::Unconfirmed {
            reason: in_doubt("LinkedIn did not answer, and it is too late to ask again safely"),
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

/// A post that LinkedIn has.
pub(super) fn at(urn: &str) -> Published {
    let permalink = format!("https://www.linkedin.com/feed/update/{urn}/");
    Published::at(urn, Some(permalink))
}

/// The same with its first comment.
async fn live(session: &Session<'_>, urn: &str) -> Published {
    session.accepted(urn);
    let published = at(urn);
    match filled(&session.post.content, "first_comment") {
        None => published,
        Some(text) => published.but("the first comment", comment(session, urn, text).await),
    }
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
    Err(classify(&reply, Effect::Follows, session.api.now))
}
