//! What the documentation says, as data.

use crate::limits::Figure;

const GUIDE: &str = "content publishing guide";
const MEDIA: &str = "reference of /media";

const fn figure(name: &'static str, value: f64, source: &'static str) -> Figure {
    Figure {
        name,
        value,
        as_of: "2026-09",
        source,
    }
}

pub(super) const FIGURES: &[Figure] = &[
    figure("caption_chars", 2_200.0, GUIDE),
    figure("caption_hashtags", 30.0, GUIDE),
    figure("caption_mentions", 20.0, GUIDE),
    figure("alt_chars", 1_000.0, MEDIA),
    figure(
        "comment_chars",
        2_200.0,
        "as captions; the documentation says nothing",
    ),
    figure("collaborators", 3.0, MEDIA),
    figure("user_tags", 20.0, MEDIA),
    figure("carousel_items", 10.0, GUIDE),
    // Megabytes here are the smaller ones: only the error's text speaks of MiB.
    figure("image_bytes", 8_000_000.0, MEDIA),
    figure("image_aspect_min", 0.8, MEDIA),
    figure("image_aspect_max", 1.91, MEDIA),
    figure("reel_bytes", 300_000_000.0, MEDIA),
    figure("reel_seconds_min", 3.0, MEDIA),
    figure("reel_seconds_max", 900.0, MEDIA),
    figure("story_bytes", 100_000_000.0, MEDIA),
    figure("story_seconds_min", 3.0, MEDIA),
    figure("story_seconds_max", 60.0, MEDIA),
    figure("video_width", 1_920.0, MEDIA),
    figure("video_aspect_min", 0.01, MEDIA),
    figure("video_aspect_max", 10.0, MEDIA),
];
