//! YouTube: <https://developers.google.com/youtube/v3/guides/using_resumable_upload_protocol>
//!
//! - **Version**: in the path, v3 unless configured.
//! - **Auth**: bearer, `youtube.upload`; an hour. Uploads of a project that Google has not audited stay private.
//! - **Limits** (2026-11): title 100 characters, description 5,000 bytes, neither with `<` or `>`; tags 500 characters
//!   in sum, commas and quotes included; a file of 256 GiB. A project has a quota per day, which ends at midnight in
//!   Los Angeles; a channel has a number of uploads, which is not published.
//! - **Idempotency**: the upload's session. Its address is in the checkpoint before the first byte is sent; asked
//!   again, it names the video that the bytes became, or how many of them it has.
//! - **Look-up**: that session; without it, the channel's list of uploads.
//! - **Doubts**: how long a session lives is not documented. One that is gone proves nothing.
//! - The account's `external_id` is the channel's id. Requests do not name it: the token decides.
//!
//! One video so far; an upload that breaks off starts over. Options: `title` (the first line of the body), `privacy`
//! (the account's setting `privacy`, else `public`: what a person publishes is meant to be seen), `tags`,
//! `category_id`, `made_for_kids`.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::America::Los_Angeles;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Effect, Reply, Session, by_status, one_line, shortened, unreadable};
use crate::limits::{Figure, Quota};
use crate::media;
use crate::outcome::{Failure, Published, Reason, Scope};
use crate::post::{ClaimedPost, Content, Kind, Media};
use crate::review::Review;

/// Videos: insert (2026-11).
const TITLE_LIMIT: usize = 100;
const DESCRIPTION_LIMIT_BYTES: usize = 5_000;
const TAGS_LIMIT: usize = 500;
/// `maxSize` of the discovery document, revision 20261104.
const FILE_LIMIT_BYTES: u64 = 274_877_906_944;

/// Where upload sessions live.
const HOSTS: &[&str] = &["www.googleapis.com", "youtube.googleapis.com"];

/// Limits by the second or minute come without a time to wait.
const SHORT_PAUSE: Duration = Duration::from_mins(1);
/// A channel's cap on uploads counts over a day.
const DAY: Duration = Duration::from_hours(24);
/// How much of Google's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;

/// What the documentation says.
const FIGURES: &[Figure] = &[
    Figure {
        name: "title_chars",
        value: 100.0,
        as_of: "2026-11",
        source: "videos: insert",
    },
    Figure {
        name: "description_bytes",
        value: 5_000.0,
        as_of: "2026-11",
        source: "videos: insert",
    },
    Figure {
        name: "tags_chars",
        value: 500.0,
        as_of: "2026-11",
        source: "videos: insert",
    },
    Figure {
        name: "file_bytes",
        value: 274_877_906_944.0,
        as_of: "2026-11",
        source: "maxSize of the discovery document, revision 20261104",
    },
];

/// The YouTube client.
#[derive(Debug)]
pub struct YouTube;

