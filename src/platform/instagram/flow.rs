//! From media to a post: containers are made, waited for, and one is published.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::checkpoint::{Checkpoint, Item, Upload};
use super::content::{self, Role};
use super::errors::{
    PAUSE, accept, classify, is_not_ready, is_spam, is_unfetched, is_unknown, used_up,
};
use super::quota::Quota;
use super::upload::Sent;
use super::{Login, find, lookup, quota, upload};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::media::{self, Family};
use crate::outcome::{Failure, Pause, Reason, Scope};
use crate::platform::{Step, graph};
use crate::post::Media;
use crate::review::named;
use crate::text::one_line;

/// So many tries at a post's containers before a person has to look at it.
const CONTAINER_LIMIT: u32 = 3;
/// So often Instagram is asked again for a container that it does not know.
const MISS_LIMIT: u32 = 2;
/// The account's limit is a window that rolls; nothing says when its oldest post drops out, so it is read again soon.
const FULL_PAUSE: Duration = Duration::from_hours(1);

pub(super) async fn step(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Step, Failure> {
    let Some(checkpoint) = checkpoint else {
        return begin(session, 1).await;
    };
    let checkpoint = Checkpoint::read(checkpoint)?;
    let Some(id) = checkpoint.id.clone() else {
        return items(session, checkpoint).await;
    };
    if let Some(file) = &checkpoint.upload {
        return match upload::send(session, 0, &id, file).await? {
            Sent::Whole => Ok(Checkpoint {
                upload: None,
                ..checkpoint
            }
            .go_on()),
            Sent::Never(why) => again(session, &checkpoint, &why).await,
        };
    }
    match look(session, &id).await {
        Ok(Look::Ready) => publish(session, checkpoint, &id).await,
        Ok(Look::Processing) => Ok(checkpoint.look_again()),
        Ok(Look::Published) => lookup::published(session, &checkpoint, &id)
            .await
            .map(Step::Done),
        Ok(Look::Gone(why)) => again(session, &checkpoint, &why).await,
        Ok(Look::Broken(words)) => Err(broken("the post", &words)),
        Ok(Look::Unknown) => unknown(session, checkpoint).await,
        Err(failure) => Err(failure),
    }
}

/// Makes the first container.
async fn begin(session: &Session<'_>, number: u32) -> Result<Step, Failure> {
    let mut checkpoint = Checkpoint::new(session.api.now, number);
    let item = make(session, 0).await?;
    if session.post.content.media.len() > 1 {
        checkpoint.items.push(item);
    } else {
        checkpoint.id = Some(item.id);
        checkpoint.upload = item.upload;
    }
    Ok(checkpoint.go_on())
}

/// Starts over, with containers that surely were not, and never will be, published left behind.
async fn again(session: &Session<'_>, old: &Checkpoint, why: &str) -> Result<Step, Failure> {
    begin(session, next_number(old, why)?).await
}

fn next_number(old: &Checkpoint, why: &str) -> Result<u32, Failure> {
    if old.number >= CONTAINER_LIMIT {
        return Err(Failure::rejected(format!(
            "Instagram gave up on the upload {CONTAINER_LIMIT} times, the last time because {why}"
        )));
    }
    Ok(old.number + 1)
}

/// One step with the items of a carousel: make, send, or look at one; once all are ready, make the carousel.
async fn items(session: &Session<'_>, mut checkpoint: Checkpoint) -> Result<Step, Failure> {
    let count = session.post.content.media.len();
    if checkpoint.items.len() > count {
        // The post was changed since.
        return begin(session, checkpoint.number).await;
    }
    if checkpoint.items.len() < count {
        let item = make(session, checkpoint.items.len()).await?;
        checkpoint.items.push(item);
        return Ok(checkpoint.go_on());
    }
    let place = checkpoint
        .items
        .iter()
        .position(|item| item.upload.is_some())
        .or_else(|| checkpoint.items.iter().position(|item| !item.ready));
    let Some(place) = place else {
        return carousel(session, checkpoint).await;
    };
    let item = checkpoint.items[place].clone();
    let why = if let Some(file) = &item.upload {
        match upload::send(session, place, &item.id, file).await? {
            Sent::Whole => {
                checkpoint.items[place].upload = None;
                return Ok(checkpoint.go_on());
            }
            Sent::Never(why) => why,
        }
    } else {
        match look(session, &item.id).await? {
            Look::Ready | Look::Published => {
                checkpoint.items[place].ready = true;
                return Ok(checkpoint.go_on());
            }
            Look::Processing => return Ok(checkpoint.look_again()),
            Look::Broken(words) => return Err(broken(&format!("media {}", place + 1), &words)),
            Look::Unknown if checkpoint.missed < MISS_LIMIT => return Ok(missed(checkpoint)),
            Look::Unknown => "Instagram knows it no more".to_owned(),
            Look::Gone(why) => why,
        }
    };
    checkpoint.number = next_number(&checkpoint, &why)?;
    checkpoint.items[place] = make(session, place).await?;
    Ok(checkpoint.go_on())
}

fn broken(what: &str, words: &str) -> Failure {
    Failure::rejected(format!("Instagram can't use {what}: {words}"))
}

fn missed(checkpoint: Checkpoint) -> Step {
    Checkpoint {
        missed: checkpoint.missed + 1,
        ..checkpoint
    }
    .looked(PAUSE)
}

/// Makes the container of one medium.
async fn make(session: &Session<'_>, place: usize) -> Result<Item, Failure> {
    let content = &session.post.content;
    let media = content.media().map_err(Failure::rejected)?;
    let Some(medium) = media.get(place) else {
        return Err(Failure::rejected(
            "Instagram has no posts without media; add a picture or a video",
        ));
    };
    let family = family(session, place, medium).await?;
    let role = Role::of(content, media.len(), family)?;
    let is_sent = role.is_video() && is_sent(session, medium)?;
    let url = if is_sent {
        None
    } else {
        Some(media::public_url(medium, session.api.http).await?)
    };
    let body = content::medium(content, role, medium, url.as_deref())?;
    let reply = post(session, "media", &body).await?;
    if is_unfetched(&reply) {
        return Err(unfetched(session, place, medium, &reply).await);
    }
    let made: Made = accept(&reply, Effect::Prepares).map_err(|failure| match failure {
        Failure::Rejected { reason } if media.len() > 1 => Failure::Rejected {
            reason: Reason {
                message: format!("{}: {}", named(place + 1, medium), reason.message),
                ..reason
            },
        },
        other => other,
    })?;
    let bytes = session.facts.get(place).and_then(|facts| facts.bytes);
    let upload = match (is_sent, made.uri) {
        (false, _) => None,
        (true, Some(uri)) => Some(Upload { uri, bytes }),
        (true, None) => return Err(unreadable(&reply, Effect::Prepares)),
    };
    Ok(Item {
        id: checked(made.id, &reply, Effect::Prepares)?,
        ready: false,
        upload,
    })
}

/// What it means that Instagram could not open an address. Nothing is live yet, so as long as it opens for us it is
/// tried again, through all attempts: their servers, or the medium's, have their moments.
async fn unfetched(session: &Session<'_>, place: usize, medium: &Media, reply: &Reply) -> Failure {
    let theirs = classify(reply, Effect::Prepares).reason().clone();
    match media::look(place + 1, medium, session.api.http).await {
        Err(Failure::Rejected { reason }) => Failure::Rejected {
            reason: Reason {
                message: format!(
                    "{}; it does not open for us either: {}",
                    theirs.message, reason.message
                ),
                ..theirs
            },
        },
        _ => Failure::Retry {
            after: None,
            reason: Reason {
                class: "media_unavailable",
                message: format!("{}: {}", named(place + 1, medium), theirs.message),
                ..theirs
            },
        },
    }
}

/// What the medium is. In a later run it may have to be looked at again.
async fn family(session: &Session<'_>, place: usize, medium: &Media) -> Result<Family, Failure> {
    let known = session.facts.get(place).and_then(|facts| facts.family);
    if let Some(family) = known {
        return Ok(family);
    }
    let facts = media::look(place + 1, medium, session.api.http).await?;
    facts.family.ok_or_else(|| {
        Failure::rejected(format!(
            "{}: nothing tells whether it is a picture or a video; give its `type`",
            named(place + 1, medium)
        ))
    })
}

/// Whether a video's bytes are sent rather than fetched.
fn is_sent(session: &Session<'_>, medium: &Media) -> Result<bool, Failure> {
    let login = Login::of(session.api.account);
    if medium.path.is_some() && login == Login::Instagram {
        return Err(Failure::rejected(format!(
            "the video {} can't be uploaded: with Instagram's own login Instagram fetches videos itself; give a public \
             url, or connect the account with Facebook's login",
            medium.location()
        )));
    }
    let address = medium.url.as_deref().unwrap_or_default();
    let is_object = address
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://"));
    Ok(medium.path.is_some() || is_object && login == Login::Facebook)
}

async fn carousel(session: &Session<'_>, checkpoint: Checkpoint) -> Result<Step, Failure> {
    let items: Vec<&str> = checkpoint
        .items
        .iter()
        .map(|item| item.id.as_str())
        .collect();
    let body = content::carousel(&session.post.content, &items)?;
    let reply = post(session, "media", &body).await?;
    if is_not_ready(&reply) {
        return Ok(checkpoint.look_again());
    }
    if is_unknown(&reply) {
        return again(session, &checkpoint, "Instagram knows its items no more").await;
    }
    let made: Made = accept(&reply, Effect::Prepares)?;
    Ok(Checkpoint {
        id: Some(checked(made.id, &reply, Effect::Prepares)?),
        ..checkpoint
    }
    .go_on())
}

async fn post(session: &Session<'_>, edge: &str, body: &Value) -> Result<Reply, Failure> {
    let edge = format!("{}/{edge}", session.post.account.external_id);
    let request = session
        .api
        .request(Method::POST, &graph::api_path(&session.api, &edge))
        .json(body);
    session.api.send(request, Effect::Prepares).await
}

/// An id that may go into a path.
fn checked(id: String, reply: &Reply, effect: Effect) -> Result<String, Failure> {
    if graph::is_id(&id) {
        return Ok(id);
    }
    Err(unreadable(reply, effect))
}

#[derive(Deserialize)]
struct Made {
    id: String,
    uri: Option<String>,
}

/// What a container's status says.
pub(super) enum Look {
    Ready,
    Processing,
    Published,
    /// Not published, and it never will be: another one may do better.
    Gone(String),
    /// Instagram can't use it, in its own words.
    Broken(String),
    Unknown,
}

pub(super) async fn look(session: &Session<'_>, id: &str) -> Result<Look, Failure> {
    let request = session
        .api
        .request(Method::GET, &graph::api_path(&session.api, id))
        .query(&[("fields", "status_code,status")]);
    let reply = session.api.send(request, Effect::Reads).await?;
    if is_unknown(&reply) {
        return Ok(Look::Unknown);
    }
    let status: Status = accept(&reply, Effect::Reads)?;
    match status.status_code.as_str() {
        "FINISHED" => Ok(Look::Ready),
        "IN_PROGRESS" => Ok(Look::Processing),
        "PUBLISHED" => Ok(Look::Published),
        "EXPIRED" => Ok(Look::Gone("it expired".to_owned())),
        // Documented as "failed to complete the publishing process".
        "ERROR" if status.is_passing() => Ok(Look::Gone(status.words())),
        "ERROR" => Ok(Look::Broken(status.words())),
        _ => Err(unreadable(&reply, Effect::Reads)),
    }
}

#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) status_code: String,
    #[serde(default)]
    pub(super) status: String,
}

