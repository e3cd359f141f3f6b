//! The journal: a file per run that says, at every instant, what the commit would write if the run ended there.
//!
//! A killed process, a database that is gone at commit time, a COMMIT whose answer got lost: in all three the next run
//! finds the file of a run that is dead (its lock is free), gives every post its last row through the same two UPDATEs,
//! and removes it. So a killed run costs nothing but time.
//!
//! `<state directory>/journal/<run>.journal` holds lines of a checksum, a space and a JSON object. A line's checksum is
//! of the line before as well, so that none can be missing, doubled or out of place. The first names the run and the
//! database, and has a row for every claimed post: those that are to be sent are given back. Each further line
//! replaces one post's row. Before a request that publishes leaves, that row is `unconfirmed`; after the step it is
//! whatever the step came to. The rows are those of [`commit::row`].
//!
//! An intent is handed to the system before its request leaves, and with it all that was noted until then; what the
//! lanes note in one go is handed over before they wait for anything. It is not waited for on the disk: the system keeps
//! it whatever becomes of the process, and a sync for every post would halve the speed. Only if the machine itself goes down can lines be lost. So the
//! first one also names the boot: after another one, posts that seem never to have been sent are left to their lease,
//! which makes them `unconfirmed`.
//!
//! A line without its end was never answered for, so nothing was sent on its strength. Any other damage makes the whole
//! file worthless, because what is missing may be the intent of a post that was sent: its posts are left to their lease.
//! There are no secrets in it: what a platform quotes is redacted before, and a post's text is not in its row.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::commit;
use crate::config::Config;
use crate::outcome::{Failure, Outcome, Reason, Verdict};
use crate::post::ClaimedPost;
use crate::schedule::Clock;
use crate::store::Row;

mod replay;
mod writer;

pub use replay::{Replayed, replay};
use writer::Writer;

/// The version of the format: another version's file is left alone.
const FORMAT: u32 = 2;
const EXTENSION: &str = "journal";
/// Under this name the first line is written; so a `.journal` always has it.
const DRAFT_EXTENSION: &str = "draft";
/// Hex digits of a SHA-256 that are kept: enough for faults, and nobody forges a line who may write the file.
const SUM_LENGTH: usize = 16;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Where the journals are, and whose.
#[derive(Clone, Debug)]
pub struct Place {
    /// Their directory. It need not exist.
    pub directory: PathBuf,
    /// The database that they belong to, without secrets.
    pub database: String,
    /// This machine's name.
    pub host: String,
}

impl Place {
    /// In the state directory.
    pub fn of(config: &Config, host: &str) -> Self {
        Self {
            directory: config.state_dir.join("journal"),
            database: config.database.name(),
            host: host.to_owned(),
        }
    }
}

/// Which boot of the machine this is; empty if it does not say. Read when there is a journal, which few runs have.
fn this_boot() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    boot.trim().to_owned()
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head<P = Vec<Line>> {
    /// [`FORMAT`].
    journal: u32,
    run: Uuid,
    database: String,
    host: String,
    boot: String,
    at: DateTime<Utc>,
    posts: P,
}

/// A list that is written one by one: there may be thousands, and as values they take far more room than as text.
struct OneByOne<I>(Cell<Option<I>>);

impl<I: Iterator<Item: Serialize>> Serialize for OneByOne<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.take().into_iter().flatten())
    }
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line<R = Value> {
    at: DateTime<Utc>,
    /// A row of `published.sql` or `settled.sql`.
    row: R,
    /// What it says about the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Value>,
}

impl<'a> Line<Row<'a>> {
    fn new(run: Uuid, verdict: Verdict<'a>, at: DateTime<Utc>) -> Self {
        Self {
            at,
            row: commit::row(run, verdict, at),
            account: commit::account(verdict),
        }
    }
}

/// The journal of this run.
#[derive(Debug)]
pub struct Journal {
    run: Uuid,
    place: Option<Place>,
    chain: RefCell<Chain>,
    /// Lines that are not written yet.
    owed: RefCell<Vec<u8>>,
    writer: OnceCell<Writer>,
}

impl Journal {
    /// Makes nothing yet. Without a place none is kept.
    pub fn new(run: Uuid, place: Option<Place>) -> Self {
        Self {
            run,
            place,
            chain: RefCell::default(),
            owed: RefCell::default(),
            writer: OnceCell::new(),
        }
    }

    /// The claim whose posts it is about.
    pub fn claim(&self) -> Uuid {
        self.run
    }