impl Platform for YouTube {
    fn name(&self) -> &'static str {
        "youtube"
    }

    fn title(&self) -> &'static str {
        "YouTube"
    }

    fn cap(&self) -> usize {
        4
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://www.googleapis.com"
    }

    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("title", "the video's title"),
            ("privacy", "public, unlisted or private"),
            ("tags", "a list of texts"),
            ("category_id", "such as \"22\""),
            ("made_for_kids", "true or false"),
        ]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "privacy",
            "public, unlisted or private, where the post does not say",
        )]
    }

    fn validate(&self, review: &mut Review<'_>) {
        let content = review.content;
        if content.kind != Kind::Post {
            review.problem("stories, reels and replies on YouTube are not supported yet");
        }
        let (options, wrong) = Options::read(content);
        wrong
            .into_iter()
            .for_each(|problem| review.problem(problem));
        for problem in text_problems(content, &options) {
            review.problem(problem);
        }
        let media: Vec<Media> = review
            .media
            .iter()
            .map(|(medium, _)| medium.clone())
            .collect();
        if let Some(problem) = media_problem(&media) {
            review.problem(problem);
        }
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let well_formed = external_id.len() == 24
            && external_id.starts_with("UC")
            && external_id.bytes().all(in_alphabet);
        if well_formed {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not a YouTube channel id (UC and 22 characters; see the advanced settings)"
        ))
    }

    fn validate_settings(&self, _settings: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            match checkpoint {
                None => start(session).await,
                Some(checkpoint) => go_on(session, &Upload::read(checkpoint)?).await,
            }
        }
        .boxed_local()
    }

    fn can_refresh(&self, _api: &Api<'_>) -> bool {
        false
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn refresh<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        async move { Err(Failure::rejected("YouTube tokens are not refreshed")) }.boxed_local()
    }

    fn check<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        async move { Ok(Standing::default()) }.boxed_local()
    }
}

fn text_problems(content: &Content, options: &Options) -> Vec<String> {
    let mut problems = Vec::new();
    let given = options.title.as_deref().unwrap_or("");
    if title(content, options).is_empty() {
        problems.push("a YouTube video needs a title (option `title`) or a body".to_owned());
    }
    let length = given.chars().count();
    if length > TITLE_LIMIT {
        problems.push(format!(
            "the title has {length} characters; YouTube takes {TITLE_LIMIT}"
        ));
    }
    if given.contains(['<', '>']) {
        problems.push("YouTube takes no < or > in the title".to_owned());
    }
    let description = description(content);
    if description.len() > DESCRIPTION_LIMIT_BYTES {
        problems.push(format!(
            "the description (body and link) has {} bytes; YouTube takes {DESCRIPTION_LIMIT_BYTES}",
            description.len()
        ));
    }
    if description.contains(['<', '>']) {
        problems.push("YouTube takes no < or > in the description".to_owned());
    }
    let length = tags_length(&options.tags);
    if length > TAGS_LIMIT {
        problems.push(format!(
            "the tags have {length} characters with their commas and quotes; YouTube takes {TAGS_LIMIT}"
        ));
    }
    problems
}

fn media_problem(media: &[Media]) -> Option<String> {
    let [video] = media else {
        return Some(format!(
            "YouTube needs exactly one video; this post has {} media",
            media.len()
        ));
    };
    let mime = media::declared_type(video)?;
    let fits = mime.starts_with("video/") || mime == "application/octet-stream";
    (!fits).then(|| format!("YouTube takes videos, not {mime}"))
}

/// Commas count, and so do the quotes around a tag with a space.
fn tags_length(tags: &[String]) -> usize {
    let quotes = |tag: &String| if tag.contains(' ') { 2 } else { 0 };
    let characters: usize = tags
        .iter()
        .map(|tag| tag.chars().count() + quotes(tag))
        .sum();
    characters + tags.len().saturating_sub(1)
}

/// What a post's options say about a video.
#[derive(Debug, Default)]
struct Options {
    title: Option<String>,
    privacy: Option<Privacy>,
    tags: Vec<String>,
    category_id: Option<String>,
    made_for_kids: Option<bool>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Privacy {
    Public,
    Unlisted,
    Private,
}

impl Options {
    /// The options that can be read, and what is wrong with the others.
    fn read(content: &Content) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut wrong = |problem: String| problems.push(problem);
        let options = Self {
            title: option(content, "title", "a text", &mut wrong),
            privacy: option(
                content,
                "privacy",
                "public, unlisted or private",
                &mut wrong,
            ),
            tags: option(content, "tags", "a list of texts", &mut wrong).unwrap_or_default(),
            category_id: option(content, "category_id", "a text such as \"22\"", &mut wrong),
            made_for_kids: option(content, "made_for_kids", "true or false", &mut wrong),
        };
        (options, problems)
    }
}

