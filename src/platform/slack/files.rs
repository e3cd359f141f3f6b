//! Files: each is uploaded by itself, then all are shared in one message.

use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::checkpoint::{Checkpoint, Files, Shared};
use super::message::{Message, finish, is_outside, join};
use super::reply::accept;
use super::{content, thread};
use crate::http::{Api, Effect, Session, by_status, unreadable, web_address};
use crate::media::{self, Source};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Step;
use crate::post::Media;
use crate::review;

/// How long each look for the message comes after the one before.
const LOOKS: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// No file name needs more, in characters.
const NAME_LIMIT: usize = 200;

#[derive(Deserialize)]
struct Upload {
    upload_url: String,
    file_id: String,
}

#[derive(Deserialize)]
struct Completed {
    #[serde(default)]
    files: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    permalink: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    file: File,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    shares: Map<String, Value>,
}

/// Uploads the next file, or shares them all.
pub(super) async fn step(session: &Session<'_>, mut files: Files) -> Result<Step, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    match media.get(files.stored.len()) {
        Some(medium) => {
            let number = files.stored.len() + 1;
            files.stored.push(upload(session, number, medium).await?);
            // Each is kept as soon as it is there: a later fault costs one upload, not all.
            Ok(Checkpoint::Files(files).wait(Duration::ZERO))
        }
        None if files.stored.len() > media.len() => {
            // The post was changed meanwhile.
            Ok(Checkpoint::Files(Files::default()).wait(Duration::ZERO))
        }
        None => share_all(session, &media, files).await,
    }
}

/// The id of a file that is at Slack then, for nobody to see.
async fn upload(session: &Session<'_>, number: usize, medium: &Media) -> Result<String, Failure> {
    let api = &session.api;
    let source = media::open(medium, api.http, api.limits.count("file_bytes")).await?;
    let (name, length) = (name(number, medium, &source.mime), source.total.to_string());
    let mut form = vec![("filename", name.as_str()), ("length", &length)];
    if let Some(alt) = medium.alt.as_deref().filter(|alt| !alt.trim().is_empty()) {
        form.push(("alt_txt", alt));
    }
    let request = api
        .request(Method::POST, "/api/files.getUploadURLExternal")
        .form(&form);
    let reply = session.send(request, Effect::Prepares).await?;
    let upload: Upload = accept(&reply, Effect::Prepares)?;
    if !is_id(&upload.file_id) {
        return Err(unreadable(&reply, Effect::Prepares));
    }
    let request = bytes(api, &upload.upload_url, source)?;
    let reply = session.send(request, Effect::Prepares).await?;
    if reply.status != StatusCode::OK {
        return Err(refused(by_status(&reply, Effect::Prepares), number, medium));
    }
    Ok(upload.file_id)
}

/// Whether an address is on one of Slack's own domains, and encrypted.
fn is_slacks(url: &str) -> bool {
    const DOMAINS: [&str; 3] = ["slack.com", "slack-edge.com", "slack-gov.com"];
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let is_theirs = DOMAINS.iter().any(|domain| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    });
    url.scheme() == "https" && url.port().is_none() && is_theirs
}

/// The bytes go without the token: the address is a secret of its own.
fn bytes(api: &Api<'_>, url: &str, source: Source) -> Result<RequestBuilder, Failure> {
    let is_slacks = if api.base.is_stand_in {
        api.trusts(url, &[], &["/"])
    } else {
        is_slacks(url)
    };
    if !is_slacks {
        let message = "Slack named an address for the upload that is not encrypted, or not its own";
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new("bad_reply", message),
        });
    }
    Ok(api
        .anonymous(Method::POST, url)
        .timeout(api.http.timeouts.for_bytes(source.length))
        .header(CONTENT_TYPE, source.mime)
        .header(CONTENT_LENGTH, source.length)
        .body(source.body))
}

/// The address of an upload knows no tokens: whatever it refuses, another upload may succeed.
fn refused(failure: Failure, number: usize, medium: &Media) -> Failure {
    match failure {
        Failure::Unauthorized { reason } | Failure::Rejected { reason } => {
            let what = review::named(number, medium);
            let message = format!("{what} was not taken: {}", reason.message);
            Failure::Retry {
                after: None,
                reason: Reason {
                    message: Reason::new("upload", message).message,
                    class: "upload",
                    ..reason
                },
            }
        }
        other => other,
    }
}

/// The file's own name, so that people know it when they have loaded it down.
fn name(number: usize, medium: &Media, mime: &str) -> String {
    let place = medium.location();
    let place = place.split(['?', '#']).next().unwrap_or(place);
    let last = place.rsplit(['/', '\\']).next().unwrap_or_default();
    let last = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
    let clean: String = last
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '/' | '\\'))
        .take(NAME_LIMIT)
        .collect();
    if clean.trim_matches('.').trim().is_empty() {
        let family = mime.split('/').next().unwrap_or("file");
        return format!("{family}-{number}");
    }
    clean
}

