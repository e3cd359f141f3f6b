//! What a claim or a preview brings, row by row: the columns of `claim.sql` and `preview.sql`, the same on both back ends.

use std::collections::HashMap;
use std::rc::Rc;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{StoreError, parse};
use crate::account::{Account, AccountId};
use crate::post::{Action, ClaimedPost, Content, PostId};

/// A row of a back end, by place. A null is `None`.
pub(super) trait Columns {
    fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error>;
    fn number(&self, at: usize) -> Result<Option<i64>, sqlx::Error>;
    fn instant(&self, at: usize) -> Result<Option<DateTime<Utc>>, sqlx::Error>;
}

/// Where a post stands in the claim's order, what is to be done with it, and until when a run that died held it.
type Place = (i64, Action, Option<DateTime<Utc>>);

/// What was read so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) now: Option<DateTime<Utc>>,
    pub(super) schema: Option<i64>,
    pub(super) posts: Vec<ClaimedPost>,
    /// What holds posts back, as a preview tells it.
    pub(super) held_by: HashMap<PostId, String>,
    /// Whether there was any row at all.
    pub(super) has_rows: bool,
    places: HashMap<PostId, Place>,
    /// Accounts are told once each, and after some of their posts.
    accounts: HashMap<AccountId, Rc<Account>>,
    /// Accounts that can't be read, and why.
    unreadable: HashMap<AccountId, String>,
}

impl Reader {
    /// Takes in a row.
    pub(super) fn read(&mut self, row: &dyn Columns) -> Result<(), StoreError> {
        let spoilt = |error: sqlx::Error| spoilt(&error);
        self.has_rows = true;
        self.now = self.now.or(row.instant(0).map_err(spoilt)?);
        self.schema = self.schema.or(row.number(1).map_err(spoilt)?);
        if let Some(accounts) = row.text(2).map_err(spoilt)? {
            self.tell(&accounts)?;
        }
        if let Some(places) = row.text(3).map_err(spoilt)? {
            self.places = parse(&places)?;
        }
        if let Some(id) = row.number(4).map_err(spoilt)? {
            let post = self.post(id, row)?;
            self.posts.push(post);
        }
        Ok(())
    }

    /// A post, with all of its account that is known yet: its number.
    fn post(&mut self, id: PostId, row: &dyn Columns) -> Result<ClaimedPost, StoreError> {
        let number = |at| needed(row.number(at));
        let instant = |at| needed(row.instant(at));
        if let Some(held_by) = row.text(8).map_err(|error| spoilt(&error))? {
            self.held_by.insert(id, held_by);
        }
        let account = number(9)?;
        let account = self
            .accounts
            .entry(account)
            .or_insert_with(|| Account::unknown(account).into());
        let mut post = ClaimedPost {
            id,
            place: row.number(5).ok().flatten().unwrap_or_default(),
            action: row
                .text(6)
                .ok()
                .flatten()
                .and_then(|name| word(&name).ok())
                .unwrap_or_else(Action::safest),
            content: Content::default(),
            scheduled_at: instant(15)?,
            expires_at: instant(16)?,
            attempts: count(number(17)?),
            max_attempts: count(number(18)?),
            checkpoint: None,
            held_until: row.instant(7).ok().flatten(),
            account: Rc::clone(account),
            unreadable: None,
        };
        // A post that an application wrote so that it can't be read must not hold up the others: it fails alone.
        match content(row) {
            Ok((content, checkpoint)) => (post.content, post.checkpoint) = (content, checkpoint),
            Err(why) => post.unreadable = Some(unreadable(&why)),
        }
        Ok(post)
    }

    fn tell(&mut self, accounts: &str) -> Result<(), StoreError> {
        /// What can be read of an account in any case: the database sees to its shape. What an application wrote freely
        /// (JSON of any depth, numbers of any size) is passed over.
        #[derive(Deserialize)]
        struct Skeleton {
            id: AccountId,
            owner: String,
            platform: String,
            external_id: String,
        }
        for told in parse::<Vec<Box<RawValue>>>(accounts)? {
            let account = match serde_json::from_str::<Account>(told.get()) {
                Ok(account) => account,
                Err(why) => {
                    let skeleton: Skeleton = parse(told.get())?;
                    self.unreadable.insert(skeleton.id, unreadable(&why));
                    Account {
                        owner: skeleton.owner,
                        platform: skeleton.platform,
                        external_id: skeleton.external_id,
                        ..Account::unknown(skeleton.id)
                    }
                }
            };
            self.accounts.insert(account.id, account.into());
        }
        Ok(())
    }

    /// The posts in their order, each with its account.
    pub(super) fn finish(&mut self) -> Vec<ClaimedPost> {
        let mut posts = std::mem::take(&mut self.posts);
        for post in &mut posts {
            if let Some(&(place, action, held_until)) = self.places.get(&post.id) {
                (post.place, post.action, post.held_until) = (place, action, held_until);
            }
            let account = post.account.id;
            if let Some(why) = self.unreadable.get(&account) {
                post.unreadable.get_or_insert_with(|| why.clone());
            }
            post.account = Rc::clone(&self.accounts[&account]);
        }
        // RETURNING promises no order.
        posts.sort_unstable_by_key(|post| post.place);
        posts
    }
}

/// What it says, and where its upload stands.
fn content(
    row: &dyn Columns,
) -> Result<(Content, Option<serde_json::Value>), Box<dyn std::error::Error>> {
    let text = |at| row.text(at);
    let content = Content {
        kind: word(&text(10)?.unwrap_or_default())?,
        body: text(11)?.unwrap_or_default(),
        link: text(12)?,
        media: json(text(13)?, "[]")?,
        options: json(text(14)?, "{}")?,
    };
    let checkpoint = text(19)?
        .map(|text| serde_json::from_str(&text))
        .transpose()?;
    Ok((content, checkpoint))
}

/// JSON, which mostly is the column's default.
fn json<T: DeserializeOwned + Default>(
    text: Option<String>,
    default: &str,
) -> Result<T, serde_json::Error> {
    match text {
        Some(text) if text != default => serde_json::from_str(&text),
        _ => Ok(T::default()),
    }
}

/// A value that JSON writes as a word.
fn word<T: DeserializeOwned>(name: &str) -> Result<T, serde_json::Error> {
    T::deserialize(serde::de::value::StrDeserializer::new(name))
}

fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn needed<T>(value: Result<Option<T>, sqlx::Error>) -> Result<T, StoreError> {
    match value {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(spoilt(&"a column that must be there is null")),
        Err(error) => Err(spoilt(&error)),
    }
}

pub(super) fn spoilt(why: &impl std::fmt::Display) -> StoreError {
    StoreError::Refused(format!(
        "the database returned a row that can't be read: {why}"
    ))
}

/// What whoever wrote it has to do.
fn unreadable(why: &impl std::fmt::Display) -> String {
    format!(
        "the row can't be read ({why}); correct its media, options or checkpoint, or its account's settings"
    )
}
