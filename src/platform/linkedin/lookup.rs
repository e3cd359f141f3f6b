//! What became of a post that may be live, by the list of a page's posts. A member's posts are shown to no application.

use chrono::{DateTime, TimeDelta};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::little;
use super::progress::{Asset, Progress, Stage, encoded};
use super::reply::{classify, is_post};
use super::send::{self, permalink};
use super::share::{filled, share};
use super::{is_organization, rest};
use crate::http::{Effect, Reply, Session, unreadable};
use crate::outcome::{Failure, Published, Reason};
use crate::platform::Found;
use crate::platform::likeness::Likeness;
use crate::platform::search::{self, Listed, Page, Verdict};
use crate::post::Media;

/// So many posts are on a page of the list.
const PAGE: usize = 50;
/// How long LinkedIn surely knows a duplicate is not documented; so long it is trusted to.
const DUPLICATE_WINDOW: TimeDelta = TimeDelta::minutes(5);

/// The newest posts of the account after the first `start` ones. Its author is shown also those that are not live yet.
fn list(session: &Session<'_>, start: usize) -> RequestBuilder {
    let path = format!(
        "/rest/posts?q=author&author={}&start={start}&count={PAGE}&sortBy=CREATED&viewContext=AUTHOR",
        encoded(&session.post.account.external_id)
    );
    rest(&session.api, Method::GET, &path).header("X-RestLi-Method", "FINDER")
}

#[derive(Deserialize)]
struct Elements {
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
    /// A draft is a person's, and what failed stays away.
    fn is_live(&self) -> bool {
        let state = self.lifecycle_state.as_deref();
        !matches!(state, Some("PUBLISH_FAILED" | "DRAFT"))
    }
}

/// Looks for a post that LinkedIn did not answer, or that may have been sent by a run that died.
pub(super) async fn look(
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Found, Failure> {
    // One that can't be read tells nothing of the media, and no more.
    let progress = Progress::read(checkpoint).ok().flatten();
    if progress
        .as_ref()
        .is_some_and(|known| has_changed(session, known))
    {
        return Ok(Found::Unknown("the post was changed after it was sent"));
    }
    let listed = if is_organization(&session.post.account) {
        listed(session, progress.as_ref()).await
    } else {
        Ok(Found::Unknown(
            "LinkedIn does not let applications read a member's posts (scope r_member_social, which it no longer gives)",
        ))
    };
    match (listed, progress.and_then(|known| once_more(session, known))) {
        (Ok(Found::Live(published)), _) => Ok(Found::Live(published)),
        (Err(failure @ Failure::Unauthorized { .. }), _) => Err(failure),
        (_, Some(again)) => Ok(Found::Resend(Some(json!(again)))),
        (listed, None) => listed,
    }
}

/// The run that sent a post minutes ago can send it once more: identical content LinkedIn refuses, naming the first one.
fn once_more(session: &Session<'_>, progress: Progress) -> Option<Progress> {
    let Stage::Sending { sent } = progress.stage else {
        return None;
    };
    let age = session.api.now - session.trail.sent.get()?;
    let is_in_time = (TimeDelta::zero()..=DUPLICATE_WINDOW).contains(&age);
    (is_in_time && search::may_follow(session) && !sent.is_empty()).then_some(Progress {
        stage: Stage::Again { sent },
        ..progress
    })
}

/// Whether what was sent is not what the post says now.
fn has_changed(session: &Session<'_>, progress: &Progress) -> bool {
    let (Stage::Sending { sent } | Stage::Again { sent }) = &progress.stage else {
        return false;
    };
    share(session.post, &progress.media).is_ok_and(|body| !send::is(&body, sent))
}

/// Looks through the page's posts.
async fn listed(session: &Session<'_>, progress: Option<&Progress>) -> Result<Found, Failure> {
    let sought = Sought {
        session,
        media: session.post.content.media().map_err(Failure::rejected)?,
        assets: progress.map_or(&[], |progress| &progress.media),
    };
    let verdict = search::search(search::earliest(session), async |start: Option<usize>| {
        let start = start.unwrap_or(0);
        let request = list(session, start);
        let reply = session.api.send(request, Effect::Reads).await?;
        if !reply.status.is_success() {
            return Err(not_listed(session, &reply));
        }
        let Elements { elements } = reply
            .json()
            .ok_or_else(|| unreadable(&reply, Effect::Reads))?;
        // A page may have fewer posts than were asked for, though others follow; only one without any is the end.
        let next = (!elements.is_empty()).then_some(start + PAGE);
        let live = elements.into_iter().filter(Element::is_live);
        let listed = live.map(|element| sought.listed(element)).collect();
        Ok(Page { listed, next })
    });
    let verdict = match verdict.await? {
        Verdict::Is(urn) if !is_post(&urn) => {
            Verdict::Unclear("LinkedIn lists it without a name that can be read")
        }
        verdict => verdict,
    };
    // What is uploaded is not uploaded again.
    let from = progress.map(|known| json!(known.unsent()));
    let live = async |urn: String| {
        if search::may_follow(session) {
            return send::live(session, &urn).await;
        }
        let is_wanted = filled(&session.post.content, "first_comment").is_some();
        let published = Published::at(urn.as_str(), Some(permalink(&urn)));
        search::without(published, "the first comment was not sent", is_wanted)
    };
    Ok(verdict.found(from, live).await)
}

/// A refusal of the list is no refusal of the post.
fn not_listed(session: &Session<'_>, reply: &Reply) -> Failure {
    let failure = classify(reply, Effect::Reads, session.api.now);
    let why = match &failure {
        Failure::NeedsLogin { .. } if reply.status.as_u16() == 403 => {
            "the token may not read the page's posts (scope r_organization_social, or a role on the page)"
        }
        Failure::Rejected { .. } => "the page's posts can't be listed",
        _ => return failure,
    };
    Failure::Unconfirmed {
        reason: Reason {
            code: failure.reason().code.clone(),
            ..Reason::new(
                "unconfirmed",
                format!("{why}; look at LinkedIn before it is sent again"),
            )
        },
    }
}

/// What is looked for.
struct Sought<'a> {
    session: &'a Session<'a>,
    media: Vec<Media>,
    assets: &'a [Asset],
}

impl Sought<'_> {
    fn listed(&self, element: Element) -> Listed<String> {
        let text = little::body_of(element.commentary.as_deref().unwrap_or_default());
        let likeness = Likeness::of(&self.session.post.content.body, &text);
        Listed {
            made_at: element.created_at.and_then(DateTime::from_timestamp_millis),
            likeness: if self.has_content(&element.content) {
                likeness
            } else {
                likeness.unsure()
            },
            what: element.id.unwrap_or_default(),
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
}

/// What a post's content is about: its link, or its first medium.
fn main_thing(content: &Value) -> Option<&str> {
    let things = ["/article/source", "/media/id", "/multiImage/images/0/id"];
    let mut things = things.iter().filter_map(|at| content.pointer(at));
    things.next()?.as_str()
}

fn is_same_address(sent: &str, listed: &str) -> bool {
    let parsed = |address| Url::parse(address).ok();
    sent == listed || parsed(sent).is_some_and(|url| Some(url) == parsed(listed))
}
