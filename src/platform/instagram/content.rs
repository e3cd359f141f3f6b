//! A post's content: what is wrong with it, and the bodies of the requests that make its containers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::http::web_address;
use crate::media::{Facts, Family};
use crate::outcome::Failure;
use crate::post::{Content, Kind, Media};
use crate::review::{Review, named};

/// What a medium becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Picture,
    Reel,
    Story(Family),
    Item(Family),
}

impl Role {
    /// The role of a medium of this family among so many.
    pub(super) fn of(content: &Content, count: usize, family: Family) -> Result<Self, Failure> {
        match (content.kind, family) {
            (_, Family::Document) => Err(Failure::rejected(
                "Instagram takes pictures and videos alone",
            )),
            (Kind::Reel, Family::Image) => Err(Failure::rejected("a reel is a video")),
            (Kind::Story, family) => Ok(Self::Story(family)),
            (_, family) if count > 1 => Ok(Self::Item(family)),
            (_, Family::Video) => Ok(Self::Reel),
            (_, Family::Image) => Ok(Self::Picture),
        }
    }

    pub(super) fn is_video(self) -> bool {
        matches!(
            self,
            Self::Reel | Self::Story(Family::Video) | Self::Item(Family::Video)
        )
    }

    /// The figure for its size.
    pub(super) fn bytes_figure(self) -> &'static str {
        match self {
            Self::Picture | Self::Story(Family::Image) | Self::Item(Family::Image) => "image_bytes",
            Self::Story(_) => "story_bytes",
            Self::Reel | Self::Item(_) => "reel_bytes",
        }
    }
}

/// Somebody in a picture or video.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct UserTag {
    username: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<f64>,
}

/// An id that a person may have written as a number.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum AnId {
    Text(String),
    Number(u64),
}

