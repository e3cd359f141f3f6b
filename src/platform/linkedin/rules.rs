//! What LinkedIn takes: the review of a post before anything is sent.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::little;
use crate::media::{Facts, Family};
use crate::post::{ClaimedPost, Kind};
use crate::review::Review;

const VISIBILITIES: &str = "PUBLIC, LOGGED_IN or CONNECTIONS";

/// Who sees a post.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Visibility {
    #[default]
    #[serde(alias = "public")]
    Public,
    #[serde(alias = "logged_in")]
    LoggedIn,
    #[serde(alias = "connections")]
    Connections,
}

impl Visibility {
    /// The post's own, else its account's.
    pub(super) fn of(post: &ClaimedPost) -> Self {
        let own = post.content.options.get("visibility");
        let own = own.filter(|value| !value.is_null());
        own.or_else(|| post.account.settings.get("visibility"))
            .and_then(|value| Self::deserialize(value).ok())
            .unwrap_or_default()
    }
}

pub(super) fn settings(settings: &Map<String, Value>) -> Vec<String> {
    let wrong = settings
        .get("visibility")
        .filter(|value| Visibility::deserialize(*value).is_err());
    wrong
        .map(|value| format!("`visibility` is {value}; it must be {VISIBILITIES}"))
        .into_iter()
        .collect()
}

pub(super) fn check(review: &mut Review<'_>) {
    let content = review.content;
    if content.kind != Kind::Post {
        review.problem("stories, reels and replies on LinkedIn are not supported");
    }
    if content.body.trim().is_empty() {
        review.problem("a LinkedIn post needs a body, with a link or media too");
    }
    review.characters(
        "the body",
        &little::plain(&content.body),
        "commentary_chars",
    );
    let text = |review: &mut Review<'_>, name| {
        let text: Option<String> = review.option(name, "a text");
        text.unwrap_or_default()
    };
    let title = text(review, "title");
    review.characters("the title", &title, "title_chars");
    text(review, "description");
    let comment = text(review, "first_comment");
    review.characters("the first comment", &comment, "comment_chars");
    review.option::<Visibility>("visibility", VISIBILITIES);
    let is_thumbnail = review.option("thumbnail", "true or false");
    check_link(review, is_thumbnail.unwrap_or(false));
    check_numbers(review);
    check_media(review);
}

fn check_link(review: &mut Review<'_>, is_thumbnail: bool) {
    let has_link = review.content.link.is_some();
    let media = review.content.media.len();
    if is_thumbnail {
        let others = review.count(Family::Video) + review.count(Family::Document);
        if !has_link || media != 1 || others > 0 {
            review.problem("option `thumbnail` takes a link and exactly one picture");
        }
    } else if has_link && media > 0 {
        review.problem(
            "LinkedIn shows either a link or media; put the link into the body, or set the option `thumbnail` to true \
             to show one picture as the link's",
        );
    }
}

fn check_numbers(review: &mut Review<'_>) {
    let media = review.media.len();
    for (family, name) in [(Family::Video, "video"), (Family::Document, "document")] {
        if media > 1 && review.count(family) > 0 {
            review.problem(format!(
                "LinkedIn takes a {name} only by itself; this post has {media} media"
            ));
        }
    }
    review.at_most("the post", media, "pictures", "images");
}

fn check_media(review: &mut Review<'_>) {
    review.types(
        Family::Image,
        &["image/jpeg", "image/png", "image/gif"],
        "JPG, PNG and GIF pictures",
    );
    review.types(Family::Video, &["video/mp4"], "MP4 videos");
    review.types(
        Family::Document,
        &[
            "application/pdf",
            "application/msword",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ],
        "PDF, DOC(X) and PPT(X) documents",
    );
    let pixels = |facts: &Facts| Some(f64::from(facts.width?) * f64::from(facts.height?));
    let bytes = |facts: &Facts| facts.bytes.map(|bytes| bytes as f64);
    let seconds = |facts: &Facts| Some(facts.duration?.as_secs_f64());
    let size = ("its size", " bytes");
    review.measure(
        Family::Image,
        ("its size", " pixels"),
        pixels,
        (None, Some("image_pixels")),
    );
    review.measure(
        Family::Video,
        size,
        bytes,
        (Some("video_bytes_min"), Some("video_bytes")),
    );
    review.measure(
        Family::Video,
        ("its length", " seconds"),
        seconds,
        (Some("video_seconds_min"), Some("video_seconds")),
    );
    review.measure(
        Family::Document,
        size,
        bytes,
        (None, Some("document_bytes")),
    );
    let descriptions: Vec<(usize, String)> = review
        .numbered()
        .filter_map(|(number, medium, _)| Some((number, medium.alt.clone()?)))
        .collect();
    for (number, alt) in descriptions {
        review.characters(
            &format!("the description of media {number}"),
            &alt,
            "alt_chars",
        );
    }
}
