//! What became of a video that may be live: its upload's session tells, else the list of the channel's uploads.

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::options::{self, Options};
use super::path;
use super::replies::{Complaint, Snippet, Status, Video, classify};
use super::upload::{self, Told};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Found;
use crate::platform::likeness::Likeness;
use crate::platform::search::{self, Listed, Page, Verdict};

/// So many uploads are on a page of the list.
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
struct List {
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
    /// Compared with what was sent.
    fn listed(self, sent: &Value) -> Listed<Video> {
        let Upload {
            title,
            description,
            published_at,
            channel_id,
            resource_id,
        } = self.snippet;
        let like = |name: &str, listed: &str| {
            let sent = sent[name].as_str().unwrap_or_default();
            Likeness::of(sent, listed)
        };
        // Of the same title and another description it may be the one, for a description can be rewritten.
        let likeness = match (like("title", &title), like("description", &description)) {
            (title, Likeness::Same) => title,
            (title, _) => title.unsure(),
        };
        Listed {
            what: Video {
                id: resource_id.video_id,
                snippet: Snippet { channel_id },
                status: self.status,
            },
            made_at: published_at,
            likeness,
        }
    }
}

/// Looks for a video whose last bytes were not answered, or may have been sent by a run that died.
pub(super) async fn look(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    let told = match checkpoint {
        Some(checkpoint) => upload::told(session, checkpoint).await?,
        None => Told::Nothing,
    };
    match told {
        Told::Video(video) => Ok(Found::Live(live(session, &video).await)),
        Told::Unfinished(from) => Ok(Found::Resend(Some(from))),
        Told::Nothing => among_uploads(session).await,
        Told::Unclear => Ok(match among_uploads(session).await? {
            Found::NotSeen(_) => {
                Found::Unclear("the channel does not show it, but its upload can't be ruled out")
            }
            found => found,
        }),
    }
}

/// It is live.
async fn live(session: &Session<'_>, video: &Video) -> Published {
    if search::may_follow(session) {
        return upload::complete(session, video).await;
    }
    let (options, _) = Options::read(&session.post.content);
    let left = [
        ("the thumbnail was not set", options.thumbnail().is_some()),
        (
            "it was not added to the playlist",
            options.playlist.is_some(),
        ),
        (
            "the first comment was not sent",
            options.first_comment.is_some(),
        ),
    ];
    let published = upload::noted(session, video);
    left.into_iter()
        .fold(published, |published, (warning, is_wanted)| {
            search::without(published, warning, is_wanted)
        })
}

/// Looks through the channel's uploads.
async fn among_uploads(session: &Session<'_>) -> Result<Found, Failure> {
    let api = &session.api;
    let request = api
        .request(Method::GET, &path(api, "channels"))
        .query(&[("part", "contentDetails"), ("mine", "true")]);
    let channels: Channels = read(session, request).await?;
    let playlists = channels.items.into_iter().next();
    let uploads = playlists.map(|channel| channel.content_details.related_playlists.uploads);
    let Some(uploads) = uploads.filter(|id| !id.is_empty()) else {
        return Ok(Found::Unknown(
            "the token's Google account has no channel whose uploads could be listed",
        ));
    };
    let sent = options::video(session.post);
    let verdict = search::search(search::earliest(session), async |place: Option<String>| {
        let mut request = api
            .request(Method::GET, &path(api, "playlistItems"))
            .query(&[
                ("part", "snippet,status"),
                ("playlistId", &uploads),
                ("maxResults", PAGE),
            ]);
        if let Some(token) = &place {
            request = request.query(&[("pageToken", token)]);
        }
        let list: List = read(session, request).await?;
        let items = list.items.into_iter();
        Ok(Page {
            listed: items.map(|item| item.listed(&sent["snippet"])).collect(),
            next: list.next_page_token,
        })
    });
    let verdict = match verdict.await? {
        Verdict::Is(video) if !video.is_sound() => {
            Verdict::Unclear("YouTube lists it without an id that can be read")
        }
        verdict => verdict,
    };
    // Its session is gone, or was never known.
    let from = None;
    Ok(verdict
        .found(from, async |video| live(session, &video).await)
        .await)
}

/// A list, or why nobody can tell without it.
async fn read<T: DeserializeOwned>(
    session: &Session<'_>,
    request: RequestBuilder,
) -> Result<T, Failure> {
    let reply = session.api.send(request, Effect::Reads).await?;
    if reply.status.is_success() {
        return reply
            .json()
            .ok_or_else(|| unreadable(&reply, Effect::Reads));
    }
    let failure = classify(&reply, Effect::Reads, session.api.now);
    let why = match &failure {
        Failure::NeedsLogin { .. }
            if Complaint::of(&reply).is_some_and(|error| error.lacks_scope()) =>
        {
            "the token may not list the channel's videos (scope youtube.readonly)"
        }
        Failure::Rejected { .. } => "YouTube does not list the channel's videos",
        _ => return Err(failure),
    };
    Err(Failure::Unconfirmed {
        reason: Reason {
            code: failure.reason().code.clone(),
            ..Reason::new(
                "unconfirmed",
                format!("{why}; look at YouTube before it is sent again"),
            )
        },
    })
}
