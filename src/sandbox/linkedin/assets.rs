//! Images, videos and documents: announced, completed, asked after, and used in posts.

use std::collections::HashMap;
use std::time::Instant;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::super::media::{Intake, Received};
use super::super::post::{Family, Medium};
use super::super::steps::Step;
use super::super::wall_clock;
use super::super::wire::{self, Call, Refusal, Refused, Reply};
use super::super::world::{Platform, World};
use super::{
    EITHER, check_author, check_headers, check_known, invalid, is_urn, object, refuse, required_at,
};

/// Videos are sent in parts of this size.
const PART_BYTES: u64 = 4 * 1024 * 1024;
const VIDEO_BYTES: std::ops::RangeInclusive<u64> = 75_000..=524_288_000;
const VIDEO_SECONDS: std::ops::RangeInclusive<u64> = 3..=1800;
/// A picture must have fewer.
const PIXELS: u64 = 36_152_320;
/// For so long an address for an upload is promised.
const ADDRESS_HOURS: i64 = 24;

/// What was announced, by URN.
#[derive(Default)]
pub(in crate::sandbox) struct Assets(pub(super) HashMap<String, Asset>);

pub(super) struct Asset {
    pub(super) family: Family,
    pub(super) owner: String,
    /// Part of its addresses for uploads: who knows it may upload.
    pub(super) key: String,
    token: String,
    /// A video's size as announced.
    pub(super) total: u64,
    /// A video's parts, as far as they came, in their order.
    pub(super) parts: Vec<Part>,
    /// How far a video's bytes came at best: there, no connection is cut a second time.
    pub(super) reached: u64,
    /// All of it, and when it has been processed.
    pub(super) whole: Option<(Received, Instant)>,
}

/// A part of a video that came.
pub(super) struct Part {
    pub(super) etag: String,
    /// The video up to its end.
    pub(super) intake: Intake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    WaitingUpload,
    Processing,
    Available,
    Failed(&'static str),
}

impl Asset {
    /// The first and the last byte of each part.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let total = self.total;
        let starts = (0..total.div_ceil(PART_BYTES)).map(|number| number * PART_BYTES);
        starts.map(move |start| (start, (start + PART_BYTES).min(total) - 1))
    }

    /// All of it is there, and is worked on from now on.
    pub(super) fn complete(&mut self, received: Received, ready_at: Instant) {
        self.whole = Some((received, ready_at));
    }

    fn status(&self) -> Status {
        match &self.whole {
            None => Status::WaitingUpload,
            Some((_, ready_at)) if *ready_at > Instant::now() => Status::Processing,
            Some((received, _)) => {
                let fault = fault(self.family, received);
                fault.map_or(Status::Available, Status::Failed)
            }
        }
    }
}

/// Why a medium can't be processed, by its own bytes.
fn fault(family: Family, received: &Received) -> Option<&'static str> {
    let mime = received.mime.unwrap_or_default();
    match family {
        Family::Image => {
            let sides = received.width.zip(received.height);
            let pixels = sides.map(|(width, height)| u64::from(width) * u64::from(height));
            if !matches!(mime, "image/jpeg" | "image/png" | "image/gif") {
                Some("The image is neither JPG nor PNG nor GIF")
            } else if pixels.is_some_and(|pixels| pixels >= PIXELS) {
                Some("The image has too many pixels")
            } else {
                None
            }
        }
        Family::Video => {
            let seconds = received.duration.map(|duration| duration.as_secs());
            if mime != "video/mp4" {
                Some("The video is not MP4")
            } else if seconds.is_some_and(|seconds| !VIDEO_SECONDS.contains(&seconds)) {
                Some("The video is shorter than 3 seconds or longer than 30 minutes")
            } else {
                None
            }
        }
        // Those of office suites have no type that is told here.
        Family::Document => {
            let is_other = received.family() != Some(Family::Document) && received.mime.is_some();
            is_other.then_some("The document is neither PDF nor DOC nor PPT")
        }
    }
}

fn family(collection: &str) -> Family {
    match collection {
        "videos" => Family::Video,
        "documents" => Family::Document,
        _ => Family::Image,
    }
}

fn name(family: Family) -> &'static str {
    match family {
        Family::Image => "image",
        Family::Video => "video",
        Family::Document => "document",
    }
}

/// `POST /rest/images?action=initializeUpload` and its like.
pub(super) fn act(call: &Call<'_>, collection: &str) -> Result<Reply, Refused> {
    check_headers(call, EITHER)?;
    let family = family(collection);
    match (call.query().get("action"), family) {
        (Some("initializeUpload"), _) => initialize(call, family),
        (Some("finalizeUpload"), Family::Video) => finalize(call),
        _ => {
            let description = "There is no such action";
            Err(invalid("action", "INVALID_VALUE_FOR_FIELD", description))
        }
    }
}

