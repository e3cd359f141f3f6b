//! Slack Web API: messages to a channel.
//!
//! <https://docs.slack.dev/reference/methods/chat.postMessage>. Refusals are HTTP 200 with
//! `ok: false`. No idempotency key; a message carries its sender's own id in `metadata`, and the
//! channel's history shows it.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::post::{Draft, Family, Medium, Post};
use super::steps::Step;
use super::wire::{self, BadBody, Call, Fields, Refusal, Refused, Reply};
use super::world::{Platform, World};

const MAX_TEXT_CHARS: usize = 40_000;
const MAX_MARKDOWN_CHARS: usize = 12_000;
const DEFAULT_RETRY_AFTER_SECONDS: u64 = 1;
const BOT: &str = "B0SANDBOX";

/// What these methods ask of a token is not written down; a token that may do anything here will do.
const ANY_SCOPE: &str =
    "chat:write|channels:history|groups:history|im:history|mpim:history|files:read|files:write";
/// By the kind of the conversation.
const HISTORY_SCOPES: &str = "channels:history|groups:history|im:history|mpim:history";

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

const HISTORY_ARGS: [&str; 8] = [
    "token",
    "channel",
    "oldest",
    "latest",
    "inclusive",
    "limit",
    "cursor",
    "include_all_metadata",
];

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    match call.read(body).await {
        Ok(()) => route(&call).unwrap_or_else(Reply::from),
        Err(refusal) => refuse(refusal).into(),
    }
}

fn route(call: &Call<'_>) -> Result<Reply, Refused> {
    type Handler = fn(&Call<'_>, &Fields) -> Result<Reply, Refused>;
    let (handler, needed): (Handler, _) = match (call.method, call.path) {
        (&Method::POST, "api/chat.postMessage") => (post_message, "chat:write"),
        (&Method::GET | &Method::POST, "api/chat.getPermalink") => (permalink, ANY_SCOPE),
        (&Method::GET | &Method::POST, "api/auth.test") => (auth_test, ANY_SCOPE),
        (&Method::GET | &Method::POST, "api/conversations.history") => (history, HISTORY_SCOPES),
        _ => return Err(refuse(Refusal::NotFound).into()),
    };
    let fields = call.fields().map_err(|problem| match problem {
        BadBody::Type => refused("invalid_post_type"),
        BadBody::Json => refused("invalid_json"),
        BadBody::NotObject => refused("json_not_object"),
    })?;
    authorize(call, &fields, needed)?;
    handler(call, &fields)
}

pub(super) fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoToken => refused("not_authed").response(),
        Refusal::Expired => refused("token_expired").response(),
        Refusal::Revoked => refused("token_revoked").response(),
        Refusal::NoScope { needed } => ok(&json!({
            "ok": false, "error": "missing_scope",
            "needed": needed, "provided": "channels:history",
        })),
        Refusal::RateLimited { retry_after } => {
            let seconds = retry_after.map_or(DEFAULT_RETRY_AFTER_SECONDS, |wait| wait.as_secs());
            let mut response = failed(StatusCode::TOO_MANY_REQUESTS, "ratelimited");
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Refusal::Internal => failed(StatusCode::INTERNAL_SERVER_ERROR, "fatal_error"),
        Refusal::Rejected => ok(&json!({
            "ok": false, "error": "invalid_blocks",
            "response_metadata": {"messages": ["[ERROR] the content is not allowed"]},
        })),
        Refusal::NotFound => failed(StatusCode::NOT_FOUND, "unknown_method"),
        Refusal::TooLarge => failed(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
        Refusal::Truncated => failed(StatusCode::BAD_REQUEST, "invalid_form_data"),
    }
}

fn failed(status: StatusCode, code: &str) -> Response {
    wire::json(status, json!({"ok": false, "error": code}))
}

fn refused(code: &str) -> Refused {
    failed(StatusCode::OK, code).into()
}

fn ok(body: &Value) -> Response {
    wire::json(StatusCode::OK, body.clone())
}

fn authorize(call: &Call<'_>, fields: &Fields, needed: &'static str) -> Result<(), Refused> {
    let bearer = call.bearer();
    if bearer.is_none() && call.header("authorization").is_some() {
        return Err(refused("invalid_auth"));
    }
    let token = bearer.or_else(|| fields.get("token"));
    call.check_token(token, needed).map_err(refuse)?;
    Ok(())
}

/// The channel of a request, which is the account here.
fn channel<'a>(call: &Call<'_>, fields: &'a Fields) -> Result<&'a str, Refused> {
    let channel = fields.get("channel").unwrap_or_default();
    let rest = channel.strip_prefix(['C', 'G', 'D']).unwrap_or_default();
    let is_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if rest.len() < 2 || !rest.bytes().all(is_id) {
        return Err(refused("channel_not_found"));
    }
    call.flight.of_account(channel);
    Ok(channel)
}

fn check_known(fields: &Fields, known: &[&str]) -> Result<(), Refused> {
    let unknown = fields.unknown(known);
    unknown.map_or(Ok(()), |_| Err(refused("invalid_arg_name")))
}

fn post_message(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    check_known(fields, &MESSAGE_ARGS)?;
    let channel = channel(call, fields)?;
    let draft = draft(channel, fields)?;
    if wire::is_rejected(&draft.text) {
        return Err(refuse(Refusal::Rejected).into());
    }
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Slack, Step::Publish, refuse, |world| {
        let ts = ts(world);
        let permalink = format!(
            "https://sandbox.slack.com/archives/{}/p{}",
            draft.account,
            ts.replace('.', "")
        );
        let post = world.publish(Platform::Slack, draft, ts, permalink);
        let message = message(post, WithMetadata::Yes);
        let body = json!({"ok": true, "channel": post.account, "ts": post.id, "message": message});
        wire::json(StatusCode::OK, body)
    }))
}

