//! The media behind addresses, looked at before a post is added: what is wrong with them is better known now than when
//! the post is due.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::{AccountRow, NewPost, Place, Problem};
use crate::config::PlatformSettings;
use crate::http::{Http, Timeouts};
use crate::limits::Limits;
use crate::media::{self, Facts};
use crate::outcome::Failure;
use crate::post::Media;
use crate::{platform, review};

/// How long a look at one file may take.
const EACH: Duration = Duration::from_secs(10);
/// How long all of them may.
const ALL: Duration = Duration::from_mins(1);
/// So many are looked at at once.
const AT_ONCE: usize = 16;

/// What came of it.
#[derive(Debug, Default)]
pub struct Looked {
    /// What keeps posts from being published, as it would when they are due.
    pub problems: Vec<Problem>,
    /// Files that could not be looked at now: where they are named, and why. They may be well when the post is due.
    pub doubts: Vec<(Place, String)>,
    /// How many files were left for lack of time.
    pub left: usize,
}

/// What is behind an address; nothing if there was no time for it.
type Seen = Option<Result<Facts, Failure>>;

/// Looks at the media of posts that are behind addresses, each once. With each post come the place where its media
/// are named, and its account.
pub async fn look(
    posts: &[(Place, &NewPost, &AccountRow)],
    policy: &media::Policy,
    platforms: &BTreeMap<String, PlatformSettings>,
) -> Looked {
    let timeouts = Timeouts {
        request: EACH,
        ..Timeouts::default()
    };
    let http = Http::new(timeouts, policy.clone());
    let seen = see(posts, &http).await;
    let mut looked = Looked {
        left: seen.values().filter(|seen| seen.is_none()).count(),
        ..Looked::default()
    };
    for (place, post, account) in posts {
        let media = post.content.media().unwrap_or_default();
        if media.iter().all(|medium| medium.url.is_none()) {
            continue;
        }
        let Some(platform) = platform::by_name(&account.platform) else {
            continue;
        };
        let (mut facts, _) = media::examine(&post.content, policy);
        let mut wrong = Vec::new();
        for ((number, medium), facts) in (1..).zip(&media).zip(&mut facts) {
            match medium.url.as_ref().and_then(|url| seen[url].as_ref()) {
                Some(Ok(found)) => *facts = found.clone(),
                Some(Err(Failure::Rejected { reason })) => {
                    wrong.push(format!("media {number} {}", reason.message));
                }
                Some(Err(failure)) => {
                    let why = format!("media {number} {}", failure.reason().message);
                    looked.doubts.push((*place, why));
                }
                None => {}
            }
        }
        let limits = Limits::corrected(platform.figures(), platforms.get(platform.name()));
        let problems = review::problems(platform, &post.content, (facts, wrong), limits);
        looked
            .problems
            .extend(problems.into_iter().map(|message| Problem {
                place: *place,
                field: "media".to_owned(),
                message,
            }));
    }
    looked
}

/// What is behind each address.
async fn see(posts: &[(Place, &NewPost, &AccountRow)], http: &Http) -> BTreeMap<String, Seen> {
    let media = posts
        .iter()
        .flat_map(|(_, post, _)| post.content.media().unwrap_or_default());
    let by_address = media.filter_map(|medium| Some((medium.url.clone()?, medium)));
    let wanted: BTreeMap<String, Media> = by_address.collect();
    let mut seen: BTreeMap<String, Seen> = wanted.keys().map(|url| (url.clone(), None)).collect();
    let until = Instant::now() + ALL;
    let one = async |url: String, medium: Media| {
        let found = media::look_unnumbered(&medium, http).await;
        (url, found)
    };
    let mut waiting = wanted.into_iter();
    let mut looking: FuturesUnordered<_> = waiting
        .by_ref()
        .take(AT_ONCE)
        .map(|(url, medium)| one(url, medium))
        .collect();
    while let Ok(Some((url, found))) = timeout_at(until, looking.next()).await {
        seen.insert(url, Some(found));
        looking.extend(waiting.next().map(|(url, medium)| one(url, medium)));
    }
    seen
}
