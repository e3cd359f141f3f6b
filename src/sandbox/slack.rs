//! Slack Web API: messages to a channel, with files, in threads.
//!
//! <https://docs.slack.dev/reference/methods/chat.postMessage>. Refusals are HTTP 200 with
//! `ok: false`. No idempotency key; a message carries its sender's own id in `metadata`, and the
//! channel's history shows it.
//!
//! What a channel is, its id tells: one with `OUTSIDE` in it the app is not in (it can join, unless
//! the id starts with `G`), `ARCHIVED`, `NOWHERE` and `READONLY` are what they say, and `THREADS`
//! takes only replies. A reply that has its sender's metadata is a post of its own here; one without
//! is a comment on the post it answers, which is how a first comment looks.
//!
//! One message a second and channel, after a burst of twenty.

mod blocks;
mod files;
mod history;
mod messages;
mod oauth;
mod shown;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::steps::Step;
use super::tokens;
use super::wire::{self, BadBody, Call, Fields, Refusal, Refused, Reply};
use super::world::{Platform, World};

const DEFAULT_RETRY_AFTER_SECONDS: u64 = 1;
const BOT: &str = "B0SANDBOX";
const BOT_USER: &str = "U0SANDBOX";
const APP: &str = "A0SANDBOX";
const TEAM: &str = "T0SANDBOX";
/// The app's name, which its messages are shown with.
const NAME: &str = "publisher";
/// So many messages at once a channel takes, and one more each second.
const BURST: f64 = 20.0;

/// What these methods ask of a token is not written down; a token that may do anything here will do.
const ANY_SCOPE: &str = "chat:write|channels:history|groups:history|im:history|mpim:history|files:read|files:write|channels:join";
/// What a token has that names no scopes of its own.
const ALL_SCOPES: &str = "chat:write,chat:write.public,chat:write.customize,channels:join,channels:history,\
    groups:history,im:history,mpim:history,files:write,files:read";

/// What Slack is in the middle of.
#[derive(Default)]
pub(super) struct State {
    files: HashMap<String, files::File>,
    /// Ids of files by the last part of the address that takes their bytes, until it was used.
    uploads: HashMap<String, String>,
    /// Channels that the app joined by itself.
    joined: HashSet<String>,
    answers: Vec<shown::Answer>,
    /// The blocks of messages that were sent with some, by `ts`.
    blocks: HashMap<String, Value>,
    /// When a channel took a message last, and how many more it would have taken then.
    paces: HashMap<String, (Instant, f64)>,
}

impl State {
    /// Whether a channel takes one more message now. If so, that is counted.
    fn takes_one_more(&mut self, channel: &str) -> bool {
        let now = Instant::now();
        let (last, room) = self.paces.entry(channel.to_owned()).or_insert((now, BURST));
        *room = (*room + now.duration_since(*last).as_secs_f64()).min(BURST);
        *last = now;
        let takes = *room >= 1.0;
        if takes {
            *room -= 1.0;
        }
        takes
    }
}

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if let Some(key) = call.path.strip_prefix("upload/v1/")
        && call.method == Method::POST
    {
        return files::receive(&call, key, body).await;
    }
    match call.read(body).await {
        Ok(()) => route(&call).await.unwrap_or_else(Reply::from),
        Err(refusal) => refuse(refusal).into(),
    }
}

async fn route(call: &Call<'_>) -> Result<Reply, Refused> {
    let posted = call.method == Method::POST;
    if !posted && call.method != Method::GET {
        return Err(refuse(Refusal::NotFound).into());
    }
    let fields = || fields(call);
    match call.path {
        "api/chat.postMessage" if posted => messages::post(call, &fields()?).await,
        "api/chat.getPermalink" => messages::permalink(call, &read_style(call)?),
        "api/conversations.join" if posted => messages::join(call, &fields()?),
        "api/conversations.history" => history::of_channel(call, &read_style(call)?),
        "api/conversations.replies" => history::of_thread(call, &read_style(call)?),
        "api/files.getUploadURLExternal" => files::address(call, &read_style(call)?),
        "api/files.completeUploadExternal" if posted => files::complete(call, &fields()?),
        "api/files.info" => files::info(call, &read_style(call)?),
        "api/auth.test" => auth_test(call, &fields()?),
        "api/oauth.v2.access" => oauth::access(call, &read_style(call)?),
        // Switched off in 2025.
        "api/files.upload" => Err(refused("method_deprecated")),
        _ => Err(refuse(Refusal::NotFound).into()),
    }
}

fn fields(call: &Call<'_>) -> Result<Fields, Refused> {
    call.fields().map_err(|problem| match problem {
        BadBody::Type => refused("invalid_post_type"),
        BadBody::Json => refused("invalid_json"),
        BadBody::NotObject => refused("json_not_object"),
    })
}