/// A message's id: the second, and six digits that make it unique.
fn ts(world: &mut World) -> String {
    let micros = world.unique_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn draft(channel: &str, fields: &Fields) -> Result<Draft, Refused> {
    let text = fields.filled("text");
    let markdown = fields.filled("markdown_text");
    let blocks = fields.filled("blocks");
    let attachments = fields.filled("attachments");
    if markdown.is_some() && (text.is_some() || blocks.is_some()) {
        return Err(refused("markdown_text_conflict"));
    }
    let too_long = |text: Option<&str>, limit| text.unwrap_or_default().chars().count() > limit;
    if too_long(text, MAX_TEXT_CHARS) || too_long(markdown, MAX_MARKDOWN_CHARS) {
        return Err(refused("msg_too_long"));
    }
    if text.or(markdown).or(blocks).or(attachments).is_none() {
        return Err(refused("no_text"));
    }
    Ok(Draft {
        account: channel.to_owned(),
        text: unescape(text.or(markdown).unwrap_or_default()),
        media: blocks.map_or(Ok(Vec::new()), images)?,
        details: details(fields)?,
        ..Draft::default()
    })
}

/// What a message has that readers do not see.
fn details(fields: &Fields) -> Result<Map<String, Value>, Refused> {
    let mut details = Map::new();
    if let Some(text) = fields.filled("metadata") {
        details.insert("metadata".to_owned(), metadata(text)?);
    }
    Ok(details)
}

/// The images of a message's blocks.
fn images(blocks: &str) -> Result<Vec<Medium>, Refused> {
    let Ok(Value::Array(blocks)) = serde_json::from_str(blocks) else {
        return Err(refused("invalid_blocks_format"));
    };
    if blocks.is_empty() || blocks.len() > 50 {
        return Err(refused("invalid_blocks"));
    }
    let mut images = Vec::new();
    for block in &blocks {
        match block["type"].as_str() {
            Some("image") => match (block["image_url"].as_str(), block["alt_text"].as_str()) {
                (Some(url), Some(alt)) if wire::is_web_url(url) => images.push(Medium {
                    alt: Some(alt.to_owned()),
                    ..Medium::at(Family::Image, url)
                }),
                _ => return Err(refused("invalid_blocks")),
            },
            Some(_) => {}
            None => return Err(refused("invalid_blocks")),
        }
    }
    Ok(images)
}

fn metadata(text: &str) -> Result<Value, Refused> {
    let value: Value =
        serde_json::from_str(text).map_err(|_| refused("invalid_metadata_format"))?;
    if value["event_type"].is_string() && value["event_payload"].is_object() {
        Ok(value)
    } else {
        Err(refused("invalid_metadata_schema"))
    }
}

/// Slack keeps three characters escaped on the wire; people see them plain.
fn unescape(text: &str) -> String {
    // `&amp;` last: `&amp;lt;` is the text `&lt;`.
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[derive(Clone, Copy, PartialEq)]
enum WithMetadata {
    Yes,
    No,
}

fn message(post: &Post, with: WithMetadata) -> Value {
    let mut message = json!({
        "type": "message",
        "subtype": "bot_message",
        "text": escape(&post.text),
        "ts": post.id,
        "bot_id": BOT,
    });
    if let (Some(metadata), WithMetadata::Yes) = (post.details.get("metadata"), with) {
        message["metadata"] = metadata.clone();
    }
    message
}

fn permalink(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    check_known(fields, &["token", "channel", "message_ts"])?;
    let channel = channel(call, fields)?;
    let mut world = call.flight.twin.world();
    let ts = fields.get("message_ts").unwrap_or_default();
    let post = world.post(Platform::Slack, ts);
    let post = post.filter(|post| post.account == channel);
    let post = post.ok_or_else(|| refused("message_not_found"))?;
    let body = json!({"ok": true, "channel": channel, "permalink": post.permalink});
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it has the shape of the other methods"
)]
fn auth_test(call: &Call<'_>, _: &Fields) -> Result<Reply, Refused> {
    let body = json!({
        "ok": true,
        "url": "https://sandbox.slack.com/",
        "team": "Sandbox",
        "user": "publisher",
        "team_id": "T0SANDBOX",
        "user_id": "U0SANDBOX",
        "bot_id": BOT,
    });
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}

/// A `ts` as microseconds, to compare it.
fn micros(ts: &str) -> Option<i64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, ""));
    let digits = fraction.len() <= 6 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction: i64 = digits.then(|| format!("{fraction:0<6}"))?.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(fraction)
}

