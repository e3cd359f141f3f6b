//! What became of a message whose answer was lost: the channel shows it, or a file's shares do.
//!
//! Only what is found is certain. What is not found may still come, so it is never sent again.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::checkpoint::{Checkpoint, Doubt, Subject};
use super::message::{Message, finish};
use super::reply::accept;
use super::{content, files, thread};
use crate::http::{Effect, Session};
use crate::outcome::{Failure, Reason};
use crate::platform::Step;

/// How long each look comes after the one before: half a minute in all.
const LOOKS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
    Duration::from_secs(15),
];
/// A look-up that is told to come again later than this would come after the run.
const PATIENCE: Duration = Duration::from_mins(1);
/// How far our clock may be ahead of Slack's, in seconds.
const SKEW: i64 = 300;
/// More messages than a channel gets in that time.
const PAGE: &str = "100";

/// What is in doubt from now on is looked up after a while.
pub(super) fn begin(subject: Subject, reason: Reason) -> Step {
    let doubt = Doubt::of(subject, &reason);
    Step::Doubt {
        checkpoint: Checkpoint::Doubt(doubt).value(),
        after: LOOKS[0],
        reason,
    }
}

fn later(doubt: Doubt) -> Step {
    let after = LOOKS[doubt.looks.min(LOOKS.len() - 1)];
    let reason = doubt.reason();
    Step::Doubt {
        checkpoint: Checkpoint::Doubt(doubt).value(),
        after,
        reason,
    }
}

/// Looks once.
pub(super) async fn step(session: &Session<'_>, mut doubt: Doubt) -> Result<Step, Failure> {
    let found = match &doubt.subject {
        Subject::Message { since } => find(session, *since).await,
        Subject::File { id } => files::share(session, id).await,
    };
    doubt.looks = doubt.looks.saturating_add(1);
    let is_last = doubt.looks >= LOOKS.len();
    let unconfirmed = |why: &str| {
        let reason = doubt.reason().but(why);
        Failure::Unconfirmed { reason }
    };
    match found {
        Ok(Some(message)) => {
            session.accepted(&message.id());
            Ok(Step::Done(finish(session, &message, Vec::new()).await))
        }
        Ok(None) if is_last => Err(unconfirmed("it is not in the channel so far")),
        Ok(None) => Ok(later(doubt)),
        // A fault of the moment: the next look may tell.
        Err(Failure::Retry { .. }) if !is_last => Ok(later(doubt)),
        Err(Failure::RateLimited { after, .. }) if !is_last && after <= PATIENCE => {
            let reason = doubt.reason();
            Ok(Step::Doubt {
                checkpoint: Checkpoint::Doubt(doubt).value(),
                after,
                reason,
            })
        }
        Err(failure) => Err(unconfirmed(&not_looked_up(failure.reason()))),
    }
}

pub(super) fn not_looked_up(why: &Reason) -> String {
    format!("the channel can't be searched for it: {}", why.message)
}

/// Messages of a channel or a thread.
#[derive(Deserialize)]
pub(super) struct History {
    pub(super) messages: Vec<Listed>,
    #[serde(default)]
    pub(super) has_more: bool,
    #[serde(default)]
    response_metadata: Option<Cursor>,
}

#[derive(Deserialize)]
struct Cursor {
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) ts: String,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default)]
    pub(super) bot_id: Option<String>,
    #[serde(default)]
    pub(super) files: Vec<ListedFile>,
    #[serde(default)]
    pub(super) metadata: Value,
}

#[derive(Deserialize)]
pub(super) struct ListedFile {
    #[serde(default)]
    pub(super) id: String,
}

impl History {
    /// Where the next page begins, if there is one.
    pub(super) fn next(&self) -> Option<&str> {
        let next = self.response_metadata.as_ref()?.next_cursor.as_deref();
        next.filter(|cursor| !cursor.is_empty())
    }
}

impl Listed {
    /// Whether its metadata are this post's.
    pub(super) fn is_ours(&self, own: &Value) -> bool {
        let same = |name: &str| self.metadata[name] == own[name];
        same("event_type") && same("event_payload")
    }
}

/// A page of the channel's messages since then, in Unix seconds, newest first; for a reply of its thread's.
pub(super) async fn page(
    session: &Session<'_>,
    since: i64,
    cursor: Option<&str>,
) -> Result<History, Failure> {
    let channel = &session.api.account.external_id;
    let oldest = since.max(0).to_string();
    let mut query = vec![
        ("channel", channel.as_str()),
        ("oldest", &oldest),
        ("inclusive", "true"),
        ("limit", PAGE),
        ("include_all_metadata", "true"),
    ];
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let parent = content::thread_of(session)?;
    let path = match &parent {
        Some(parent) => {
            query.push(("ts", parent));
            "/api/conversations.replies"
        }
        None => "/api/conversations.history",
    };
    let request = session.api.request(Method::GET, path).query(&query);
    let reply = session.send(request, Effect::Reads).await?;
    accept(&reply, Effect::Reads)
}

/// The message in its channel, or in its thread, that has this post's metadata.
async fn find(session: &Session<'_>, since: i64) -> Result<Option<Message>, Failure> {
    let history = page(session, since.saturating_sub(SKEW), None).await?;
    let own = content::metadata(session);
    let mut messages = history.messages.into_iter();
    let found = messages.find(|listed| listed.is_ours(&own) && thread::is_ts(&listed.ts));
    Ok(found.map(|listed| Message {
        channel: session.api.account.external_id.clone(),
        ts: listed.ts,
    }))
}
