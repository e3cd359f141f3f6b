//! Lists of messages: a channel's, and a thread's.

use serde_json::{Value, json};

use super::super::post::Post;
use super::super::steps::Step;
use super::super::wire::{Call, Fields, Refused, Reply};
use super::super::world::{Platform, World};
use super::shown::{self, Answer, Threads, WithMetadata, message};
use super::{OLD_MESSAGE, authorize, channel, check_known, ok, refuse, refused};

const ARGS: [&str; 9] = [
    "token",
    "channel",
    "ts",
    "oldest",
    "latest",
    "inclusive",
    "limit",
    "cursor",
    "include_all_metadata",
];

/// A `ts` as microseconds, to compare it.
fn micros(ts: &str) -> Option<i64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let digits = fraction.len() <= 6 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: i64 = digits.then(|| format!("{fraction:0<6}"))?.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(fraction)
}

/// The scope for a conversation of this kind.
fn scope(channel: &str) -> &'static str {
    match channel.as_bytes().first() {
        Some(b'C') => "channels:history|groups:history",
        Some(b'G') => "groups:history|mpim:history",
        _ => "im:history|mpim:history",
    }
}

/// Which part of a list is wanted.
struct Window {
    oldest: i64,
    latest: i64,
    cursor: Option<i64>,
    limit: usize,
    with: WithMetadata,
}

impl Window {
    fn of(fields: &Fields) -> Result<Self, Refused> {
        let time = |name: &str, default| match fields.filled(name) {
            None => Ok(default),
            Some(ts) => micros(ts).ok_or_else(|| refused(&format!("invalid_ts_{name}"))),
        };
        let cursor = fields.filled("cursor").map(micros);
        let limit = match fields.filled("limit").map(str::parse) {
            None => 100,
            Some(Ok(limit @ 1..=999)) => limit,
            Some(_) => return Err(refused("invalid_limit")),
        };
        // Both bounds are exclusive unless the caller says otherwise.
        let edge = i64::from(!fields.flag("inclusive"));
        Ok(Self {
            oldest: time("oldest", 0)?.saturating_add(edge),
            latest: time("latest", i64::MAX)?.saturating_sub(edge),
            cursor: match cursor {
                Some(None) => return Err(refused("invalid_cursor")),
                other => other.flatten(),
            },
            limit,
            with: if fields.flag("include_all_metadata") {
                WithMetadata::Yes
            } else {
                WithMetadata::No
            },
        })
    }

    fn has(&self, ts: i64) -> bool {
        (self.oldest..=self.latest).contains(&ts)
    }
}

/// A page of a list that is in order already.
fn page(listed: Vec<(i64, Value)>, limit: usize) -> Value {
    let has_more = listed.len() > limit;
    let messages: Vec<Value> = listed
        .into_iter()
        .take(limit)
        .map(|(_, message)| message)
        .collect();
    let last = messages.last().and_then(|message| message["ts"].as_str());
    let cursor = last.filter(|_| has_more).unwrap_or_default();
    json!({
        "ok": true,
        "messages": messages,
        "has_more": has_more,
        "response_metadata": {"next_cursor": cursor},
    })
}

fn at(post: &Post) -> i64 {
    micros(&post.id).unwrap_or_default()
}

/// The channel's messages, newest first; of replies only those that the channel sees too.
pub(super) fn of_channel(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    let (channel, window) = open(call, fields)?;
    if fields.get("ts").is_some() {
        return Err(refused("invalid_arg_name"));
    }
    let mut world = call.flight.twin.world();
    let is_seen = |post: &&Post| {
        let is_broadcast = post.details.get("reply_broadcast") == Some(&Value::Bool(true));
        post.reply_to.is_none() || is_broadcast
    };
    let listed = world
        .posts_of(Platform::Slack, channel)
        .filter(is_seen)
        .map(|post| (at(post), post))
        .filter(|(ts, _)| window.has(*ts) && window.cursor.is_none_or(|cursor| *ts < cursor))
        .map(|(ts, post)| (ts, message(&world, post, window.with)))
        .take(window.limit + 1);
    let mut body = page(listed.collect(), window.limit);
    Threads::of(&world, channel).tell(&mut body["messages"]);
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}

/// A thread's messages, oldest first; that which starts it comes first, whatever its time. A message without replies
/// comes alone, also if it is a reply itself.
pub(super) fn of_thread(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    let (channel, window) = open(call, fields)?;
    let mut world = call.flight.twin.world();
    let ts = fields.get("ts").unwrap_or_default();
    let start = start(&world, channel, ts, window.with);
    let start = start.ok_or_else(|| refused("thread_not_found"))?;
    let mut listed = replies(&world, channel, ts, window.with);
    listed.sort_by_key(|(ts, _)| *ts);
    listed.retain(|(ts, _)| window.has(*ts));
    listed.insert(0, (micros(ts).unwrap_or_default(), start));
    listed.retain(|(ts, _)| window.cursor.is_none_or(|cursor| *ts > cursor));
    let mut body = page(listed, window.limit);
    Threads::of(&world, channel).tell(&mut body["messages"]);
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}

/// The message with this `ts`, whatever it is: a message of the app's, a comment, or what was there from the beginning.
fn start(world: &World, channel: &str, ts: &str, with: WithMetadata) -> Option<Value> {
    let post = world.post(Platform::Slack, ts);
    let post = post.filter(|post| post.account == channel);
    let mut answers = world.slack.answers.iter();
    let mut answer = || answers.find(|answer| answer.ts == ts && answer.channel == channel);
    post.map(|post| message(world, post, with))
        .or_else(|| answer().map(Answer::message))
        .or_else(|| (ts == OLD_MESSAGE).then(shown::old_message))
}

fn replies(world: &World, channel: &str, parent: &str, with: WithMetadata) -> Vec<(i64, Value)> {
    let posts = world.posts_of(Platform::Slack, channel);
    let posts = posts
        .filter(|post| post.reply_to.as_deref() == Some(parent))
        .map(|post| (at(post), message(world, post, with)));
    let answers = world.slack.answers.iter();
    let answers = answers
        .filter(|answer| answer.parent == parent && answer.channel == channel)
        .map(|answer| (micros(&answer.ts).unwrap_or_default(), answer.message()));
    posts.chain(answers).collect()
}

fn open<'a>(call: &Call<'_>, fields: &'a Fields) -> Result<(&'a str, Window), Refused> {
    // Without a token there is no channel to be wrong about.
    let kind = fields.get("channel").unwrap_or_default();
    authorize(call, fields, scope(kind))?;
    check_known(fields, &ARGS)?;
    let channel = channel(call, fields, "channel")?;
    let is_member =
        !channel.contains("OUTSIDE") || call.flight.twin.world().slack.joined.contains(channel);
    if !is_member {
        return Err(refused("not_in_channel"));
    }
    Ok((channel, Window::of(fields)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ts_compares_by_time() {
        assert_eq!(micros("1503435956.000247"), Some(1_503_435_956_000_247));
        assert_eq!(micros("1503435956"), Some(1_503_435_956_000_000));
        assert_eq!(micros("1503435956.5"), Some(1_503_435_956_500_000));
        assert_eq!(micros("now"), None);
        assert_eq!(micros("1.-5"), None);
    }
}
