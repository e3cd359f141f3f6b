//! What became of a message whose answer was lost: a file's shares tell, or the channel shows it.

use chrono::DateTime;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::checkpoint::{Checkpoint, Shared};
use super::content::{self, Form};
use super::message::{Message, finish, named};
use super::reply::accept;
use super::{files, thread};
use crate::http::{Effect, Session};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Found;
use crate::platform::likeness::Likeness;
use crate::platform::search::{self, Listed, Page, Verdict};

/// So many messages are read at once.
const PAGE: &str = "100";

/// Looks for it. Nothing is sent.
pub(super) async fn look(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    let readable = checkpoint.filter(|value| Checkpoint::read(value).is_ok());
    let files = match readable.map(Checkpoint::read) {
        Some(Ok(Checkpoint::Shared(shared))) => {
            return Ok(Found::Live(shared_as(session, shared).await));
        }
        Some(Ok(Checkpoint::Files(files))) => files.stored,
        Some(Ok(Checkpoint::Doubt { subject })) => {
            let file = subject["file"]["id"].as_str();
            file.into_iter().map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    if let Some(first) = files.first() {
        match files::share(session, first).await {
            Ok(Some(message)) => return Ok(Found::Live(live(session, &message).await)),
            Ok(None) => {}
            // The channel may tell all the same.
            Err(failure) if is_refusal(&failure) => {}
            Err(failure) => return Err(failure),
        }
    }
    if content::is_persons(session) {
        return Ok(Found::Unknown(
            "messages that are sent with a person's token have no mark to be found by",
        ));
    }
    match in_channel(session, &files).await {
        Ok(verdict) => Ok(verdict
            .found(readable.cloned(), async |message| {
                live(session, &message).await
            })
            .await),
        Err(failure) => not_told(failure),
    }
}

/// Files that were shared for sure.
async fn shared_as(session: &Session<'_>, shared: Shared) -> Published {
    let why = match files::share(session, &shared.file).await {
        Ok(Some(message)) => return live(session, &message).await,
        Ok(None) => "Slack does not show it".to_owned(),
        Err(failure) => failure.reason().message.clone(),
    };
    uncommented(session, files::nameless(shared, &why))
}

async fn live(session: &Session<'_>, message: &Message) -> Published {
    if search::may_follow(session) {
        session.accepted(&message.id());
        return finish(session, message, Vec::new()).await;
    }
    uncommented(session, named(session, message).await)
}

fn uncommented(session: &Session<'_>, published: Published) -> Published {
    let is_wanted = content::text(&session.post.content, "first_comment").is_some();
    search::without(published, "the first comment was not sent", is_wanted)
}

fn is_refusal(failure: &Failure) -> bool {
    matches!(failure, Failure::Rejected { .. }) || failure.reason().is("missing_scope")
}

/// Why the channel can't be read: a matter of its own, not the message's.
fn not_told(failure: Failure) -> Result<Found, Failure> {
    let reason = failure.reason();
    if reason.is("missing_scope") {
        return Ok(Found::Unknown(
            "the token may not read the channel (scope channels:history; groups:history if it is private, im:history \
             if it is a direct message)",
        ));
    }
    if reason.is("not_in_channel") {
        return Ok(Found::Unknown(
            "the app is not in the channel, and so can't read it",
        ));
    }
    Err(match failure {
        Failure::Rejected { reason } => Failure::Unconfirmed {
            reason: Reason {
                class: "unconfirmed",
                message: format!("the channel can't be searched for it: {}", reason.message),
                ..reason
            },
        },
        other => other,
    })
}

/// Messages of a channel or a thread.
#[derive(Deserialize)]
struct History {
    messages: Vec<Entry>,
    #[serde(default)]
    response_metadata: Option<Cursor>,
}

#[derive(Deserialize)]
struct Cursor {
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    ts: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    bot_id: Option<String>,
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    id: String,
}

/// Reads all messages since the post's time; those of its thread, if it is a reply.
async fn in_channel(session: &Session<'_>, files: &[String]) -> Result<Verdict<Message>, Failure> {
    let sought = Sought::of(session, files)?;
    let since = search::earliest(session);
    search::search(since, async |cursor: Option<String>| {
        let oldest = since.timestamp().max(0).to_string();
        let mut query = vec![
            ("channel", session.api.account.external_id.as_str()),
            ("oldest", &oldest),
            ("inclusive", "true"),
            ("limit", PAGE),
            ("include_all_metadata", "true"),
        ];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let path = match &sought.thread {
            Some(parent) => {
                query.push(("ts", parent));
                "/api/conversations.replies"
            }
            None => "/api/conversations.history",
        };
        let request = session.api.request(Method::GET, path).query(&query);
        let reply = session.send(request, Effect::Reads).await?;
        let History {
            messages,
            response_metadata,
        } = accept(&reply, Effect::Reads)?;
        let next = response_metadata.and_then(|cursor| cursor.next_cursor);
        Ok(Page {
            listed: messages
                .into_iter()
                .filter_map(|entry| sought.listed(session, &entry))
                .collect(),
            next: next.filter(|cursor| !cursor.is_empty()),
        })
    })
    .await
}

/// What is looked for.
struct Sought<'a> {
    own: Value,
    thread: Option<String>,
    text: String,
    /// Those of the post's files whose ids are known.
    files: &'a [String],
    /// How many files its message has, if it is made of files.
    count: usize,
    form: Form,
}

impl<'a> Sought<'a> {
    fn of(session: &Session<'_>, files: &'a [String]) -> Result<Self, Failure> {
        let content = &session.post.content;
        let media = content::media(session)?;
        Ok(Self {
            own: content::metadata(session),
            thread: content::thread_of(session)?,
            text: readable(&content::plain(content)),
            files,
            count: media.len(),
            form: Form::of(content, &media, &session.api.limits),
        })
    }

    /// None if it is what the thread began with.
    fn listed(&self, session: &Session<'_>, entry: &Entry) -> Option<Listed<Message>> {
        let starts_thread = self.thread.as_ref() == Some(&entry.ts);
        if starts_thread || !thread::is_ts(&entry.ts) {
            return None;
        }
        let seconds = entry.ts.split('.').next()?.parse().ok()?;
        Some(Listed {
            made_at: DateTime::from_timestamp(seconds, 0),
            likeness: self.likeness(entry),
            what: Message::at(&session.api.account.external_id, &entry.ts),
        })
    }

    fn likeness(&self, entry: &Entry) -> Likeness {
        let is_ours = |name: &str| entry.metadata[name] == self.own[name];
        let is_known = |file: &File| self.files.contains(&file.id);
        if is_ours("event_type") && is_ours("event_payload") || entry.files.iter().any(is_known) {
            return Likeness::Itself;
        }
        let may_be_it = if !entry.metadata.is_null() {
            // Those of another post, or of another app.
            false
        } else if entry.files.is_empty() {
            // It would have our metadata, unless Slack dropped them.
            self.form != Form::Files && entry.bot_id.is_some()
        } else {
            matches!(self.form, Form::Files | Form::Unknown)
        };
        if !may_be_it {
            return Likeness::Other;
        }
        let text = readable(&unescaped(&entry.text));
        let likeness = Likeness::of(&self.text, &text);
        let has_all = entry.files.len() == self.count && !entry.files.is_empty();
        if has_all && !text.is_empty() {
            likeness
        } else {
            likeness.unsure()
        }
    }
}

/// Text as it was before Slack's markup: an address stands for its link, and three signs are plain.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('<') {
        plain.push_str(before);
        let (link, after) = link.split_once('>').unwrap_or((link, ""));
        plain.push_str(link.split('|').next().unwrap_or(link));
        rest = after;
    }
    plain.push_str(rest);
    // `&amp;` last: `&amp;lt;` is the text `&lt;`.
    plain
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// Text without the names of emoji: Slack writes `:smile:` for one that was sent as a character.
fn readable(text: &str) -> String {
    let is_name = |part: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'');
        let is_time = part.bytes().all(|b| b.is_ascii_digit());
        part.chars().all(is_known) && !is_time
    };
    let mut readable = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(':') {
        readable.push_str(before);
        rest = match after.split_once(':') {
            Some((name, after)) if is_name(name) => after,
            _ => {
                readable.push(':');
                after
            }
        };
    }
    readable.push_str(rest);
    readable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slacks_markup_is_undone() {
        for (listed, text) in [
            ("a &amp;lt; b", "a &lt; b"),
            (
                "see <https://a.example/?x&amp;y|here> now",
                "see https://a.example/?x&y now",
            ),
            ("<https://a.example/>", "https://a.example/"),
        ] {
            assert_eq!(unescaped(listed), text);
        }
        assert_eq!(readable("Hi :smile: at 12:30:45 :+1:"), "Hi  at 12:30:45 ");
    }

    #[test]
    fn an_emoji_and_its_name_are_alike() {
        let (sent, listed) = (readable("Hi \u{1f600} you"), readable("Hi :grinning: you"));
        assert_eq!(Likeness::of("Hi you", &listed), Likeness::Same);
        assert_eq!(Likeness::of(&sent, &listed), Likeness::Similar);
    }
}
