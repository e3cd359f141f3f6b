//! What a post says of its video: the options, what is wrong with it, and the resource that YouTube is sent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::web_address;
use crate::media::{self, Facts, Family};
use crate::post::{ClaimedPost, Content, Kind, Media};
use crate::review::{Review, named};
use crate::text::shortened;

/// Nothing longer is made of a body's first line.
const TITLE_LIMIT: usize = 100;
/// Where no option and no setting says: what a person publishes is meant to be seen.
const DEFAULT_PRIVACY: Privacy = Privacy::Public;

/// Every option, for people.
pub(super) const NAMES: &[(&str, &str)] = &[
    (
        "title",
        "the video's title [default: the body's first line]",
    ),
    ("privacy", "public, unlisted or private"),
    ("tags", "a list of texts"),
    ("category_id", "such as \"22\""),
    ("made_for_kids", "true or false"),
    ("license", "youtube or creativeCommon"),
    (
        "embeddable",
        "whether other sites may show it: true or false",
    ),
    ("language", "of title and description, such as en or pt-BR"),
    ("notify_subscribers", "true or false"),
    (
        "synthetic_media",
        "whether it looks real and is not: true or false",
    ),
    ("thumbnail", "a JPEG or PNG: a path, or an address"),
    (
        "playlist",
        "the id of a playlist that the video is added to",
    ),
    ("first_comment", "what the channel says under the video"),
];

/// What a post's options say about a video. What is blank is not given.
#[derive(Debug, Default)]
pub(super) struct Options {
    title: Option<String>,
    privacy: Option<Privacy>,
    tags: Vec<String>,
    category_id: Option<String>,
    made_for_kids: Option<bool>,
    license: Option<License>,
    embeddable: Option<bool>,
    language: Option<String>,
    pub(super) notify_subscribers: Option<bool>,
    synthetic_media: Option<bool>,
    thumbnail: Option<String>,
    pub(super) playlist: Option<String>,
    pub(super) first_comment: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Privacy {
    Public,
    Unlisted,
    Private,
}

impl Privacy {
    pub(super) fn of(value: &Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum License {
    #[serde(rename = "youtube")]
    YouTube,
    #[serde(rename = "creativeCommon")]
    CreativeCommon,
}

impl Options {
    /// The options that can be read, and what is wrong with the others.
    pub(super) fn read(content: &Content) -> (Self, Vec<String>) {
        let mut reader = Reader {
            content,
            problems: Vec::new(),
        };
        let bool = "true or false";
        let options = Self {
            title: reader.text("title", "a text"),
            privacy: reader.option("privacy", "public, unlisted or private"),
            tags: reader.tags(),
            category_id: reader.text("category_id", "a text such as \"22\""),
            made_for_kids: reader.option("made_for_kids", bool),
            license: reader.option("license", "youtube or creativeCommon"),
            embeddable: reader.option("embeddable", bool),
            language: reader.text("language", "a text such as \"en\""),
            notify_subscribers: reader.option("notify_subscribers", bool),
            synthetic_media: reader.option("synthetic_media", bool),
            thumbnail: reader.text("thumbnail", "a path or an address"),
            playlist: reader.text("playlist", "a playlist's id"),
            first_comment: reader.text("first_comment", "a text"),
        };
        (options, reader.problems)
    }

    /// The thumbnail as a medium.
    pub(super) fn thumbnail(&self) -> Option<Media> {
        let place = self.thumbnail.clone()?;
        let (url, path) = if place.contains("://") {
            (Some(place), None)
        } else {
            (None, Some(place))
        };
        Some(Media {
            url,
            path,
            ..Media::default()
        })
    }
}

struct Reader<'a> {
    content: &'a Content,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn option<T: DeserializeOwned>(&mut self, name: &str, shape: &str) -> Option<T> {
        let value = self.content.options.get(name)?;
        // An empty cell of a file, or a null of an application: not given.
        if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return None;
        }
        let read = serde_json::from_value(value.clone());
        if read.is_err() {
            self.problems
                .push(format!("option `{name}` must be {shape}"));
        }
        read.ok()
    }

