//! What a post says, in Slack's own forms.

use serde_json::{Value, json};

use super::thread;
use crate::http::Session;
use crate::limits::Limits;
use crate::media::Facts;
use crate::outcome::Failure;
use crate::post::{Content, Kind, Media};

/// What an image block shows.
const SHOWN: &[&str] = &["image/png", "image/jpeg", "image/gif"];
/// An image block must have a text for those who can't see it.
const NO_ALT: &str = "image";

/// How a post's media travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// There are none.
    Text,
    /// Slack fetches every one of them.
    Images,
    /// All are uploaded.
    Files,
    /// That depends on what an address leads to, and nobody has looked yet.
    Unknown,
}

impl Form {
    pub(super) fn of(content: &Content, media: &[(Media, Facts)], limits: &Limits<'_>) -> Self {
        if media.is_empty() {
            return Self::Text;
        }
        let longest = limits.count("image_url_chars");
        let uploads = media.iter().map(|(medium, facts)| {
            let url = medium.url.as_deref().filter(|url| !url.starts_with("s3:"));
            match (url, &facts.mime) {
                // An address made for an object ends after an hour, and Slack fetches images anew later on.
                (None, _) => Some(true),
                (Some(url), _) if url.chars().count() as u64 > longest => Some(true),
                (Some(_), Some(mime)) => Some(!SHOWN.contains(&mime.as_str())),
                (Some(_), None) => None,
            }
        });
        let uploads: Vec<Option<bool>> = uploads.collect();
        if flag(content, "upload") == Some(true) || uploads.contains(&Some(true)) {
            Self::Files
        } else if uploads.contains(&None) {
            Self::Unknown
        } else {
            Self::Images
        }
    }
}

/// The post's media with what is known of them.
pub(super) fn media(session: &Session<'_>) -> Result<Vec<(Media, Facts)>, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let facts = session.facts.iter().cloned();
    let facts = facts.chain(std::iter::repeat_with(Facts::default));
    Ok(media.into_iter().zip(facts).collect())
}

/// An option that is true or false, if it is there.
pub(super) fn flag(content: &Content, name: &str) -> Option<bool> {
    content.options.get(name).and_then(Value::as_bool)
}

/// An option that is a text, unless it is blank.
pub(super) fn text<'a>(content: &'a Content, name: &str) -> Option<&'a str> {
    content
        .option(name)
        .filter(|value| !value.trim().is_empty())
}

pub(super) fn is_markdown(content: &Content) -> bool {
    flag(content, "markdown") == Some(true)
}

/// The body with the link on a line of its own, as a person wrote it.
pub(super) fn plain(content: &Content) -> String {
    let parts = [Some(content.body.as_str()), content.link.as_deref()];
    let filled = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.trim().is_empty());
    filled.collect::<Vec<_>>().join("\n")
}

/// Text as Slack's markup wants it: nothing in it is a mention or a command.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Whether the token is a person's: Slack takes metadata from apps alone, so their messages can't be looked up.
pub(super) fn is_persons(session: &Session<'_>) -> bool {
    let token = session.api.token();
    token
        .strip_prefix("xoxe.")
        .unwrap_or(token)
        .starts_with("xoxp-")
}

/// The thread that the post goes to. A reply to a message elsewhere is refused.
pub(super) fn thread_of(session: &Session<'_>) -> Result<Option<String>, Failure> {
    let content = &session.post.content;
    if content.kind != Kind::Reply {
        return Ok(None);
    }
    let parent = thread::parent(content).map_err(Failure::rejected)?;
    let Some(parent) = parent else {
        return Err(Failure::rejected(
            "a reply on Slack needs the option `thread_ts` or `reply_to`",
        ));
    };
    let own = &session.api.account.external_id;
    match parent.channel {
        Some(channel) if channel != *own => Err(Failure::rejected(format!(
            "the reply goes to a message in {channel}, but the account is the channel {own}"
        ))),
        _ => Ok(Some(parent.ts)),
    }
}

/// Under which name and with which picture it appears, where the post says so.
pub(super) fn guise(content: &Content) -> impl Iterator<Item = (&'static str, &str)> {
    let names = ["username", "icon_emoji", "icon_url"].into_iter();
    names.filter_map(|name| Some((name, text(content, name)?)))
}

