//! The bytes of media: `PUT /dms-uploads/{key}/{part}`.
//!
//! Pictures and documents come whole and with the token. A video comes in parts, in their order, to
//! signed addresses that take no token; each part's answer has an `ETag` that tells it from another
//! attempt's. The bytes are counted and hashed, never held.

use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use super::super::media::Intake;
use super::super::post::Family;
use super::super::steps::{self, Step};
use super::super::wire::{Call, Refusal, Refused, Reply};
use super::super::world::{Platform, World};
use super::assets::{Asset, Part};
use super::{EITHER, error, refuse};

const DOCUMENT_BYTES: u64 = 100 * 1024 * 1024;
/// Nothing is published on it; more is no picture.
const IMAGE_BYTES: u64 = 256 * 1024 * 1024;

/// Whether this is a request whose body must be read as it comes.
pub(super) fn is_upload(call: &Call<'_>) -> bool {
    call.method == Method::PUT && call.path.starts_with("dms-uploads/")
}

pub(super) async fn answer(call: &Call<'_>, body: Body) -> Reply {
    match plan(call) {
        Ok(Plan::Whole { urn, limit }) => whole(call, body, urn, limit).await,
        Ok(Plan::Part(range)) => part(call, body, range).await,
        Err(refused) => {
            drain(body).await;
            refused.into()
        }
    }
}

/// The client must have sent everything before it reads an answer.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    while let Some(Ok(_)) = chunks.next().await {}
}

enum Plan {
    Whole { urn: String, limit: u64 },
    Part(Range),
}

/// The part with this number, from the byte `first` to the byte `last` of a video.
struct Range {
    urn: String,
    number: usize,
    first: u64,
    last: u64,
}

/// What a PUT wants to do. An address that is not known is one that has ended.
fn plan(call: &Call<'_>) -> Result<Plan, Refused> {
    let expired = || {
        let message = "The upload URL has expired";
        error(400, None, Some("EXPIRED_UPLOAD_URL"), message)
    };
    let segments = call.segments();
    let [_, key, number] = segments.as_slice() else {
        return Err(refuse(Refusal::NotFound).into());
    };
    let number: usize = number.parse().map_err(|_| expired())?;
    let world = call.flight.twin.world();
    let mut assets = world.assets.0.iter();
    let (urn, asset) = assets
        .find(|(_, asset)| asset.key == *key && asset.whole.is_none())
        .ok_or_else(expired)?;
    let (urn, owner) = (urn.clone(), asset.owner.clone());
    let plan = if asset.family == Family::Video {
        let (first, last) = asset.ranges().nth(number).ok_or_else(expired)?;
        Plan::Part(Range {
            urn,
            number,
            first,
            last,
        })
    } else {
        let limit = match asset.family {
            Family::Document => DOCUMENT_BYTES,
            _ => IMAGE_BYTES,
        };
        Plan::Whole { urn, limit }
    };
    drop(world);
    match plan {
        Plan::Part(_) if call.header("authorization").is_some() => {
            let message = "The address is signed; an Authorization header is not allowed";
            return Err(error(400, None, Some("ILLEGAL_ARGUMENT"), message));
        }
        Plan::Part(_) => {}
        Plan::Whole { .. } => {
            call.check_token(call.bearer(), EITHER).map_err(refuse)?;
        }
    }
    call.flight.of_account(&owner);
    Ok(plan)
}

async fn whole(call: &Call<'_>, body: Body, urn: String, limit: u64) -> Reply {
    steps::upload(call, body, limit, refuse, |world, received| {
        let ready_at = Instant::now() + world.processing(Platform::Linkedin);
        let Some(asset) = world.assets.0.get_mut(&urn) else {
            return refuse(Refusal::NotFound);
        };
        asset.complete(received, ready_at);
        StatusCode::CREATED.into_response()
    })
    .await
}

async fn part(call: &Call<'_>, body: Body, range: Range) -> Reply {
    let twin = &call.flight.twin;
    let (fault, cut_at, before) = {
        let mut world = twin.world();
        let fault = world.fault(Platform::Linkedin, Step::Upload);
        let Some(asset) = world.assets.0.get_mut(&range.urn) else {
            return refuse(Refusal::NotFound).into();
        };
        let cut_at = fault.and_then(|kind| kind.cut_at(asset.total));
        // Not again where it was cut before, and not where these bytes do not get to.
        let strikes =
            cut_at.is_none_or(|at| (range.first..=range.last).contains(&at) && asset.reached <= at);
        let fault = fault.filter(|_| strikes);
        (
            fault,
            cut_at.filter(|_| strikes),
            before(asset, range.number),
        )
    };
    let Some(before) = before else {
        drain(body).await;
        let message = "The parts before this one are missing";
        return error(400, None, Some("ILLEGAL_ARGUMENT"), message).into();
    };
    match receive(body, before, &range, cut_at).await {
        Ok(intake) => {
            let mut world = twin.world();
            world.struck(fault, refuse, |world| accept(world, &range, intake))
        }
        Err(Broken::Cut) => {
            if let Some(asset) = twin.world().assets.0.get_mut(&range.urn) {
                asset.reached = asset.reached.max(cut_at.unwrap_or_default() + 1);
            }
            Reply::Never
        }
        Err(Broken::Size) => {
            let message = format!(
                "This address takes the {} bytes from {} to {}",
                range.last - range.first + 1,
                range.first,
                range.last
            );
            error(400, None, Some("ILLEGAL_ARGUMENT"), &message).into()
        }
    }
}

/// The video up to where this part begins, if it got so far.
fn before(asset: &Asset, number: usize) -> Option<Intake> {
    match number.checked_sub(1) {
        None => Some(Intake::default()),
        Some(last) => asset.parts.get(last).map(|part| part.intake.clone()),
    }
}

enum Broken {
    Cut,
    /// There are not as many bytes as belong there.
    Size,
}

async fn receive(
    body: Body,
    mut intake: Intake,
    range: &Range,
    cut_at: Option<u64>,
) -> Result<Intake, Broken> {
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else {
            return Err(Broken::Size);
        };
        if intake.bytes() + chunk.len() as u64 > range.last + 1 {
            while let Some(Ok(_)) = chunks.next().await {}
            return Err(Broken::Size);
        }
        intake.take(&chunk);
        if cut_at.is_some_and(|at| intake.bytes() >= at) {
            return Err(Broken::Cut);
        }
    }
    if intake.bytes() == range.last + 1 {
        Ok(intake)
    } else {
        Err(Broken::Size)
    }
}

/// Keeps a part. What came after it, and its own earlier `ETag`, are worth nothing any more.
fn accept(world: &mut World, range: &Range, intake: Intake) -> Response {
    let etag = format!("/sandbox/{}-{}", range.number, world.mint());
    let Some(asset) = world.assets.0.get_mut(&range.urn) else {
        return refuse(Refusal::NotFound);
    };
    asset.reached = asset.reached.max(range.last + 1);
    asset.parts.truncate(range.number);
    let value = HeaderValue::from_str(&etag).expect("digits and slashes make a valid header");
    asset.parts.push(Part { etag, intake });
    (StatusCode::OK, [(header::ETAG, value)]).into_response()
}