    fn text(&mut self, name: &str, shape: &str) -> Option<String> {
        self.option(name, shape)
    }

    fn tags(&mut self) -> Vec<String> {
        let tags: Option<Vec<String>> = self.option("tags", "a list of texts");
        let mut tags = tags.unwrap_or_default();
        tags.retain(|tag| !tag.trim().is_empty());
        tags
    }
}

/// Notes everything that keeps the post from being a video.
pub(super) fn validate(review: &mut Review<'_>) {
    let content = review.content;
    if matches!(content.kind, Kind::Story | Kind::Reply) {
        review.problem("YouTube has videos and Shorts (kind `reel`); it has no stories, and no replies of their own");
    }
    let (options, wrong) = Options::read(content);
    for problem in wrong {
        review.problem(problem);
    }
    texts(review, &options);
    values(review, &options);
    video_file(review);
}

fn texts(review: &mut Review<'_>, options: &Options) {
    let content = review.content;
    let given = options.title.as_deref().unwrap_or("");
    if title(content, options).is_empty() {
        review.problem("a YouTube video needs a title (option `title`) or a body");
    }
    review.characters("the title", given, "title_chars");
    if given.contains(['<', '>']) {
        review.problem("YouTube takes no < or > in the title");
    }
    let description = description(content);
    review.at_most(
        "the description (body and link)",
        description.len(),
        "bytes",
        "description_bytes",
    );
    if description.contains(['<', '>']) {
        review.problem("YouTube takes no < or > in the description");
    }
    review.at_most(
        "the list of tags",
        tags_length(&options.tags),
        "characters with its commas and quotes",
        "tags_chars",
    );
    if let Some(comment) = &options.first_comment {
        review.characters("the first comment", comment, "comment_chars");
        if options.made_for_kids == Some(true) {
            review.problem("YouTube takes no comments on videos that are made for kids; leave out `first_comment`");
        }
    }
}

