//! What follows a video that is live: thumbnail, playlist, first comment. Each is sent once, and none fails the post.

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::options::{Options, is_thumbnail};
use super::replies::{Complaint, lacks_scope};
use super::{path, upload_path};
use crate::http::{Effect, Session};
use crate::media;
use crate::outcome::{Failure, Published, Reason};
use crate::post::Media;

/// Does what the post's options ask for, and notes what went wrong.
pub(super) async fn all(session: &Session<'_>, video: &str, mut published: Published) -> Published {
    let (options, _) = Options::read(&session.post.content);
    if let Some(place) = options.thumbnail() {
        let result = thumbnail(session, video, &place).await;
        published = published.but("the thumbnail was not set", result);
    }
    if let Some(playlist) = &options.playlist {
        let result = add_to(session, video, playlist).await;
        published = published.but("it was not added to the playlist", result);
    }
    if let Some(text) = &options.first_comment {
        let result = comment(session, video, text).await;
        published = published.but("the first comment", result);
    }
    published
}

async fn thumbnail(session: &Session<'_>, video: &str, place: &Media) -> Result<(), Failure> {
    let api = &session.api;
    let limit = api.limits.count("thumbnail_bytes");
    let source = media::open(place, api.http, limit).await?;
    if !is_thumbnail(&source.mime) {
        return Err(Failure::rejected(format!(
            "the file is {}; YouTube takes JPEG and PNG",
            source.mime
        )));
    }
    let request = api
        .request(Method::POST, &upload_path(api, "thumbnails/set"))
        .query(&[("videoId", video), ("uploadType", "media")])
        .timeout(api.http.timeouts.for_bytes(source.length))
        .header(CONTENT_LENGTH, source.length)
        .header(CONTENT_TYPE, source.mime)
        .body(source.body);
    follow(session, request, "youtube.upload").await
}

async fn add_to(session: &Session<'_>, video: &str, playlist: &str) -> Result<(), Failure> {
    let api = &session.api;
    let item = json!({"snippet": {
        "playlistId": playlist,
        "resourceId": {"kind": "youtube#video", "videoId": video},
    }});
    let request = api
        .request(Method::POST, &path(api, "playlistItems"))
        .query(&[("part", "snippet")])
        .json(&item);
    follow(session, request, "youtube").await
}

async fn comment(session: &Session<'_>, video: &str, text: &str) -> Result<(), Failure> {
    let api = &session.api;
    let thread = json!({"snippet": {
        "videoId": video,
        "topLevelComment": {"snippet": {"textOriginal": text}},
    }});
    let request = api
        .request(Method::POST, &path(api, "commentThreads"))
        .query(&[("part", "snippet")])
        .json(&thread);
    follow(session, request, "youtube.force-ssl").await
}

/// Sends it, once.
async fn follow(
    session: &Session<'_>,
    request: RequestBuilder,
    scope: &str,
) -> Result<(), Failure> {
    let reply = session.send(request, Effect::Follows).await?;
    if reply.status.is_success() {
        return Ok(());
    }
    let status = reply.status;
    let Some(error) = Complaint::of(&reply) else {
        let message = format!("HTTP {status}: {}", reply.excerpt());
        return Err(Failure::rejected(message));
    };
    let code = error.code().unwrap_or_default();
    let message = if lacks_scope(code) {
        format!("the token lacks the scope {scope}; connect the account again, and grant it")
    } else if status == 401 {
        "YouTube did not accept the token".to_owned()
    } else {
        format!("YouTube refuses it ({code}): {}", error.words())
    };
    Err(Failure::Rejected {
        reason: Reason::new("rejected", message).code(code),
    })
}