    /// Makes the file: with every claimed post, as it is to be recorded if nothing more comes. Where that is
    /// impossible the run goes on without.
    pub fn begin<'a>(&self, posts: impl Iterator<Item = Verdict<'a>>, now: DateTime<Utc>) {
        let Some(place) = &self.place else { return };
        let lines = posts.map(|post| Line::new(self.run, post, now));
        let head = Head {
            journal: FORMAT,
            run: self.run,
            database: place.database.clone(),
            host: place.host.clone(),
            boot: this_boot(),
            at: now,
            posts: OneByOne(Cell::new(Some(lines))),
        };
        self.owe(&head);
        match writer::create(&place.directory, self.run, &self.owed.take()) {
            Ok(writer) => self.writer.set(writer).expect("a run begins once"),
            Err(error) => tracing::warn!(
                "no journal can be kept in {} ({error}); should this run be killed, its posts come back as unconfirmed \
                 when their lease ends",
                place.directory.display()
            ),
        }
    }

    /// Notes how a post stands, for the next [`Journal::write`].
    pub fn note(&self, verdict: Verdict<'_>, now: DateTime<Utc>) {
        if self.writer.get().is_some() {
            self.owe(&Line::new(self.run, verdict, now));
        }
    }

    /// Writes down what was noted. Whoever waits for anything calls this before.
    pub fn write(&self) {
        // If it can't be written that was said, and the database is told at the end.
        self.try_write().ok();
    }

    fn try_write(&self) -> Result<(), String> {
        let mut owed = self.owed.borrow_mut();
        let (Some(writer), false) = (self.writer.get(), owed.is_empty()) else {
            return Ok(());
        };
        let written = writer.write(&owed);
        owed.clear();
        written
    }

    fn owe(&self, content: &impl Serialize) {
        let mut chain = self.chain.borrow_mut();
        chain.append(content, &mut self.owed.borrow_mut());
    }

    /// Whether there is a file for the next run to find.
    pub fn is_kept(&self) -> bool {
        self.writer.get().is_some_and(Writer::is_kept)
    }

    /// Removes the file: the database knows.
    pub fn remove(&self) {
        if let Some(writer) = self.writer.get() {
            writer.remove();
        }
    }
}

/// What a post's step writes about it.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The run's journal.
    pub journal: &'a Journal,
    /// The time of what is written.
    pub clock: Clock,
    /// The post.
    pub post: &'a ClaimedPost,
    /// Where an unfinished upload stands.
    pub checkpoint: Option<&'a Value>,
}

impl Page<'_> {
    /// The post is about to be sent. Once this returns, the journal knows.
    pub fn sending(&self) -> Result<(), Failure> {
        if self.journal.writer.get().is_none() {
            return Ok(());
        }
        let reason = Reason::new(
            "interrupted",
            "the run ended after this post was sent and before it knew the platform's answer; look at the platform \
             before it is sent again",
        );
        let outcome = Outcome::Unconfirmed { reason };
        let verdict = Verdict {
            post: self.post,
            outcome: &outcome,
            checkpoint: self.checkpoint,
            took: std::time::Duration::ZERO,
        };
        self.journal.note(verdict, self.clock.now());
        self.journal.try_write().map_err(|why| Failure::Retry {
            after: None,
            reason: Reason::new(
                "journal",
                format!("it was not sent: the journal can't be written ({why})"),
            ),
        })
    }
}

/// The checksum of the last line, which the next one's continues.
#[derive(Debug, Default)]
struct Chain([u8; SUM_LENGTH]);

impl Chain {
    /// Adds the next line: its checksum, what it says, and its end.
    fn append(&mut self, content: &impl Serialize, lines: &mut Vec<u8>) {
        let start = lines.len();
        let json = start + SUM_LENGTH + 1;
        lines.resize(json, b' ');
        serde_json::to_writer(&mut *lines, content).expect("a line is plain data");
        self.0 = self.sum(&lines[json..]);
        lines[start..start + SUM_LENGTH].copy_from_slice(&self.0);
        lines.push(b'\n');
    }

    /// The JSON of the next line (without its end), if its checksum is right.
    fn checked<'a>(&mut self, line: &'a [u8]) -> Option<&'a [u8]> {
        let (found, json) = line.split_at_checked(SUM_LENGTH)?;
        let json = json.strip_prefix(b" ")?;
        self.0 = self.sum(json);
        (found == self.0).then_some(json)
    }

    fn sum(&self, json: &[u8]) -> [u8; SUM_LENGTH] {
        let sum = Sha256::new().chain_update(self.0).chain_update(json);
        let mut hex = [0; SUM_LENGTH];
        for (digits, byte) in hex.chunks_exact_mut(2).zip(sum.finalize()) {
            digits.copy_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        hex
    }
}
