//! Instagram: <https://developers.facebook.com/docs/instagram-platform/content-publishing>
//!
//! - **Version**: in the path, v25.0 unless configured.
//! - **Auth**: bearer. The account's setting `login` says which token it is: `facebook` (the default: a Page's or
//!   user's token, `graph.facebook.com`) or `instagram` (an Instagram user's token, `graph.instagram.com`, 60 days).
//! - **Limits** (2026-09): caption 2,200 characters, 30 hashtags, 20 mentions; alternative text 1,000 characters;
//!   pictures are JPEG, up to 8 MB, from 4:5 to 1.91:1, fetched by Meta from a public URL. Posts in 24 hours: the
//!   documentation says 50 and 100; the reply to the post over it is what counts.
//! - **Idempotency**: a container is published once. Its id is in the checkpoint before it is published, and its
//!   status is read before every try.
//! - **Look-up**: a container that is `PUBLISHED` is live; which post it became, only `GET /{account}/media` tells,
//!   by caption and time.
//! - **Doubts**: what publishing a published container answers is not documented, so it is never tried.
//! - The account's `external_id` is the number of the professional account.
//!
//! One picture so far.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::graph::{self, GraphError};
use super::{Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Effect, Reply, Session, in_doubt, one_line, unreadable};
use crate::limits::{Figure, Quota};
use crate::media::Family;
use crate::outcome::{Failure, Published, Reason, Scope};
use crate::post::{Content, Kind, Media};
use crate::review::Review;

/// Pictures are ready at once as a rule, so the first look comes soon; Meta's own pace is one look a minute.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const SLOWEST_LOOK: Duration = Duration::from_mins(1);
/// After a fault of Instagram's own the documentation asks for a pause of half a minute to two minutes.
const PAUSE: Duration = Duration::from_mins(1);
/// So many containers are made for one post before a person has to look at it.
const CONTAINER_LIMIT: u32 = 3;
/// The daily limit is a rolling window; nothing says when it has room again.
const DAILY_LIMIT_PAUSE: Duration = Duration::from_hours(6);
/// A spam block lasts for hours, by the reports of those who met it.
const SPAM_PAUSE: Duration = Duration::from_hours(6);
/// How far Instagram's clock and ours may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// What the documentation says.
const FIGURES: &[Figure] = &[
    Figure {
        name: "caption_chars",
        value: 2_200.0,
        as_of: "2026-09",
        source: "content publishing guide",
    },
    Figure {
        name: "caption_hashtags",
        value: 30.0,
        as_of: "2026-09",
        source: "content publishing guide",
    },
    Figure {
        name: "caption_mentions",
        value: 20.0,
        as_of: "2026-09",
        source: "content publishing guide",
    },
    Figure {
        name: "alt_chars",
        value: 1_000.0,
        as_of: "2026-09",
        source: "reference of /media",
    },
];

/// The Instagram client.
#[derive(Debug)]
pub struct Instagram;

impl Platform for Instagram {
    fn name(&self) -> &'static str {
        "instagram"
    }

    fn title(&self) -> &'static str {
        "Instagram"
    }

    fn cap(&self) -> usize {
        5
    }

    fn base_url(&self, account: &Account) -> &'static str {
        match account.setting("login") {
            Some("instagram") => "https://graph.instagram.com",
            _ => "https://graph.facebook.com",
        }
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
        &[]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "login",
            "`facebook` (default) or `instagram`: which login gave the token",
        )]
    }

    fn validate(&self, review: &mut Review<'_>) {
        let content = review.content;
        if content.kind != Kind::Post {
            review.problem("stories, reels and replies on Instagram are not supported yet");
        }
        if content.link.is_some() {
            review.problem(
                "Instagram has no link posts; leave the link out or write it into the body",
            );
        }
        review.characters("the caption", &content.body, "caption_chars");
        let (hashtags, mentions) = (marks(&content.body, '#'), marks(&content.body, '@'));
        review.at_most("the caption", hashtags, "hashtags", "caption_hashtags");
        review.at_most("the caption", mentions, "mentions", "caption_mentions");
        if review.media.len() != 1 {
            let count = review.media.len();
            review.problem(format!(
                "Instagram needs exactly one picture so far; this post has {count} media"
            ));
        }
        review.types(Family::Image, &["image/jpeg"], "JPEG pictures");
        review.families(&[Family::Image], "pictures");
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        if graph::is_id(external_id) {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not an Instagram account id (a number, not the user name)"
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
                None => create(session, 1).await,
                Some(checkpoint) => go_on(session, Container::read(checkpoint)?).await,
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
        async move { Err(Failure::rejected("Instagram tokens are not refreshed")) }.boxed_local()
    }

    fn check<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        async move { Ok(Standing::default()) }.boxed_local()
    }
}

