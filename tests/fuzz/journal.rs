//! Journals that were damaged: none gives back a post that may have been sent, none says that one is live which is not,
//! and one that is not whole stays where it is.

use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use publisher::journal::{Journal, Page, Place, replay};
use publisher::outcome::{Outcome, Published, Reason, Verdict};
use publisher::post::ClaimedPost;
use publisher::schedule::Clock;
use publisher::store::Store;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::support::database::{Backend, Raw, World, now, request};
use crate::{Damage, a_share_of, damage, damaged, place, runtime};

/// How far a post had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Nowhere,
    Sent,
    Live,
    Settled,
    InDoubt,
    Refused,
    Failed,
    /// It was refused, is to be tried again, and was sent anew.
    SentAgain,
}

const STATES: [Came; 8] = [
    Came::Nowhere,
    Came::Sent,
    Came::Live,
    Came::Settled,
    Came::InDoubt,
    Came::Refused,
    Came::Failed,
    Came::SentAgain,
];

fn reason() -> Reason {
    Reason::new("server_error", "as it happened")
}

fn published(post: &ClaimedPost) -> Published {
    Published::at(format!("C1:{}", post.id), None)
}

fn retry() -> Outcome {
    Outcome::Retry {
        due_at: now(),
        counts: true,
        block: None,
        reason: reason(),
    }
}

impl Came {
    fn write(self, page: &Page<'_>) {
        let note = |outcome: &Outcome| {
            let verdict = Verdict {
                post: page.post,
                outcome,
                checkpoint: None,
                took: Duration::from_secs(1),
            };
            page.journal.note(verdict, now());
        };
        if self != Self::Nowhere && self != Self::Failed {
            page.sending().unwrap();
        }
        let live = Outcome::Published {
            post: published(page.post),
            at: now(),
        };
        match self {
            Self::Nowhere | Self::Sent => {}
            Self::Live => note(&live),
            Self::Settled => {
                note(&live);
                note(&live);
            }
            Self::InDoubt => note(&Outcome::Unconfirmed { reason: reason() }),
            Self::Refused => note(&retry()),
            Self::Failed => note(&Outcome::Failed { reason: reason() }),
            Self::SentAgain => {
                note(&retry());
                page.sending().unwrap();
            }
        }
        page.journal.write();
    }

    /// What the whole journal makes of it.
    fn status(self) -> &'static str {
        match self {
            Self::Nowhere | Self::Refused => "pending",
            Self::Sent | Self::InDoubt | Self::SentAgain => "unconfirmed",
            Self::Live | Self::Settled => "published",
            Self::Failed => "failed",
        }
    }
}

/// A run that died.
struct Dead {
    run: Uuid,
    came: Vec<Came>,
    bytes: Vec<u8>,
}

struct Scene {
    /// For as long as its database is used.
    _world: World,
    store: Store,
    raw: Raw,
    place: Place,
}

impl Scene {
    async fn new() -> Self {
        let world = World::migrated(Backend::Sqlite).await;
        let (store, mut raw) = (world.store().await, world.raw().await);
        for _ in STATES {
            let account = raw.account("alder", "slack").await;
            raw.post(account, 1).await;
        }
        let place = Place {
            directory: tempfile::tempdir().unwrap().keep(),
            database: world.database.name(),
            host: "here".to_owned(),
        };
        Self {
            _world: world,
            store,
            raw,
            place,
        }
    }

    fn path(&self, run: Uuid) -> PathBuf {
        self.place.directory.join(format!("{run}.journal"))
    }

    /// A run claims all posts, brings each so far, and dies.
    async fn die(&mut self, came: Vec<Came>) -> Dead {
        self.raw.run("UPDATE posts SET status = 'pending', lease_until = NULL, attempts = 0, history = '[]', published_at = NULL, platform_post_id = NULL, due_at = scheduled_at; DELETE FROM runs").await;
        let request = request();
        let mut posts = self.store.claim(&request).await.unwrap().posts;
        posts.sort_unstable_by_key(|post| post.id);
        assert_eq!(posts.len(), came.len());
        let journal = Journal::new(request.run, Some(self.place.clone()));
        let released = posts.iter().map(|post| Verdict {
            post,
            outcome: &Outcome::Released,
            checkpoint: None,
            took: Duration::ZERO,
        });
        journal.begin(released, now());
        for (post, came) in posts.iter().zip(&came) {
            came.write(&Page {
                journal: &journal,
                clock: Clock::at(now()),
                post,
                checkpoint: None,
            });
        }
        drop(journal);
        let path = self.path(request.run);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        Dead {
            run: request.run,
            came,
            bytes,
        }
    }

    async fn replay(&mut self, run: Uuid, bytes: &[u8]) -> Vec<String> {
        std::fs::write(self.path(run), bytes).unwrap();
        replay(&mut self.store, &self.place).await.unwrap();
        self.raw.texts("SELECT status FROM posts ORDER BY id").await
    }
}

