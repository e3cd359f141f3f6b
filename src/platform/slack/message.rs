//! A message, and what follows one that is live.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::checkpoint::Checkpoint;
use super::reply::{accept, warnings};
use super::{content, permalink, thread};
use crate::http::{Api, Effect, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Step;

/// Slack warns of JSON that does not say so.
const JSON: &str = "application/json; charset=utf-8";

/// Whether the app has joined the channel for this post's sake.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Joined {
    Yes,
    No,
}

/// A message's place.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) channel: String,
    pub(super) ts: String,
    /// The message as Slack shows it, where it does. Of another shape than documented it is only less to tell.
    #[serde(default, rename = "message")]
    pub(super) shown: Value,
}

impl Message {
    /// One of which no more is known.
    pub(super) fn at(channel: &str, ts: &str) -> Self {
        Self {
            channel: channel.to_owned(),
            ts: ts.to_owned(),
            shown: Value::Null,
        }
    }

    /// Whether Slack's answer names it as messages are named.
    fn is_named(&self) -> bool {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric();
        (1..=64).contains(&self.channel.len())
            && self.channel.bytes().all(is_id)
            && thread::is_ts(&self.ts)
    }

    /// As `posts.platform_post_id` keeps it.
    pub(super) fn id(&self) -> String {
        format!("{}:{}", self.channel, self.ts)
    }
}

#[derive(Deserialize)]
struct Nothing {}

/// Sends the message.
pub(super) async fn send(session: &Session<'_>, joined: Joined) -> Result<Step, Failure> {
    let arguments = content::arguments(session)?;
    let sent = session.publish(post(&session.api, &arguments)).await;
    let accepted = sent.and_then(|reply| {
        let message: Message = accept(&reply, Effect::Publishes)?;
        if !message.is_named() {
            return Err(unreadable(&reply, Effect::Publishes));
        }
        Ok((message, warnings(&reply)))
    });
    match accepted {
        Ok((message, warnings)) => {
            session.accepted(&message.id());
            Ok(Step::Done(finish(session, &message, warnings).await))
        }
        Err(failure) if joined == Joined::No && is_outside(&failure) => {
            join(session, failure).await?;
            Ok(Checkpoint::Message.wait(Duration::ZERO))
        }
        Err(failure) => Err(failure),
    }
}

/// Whether Slack refused because the app is not in the channel.
pub(super) fn is_outside(failure: &Failure) -> bool {
    failure.reason().is("not_in_channel")
}

/// Joins the channel, after which the refused message can be sent again.
pub(super) async fn join(session: &Session<'_>, refused: Failure) -> Result<(), Failure> {
    let channel = &session.api.account.external_id;
    let request = session
        .api
        .request(Method::POST, "/api/conversations.join")
        .form(&[("channel", channel)]);
    let reply = session.send(request, Effect::Prepares).await?;
    match accept::<Nothing>(&reply, Effect::Prepares) {
        Ok(Nothing {}) => Ok(()),
        Err(Failure::NeedsLogin { reason } | Failure::Rejected { reason }) => {
            let advice = "the app is not in this channel and can't join it by itself; invite it (/invite @app), or \
                          for public channels give it the scope channels:join";
            let code = reason.code.map(|code| format!(" ({code})"));
            let advice = format!("{advice}{}", code.unwrap_or_default());
            Err(Failure::Rejected {
                reason: Reason {
                    code: refused.reason().code.clone(),
                    ..Reason::new("rejected", advice)
                },
            })
        }
        Err(failure) => Err(failure),
    }
}

fn post(api: &Api<'_>, arguments: &Value) -> RequestBuilder {
    api.request(Method::POST, "/api/chat.postMessage")
        .header(CONTENT_TYPE, JSON)
        .json(arguments)
}

/// What follows a live message: its permalink and its first comment. Neither ever fails it.
pub(super) async fn finish(
    session: &Session<'_>,
    message: &Message,
    warnings: Vec<String>,
) -> Published {
    let mut published = named(session, message).await;
    published.warnings.splice(0..0, warnings);
    let Some(comment) = content::text(&session.post.content, "first_comment") else {
        return published;
    };
    published.but("no first comment", answer(session, message, comment).await)
}

/// A live message with its permalink.
pub(super) async fn named(session: &Session<'_>, message: &Message) -> Published {
    let permalink = permalink::of(session, message).await;
    let published = Published::at(message.id(), permalink.as_ref().ok().cloned());
    published.but("no permalink", permalink)
}

/// A comment in the message's own thread, or in that which it belongs to. It is sent once: two are worse than none.
async fn answer(session: &Session<'_>, message: &Message, comment: &str) -> Result<(), Failure> {
    let thread = content::thread_of(session)?;
    let arguments = json!({
        "channel": message.channel,
        "thread_ts": thread.as_ref().unwrap_or(&message.ts),
        "text": content::escaped(comment),
    });
    let request = post(&session.api, &arguments);
    let reply = session.send(request, Effect::Follows).await?;
    accept::<Message>(&reply, Effect::Follows).map(drop)
}
