//! What became of a post whose run died, or whose answer was lost: a video's status tells, or the page's lists.

use reqwest::Method;
use serde_json::Value;

use super::checkpoint::{Checkpoint, Edge, Stage, Upload};
use super::feed::{self, absolute, address, edge};
use super::graph::list::{self, Entry, Likeness, Search, same_text};
use super::graph::{accept, is_node, lacks_permission};
use super::rules::Shape;
use super::transfer::is_gone;
use super::video::{self, usual_address};
use super::wire::Proof;
use crate::http::{Effect, Session, unreadable};
use crate::media::declared_type;
use crate::outcome::{Failure, Published};
use crate::platform::Found;
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
        Some(Checkpoint::Photos(photos)) => of_post(session, &photos.ids).await,
        None => of_post(session, &[]).await,
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
    match looked.status.proof() {
        Proof::Published => shown(session, upload, looked.permalink_url).await,
        // A feed video that Facebook works on was published: nothing is processed before.
        Proof::Unclear if upload.edge == Edge::Videos && looked.status.is_processed() => {
            shown(session, upload, looked.permalink_url).await
        }
        Proof::Broken(_) => Ok(Found::Absent),
        Proof::Untouched if upload.stage == Stage::Accepted => Ok(Found::Unknown(
            "Facebook accepted the video and does not show it yet",
        )),
        Proof::Untouched if is_whole || upload.edge == Edge::Stories => Ok(Found::Absent),
        // Had its file been exchanged meanwhile, another video would have taken its place.
        Proof::Untouched => match videos(session, upload.edge).await? {
            Search::Nothing => Ok(Found::Absent),
            found => Ok(video_of(session, upload.edge, found)),
        },
        Proof::Unclear => Ok(Found::Unknown(
            "Facebook has the video and does not say yet whether it publishes it",
        )),
    }
}

/// Facebook does not know the video any more; another one may have taken its place.
async fn forgotten(session: &Session<'_>, upload: &Upload) -> Result<Found, Failure> {
    if upload.edge != Edge::Stories
        && let found @ Search::Found(_) = videos(session, upload.edge).await?
    {
        return Ok(video_of(session, upload.edge, found));
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
    Ok(live(session, upload.video.clone(), permalink))
}

/// A post of which no video is known.
async fn of_post(session: &Session<'_>, photos: &[String]) -> Result<Found, Failure> {
    let content = &session.post.content;
    let media = content.media().map_err(Failure::rejected)?;
    if content.kind == Kind::Story {
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
        let found = videos(session, edge).await?;
        return Ok(video_of(session, edge, found));
    }
    let found = list::search(
        session,
        "published_posts",
        POST_FIELDS,
        list::earliest(session),
        |entry| likeness(content, photos, entry),
    );
    Ok(match found.await? {
        Search::Found(entry) => {
            let permalink = absolute(entry.permalink.as_deref(), address(&entry.id));
            live(session, entry.id, permalink)
        }
        Search::Nothing if may_be_video(session, &media) => Found::Unknown(
            "the page's list does not show it, but it may be a video that Facebook still processes",
        ),
        Search::Nothing => Found::Absent,
        Search::Unclear(why) => Found::Unknown(why),
    })
}

/// Whether nothing says what the medium is.
fn may_be_video(session: &Session<'_>, media: &[Media]) -> bool {
    let family = |place: usize| session.facts.get(place).and_then(|facts| facts.family);
    let unknown = |(place, medium)| family(place).is_none() && declared_type(medium).is_none();
    media.iter().enumerate().any(unknown)
}

/// The page's video that is the post.
async fn videos(session: &Session<'_>, edge: Edge) -> Result<Search, Failure> {
    let list = match edge {
        Edge::Videos => "videos?type=uploaded",
        Edge::Reels | Edge::Stories => edge.name(),
    };
    let since = list::earliest(session);
    let content = &session.post.content;
    list::search(session, list, VIDEO_FIELDS, since, |entry| {
        video_likeness(content, entry)
    })
    .await
}

/// What the list says of a video. One that it lacks may still be processed: it shows later.
fn video_of(session: &Session<'_>, edge: Edge, found: Search) -> Found {
    match found {
        Search::Found(entry) => {
            let fallback = usual_address(session, edge, &entry.id);
            let permalink = absolute(entry.permalink.as_deref(), fallback);
            live(session, entry.id, permalink)
        }
        Search::Nothing => Found::Unknown(
            "the page's list does not show the video, but Facebook may still process it",
        ),
        Search::Unclear(why) => Found::Unknown(why),
    }
}

fn live(session: &Session<'_>, id: String, permalink: String) -> Found {
    let mut published = Published::at(id, Some(permalink));
    let comment = session.post.content.option("first_comment");
    if comment.is_some_and(|text| !text.trim().is_empty()) {
        let warning = "the first comment was not sent";
        published.warnings.push(warning.to_owned());
    }
    Found::Live(published)
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
    match (feed::text(content), entry.text()) {
        (Some(own), Some(text)) if same_text(own, text) => return Likeness::Same,
        (None, None) => {}
        _ => return Likeness::Other,
    }
    // Neither has a text: only a link can tell.
    let is_link = |attached: &Value| attached["media_type"] == "link";
    let is_shown = |attached: &Value| {
        let family = attached["media_type"].as_str();
        matches!(family, Some("photo" | "album" | "video"))
    };
    match &content.link {
        Some(link) if attachments().any(|attached| leads_to(attached, link)) => Likeness::Same,
        Some(_) if attachments().any(is_shown) => Likeness::Other,
        None if attachments().any(is_link) => Likeness::Other,
        _ => Likeness::Perhaps,
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
    let same_title = titles.map(|(own, title)| same_text(own, title));
    match (feed::text(content), entry.text()) {
        (Some(own), Some(text)) if same_text(own, text) && same_title != Some(false) => {
            Likeness::Same
        }
        (None, None) => match same_title {
            Some(true) => Likeness::Same,
            Some(false) => Likeness::Other,
            None => Likeness::Perhaps,
        },
        _ => Likeness::Other,
    }
}
