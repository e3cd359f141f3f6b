//! Videos: in the feed, as reels and as stories, from their first byte to what readers see.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::super::graph::{self, GraphError};
use super::super::media::{FetchError, Intake, Received};
use super::super::post::{Draft, Family, Kind, Medium, Post};
use super::super::steps::Step;
use super::super::wire::{self, Reply};
use super::super::world::{Platform, World};
use super::feed::checked_text;
use super::photos::publish_story;
use super::{Asked, made_id, refuse};

/// How much of a feed video is asked for at once.
const CHUNK: u64 = 262_144;
/// 10 GB in chunks, 1 GB fetched.
const MAX_BYTES: u64 = 10_000_000_000;
const MAX_HOSTED_BYTES: u64 = 1_000_000_000;
const MAX_HOSTED: Duration = Duration::from_mins(20);
const REELS_A_DAY: usize = 30;
const DAY: Duration = Duration::from_hours(24);

const HOSTED_PARAMS: [&str; 6] = [
    "file_url",
    "description",
    "title",
    "published",
    "access_token",
    "fields",
];
const PHASE_PARAMS: [&str; 9] = [
    "upload_phase",
    "file_size",
    "upload_session_id",
    "start_offset",
    "description",
    "title",
    "published",
    "access_token",
    "fields",
];
const REEL_PARAMS: [&str; 6] = [
    "upload_phase",
    "video_id",
    "video_state",
    "description",
    "title",
    "access_token",
];
const STORY_PARAMS: [&str; 3] = ["upload_phase", "video_id", "access_token"];

/// When each Page published its reels.
pub(in crate::sandbox) type Reels = HashMap<String, Vec<Instant>>;

/// A video from the moment on when it has an id.
pub(in crate::sandbox) struct Video {
    page: String,
    kind: Kind,
    /// Its whole size: of a reel known with the first bytes.
    total: u64,
    intake: Intake,
    /// The whole, once it is here.
    received: Option<Received>,
    url: Option<String>,
    /// How far a chunk came at best, kept or not: there, no connection is cut a second time.
    reached: u64,
    processing: Duration,
    finished: Option<(Instant, DateTime<Utc>)>,
    title: Option<String>,
    text: String,
    made: DateTime<Utc>,
}

impl Video {
    fn new(world: &mut World, page: &str, kind: Kind, total: u64) -> Self {
        Self {
            page: page.to_owned(),
            kind,
            total,
            intake: Intake::default(),
            received: None,
            url: None,
            reached: 0,
            processing: world.processing(Platform::Facebook),
            finished: None,
            title: None,
            text: String::new(),
            made: super::super::wall_clock(),
        }
    }