/// The arguments of `chat.postMessage`.
pub(super) fn arguments(session: &Session<'_>) -> Result<Value, Failure> {
    let post = session.post;
    let content = &post.content;
    let mut arguments = json!({
        "channel": post.account.external_id,
        "unfurl_links": flag(content, "unfurl").unwrap_or(content.link.is_some()),
    });
    let mut set = |name: &str, value: Value| arguments[name] = value;
    if !is_persons(session) {
        set("metadata", metadata(session));
    }
    if let Some(unfurl) = flag(content, "unfurl") {
        set("unfurl_media", unfurl.into());
    }
    for (name, value) in guise(content) {
        set(name, value.into());
    }
    if let Some(thread) = thread_of(session)? {
        set("thread_ts", thread.into());
        if flag(content, "reply_broadcast") == Some(true) {
            set("reply_broadcast", true.into());
        }
    }
    let media = content.media().map_err(Failure::rejected)?;
    if is_markdown(content) {
        set("markdown_text", plain(content).into());
    } else if media.is_empty() {
        set("text", escaped(&plain(content)).into());
    } else {
        let section = usize::try_from(session.api.limits.count("section_chars"));
        let blocks = blocks(content, &media, section.unwrap_or(usize::MAX));
        set("text", fallback(content, &media).into());
        set("blocks", blocks);
    }
    Ok(arguments)
}

/// What a look-up knows the message by: the post's number, and its time lest another database's post is taken for it.
pub(super) fn metadata(session: &Session<'_>) -> Value {
    let post = session.post;
    let payload = json!({"id": post.id.to_string(), "scheduled_at": post.scheduled_at});
    json!({"event_type": "publisher_post", "event_payload": payload})
}

/// What notifications show of a message with images.
fn fallback(content: &Content, media: &[Media]) -> String {
    let text = plain(content);
    if !text.is_empty() {
        return escaped(&text);
    }
    let alts = media
        .iter()
        .map(|medium| medium.alt.as_deref().unwrap_or(NO_ALT));
    escaped(&alts.collect::<Vec<_>>().join("\n"))
}

fn blocks(content: &Content, media: &[Media], section: usize) -> Value {
    let texts = sections(&plain(content), section);
    let texts = texts
        .into_iter()
        .map(|text| json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}));
    let images = media.iter().map(|medium| {
        let alt = medium.alt.as_deref().filter(|alt| !alt.trim().is_empty());
        let mut image = json!({
            "type": "image", "image_url": medium.url, "alt_text": alt.unwrap_or(NO_ALT),
        });
        if media.len() == 1
            && let Some(title) = text(content, "title")
        {
            image["title"] = json!({"type": "plain_text", "text": title});
        }
        image
    });
    texts.chain(images).collect()
}

/// The text, escaped, in pieces of at most `limit` characters: cut at the end of a line or a word, where there is one.
pub(super) fn sections(text: &str, limit: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = fitting(rest, limit);
        let (piece, after) = rest.split_at(cut(rest, end));
        if !piece.trim().is_empty() {
            pieces.push(escaped(piece.trim_end()));
        }
        // The blank that it was cut at.
        rest = after.strip_prefix(char::is_whitespace).unwrap_or(after);
    }
    pieces
}

/// Where to cut a text of which so much fits. A blank right after that is a good place, too.
fn cut(text: &str, end: usize) -> usize {
    let Some(next) = text[end..].chars().next() else {
        return end;
    };
    let window = &text[..end + next.len_utf8()];
    let blank = window
        .rfind('\n')
        .or_else(|| window.rfind(char::is_whitespace));
    blank.filter(|cut| *cut > 0).unwrap_or(end)
}

/// Where the longest beginning ends that has at most `limit` characters once it is escaped; at least one character.
fn fitting(text: &str, limit: usize) -> usize {
    let mut count = 0;
    for (at, character) in text.char_indices() {
        count += match character {
            '&' => 5,
            '<' | '>' => 4,
            _ => 1,
        };
        if count > limit && at > 0 {
            return at;
        }
    }
    text.len()
}