/// How many words a caption marks with this sign.
fn marks(caption: &str, sign: char) -> usize {
    let starts_word = |c: char| c.is_alphanumeric() || c == '_';
    caption
        .split(sign)
        .skip(1)
        .filter(|rest| rest.starts_with(starts_word))
        .count()
}

/// The checkpoint: an upload that nobody sees yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Container {
    id: String,
    created_at: DateTime<Utc>,
    /// Which of the post's containers it is, from 1.
    number: u32,
    /// How long the last look at it was waited for.
    looked_after_secs: u64,
}

impl Container {
    fn read(checkpoint: &Value) -> Result<Self, Failure> {
        Self::deserialize(checkpoint).map_err(|error| Failure::Unconfirmed {
            reason: Reason::new("bug", format!("the checkpoint can't be read: {error}")),
        })
    }

    fn wait(&self, after: Duration) -> Step {
        let container = Self {
            looked_after_secs: after.as_secs(),
            ..self.clone()
        };
        Step::Wait {
            checkpoint: json!(container),
            after,
        }
    }

    /// Waits longer from look to look.
    fn look_again(&self) -> Step {
        let after = Duration::from_secs(2 * self.looked_after_secs);
        self.wait(after.clamp(FIRST_LOOK, SLOWEST_LOOK))
    }
}

async fn create(session: &Session<'_>, number: u32) -> Result<Step, Failure> {
    let edge = format!("{}/media", session.post.account.external_id);
    let request = session
        .api
        .request(Method::POST, &graph::path(session, &edge))
        .json(&picture(&session.post.content)?);
    let reply = session.send(request, Effect::Prepares).await?;
    let Id { id } = accept(&reply, Effect::Prepares)?;
    let container = Container {
        id,
        created_at: session.api.now,
        number,
        looked_after_secs: 0,
    };
    Ok(container.wait(Duration::ZERO))
}

async fn go_on(session: &Session<'_>, container: Container) -> Result<Step, Failure> {
    let request = session
        .api
        .request(Method::GET, &graph::path(session, &container.id))
        .query(&[("fields", "status_code,status")]);
    let reply = session.send(request, Effect::Reads).await?;
    if is_unknown(&reply) {
        return replace(session, &container, "Instagram knows it no more").await;
    }
    let status: Status = accept(&reply, Effect::Reads)?;
    match status.status_code.as_str() {
        "FINISHED" => publish(session, &container).await,
        "IN_PROGRESS" => Ok(container.look_again()),
        "PUBLISHED" => Ok(Step::Done(find(session, &container).await)),
        "EXPIRED" => replace(session, &container, "it expired").await,
        "ERROR" if status.is_passing() => {
            let why = status.words();
            replace(session, &container, &why).await
        }
        "ERROR" => Err(Failure::rejected(format!(
            "Instagram can't use the picture: {}",
            status.words()
        ))),
        _ => Err(unreadable(&reply, Effect::Reads)),
    }
}

