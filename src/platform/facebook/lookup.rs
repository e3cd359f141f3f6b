//! What became of a post whose run died, or whose answer was lost: a video's status tells, or the page's lists.

use reqwest::Method;
use serde_json::{Value, json};

use super::checkpoint::{Checkpoint, Edge, Photos, Stage, Upload};
use super::feed::{self, absolute, address, edge};
use super::graph::list::{self, Entry};
use super::graph::{accept, is_gone, is_node, lacks_permission};
use super::rules::Shape;
use super::video::{self, usual_address};
use super::wire::Proof;
use crate::http::{Effect, Session, unreadable};
use crate::media::declared_type;
use crate::outcome::{Failure, Published};
use crate::platform::Found;
use crate::platform::likeness::Likeness;
use crate::platform::search::{self, Verdict};
use crate::post::{Content, Kind, Media};

const POST_FIELDS: &str = "id,message,created_time,permalink_url,\
    attachments{media_type,target,unshimmed_url,subattachments{target}}";
const VIDEO_FIELDS: &str = "id,title,description,created_time,permalink_url";

pub(super) async fn look_up(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    let found = match checkpoint.map(Checkpoint::read).transpose()? {
        Some(Checkpoint::Video(upload)) => of_video(session, &upload).await,
        Some(Checkpoint::Photos(photos)) => of_post(session, Some(&photos)).await,
        None => of_post(session, None).await,
    };
    match found {
        Err(failure) if lacks_permission(&failure) => Ok(Found::Unknown(
            "the token lacks the scope pages_read_engagement, without which Facebook does not tell what the page \
             published",
        )),
        found => found,
    }
}

/// A video that had its id.
async fn of_video(session: &Session<'_>, upload: &Upload) -> Result<Found, Failure> {
    let looked = match video::look(session, &upload.video).await {
        Ok(looked) => looked,
        Err(failure) if is_gone(&failure) => return forgotten(session, upload).await,
        Err(failure) => return Err(failure),
    };
    let is_whole = looked.status.is_whole();
    let from = |stage| Some(json!(Checkpoint::Video(upload.clone().at(stage))));
    match looked.status.proof() {
        Proof::Published => shown(session, upload, looked.permalink_url).await,
        Proof::Draft if upload.edge == Edge::Videos => Ok(Found::Unknown(video::A_DRAFT)),
        Proof::Broken(_) => Ok(Found::Resend(None)),
        Proof::Untouched | Proof::Draft if upload.stage == Stage::Accepted => Ok(Found::Unclear(
            "Facebook accepted the video and does not show it yet",
        )),
        Proof::Untouched | Proof::Draft if is_whole => Ok(Found::NotSeen(from(Stage::Whole))),
        Proof::Untouched | Proof::Draft if upload.edge == Edge::Stories => {
            Ok(Found::NotSeen(from(Stage::Sending)))
        }
        // Had its file been exchanged meanwhile, another video would have taken its place.
        Proof::Untouched | Proof::Draft => match videos(session, upload.edge).await? {
            Verdict::Nothing => Ok(Found::NotSeen(from(Stage::Sending))),
            verdict => Ok(video_of(session, upload.edge, verdict).await),
        },
        Proof::Unclear => Ok(Found::Unclear(
            "Facebook has the video and does not say yet whether it publishes it",
        )),
    }
}

/// Facebook does not know the video any more; another one may have taken its place.
async fn forgotten(session: &Session<'_>, upload: &Upload) -> Result<Found, Failure> {
    if upload.edge != Edge::Stories {
        let verdict = videos(session, upload.edge).await?;
        if matches!(verdict, Verdict::Is(_)) {
            return Ok(video_of(session, upload.edge, verdict).await);
        }
    }
    Ok(Found::Unknown("Facebook knows the uploaded video no more"))
}

