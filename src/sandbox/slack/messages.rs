//! Messages, their permalinks, and the channels they go to.

use serde_json::{Map, Value, json};

use super::super::post::{Draft, Kind};
use super::super::steps::Step;
use super::super::tokens;
use super::super::wire::{self, Call, Fields, Refusal, Refused, Reply};
use super::super::world::{Platform, World};
use super::blocks::{self, Shown};
use super::shown::{self, Answer, WithMetadata, message};
use super::{
    ANY_SCOPE, authorize, channel, charset_warning, check_known, check_place, is_persons, ok,
    permalink_of, refuse, refused, ts, unescape, warned,
};

const MAX_TEXT_CHARS: usize = 40_000;
const MAX_MARKDOWN_CHARS: usize = 12_000;
const MAX_ATTACHMENTS: usize = 100;
/// Nobody documents it; this is far more than an id needs.
const MAX_METADATA_BYTES: usize = 8 * 1024;

const MESSAGE_ARGS: [&str; 18] = [
    "token",
    "channel",
    "text",
    "blocks",
    "attachments",
    "markdown_text",
    "thread_ts",
    "reply_broadcast",
    "unfurl_links",
    "unfurl_media",
    "link_names",
    "mrkdwn",
    "parse",
    "username",
    "icon_url",
    "icon_emoji",
    "metadata",
    "client_msg_id",
];
/// Those that make a message look as if somebody else had sent it.
const CUSTOM: [&str; 3] = ["username", "icon_url", "icon_emoji"];
const FLAGS: [&str; 5] = [
    "reply_broadcast",
    "unfurl_links",
    "unfurl_media",
    "link_names",
    "mrkdwn",
];

pub(super) async fn post(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    let token = authorize(call, fields, "chat:write")?;
    check_known(fields, &MESSAGE_ARGS)?;
    let channel = channel(call, fields, "channel")?;
    let thread = fields.filled("thread_ts");
    let may_write_everywhere = tokens::scopes(token).is_some_and(|own| {
        own.split(',')
            .any(|scope| scope.trim() == "chat:write.public")
    });
    check_place(
        &call.flight.twin.world(),
        channel,
        thread,
        may_write_everywhere,
    )?;
    check_arguments(fields, is_persons(token))?;
    check_custom(call, fields)?;
    let shown = match fields.filled("blocks") {
        Some(blocks) => Some(blocks::read(call, blocks).await?),
        None => None,
    };
    let (draft, is_cut_off) = draft(channel, fields, shown)?;
    if wire::is_rejected(&draft.text) {
        return Err(refuse(Refusal::Rejected).into());
    }
    let mut warnings: Vec<&str> = charset_warning(call).into_iter().collect();
    warnings.extend(is_cut_off.then_some("message_truncated"));
    let mut world = call.flight.twin.world();
    if !world.slack.takes_one_more(channel) {
        return Err(refuse(Refusal::RateLimited { retry_after: None }).into());
    }
    // A reply without its sender's metadata is a comment on the post it answers.
    let is_comment = thread.is_some() && !draft.details.contains_key("metadata");
    let step = if is_comment {
        Step::Comment
    } else {
        Step::Publish
    };
    Ok(world.step(Platform::Slack, step, refuse, |world| {
        let blocks = fields.filled("blocks").and_then(shown::named);
        let body = if is_comment {
            comment(world, draft, blocks)
        } else {
            publish(world, draft, blocks)
        };
        warned(body, &warnings)
    }))
}

fn publish(world: &mut World, draft: Draft, blocks: Option<Value>) -> Value {
    let ts = ts(world);
    if let Some(blocks) = blocks {
        world.slack.blocks.insert(ts.clone(), blocks);
    }
    let channel = draft.account.clone();
    let permalink = permalink_of(&channel, &ts, draft.reply_to.as_deref());
    world.publish(Platform::Slack, draft, ts.clone(), permalink);
    let post = world.post(Platform::Slack, &ts);
    let message = post.map(|post| message(world, post, WithMetadata::Yes));
    json!({"ok": true, "channel": channel, "ts": ts, "message": message})
}

fn comment(world: &mut World, draft: Draft, blocks: Option<Value>) -> Value {
    let notification = draft.details.get("notification").and_then(Value::as_str);
    let answer = Answer {
        ts: ts(world),
        text: notification.unwrap_or(&draft.text).to_owned(),
        channel: draft.account,
        parent: draft.reply_to.unwrap_or_default(),
        blocks,
    };
    world.comment(Platform::Slack, &answer.parent, &draft.text);
    let body = json!({
        "ok": true, "channel": answer.channel, "ts": answer.ts, "message": answer.message(),
    });
    world.slack.answers.push(answer);
    body
}

