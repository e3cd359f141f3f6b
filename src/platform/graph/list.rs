//! Meta's lists of what an account published, newest first, searched for a post that may be live.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::{accept, is_node, path};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::Failure;
use crate::platform::likeness::Likeness;
use crate::platform::search::{self, Listed, Verdict};

/// So many entries are on a page of a list.
const ENTRIES: &str = "50";

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
) -> Result<Verdict<Entry>, Failure> {
    let account = &session.post.account.external_id;
    let path = path(session, &format!("{account}/{list}"));
    search::search(since, async |place: Option<Vec<(String, String)>>| {
        let request = session
            .api
            .request(Method::GET, &path)
            .query(&[("fields", fields), ("limit", ENTRIES)])
            .query(&place.unwrap_or_default());
        let reply = session.api.send(request, Effect::Reads).await?;
        let page: Page = accept(&reply, Effect::Reads)?;
        let mut listed = Vec::with_capacity(page.data.len());
        for entry in page.data {
            let made_at = entry.created_at().filter(|_| is_node(&entry.id));
            listed.push(Listed {
                made_at: Some(made_at.ok_or_else(|| unreadable(&reply, Effect::Reads))?),
                likeness: likeness(&entry),
                what: entry,
            });
        }
        let next = page.paging.and_then(|paging| paging.next);
        Ok(search::Page {
            listed,
            next: next.map(|next| cursor(&next)),
        })
    })
    .await
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
}