fn option<T: DeserializeOwned>(
    content: &Content,
    name: &str,
    shape: &str,
    wrong: &mut impl FnMut(String),
) -> Option<T> {
    let value = content.options.get(name)?.clone();
    serde_json::from_value(value).unwrap_or_else(|_| {
        wrong(format!("option `{name}` must be {shape}"));
        None
    })
}

fn title(content: &Content, options: &Options) -> String {
    let mut lines = content.body.lines();
    let first_line = || lines.find(|line| !line.trim().is_empty());
    let title = options.title.as_deref().or_else(first_line);
    shortened(title.unwrap_or(""), TITLE_LIMIT)
}

fn description(content: &Content) -> String {
    let parts = [Some(content.body.as_str()), content.link.as_deref()];
    let filled = parts.into_iter().flatten().filter(|part| !part.is_empty());
    filled.collect::<Vec<_>>().join("\n")
}

/// The video resource: exactly the parts `snippet` and `status`.
fn video(post: &ClaimedPost) -> Value {
    let content = &post.content;
    let (options, _) = Options::read(content);
    let privacy = match &options.privacy {
        Some(privacy) => json!(privacy),
        None => json!(post.account.setting("privacy").unwrap_or("public")),
    };
    let mut video = json!({
        "snippet": {"title": title(content, &options), "description": description(content)},
        "status": {"privacyStatus": privacy},
    });
    if !options.tags.is_empty() {
        video["snippet"]["tags"] = json!(options.tags);
    }
    if let Some(category) = options.category_id {
        video["snippet"]["categoryId"] = json!(category);
    }
    if let Some(for_kids) = options.made_for_kids {
        video["status"]["selfDeclaredMadeForKids"] = json!(for_kids);
    }
    video
}

/// The checkpoint: a session that waits for the video's bytes, or has them.
#[derive(Debug, Serialize, Deserialize)]
struct Upload {
    session: String,
    length_bytes: u64,
}

impl Upload {
    fn read(checkpoint: &Value) -> Result<Self, Failure> {
        Self::deserialize(checkpoint).map_err(|error| Failure::Unconfirmed {
            reason: Reason::new("bug", format!("the checkpoint can't be read: {error}")),
        })
    }

    fn wait(&self, after: Duration) -> Step {
        Step::Wait {
            checkpoint: json!(self),
            after,
        }
    }

    fn request(&self, session: &Session<'_>) -> Result<RequestBuilder, Failure> {
        let trusted = session.api.trusts(&self.session, HOSTS);
        let request = || {
            session
                .api
                .anonymous(Method::PUT, &self.session)
                .bearer_auth(session.api.token())
        };
        trusted.then(request).ok_or_else(|| Failure::Unconfirmed {
            reason: Reason::new(
                "moved",
                "the upload was begun on another host; look at the channel before trying again",
            ),
        })
    }
}

async fn open(session: &Session<'_>) -> Result<media::Source, Failure> {
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let [video] = media.as_slice() else {
        return Err(Failure::rejected("YouTube needs exactly one video"));
    };
    media::open(video, session.api.http, FILE_LIMIT_BYTES).await
}

async fn start(session: &Session<'_>) -> Result<Step, Failure> {
    let source = open(session).await?;
    let path = format!(
        "/upload/youtube/{}/videos",
        session.api.version.unwrap_or("v3")
    );
    let request = session
        .api
        .request(Method::POST, &path)
        .query(&[("uploadType", "resumable"), ("part", "snippet,status")])
        .header("X-Upload-Content-Length", source.length)
        .header("X-Upload-Content-Type", source.mime)
        .json(&video(session.post));
    let reply = session.send(request, Effect::Prepares).await?;
    if !reply.status.is_success() {
        return Err(classify(&reply, Effect::Prepares, session.api.now));
    }
    let address = reply.header("location");
    let address = address
        .filter(|address| session.api.trusts(address, HOSTS))
        .ok_or_else(|| unreadable(&reply, Effect::Prepares))?;
    let upload = Upload {
        session: address.to_owned(),
        length_bytes: source.length,
    };
    Ok(upload.wait(Duration::ZERO))
}