/// A video that its status proves to be live.
async fn shown(
    session: &Session<'_>,
    upload: &Upload,
    told: Option<String>,
) -> Result<Found, Failure> {
    if upload.edge == Edge::Stories {
        let found = story(session, std::slice::from_ref(&upload.video)).await;
        let known = found.as_ref().ok().and_then(Clone::clone);
        let unseen = Published::at(upload.video.as_str(), None);
        return Ok(Found::Live(
            known.unwrap_or(unseen).but("no permalink", found),
        ));
    }
    let fallback = usual_address(session, upload.edge, &upload.video);
    let permalink = absolute(told.as_deref(), fallback);
    let published = live(session, upload.video.clone(), permalink).await;
    Ok(Found::Live(published))
}

/// A post of which no video is known.
async fn of_post(session: &Session<'_>, photos: Option<&Photos>) -> Result<Found, Failure> {
    let content = &session.post.content;
    let media = content.media().map_err(Failure::rejected)?;
    if content.kind == Kind::Story {
        let photos = photos.map_or(&[][..], |photos| &photos.ids);
        return Ok(match story(session, photos).await? {
            Some(published) => Found::Live(published),
            None => Found::Unknown(
                "Facebook lists stories only if the page archives them, and does not list this one",
            ),
        });
    }
    let edge = match Shape::of(content, &media, session.facts) {
        Shape::HostedVideo(_) => Some(Edge::Videos),
        Shape::Video(edge) => Some(edge),
        Shape::Text | Shape::HostedPhoto(_) | Shape::Photos => None,
    };
    if let Some(edge) = edge {
        let verdict = videos(session, edge).await?;
        return Ok(video_of(session, edge, verdict).await);
    }
    let verdict = list::search(
        session,
        "published_posts",
        POST_FIELDS,
        search::earliest(session),
        |entry| likeness(content, photos.map_or(&[], |photos| &photos.ids), entry),
    );
    match verdict.await? {
        Verdict::Nothing if may_be_video(session, &media) => Ok(Found::Unclear(
            "the page's list does not show it, but it may be a video that Facebook still processes",
        )),
        verdict => {
            // Photos that are there are not sent again.
            let from = photos.map(|photos| json!(Checkpoint::Photos(photos.clone())));
            let live = async |entry: Entry| {
                let permalink = absolute(entry.permalink.as_deref(), address(&entry.id));
                live(session, entry.id, permalink).await
            };
            Ok(verdict.found(from, live).await)
        }
    }
}

/// Whether nothing says what the medium is.
fn may_be_video(session: &Session<'_>, media: &[Media]) -> bool {
    let family = |place: usize| session.facts.get(place).and_then(|facts| facts.family);
    let unknown = |(place, medium)| family(place).is_none() && declared_type(medium).is_none();
    media.iter().enumerate().any(unknown)
}

/// The page's video that is the post.
async fn videos(session: &Session<'_>, edge: Edge) -> Result<Verdict<Entry>, Failure> {
    let list = match edge {
        Edge::Videos => "videos?type=uploaded",
        Edge::Reels | Edge::Stories => edge.name(),
    };
    let since = search::earliest(session);
    let content = &session.post.content;
    list::search(session, list, VIDEO_FIELDS, since, |entry| {
        video_likeness(content, entry)
    })
    .await
}

/// What the list says of a video. One that it lacks may still be processed: it shows later.
async fn video_of(session: &Session<'_>, edge: Edge, verdict: Verdict<Entry>) -> Found {
    let live = async |entry: Entry| {
        let fallback = usual_address(session, edge, &entry.id);
        let permalink = absolute(entry.permalink.as_deref(), fallback);
        live(session, entry.id, permalink).await
    };
    match verdict.found(None, live).await {
        Found::NotSeen(_) => Found::Unclear(
            "the page's list does not show the video, but Facebook may still process it",
        ),
        found => found,
    }
}

async fn live(session: &Session<'_>, id: String, permalink: String) -> Published {
    let published = Published::at(id, Some(permalink));
    if search::may_follow(session) {
        session.accepted(&published.id);
        return feed::commented(session, published).await;
    }
    let comment = session.post.content.option("first_comment");
    let is_wanted = comment.is_some_and(|text| !text.trim().is_empty());
    search::without(published, "the first comment was not sent", is_wanted)
}

