//! Messages as replies and lists show them: a bot's, as Slack writes them today.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::post::Post;
use super::super::world::{Platform, World};
use super::{APP, BOT, BOT_USER, NAME, OLD_MESSAGE, TEAM, escape};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum WithMetadata {
    Yes,
    No,
}

/// A reply that is a comment here.
pub(super) struct Answer {
    pub(super) ts: String,
    pub(super) channel: String,
    /// The message that it answers.
    pub(super) parent: String,
    pub(super) text: String,
    /// The blocks that it was sent with.
    pub(super) blocks: Option<Value>,
}

impl Answer {
    pub(super) fn message(&self) -> Value {
        let mut message = bot_message(&self.ts, &self.text);
        message["thread_ts"] = self.parent.as_str().into();
        if let Some(blocks) = &self.blocks {
            message["blocks"] = blocks.clone();
        }
        message
    }
}

/// A post of the app's.
pub(super) fn message(world: &World, post: &Post, with: WithMetadata) -> Value {
    let detail = |name: &str| post.details.get(name);
    let notification = detail("notification").and_then(Value::as_str);
    let mut message = bot_message(&post.id, notification.unwrap_or(&post.text));
    if let Some(blocks) = world.slack.blocks.get(&post.id) {
        message["blocks"] = blocks.clone();
    }
    if let Some(thread) = &post.reply_to {
        message["thread_ts"] = thread.as_str().into();
    }
    if let Some(files) = detail("files").and_then(Value::as_array) {
        message["files"] = files.iter().map(|id| json!({ "id": id })).collect();
    }
    if let (Some(metadata), WithMetadata::Yes) = (detail("metadata"), with) {
        message["metadata"] = metadata.clone();
    }
    disguise(&mut message, post);
    message
}

/// What every message of the app's has.
fn bot_message(ts: &str, text: &str) -> Value {
    let icon = |size: u32| format!("https://a.slack-edge.com/80588/img/plugins/app/bot_{size}.png");
    let mut message = json!({
        "type": "message",
        "user": BOT_USER,
        "bot_id": BOT,
        "app_id": APP,
        "team": TEAM,
        "bot_profile": {
            "id": BOT, "app_id": APP, "name": NAME, "team_id": TEAM, "deleted": false, "updated": 1_700_000_000,
            "icons": {"image_36": icon(36), "image_48": icon(48), "image_72": icon(72)},
        },
        "text": escape(text),
        "ts": ts,
    });
    if !text.is_empty() {
        message["blocks"] = json!([rich_text(text)]);
    }
    message
}

/// The block that Slack makes of a text that came without blocks.
fn rich_text(text: &str) -> Value {
    json!({
        "type": "rich_text",
        "block_id": block_id(0),
        "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}],
    })
}

/// The blocks that a message was sent with: each has an id, as it was given or as Slack makes one up.
pub(super) fn named(blocks: &str) -> Option<Value> {
    let mut blocks: Value = serde_json::from_str(blocks).ok()?;
    for (place, block) in blocks.as_array_mut()?.iter_mut().enumerate() {
        if block["block_id"].is_null() {
            block["block_id"] = block_id(place).into();
        }
    }
    Some(blocks)
}

fn block_id(place: usize) -> String {
    format!("b{place:04}")
}

/// A message under another name or icon still has the look of before there were apps: nobody's, but a bot's.
fn disguise(message: &mut Value, post: &Post) {
    let detail = |name: &str| post.details.get(name);
    let (emoji, url) = (detail("icon_emoji"), detail("icon_url"));
    let name = detail("username");
    if name.is_none() && emoji.is_none() && url.is_none() {
        return;
    }
    message["subtype"] = "bot_message".into();
    message["username"] = name.cloned().unwrap_or_else(|| NAME.into());
    let icons = [("emoji", emoji), ("image_48", url)];
    let icons = icons
        .into_iter()
        .filter_map(|(name, icon)| Some((name.to_owned(), icon?.clone())));
    message["icons"] = Value::Object(icons.collect());
    if let Some(fields) = message.as_object_mut() {
        fields.remove("user");
        fields.remove("bot_profile");
    }
}

/// The message that is there from the beginning.
pub(super) fn old_message() -> Value {
    let text = "Welcome";
    json!({
        "type": "message", "user": "U0SOMEBODY", "team": TEAM, "text": text, "ts": OLD_MESSAGE,
        "blocks": [rich_text(text)],
    })
}

/// The replies of a channel, counted by the message that they answer.
pub(super) struct Threads<'w>(HashMap<&'w str, Thread<'w>>);

struct Thread<'w> {
    count: u64,
    latest: &'w str,
}

impl<'w> Threads<'w> {
    pub(super) fn of(world: &'w World, channel: &str) -> Self {
        let posts = world.posts_of(Platform::Slack, channel);
        let posts = posts.filter_map(|post| Some((post.reply_to.as_deref()?, &*post.id)));
        let answers = world.slack.answers.iter();
        let answers = answers.filter(|answer| answer.channel == channel);
        let answers = answers.map(|answer| (&*answer.parent, &*answer.ts));
        let mut threads = HashMap::new();
        for (parent, ts) in posts.chain(answers) {
            let thread = threads.entry(parent).or_insert(Thread {
                count: 0,
                latest: ts,
            });
            thread.count += 1;
            // All that were made here have the same length, so this is their order in time.
            thread.latest = thread.latest.max(ts);
        }
        Self(threads)
    }

    /// Says on each message that has replies how many and which is the last.
    pub(super) fn tell(&self, messages: &mut Value) {
        for message in messages.as_array_mut().into_iter().flatten() {
            let thread = message["ts"].as_str().and_then(|ts| self.0.get(ts));
            let Some(thread) = thread else { continue };
            message["thread_ts"] = message["ts"].clone();
            message["reply_count"] = thread.count.into();
            // All replies are the app's.
            message["reply_users"] = json!([BOT_USER]);
            message["reply_users_count"] = 1.into();
            message["latest_reply"] = thread.latest.into();
            message["is_locked"] = false.into();
            message["subscribed"] = false.into();
        }
    }
}
