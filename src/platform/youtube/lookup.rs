//! What became of a video that may be live: its upload's session tells, else the list of the channel's uploads.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::options::{self, Options};
use super::path;
use super::replies::{Complaint, Snippet, Status, Video, classify, lacks_scope};
use super::upload::{self, Told};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::Failure;
use crate::platform::{Found, likeness};

/// A video is not made earlier than so long before its post's time.
const EARLIEST: TimeDelta = TimeDelta::minutes(5);
/// So many pages of 50 uploads are read.
const PAGES: usize = 4;
const PAGE: &str = "50";

#[derive(Deserialize)]
struct Channels {
    #[serde(default)]
    items: Vec<Channel>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Channel {
    content_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    related_playlists: Playlists,
}

#[derive(Deserialize)]
struct Playlists {
    #[serde(default)]
    uploads: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Item>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    snippet: Upload,
    #[serde(default)]
    status: Status,
}

/// A video as the list describes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Upload {
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: String,
    /// When it was uploaded.
    #[serde(default)]
    published_at: Option<DateTime<Utc>>,
    #[serde(default)]
    channel_id: Option<String>,
    resource_id: Resource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    video_id: String,
}

impl Item {
    fn is_older_than(&self, since: DateTime<Utc>) -> bool {
        self.snippet.published_at.is_some_and(|at| at < since)
    }

    fn video(self) -> Video {
        Video {
            id: self.snippet.resource_id.video_id,
            snippet: Snippet {
                channel_id: self.snippet.channel_id,
            },
            status: self.status,
        }
    }
}

/// Looks for a video whose upload may have been completed by a run that died, or that YouTube did not answer.
pub(super) async fn look(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    let told = match checkpoint {
        Some(checkpoint) => upload::told(session, checkpoint).await?,
        None => Told::Nothing,
    };
    match told {
        Told::Video(video) => Ok(live(session, &video)),
        Told::Unfinished => Ok(Found::Absent),
        Told::Nothing => among_uploads(session).await,
        Told::Unclear => Ok(match among_uploads(session).await? {
            Found::Absent => {
                Found::Unknown("the channel does not show it, but its upload can't be ruled out")
            }
            found => found,
        }),
    }
}

/// It is live; what would have followed it was not sent.
fn live(session: &Session<'_>, video: &Video) -> Found {
    let mut published = upload::noted(session, video);
    let (options, _) = Options::read(&session.post.content);
    let left = [
        (options.thumbnail().is_some(), "the thumbnail was not set"),
        (
            options.playlist.is_some(),
            "it was not added to the playlist",
        ),
        (
            options.first_comment.is_some(),
            "the first comment was not sent",
        ),
    ];
    let left = left.into_iter().filter(|(is_wanted, _)| *is_wanted);
    let warnings = left.map(|(_, warning)| warning.to_owned());
    published.warnings.extend(warnings);
    Found::Live(published)
}

async fn among_uploads(session: &Session<'_>) -> Result<Found, Failure> {
    let api = &session.api;
    let request = api
        .request(Method::GET, &path(api, "channels"))
        .query(&[("part", "contentDetails"), ("mine", "true")]);
    let channels: Channels = match read(session, request).await? {
        Ok(channels) => channels,
        Err(unknown) => return Ok(unknown),
    };
    let playlists = channels.items.into_iter().next();
    let uploads = playlists.map(|channel| channel.content_details.related_playlists.uploads);
    let Some(uploads) = uploads.filter(|id| !id.is_empty()) else {
        return Ok(Found::Unknown(
            "the token's Google account has no channel whose uploads could be listed",
        ));
    };
    let since = session.post.scheduled_at - EARLIEST;
    let mut search = Search::of(session);
    let mut next: Option<String> = None;
    for _ in 0..PAGES {
        let mut request = api
            .request(Method::GET, &path(api, "playlistItems"))
            .query(&[
                ("part", "snippet,status"),
                ("playlistId", &uploads),
                ("maxResults", PAGE),
            ]);
        if let Some(token) = &next {
            request = request.query(&[("pageToken", token)]);
        }
        let page: Page = match read(session, request).await? {
            Ok(page) => page,
            Err(unknown) => return Ok(unknown),
        };
        // Newest first; the whole page is read, for a video that became public later is out of its place.
        let last = page.items.last();
        let is_past = last.is_some_and(|item| item.is_older_than(since));
        for item in page.items {
            if !item.is_older_than(since) {
                search.take(item);
            }
        }
        if is_past || page.next_page_token.is_none() {
            return Ok(search.end(session));
        }
        next = page.next_page_token;
    }
    Ok(Found::Unknown(
        "the channel has too many newer videos to find it among them",
    ))
}

/// A list, or why nobody can tell without it.
async fn read<T: DeserializeOwned>(
    session: &Session<'_>,
    request: RequestBuilder,
) -> Result<Result<T, Found>, Failure> {
    let reply = session.api.send(request, Effect::Reads).await?;
    if reply.status.is_success() {
        let list = reply.json();
        return list
            .map(Ok)
            .ok_or_else(|| unreadable(&reply, Effect::Reads));
    }
    let error = Complaint::of(&reply);
    let code = error.as_ref().and_then(Complaint::code);
    if reply.status == 403 && code.is_some_and(lacks_scope) {
        return Ok(Err(Found::Unknown(
            "the token may not list the channel's videos (scope youtube.readonly)",
        )));
    }
    match classify(&reply, Effect::Reads, session.api.now) {
        Failure::Rejected { .. } => Ok(Err(Found::Unknown(
            "YouTube does not list the channel's videos",
        ))),
        failure => Err(failure),
    }
}

/// The videos of the time in question that may be the one.
struct Search {
    title: String,
    description: String,
    fitting: Vec<Video>,
    /// There is one with the same title alone.
    is_in_doubt: bool,
}

impl Search {
    fn of(session: &Session<'_>) -> Self {
        let sent = options::video(session.post);
        let text = |name: &str| {
            sent["snippet"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            title: text("title"),
            description: text("description"),
            fitting: Vec::new(),
            is_in_doubt: false,
        }
    }

    fn take(&mut self, item: Item) {
        let listed = &item.snippet;
        let is_it = likeness::is_same(&self.title, &listed.title)
            && likeness::is_same(&self.description, &listed.description)
            && listed.published_at.is_some();
        if is_it {
            self.fitting.push(item.video());
        } else if likeness::is_alike(&self.title, &listed.title) {
            self.is_in_doubt = true;
        }
    }

    fn end(self, session: &Session<'_>) -> Found {
        match self.fitting.as_slice() {
            [video] if video.is_sound() => live(session, video),
            [] if !self.is_in_doubt => Found::Absent,
            [] => Found::Unknown("the channel has a video with a title like it"),
            [_] => Found::Unknown("YouTube lists it without an id that can be read"),
            _ => Found::Unknown("the channel has several videos like it"),
        }
    }
}
