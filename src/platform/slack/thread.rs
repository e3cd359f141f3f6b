//! The names of channels and messages, and which message a reply answers.

use serde_json::Value;
use url::Url;

use crate::post::Content;

/// Public and private channels and direct messages have ids such as `C024BE91L`.
pub(super) fn is_channel(id: &str) -> bool {
    let rest = id.strip_prefix(['C', 'G', 'D']).unwrap_or_default();
    let is_known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    rest.len() >= 2 && rest.bytes().all(is_known)
}

/// A message's `ts`, such as `1503435956.000247`: always text, for a number would lose digits.
pub(super) fn is_ts(ts: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    ts.len() <= 24
        && ts
            .split_once('.')
            .is_some_and(|(seconds, fraction)| is_number(seconds) && is_number(fraction))
}

/// The message that a reply answers.
#[derive(Debug, PartialEq)]
pub(super) struct Parent {
    /// Where it is, where that was said.
    pub(super) channel: Option<String>,
    pub(super) ts: String,
}

/// The message that the post's options name, if they name one.
pub(super) fn parent(content: &Content) -> Result<Option<Parent>, String> {
    let given = |name: &str| content.options.get(name).filter(|value| !value.is_null());
    match (given("thread_ts"), given("reply_to")) {
        (Some(_), Some(_)) => Err("give either `thread_ts` or `reply_to`, not both".to_owned()),
        (Some(ts), None) => match ts_of(ts) {
            Some(ts) => Ok(Some(Parent { channel: None, ts })),
            None => Err(format!(
                "option `thread_ts` must be a message's ts, such as \"1503435956.000247\", not {ts}"
            )),
        },
        (None, Some(target)) => {
            let parent = target.as_str().and_then(named);
            let problem = || {
                format!(
                    "option `reply_to` must be a message's permalink or CHANNEL:TS, such as \
                     \"C024BE91L:1503435956.000247\", not {target}"
                )
            };
            parent.map(Some).ok_or_else(problem)
        }
        (None, None) => Ok(None),
    }
}

/// A spreadsheet makes a number of it, which still tells the six digits after the point.
fn ts_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => format!("{:.6}", number.as_f64()?),
        _ => return None,
    };
    is_ts(&text).then_some(text)
}

fn named(target: &str) -> Option<Parent> {
    let target = target.trim();
    let (channel, ts) = match target.split_once(':') {
        Some((channel, ts)) if is_channel(channel) => (channel.to_owned(), ts.to_owned()),
        _ => of_permalink(&Url::parse(target).ok()?)?,
    };
    (is_channel(&channel) && is_ts(&ts)).then_some(Parent {
        channel: Some(channel),
        ts,
    })
}

/// `https://acme.slack.com/archives/C024BE91L/p1503435956000247`; a reply's has its thread in the query.
fn of_permalink(url: &Url) -> Option<(String, String)> {
    let mut path = url.path_segments()?;
    let (Some("archives"), Some(channel), Some(message)) = (path.next(), path.next(), path.next())
    else {
        return None;
    };
    let thread = url.query_pairs().find(|(name, _)| name == "thread_ts");
    if let Some((_, thread)) = thread {
        return Some((channel.to_owned(), thread.into_owned()));
    }
    let digits = message.strip_prefix('p')?;
    let (seconds, fraction) = digits.split_at_checked(digits.len().checked_sub(6)?)?;
    Some((channel.to_owned(), format!("{seconds}.{fraction}")))
}
