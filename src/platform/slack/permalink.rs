//! Where people see a message.
//!
//! An address is `https://acme.slack.com/archives/C024BE91L/p1503435956000247`; that of a message in a thread goes on
//! with `?thread_ts=1503435900.000100&cid=C024BE91L`. What stands before `archives` is the workspace's, which `auth.test`
//! tells: it is asked once in a run for each token, and the messages need no request of their own.

use std::hash::{DefaultHasher, Hash, Hasher};

use reqwest::Method;
use serde::Deserialize;
use url::Position;

use super::message::Message;
use super::reply::accept;
use super::{content, thread};
use crate::http::{Effect, Session, unreadable, web_address};
use crate::outcome::{Failure, Reason};

/// The message's address: derived where its place is known, else asked for.
pub(super) async fn of(session: &Session<'_>, message: &Message) -> Result<String, Failure> {
    let is_reply = content::thread_of(session).is_ok_and(|thread| thread.is_some());
    match place(message, is_reply) {
        Some(place) => Ok(format!("{}{place}", site(session).await?)),
        None => ask(session, message).await,
    }
}

/// The workspace's address. What Slack has told of it holds for as long as the run lives, also if it told none.
async fn site(session: &Session<'_>) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        url: String,
    }
    let mut hasher = DefaultHasher::new();
    session.api.token().hash(&mut hasher);
    let name = format!("slack workspace of {:x}", hasher.finish());
    let known = &session.api.http.known;
    let site = if let Some(site) = known.get(&name) {
        site
    } else {
        let request = session.api.request(Method::POST, "/api/auth.test");
        let reply = session.send(request, Effect::Reads).await?;
        let Told { url } = accept(&reply, Effect::Reads)?;
        known.learn(&name, &url);
        url
    };
    if is_site(&site) {
        return Ok(site);
    }
    let message = "Slack does not tell the address of the workspace";
    Err(Failure::Retry {
        after: None,
        reason: Reason::new("bad_reply", message),
    })
}

/// What follows the workspace's address; none of a reply whose thread Slack does not name.
fn place(message: &Message, is_reply: bool) -> Option<String> {
    let Message { channel, ts, shown } = message;
    let place = format!("archives/{channel}/p{}", ts.replace('.', ""));
    match shown["thread_ts"].as_str() {
        Some(parent) if parent != ts => {
            thread::is_ts(parent).then(|| format!("{place}?thread_ts={parent}&cid={channel}"))
        }
        _ if is_reply => None,
        _ => Some(place),
    }
}

/// Whether it is all of an address before its path.
fn is_site(text: &str) -> bool {
    web_address(text).is_ok_and(|url| url[..Position::AfterPath] == *text && url.path() == "/")
}

async fn ask(session: &Session<'_>, message: &Message) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Permalink {
        permalink: String,
    }
    let query = [("channel", &message.channel), ("message_ts", &message.ts)];
    let request = session
        .api
        .request(Method::GET, "/api/chat.getPermalink")
        .query(&query);
    let reply = session.send(request, Effect::Reads).await?;
    let Permalink { permalink } = accept(&reply, Effect::Reads)?;
    let address = web_address(&permalink).map_err(|_| unreadable(&reply, Effect::Reads))?;
    Ok(address.into())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message(shown: Value) -> Message {
        Message {
            shown,
            ..Message::at("C024BE91L", "1503435956.000247")
        }
    }

    #[test]
    fn a_message_is_below_its_workspace() {
        let alone = "archives/C024BE91L/p1503435956000247";
        let in_thread = format!("{alone}?thread_ts=1503435900.000100&cid=C024BE91L");
        for (shown, is_reply, expected) in [
            (Value::Null, false, Some(alone)),
            // The first of a thread says so, too.
            (
                json!({"thread_ts": "1503435956.000247"}),
                false,
                Some(alone),
            ),
            (
                json!({"thread_ts": "1503435900.000100"}),
                true,
                Some(&in_thread),
            ),
            (
                json!({"thread_ts": "1503435900.000100"}),
                false,
                Some(&in_thread),
            ),
            (json!({"thread_ts": "x&y"}), true, None),
            (Value::Null, true, None),
        ] {
            let place = place(&message(shown.clone()), is_reply);
            assert_eq!(place.as_deref(), expected, "{shown}");
        }
    }

    #[test]
    fn a_site_is_all_before_the_path() {
        for (text, fine) in [
            ("https://acme.slack.com/", true),
            ("https://acme.slack.com", false),
            ("https://acme.slack.com/x/", false),
            ("https://acme.slack.com/?to=", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_site(text), fine, "{text}");
        }
    }
}
