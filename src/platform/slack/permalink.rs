//! Where people see a message.
//!
//! An address is `https://acme.slack.com/archives/C024BE91L/p1503435956000247`; that of a message in a thread goes on
//! with `?thread_ts=1503435900.000100&cid=C024BE91L`. So the first message of a workspace asks for its own, and what
//! stands before `archives` there is the workspace's for as long as the run lives: the others need no request. What
//! Slack's own answer does not bear out is not derived.

use reqwest::Method;
use serde::Deserialize;
use url::{Position, Url};

use super::message::Message;
use super::reply::accept;
use super::{content, thread};
use crate::http::{Effect, Session, unreadable, web_address};
use crate::outcome::Failure;

/// The message's address: derived if its workspace's is known, else asked for.
pub(super) async fn of(session: &Session<'_>, message: &Message) -> Result<String, Failure> {
    let known = &session.api.http.known;
    let is_reply = content::thread_of(session).is_ok_and(|thread| thread.is_some());
    let (Some(workspace), Some(place)) = (workspace(message), place(message, is_reply)) else {
        return ask(session, message).await;
    };
    if let Some(site) = known.get(&workspace) {
        return Ok(format!("{site}{place}"));
    }
    let permalink = ask(session, message).await?;
    if let Some(site) = permalink.strip_suffix(&place).filter(|site| is_site(site)) {
        known.learn(&workspace, site);
    }
    Ok(permalink)
}

/// The name under which the workspace's address is known.
fn workspace(message: &Message) -> Option<String> {
    let team = message.shown["team"].as_str()?;
    Some(format!("slack workspace {team}"))
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
    Url::parse(text).is_ok_and(|url| url[..Position::AfterPath] == *text && url.path() == "/")
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
            (json!({"team": "T1"}), false, Some(alone)),
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
            (json!({"team": "T1"}), true, None),
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
