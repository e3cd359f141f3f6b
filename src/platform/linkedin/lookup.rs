//! What became of a post that may be live, by the list of a page's posts. A member's posts are shown to no application.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::little;
use super::progress::{Asset, Progress, Stage, encoded, fingerprint};
use super::reply::{classify, is_post};
use super::send::permalink;
use super::share::{filled, share};
use super::{is_organization, rest};
use crate::http::{Effect, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::{Found, likeness};
use crate::post::Media;

/// Two clocks are seldom further apart.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(2);
/// A post is not made earlier than so long before its time.
const EARLIEST: TimeDelta = TimeDelta::minutes(5);
/// So many posts are on a page of the list, and so many pages are read.
const PAGE: usize = 50;
const PAGES: usize = 4;

/// The newest posts of the account after the first `start` ones. Its author is shown also those that are not live yet.
fn list(session: &Session<'_>, start: usize, count: usize) -> RequestBuilder {
    let path = format!(
        "/rest/posts?q=author&author={}&start={start}&count={count}&sortBy=CREATED&viewContext=AUTHOR",
        encoded(&session.post.account.external_id)
    );
    rest(&session.api, Method::GET, &path).header("X-RestLi-Method", "FINDER")
}

#[derive(Deserialize)]
struct Listed {
    elements: Vec<Element>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Element {
    id: Option<String>,
    commentary: Option<String>,
    /// In Unix milliseconds.
    created_at: Option<i64>,
    content: Value,
    lifecycle_state: Option<String>,
}

impl Element {
    fn text(&self) -> &str {
        self.commentary.as_deref().unwrap_or_default()
    }

    fn is_older_than(&self, since: DateTime<Utc>) -> bool {
        let since = since.timestamp_millis();
        self.created_at.is_some_and(|created| created < since)
    }

    /// A draft is a person's, and what failed stays away.
    fn is_live(&self) -> bool {
        let state = self.lifecycle_state.as_deref();
        !matches!(state, Some("PUBLISH_FAILED" | "DRAFT"))
    }

    /// Whether it is exactly what was sent, made since then.
    fn is(&self, sent: &Value, since: DateTime<Utc>) -> bool {
        let commentary = sent["commentary"].as_str().unwrap_or_default();
        let is_new = self.created_at.is_some() && !self.is_older_than(since);
        likeness::is_same(&little::body_of(commentary), &little::body_of(self.text()))
            && is_new
            && self.is_live()
            && main_thing(&self.content) == main_thing(&sent["content"])
    }
}

/// What a post's content is about: its link, or its first medium.
fn main_thing(content: &Value) -> Option<&str> {
    let things = ["/article/source", "/media/id", "/multiImage/images/0/id"];
    let mut things = things.iter().filter_map(|at| content.pointer(at));
    things.next()?.as_str()
}

/// What was sent at that time, if it is among the page's latest. One that is not found, or may not be looked for,
/// proves nothing.
pub(super) async fn latest(
    session: &Session<'_>,
    sent: &Value,
    sent_at: DateTime<Utc>,
) -> Option<String> {
    let reply = session
        .api
        .send(list(session, 0, 10), Effect::Reads)
        .await
        .ok()?;
    let listed: Listed = reply.status.is_success().then(|| reply.json()).flatten()?;
    let since = sent_at - CLOCKS_APART;
    let mut elements = listed.elements.into_iter();
    let same = elements.find(|element| element.is(sent, since))?;
    same.id.filter(|urn| is_post(urn))
}

/// Looks for a post that may have been sent by a run that died, or that LinkedIn did not answer.
pub(super) async fn look(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    if !is_organization(&session.post.account) {
        return Ok(Found::Unknown(
            "LinkedIn does not let applications read a member's posts (scope r_member_social, which it no longer gives)",
        ));
    }
    // One that can't be read tells nothing of the media, and no more.
    let progress = Progress::read(checkpoint).ok().flatten();
    if progress
        .as_ref()
        .is_some_and(|known| has_changed(session, known))
    {
        return Ok(Found::Unknown("the post was changed after it was sent"));
    }
    let media = session.post.content.media().map_err(Failure::rejected)?;
    let assets = progress.map(|progress| progress.media).unwrap_or_default();
    let mut search = Search {
        session,
        media,
        assets,
        fitting: Vec::new(),
        is_in_doubt: false,
    };
    let since = session.post.scheduled_at - EARLIEST;
    for page in 0..PAGES {
        let reply = session
            .api
            .send(list(session, page * PAGE, PAGE), Effect::Reads)
            .await?;
        if reply.status.as_u16() == 403 {
            return Ok(Found::Unknown(
                "the token may not read the page's posts (scope r_organization_social, or a role on the page)",
            ));
        }
        if !reply.status.is_success() {
            return Err(not_listed(classify(&reply, Effect::Reads, session.api.now)));
        }
        let listed: Option<Listed> = reply.json();
        let listed = listed.ok_or_else(|| unreadable(&reply, Effect::Reads))?;
        // A page may have fewer posts than were asked for, though others follow; only one without any is the end.
        let last = listed.elements.last();
        let is_end = last.is_none_or(|element| element.is_older_than(since));
        for element in listed.elements {
            if !element.is_older_than(since) && element.is_live() {
                search.take(element);
            }
        }
        if is_end {
            return Ok(search.end());
        }
    }
    Ok(Found::Unknown(
        "the page has too many newer posts to find it among them",
    ))
}

/// Whether what was sent is not what the post says now.
fn has_changed(session: &Session<'_>, progress: &Progress) -> bool {
    let Stage::Doubt { sent, .. } = &progress.stage else {
        return false;
    };
    let body = share(session.post, &progress.media);
    !sent.is_empty() && body.is_ok_and(|body| fingerprint(body.to_string().as_bytes()) != *sent)
}

/// A refusal of the list is no refusal of the post.
fn not_listed(failure: Failure) -> Failure {
    match failure {
        Failure::Rejected { reason } => Failure::Unconfirmed {
            reason: Reason {
                class: "unconfirmed",
                ..reason.but("its posts can't be listed; look at LinkedIn before it is sent again")
            },
        },
        other => other,
    }
}

/// The posts of the time in question that may be the one.
struct Search<'a> {
    session: &'a Session<'a>,
    media: Vec<Media>,
    assets: Vec<Asset>,
    fitting: Vec<Option<String>>,
    /// There is one of which nobody can tell whether it is the one.
    is_in_doubt: bool,
}

impl Search<'_> {
    fn take(&mut self, element: Element) {
        let sent = self.session.post.content.body.as_str();
        let listed = little::body_of(element.text());
        let is_same = likeness::is_same(sent, &listed) && element.created_at.is_some();
        if is_same && self.has_content(&element.content) {
            self.fitting.push(element.id);
        } else if likeness::is_alike(sent, &listed) {
            self.is_in_doubt = true;
        }
    }

    /// Whether this is the post's content, as far as it is known. LinkedIn names media by URNs, which the checkpoint may
    /// have.
    fn has_content(&self, content: &Value) -> bool {
        let is = |at: &str, place: usize| {
            let listed = content.pointer(at).and_then(Value::as_str);
            let known = self.assets.get(place).and_then(Asset::urn);
            listed.is_some() && known.is_none_or(|urn| listed == Some(urn))
        };
        if let Some(link) = &self.session.post.content.link {
            let source = content.pointer("/article/source").and_then(Value::as_str);
            return source.is_some_and(|source| is_same_address(link, source));
        }
        match self.media.len() {
            0 => main_thing(content).is_none(),
            1 => is("/media/id", 0),
            number => {
                let images = content.pointer("/multiImage/images");
                images.and_then(Value::as_array).map(Vec::len) == Some(number)
                    && (0..number).all(|n| is(&format!("/multiImage/images/{n}/id"), n))
            }
        }
    }

    fn end(self) -> Found {
        match self.fitting.as_slice() {
            [Some(urn)] if is_post(urn) => Found::Live(self.live(urn)),
            [] if !self.is_in_doubt => Found::Absent,
            [] => Found::Unknown("the page has a post that resembles it"),
            [_] => Found::Unknown("LinkedIn lists it without a name that can be read"),
            _ => Found::Unknown("the page has several posts like it"),
        }
    }

    fn live(&self, urn: &str) -> Published {
        let mut published = Published::at(urn, Some(permalink(urn)));
        if filled(&self.session.post.content, "first_comment").is_some() {
            let warning = "the first comment was not sent".to_owned();
            published.warnings.push(warning);
        }
        published
    }
}

fn is_same_address(sent: &str, listed: &str) -> bool {
    let parsed = |address| Url::parse(address).ok();
    sent == listed || parsed(sent).is_some_and(|url| Some(url) == parsed(listed))
}