/// The story of one of these photos or videos, if the page archives its stories.
async fn story(session: &Session<'_>, media: &[String]) -> Result<Option<Published>, Failure> {
    if media.is_empty() {
        return Ok(None);
    }
    let request = session
        .api
        .request(Method::GET, &edge(session, "stories"))
        .query(&[("fields", "post_id,media_id,url"), ("limit", "50")]);
    let reply = session.api.send(request, Effect::Reads).await?;
    let list: Value = accept(&reply, Effect::Reads)?;
    let is_ours = |story: &&Value| {
        let medium = story["media_id"].as_str();
        medium.is_some_and(|medium| media.iter().any(|ours| ours == medium))
    };
    let Some(story) = list["data"].as_array().into_iter().flatten().find(is_ours) else {
        return Ok(None);
    };
    let id = story["post_id"].as_str().filter(|id| is_node(id));
    let id = id.ok_or_else(|| unreadable(&reply, Effect::Reads))?;
    let url = story["url"].as_str();
    let permalink = url.map(|url| absolute(Some(url), address(id)));
    Ok(Some(Published::at(id, permalink)))
}

/// Whether an entry of the page's posts is this one.
fn likeness(content: &Content, photos: &[String], entry: &Entry) -> Likeness {
    let attachments = entry.attachments["data"].as_array();
    let attachments = || attachments.into_iter().flatten();
    let shows = |attached: &Value| {
        let id = attached["target"]["id"].as_str();
        id.is_some_and(|id| photos.iter().any(|photo| photo == id))
    };
    let parts = |attached: &Value| {
        let parts = attached["subattachments"]["data"].as_array();
        parts.into_iter().flatten().any(shows)
    };
    if attachments().any(|attached| shows(attached) || parts(attached)) {
        return Likeness::Itself;
    }
    let is_link = |attached: &Value| attached["media_type"] == "link";
    let is_shown = |attached: &Value| {
        let family = attached["media_type"].as_str();
        matches!(family, Some("photo" | "album" | "video"))
    };
    match (feed::text(content), entry.text()) {
        (Some(own), Some(text)) => return Likeness::of(own, text),
        // A caption can be left out where pictures are shown.
        (Some(_), None) if !content.media.is_empty() && attachments().any(is_shown) => {
            return Likeness::Similar;
        }
        (None, None) => {}
        _ => return Likeness::Other,
    }
    // Neither has a text: only a link can tell.
    match &content.link {
        Some(link) if attachments().any(|attached| leads_to(attached, link)) => Likeness::Same,
        Some(_) if attachments().any(is_shown) => Likeness::Other,
        None if attachments().any(is_link) => Likeness::Other,
        _ => Likeness::Similar,
    }
}

/// Whether a shared link is this one: Facebook shows its own redirection, too.
fn leads_to(attached: &Value, link: &str) -> bool {
    let places = [&attached["unshimmed_url"], &attached["target"]["url"]];
    let plain = |url: &str| url::Url::parse(url).ok();
    let mut shown = places.into_iter().filter_map(Value::as_str);
    shown.any(|url| url == link || plain(url).is_some_and(|url| Some(url) == plain(link)))
}

/// The same of its videos and reels.
fn video_likeness(content: &Content, entry: &Entry) -> Likeness {
    let titles = feed::title(content).zip(entry.title());
    let title = titles.map(|(own, title)| Likeness::of(own, title));
    match (feed::text(content), entry.text(), title) {
        // What is known by two texts is known by neither alone.
        (Some(own), Some(text), Some(Likeness::Other)) => Likeness::of(own, text).unsure(),
        (Some(own), Some(text), _) => Likeness::of(own, text),
        (None, None, title) => title.unwrap_or(Likeness::Similar),
        _ => Likeness::Other,
    }
}