/// What only journals suffer, beside what any file does.
#[derive(Clone, Debug)]
enum Harm {
    Any(Damage),
    /// A part of another run's.
    Splice(u16, u16),
    ZeroFrom(u16),
    RemoveLine(u16),
    /// Another version's, with the right checksums.
    Version(u32),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => damage().prop_map(Harm::Any),
        1 => any::<(u16, u16)>().prop_map(|(from, to)| Harm::Splice(from, to)),
        1 => any::<u16>().prop_map(Harm::ZeroFrom),
        2 => any::<u16>().prop_map(Harm::RemoveLine),
        1 => prop_oneof![0..2_u32, 3..9_u32].prop_map(Harm::Version),
    ]
}

fn harmed(bytes: Vec<u8>, other: &[u8], harm: &Harm) -> Vec<u8> {
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    };
    match harm {
        Harm::Any(damage) => damaged(bytes, std::slice::from_ref(damage)),
        Harm::Splice(from, to) => {
            let (mine, theirs) = (lines(&bytes), lines(other));
            let (from, to) = (place(*from, mine.len() + 1), place(*to, theirs.len()));
            [&mine[..from], &theirs[to..]].concat().concat()
        }
        Harm::ZeroFrom(from) => {
            let from = place(*from, bytes.len());
            let mut zeroed = bytes;
            zeroed[from..].fill(0);
            zeroed
        }
        Harm::RemoveLine(at) => {
            let mut lines = lines(&bytes);
            if !lines.is_empty() {
                lines.remove(place(*at, lines.len()));
            }
            lines.concat()
        }
        Harm::Version(version) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let current = "{\"journal\":2,";
            let other = text.replacen(current, &format!("{{\"journal\":{version},"), 1);
            with_sums(&other)
        }
    }
}

/// The same lines with the checksums that they ought to have.
fn with_sums(text: &str) -> Vec<u8> {
    let mut sum = "\0".repeat(16);
    let mut whole = Vec::new();
    for line in text.lines() {
        let json = line.get(17..).unwrap_or_default();
        let digest = Sha256::new()
            .chain_update(&sum)
            .chain_update(json)
            .finalize();
        sum = format!("{digest:x}");
        sum.truncate(16);
        whole.extend(format!("{sum} {json}\n").into_bytes());
    }
    whole
}

/// Whether the whole lines of these bytes are the first ones of those; how many they are.
fn first_lines(bytes: &[u8], of: &[u8]) -> Option<usize> {
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map(|end| end + 1)?;
    let count = bytes[..end].split_inclusive(|byte| *byte == b'\n').count();
    of.starts_with(&bytes[..end]).then_some(count)
}

/// The checks below know the format well enough to forge it.
#[test]
fn forged_sums_are_right() {
    runtime().block_on(async {
        let mut scene = Scene::new().await;
        let dead = scene.die(STATES.to_vec()).await;
        assert_eq!(with_sums(&String::from_utf8_lossy(&dead.bytes)), dead.bytes);
        let found = scene.replay(dead.run, &dead.bytes).await;
        assert_eq!(found, STATES.map(Came::status));
        assert!(!scene.path(dead.run).exists());
    });
}

#[test]
fn journals() {
    let runtime = runtime();
    let mut scene = runtime.block_on(Scene::new());
    let other = runtime.block_on(scene.die(STATES.to_vec()));
    let scene = std::cell::RefCell::new(scene);
    let came = proptest::collection::vec(proptest::sample::select(STATES.to_vec()), 8);
    let harms = proptest::collection::vec(harm(), 1..4);
    proptest!(a_share_of(2), |(came in came, harms in harms)| {
        let mut scene = scene.borrow_mut();
        let dead = runtime.block_on(scene.die(came));
        let bytes = harms.iter().fold(dead.bytes.clone(), |bytes, harm| harmed(bytes, &other.bytes, harm));
        let found = runtime.block_on(scene.replay(dead.run, &bytes));
        let is_whole = first_lines(&bytes, &dead.bytes);
        let all = first_lines(&dead.bytes, &dead.bytes);
        let stays = scene.path(dead.run).exists();
        if is_whole.is_none() && first_lines(&bytes, &other.bytes).is_none() {
            prop_assert!(stays, "a damaged journal is gone");
            prop_assert!(found.iter().all(|status| status == "publishing"), "a damaged journal was believed: {found:?}");
        }
        for (status, came) in found.iter().zip(&dead.came) {
            let whole = came.status();
            prop_assert!(status != "published" || whole == "published", "{came:?} is said to be live");
            prop_assert!(status != "pending" || whole == "pending" || is_whole.is_some() && is_whole < all,
                "{came:?} would be sent again");
            prop_assert!(is_whole != all || status == whole, "{came:?} became {status}");
        }
        std::fs::remove_file(scene.path(dead.run)).ok();
    });
    let directory = scene.borrow().place.directory.clone();
    std::fs::remove_dir_all(directory).unwrap();
}