    pub(super) fn page(&self) -> &str {
        &self.page
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    fn stored(&self) -> u64 {
        match &self.received {
            Some(received) => received.bytes,
            None => self.intake.bytes(),
        }
    }

    /// Prepares for bytes from `offset` on.
    pub(super) fn expect(&mut self, offset: u64, size: u64) -> Result<(), String> {
        if self.total != 0 && self.total != size {
            return Err(format!("The file has {} bytes, not {size}", self.total));
        }
        if self.received.is_some() || offset != self.stored() || offset >= size {
            return Err(format!("The next byte of this upload is {}", self.stored()));
        }
        self.total = size;
        Ok(())
    }

    /// Takes bytes that start at `position`, unless another request was faster.
    pub(super) fn take(&mut self, position: u64, bytes: &[u8]) -> bool {
        if self.received.is_some() || self.intake.bytes() != position {
            return false;
        }
        self.intake.take(bytes);
        if self.intake.bytes() == self.total {
            let intake = std::mem::take(&mut self.intake);
            self.received = Some(intake.end());
        }
        true
    }

    pub(super) fn complete(&mut self, received: Received, url: Option<String>) {
        self.total = received.bytes;
        self.received = Some(received);
        self.url = url;
    }

    /// What processing finds out.
    fn is_broken(&self) -> bool {
        let family = self.received.as_ref().and_then(Received::family);
        self.received.is_some() && family != Some(Family::Video)
    }

    /// Whether it is left to a person: Meta takes vertical videos of the feed for reels, and makes drafts of them.
    fn is_draft(&self) -> bool {
        let sides = self.received.as_ref();
        let sides = sides.and_then(|video| video.width.zip(video.height));
        self.kind == Kind::Post && sides.is_some_and(|(width, height)| height > width)
    }

    fn status(&self, bytes_name: &str) -> Value {
        let whole = self.received.is_some();
        let ready = self
            .finished
            .filter(|(at, _)| at.elapsed() >= self.processing);
        let (video, processing, publishing) = match (self.finished, ready) {
            (Some(_), Some(_)) if self.is_broken() => (
                "error",
                json!({"status": "error", "error": {"message": "The file is no video that can be played."}}),
                json!({"status": "not_started"}),
            ),
            (Some(_), Some(_)) if self.is_draft() => (
                "ready",
                json!({"status": "complete"}),
                json!({"status": "not_started", "publish_status": "draft"}),
            ),
            (Some((_, at)), Some(_)) => (
                "ready",
                json!({"status": "complete"}),
                json!({"status": "complete", "publish_status": "published", "publish_time": graph::time(at)}),
            ),
            (Some(_), None) => (
                "processing",
                json!({"status": "in_progress"}),
                json!({"status": "not_started"}),
            ),
            (None, _) => (
                if whole {
                    "upload_complete"
                } else {
                    "uploading"
                },
                json!({"status": "not_started"}),
                json!({"status": "not_started"}),
            ),
        };
        let uploading = if whole { "complete" } else { "in_progress" };
        json!({
            "video_status": video,
            "uploading_phase": {"status": uploading, bytes_name: self.stored()},
            "processing_phase": processing,
            "publishing_phase": publishing,
        })
    }

    /// `bytes_name`: see [`graph::bytes_name`].
    pub(super) fn node(&self, id: &str, bytes_name: &str) -> Map<String, Value> {
        let node = json!({
            "id": id,
            "status": self.status(bytes_name),
            "permalink_url": self.path(id),
            "title": self.title,
            "description": self.text,
            "created_time": graph::time(self.made),
            "updated_time": graph::time(self.made),
            "published": self.finished.is_some() && !self.is_broken() && !self.is_draft(),
        });
        node.as_object().cloned().unwrap_or_default()
    }

    /// Where it is: the API leaves scheme and host out.
    fn path(&self, id: &str) -> String {
        match self.kind {
            Kind::Reel => format!("/reel/{id}/"),
            _ => format!("/{}/videos/{id}/", self.page),
        }
    }

    /// As readers see it.
    fn media(&self) -> Vec<Medium> {
        let medium = |received| Medium {
            url: self.url.clone(),
            ..Medium::of(received)
        };
        self.received.iter().map(medium).collect()
    }
}

/// A video or a reel as the Page's lists show it.
pub(super) fn listed_node(post: &Post) -> Map<String, Value> {
    let node = json!({
        "id": post.id,
        "description": post.text,
        "title": post.title,
        "created_time": graph::time(post.published_at),
        "updated_time": graph::time(post.published_at),
        "permalink_url": post.permalink.trim_start_matches("https://www.facebook.com"),
    });
    node.as_object().cloned().unwrap_or_default()
}

/// `POST {page}/videos`: fetched at once, or in chunks.
pub(super) async fn feed_video(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    match asked.fields.get("upload_phase") {
        None => hosted(asked, page).await,
        Some("start") => start_chunks(asked, page),
        Some("transfer") => transfer(asked, page),
        Some("finish") => finish_chunks(asked, page),
        Some(_) => Err(unknown_phase()),
    }
}

fn unknown_phase() -> GraphError {
    let message = "(#100) upload_phase must be one of start, transfer, finish";
    GraphError::new(100, message)
}

async fn hosted(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    graph::check_known(&asked.fields, &HOSTED_PARAMS)?;
    must_be_published(asked)?;
    let (title, text) = words(asked)?;
    let received = match (&asked.file, asked.fields.filled("file_url")) {
        (Some(file), None) if file.is_source() => file.received(),
        (None, Some(url)) => asked.call.fetch(url).await.map_err(unfetched)?,
        _ => {
            let message = "(#100) Either file_url or source is required";
            return Err(GraphError::new(100, message));
        }
    };
    check_feed(&received)?;
    if received.bytes > MAX_HOSTED_BYTES || received.duration > Some(MAX_HOSTED) {
        let message = "(#382) A video of at most 1 GB and 20 minutes is taken at once";
        return Err(GraphError::new(382, message).sub(1_363_023));
    }
    let url = asked.fields.filled("file_url").map(str::to_owned);
    let mut world = asked.call.flight.twin.world();
    let accept = |world: &mut World| {
        let mut video = Video::new(world, page, Kind::Post, received.bytes);
        video.complete(received, url);
        (video.title, video.text) = (title, text);
        let id = made_id(world.mint());
        world.facebook.videos.insert(id.clone(), video);
        publish(world, &id);
        wire::json(StatusCode::OK, json!({"id": id}))
    };
    Ok(world.step(Platform::Facebook, Step::Publish, refuse, accept))
}

fn unfetched(error: FetchError) -> GraphError {
    let error = match error {
        FetchError::TooLarge => {
            GraphError::new(382, "(#382) The video is too large").sub(1_363_023)
        }
        _ => GraphError::new(389, "(#389) Unable to fetch video file from URL."),
    };
    error.explained("The video could not be fetched from this address.")
}

fn check_feed(video: &Received) -> Result<(), GraphError> {
    if video.family() != Some(Family::Video) {
        let error = GraphError::new(
            352,
            "(#352) The video file you selected is in a format that we don't support.",
        );
        return Err(error.sub(1_363_031).explained("This file is no video."));
    }
    check_aspect(video)
}

/// From 9:16 to 16:9, rounded.
fn check_aspect(video: &Received) -> Result<(), GraphError> {
    let size = video.width.zip(video.height);
    let aspect = size.map(|(width, height)| f64::from(width) / f64::from(height.max(1)));
    if aspect.is_some_and(|aspect| !(0.55..=1.8).contains(&aspect)) {
        let error = GraphError::new(100, "(#100) The aspect ratio of the video is not supported");
        return Err(error
            .sub(1_363_040)
            .explained("The video's aspect ratio must be between 9:16 and 16:9."));
    }
    Ok(())
}

/// What a reel or a story must be; a file that is no video is found out later.
fn check_vertical(video: &Video) -> Result<(), GraphError> {
    let Some(received) = &video.received else {
        let message = "(#100) The video has not been uploaded yet";
        return Err(GraphError::new(100, message).sub(1_363_130));
    };
    let (most, what) = match video.kind {
        Kind::Story => (60, "A story must have between 3 and 60 seconds."),
        _ => (90, "A reel must have between 3 and 90 seconds."),
    };
    let range = Duration::from_secs(3)..=Duration::from_secs(most);
    if received
        .duration
        .is_some_and(|duration| !range.contains(&duration))
    {
        let error = GraphError::new(100, "(#100) The duration of the video is not supported");
        return Err(error.sub(1_363_128).explained(what));
    }
    let sides = received.width.zip(received.height);
    if sides.is_some_and(|(width, height)| width.min(height) < 540 || width.max(height) < 960) {
        let error = GraphError::new(100, "(#100) The resolution of the video is not supported");
        return Err(error
            .sub(1_363_127)
            .explained("The video must have at least 540 x 960 pixels."));
    }
    check_aspect(received)
}

fn must_be_published(asked: &Asked<'_, '_>) -> Result<(), GraphError> {
    if asked.is_published()? {
        return Ok(());
    }
    let message = "(#100) The sandbox only publishes at once: published must be true";
    Err(GraphError::new(100, message))
}

/// Title and description.
fn words(asked: &Asked<'_, '_>) -> Result<(Option<String>, String), GraphError> {
    let text = asked.fields.filled("description").unwrap_or_default();
    checked_text(text)?;
    let title = asked.fields.filled("title").map(str::to_owned);
    Ok((title, text.to_owned()))
}

fn start_chunks(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    graph::check_known(&asked.fields, &PHASE_PARAMS)?;
    let size: Option<u64> = asked.required("file_size")?.parse().ok();
    let size = size.filter(|size| *size > 0).ok_or_else(|| {
        GraphError::new(100, "(#100) file_size must be a number of bytes").sub(1_363_022)
    })?;
    if size > MAX_BYTES {
        let error = GraphError::new(382, "(#382) The video is too large");
        return Err(error.sub(1_363_023));
    }
    let mut world = asked.call.flight.twin.world();
    let accept = |world: &mut World| {
        let id = made_id(world.mint());
        let video = Video::new(world, page, Kind::Post, size);
        world.facebook.videos.insert(id.clone(), video);
        graph::ok(json!({
            "upload_session_id": session_of(&id),
            "video_id": id,
            "start_offset": "0",
            "end_offset": size.min(CHUNK).to_string(),
        }))
    };
    Ok(world.step(Platform::Facebook, Step::Prepare, refuse, accept))
}

fn session_of(video: &str) -> String {
    format!("9{video}")
}

/// The video whose chunks this session is for.
fn chunked<'w>(
    world: &'w mut World,
    asked: &Asked<'_, '_>,
    page: &str,
) -> Result<(String, &'w mut Video), GraphError> {
    let session = asked.required("upload_session_id")?;
    let id = session.strip_prefix('9').unwrap_or_default();
    let video = world.facebook.videos.get_mut(id);
    let video = video.filter(|video| video.page == page && video.kind == Kind::Post);
    let video = video.filter(|video| video.finished.is_none());
    video.map(|video| (id.to_owned(), video)).ok_or_else(|| {
        let message =
            "(#6000) There was a problem uploading your video file: invalid upload session";
        GraphError::new(6000, message).sub(1_363_041)
    })
}

