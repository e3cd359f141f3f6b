//! What a reader sees: posts with their media and comments, and how `/api/posts` writes them down.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::gallery::Gallery;
use super::media::Received;
use super::world::Platform;

/// What a post is to its readers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    #[default]
    Post,
    Story,
    Reel,
    Reply,
}

/// What a medium is to its readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    Image,
    Video,
    Document,
}

/// A medium of a post. What is not known stays `None`.
#[derive(Debug, Clone)]
pub(super) struct Medium {
    pub(super) family: Family,
    /// Where the platform fetched it, or its name at the platform.
    pub(super) url: Option<String>,
    pub(super) alt: Option<String>,
    /// A file's name or a document's title.
    pub(super) name: Option<String>,
    pub(super) bytes: Option<u64>,
    /// Lower-case hex.
    pub(super) sha256: Option<String>,
    /// Pixels, as displayed.
    pub(super) width: Option<u32>,
    pub(super) height: Option<u32>,
}

impl Medium {
    /// A medium whose bytes were received; what is no known type counts as a document.
    pub(super) fn of(received: &Received) -> Self {
        Self {
            family: received.family().unwrap_or(Family::Document),
            url: None,
            alt: None,
            name: None,
            bytes: Some(received.bytes),
            sha256: Some(received.sha256.clone()),
            width: received.width,
            height: received.height,
        }
    }
}

/// Something to publish.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) account: String,
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) link: Option<String>,
    pub(super) title: Option<String>,
    pub(super) media: Vec<Medium>,
    /// The id of the post that this one answers.
    pub(super) reply_to: Option<String>,
    /// What this platform alone has: privacy, tags, thumbnail, playlist, metadata …
    pub(super) details: Map<String, Value>,
}

impl Draft {
    /// The same for two posts exactly if a reader could not tell them apart.
    pub(super) fn fingerprint(&self, platform: Platform) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            // The length keeps "ab" + "c" from being "a" + "bc".
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        field(platform.name());
        field(&self.account);
        field(&self.text);
        for optional in [&self.link, &self.title, &self.reply_to] {
            field(optional.as_deref().unwrap_or_default());
        }
        for medium in &self.media {
            let content = medium.sha256.as_ref().or(medium.url.as_ref());
            field(content.map_or("", String::as_str));
        }
        hash.update([self.kind as u8]);
        hash.finalize().into()
    }
}

/// A published post.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) platform: Platform,
    pub(super) account: String,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) link: Option<String>,
    pub(super) title: Option<String>,
    pub(super) media: Vec<Medium>,
    pub(super) comments: Vec<Comment>,
    pub(super) reply_to: Option<String>,
    pub(super) details: Map<String, Value>,
    pub(super) permalink: String,
    pub(super) published_at: DateTime<Utc>,
    /// Counts all platforms' posts from 1, in order of publication.
    pub(super) sequence: usize,
    /// The sequence of the first post that a reader could not tell from this one.
    pub(super) duplicate_of: Option<usize>,
}

/// What was said under a post after it was published.
#[derive(Debug, Serialize)]
pub(super) struct Comment {
    pub(super) id: String,
    pub(super) text: String,
    #[serde(serialize_with = "rfc3339")]
    pub(super) at: DateTime<Utc>,
}

/// Posts as `/api/posts` shows them. Nothing is copied for it but the addresses of previews.
pub(super) struct Listing<'a> {
    pub(super) posts: &'a [Post],
    pub(super) gallery: &'a Gallery,
}

impl Serialize for Listing<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.posts.iter().map(|post| Card::of(post, self.gallery)))
    }
}

#[derive(Serialize)]
struct Card<'a> {
    platform: Platform,
    account: &'a str,
    id: &'a str,
    kind: Kind,
    text: &'a str,
    link: Option<&'a str>,
    title: Option<&'a str>,
    media: Vec<Picture<'a>>,
    comments: &'a [Comment],
    reply_to: Option<&'a str>,
    details: &'a Map<String, Value>,
    permalink: &'a str,
    #[serde(serialize_with = "rfc3339")]
    published_at: DateTime<Utc>,
    sequence: usize,
    duplicate: bool,
    duplicate_of: Option<usize>,
}

#[derive(Serialize)]
struct Picture<'a> {
    #[serde(rename = "type")]
    family: Family,
    url: Option<&'a str>,
    alt: Option<&'a str>,
    name: Option<&'a str>,
    bytes: Option<u64>,
    sha256: Option<&'a str>,
    width: Option<u32>,
    height: Option<u32>,
    /// Where the image's bytes are, while they are kept.
    preview: Option<String>,
}

impl<'a> Card<'a> {
    fn of(post: &'a Post, gallery: &Gallery) -> Self {
        let picture = |medium| Picture::of(medium, gallery);
        Self {
            platform: post.platform,
            account: &post.account,
            id: &post.id,
            kind: post.kind,
            text: &post.text,
            link: post.link.as_deref(),
            title: post.title.as_deref(),
            media: post.media.iter().map(picture).collect(),
            comments: &post.comments,
            reply_to: post.reply_to.as_deref(),
            details: &post.details,
            permalink: &post.permalink,
            published_at: post.published_at,
            sequence: post.sequence,
            duplicate: post.duplicate_of.is_some(),
            duplicate_of: post.duplicate_of,
        }
    }
}

impl<'a> Picture<'a> {
    fn of(medium: &'a Medium, gallery: &Gallery) -> Self {
        let sha256 = medium.sha256.as_deref();
        let kept = sha256.filter(|sha256| gallery.image(sha256).is_some());
        Self {
            family: medium.family,
            url: medium.url.as_deref(),
            alt: medium.alt.as_deref(),
            name: medium.name.as_deref(),
            bytes: medium.bytes,
            sha256,
            width: medium.width,
            height: medium.height,
            preview: kept.map(|sha256| format!("/api/media/{sha256}")),
        }
    }
}

fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