/// The arguments of a method that reads no JSON: what comes as that is overlooked.
fn read_style(call: &Call<'_>) -> Result<Fields, Refused> {
    if call.content_type() == "application/json" {
        return Ok(call.query());
    }
    fields(call)
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
        Refusal::Rejected => invalid_blocks("the content is not allowed").response(),
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

/// A refusal of blocks, or of what an image leads to, in words.
fn invalid_blocks(words: &str) -> Refused {
    ok(&json!({
        "ok": false, "error": "invalid_blocks",
        "response_metadata": {"messages": [format!("[ERROR] {words}")]},
    }))
    .into()
}

fn ok(body: &Value) -> Response {
    wire::json(StatusCode::OK, body.clone())
}

/// The same with what is odd about a request that was carried out.
fn warned(mut body: Value, warnings: &[&str]) -> Response {
    if !warnings.is_empty() {
        body["warning"] = warnings.join(",").into();
        body["response_metadata"] = json!({"warnings": warnings});
    }
    wire::json(StatusCode::OK, body)
}

/// What Slack says about the Content-Type of a body that it takes all the same.
fn charset_warning(call: &Call<'_>) -> Option<&'static str> {
    let header = call.header(header::CONTENT_TYPE.as_str())?;
    let has_charset = header.to_ascii_lowercase().contains("charset=");
    match (call.content_type(), has_charset) {
        ("application/json", false) => Some("missing_charset"),
        ("application/x-www-form-urlencoded", true) => Some("superfluous_charset"),
        _ => None,
    }
}

/// The request's token, if it is good for what needs this scope.
fn authorize<'a>(
    call: &Call<'a>,
    fields: &'a Fields,
    needed: &'static str,
) -> Result<&'a str, Refused> {
    let bearer = call.bearer();
    if bearer.is_none() && call.header("authorization").is_some() {
        return Err(refused("invalid_auth"));
    }
    let token = bearer.or_else(|| fields.get("token"));
    Ok(call.check_token(token, needed).map_err(refuse)?)
}

/// The channel of a request, which is the account here.
fn channel<'a>(call: &Call<'_>, fields: &'a Fields, name: &str) -> Result<&'a str, Refused> {
    checked_channel(call, fields.get(name).unwrap_or_default())
}

fn checked_channel<'a>(call: &Call<'_>, channel: &'a str) -> Result<&'a str, Refused> {
    let rest = channel.strip_prefix(['C', 'G', 'D']).unwrap_or_default();
    let is_id = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if rest.len() < 2 || !rest.bytes().all(is_id) || rest.contains("NOWHERE") {
        return Err(refused("channel_not_found"));
    }
    call.flight.of_account(channel);
    Ok(channel)
}

/// Whether a message may be posted in a channel, by this app and in this place.
fn check_place(
    world: &World,
    channel: &str,
    thread: Option<&str>,
    is_public_writer: bool,
) -> Result<(), Refused> {
    let is_member = !channel.contains("OUTSIDE") || world.slack.joined.contains(channel);
    if channel.contains("ARCHIVED") {
        Err(refused("is_archived"))
    } else if !(is_member || is_public_writer && channel.starts_with('C')) {
        Err(refused("not_in_channel"))
    } else if channel.contains("READONLY") {
        Err(refused("restricted_action_read_only_channel"))
    } else if channel.contains("THREADS") && thread.is_none() {
        Err(refused("restricted_action_thread_only_channel"))
    } else {
        check_thread(world, channel, thread)
    }
}

/// A message that every channel has from the beginning, by somebody else; the example of Slack's documentation.
const OLD_MESSAGE: &str = "1503435956.000247";

/// A thread starts with a message of the channel that is no reply itself.
fn check_thread(world: &World, channel: &str, thread: Option<&str>) -> Result<(), Refused> {
    let Some(thread) = thread else { return Ok(()) };
    let parent = world.post(Platform::Slack, thread);
    let is_start = parent.is_some_and(|post| post.account == channel && post.reply_to.is_none());
    if is_start || thread == OLD_MESSAGE {
        return Ok(());
    }
    Err(refused("cannot_reply_to_message"))
}

fn check_known(fields: &Fields, known: &[&str]) -> Result<(), Refused> {
    let unknown = fields.unknown(known);
    unknown.map_or(Ok(()), |_| Err(refused("invalid_arg_name")))
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

/// A message's id: the second, and six digits that make it unique.
fn ts(world: &mut World) -> String {
    let micros = world.unique_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn permalink_of(channel: &str, ts: &str, thread: Option<&str>) -> String {
    let message = ts.replace('.', "");
    let link = format!("https://sandbox.slack.com/archives/{channel}/p{message}");
    match thread {
        Some(thread) => format!("{link}?thread_ts={thread}&cid={channel}"),
        None => link,
    }
}

fn auth_test(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    let token = authorize(call, fields, ANY_SCOPE)?;
    check_known(fields, &["token"])?;
    let scopes = tokens::scopes(token).unwrap_or(ALL_SCOPES);
    let scopes = HeaderValue::from_str(scopes).map_err(|_| refused("invalid_auth"))?;
    let mut body = json!({
        "ok": true,
        "url": "https://sandbox.slack.com/",
        "team": "Sandbox",
        "user": NAME,
        "team_id": TEAM,
        "user_id": BOT_USER,
    });
    if !is_persons(token) {
        body["bot_id"] = BOT.into();
    }
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| {
        let mut response = ok(&body);
        response.headers_mut().insert("x-oauth-scopes", scopes);
        response
    }))
}

/// Whether a token is a user's, by its prefix.
fn is_persons(token: &str) -> bool {
    token.contains("xoxp-")
}

/// How long it takes until the files that were shared show in their channel.
fn processing(world: &mut World) -> Duration {
    world.processing(Platform::Slack)
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
    fn a_channel_takes_a_burst_and_then_one_a_second() {
        let mut state = State::default();
        let taken = (0..25).filter(|_| state.takes_one_more("C1")).count();
        assert_eq!(taken, 20);
        assert!(state.takes_one_more("C2"), "another channel");
        let a_second_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        state.paces.insert("C1".to_owned(), (a_second_ago, 0.0));
        assert!(state.takes_one_more("C1") && !state.takes_one_more("C1"));
    }
}
