//! What became of a post that may be live, asked by a later run: its files tell, or every message since its time.

use chrono::TimeDelta;
use serde_json::Value;

use super::checkpoint::{Checkpoint, Doubt, Shared, Subject};
use super::content::{self, Form};
use super::lookup::{Listed, not_looked_up, page};
use super::message::{Message, named};
use super::{files, thread};
use crate::http::Session;
use crate::outcome::{Failure, Published, Reason};
use crate::platform::{Found, likeness};

/// A message is not made earlier than so long before its post's time.
const EARLIEST: TimeDelta = TimeDelta::minutes(5);
/// So many pages of 100 messages are read.
const PAGES: usize = 5;

/// Looks for it. Nothing is sent.
pub(super) async fn look(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    let files = match checkpoint.map(Checkpoint::read) {
        Some(Ok(Checkpoint::Shared(shared))) => return Ok(shared_as(session, shared).await),
        Some(Ok(Checkpoint::Files(files))) => files.stored,
        Some(Ok(Checkpoint::Doubt(Doubt {
            subject: Subject::File { id },
            ..
        }))) => vec![id],
        _ => Vec::new(),
    };
    if let Some(first) = files.first() {
        match files::share(session, first).await {
            Ok(Some(message)) => return Ok(live(session, &message).await),
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
    in_channel(session, &files).await
}

/// Files that were shared for sure.
async fn shared_as(session: &Session<'_>, shared: Shared) -> Found {
    let why = match files::share(session, &shared.file).await {
        Ok(Some(message)) => return live(session, &message).await,
        Ok(None) => "Slack does not show it".to_owned(),
        Err(failure) => failure.reason().message.clone(),
    };
    Found::Live(without_comment(session, files::nameless(shared, &why)))
}

async fn live(session: &Session<'_>, message: &Message) -> Found {
    let published = named(session, message).await;
    Found::Live(without_comment(session, published))
}

fn without_comment(session: &Session<'_>, mut published: Published) -> Published {
    if content::text(&session.post.content, "first_comment").is_some() {
        let warning = "the first comment was not sent".to_owned();
        published.warnings.push(warning);
    }
    published
}

fn is_refusal(failure: &Failure) -> bool {
    let code = failure.reason().code.as_deref();
    matches!(failure, Failure::Rejected { .. }) || code == Some("missing_scope")
}

/// Reads all messages since the post's time.
async fn in_channel(session: &Session<'_>, files: &[String]) -> Result<Found, Failure> {
    let since = (session.post.scheduled_at - EARLIEST).timestamp();
    let mut search = Search::of(session, files)?;
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let history = match page(session, since, cursor.as_deref()).await {
            Ok(history) => history,
            Err(failure) => return not_told(failure),
        };
        let next = history.next().map(str::to_owned);
        let is_end = !history.has_more && next.is_none();
        for listed in history.messages {
            search.take(listed);
        }
        if is_end || !search.marked.is_empty() {
            return Ok(search.end().await);
        }
        if next.is_none() {
            break;
        }
        cursor = next;
    }
    Ok(Found::Unknown(
        "the channel has too many newer messages to find it among them",
    ))
}

/// Why the channel can't be read: a matter of its own, not the message's.
fn not_told(failure: Failure) -> Result<Found, Failure> {
    match failure.reason().code.as_deref() {
        Some("missing_scope") => Ok(Found::Unknown(
            "the token may not read the channel (scope channels:history; groups:history if it is private, im:history \
             if it is a direct message)",
        )),
        Some("not_in_channel") => Ok(Found::Unknown(
            "the app is not in the channel, and so can't read it",
        )),
        _ => Err(match failure {
            Failure::Rejected { reason } => Failure::Unconfirmed {
                reason: Reason {
                    class: "unconfirmed",
                    message: not_looked_up(&reason),
                    ..reason
                },
            },
            other => other,
        }),
    }
}

/// The messages of the time in question that may be the one.
struct Search<'a> {
    session: &'a Session<'a>,
    own: Value,
    thread: Option<String>,
    text: String,
    /// Those of the post's files whose ids are known.
    files: &'a [String],
    /// How many files its message has, if it is made of files.
    count: usize,
    form: Form,
    /// By metadata or by a file's id: nothing else can be it.
    marked: Vec<String>,
    /// By text and number of files.
    fitting: Vec<String>,
    /// There is one of which nobody can tell whether it is the one.
    is_in_doubt: bool,
}

impl<'a> Search<'a> {
    fn of(session: &'a Session<'a>, files: &'a [String]) -> Result<Self, Failure> {
        let content = &session.post.content;
        let media = content::media(session)?;
        Ok(Self {
            session,
            own: content::metadata(session),
            thread: content::thread_of(session)?,
            text: readable(&content::plain(content)),
            files,
            count: media.len(),
            form: Form::of(content, &media, &session.api.limits),
            marked: Vec::new(),
            fitting: Vec::new(),
            is_in_doubt: false,
        })
    }

    fn take(&mut self, listed: Listed) {
        let starts_thread = self.thread.as_ref() == Some(&listed.ts);
        if starts_thread || !thread::is_ts(&listed.ts) {
            return;
        }
        let is_known = |id: &String| listed.files.iter().any(|file| file.id == *id);
        if listed.is_ours(&self.own) || self.files.iter().any(is_known) {
            self.marked.push(listed.ts);
            return;
        }
        // Metadata of another post, or of another app.
        if !listed.metadata.is_null() {
            return;
        }
        let text = readable(&unescaped(&listed.text));
        let may_be_it = if listed.files.is_empty() {
            // It would have our metadata, unless Slack dropped them.
            self.form != Form::Files && listed.bot_id.is_some()
        } else {
            matches!(self.form, Form::Files | Form::Unknown)
        };
        let has_all = listed.files.len() == self.count && !listed.files.is_empty();
        if may_be_it && has_all && likeness::is_same(&self.text, &text) && !text.is_empty() {
            self.fitting.push(listed.ts);
        } else if may_be_it && likeness::is_alike(&self.text, &text) {
            self.is_in_doubt = true;
        }
    }

    async fn end(self) -> Found {
        // Should there be several with its mark, the first one is the post.
        let first = self.marked.iter().min();
        match (first, self.fitting.as_slice()) {
            (Some(ts), _) | (None, [ts]) => {
                let message = Message {
                    channel: self.session.api.account.external_id.clone(),
                    ts: ts.clone(),
                };
                live(self.session, &message).await
            }
            (None, []) if !self.is_in_doubt => Found::Absent,
            (None, []) => Found::Unknown("the channel has a message that resembles it"),
            _ => Found::Unknown("the channel has several messages like it"),
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
        assert!(likeness::is_same("Hi you", &listed));
        assert!(likeness::is_alike(&sent, &listed));
    }
}