/// Asks the session first, always: its answer is true whatever became of the steps before.
async fn go_on(session: &Session<'_>, upload: &Upload) -> Result<Step, Failure> {
    match probe(session, upload).await? {
        Progress::Published(video) => Ok(Step::Done(video.published())),
        Progress::Stored(0) => send(session, upload).await,
        Progress::Stored(stored) if stored >= upload.length_bytes => Ok(upload.wait(SHORT_PAUSE)),
        // Its bytes never become a video without the missing ones, and nobody sends those.
        Progress::Stored(_) => start(session).await,
        Progress::Gone => Err(Failure::Unconfirmed {
            reason: Reason::new(
                "upload_gone",
                "YouTube has forgotten the upload; look at the channel before trying again",
            ),
        }),
    }
}

async fn probe(session: &Session<'_>, upload: &Upload) -> Result<Progress, Failure> {
    let range = format!("bytes */{}", upload.length_bytes);
    let request = upload
        .request(session)?
        .header(CONTENT_LENGTH, 0)
        .header(CONTENT_RANGE, range);
    let reply = session.send(request, Effect::Reads).await?;
    Progress::of(&reply, Effect::Reads, session.api.now)
}

async fn send(session: &Session<'_>, upload: &Upload) -> Result<Step, Failure> {
    let source = open(session).await?;
    if source.length != upload.length_bytes {
        // The file was exchanged meanwhile; the session expects the other one.
        return start(session).await;
    }
    let request = upload
        .request(session)?
        .timeout(session.api.http.timeouts.upload)
        .header(CONTENT_LENGTH, source.length)
        .header(CONTENT_TYPE, source.mime)
        .body(source.body);
    let progress = match session.send(request, Effect::Publishes).await {
        Ok(reply) => Progress::of(&reply, Effect::Publishes, session.api.now),
        Err(failure) => Err(failure),
    };
    match progress {
        Ok(Progress::Published(video)) => Ok(Step::Done(video.published())),
        Ok(Progress::Gone) => start(session).await,
        Ok(Progress::Stored(_)) => {
            let reason = Reason::new("connection", "YouTube did not get the whole file");
            settle(session, upload, reason).await
        }
        Err(Failure::Unconfirmed { reason }) => settle(session, upload, reason).await,
        Err(failure) => Err(failure),
    }
}

/// Finds out what became of bytes that were sent and not answered. The reason is why that is in doubt.
async fn settle(session: &Session<'_>, upload: &Upload, reason: Reason) -> Result<Step, Failure> {
    match probe(session, upload).await {
        Ok(Progress::Published(video)) => Ok(Step::Done(video.published())),
        Ok(Progress::Stored(stored)) if stored >= upload.length_bytes => {
            Ok(upload.wait(SHORT_PAUSE))
        }
        Ok(Progress::Stored(_)) => Err(Failure::Retry {
            after: None,
            reason,
        }),
        Ok(Progress::Gone) | Err(_) => Err(Failure::Unconfirmed { reason }),
    }
}

/// What a session answers.
#[derive(Debug, PartialEq)]
enum Progress {
    /// The bytes are a video.
    Published(Video),
    /// It has so many bytes and waits for more.
    Stored(u64),
    /// There is no such session.
    Gone,
}

impl Progress {
    fn of(reply: &Reply, effect: Effect, now: DateTime<Utc>) -> Result<Self, Failure> {
        match reply.status.as_u16() {
            200 | 201 => reply
                .json()
                .map(Self::Published)
                .ok_or_else(|| unreadable(reply, effect)),
            308 => Ok(Self::Stored(stored(reply.header("range")))),
            404 | 410 => Ok(Self::Gone),
            _ => Err(classify(reply, effect, now)),
        }
    }
}

