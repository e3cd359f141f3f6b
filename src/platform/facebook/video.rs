//! Videos, reels and video stories from the moment on when Facebook has them whole.
//!
//! ```text
//!            finish: yes                 published
//!   whole ──────────────▶ accepted ─────────────────▶ done   (stories are done at once)
//!                             │ gave up, or made a draft of it
//!                             └──────▶ rejected
//! ```

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::super::Step;
use super::checkpoint::{Edge, Stage, Upload};
use super::feed::{self, address, edge, followed, located};
use super::graph::{accept, is_gone};
use super::photos;
use super::transfer::{self, video_path, video_post};
use super::wire::{self, Finished, Looked, Made, Proof};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::post::Content;

/// What Facebook accepted and has not shown for so long, a person has to look at.
const PROCESSING_LIMIT: TimeDelta = TimeDelta::hours(24);

/// Publishes a video in the feed that Facebook fetches itself.
pub(super) async fn publish_hosted(session: &Session<'_>, url: &str) -> Result<Step, Failure> {
    let mut video = words(&session.post.content);
    video["file_url"] = json!(url);
    video["published"] = json!(true);
    // Facebook answers when it has fetched the file.
    let request = video_post(session, Edge::Videos.name())
        .timeout(session.api.http.timeouts.upload)
        .json(&video);
    let reply = session.publish(request).await?;
    let Made { id } = accept(&reply, Effect::Publishes)?;
    let id = wire::id(&id, &reply, Effect::Publishes)?;
    let upload = Upload::accepted(Edge::Videos, id, session.api.now);
    Ok(upload.wait(Duration::ZERO))
}

/// A video's title and text.
fn words(content: &Content) -> Value {
    let mut words = json!({});
    if let Some(text) = feed::text(content) {
        words["description"] = json!(text);
    }
    if let Some(title) = feed::title(content) {
        words["title"] = json!(title);
    }
    words
}

pub(super) async fn go_on(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    match upload.stage {
        Stage::Sending => {
            let step = transfer::go_on(session, upload.clone()).await;
            unless_gone(session, &upload, step).await
        }
        Stage::Fetching => {
            let step = transfer::fetched(session, upload.clone()).await;
            unless_gone(session, &upload, step).await
        }
        Stage::Whole => {
            let step = finish(session, upload.clone()).await;
            unless_gone(session, &upload, step).await
        }
        Stage::Accepted => until_shown(session, upload).await,
    }
}

/// The same, unless Facebook does not know the video any more: then it is sent anew.
async fn unless_gone(
    session: &Session<'_>,
    upload: &Upload,
    step: Result<Step, Failure>,
) -> Result<Step, Failure> {
    match step {
        Err(failure) if is_gone(&failure) => {
            let reason = failure.reason().clone();
            transfer::restart(session, upload, reason).await
        }
        step => step,
    }
}

/// Publishes what is whole.
async fn finish(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    let reply = session.publish(finish_request(session, &upload)).await?;
    let finished: Finished = accept(&reply, Effect::Publishes)?;
    if !finished.success {
        return Err(unreadable(&reply, Effect::Publishes));
    }
    match upload.edge {
        Edge::Stories => photos::story(session, &reply, &finished).await,
        // They show when they are processed, and can fail until then.
        Edge::Videos | Edge::Reels => {
            let since = session.api.now;
            let upload = Upload { since, ..upload };
            Ok(upload.at(Stage::Accepted).wait(Duration::ZERO))
        }
    }
}

fn finish_request(session: &Session<'_>, upload: &Upload) -> RequestBuilder {
    let mut body = match upload.edge {
        Edge::Stories => json!({}),
        Edge::Videos | Edge::Reels => words(&session.post.content),
    };
    body["upload_phase"] = json!("finish");
    match upload.edge {
        Edge::Videos => {
            body["upload_session_id"] = json!(upload.session);
            body["published"] = json!(true);
            return video_post(session, upload.edge.name()).json(&body);
        }
        Edge::Reels => {
            body["video_id"] = json!(upload.video);
            body["video_state"] = json!("PUBLISHED");
        }
        Edge::Stories => body["video_id"] = json!(upload.video),
    }
    let path = edge(session, upload.edge.name());
    session.api.request(Method::POST, &path).json(&body)
}

