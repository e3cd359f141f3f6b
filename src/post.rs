//! A post: what a person wrote, and the form in which a claim hands it to a platform.

use std::rc::Rc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::account::Account;

/// A post's number (`posts.id`).
pub type PostId = i64;

/// What kind of post it is (`posts.kind`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An ordinary post in the feed.
    #[default]
    Post,
    /// A story, gone after a day.
    Story,
    /// A short vertical video.
    Reel,
    /// An answer to another post.
    Reply,
}

/// One picture, video or document of a post: exactly one of `url` and `path` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// Where it can be fetched: http, https, or an object as `s3://bucket/key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A description for those who can't see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
    /// The MIME type, where the name doesn't tell.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
}

impl Media {
    /// Where it is, for messages: the URL or the path.
    pub fn location(&self) -> &str {
        self.url
            .as_deref()
            .or(self.path.as_deref())
            .unwrap_or("(neither url nor path)")
    }
}

/// Whether a text may go into a header as a type, perhaps with parameters.
fn is_mime(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-/;=\" ".contains(c);
    let kind = text.split('/').next().unwrap_or_default();
    text.len() <= 200 && text.contains('/') && !kind.is_empty() && text.chars().all(allowed)
}

/// What a post says, apart from where and when.
///
/// `media` and `options` stay as the database holds them until a platform reads them: a row that an application
/// wrote wrongly must fail alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// What kind of post it is.
    #[serde(default)]
    pub kind: Kind,
    /// The text as a person wrote it.
    #[serde(default)]
    pub body: String,
    /// A link that the post shares.
    #[serde(default)]
    pub link: Option<String>,
    /// A JSON list of [`Media`].
    #[serde(default)]
    pub media: Vec<Value>,
    /// Per-platform options: title, privacy, tags ….
    #[serde(default)]
    pub options: Map<String, Value>,
}

impl Content {
    /// The media list, or what is wrong with it.
    pub fn media(&self) -> Result<Vec<Media>, String> {
        let read = |(index, value): (usize, &Value)| {
            let media: Media = serde_json::from_value(value.clone())
                .map_err(|e| format!("media {}: {e}", index + 1))?;
            if media.mime.as_ref().is_some_and(|mime| !is_mime(mime)) {
                return Err(format!(
                    "media {}: \"type\" is not a MIME type such as image/jpeg",
                    index + 1
                ));
            }
            if media.url.is_some() == media.path.is_some() {
                return Err(format!(
                    "media {}: give either \"url\" or \"path\"",
                    index + 1
                ));
            }
            Ok(media)
        };
        self.media.iter().enumerate().map(read).collect()
    }

    /// An option that is a string, if it is there.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).and_then(Value::as_str)
    }
}

/// What the claim wants done with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send it.
    Publish,
    /// Record that it is too old; no platform is called.
    Expire,
    /// The run that held it died: find out what became of it, never send it blindly.
    Recover,
}

/// A post that this run holds. Only a claim makes one, and a platform accepts nothing else.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ClaimedPost {
    /// Its number.
    pub id: PostId,
    /// Its place in the claim's order, from 1.
    #[serde(default)]
    pub place: i64,
    /// What is to be done with it.
    #[serde(default = "Action::safest")]
    pub action: Action,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// When it was to go out; lateness counts from here.
    pub scheduled_at: DateTime<Utc>,
    /// After this it is never sent.
    pub expires_at: DateTime<Utc>,
    /// Tries so far, this one included.
    pub attempts: u32,
    /// After so many tries it is failed.
    pub max_attempts: u32,
    /// Where an unfinished upload stands.
    pub checkpoint: Option<Value>,
    /// Until when the run that died held it, if it is that which has to be found out.
    pub held_until: Option<DateTime<Utc>>,
    /// Where it goes; an account's posts share it.
    #[serde(deserialize_with = "shared")]
    pub account: Rc<Account>,
    /// Why its row can't be read, if that is so: then nothing is known of what it says.
    #[serde(skip)]
    pub unreadable: Option<String>,
}

fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rc<Account>, D::Error> {
    Account::deserialize(deserializer).map(Rc::new)
}

impl Action {
    /// What is done with a post of which the claim does not say: it is not sent.
    pub(crate) fn safest() -> Self {
        Self::Recover
    }
}
