//! Meta's lists of what an account published, newest first, searched for a post that may be live.
//!
//! Nothing but a list that was read back to before the post's time, and has nothing that can be the post, says that it
//! is not live.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{accept, is_node, path};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::Failure;

/// So many pages of a list are read at most, with so many entries each.
const PAGES: usize = 4;
const ENTRIES: &str = "50";
/// How far Meta's clock and ours may be apart.
const MARGIN: TimeDelta = TimeDelta::minutes(5);

/// A post, a video or a reel as the lists show it; what was not asked for is not there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::platform) struct Entry {
    pub(in crate::platform) id: String,
    #[serde(alias = "timestamp")]
    created_time: String,
    #[serde(alias = "message", alias = "description", alias = "caption")]
    text: Option<String>,
    title: Option<String>,
    #[serde(alias = "permalink_url")]
    pub(in crate::platform) permalink: Option<String>,
    pub(in crate::platform) media_type: Option<String>,
    pub(in crate::platform) attachments: Value,
}

impl Entry {
    /// `2026-09-01T12:00:00+0000`: ISO 8601, but not RFC 3339.
    fn created_at(&self) -> Option<DateTime<Utc>> {
        DateTime::parse_from_str(&self.created_time, "%Y-%m-%dT%H:%M:%S%z")
            .ok()
            .map(|at| at.to_utc())
    }

    /// Its text, if there is any.
    pub(in crate::platform) fn text(&self) -> Option<&str> {
        filled(self.text.as_deref())
    }

    /// Its title, if there is one.
    pub(in crate::platform) fn title(&self) -> Option<&str> {
        filled(self.title.as_deref())
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// Whether an entry is the post that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::platform) enum Likeness {
    /// An id proves it.
    Itself,
    /// It says the same.
    Same,
    /// Nothing tells the two apart, and nothing says that they are one.
    Perhaps,
    /// It is another one.
    Other,
}

/// What a list says of the post.
#[derive(Debug)]
pub(in crate::platform) enum Search {
    /// It is this one.
    Found(Entry),
    /// It is not in the list, which was read back to before its time.
    Nothing,
    /// The list does not tell, for this reason.
    Unclear(&'static str),
}

/// The time from which on an entry can be the post.
pub(in crate::platform) fn earliest(session: &Session<'_>) -> DateTime<Utc> {
    session.post.scheduled_at - MARGIN
}

/// Whether two texts are the same but for blanks and line ends, which platforms change.
pub(in crate::platform) fn same_text(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Entry>,
    #[serde(default)]
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<String>,
}

/// Searches one of the account's lists (`published_posts`, `media`, …) for the one entry since then that is the post.
pub(in crate::platform) async fn search(
    session: &Session<'_>,
    list: &str,
    fields: &str,
    since: DateTime<Utc>,
    likeness: impl Fn(&Entry) -> Likeness,
) -> Result<Search, Failure> {
    let path = path(
        session,
        &format!("{}/{list}", session.post.account.external_id),
    );
    let mut place = Vec::new();
    let (mut same, mut others) = (None, Vec::new());
    for _ in 0..PAGES {
        let request = session
            .api
            .request(Method::GET, &path)
            .query(&[("fields", fields), ("limit", ENTRIES)])
            .query(&place);
        let reply = session.api.send(request, Effect::Reads).await?;
        let page: Page = accept(&reply, Effect::Reads)?;
        let mut is_past = false;
        for entry in page.data {
            let created_at = entry.created_at().filter(|_| is_node(&entry.id));
            let created_at = created_at.ok_or_else(|| unreadable(&reply, Effect::Reads))?;
            is_past = created_at < since;
            if is_past {
                continue;
            }
            match likeness(&entry) {
                Likeness::Itself => return Ok(Search::Found(entry)),
                Likeness::Same if same.is_none() => same = Some(entry),
                like @ (Likeness::Same | Likeness::Perhaps) => others.push(like),
                Likeness::Other => {}
            }
        }
        let next = page.paging.and_then(|paging| paging.next);
        match next {
            Some(next) if !is_past => place = cursor(&next),
            _ => return Ok(verdict(same, &others)),
        }
        if place.is_empty() {
            break;
        }
    }
    Ok(Search::Unclear(
        "the account's list is too long to be searched back to the post's time",
    ))
}

fn verdict(same: Option<Entry>, others: &[Likeness]) -> Search {
    match same {
        Some(_) if others.contains(&Likeness::Same) => {
            Search::Unclear("the account has several posts since then that say the same")
        }
        Some(entry) => Search::Found(entry),
        None if others.is_empty() => Search::Nothing,
        None => Search::Unclear("the account has a post since then that may be this one"),
    }
}

/// Where the next page begins. Only that is taken from Meta's address, which carries the token, too.
fn cursor(next: &str) -> Vec<(String, String)> {
    let Ok(next) = Url::parse(next) else {
        return Vec::new();
    };
    let pairs = next.query_pairs().into_owned();
    pairs
        .filter(|(name, _)| matches!(name.as_str(), "after" | "until" | "__paging_token"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_without_its_address() {
        let next = "https://example.com/v25.0/1/feed?access_token=secret&method=delete&limit=9&after=a%3D&until=5";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cursor(next), [pair("after", "a="), pair("until", "5")]);
        assert_eq!(cursor("nowhere"), []);
    }

    #[test]
    fn texts_differ_by_more_than_blanks() {
        assert!(same_text(" Hi\r\n you ", "Hi\nyou"));
        assert!(!same_text("Hi you", "Hiyou"));
        assert!(!same_text("Hi", "Hi you"));
    }
}