/// A video that Facebook said it publishes.
async fn until_shown(session: &Session<'_>, upload: Upload) -> Result<Step, Failure> {
    let (reply, looked) = match look_and_keep(session, &upload.video).await {
        Ok(looked) => looked,
        // A look that fails says nothing about the video, and must not use up the post's tries.
        Err(Failure::Retry { after, .. }) if !is_overdue(session, &upload) => {
            let (upload, next) = upload.look_again();
            return Ok(upload.wait(next.max(after.unwrap_or_default())));
        }
        Err(Failure::Retry { reason, .. } | Failure::Rejected { reason }) => {
            let remark = "Facebook accepted the video, and what became of it is not known";
            return Err(Failure::Unconfirmed {
                reason: reason.but(remark),
            });
        }
        Err(failure) => return Err(failure),
    };
    match looked.status.proof() {
        Proof::Published => Ok(shown(session, &reply, upload, looked).await),
        Proof::Broken(why) => Err(gave_up(&why)),
        Proof::Draft if upload.edge == Edge::Videos => Err(Failure::rejected(A_DRAFT)),
        _ if is_overdue(session, &upload) => {
            let message =
                "Facebook accepted the video a day ago and does not show it; look at the page";
            Err(Failure::Unconfirmed {
                reason: Reason::new("processing", message),
            })
        }
        Proof::Draft | Proof::Untouched | Proof::Unclear => {
            let (upload, after) = upload.look_again();
            Ok(upload.wait(after))
        }
    }
}

fn is_overdue(session: &Session<'_>, upload: &Upload) -> bool {
    session.api.now - upload.since > PROCESSING_LIMIT
}

fn gave_up(why: &str) -> Failure {
    Failure::rejected(format!("Facebook could not process the video: {why}"))
}

/// Facebook takes some vertical videos for reels, and leaves them to a person.
pub(super) const A_DRAFT: &str = "Facebook made a draft of the video instead of publishing it; share it there, or make \
                                  the next one a reel (kind `reel`)";

/// What a video's status says.
pub(super) async fn look(session: &Session<'_>, video: &str) -> Result<Looked, Failure> {
    look_and_keep(session, video)
        .await
        .map(|(_, looked)| looked)
}

async fn look_and_keep(session: &Session<'_>, video: &str) -> Result<(Reply, Looked), Failure> {
    let request = session
        .api
        .request(Method::GET, &video_path(session, video))
        .query(&[("fields", "status,permalink_url")]);
    let reply = session.api.send(request, Effect::Reads).await?;
    let looked = accept(&reply, Effect::Reads)?;
    Ok((reply, looked))
}

/// A video that its status proves to be live.
async fn shown(session: &Session<'_>, reply: &Reply, upload: Upload, looked: Looked) -> Step {
    let Upload { edge, video, .. } = upload;
    done(session, reply, edge, video, looked.permalink_url).await
}

/// A video, reel or story that was accepted under its video's id, seen there if that was told.
async fn done(
    session: &Session<'_>,
    reply: &Reply,
    edge: Edge,
    id: String,
    told: Option<String>,
) -> Step {
    session.accepted(&id);
    let fallback = usual_address(session, edge, &id);
    let published = match (edge, told) {
        // Its post's id came with the answer that got lost.
        (Edge::Stories, _) => Published::at(id, None),
        (_, Some(told)) => {
            let permalink = feed::absolute(Some(&told), fallback);
            Published::at(id, Some(permalink))
        }
        (_, None) => located(session, id, fallback).await,
    };
    Step::Done(followed(session, reply, published).await)
}

/// Where a video is, by the documented form of its address.
pub(super) fn usual_address(session: &Session<'_>, edge: Edge, id: &str) -> String {
    let page = &session.post.account.external_id;
    match edge {
        Edge::Videos => address(&format!("{page}/videos/{id}/")),
        Edge::Reels | Edge::Stories => address(&format!("reel/{id}/")),
    }
}