/// Makes the message. The answer names the files only; the message is looked for afterwards.
async fn share_all(
    session: &Session<'_>,
    media: &[Media],
    mut files: Files,
) -> Result<Step, Failure> {
    let Some(first) = files.stored.first().cloned() else {
        return Err(Failure::rejected("the post has no files"));
    };
    let request = completion(session, media, &files)?;
    let sent = session.publish(request).await;
    let accepted = sent.and_then(|reply| accept::<Completed>(&reply, Effect::Publishes));
    match accepted {
        Ok(completed) => {
            session.accepted(&first);
            let named = completed.files.into_iter().next();
            let permalink = named.and_then(|file| web_address(&file.permalink?).ok());
            Ok(later(Shared {
                file: first,
                permalink: permalink.map(String::from),
                looks: 0,
            }))
        }
        Err(failure) if !files.joined && is_outside(&failure) => {
            join(session, failure).await?;
            files.joined = true;
            Ok(Checkpoint::Files(files).wait(Duration::ZERO))
        }
        // Files that are not shared for long are forgotten.
        Err(failure) if !files.again && is_lost(&failure) => {
            let anew = Files {
                again: true,
                joined: files.joined,
                ..Files::default()
            };
            Ok(Checkpoint::Files(anew).wait(Duration::ZERO))
        }
        Err(failure) => Err(failure),
    }
}

fn is_lost(failure: &Failure) -> bool {
    failure.reason().is("file_not_found")
}

fn completion(
    session: &Session<'_>,
    media: &[Media],
    files: &Files,
) -> Result<RequestBuilder, Failure> {
    let content = &session.post.content;
    let title = content::text(content, "title").filter(|_| media.len() == 1);
    let listed: Value = files
        .stored
        .iter()
        .map(|id| match title {
            Some(title) => json!({"id": id, "title": title}),
            None => json!({"id": id}),
        })
        .collect();
    let mut form = vec![
        ("files", listed.to_string()),
        ("channel_id", session.api.account.external_id.clone()),
    ];
    let comment = content::escaped(&content::plain(content));
    if !comment.is_empty() {
        form.push(("initial_comment", comment));
    }
    for (name, value) in content::guise(content) {
        form.push((name, value.to_owned()));
    }
    if let Some(thread) = content::thread_of(session)? {
        form.push(("thread_ts", thread));
    }
    let path = "/api/files.completeUploadExternal";
    Ok(session.api.request(Method::POST, path).form(&form))
}

fn later(shared: Shared) -> Step {
    let after = LOOKS[shared.looks.min(LOOKS.len() - 1)];
    Checkpoint::Shared(shared).wait(after)
}

/// Looks for the message of files that are live.
pub(super) async fn shared(session: &Session<'_>, mut shared: Shared) -> Result<Step, Failure> {
    session.accepted(&shared.file);
    let found = share(session, &shared.file).await;
    shared.looks = shared.looks.saturating_add(1);
    let is_last = shared.looks >= LOOKS.len();
    let why = match found {
        Ok(Some(message)) => {
            session.accepted(&message.id());
            return Ok(Step::Done(finish(session, &message, Vec::new()).await));
        }
        Ok(None) | Err(Failure::Retry { .. } | Failure::RateLimited { .. }) if !is_last => {
            return Ok(later(shared));
        }
        Ok(None) => "Slack does not show it yet".to_owned(),
        Err(failure) => failure.reason().message.clone(),
    };
    let mut published = nameless(shared, &why);
    if content::text(&session.post.content, "first_comment").is_some() {
        published.warnings.push(format!("no first comment: {why}"));
    }
    Ok(Step::Done(published))
}

/// Files that are live in a message that is not known.
pub(super) fn nameless(shared: Shared, why: &str) -> Published {
    let mut published = Published::at(shared.file, shared.permalink);
    let warning =
        format!("the files are live, but the address of their message is not known: {why}");
    published.warnings.push(warning);
    published
}

/// The message in the account's channel that shares a file, if there is one.
pub(super) async fn share(session: &Session<'_>, file: &str) -> Result<Option<Message>, Failure> {
    let request = session
        .api
        .request(Method::GET, "/api/files.info")
        .query(&[("file", file)]);
    let reply = session.send(request, Effect::Reads).await?;
    let info = match accept::<Info>(&reply, Effect::Reads) {
        // As it is before the sharing is done.
        Err(failure) if is_lost(&failure) => return Ok(None),
        info => info?,
    };
    let channel = &session.api.account.external_id;
    // By visibility (`public`, `private`), then by channel.
    let mut shares = info
        .file
        .shares
        .values()
        .map(|seen| &seen[channel][0]["ts"]);
    let ts = shares.find_map(|ts| ts.as_str().filter(|ts| thread::is_ts(ts)));
    Ok(ts.map(|ts| Message::at(channel, ts)))
}

/// File ids are `F` with capitals and digits.
fn is_id(id: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    id.len() <= 64
        && id
            .strip_prefix('F')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_known))
}

#[cfg(test)]
mod tests {
    use super::is_slacks;

    #[test]
    fn bytes_go_to_slacks_own_hosts_alone() {
        for (url, fine) in [
            ("https://files.slack.com/upload/v1/ABC", true),
            ("https://slack.com/upload", true),
            ("https://files.slack-gov.com/upload/v1/ABC", true),
            ("http://files.slack.com/upload/v1/ABC", false),
            ("https://files.slack.com:8443/upload", false),
            ("https://evil-slack.com/upload", false),
            ("https://slack.com.evil.example/upload", false),
            ("https://evil.example/slack.com", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_slacks(url), fine, "{url}");
        }
    }
}