/// What can be told from the arguments alone.
fn check_arguments(fields: &Fields, is_persons: bool) -> Result<(), Refused> {
    let markdown = fields.filled("markdown_text");
    let others = ["text", "blocks"];
    if markdown.is_some() && others.iter().any(|name| fields.filled(name).is_some()) {
        return Err(refused("markdown_text_conflict"));
    }
    if markdown.is_some_and(|text| text.chars().count() > MAX_MARKDOWN_CHARS) {
        return Err(refused("msg_too_long"));
    }
    for name in FLAGS {
        let is_flag = |value: &str| matches!(value, "true" | "false" | "1" | "0");
        if fields.get(name).is_some_and(|value| !is_flag(value)) {
            return Err(refused("invalid_arguments"));
        }
    }
    if fields.flag("reply_broadcast") && fields.filled("thread_ts").is_none() {
        return Err(refused("invalid_arguments"));
    }
    if let Some(attachments) = fields.filled("attachments") {
        match serde_json::from_str(attachments) {
            Ok(Value::Array(list)) if list.len() <= MAX_ATTACHMENTS => {}
            Ok(Value::Array(_)) => return Err(refused("too_many_attachments")),
            _ => return Err(refused("invalid_array_arg")),
        }
    }
    if fields.filled("metadata").is_some() && is_persons {
        return Err(refused("metadata_must_be_sent_from_app"));
    }
    let parts = ["text", "markdown_text", "blocks", "attachments"];
    if parts.iter().all(|name| fields.filled(name).is_none()) {
        return Err(refused("no_text"));
    }
    Ok(())
}

/// The message, and whether it was too long.
fn draft(channel: &str, fields: &Fields, shown: Option<Shown>) -> Result<(Draft, bool), Refused> {
    let text = fields.filled("text").or(fields.filled("markdown_text"));
    let text = text.unwrap_or_default();
    let cut: String = text.chars().take(MAX_TEXT_CHARS).collect();
    let is_cut_off = cut.len() < text.len();
    let reply_to = fields.filled("thread_ts").map(str::to_owned);
    let mut draft = Draft {
        account: channel.to_owned(),
        kind: reply_to.as_ref().map_or(Kind::Post, |_| Kind::Reply),
        text: unescape(&cut),
        reply_to,
        details: details(fields)?,
        ..Draft::default()
    };
    if let Some(shown) = shown {
        // With blocks the text is for notifications only.
        draft
            .details
            .insert("notification".to_owned(), draft.text.into());
        draft.text = shown.text;
        draft.media = shown.media;
        draft.title = shown.title;
    }
    Ok((draft, is_cut_off))
}

/// What a message has beside its text.
fn details(fields: &Fields) -> Result<Map<String, Value>, Refused> {
    let mut details = Map::new();
    if let Some(text) = fields.filled("metadata") {
        details.insert("metadata".to_owned(), metadata(text)?);
    }
    for name in ["unfurl_links", "unfurl_media", "reply_broadcast"] {
        if fields.get(name).is_some() {
            details.insert(name.to_owned(), fields.flag(name).into());
        }
    }
    details.extend(custom(fields));
    if fields.filled("markdown_text").is_some() {
        details.insert("markdown".to_owned(), true.into());
    }
    Ok(details)
}

/// Whether the token may make a message look as if somebody else had sent it, if that is asked for.
pub(super) fn check_custom(call: &Call<'_>, fields: &Fields) -> Result<(), Refused> {
    if CUSTOM.iter().any(|name| fields.filled(name).is_some()) {
        authorize(call, fields, "chat:write.customize")?;
    }
    Ok(())
}

/// Another name and icon, where they are given.
pub(super) fn custom(fields: &Fields) -> Map<String, Value> {
    let given = CUSTOM
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), fields.filled(name)?.into())));
    given.collect()
}

fn metadata(text: &str) -> Result<Value, Refused> {
    let value: Value =
        serde_json::from_str(text).map_err(|_| refused("invalid_metadata_format"))?;
    if text.len() > MAX_METADATA_BYTES {
        return Err(refused("metadata_too_large"));
    }
    let is_named = value["event_type"]
        .as_str()
        .is_some_and(|name| !name.is_empty());
    if is_named && value["event_payload"].is_object() {
        Ok(value)
    } else {
        Err(refused("invalid_metadata_schema"))
    }
}

pub(super) fn permalink(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    authorize(call, fields, ANY_SCOPE)?;
    check_known(fields, &["token", "channel", "message_ts"])?;
    let channel = channel(call, fields, "channel")?;
    let mut world = call.flight.twin.world();
    let ts = fields.get("message_ts").unwrap_or_default();
    let post = world.post(Platform::Slack, ts);
    let of_post = post.filter(|post| post.account == channel);
    let of_post = of_post.map(|post| post.permalink.clone());
    let is_it = |answer: &&Answer| answer.ts == ts && answer.channel == channel;
    let of_answer = || {
        let answer = world.slack.answers.iter().find(is_it)?;
        Some(permalink_of(channel, ts, Some(&answer.parent)))
    };
    let permalink = of_post.or_else(of_answer);
    let permalink = permalink.ok_or_else(|| refused("message_not_found"))?;
    let body = json!({"ok": true, "channel": channel, "permalink": permalink});
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}

pub(super) fn join(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    authorize(call, fields, "channels:join")?;
    check_known(fields, &["token", "channel"])?;
    let channel = channel(call, fields, "channel")?;
    if !channel.starts_with('C') {
        return Err(refused("method_not_supported_for_channel_type"));
    }
    if channel.contains("ARCHIVED") {
        return Err(refused("is_archived"));
    }
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Slack, Step::Prepare, refuse, |world| {
        let is_new = channel.contains("OUTSIDE") && world.slack.joined.insert(channel.to_owned());
        let mut warnings: Vec<&str> = charset_warning(call).into_iter().collect();
        warnings.extend((!is_new).then_some("already_in_channel"));
        warned(json!({"ok": true, "channel": {"id": channel}}), &warnings)
    }))
}