fn transfer(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    graph::check_known(&asked.fields, &PHASE_PARAMS)?;
    let mut world = asked.call.flight.twin.world();
    let (id, video) = chunked(&mut world, asked, page)?;
    let start = asked.required("start_offset")?.parse::<u64>().ok();
    let (stored, total) = (video.stored(), video.total);
    let end = (stored + CHUNK).min(total);
    if start != Some(stored) {
        let error = GraphError::new(
            6000,
            "(#6000) There was a problem uploading your video. Please try uploading it again.",
        );
        let wanted = json!({"start_offset": stored.to_string(), "end_offset": end.to_string()});
        return Err(error.sub(1_363_037).data(wanted));
    }
    let file = asked
        .file
        .as_ref()
        .filter(|file| file.field == "video_file_chunk");
    let file = file.ok_or_else(|| {
        GraphError::new(
            100,
            "(#100) No Video Selected: video_file_chunk is required",
        )
        .sub(1_363_020)
    })?;
    let length = file.bytes.len() as u64;
    if length == 0 || stored + length > total {
        let message =
            "(#6000) There was a problem uploading your video: the chunk is not inside the file";
        return Err(GraphError::new(6000, message).sub(1_363_033));
    }
    let reached = std::mem::replace(&mut video.reached, stored + length);
    let fault = world.fault(Platform::Facebook, Step::Upload);
    // A connection is cut where the place is in this chunk, and once.
    let fault = fault.filter(|kind| {
        kind.cut_at(total)
            .is_none_or(|at| (stored..stored + length).contains(&at) && reached <= at)
    });
    let bytes = file.bytes.clone();
    let accept = |world: &mut World| {
        let Some(video) = world.facebook.videos.get_mut(&id) else {
            return GraphError::no_such_object(&id).into_response();
        };
        video.take(stored, &bytes);
        let stored = video.stored();
        graph::ok(json!({
            "start_offset": stored.to_string(), "end_offset": (stored + CHUNK).min(total).to_string(),
        }))
    };
    Ok(world.struck(fault, refuse, accept))
}

