//! Files: an address for each, its bytes, and one call that shares them all in a message.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::form;
use super::super::media::Received;
use super::super::post::{Draft, Kind, Medium};
use super::super::steps::{self, Step};
use super::super::wire::{self, Call, Fields, Refusal, Refused, Reply};
use super::super::world::{Platform, World};
use super::messages::{check_custom, custom};
use super::{
    authorize, channel, charset_warning, check_known, check_place, checked_channel, ok,
    permalink_of, processing, refuse, refused, ts, unescape, warned,
};

const MAX_FILE_BYTES: u64 = 1_000_000_000;
const MAX_SNIPPET_BYTES: u64 = 1_000_000;
const MAX_ALT_CHARS: usize = 1000;
/// A form is read whole, so it may be no larger.
const MAX_FORM_BYTES: usize = 64 * 1024 * 1024;
/// What a form calls its file: in Slack's documentation, in its examples, and in its own JavaScript client.
const FILE_FIELDS: [&str; 3] = ["filename", "file", "body"];
const MAX_CHANNELS: usize = 100;

const COMPLETE_ARGS: [&str; 10] = [
    "token",
    "files",
    "channel_id",
    "channels",
    "initial_comment",
    "thread_ts",
    "blocks",
    "username",
    "icon_emoji",
    "icon_url",
];
/// What a workspace may forbid, and the sandbox's does.
const FORBIDDEN: &str = ".exe";

/// A file on its way, or in a channel.
pub(super) struct File {
    name: String,
    length: u64,
    alt: Option<String>,
    title: Option<String>,
    received: Option<Received>,
    /// It was completed, in a channel or for nobody.
    completed: bool,
    shares: Vec<Share>,
}

/// Where a file is seen.
#[derive(Clone)]
struct Share {
    channel: String,
    ts: String,
    thread: Option<String>,
    since: Instant,
    processing: Duration,
}

/// An address that takes the bytes of a file.
pub(super) fn address(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    authorize(call, fields, "files:write")?;
    let known = ["token", "filename", "length", "alt_txt", "snippet_type"];
    check_known(fields, &known)?;
    let (Some(name), Some(length)) = (fields.filled("filename"), fields.filled("length")) else {
        return Err(refused("missing_argument"));
    };
    let length = length.parse().ok().filter(|length| *length > 0);
    let length: u64 = length.ok_or_else(|| refused("invalid_arguments"))?;
    let alt = fields.filled("alt_txt");
    let is_snippet = fields.filled("snippet_type").is_some();
    if length > MAX_FILE_BYTES {
        return Err(refused("file_upload_size_restricted"));
    }
    if is_snippet && length > MAX_SNIPPET_BYTES {
        return Err(refused("snippet_too_large"));
    }
    if alt.is_some_and(|alt| alt.chars().count() > MAX_ALT_CHARS) {
        return Err(refused("alt_txt_too_large"));
    }
    if name.to_ascii_lowercase().ends_with(FORBIDDEN) {
        return Err(refused("file_type_not_allowed"));
    }
    let file = File {
        name: name.to_owned(),
        length,
        alt: alt.map(str::to_owned),
        title: None,
        received: None,
        completed: false,
        shares: Vec::new(),
    };
    let host = call.header("host").unwrap_or("127.0.0.1");
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Slack, Step::Prepare, refuse, |world| {
        let id = format!("F0{:08}", world.mint());
        let key = format!("U{:08}", world.mint());
        world.slack.files.insert(id.clone(), file);
        world.slack.uploads.insert(key.clone(), id.clone());
        let url = format!("http://{host}/slack/upload/v1/{key}");
        ok(&json!({"ok": true, "upload_url": url, "file_id": id}))
    }))
}