fn values(review: &mut Review<'_>, options: &Options) {
    let is_number = |id: &String| id.bytes().all(|b| b.is_ascii_digit());
    if !options.category_id.as_ref().is_none_or(is_number) {
        review.problem("option `category_id` must be a number in a text, such as \"22\"");
    }
    if !options.language.as_deref().is_none_or(is_language) {
        review.problem("option `language` must be a language's code, such as en or pt-BR");
    }
    let is_playlist = |id: &str| {
        id.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !options.playlist.as_deref().is_none_or(is_playlist) {
        review.problem(
            "option `playlist` must be a playlist's id: what follows `list=` in its address",
        );
    }
    if let Some(problem) = options
        .thumbnail()
        .and_then(|place| thumbnail_problem(&place))
    {
        review.problem(format!("option `thumbnail`: {problem}"));
    }
}

/// As far as the name and the address tell; the file itself is looked at when it is sent.
fn thumbnail_problem(place: &Media) -> Option<String> {
    let address = place.url.as_deref().filter(|url| !url.starts_with("s3://"));
    if let Some(Err(problem)) = address.map(web_address) {
        return Some(problem);
    }
    let mime = media::declared_type(place)?;
    (!is_thumbnail(mime)).then(|| format!("YouTube takes JPEG and PNG, not {mime}"))
}

pub(super) fn is_thumbnail(mime: &str) -> bool {
    matches!(mime, "image/jpeg" | "image/png")
}

/// Letters, then perhaps a region or a script: the outline of BCP 47.
fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    let language = parts.next().unwrap_or_default();
    let fits = |part: &str| {
        (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(fits)
}

fn video_file(review: &mut Review<'_>) {
    if review.media.len() != 1 {
        let count = review.media.len();
        review.problem(format!(
            "YouTube needs exactly one video; this post has {count} media"
        ));
    }
    let wrong: Vec<String> = review
        .numbered()
        .filter_map(|(number, medium, facts)| {
            let mime = facts.mime.as_deref().filter(|mime| !is_video(mime))?;
            Some(format!(
                "{} is {mime}; YouTube takes videos",
                named(number, medium)
            ))
        })
        .collect();
    for problem in wrong {
        review.problem(problem);
    }
    let seconds = |facts: &Facts| facts.duration.map(|duration| duration.as_secs_f64());
    let is_short = review.content.kind == Kind::Reel;
    let (longest, most) = if is_short {
        ("the duration of a Short", "short_seconds")
    } else {
        ("the duration", "video_seconds")
    };
    review.measure(
        Family::Video,
        (longest, " seconds"),
        seconds,
        (None, Some(most)),
    );
    let bytes = |facts: &Facts| facts.bytes.map(|bytes| bytes as f64);
    review.measure(
        Family::Video,
        ("the size", " bytes"),
        bytes,
        (None, Some("file_bytes")),
    );
    if is_short {
        upright(review);
    }
}

/// YouTube decides by itself what a Short is; one that it surely will not take for one is a slip.
fn upright(review: &mut Review<'_>) {
    let wide: Vec<String> = review
        .numbered()
        .filter_map(|(number, medium, facts)| {
            let (width, height) = facts.width.zip(facts.height)?;
            let name = named(number, medium);
            let problem = format!("{name} is {width}x{height}; a Short is upright or square");
            (width > height).then_some(problem)
        })
        .collect();
    for problem in wide {
        review.problem(problem);
    }
}

/// What YouTube takes: any video, and bytes of which nobody says what they are.
pub(super) fn is_video(mime: &str) -> bool {
    mime.starts_with("video/") || mime.ends_with("/octet-stream")
}

/// Commas count, and so do the quotes around a tag with a space.
fn tags_length(tags: &[String]) -> usize {
    let quotes = |tag: &String| if tag.contains(' ') { 2 } else { 0 };
    let characters: usize = tags
        .iter()
        .map(|tag| tag.chars().count() + quotes(tag))
        .sum();
    characters + tags.len().saturating_sub(1)
}

pub(super) fn title(content: &Content, options: &Options) -> String {
    if let Some(title) = &options.title {
        return title.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let mut lines = content.body.lines();
    let first = lines.find(|line| !line.trim().is_empty());
    shortened(first.unwrap_or(""), TITLE_LIMIT)
}

fn description(content: &Content) -> String {
    let parts = [Some(content.body.as_str()), content.link.as_deref()];
    let filled = parts.into_iter().flatten().filter(|part| !part.is_empty());
    filled.collect::<Vec<_>>().join("\n")
}

/// How public the video is to be: the post says, else its account.
pub(super) fn privacy(post: &ClaimedPost) -> Privacy {
    let (options, _) = Options::read(&post.content);
    let own = || post.account.settings.get("privacy").and_then(Privacy::of);
    options.privacy.or_else(own).unwrap_or(DEFAULT_PRIVACY)
}

/// The video resource: exactly the parts `snippet` and `status`.
pub(super) fn video(post: &ClaimedPost) -> Value {
    let content = &post.content;
    let (options, _) = Options::read(content);
    let mut video = json!({
        "snippet": {"title": title(content, &options), "description": description(content)},
        "status": {"privacyStatus": privacy(post)},
    });
    let mut set = |part: &str, name: &str, value: Option<Value>| {
        if let Some(value) = value {
            video[part][name] = value;
        }
    };
    let tags = Some(&options.tags).filter(|tags| !tags.is_empty());
    set("snippet", "tags", tags.map(|tags| json!(tags)));
    set(
        "snippet",
        "categoryId",
        options.category_id.map(Value::from),
    );
    set(
        "snippet",
        "defaultLanguage",
        options.language.map(Value::from),
    );
    set(
        "status",
        "selfDeclaredMadeForKids",
        options.made_for_kids.map(Value::from),
    );
    set(
        "status",
        "license",
        options.license.map(|license| json!(license)),
    );
    set("status", "embeddable", options.embeddable.map(Value::from));
    set(
        "status",
        "containsSyntheticMedia",
        options.synthetic_media.map(Value::from),
    );
    video
}