impl Status {
    /// Whether a new upload of the same media can succeed, by the subcode in the text.
    pub(super) fn is_passing(&self) -> bool {
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

/// Instagram does not know the container. It may do so in a moment; if not, it will not publish it.
async fn unknown(session: &Session<'_>, checkpoint: Checkpoint) -> Result<Step, Failure> {
    if checkpoint.missed < MISS_LIMIT {
        return Ok(missed(checkpoint));
    }
    again(session, &checkpoint, "Instagram knows it no more").await
}

async fn publish(session: &Session<'_>, checkpoint: Checkpoint, id: &str) -> Result<Step, Failure> {
    let room = room(session).await;
    if let Some(room) = room.as_ref().filter(|room| room.left == 0) {
        return Err(Failure::RateLimited {
            after: FULL_PAUSE,
            scope: Scope::Account,
            reason: Reason::new("rate_limited", room.words()),
        });
    }
    let edge = format!("{}/media_publish", session.post.account.external_id);
    let request = session
        .api
        .request(Method::POST, &graph::api_path(&session.api, &edge))
        .json(&json!({"creation_id": id}));
    let reply = session.publish(request).await?;
    if is_not_ready(&reply) {
        return Ok(checkpoint.look_again());
    }
    let made = accept::<Made>(&reply, Effect::Publishes);
    match made.and_then(|made| checked(made.id, &reply, Effect::Publishes)) {
        Ok(id) => {
            session.accepted(&id);
            let full = room.filter(|room| room.left <= 1).map(|room| Pause {
                after: FULL_PAUSE,
                scope: Scope::Account,
                why: room.words(),
            });
            let mut published = find::follow(session, &id).await;
            published.pause = used_up(&reply).or(full);
            Ok(Step::Done(published))
        }
        Err(failure) if is_spam(&reply) => match look(session, id).await {
            Ok(Look::Published) => lookup::published(session, &checkpoint, id)
                .await
                .map(Step::Done),
            Ok(_) => Err(failure),
            Err(_) => Err(Failure::Unconfirmed {
                reason: failure.reason().clone(),
            }),
        },
        Err(failure) => Err(failure),
    }
}

/// How many posts the account may still publish.
struct Room {
    total: u64,
    left: u64,
    hours: u64,
}

impl Room {
    fn words(&self) -> String {
        format!(
            "the account has reached Instagram's limit of {} posts in {} hours; it is read again in an hour",
            self.total, self.hours
        )
    }
}

/// The account's own limit; none if it can't be read, which keeps no post from being tried.
async fn room(session: &Session<'_>) -> Option<Room> {
    let Quota { used, config } = quota::read(&session.api).await.ok()??;
    let duration = config.duration?;
    // A total of nought is no answer.
    (config.total > 0).then(|| Room {
        total: config.total,
        left: config.total.saturating_sub(used),
        hours: duration.div_ceil(3600),
    })
}
