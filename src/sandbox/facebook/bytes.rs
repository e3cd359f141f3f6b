//! Bytes of media: streams to rupload.facebook.com.

use axum::body::Body;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;

use super::super::fault::Kind;
use super::super::graph::{self, GraphError};
use super::super::media::FetchError;
use super::super::steps::Step;
use super::super::wire::{self, Call, Reply};
use super::super::world::Platform;
use super::videos::Video;
use super::{PUBLISHING, refuse};

/// An error of the host that takes bytes.
fn debug_info(kind: &str, retriable: bool, message: &str) -> Response {
    let info = json!({"retriable": retriable, "type": kind, "message": message});
    wire::json(StatusCode::BAD_REQUEST, json!({"debug_info": info}))
}

/// `POST video-upload/{version}/{video}`: bytes, or an address where they are.
pub(super) async fn upload(call: &Call<'_>, body: Body) -> Reply {
    let (video, offset) = match plan(call) {
        Ok(planned) => planned,
        Err(response) => {
            drain(body).await;
            return (*response).into();
        }
    };
    match (offset, call.header("file_url")) {
        (None, Some(url)) => fetch(call, &video, url).await,
        (Some(offset), None) => take(call, &video, offset, body).await,
        _ => {
            drain(body).await;
            let message = "Either file_url, or offset and file_size with the bytes, is required";
            debug_info("ProcessingFailedError", false, message).into()
        }
    }
}

/// The client must have sent everything before it reads an answer.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

/// The video, and the offset of the bytes if bytes come. The error is the answer.
fn plan(call: &Call<'_>) -> Result<(String, Option<u64>), Box<Response>> {
    let segments = call.segments();
    let (version, video) = match segments.as_slice() {
        [_, version, video] if call.method == Method::POST => (version, video),
        _ => {
            return Err(Box::new(
                GraphError::unknown_path(call.path).into_response(),
            ));
        }
    };
    if !graph::is_version(version) {
        return Err(Box::new(GraphError::unknown_path(version).into_response()));
    }
    // Another scheme than the Graph API's.
    let token = call
        .header("authorization")
        .and_then(|value| value.strip_prefix("OAuth "));
    let checked = call.check_token(token.map(str::trim), PUBLISHING);
    checked.map_err(|refusal| Box::new(refuse(refusal)))?;
    let mut world = call.flight.twin.world();
    let Some(known) = world.facebook.videos.get_mut(video.as_ref()) else {
        let error = GraphError::no_such_object(video);
        return Err(Box::new(error.into_response()));
    };
    let page = known.page().to_owned();
    let number = |name| {
        call.header(name)
            .and_then(|value| value.parse::<u64>().ok())
    };
    let planned = match (number("offset"), number("file_size")) {
        (Some(offset), Some(size)) => known.expect(offset, size).map(|()| Some(offset)),
        _ => Ok(None),
    };
    drop(world);
    call.flight.of_account(&page);
    let wrong = |message: String| Box::new(debug_info("OffsetInvalidError", true, &message));
    planned
        .map(|offset| (video.clone().into_owned(), offset))
        .map_err(wrong)
}

async fn fetch(call: &Call<'_>, video: &str, url: &str) -> Reply {
    let received = match call.fetch(url).await {
        Ok(received) => received,
        Err(error) => {
            let is_passing = matches!(error, FetchError::Timeout);
            let message = "The video could not be fetched from file_url";
            return debug_info("ProcessingFailedError", is_passing, message).into();
        }
    };
    let mut world = call.flight.twin.world();
    let url = url.to_owned();
    let video = video.to_owned();
    world.step(Platform::Facebook, Step::Upload, refuse, |world| {
        if let Some(video) = world.facebook.videos.get_mut(&video) {
            video.complete(received, Some(url));
        }
        graph::ok(json!({"success": true}))
    })
}

/// Takes bytes in as they come. What came before a break is kept.
async fn take(call: &Call<'_>, id: &str, offset: u64, body: Body) -> Reply {
    let twin = &call.flight.twin;
    let (fault, cut_at, total) = {
        let mut world = twin.world();
        let total = world.facebook.videos.get(id).map_or(0, Video::total);
        let fault = world.fault(Platform::Facebook, Step::Upload);
        let cut_at = fault.and_then(|kind| kind.cut_at(total));
        // An upload that goes on behind the place is not cut there again.
        let fault = fault.filter(|_| cut_at.is_none_or(|at| offset < at));
        (fault, cut_at.filter(|at| offset < *at), total)
    };
    if fault.is_some_and(|kind| !kind.accepts()) && cut_at.is_none() {
        drain(body).await;
        return fault.map_or(Reply::Never, |kind| kind.reply(None, refuse));
    }
    let mut position = offset;
    let mut chunks = body.into_data_stream();
    while let Some(Ok(chunk)) = chunks.next().await {
        let room = cut_at.unwrap_or(total).saturating_sub(position);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(chunk.len());
        let mut world = twin.world();
        let video = world.facebook.videos.get_mut(id);
        if !video.is_some_and(|video| video.take(position, &chunk[..room])) {
            let message = "Another request has sent these bytes";
            return debug_info("OffsetInvalidError", true, message).into();
        }
        position += room as u64;
        if cut_at.is_some_and(|at| position >= at) {
            return Reply::Never;
        }
    }
    let truth = if position < total {
        let message = format!("{position} of {total} bytes have arrived");
        debug_info("PartialRequestError", true, &message)
    } else {
        graph::ok(json!({"success": true}))
    };
    match fault {
        Some(kind) => Kind::reply(kind, Some(truth), refuse),
        None => truth.into(),
    }
}