/// The bytes of a file, bare or as the file of a form. The address is a secret of its own, asks for no token, and works
/// once.
pub(super) async fn receive(call: &Call<'_>, key: &str, body: Body) -> Reply {
    let expected = {
        let world = call.flight.twin.world();
        let id = world.slack.uploads.get(key);
        id.and_then(|id| world.slack.files.get(id))
            .map(|file| file.length)
    };
    let Some(expected) = expected else {
        // Read to its end: a client that is still sending never sees the refusal.
        steps::drain(body).await;
        return plain(StatusCode::NOT_FOUND, "there is nothing to upload here").into();
    };
    let body = match bare(call, body).await {
        Ok(body) => body,
        Err(words) => return plain(StatusCode::BAD_REQUEST, &words).into(),
    };
    let accept = |world: &mut World, received: Received| {
        if received.bytes != expected {
            let words = format!("{expected} bytes were announced, {} came", received.bytes);
            return plain(StatusCode::BAD_REQUEST, &words);
        }
        let Some(id) = world.slack.uploads.remove(key) else {
            return plain(StatusCode::NOT_FOUND, "another request was faster");
        };
        if let Some(file) = world.slack.files.get_mut(&id) {
            file.received = Some(received);
        }
        plain(StatusCode::OK, &format!("OK - {expected}"))
    };
    steps::upload(call, body, MAX_FILE_BYTES, refuse_bytes, accept).await
}

/// The bytes without the form around them, if there is one.
async fn bare(call: &Call<'_>, body: Body) -> Result<Body, String> {
    if !form::is_form(call) {
        return Ok(body);
    }
    let form = form::read(call, body, MAX_FORM_BYTES).await;
    let file = form.map_err(|what| format!("the form can't be read: {what}"))?;
    let file = file.file.filter(|file| FILE_FIELDS.contains(&&*file.field));
    let file = file.ok_or_else(|| format!("the form has no file {}", FILE_FIELDS.join(", ")))?;
    Ok(file.bytes.into())
}

fn plain(status: StatusCode, words: &str) -> Response {
    (status, words.to_owned()).into_response()
}

/// The host that takes bytes speaks no JSON.
fn refuse_bytes(refusal: Refusal) -> Response {
    let status = match refusal {
        Refusal::NoToken | Refusal::Expired | Refusal::Revoked | Refusal::NoScope { .. } => {
            StatusCode::FORBIDDEN
        }
        Refusal::RateLimited { .. } => return refuse(refusal),
        Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Rejected | Refusal::Truncated => StatusCode::BAD_REQUEST,
    };
    plain(status, "the upload failed")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: String,
    #[serde(default)]
    title: Option<String>,
}

/// What a message of files has beside them.
struct Message<'f> {
    comment: &'f str,
    thread: Option<&'f str>,
    fields: &'f Fields,
}

/// Shares uploaded files, all of them in one message to each channel that is named.
pub(super) fn complete(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    authorize(call, fields, "files:write")?;
    check_known(fields, &COMPLETE_ARGS)?;
    let listed = fields
        .filled("files")
        .ok_or_else(|| refused("missing_argument"))?;
    let listed: Vec<Listed> =
        serde_json::from_str(listed).map_err(|_| refused("invalid_arguments"))?;
    if listed.is_empty() {
        return Err(refused("invalid_arguments"));
    }
    let places = places(call, fields)?;
    check_custom(call, fields)?;
    let message = Message {
        comment: fields.filled("initial_comment").unwrap_or_default(),
        thread: fields.filled("thread_ts"),
        fields,
    };
    if wire::is_rejected(message.comment) {
        return Err(refuse(Refusal::Rejected).into());
    }
    let mut world = call.flight.twin.world();
    for channel in &places {
        check_place(&world, channel, message.thread, false)?;
    }
    check_files(&world, &listed)?;
    let mut paces = places.iter();
    if !paces.all(|channel| world.slack.takes_one_more(channel)) {
        return Err(refuse(Refusal::RateLimited { retry_after: None }).into());
    }
    let step = if places.is_empty() {
        Step::Prepare
    } else {
        Step::Publish
    };
    let warning = charset_warning(call);
    Ok(world.step(Platform::Slack, step, refuse, |world| {
        let shares = places.iter();
        let shares = shares.map(|channel| share(world, channel, &message, &listed));
        let shares: Vec<Share> = shares.collect();
        let mut files = Vec::new();
        for named in listed {
            let Some(file) = world.slack.files.get_mut(&named.id) else {
                continue;
            };
            file.completed = true;
            file.title = named.title;
            file.shares.clone_from(&shares);
            files.push(file.shown(&named.id));
        }
        let body = json!({"ok": true, "files": files});
        warned(body, warning.as_slice())
    }))
}

