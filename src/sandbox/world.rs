//! What the sandbox knows: the posts, what each platform is in the middle of, and the counters.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::fault::{Armed, Fault, Kind};
use super::gallery::Gallery;
use super::media::{Fetcher, Received};
use super::post::{Comment, Draft, Listing, Post};
use super::steps::Step;
use super::tokens::Tokens;
use super::{Settings, facebook, instagram, linkedin, slack, wall_clock, youtube};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Platform {
    Facebook,
    Instagram,
    Linkedin,
    Youtube,
    Slack,
}

impl Platform {
    pub(super) const ALL: [Self; 5] = [
        Self::Facebook,
        Self::Instagram,
        Self::Linkedin,
        Self::Youtube,
        Self::Slack,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Facebook => "facebook",
            Self::Instagram => "instagram",
            Self::Linkedin => "linkedin",
            Self::Youtube => "youtube",
            Self::Slack => "slack",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.name() == name)
    }

    /// Splits `/slack/api/chat.postMessage` into Slack and `api/chat.postMessage`.
    pub(super) fn of_path(path: &str) -> Option<(Self, &str)> {
        let path = path.strip_prefix('/')?;
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        Some((Self::of_name(name)?, rest))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The sandbox's whole state, shared by all connections.
pub(super) struct Twin {
    pub(super) fetcher: Fetcher,
    world: Mutex<World>,
}

impl Twin {
    pub(super) fn new(settings: Settings) -> Self {
        let mut world = World {
            latency: settings.latency,
            processing: settings.processing,
            // A client that saw another sandbox at this address must not take its tags for ours.
            born: wall_clock().timestamp_micros(),
            ..World::default()
        };
        world.tokens.lifetime = settings.token_lifetime;
        world.set_faults(settings.faults);
        Self {
            fetcher: Fetcher::new(settings.addr),
            world: Mutex::new(world),
        }
    }

    /// Never held across an await. A panic while it was held cannot leave counters in a state worth
    /// failing every later request for.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
pub(super) struct World {
    /// The delay before each answer of a platform.
    pub(super) latency: Duration,
    /// How long containers and videos take to be ready.
    pub(super) processing: Duration,
    pub(super) tokens: Tokens,
    gallery: Gallery,
    posts: Vec<Post>,
    ledgers: [Ledger; Platform::ALL.len()],
    /// The sequence of the first post with each fingerprint.
    seen: HashMap<[u8; 32], usize>,
    faults: Vec<Armed>,
    /// Counts what changes the answer of `/api/posts`. Never goes back.
    revision: u64,
    born: i64,
    /// Ids are made from this. It survives a reset, so that an id never comes back.
    minted: u64,
    last_micros: i64,
    pub(super) facebook: facebook::State,
    pub(super) containers: instagram::Containers,
    pub(super) shares: linkedin::Shares,
    pub(super) assets: linkedin::Assets,
    pub(super) youtube: youtube::State,
    pub(super) slack: slack::State,
}

/// One platform's posts and counters.
#[derive(Default)]
struct Ledger {
    by_account: HashMap<String, Vec<usize>>,
    by_id: HashMap<String, usize>,
    requests: u64,
    published: u64,
    duplicates: u64,
    comments: u64,
    duplicate_comments: u64,
    in_flight: u64,
    max_in_flight: u64,
    in_flight_by_account: HashMap<String, u64>,
    max_in_flight_per_account: u64,
}

impl World {
    pub(super) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = faults.into_iter().map(Armed::new).collect();
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let faults = self.faults.iter();
        faults.map(|armed| armed.fault.to_string()).collect()
    }

    /// Forgets everything but the settings, the faults (whose counters start again), who is logged
    /// in, and the requests in flight.
    pub(super) fn reset(&mut self) {
        let mut old = std::mem::take(self);
        old.tokens.reset();
        self.tokens = old.tokens;
        self.latency = old.latency;
        self.processing = old.processing;
        self.minted = old.minted;
        self.last_micros = old.last_micros;
        self.born = old.born;
        self.revision = old.revision + 1;
        self.set_faults(old.faults.into_iter().map(|armed| armed.fault).collect());
        for (ledger, old) in self.ledgers.iter_mut().zip(old.ledgers) {
            ledger.max_in_flight = old.in_flight;
            ledger.in_flight = old.in_flight;
            let busiest = old.in_flight_by_account.values().max();
            ledger.max_in_flight_per_account = busiest.copied().unwrap_or(0);
            ledger.in_flight_by_account = old.in_flight_by_account;
        }
    }

    /// A number that was never given out before.
    pub(super) fn mint(&mut self) -> u64 {
        self.minted += 1;
        self.minted
    }

    /// Unix microseconds that were never given out before: the wall clock unless it stands still.
    pub(super) fn unique_micros(&mut self) -> i64 {
        self.last_micros = wall_clock().timestamp_micros().max(self.last_micros + 1);
        self.last_micros
    }

    /// Counts one valid request of this step, and says which fault strikes it. Every fault counts
    /// it, so that two faults' rates do not depend on each other.
    pub(super) fn fault(&mut self, platform: Platform, step: Step) -> Option<Kind> {
        let faults = self.faults.iter_mut();
        faults.fold(None, |first, armed| {
            let kind = armed.on_request(platform, step);
            first.or(kind)
        })
    }

    /// How long a new container, video or document takes to be ready. To be asked once for each.
    pub(super) fn processing(&mut self, platform: Platform) -> Duration {
        let faults = self.faults.iter_mut();
        let delays = faults.filter_map(|armed| armed.on_processing(platform));
        delays.max().unwrap_or(self.processing)
    }

    /// Whether a new container is to be found expired. To be asked once for each.
    pub(super) fn expires(&mut self, platform: Platform) -> bool {
        let faults = self.faults.iter_mut();
        // Every fault counts it, so no short cut at the first one that strikes.
        faults
            .map(|armed| usize::from(armed.on_expiry(platform)))
            .sum::<usize>()
            > 0
    }

    pub(super) fn publish(
        &mut self,
        platform: Platform,
        draft: Draft,
        id: String,
        permalink: String,
    ) -> &Post {
        let index = self.posts.len();
        let sequence = index + 1;
        let first = *self
            .seen
            .entry(draft.fingerprint(platform))
            .or_insert(sequence);
        let duplicate_of = (first != sequence).then_some(first);
        let ledger = &mut self.ledgers[platform as usize];
        ledger.published += 1;
        ledger.duplicates += u64::from(duplicate_of.is_some());
        ledger.by_id.insert(id.clone(), index);
        match ledger.by_account.get_mut(&draft.account) {
            Some(posts) => posts.push(index),
            None => drop(ledger.by_account.insert(draft.account.clone(), vec![index])),
        }
        self.revision += 1;
        self.posts.push(Post {
            platform,
            account: draft.account,
            id,
            kind: draft.kind,
            text: draft.text,
            link: draft.link,
            title: draft.title,
            media: draft.media,
            comments: Vec::new(),
            reply_to: draft.reply_to,
            details: draft.details,
            permalink,
            published_at: wall_clock(),
            sequence,
            duplicate_of,
        });
        &self.posts[index]
    }

    /// Says something under a post, and returns the comment's id: a number that nothing else has.
    /// `None`: there is no such post.
    pub(super) fn comment(
        &mut self,
        platform: Platform,
        post_id: &str,
        text: &str,
    ) -> Option<String> {
        let id = (17_900_000_000_000_000 + self.mint()).to_string();
        let ledger = &mut self.ledgers[platform as usize];
        let post = self.posts.get_mut(*ledger.by_id.get(post_id)?)?;
        let repeats = post.comments.iter().any(|comment| comment.text == text);
        ledger.comments += 1;
        ledger.duplicate_comments += u64::from(repeats);
        post.comments.push(Comment {
            id: id.clone(),
            text: text.to_owned(),
            at: wall_clock(),
        });
        self.revision += 1;
        Some(id)
    }

    /// Notes one of a live post's details, such as its thumbnail or playlist. Says whether there is
    /// such a post.
    pub(super) fn detail(
        &mut self,
        platform: Platform,
        post_id: &str,
        name: &str,
        value: impl Into<Value>,
    ) -> bool {
        let index = self.ledgers[platform as usize].by_id.get(post_id);
        let Some(post) = index.and_then(|index| self.posts.get_mut(*index)) else {
            return false;
        };
        post.details.insert(name.to_owned(), value.into());
        self.revision += 1;
        true
    }

    /// Keeps a received image for people to look at; other media have nothing to keep.
    pub(super) fn keep(&mut self, received: &Received) {
        if let Some(image) = &received.image
            && self.gallery.keep(&received.sha256, image.clone())
        {
            // The image may be in a post already, and another one may have made room for it.
            self.revision += 1;
        }
    }

    pub(super) fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    pub(super) fn listing(&self) -> Listing<'_> {
        Listing {
            posts: &self.posts,
            gallery: &self.gallery,
        }
    }

    /// Different whenever the listing is: an HTTP entity tag.
    pub(super) fn tag(&self) -> String {
        format!("\"{:x}-{}\"", self.born, self.revision)
    }

    pub(super) fn post(&self, platform: Platform, id: &str) -> Option<&Post> {
        let index = self.ledgers[platform as usize].by_id.get(id)?;
        self.posts.get(*index)
    }

    /// An account's posts, newest first.
    pub(super) fn posts_of(
        &self,
        platform: Platform,
        account: &str,
    ) -> impl Iterator<Item = &Post> {
        let indexes = self.ledgers[platform as usize].by_account.get(account);
        let newest_first = indexes.into_iter().flatten().rev();
        newest_first.map(|index| &self.posts[*index])
    }

    /// The body of `/api/stats`.
    pub(super) fn stats(&self) -> Value {
        let sum = |count: fn(&Ledger) -> u64| self.ledgers.iter().map(count).sum::<u64>();
        let platforms = Platform::ALL.into_iter().map(|platform| {
            let ledger = &self.ledgers[platform as usize];
            let stats = json!({
                "requests": ledger.requests,
                "published": ledger.published,
                "duplicates": ledger.duplicates,
                "comments": ledger.comments,
                "duplicate_comments": ledger.duplicate_comments,
                "max_in_flight": ledger.max_in_flight,
                "max_in_flight_per_account": ledger.max_in_flight_per_account,
            });
            (platform.name().to_owned(), stats)
        });
        json!({
            "requests": sum(|ledger| ledger.requests),
            "published": sum(|ledger| ledger.published),
            "duplicates": sum(|ledger| ledger.duplicates),
            "comments": sum(|ledger| ledger.comments),
            "duplicate_comments": sum(|ledger| ledger.duplicate_comments),
            "tokens": self.tokens.stats(),
            "platforms": platforms.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// One request being handled; dropped when its answer is ready, or when the client is gone.
pub(super) struct Flight {
    pub(super) twin: Arc<Twin>,
    platform: Platform,
    account: OnceLock<String>,
}

impl Flight {
    pub(super) fn enter(twin: &Arc<Twin>, platform: Platform) -> Self {
        let mut world = twin.world();
        let ledger = &mut world.ledgers[platform as usize];
        ledger.requests += 1;
        ledger.in_flight += 1;
        ledger.max_in_flight = ledger.max_in_flight.max(ledger.in_flight);
        Self {
            twin: Arc::clone(twin),
            platform,
            account: OnceLock::new(),
        }
    }

    pub(super) fn platform(&self) -> Platform {
        self.platform
    }

    /// Says whose request this is; only the first call counts.
    pub(super) fn of_account(&self, account: &str) {
        if self.account.set(account.to_owned()).is_err() {
            return;
        }
        let mut world = self.twin.world();
        let ledger = &mut world.ledgers[self.platform as usize];
        let accounts = &mut ledger.in_flight_by_account;
        let in_flight = accounts.entry(account.to_owned()).or_default();
        *in_flight += 1;
        ledger.max_in_flight_per_account = ledger.max_in_flight_per_account.max(*in_flight);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut world = self.twin.world();
        let ledger = &mut world.ledgers[self.platform as usize];
        ledger.in_flight -= 1;
        let Some(account) = self.account.get() else {
            return;
        };
        if let Some(in_flight) = ledger.in_flight_by_account.get_mut(account) {
            *in_flight -= 1;
            if *in_flight == 0 {
                ledger.in_flight_by_account.remove(account);
            }
        }
    }
}