/// Makes a new container for one that surely was not, and never will be, published.
async fn replace(session: &Session<'_>, old: &Container, why: &str) -> Result<Step, Failure> {
    if old.number >= CONTAINER_LIMIT {
        return Err(Failure::rejected(format!(
            "Instagram gave up on the upload {CONTAINER_LIMIT} times, the last time because {why}"
        )));
    }
    create(session, old.number + 1).await
}

async fn publish(session: &Session<'_>, container: &Container) -> Result<Step, Failure> {
    let edge = format!("{}/media_publish", session.post.account.external_id);
    let request = session
        .api
        .request(Method::POST, &graph::path(session, &edge))
        .json(&json!({"creation_id": container.id}));
    let reply = session.send(request, Effect::Publishes).await?;
    if is_not_ready(&reply) {
        return Ok(container.look_again());
    }
    let Id { id } = accept(&reply, Effect::Publishes)?;
    session.accepted(&id);
    let (permalink, warnings) = match permalink(session, &id).await {
        Ok(permalink) => (Some(permalink), Vec::new()),
        Err(failure) => (
            None,
            vec![format!("no permalink: {}", failure.reason().message)],
        ),
    };
    Ok(Step::Done(Published {
        id,
        permalink,
        warnings,
        pause: None,
    }))
}

async fn permalink(session: &Session<'_>, id: &str) -> Result<String, Failure> {
    let request = session
        .api
        .request(Method::GET, &graph::path(session, id))
        .query(&[("fields", "permalink")]);
    let reply = session.send(request, Effect::Reads).await?;
    accept(&reply, Effect::Reads).map(|Permalink { permalink }| permalink)
}

/// The post that a published container became. It is live whether or not the list shows it.
async fn find(session: &Session<'_>, container: &Container) -> Published {
    session.accepted(&container.id);
    let missing = |why: &str| Published {
        id: container.id.clone(),
        permalink: None,
        warnings: vec![format!(
            "Instagram published it, but {why}; the id is that of its upload"
        )],
        pause: None,
    };
    match recent(session).await {
        Ok(posts) => match_post(posts, container, &session.post.content.body)
            .unwrap_or_else(|| missing("the account's list does not show which post it is")),
        Err(failure) => missing(&failure.reason().message),
    }
}

async fn recent(session: &Session<'_>) -> Result<Vec<Post>, Failure> {
    let edge = format!("{}/media", session.post.account.external_id);
    let query = [
        ("fields", "id,caption,permalink,timestamp"),
        ("limit", "10"),
    ];
    let request = session
        .api
        .request(Method::GET, &graph::path(session, &edge))
        .query(&query);
    let reply = session.send(request, Effect::Reads).await?;
    accept(&reply, Effect::Reads).map(|Posts { data }| data)
}

/// The one post with this caption since the container was made; none if there are several.
fn match_post(posts: Vec<Post>, container: &Container, caption: &str) -> Option<Published> {
    // The list may leave the signs of mentions out.
    let plain = |text: &str| text.trim().replace('@', "");
    let since = container.created_at - CLOCK_SKEW;
    let mut matching = posts.into_iter().filter(|post| {
        let own = post.caption.as_deref().unwrap_or("");
        post.created_at().is_some_and(|at| at >= since) && plain(own) == plain(caption)
    });
    let found = matching.next()?;
    matching.next().is_none().then_some(Published {
        id: found.id,
        permalink: found.permalink,
        warnings: Vec::new(),
        pause: None,
    })
}