fn history(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    check_known(fields, &HISTORY_ARGS)?;
    let channel = channel(call, fields)?;
    let time = |name: &str, default| match fields.filled(name) {
        None => Ok(default),
        Some(ts) => micros(ts).ok_or_else(|| refused(&format!("invalid_ts_{name}"))),
    };
    // Both bounds are exclusive unless the caller says otherwise.
    let edge = i64::from(!fields.flag("inclusive"));
    let oldest = time("oldest", 0)?.saturating_add(edge);
    let latest = time("latest", i64::MAX)?.saturating_sub(edge);
    let before = time("cursor", i64::MAX)?;
    let limit = match fields.filled("limit").map(str::parse) {
        None => 100,
        Some(Ok(limit @ 1..=999)) => limit,
        Some(_) => return Err(refused("invalid_limit")),
    };
    let with = if fields.flag("include_all_metadata") {
        WithMetadata::Yes
    } else {
        WithMetadata::No
    };
    let mut world = call.flight.twin.world();
    let mut posts = world
        .posts_of(Platform::Slack, channel)
        .filter(|post| {
            let ts = micros(&post.id).unwrap_or_default();
            (oldest..=latest).contains(&ts) && ts < before
        })
        .peekable();
    let mut messages = Vec::new();
    let mut last = "";
    while messages.len() < limit
        && let Some(post) = posts.next()
    {
        messages.push(message(post, with));
        last = &post.id;
    }
    let has_more = posts.peek().is_some();
    let cursor = if has_more { last } else { "" };
    let body = json!({
        "ok": true,
        "messages": messages,
        "has_more": has_more,
        "response_metadata": {"next_cursor": cursor},
    });
    drop(posts);
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_undone_once() {
        assert_eq!(unescape("a &amp;lt; b &lt;c&gt;"), "a &lt; b <c>");
        assert_eq!(unescape(&escape("<&amp;>")), "<&amp;>");
    }

    #[test]
    fn a_ts_compares_by_time() {
        assert_eq!(micros("1503435956.000247"), Some(1_503_435_956_000_247));
        assert_eq!(micros("1503435956"), Some(1_503_435_956_000_000));
        assert_eq!(micros("1503435956.5"), Some(1_503_435_956_500_000));
        assert_eq!(micros("now"), None);
        assert_eq!(micros("1.-5"), None);
    }
}