/// The only field of a request, which is an object.
fn inner(mut body: Map<String, Value>, name: &str) -> Result<Map<String, Value>, Refused> {
    check_known(&body, "", &[name])?;
    match body.remove(name) {
        Some(Value::Object(inner)) => Ok(inner),
        Some(_) => Err(invalid(
            name,
            "INVALID_VALUE_FOR_FIELD",
            "Must be an object",
        )),
        None => Err(invalid(name, "MISSING_FIELD", "The field is required")),
    }
}

fn initialize(call: &Call<'_>, family: Family) -> Result<Reply, Refused> {
    let path = "initializeUploadRequest/";
    let request = inner(object(call)?, "initializeUploadRequest")?;
    let of_video = [
        "owner",
        "fileSizeBytes",
        "uploadCaptions",
        "uploadThumbnail",
    ];
    let known = if family == Family::Video {
        &of_video[..]
    } else {
        &of_video[..1]
    };
    check_known(&request, path, known)?;
    let owner = required_at(&request, path, "owner")?.to_owned();
    check_author(call, "initializeUploadRequest/owner", &owner)?;
    let total = if family == Family::Video {
        size(&request)?
    } else {
        0
    };
    let host = call.header("host").unwrap_or("127.0.0.1").to_owned();
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Linkedin, Step::Prepare, refuse, |world| {
            let number = world.mint();
            let urn = format!("urn:li:{}:D4E{number:011}", name(family));
            let asset = Asset {
                family,
                owner,
                key: format!("D4E{number:011}"),
                token: format!("sandbox-{number}"),
                total,
                parts: Vec::new(),
                reached: 0,
                whole: None,
            };
            let body = announced(&asset, &urn, &host);
            world.assets.0.insert(urn, asset);
            wire::json(StatusCode::OK, json!({"value": body}))
        }),
    )
}

fn size(request: &Map<String, Value>) -> Result<u64, Refused> {
    for flag in ["uploadCaptions", "uploadThumbnail"] {
        if request.get(flag).is_some_and(|flag| !flag.is_boolean()) {
            let field = format!("initializeUploadRequest/{flag}");
            return Err(invalid(
                &field,
                "INVALID_VALUE_FOR_FIELD",
                "Must be true or false",
            ));
        }
    }
    let field = "initializeUploadRequest/fileSizeBytes";
    let total = request.get("fileSizeBytes");
    let total = total.ok_or_else(|| invalid(field, "MISSING_FIELD", "The field is required"))?;
    total
        .as_u64()
        .filter(|total| VIDEO_BYTES.contains(total))
        .ok_or_else(|| {
            let description = "A video has 75 KB to 500 MB";
            invalid(field, "INVALID_VALUE_FOR_FIELD", description)
        })
}

/// What a client is told of a new asset.
fn announced(asset: &Asset, urn: &str, host: &str) -> Value {
    let end = wall_clock() + chrono::TimeDelta::hours(ADDRESS_HOURS);
    let end = end.timestamp_millis();
    let address = |part| format!("http://{host}/linkedin/dms-uploads/{}/{part}", asset.key);
    if asset.family != Family::Video {
        let mut body = json!({"uploadUrlExpiresAt": end, "uploadUrl": address(0)});
        body[name(asset.family)] = urn.into();
        return body;
    }
    let ranges = asset.ranges().enumerate();
    let instructions = ranges.map(|(part, (first, last))| {
        json!({"uploadUrl": address(part), "firstByte": first, "lastByte": last})
    });
    json!({
        "uploadUrlsExpireAt": end,
        "video": urn,
        "uploadInstructions": instructions.collect::<Vec<_>>(),
        "uploadToken": asset.token,
    })
}