impl AnId {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The options of a post that was reviewed.
#[derive(Clone, Debug, Default, Deserialize)]
struct Options {
    collaborators: Option<Vec<String>>,
    location_id: Option<AnId>,
    user_tags: Option<Vec<UserTag>>,
    share_to_feed: Option<bool>,
    cover_url: Option<String>,
    thumb_offset_ms: Option<u64>,
    audio_name: Option<String>,
}

impl Options {
    fn of(content: &Content) -> Result<Self, Failure> {
        Self::deserialize(Value::Object(content.options.clone()))
            .map_err(|error| Failure::rejected(format!("the options can't be read: {error}")))
    }
}

/// The comment to be made below the post, if any.
pub(super) fn first_comment(content: &Content) -> Option<&str> {
    content
        .option("first_comment")
        .filter(|text| !text.trim().is_empty())
}

/// The container of one medium, fetched from `url`, or sent later if there is none.
pub(super) fn medium(
    content: &Content,
    role: Role,
    medium: &Media,
    url: Option<&str>,
) -> Result<Value, Failure> {
    let options = Options::of(content)?;
    let mut body = Map::new();
    match role {
        // A picture alone has no type.
        Role::Picture => {}
        Role::Reel => set(&mut body, "media_type", "REELS"),
        Role::Story(_) => set(&mut body, "media_type", "STORIES"),
        Role::Item(family) => {
            set(&mut body, "is_carousel_item", true);
            if family == Family::Video {
                set(&mut body, "media_type", "VIDEO");
            }
        }
    }
    match url {
        Some(url) if role.is_video() => set(&mut body, "video_url", url),
        Some(url) => set(&mut body, "image_url", url),
        None => set(&mut body, "upload_type", "resumable"),
    }
    let alt = medium.alt.as_deref().filter(|alt| !alt.is_empty());
    if let (Role::Picture | Role::Item(Family::Image), Some(alt)) = (role, alt) {
        set(&mut body, "alt_text", alt);
    }
    if matches!(role, Role::Picture | Role::Reel) {
        describe(&mut body, content, &options);
    }
    if let (Role::Picture | Role::Reel | Role::Story(_), Some(tags)) = (role, &options.user_tags) {
        set(&mut body, "user_tags", json!(tags));
    }
    if role == Role::Reel {
        if let Some(share) = options.share_to_feed {
            set(&mut body, "share_to_feed", share);
        }
        if let Some(cover) = options.cover_url {
            set(&mut body, "cover_url", cover);
        }
        if let Some(offset) = options.thumb_offset_ms {
            set(&mut body, "thumb_offset", offset);
        }
        if let Some(name) = options.audio_name {
            set(&mut body, "audio_name", name);
        }
    }
    Ok(body.into())
}

/// The container of a carousel with these items.
pub(super) fn carousel(content: &Content, items: &[&str]) -> Result<Value, Failure> {
    let options = Options::of(content)?;
    let mut body = Map::new();
    set(&mut body, "media_type", "CAROUSEL");
    set(&mut body, "children", items.join(","));
    describe(&mut body, content, &options);
    Ok(body.into())
}

/// What belongs to the post rather than to one of its media.
fn describe(body: &mut Map<String, Value>, content: &Content, options: &Options) {
    if !content.body.is_empty() {
        set(body, "caption", content.body.as_str());
    }
    if let Some(names) = options.collaborators.as_ref().filter(|all| !all.is_empty()) {
        let plain: Vec<&str> = names.iter().map(|name| user_name(name)).collect();
        set(body, "collaborators", plain);
    }
    if let Some(id) = &options.location_id {
        set(body, "location_id", id.text());
    }
}

fn set(body: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    body.insert(name.to_owned(), value.into());
}

fn user_name(written: &str) -> &str {
    let name = written.trim();
    name.strip_prefix('@').unwrap_or(name)
}

/// Everything that is wrong with a post.
pub(super) fn validate(review: &mut Review<'_>) {
    let content = review.content;
    if content.kind == Kind::Reply {
        review.problem("posts on Instagram can't be replies; use a first comment");
    }
    if content.link.is_some() {
        review.problem("Instagram has no link posts; leave the link out or write it into the body");
    }
    text(review);
    number_of_media(review);
    pictures(review);
    videos(review);
    options(review);
}

fn text(review: &mut Review<'_>) {
    let body = &review.content.body;
    if review.content.kind == Kind::Story && !body.trim().is_empty() {
        review.problem("stories on Instagram have no caption; leave the body empty");
        return;
    }
    review.characters("the caption", body, "caption_chars");
    review.at_most(
        "the caption",
        marks(body, '#'),
        "hashtags",
        "caption_hashtags",
    );
    review.at_most(
        "the caption",
        marks(body, '@'),
        "mentions",
        "caption_mentions",
    );
}

/// How many words a caption marks with this sign.
pub(super) fn marks(caption: &str, sign: char) -> usize {
    let starts_word = |c: char| c.is_alphanumeric() || c == '_';
    caption
        .split(sign)
        .skip(1)
        .filter(|rest| rest.starts_with(starts_word))
        .count()
}

fn number_of_media(review: &mut Review<'_>) {
    let count = review.media.len();
    match review.content.kind {
        Kind::Story if count != 1 => review.problem(format!(
            "a story on Instagram is exactly one picture or video; this one has {count} media"
        )),
        Kind::Reel if count != 1 => review.problem(format!(
            "a reel is exactly one video; this one has {count} media"
        )),
        Kind::Post | Kind::Reply if count == 0 => {
            review.problem("Instagram has no posts without media; add a picture or a video");
        }
        _ => {
            review.at_most("the post", count, "media", "carousel_items");
        }
    }
    if review.content.kind == Kind::Reel {
        review.families(&[Family::Video], "videos as reels");
    } else {
        review.families(&[Family::Image, Family::Video], "pictures and videos");
    }
}

fn pictures(review: &mut Review<'_>) {
    review.types(Family::Image, &["image/jpeg"], "JPEG pictures");
    let bytes = |facts: &Facts| facts.bytes.map(|bytes| bytes as f64);
    review.measure(
        Family::Image,
        ("the size", " bytes"),
        bytes,
        (None, Some("image_bytes")),
    );
    if review.content.kind != Kind::Story {
        review.measure(
            Family::Image,
            ("width by height", ""),
            Facts::aspect,
            (Some("image_aspect_min"), Some("image_aspect_max")),
        );
    }
    let local = |(_, medium, facts): &(usize, &Media, &Facts)| {
        medium.path.is_some() && facts.family == Some(Family::Image)
    };
    let local: Vec<String> = review
        .numbered()
        .filter(local)
        .map(|(number, medium, _)| {
            format!(
                "{}: Instagram fetches pictures itself and can't reach a local file; give a public url or an s3:// address",
                named(number, medium)
            )
        })
        .collect();
    for problem in local {
        review.problem(problem);
    }
    let alts: Vec<(String, usize)> = review
        .numbered()
        .filter_map(|(number, medium, _)| {
            let alt = medium.alt.as_deref()?;
            let what = format!("the alternative text of media {number}");
            Some((what, alt.chars().count()))
        })
        .collect();
    for (what, count) in alts {
        review.at_most(&what, count, "characters", "alt_chars");
    }
}

fn videos(review: &mut Review<'_>) {
    let types = ["video/mp4", "video/quicktime"];
    review.types(Family::Video, &types, "MP4 and MOV videos");
    let (bytes, least, most) = if review.content.kind == Kind::Story {
        ("story_bytes", "story_seconds_min", "story_seconds_max")
    } else {
        ("reel_bytes", "reel_seconds_min", "reel_seconds_max")
    };
    review.measure(
        Family::Video,
        ("the size", " bytes"),
        |facts| facts.bytes.map(|bytes| bytes as f64),
        (None, Some(bytes)),
    );
    review.measure(
        Family::Video,
        ("the duration", " s"),
        |facts| facts.duration.map(|duration| duration.as_secs_f64()),
        (Some(least), Some(most)),
    );
    review.measure(
        Family::Video,
        ("the width", " pixels"),
        |facts| facts.width.map(f64::from),
        (None, Some("video_width")),
    );
    review.measure(
        Family::Video,
        ("width by height", ""),
        Facts::aspect,
        (Some("video_aspect_min"), Some("video_aspect_max")),
    );
}

fn options(review: &mut Review<'_>) {
    let comment: Option<String> = review.option("first_comment", "a text");
    if let Some(comment) = &comment {
        review.characters("the first comment", comment, "comment_chars");
    }
    let names: Option<Vec<String>> = review.option("collaborators", "a list of user names");
    if let Some(names) = &names {
        review.at_most("the post", names.len(), "collaborators", "collaborators");
        if names.iter().any(|name| !is_user_name(user_name(name))) {
            review.problem("option `collaborators` must be a list of user names");
        }
    }
    let location: Option<AnId> = review.option("location_id", "the id of a Page, a number");
    if location
        .as_ref()
        .is_some_and(|id| !super::graph::is_id(&id.text()))
    {
        review.problem("option `location_id` must be the id of a Page, a number");
    }
    if review.content.kind == Kind::Story {
        for (name, is_given) in [
            ("first_comment", comment.is_some()),
            ("collaborators", names.is_some()),
            ("location_id", location.is_some()),
        ] {
            if is_given {
                review.problem(format!("stories on Instagram have no `{name}`"));
            }
        }
    }
    user_tags(review);
    reel_options(review);
}

fn is_user_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    (1..=30).contains(&name.len()) && name.chars().all(fits)
}