/// A picture has no `media_type`.
fn picture(content: &Content) -> Result<Value, Failure> {
    let media = content.media().map_err(Failure::rejected)?;
    let [
        Media {
            url: Some(url),
            alt,
            ..
        },
    ] = media.as_slice()
    else {
        return Err(Failure::rejected(
            "Instagram needs exactly one picture with a public url",
        ));
    };
    let mut picture = json!({"image_url": url});
    if !content.body.is_empty() {
        picture["caption"] = json!(content.body);
    }
    if let Some(alt) = alt.as_deref().filter(|alt| !alt.is_empty()) {
        picture["alt_text"] = json!(alt);
    }
    Ok(picture)
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Permalink {
    permalink: String,
}

#[derive(Deserialize)]
struct Status {
    status_code: String,
    #[serde(default)]
    status: String,
}

impl Status {
    /// Whether a new upload of the same picture can succeed, by the subcode in the text.
    fn is_passing(&self) -> bool {
        let mut words = self.status.split(|c: char| !c.is_ascii_digit());
        words.any(|word| {
            matches!(
                word,
                "2207001" | "2207003" | "2207020" | "2207032" | "2207053" | "2207082"
            )
        })
    }

    fn words(&self) -> String {
        one_line(&self.status, 300)
    }
}

#[derive(Deserialize)]
struct Posts {
    data: Vec<Post>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    caption: Option<String>,
    permalink: Option<String>,
    timestamp: String,
}

impl Post {
    /// `2026-09-01T12:00:00+0000`: ISO 8601, but not RFC 3339.
    fn created_at(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_str(&self.timestamp, "%Y-%m-%dT%H:%M:%S%z")
            .ok()
            .map(|at| at.to_utc())
    }
}

fn codes(reply: &Reply) -> Option<(i64, i64)> {
    GraphError::of(reply).and_then(|error| error.code.zip(error.subcode))
}

/// Whether the reply says that there is no such container.
fn is_unknown(reply: &Reply) -> bool {
    reply.status.is_client_error() && matches!(codes(reply), Some((24, 2_207_006 | 2_207_008)))
}

/// Whether the reply to publishing says that the container is not ready.
fn is_not_ready(reply: &Reply) -> bool {
    reply.status.is_client_error() && codes(reply) == Some((9007, 2_207_027))
}

/// The reply's content, or what its error means.
fn accept<T: for<'de> Deserialize<'de>>(reply: &Reply, effect: Effect) -> Result<T, Failure> {
    if reply.status.is_client_error() {
        return Err(classify(reply, effect));
    }
    graph::accept(reply, effect)
}

/// Instagram's own codes; the others are Meta's.
fn classify(reply: &Reply, effect: Effect) -> Failure {
    let Some((error, codes)) = GraphError::of(reply).zip(codes(reply)) else {
        return graph::classify(reply, effect);
    };
    let limited = |after, message: &str| Failure::RateLimited {
        after,
        scope: Scope::Account,
        reason: error.reason("rate_limited", message),
    };
    match codes {
        (-2, 2_207_003 | 2_207_020) | (-1, 2_207_001 | 2_207_032 | 2_207_053) => in_doubt(
            effect,
            error.reason(
                "server_error",
                format!("Instagram had trouble: {}", error.words()),
            ),
        ),
        // The container's status, read before the next try, shows whether it was published all the same.
        (4, 2_207_051) => limited(
            SPAM_PAUSE,
            "Instagram takes the account's posts for spam just now",
        ),
        (9, 2_207_042) => limited(
            DAILY_LIMIT_PAUSE,
            "the account has reached Instagram's number of posts in 24 hours",
        ),
        (24, 2_207_006 | 2_207_008) => Failure::Retry {
            after: Some(PAUSE),
            reason: error.reason("upload_gone", "Instagram knows the upload no more"),
        },
        (25, 2_207_050) => Failure::NeedsLogin {
            reason: error.reason(
                "needs_login",
                "Instagram restricts the account; its owner must log in there",
            ),
        },
        (9004, 2_207_052) => Failure::Rejected {
            reason: error.reason(
                "rejected",
                "Instagram can't fetch the picture; check that its address opens for everyone",
            ),
        },
        _ => graph::classify(reply, effect),
    }
}

#[cfg(test)]
mod tests;