fn finalize(call: &Call<'_>) -> Result<Reply, Refused> {
    let path = "finalizeUploadRequest/";
    let request = inner(object(call)?, "finalizeUploadRequest")?;
    check_known(&request, path, &["video", "uploadToken", "uploadedPartIds"])?;
    let urn = required_at(&request, path, "video")?;
    let wrong =
        |name: &str, code, description| invalid(&format!("{path}{name}"), code, description);
    if !is_urn(urn, &["video"]) {
        return Err(wrong("video", "INVALID_URN_TYPE", "Must be urn:li:video:…"));
    }
    let unknown = || wrong("video", "INVALID_VIDEO_ID", "There is no such video");
    let owner = {
        let world = call.flight.twin.world();
        world.assets.0.get(urn).map(|asset| asset.owner.clone())
    };
    check_author(
        call,
        "finalizeUploadRequest/video",
        &owner.ok_or_else(unknown)?,
    )?;
    let mut world = call.flight.twin.world();
    let asset = world.assets.0.get(urn).ok_or_else(unknown)?;
    if asset.whole.is_some() {
        let description = "The video has been finalized before";
        return Err(wrong("video", "UPDATING_ASSET_FAILED", description));
    }
    if request.get("uploadToken").and_then(Value::as_str) != Some(&asset.token) {
        let description = "Must be the token of the initialized upload";
        return Err(wrong("uploadToken", "INVALID_VALUE_FOR_FIELD", description));
    }
    let etags: Vec<Value> = asset
        .parts
        .iter()
        .map(|part| part.etag.clone().into())
        .collect();
    let is_whole = etags.len() == asset.ranges().count();
    if !is_whole || request.get("uploadedPartIds") != Some(&Value::Array(etags)) {
        let description = "Must be the ETag of every part, in their order";
        return Err(wrong(
            "uploadedPartIds",
            "INVALID_VALUE_FOR_FIELD",
            description,
        ));
    }
    let urn = urn.to_owned();
    Ok(
        world.step(Platform::Linkedin, Step::Prepare, refuse, |world| {
            let ready_at = Instant::now() + world.processing(Platform::Linkedin);
            let Some(asset) = world.assets.0.get_mut(&urn) else {
                return refuse(Refusal::NotFound);
            };
            if let Some(last) = asset.parts.last() {
                let received = last.intake.clone().end();
                asset.complete(received, ready_at);
            }
            StatusCode::OK.into_response()
        }),
    )
}

/// `GET /rest/images/{urn}` and its like. Those who only write as members may not ask for images.
pub(super) fn status(call: &Call<'_>, collection: &str, urn: &str) -> Result<Reply, Refused> {
    let needed = match family(collection) {
        Family::Image => "r_organization_social|w_organization_social",
        Family::Video | Family::Document => {
            "r_organization_social|w_organization_social|w_member_social"
        }
    };
    check_headers(call, needed)?;
    if !is_urn(urn, &[name(family(collection))]) {
        let description = format!("Must be urn:li:{}:…", name(family(collection)));
        return Err(invalid("id", "INVALID_URN_TYPE", &description));
    }
    let mut world = call.flight.twin.world();
    let asset = world.assets.0.get(urn);
    let asset = asset.ok_or_else(|| refuse(Refusal::NotFound))?;
    let mut body = json!({"id": urn, "owner": asset.owner});
    body["status"] = match asset.status() {
        Status::WaitingUpload => "WAITING_UPLOAD",
        Status::Processing => "PROCESSING",
        Status::Available => "AVAILABLE",
        Status::Failed(why) => {
            body["processingFailureReason"] = why.into();
            "PROCESSING_FAILED"
        }
    }
    .into();
    Ok(world.step(Platform::Linkedin, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, body)
    }))
}

/// A medium for a post of this author, if it may be used there. `field` is where the post names it.
pub(super) fn usable(
    world: &World,
    urn: &str,
    families: &[Family],
    author: &str,
    field: &str,
) -> Result<Medium, Refused> {
    let names: Vec<&str> = families.iter().map(|family| name(*family)).collect();
    if !is_urn(urn, &names) {
        let wanted: Vec<String> = names
            .iter()
            .map(|name| format!("urn:li:{name}:…"))
            .collect();
        let description = format!("Must be {}", wanted.join(" or "));
        return Err(invalid(field, "INVALID_URN_TYPE", &description));
    }
    let own = world
        .assets
        .0
        .get(urn)
        .filter(|asset| asset.owner == author);
    let Some(asset) = own else {
        let code = match urn.split(':').nth(2) {
            Some("image") => "INVALID_IMAGE_ID",
            Some("video") => "INVALID_VIDEO_ID",
            _ => "INVALID_URN_ID",
        };
        let description = format!("{urn} does not exist, or does not belong to the author");
        return Err(invalid(field, code, &description));
    };
    match (asset.status(), &asset.whole) {
        (Status::Available, Some((received, _))) => Ok(Medium {
            family: asset.family,
            url: Some(urn.to_owned()),
            ..Medium::of(received)
        }),
        (Status::Failed(why), _) => Err(invalid(field, "MEDIA_ASSET_PROCESSING_FAILED", why)),
        _ => {
            let description = format!("{urn} is not ready");
            Err(invalid(field, "MEDIA_ASSET_WAITING_UPLOAD", &description))
        }
    }
}
