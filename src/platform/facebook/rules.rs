//! What a post is to Facebook, and what keeps it from being one.

use super::checkpoint::Edge;
use crate::media::{Facts, Family, declared_type};
use crate::post::{Content, Kind, Media};
use crate::review::Review;

const PHOTO_TYPES: &[&str] = &[
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/bmp",
    "image/tiff",
];

/// Those of the documented formats that have a type of their own.
const VIDEO_TYPES: &[&str] = &[
    "video/mp4",
    "video/quicktime",
    "video/x-m4v",
    "video/x-matroska",
    "video/x-msvideo",
    "video/mpeg",
    "video/mp2t",
    "video/3gpp",
    "video/3gpp2",
    "video/x-flv",
    "video/x-ms-wmv",
    "video/x-ms-asf",
    "video/ogg",
];

/// How a post is made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape<'a> {
    /// A text, a link or both.
    Text,
    /// One photo that Facebook fetches.
    HostedPhoto(&'a str),
    /// Photos that are there before the post, or the story, is.
    Photos,
    /// A video in the feed that Facebook fetches.
    HostedVideo(&'a str),
    /// A video that has its id before it is published.
    Video(Edge),
}

impl<'a> Shape<'a> {
    pub(super) fn of(content: &Content, media: &'a [Media], facts: &[Facts]) -> Self {
        let Some(first) = media.first() else {
            return Self::Text;
        };
        let is_video = match facts.first().and_then(|facts| facts.family) {
            Some(family) => family == Family::Video,
            None => declared_type(first).is_some_and(|mime| mime.starts_with("video/")),
        };
        match (content.kind, is_video, hosted(first)) {
            (Kind::Reel, _, _) => Self::Video(Edge::Reels),
            (Kind::Story, true, _) => Self::Video(Edge::Stories),
            (_, true, Some(url)) => Self::HostedVideo(url),
            (_, true, None) => Self::Video(Edge::Videos),
            (Kind::Post, false, Some(url)) if media.len() == 1 => Self::HostedPhoto(url),
            _ => Self::Photos,
        }
    }
}

/// Where Facebook itself can fetch a medium. Objects of a private store are sent as bytes.
pub(super) fn hosted(medium: &Media) -> Option<&str> {
    let is_web = |url: &&str| url.starts_with("http://") || url.starts_with("https://");
    medium.url.as_deref().filter(is_web)
}

pub(super) fn check(review: &mut Review<'_>) {
    match review.content.kind {
        Kind::Post => check_post(review),
        Kind::Reel => check_reel(review),
        Kind::Story => check_story(review),
        Kind::Reply => review.problem(
            "replies on Facebook are not supported; what the page says under its own post is the option `first_comment`",
        ),
    }
    review.characters("the body", &review.content.body, "message_chars");
    review.families(&[Family::Image, Family::Video], "photos and videos");
    review.types(
        Family::Image,
        PHOTO_TYPES,
        "JPEG, PNG, GIF, BMP and TIFF pictures",
    );
    review.types(
        Family::Video,
        VIDEO_TYPES,
        "MP4 and other common videos, but not this type",
    );
    let bytes = |facts: &Facts| facts.bytes.map(|bytes| bytes as f64);
    let size = ("the size", " bytes");
    review.measure(Family::Image, size, bytes, (None, Some("photo_bytes")));
    let most = if is_fetched_whole(review) {
        "hosted_video_bytes"
    } else {
        "video_bytes"
    };
    review.measure(Family::Video, size, bytes, (None, Some(most)));
    let aspect = ("width by height", "");
    let range = (Some("video_aspect_min"), Some("video_aspect_max"));
    review.measure(Family::Video, aspect, Facts::aspect, range);
    check_options(review);
}

/// Whether it is a video that Facebook fetches for the feed, which has limits of its own.
fn is_fetched_whole(review: &Review<'_>) -> bool {
    let first = review.media.first();
    review.content.kind == Kind::Post && first.is_some_and(|(medium, _)| hosted(medium).is_some())
}

fn check_options(review: &mut Review<'_>) {
    review.option::<String>("title", "a text");
    let comment = review.option::<String>("first_comment", "a text");
    if comment.is_some_and(|comment| !comment.trim().is_empty())
        && review.content.kind == Kind::Story
    {
        review.problem("a story on Facebook has no comments; leave `first_comment` out");
    }
}

fn check_post(review: &mut Review<'_>) {
    let content = review.content;
    let (photos, videos) = (review.count(Family::Image), review.count(Family::Video));
    let media = content.media.len();
    if content.body.trim().is_empty() && content.link.is_none() && media == 0 {
        review.problem("a Facebook post needs a body, a link or media");
    }
    if content.link.is_some() && media > 0 {
        review.problem(
            "Facebook shows either a link or media; leave one of them out, or write the link into the body",
        );
    }
    if photos > 0 && videos > 0 {
        review.problem(
            "a Facebook post has either photos or one video, not both; make two posts of it",
        );
    } else if videos > 1 {
        review.problem(format!(
            "a Facebook post has at most one video; this one has {videos}"
        ));
    } else {
        review.at_most("the post", media, "photos", "photos");
    }
    let most = if is_fetched_whole(review) {
        "hosted_video_seconds"
    } else {
        "video_seconds"
    };
    check_duration(review, (None, Some(most)));
}

fn check_reel(review: &mut Review<'_>) {
    check_single(review, "a reel on Facebook needs exactly one video");
    if review.count(Family::Image) > 0 {
        review.problem("a reel on Facebook is a video; publish a picture as a post or a story");
    }
    if review.content.link.is_some() {
        review.problem("a reel on Facebook has no link; write it into the body");
    }
    check_duration(review, (Some("reel_seconds_min"), Some("reel_seconds")));
    check_sides(review);
}

fn check_story(review: &mut Review<'_>) {
    check_single(
        review,
        "a story on Facebook needs exactly one picture or video",
    );
    if !review.content.body.trim().is_empty() || review.content.link.is_some() {
        review.problem(
            "a story on Facebook has no text and no link; leave the body and the link empty",
        );
    }
    check_duration(review, (Some("story_seconds_min"), Some("story_seconds")));
    check_sides(review);
}

fn check_single(review: &mut Review<'_>, what: &str) {
    let count = review.content.media.len();
    if count != 1 {
        review.problem(format!("{what}; this post has {count} media"));
    }
}

fn check_duration(review: &mut Review<'_>, range: (Option<&str>, Option<&str>)) {
    let seconds = |facts: &Facts| facts.duration.map(|duration| duration.as_secs_f64());
    review.measure(Family::Video, ("the duration", " s"), seconds, range);
}

/// The documented 540 x 960 pixels of a vertical video, also for one that lies.
fn check_sides(review: &mut Review<'_>) {
    let sides = |facts: &Facts| facts.width.zip(facts.height);
    let short = |facts: &Facts| sides(facts).map(|(width, height)| f64::from(width.min(height)));
    let long = |facts: &Facts| sides(facts).map(|(width, height)| f64::from(width.max(height)));
    let pixels = |what| (what, " pixels");
    review.measure(
        Family::Video,
        pixels("the shorter side"),
        short,
        (Some("reel_short_side"), None),
    );
    review.measure(
        Family::Video,
        pixels("the longer side"),
        long,
        (Some("reel_long_side"), None),
    );
}