fn user_tags(review: &mut Review<'_>) {
    let shape = "a list of {\"username\": …, \"x\": 0 to 1, \"y\": 0 to 1}";
    let Some(tags) = review.option::<Vec<UserTag>>("user_tags", shape) else {
        return;
    };
    review.at_most("the post", tags.len(), "user tags", "user_tags");
    if review.media.len() > 1 {
        review.problem("option `user_tags` is for posts with one medium; a carousel has none");
    }
    let is_place = |place: Option<f64>| place.is_none_or(|place| (0.0..=1.0).contains(&place));
    if !tags
        .iter()
        .all(|tag| is_user_name(&tag.username) && is_place(tag.x) && is_place(tag.y))
    {
        review.problem(format!("option `user_tags` must be {shape}"));
    }
    let is_picture = review.content.kind == Kind::Post && review.count(Family::Image) == 1;
    if is_picture && tags.iter().any(|tag| tag.x.is_none() || tag.y.is_none()) {
        review.problem("option `user_tags`: in a picture every tag needs x and y");
    }
}

fn reel_options(review: &mut Review<'_>) {
    let share: Option<bool> = review.option("share_to_feed", "true or false");
    let cover: Option<String> = review.option("cover_url", "the address of a picture");
    let offset: Option<u64> = review.option("thumb_offset_ms", "a number of milliseconds");
    let audio: Option<String> = review.option("audio_name", "a text");
    if let Some(Err(problem)) = cover.as_deref().map(web_address) {
        review.problem(format!("option `cover_url`: {problem}"));
    }
    if cover.is_some() && offset.is_some() {
        review.problem("give either `cover_url` or `thumb_offset_ms`, not both");
    }
    let end = review.numbered().find_map(|(_, _, facts)| facts.duration);
    if let (Some(offset), Some(end)) = (offset, end)
        && u128::from(offset) > end.as_millis()
    {
        review.problem(format!(
            "option `thumb_offset_ms` is {offset}; the video has {} ms",
            end.as_millis()
        ));
    }
    // What is not known to be a video may be one.
    let is_reel = match review.content.kind {
        Kind::Reel => true,
        Kind::Post => review.media.len() == 1 && review.count(Family::Image) == 0,
        Kind::Story | Kind::Reply => false,
    };
    if is_reel {
        return;
    }
    for (name, is_given) in [
        ("share_to_feed", share.is_some()),
        ("cover_url", cover.is_some()),
        ("thumb_offset_ms", offset.is_some()),
        ("audio_name", audio.is_some()),
    ] {
        if is_given {
            review.problem(format!("option `{name}` is for reels alone"));
        }
    }
}
