//! What became of a post whose run died, or whose answer was lost: its container's status tells, or the account's list.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::checkpoint::Checkpoint;
use super::flow::{self, Look};
use super::{Login, content, find, upload};
use crate::http::Session;
use crate::media::{Family, declared_type};
use crate::outcome::{Failure, Published};
use crate::platform::Found;
use crate::platform::graph::lacks_permission;
use crate::platform::graph::list::{self, Entry};
use crate::platform::likeness::Likeness;
use crate::platform::search::{self, Verdict};
use crate::post::{Content, Kind};

const FIELDS: &str = "id,caption,permalink,timestamp,media_type";
/// Stories leave the list after a day.
const STORY_LISTED: TimeDelta = TimeDelta::hours(23);
/// How far Instagram's clock and ours may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

pub(super) async fn look_up(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    let checkpoint = checkpoint.map(Checkpoint::read).transpose()?;
    let container = checkpoint
        .as_ref()
        .and_then(|at| Some((at, at.id.as_deref()?)));
    let found = match container {
        Some((checkpoint, id)) => of_container(session, checkpoint, id).await,
        None => in_list(session).await,
    };
    match found {
        Err(failure) if lacks_permission(&failure) => {
            Ok(Found::Unknown(match Login::of(session.api.account) {
                Login::Facebook => {
                    "the token lacks the scope instagram_basic, without which Instagram does not tell what the account \
                     published"
                }
                Login::Instagram => {
                    "the token lacks the scope instagram_business_basic, without which Instagram does not tell what the \
                     account published"
                }
            }))
        }
        found => found,
    }
}

/// A container is published once, so that its status decides.
async fn of_container(
    session: &Session<'_>,
    checkpoint: &Checkpoint,
    id: &str,
) -> Result<Found, Failure> {
    let resend = || Found::Resend(Some(json!(checkpoint)));
    match flow::look(session, id).await? {
        Look::Published => published(session, checkpoint, id).await.map(Found::Live),
        Look::Ready => Ok(resend()),
        Look::Processing
            if checkpoint.upload.is_some() && upload::is_incomplete(session, id).await? =>
        {
            Ok(resend())
        }
        Look::Processing => Ok(Found::Unclear("Instagram is still processing the upload")),
        // Another one may have taken its place since the checkpoint was written.
        Look::Gone(_) | Look::Broken(_) | Look::Unknown => in_list(session).await,
    }
}

/// The post that a published container became. It is live whether or not the list shows it.
pub(super) async fn published(
    session: &Session<'_>,
    checkpoint: &Checkpoint,
    container: &str,
) -> Result<Published, Failure> {
    let since = search::earliest(session).max(checkpoint.created_at - CLOCK_SKEW);
    let content = &session.post.content;
    if search::may_follow(session) {
        session.accepted(container);
    }
    // There is one for sure: without a caption it is the only one that fits.
    let found = listed(session, since, |entry| match likeness(session, entry) {
        Likeness::Similar if caption(content).is_none() => Likeness::Same,
        like => like,
    });
    let why = match found.await {
        Ok(Verdict::Is(entry)) => return Ok(live(session, entry).await),
        Err(failure) if !lacks_permission(&failure) && !search::may_follow(session) => {
            return Err(failure);
        }
        Ok(Verdict::Nothing | Verdict::Unclear(_)) => {
            "the account's list does not tell which post it is"
        }
        Err(failure) => &failure.reason().message.clone(),
    };
    let published = Published::at(container, None).but(
        "the id is that of its upload",
        Err::<(), _>(Failure::rejected(why)),
    );
    Ok(uncommented(content, published))
}

/// A post of which no container is known that tells.
async fn in_list(session: &Session<'_>) -> Result<Found, Failure> {
    let since = search::earliest(session);
    let content = &session.post.content;
    let is_old_story = content.kind == Kind::Story && session.api.now - since > STORY_LISTED;
    let verdict = listed(session, since, |entry| likeness(session, entry)).await?;
    Ok(match verdict {
        Verdict::Nothing if is_old_story => {
            Found::Unknown("Instagram lists stories for a day only, and its time is longer ago")
        }
        Verdict::Nothing if content.options.get("share_to_feed") == Some(&Value::Bool(false)) => {
            Found::Unknown("Instagram's list may leave out reels that are not shared to the feed")
        }
        verdict => {
            verdict
                .found(None, async |entry| live(session, entry).await)
                .await
        }
    })
}

async fn listed(
    session: &Session<'_>,
    since: DateTime<Utc>,
    likeness: impl Fn(&Entry) -> Likeness,
) -> Result<Verdict<Entry>, Failure> {
    let edge = match session.post.content.kind {
        Kind::Story => "stories",
        _ => "media",
    };
    list::search(session, edge, FIELDS, since, likeness).await
}

async fn live(session: &Session<'_>, entry: Entry) -> Published {
    let published = Published::at(entry.id, entry.permalink);
    if search::may_follow(session) {
        return find::commented(session, published).await;
    }
    uncommented(&session.post.content, published)
}

fn uncommented(content: &Content, published: Published) -> Published {
    let is_wanted = content::first_comment(content).is_some();
    search::without(published, "the first comment was not sent", is_wanted)
}

/// The caption, if there is one. Stories have none.
fn caption(content: &Content) -> Option<&str> {
    let body = Some(content.body.as_str()).filter(|body| !body.trim().is_empty());
    body.filter(|_| content.kind != Kind::Story)
}

/// Whether an entry of the list is this post.
fn likeness(session: &Session<'_>, entry: &Entry) -> Likeness {
    let media_type = entry.media_type.as_deref();
    if media_type.is_some_and(|media_type| !types(session).contains(&media_type)) {
        return Likeness::Other;
    }
    // The list may leave the signs of mentions out.
    let plain = |text: &str| text.replace('@', "");
    match (caption(&session.post.content), entry.text()) {
        (Some(own), Some(text)) => {
            Likeness::of(own, text).max(Likeness::of(&plain(own), &plain(text)))
        }
        (None, Some(_)) => Likeness::Other,
        // Not every login is shown captions.
        (_, None) => Likeness::Similar,
    }
}

/// What the list can call the post's media.
fn types(session: &Session<'_>) -> &'static [&'static str] {
    let content = &session.post.content;
    if content.media.len() > 1 {
        return &["CAROUSEL_ALBUM"];
    }
    let known = session.facts.first().and_then(|facts| facts.family);
    let media = content.media().unwrap_or_default();
    let declared = media.first().and_then(declared_type);
    match (known, declared) {
        _ if content.kind == Kind::Reel => &["VIDEO"],
        (Some(Family::Video), _) => &["VIDEO"],
        (Some(_), _) => &["IMAGE"],
        (None, Some(mime)) if mime.starts_with("video/") => &["VIDEO"],
        (None, Some(mime)) if mime.starts_with("image/") => &["IMAGE"],
        (None, _) => &["IMAGE", "VIDEO"],
    }
}