fn finish_chunks(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    graph::check_known(&asked.fields, &PHASE_PARAMS)?;
    must_be_published(asked)?;
    let (title, text) = words(asked)?;
    let mut world = asked.call.flight.twin.world();
    let (id, video) = chunked(&mut world, asked, page)?;
    let Some(received) = &video.received else {
        let message = "(#6000) There was a problem uploading your video: bytes are missing";
        return Err(GraphError::new(6000, message).sub(1_363_033));
    };
    check_feed(received)?;
    let accept = |world: &mut World| {
        if let Some(video) = world.facebook.videos.get_mut(&id) {
            (video.title, video.text) = (title, text);
        }
        publish(world, &id);
        graph::ok(json!({"success": true}))
    };
    Ok(world.step(Platform::Facebook, Step::Publish, refuse, accept))
}

/// `POST {page}/video_reels` and `{page}/video_stories`.
pub(super) fn reel(asked: &Asked<'_, '_>, page: &str, kind: Kind) -> Result<Reply, GraphError> {
    let known: &[&str] = match kind {
        Kind::Reel => &REEL_PARAMS,
        _ => &STORY_PARAMS,
    };
    graph::check_known(&asked.fields, known)?;
    match asked.required("upload_phase")? {
        "start" => start_reel(asked, page, kind),
        "finish" => finish_reel(asked, page, kind),
        _ => Err(unknown_phase()),
    }
}

