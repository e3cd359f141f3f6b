//! Posts that say the same as others that wait: whoever ran twice added them twice, perhaps.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::NewPost;
use crate::account::AccountId;
use crate::post::PostId;
use crate::store::{Store, StoreError, instant};

/// Two posts of one account that say the same are duplicates if their times are no further apart.
const WITHIN: TimeDelta = TimeDelta::hours(24);

/// A post that is not settled: it waits, is on its way, or nobody knows.
#[derive(Debug, Deserialize)]
struct Unsettled {
    id: PostId,
    account_id: AccountId,
    scheduled_at: DateTime<Utc>,
    body: String,
    link: Option<String>,
    media: Value,
    external_ref: Option<String>,
}

/// What two posts have in common that say the same: the account, and the text but for its blanks. Without a text it is
/// what they show.
#[derive(PartialEq, Eq, Hash)]
struct Said(AccountId, String);

impl Said {
    fn of(account: AccountId, body: &str, link: Option<&str>, media: &Value) -> Self {
        let composed: String = body.nfc().collect();
        let text = composed.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return Self(account, format!("{}\n{media}", link.unwrap_or_default()));
        }
        Self(account, text)
    }
}

impl Unsettled {
    fn said(&self) -> Said {
        Said::of(
            self.account_id,
            &self.body,
            self.link.as_deref(),
            &self.media,
        )
    }
}

/// Which post says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// It is in the database.
    Post(PostId),
    /// It stands in that line of the same file.
    Line(usize),
}

/// A post that says the same as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Its line.
    pub line: usize,
    /// The other one.
    pub of: Same,
    /// When that goes out.
    pub at: DateTime<Utc>,
}

/// Which of the posts, with their lines, say the same as one before them or as one in the database.
pub async fn find(
    store: &mut Store,
    posts: &[(usize, &NewPost)],
) -> Result<Vec<Duplicate>, StoreError> {
    let times = posts.iter().map(|(_, post)| at(post));
    let (Some(first), Some(last)) = (times.clone().min(), times.max()) else {
        return Ok(Vec::new());
    };
    let mut accounts: Vec<AccountId> = posts.iter().map(|(_, post)| post.account_id).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let filter = json!({
        "account_ids": accounts, "owner": null, "platform": null,
        "from": instant(first - WITHIN), "until": instant(last + WITHIN),
    });
    let mut known: HashMap<Said, Vec<(DateTime<Utc>, Same)>> = HashMap::new();
    let mut refs: HashMap<String, PostId> = HashMap::new();
    for row in unsettled(store, &filter).await? {
        let said = row.said();
        let entry = (row.scheduled_at, Same::Post(row.id));
        known.entry(said).or_default().push(entry);
        refs.extend(row.external_ref.map(|name| (name, row.id)));
    }
    let mut found = Vec::new();
    for (line, post) in posts {
        // What is there already under its own id is not added.
        if post
            .external_ref
            .as_ref()
            .is_some_and(|name| refs.contains_key(name))
        {
            continue;
        }
        let content = &post.content;
        let media = Value::from(content.media.clone());
        let said = Said::of(
            post.account_id,
            &content.body,
            content.link.as_deref(),
            &media,
        );
        let (line, now) = (*line, at(post));
        let others = known.entry(said).or_default();
        let near = others
            .iter()
            .find(|(other, _)| (*other - now).abs() <= WITHIN);
        found.extend(near.map(|(at, of)| Duplicate {
            line,
            of: *of,
            at: *at,
        }));
        others.push((now, Same::Line(line)));
    }
    Ok(found)
}

/// Every unsettled post that another one says, too. The filter is an object with `account_ids`, `owner` and `platform`,
/// each null or a value.
pub async fn all(store: &mut Store, mut filter: Value) -> Result<Vec<PostId>, StoreError> {
    filter["from"] = Value::Null;
    filter["until"] = Value::Null;
    let mut known: HashMap<Said, Vec<(DateTime<Utc>, PostId)>> = HashMap::new();
    for row in unsettled(store, &filter).await? {
        let said = row.said();
        known
            .entry(said)
            .or_default()
            .push((row.scheduled_at, row.id));
    }
    let mut ids = Vec::new();
    for posts in known.values_mut() {
        posts.sort_unstable();
        let is_near = |pair: &[(DateTime<Utc>, PostId)]| pair[1].0 - pair[0].0 <= WITHIN;
        for (place, (_, id)) in posts.iter().enumerate() {
            let before = place > 0 && is_near(&posts[place - 1..=place]);
            let after = place + 1 < posts.len() && is_near(&posts[place..place + 2]);
            ids.extend((before || after).then_some(*id));
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// When a post goes out that passed its checks.
fn at(post: &NewPost) -> DateTime<Utc> {
    post.scheduled_at.parse().unwrap_or_default()
}

/// Rows that an application wrote so that they can't be read are left out: they fail when they are due.
async fn unsettled(store: &mut Store, filter: &Value) -> Result<Vec<Unsettled>, StoreError> {
    let rows = store.unsettled(filter).await?;
    let read = |row: Value| serde_json::from_value(row).ok();
    Ok(rows.into_iter().filter_map(read).collect())
}
