//! The rows that a commit writes, which are also what the journal keeps.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::instant;
use crate::post::PostId;

/// A post's row. What is null is absent in its JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Row<'a> {
    /// Of a post that is live.
    Published(PublishedRow<'a>),
    /// Of any other.
    Settled(SettledRow),
}

/// A row of `published.sql`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishedRow<'a> {
    /// The post.
    pub id: PostId,
    /// `published`.
    pub status: Cow<'a, str>,
    /// The platform's own id for it.
    pub platform_post_id: Cow<'a, str>,
    /// Where people see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permalink: Option<Cow<'a, str>>,
    /// When it went live.
    #[serde(serialize_with = "as_instant")]
    pub published_at: DateTime<Utc>,
    /// Tries so far; `None` leaves the number as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// What goes into `posts.history`.
    pub entry: Box<RawValue>,
}

/// A row of `settled.sql`, as text: it takes a quarter of the room that it takes as a value.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct SettledRow {
    /// The post.
    #[serde(skip)]
    pub id: Option<PostId>,
    json: Box<RawValue>,
}

impl SettledRow {
    /// From anything that is written as an object.
    pub fn new(id: PostId, row: &impl Serialize) -> Self {
        Self {
            id: Some(id),
            json: to_raw_value(row).expect("a row is plain data"),
        }
    }
}

impl From<Value> for SettledRow {
    fn from(row: Value) -> Self {
        Self {
            id: row["id"].as_i64(),
            json: to_raw_value(&row).expect("a value can be written"),
        }
    }
}

impl TryFrom<Value> for Row<'_> {
    type Error = serde_json::Error;

    fn try_from(row: Value) -> Result<Self, Self::Error> {
        if row["status"] == "published" {
            serde_json::from_value(row).map(Self::Published)
        } else {
            Ok(Self::Settled(row.into()))
        }
    }
}

impl Row<'_> {
    /// The post.
    pub fn id(&self) -> Option<PostId> {
        match self {
            Self::Published(row) => Some(row.id),
            Self::Settled(row) => row.id,
        }
    }

    /// PostgreSQL's text holds no NUL, and a platform's reply may: one such reply must not fail the whole commit.
    #[must_use]
    pub fn without_nul(self) -> Self {
        match self {
            Self::Published(row) => Self::Published(PublishedRow {
                platform_post_id: stripped(row.platform_post_id),
                permalink: row.permalink.map(stripped),
                entry: unwritten(row.entry),
                ..row
            }),
            Self::Settled(row) => Self::Settled(SettledRow {
                json: unwritten(row.json),
                ..row
            }),
        }
    }
}

fn stripped(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "").into()
    } else {
        text
    }
}

/// Nearly no row has one, and then it is written as an escape.
fn unwritten(json: Box<RawValue>) -> Box<RawValue> {
    if !json.get().contains("\\u0000") {
        return json;
    }
    let value = serde_json::from_str(json.get()).map(without_nul);
    value.and_then(|value| to_raw_value(&value)).unwrap_or(json)
}

/// A value without NULs.
pub(crate) fn without_nul(mut value: Value) -> Value {
    strip_nul(&mut value);
    value
}

fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => text.retain(|c| c != '\0'),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                let old = std::mem::take(fields).into_iter();
                fields.extend(old.map(|(name, value)| (name.replace('\0', ""), value)));
            }
            fields.values_mut().for_each(strip_nul);
        }
        _ => {}
    }
}

/// As [`instant`] has it.
pub(crate) fn as_instant<S: Serializer>(
    at: &DateTime<Utc>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&instant(*at))
}
