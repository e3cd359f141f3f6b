//! The bytes of videos, as `rupload.facebook.com` takes them: from the place where the last ones stopped.

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;

use super::super::graph;
use super::super::steps::Step;
use super::super::wire::{self, Call, Refusal, Refused, Reply};
use super::super::world::{Platform, World};
use super::PUBLISHING_SCOPES;
use super::rules::MAX_REEL_BYTES;

/// Its path, before the version and the container's id.
pub(super) const PATH: &str = "ig-api-upload/";

fn failed(status: StatusCode, kind: &str, message: &str, retriable: bool) -> Response {
    let info = json!({"retriable": retriable, "type": kind, "message": message});
    wire::json(status, json!({ "debug_info": info }))
}

/// Other refusals than those of the token have this host's own shape.
fn refuse(refusal: Refusal) -> Response {
    match refusal {
        Refusal::NoToken | Refusal::Expired | Refusal::Revoked | Refusal::NoScope { .. } => {
            let error = graph::refuse(refusal).status(StatusCode::UNAUTHORIZED);
            error.into_response()
        }
        Refusal::Internal | Refusal::RateLimited { .. } => failed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "Please try again",
            true,
        ),
        Refusal::Truncated => partial(),
        Refusal::Rejected | Refusal::NotFound | Refusal::TooLarge => failed(
            StatusCode::BAD_REQUEST,
            "ProcessingFailedError",
            "Request processing failed",
            false,
        ),
    }
}

fn partial() -> Response {
    failed(
        StatusCode::BAD_REQUEST,
        "PartialRequestError",
        "Fewer bytes were sent than announced",
        true,
    )
}

/// A POST of bytes to a container.
pub(super) async fn receive(call: &Call<'_>, body: Body) -> Reply {
    let (id, offset, total) = match plan(call) {
        Ok(plan) => plan,
        Err(refused) => {
            drain(body).await;
            return refused.into();
        }
    };
    let (fault, cut_at) = {
        let mut world = call.flight.twin.world();
        let fault = world.fault(Platform::Instagram, Step::Upload);
        let cut_at = fault.and_then(|kind| kind.cut_at(total));
        let pending = world
            .containers
            .get(&id)
            .and_then(|own| own.pending.as_ref());
        let reached = pending.map_or(0, |pending| pending.reached);
        // Not again where it was cut before.
        let strikes = cut_at.is_none_or(|at| reached < at.max(1));
        (fault.filter(|_| strikes), cut_at.filter(|_| strikes))
    };
    if let Some(kind) = fault.filter(|kind| !kind.accepts() && cut_at.is_none()) {
        drain(body).await;
        return kind.reply(None, refuse);
    }
    let Some(truth) = take(call, &id, offset, total, body, cut_at).await else {
        return Reply::Never;
    };
    match fault {
        Some(kind) => kind.reply(Some(truth), refuse),
        None => truth.into(),
    }
}

/// The client must have sent everything before it reads an answer.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

fn plan(call: &Call<'_>) -> Result<(String, u64, u64), Refused> {
    let token = call.header("authorization").unwrap_or_default();
    let token = token.strip_prefix("OAuth ").map(str::trim);
    call.check_token(token, PUBLISHING_SCOPES).map_err(refuse)?;
    let number = |name: &str| call.header(name).and_then(|text| text.parse::<u64>().ok());
    let (Some(offset), Some(total)) = (number("offset"), number("file_size")) else {
        let message = "The headers offset and file_size are required";
        let refused = failed(
            StatusCode::BAD_REQUEST,
            "PartialRequestError",
            message,
            false,
        );
        return Err(refused.into());
    };
    let id = call.path.rsplit('/').next().unwrap_or_default().to_owned();
    let world = call.flight.twin.world();
    let Some(container) = world.containers.get(&id) else {
        return Err(refuse(Refusal::NotFound).into());
    };
    let account = container.account.clone();
    let stored = container.pending.as_ref().map(|own| own.intake.bytes());
    drop(world);
    call.flight.of_account(&account);
    match stored {
        Some(stored) if stored == offset => {}
        Some(_) => {
            let message = "The offset is not where the last bytes ended";
            return Err(failed(
                StatusCode::BAD_REQUEST,
                "OffsetInvalidError",
                message,
                false,
            )
            .into());
        }
        None => return Err(refuse(Refusal::NotFound).into()),
    }
    if total > MAX_REEL_BYTES || total <= offset {
        return Err(refuse(Refusal::TooLarge).into());
    }
    Ok((id, offset, total))
}

/// Keeps the bytes as they come. `None`: the connection is cut.
async fn take(
    call: &Call<'_>,
    id: &str,
    offset: u64,
    total: u64,
    body: Body,
    cut_at: Option<u64>,
) -> Option<Response> {
    let twin = &call.flight.twin;
    let mut position = offset;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(mut chunk) = chunk else {
            return Some(partial());
        };
        let end = cut_at.unwrap_or(total).min(total);
        let room = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
        chunk.truncate(room);
        if !keep(&mut twin.world(), id, position, &chunk) {
            let message = "Another request has sent these bytes";
            return Some(failed(
                StatusCode::BAD_REQUEST,
                "OffsetInvalidError",
                message,
                false,
            ));
        }
        position += chunk.len() as u64;
        if cut_at.is_some_and(|at| position >= at) {
            return None;
        }
    }
    if position < total {
        return Some(partial());
    }
    let mut world = twin.world();
    let container = world.containers.get_mut(id)?;
    let pending = container.pending.take()?;
    container.arrived(&pending.intake.end());
    Some(graph::ok(
        json!({"success": true, "message": "Upload successful."}),
    ))
}

fn keep(world: &mut World, id: &str, position: u64, bytes: &[u8]) -> bool {
    let container = world.containers.get_mut(id);
    let Some(pending) = container.and_then(|container| container.pending.as_mut()) else {
        return false;
    };
    if pending.intake.bytes() != position {
        return false;
    }
    pending.intake.take(bytes);
    pending.reached = pending.reached.max(pending.intake.bytes()).max(1);
    true
}