fn start_reel(asked: &Asked<'_, '_>, page: &str, kind: Kind) -> Result<Reply, GraphError> {
    let mut world = asked.call.flight.twin.world();
    check_quota(&mut world, page, kind)?;
    let host = asked.call.header("host").unwrap_or("127.0.0.1");
    let version = asked.call.segments();
    let version = version.first().cloned().unwrap_or_default();
    let accept = |world: &mut World| {
        let id = made_id(world.mint());
        let video = Video::new(world, page, kind, 0);
        world.facebook.videos.insert(id.clone(), video);
        let url = format!("http://{host}/facebook/video-upload/{version}/{id}");
        graph::ok(json!({"video_id": id, "upload_url": url}))
    };
    Ok(world.step(Platform::Facebook, Step::Prepare, refuse, accept))
}

fn check_quota(world: &mut World, page: &str, kind: Kind) -> Result<(), GraphError> {
    if kind != Kind::Reel {
        return Ok(());
    }
    let reels = world.facebook.reels.entry(page.to_owned()).or_default();
    reels.retain(|at| at.elapsed() < DAY);
    if reels.len() < REELS_A_DAY {
        return Ok(());
    }
    let message = "(#613) Calls to this api have exceeded the rate limit: 30 reels in 24 hours.";
    Err(GraphError::new(613, message))
}

fn finish_reel(asked: &Asked<'_, '_>, page: &str, kind: Kind) -> Result<Reply, GraphError> {
    let id = asked.required("video_id")?.to_owned();
    if kind == Kind::Reel && asked.required("video_state")? != "PUBLISHED" {
        let message = "(#100) The sandbox only publishes at once: video_state must be PUBLISHED";
        return Err(GraphError::new(100, message));
    }
    let (title, text) = words(asked)?;
    let mut world = asked.call.flight.twin.world();
    check_quota(&mut world, page, kind)?;
    let video = world.facebook.videos.get_mut(&id);
    let video = video.filter(|video| video.page == page && video.kind == kind);
    let video = video.ok_or_else(|| GraphError::no_such_object(&id))?;
    if video.finished.is_some() {
        let message = "(#100) The video is published already";
        return Err(GraphError::new(100, message));
    }
    check_vertical(video)?;
    let accept = |world: &mut World| {
        if let Some(video) = world.facebook.videos.get_mut(&id) {
            (video.title, video.text) = (title, text);
        }
        publish(world, &id).unwrap_or_else(|| graph::ok(json!({"success": true})))
    };
    Ok(world.step(Platform::Facebook, Step::Publish, refuse, accept))
}

/// Shows a video to readers, unless processing will find that it is none. A story has an answer of its own.
fn publish(world: &mut World, id: &str) -> Option<Response> {
    let video = world.facebook.videos.get_mut(id)?;
    video.finished = Some((Instant::now(), super::super::wall_clock()));
    if video.is_broken() || video.is_draft() {
        return None;
    }
    let (page, kind, media) = (video.page.clone(), video.kind, video.media());
    let permalink = format!("https://www.facebook.com{}", video.path(id));
    if kind == Kind::Story {
        return Some(publish_story(world, &page, id, media));
    }
    let draft = Draft {
        account: page.clone(),
        kind,
        text: video.text.clone(),
        title: video.title.clone(),
        media,
        ..Draft::default()
    };
    if kind == Kind::Reel {
        let reels = world.facebook.reels.entry(page).or_default();
        reels.push(Instant::now());
    }
    world.publish(Platform::Facebook, draft, id.to_owned(), permalink);
    None
}