/// The channels that are named, each once.
fn places<'a>(call: &Call<'_>, fields: &'a Fields) -> Result<Vec<&'a str>, Refused> {
    let several = match (fields.filled("channel_id"), fields.filled("channels")) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), None) => return Ok(vec![channel(call, fields, "channel_id")?]),
        (None, Some(several)) => several,
        (Some(_), Some(_)) => return Err(refused("invalid_arguments")),
    };
    let mut places = Vec::new();
    for name in several.split(',').map(str::trim) {
        let place = checked_channel(call, name)?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.len() > MAX_CHANNELS {
        return Err(refused("channels_limit_exceeded"));
    }
    Ok(places)
}

fn check_files(world: &World, listed: &[Listed]) -> Result<(), Refused> {
    for (place, named) in listed.iter().enumerate() {
        let file = world.slack.files.get(&named.id);
        let is_there = |file: &&File| file.received.is_some();
        let file = file
            .filter(is_there)
            .ok_or_else(|| refused("file_not_found"))?;
        let is_repeated = listed[..place].iter().any(|other| other.id == named.id);
        // What Slack does with a file that is completed twice is not documented.
        if file.completed || is_repeated {
            return Err(refused("file_update_failed"));
        }
    }
    Ok(())
}

/// Publishes the message. Its readers see it at once; who asks for the shares has to wait.
fn share(world: &mut World, channel: &str, message: &Message<'_>, listed: &[Listed]) -> Share {
    let media = listed.iter().filter_map(|named| {
        let file = world.slack.files.get(&named.id)?;
        let medium = Medium::of(file.received.as_ref()?);
        Some(Medium {
            alt: file.alt.clone(),
            name: Some(named.title.clone().unwrap_or_else(|| file.name.clone())),
            ..medium
        })
    });
    let thread = message.thread;
    let mut draft = Draft {
        account: channel.to_owned(),
        kind: thread.map_or(Kind::Post, |_| Kind::Reply),
        text: unescape(message.comment),
        media: media.collect(),
        reply_to: thread.map(str::to_owned),
        details: custom(message.fields),
        ..Draft::default()
    };
    let ids: Value = listed.iter().map(|named| named.id.as_str()).collect();
    draft.details.insert("files".to_owned(), ids);
    let ts = ts(world);
    let permalink = permalink_of(channel, &ts, thread);
    let processing = processing(world);
    world.publish(Platform::Slack, draft, ts.clone(), permalink);
    Share {
        channel: channel.to_owned(),
        ts,
        thread: thread.map(str::to_owned),
        since: Instant::now(),
        processing,
    }
}

impl File {
    fn shown(&self, id: &str) -> Value {
        let mut file = json!({
            "id": id, "name": self.name, "title": self.title.as_ref().unwrap_or(&self.name),
            "size": self.length,
            "mimetype": self.received.as_ref().and_then(|received| received.mime),
            "permalink": format!("https://sandbox.slack.com/files/U0SANDBOX/{id}/file"),
            "shares": {},
        });
        if let Some(alt) = &self.alt {
            file["alt_txt"] = alt.as_str().into();
        }
        let shown = |share: &&Share| share.since.elapsed() >= share.processing;
        for share in self.shares.iter().filter(shown) {
            let mut seen = json!({"ts": share.ts});
            if let Some(thread) = &share.thread {
                seen["thread_ts"] = thread.as_str().into();
            }
            let kind = if share.channel.starts_with('C') {
                "public"
            } else {
                "private"
            };
            file["shares"][kind][&share.channel] = json!([seen]);
        }
        file
    }
}

pub(super) fn info(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    authorize(call, fields, "files:read")?;
    check_known(fields, &["token", "file", "limit", "cursor"])?;
    let id = fields.get("file").unwrap_or_default();
    let mut world = call.flight.twin.world();
    let file = world.slack.files.get(id).filter(|file| file.completed);
    let file = file.ok_or_else(|| refused("file_not_found"))?;
    let body = json!({"ok": true, "file": file.shown(id)});
    Ok(world.step(Platform::Slack, Step::Status, refuse, |_| ok(&body)))
}
