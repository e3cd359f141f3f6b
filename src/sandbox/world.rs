//! What the sandbox knows: the posts, what each platform is in the middle of, and the counters.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fault::{Armed, Fault};
use super::wire::{Refusal, Reply};
use super::{instagram, linkedin, upload, wall_clock};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(super) latency: Duration,
    world: Mutex<World>,
}

impl Twin {
    pub(super) fn new(latency: Duration, faults: Vec<Fault>) -> Self {
        let mut world = World::default();
        world.set_faults(faults);
        Self {
            latency,
            world: Mutex::new(world),
        }
    }

    /// Never held across an await. A panic while it was held cannot leave counters in a state worth
    /// failing every later request for.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something to publish.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) account: String,
    pub(super) text: String,
    pub(super) link: Option<String>,
    pub(super) media: Vec<String>,
    pub(super) title: Option<String>,
    /// Size and lower-case hex SHA-256 of an uploaded file.
    pub(super) file: Option<(u64, String)>,
    /// Slack's hidden data.
    pub(super) metadata: Option<Value>,
}

impl Draft {
    /// The same for two posts exactly if a reader could not tell them apart.
    fn fingerprint(&self, platform: Platform) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            // The length keeps "ab" + "c" from being "a" + "bc".
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        };
        field(platform.name());
        field(&self.account);
        field(&self.text);
        field(self.link.as_deref().unwrap_or_default());
        field(self.title.as_deref().unwrap_or_default());
        self.media.iter().for_each(|url| field(url));
        hash.finalize().into()
    }
}

/// A published post, as `/api/posts` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Post {
    platform: Platform,
    pub(super) account: String,
    pub(super) id: String,
    pub(super) text: String,
    pub(super) link: Option<String>,
    pub(super) media: Vec<String>,
    pub(super) title: Option<String>,
    pub(super) permalink: String,
    #[serde(serialize_with = "rfc3339")]
    pub(super) published_at: DateTime<Utc>,
    /// Counts all platforms' posts from 1, in order of publication.
    sequence: usize,
    duplicate: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip)]
    pub(super) metadata: Option<Value>,
}

fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[derive(Default)]
pub(super) struct World {
    posts: Vec<Post>,
    ledgers: [Ledger; Platform::ALL.len()],
    seen: HashSet<[u8; 32]>,
    faults: Vec<Armed>,
    /// Ids are made from this. It survives a reset, so that an id never comes back.
    minted: u64,
    last_micros: i64,
    pub(super) containers: instagram::Containers,
    pub(super) shares: linkedin::Shares,
    pub(super) sessions: upload::Sessions,
}

/// One platform's posts and counters.
#[derive(Default)]
struct Ledger {
    by_account: HashMap<String, Vec<usize>>,
    by_id: HashMap<String, usize>,
    requests: u64,
    published: u64,
    duplicates: u64,
    in_flight: u64,
    max_in_flight: u64,
    in_flight_by_account: HashMap<String, u64>,
    max_in_flight_per_account: u64,
}

impl World {
    pub(super) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = faults.into_iter().map(Armed::new).collect();
    }

    /// Forgets everything but the faults (whose counters start again) and the requests in flight.
    pub(super) fn reset(&mut self) {
        let old = std::mem::take(self);
        self.minted = old.minted;
        self.last_micros = old.last_micros;
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

    /// Answers a valid publishing request: `accept` publishes, unless a fault is in the way.
    pub(super) fn publishing(
        &mut self,
        platform: Platform,
        refuse: fn(Refusal) -> Response,
        accept: impl FnOnce(&mut Self) -> Response,
    ) -> Reply {
        let Some(kind) = self.fault(platform) else {
            return accept(self).into();
        };
        let truth = kind.accepts().then(|| accept(self));
        kind.reply(truth, refuse)
    }

    /// Counts one valid publishing request, and says which fault strikes it. Every fault counts it,
    /// so that two faults' rates do not depend on each other.
    pub(super) fn fault(&mut self, platform: Platform) -> Option<super::fault::Kind> {
        let faults = self.faults.iter_mut();
        faults.fold(None, |first, armed| {
            let kind = armed.on_publish(platform);
            first.or(kind)
        })
    }

    /// How long a new container takes to be ready.
    pub(super) fn processing(&mut self, platform: Platform) -> Duration {
        let faults = self.faults.iter_mut();
        let delays = faults.filter_map(|armed| armed.on_container(platform));
        delays.max().unwrap_or(Duration::ZERO)
    }

    pub(super) fn publish(
        &mut self,
        platform: Platform,
        draft: Draft,
        id: String,
        permalink: String,
    ) -> &Post {
        let duplicate = !self.seen.insert(draft.fingerprint(platform));
        let index = self.posts.len();
        let ledger = &mut self.ledgers[platform as usize];
        ledger.published += 1;
        ledger.duplicates += u64::from(duplicate);
        ledger.by_id.insert(id.clone(), index);
        match ledger.by_account.get_mut(&draft.account) {
            Some(posts) => posts.push(index),
            None => drop(ledger.by_account.insert(draft.account.clone(), vec![index])),
        }
        let (bytes, sha256) = draft.file.unzip();
        self.posts.push(Post {
            platform,
            account: draft.account,
            id,
            text: draft.text,
            link: draft.link,
            media: draft.media,
            title: draft.title,
            permalink,
            published_at: wall_clock(),
            sequence: index + 1,
            duplicate,
            bytes,
            sha256,
            metadata: draft.metadata,
        });
        &self.posts[index]
    }

    pub(super) fn posts(&self) -> &[Post] {
        &self.posts
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
                "max_in_flight": ledger.max_in_flight,
                "max_in_flight_per_account": ledger.max_in_flight_per_account,
            });
            (platform.name().to_owned(), stats)
        });
        json!({
            "requests": sum(|ledger| ledger.requests),
            "published": sum(|ledger| ledger.published),
            "duplicates": sum(|ledger| ledger.duplicates),
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