/// `bytes=0-99` are 100 bytes; without the header there are none.
fn stored(range: Option<&str>) -> u64 {
    range
        .and_then(|range| range.rsplit_once('-')?.1.parse::<u64>().ok())
        .map_or(0, |last| last.saturating_add(1))
}

#[derive(Debug, Deserialize, PartialEq)]
struct Video {
    id: String,
}

impl Video {
    fn published(self) -> Published {
        Published {
            permalink: Some(format!("https://www.youtube.com/watch?v={}", self.id)),
            id: self.id,
            warnings: Vec::new(),
            pause: None,
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: ErrorReply,
}

#[derive(Deserialize)]
struct ErrorReply {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<ErrorDetail>,
    /// Google's general word for it, where there is no detail.
    status: Option<String>,
}

#[derive(Deserialize)]
struct ErrorDetail {
    reason: String,
}

/// What an error reply means, by its first reason.
fn classify(reply: &Reply, effect: Effect, now: DateTime<Utc>) -> Failure {
    let Some(Envelope { error }) = reply.json() else {
        return by_status(reply, effect);
    };
    let detail = error.errors.first().map(|detail| detail.reason.as_str());
    let Some(code) = detail.or(error.status.as_deref()) else {
        return by_status(reply, effect);
    };
    if reply.status.is_server_error() {
        return by_status(reply, effect);
    }
    let words = one_line(&error.message, WORDS_LIMIT);
    let reason = |class, message: String| Reason::new(class, message).code(code);
    let limited = |after, scope| Failure::RateLimited {
        after,
        scope,
        reason: reason("rate_limited", format!("YouTube limits uploads: {words}")),
    };
    let needs_login = |message: String| Failure::NeedsLogin {
        reason: reason("needs_login", message),
    };
    match code {
        "quotaExceeded" | "dailyLimitExceeded" => limited(until_quota_day(now), Scope::Platform),
        "rateLimitExceeded" | "RESOURCE_EXHAUSTED" => limited(SHORT_PAUSE, Scope::Platform),
        "userRateLimitExceeded" => limited(SHORT_PAUSE, Scope::Account),
        "uploadLimitExceeded" => limited(DAY, Scope::Account),
        "youtubeSignupRequired" | "authenticatedUserNotChannel" => {
            needs_login("the Google account has no YouTube channel; make one".to_owned())
        }
        "authenticatedUserAccountClosed" | "authenticatedUserAccountSuspended" => {
            needs_login("YouTube has closed or suspended the account".to_owned())
        }
        "accessNotConfigured" => {
            needs_login("the YouTube Data API is not enabled in the Google project".to_owned())
        }
        "accountDelegationForbidden"
        | "forbidden"
        | "insufficientPermissions"
        | "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
        | "PERMISSION_DENIED" => {
            needs_login(format!("the token may not upload to this channel: {words}"))
        }
        _ if reply.status == 401 => {
            needs_login("YouTube does not accept the token; connect the account again".to_owned())
        }
        _ => match reply.status.as_u16() {
            408 | 409 | 425 | 429 => by_status(reply, effect),
            _ => Failure::Rejected {
                reason: reason("rejected", format!("YouTube refuses the video: {words}")),
            },
        },
    }
}

/// Until the next midnight in Los Angeles, when the day of Google's quotas begins.
fn until_quota_day(now: DateTime<Utc>) -> Duration {
    let there = now.with_timezone(&Los_Angeles);
    let midnight = (there.date_naive() + TimeDelta::days(1)).and_time(NaiveTime::MIN);
    midnight
        .and_local_timezone(Los_Angeles)
        .earliest()
        .and_then(|midnight| (midnight.to_utc() - now).to_std().ok())
        .unwrap_or(DAY)
}

#[cfg(test)]
mod tests;
