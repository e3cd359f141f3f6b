//! The reference's runs: what they hold, what they know of it, and what they leave behind.

use publisher::post::Action;

use super::life::{
    ACCOUNTS, DAY, HOUR, Heard, LEASE, MINUTE, NEVER, Standing, State, Status, Told, seen_at,
};
use super::moves::{Refusal, Step};

/// A run that claimed something.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) number: u32,
    /// When its lease ends.
    pub(crate) lease: i64,
    pub(crate) posts: Vec<Held>,
}

/// A post that a run holds, as it was when it was claimed.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) post: usize,
    pub(crate) action: Action,
    pub(crate) stage: Stage,
    /// Its last renewal did not bring it back: it is somebody else's.
    lost: bool,
    account: usize,
    scheduled: i64,
    /// After this it is never sent.
    end: i64,
    attempts: u32,
    max_attempts: u32,
    checkpoint: Option<i64>,
    /// What the run's journal says.
    line: Entry,
}

/// How far a run is with a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was sent.
    Ahead,
    /// It was sent, and nothing came back yet.
    Sent { arrived: bool },
    /// The platform has said that it is live; there is more to do about it.
    Live,
    /// The run is done with it.
    Settled(Fate),
}

/// What became of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is live; whether the run also knows where people see it.
    Published {
        shown: bool,
    },
    Retry {
        due: i64,
        counts: bool,
        block: Option<Block>,
        class: &'static str,
    },
    Waiting {
        due: i64,
    },
    Failed(&'static str),
    Unconfirmed(&'static str),
    Expired,
    Released,
}

/// What it means for the account, or for all of its platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    NeedsLogin,
    Until { until: i64, whole: bool },
}

/// A fate as it is written down: when, and where an unfinished upload stood.
#[derive(Clone, Debug)]
struct Entry {
    fate: Fate,
    at: i64,
    checkpoint: Option<i64>,
}

impl Run {
    /// Whether it has a journal: one that only drops what is too old keeps none.
    pub(crate) fn has_journal(&self) -> bool {
        self.posts.iter().any(|held| held.action != Action::Expire)
    }
}

impl Held {
    pub(crate) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Settled(_))
    }

    /// What the run records of it, should it end now.
    fn outcome(&self) -> Fate {
        match (&self.stage, self.action) {
            (Stage::Settled(fate), _) => fate.clone(),
            (_, Action::Recover) => Fate::Unconfirmed("interrupted"),
            (Stage::Ahead, _) => Fate::Released,
            (Stage::Sent { .. }, _) => Fate::Unconfirmed("stopped"),
            (Stage::Live, _) => Fate::Published { shown: false },
        }
    }

    fn write(&mut self, fate: Fate, at: i64) {
        let checkpoint = self.checkpoint;
        self.line = Entry {
            fate,
            at,
            checkpoint,
        };
    }

    fn settle(&mut self, fate: Fate, at: i64) {
        self.write(fate.clone(), at);
        self.stage = Stage::Settled(fate);
    }

    /// It did not go out; it is tried again after so long, if that is still possible.
    fn again(&self, class: &'static str, due: i64) -> Fate {
        if self.attempts >= self.max_attempts || due >= self.end {
            return Fate::Failed(class);
        }
        Fate::Retry {
            due,
            counts: true,
            block: None,
            class,
        }
    }

    /// Twice as long each time, from two minutes to an hour.
    fn pause(&self) -> i64 {
        (MINUTE << self.attempts.min(10)).min(HOUR)
    }

    fn refused(&self, refusal: Refusal, now: i64) -> Fate {
        let (class, block, due) = match refusal {
            Refusal::Later => return self.again("server_error", now + self.pause()),
            Refusal::Never => return Fate::Failed("rejected"),
            Refusal::Login => ("needs_login", Block::NeedsLogin, now),
            Refusal::Limit { minutes, whole } => {
                let until = now + minutes * MINUTE;
                let block = Block::Until { until, whole };
                ("rate_limited", block, until.min(self.end))
            }
        };
        Fate::Retry {
            due,
            counts: false,
            block: Some(block),
            class,
        }
    }
}

/// When one in doubt is looked up.
fn next_look(scheduled: i64, now: i64) -> i64 {
    let age = now - scheduled;
    if age > 2 * DAY {
        return NEVER;
    }
    now + age.clamp(2 * MINUTE, 6 * HOUR)
}

impl State {
    pub(crate) fn claim(&mut self, slot: usize, limit: usize) -> Told {
        let mut due = self.due();
        due.truncate(limit);
        let lease = self.glance() + LEASE;
        let number = self.next_run;
        self.next_run += 1;
        let now = self.now;
        let posts = due.iter().map(|&(post, action)| {
            let row = self.row_mut(post);
            row.status = Status::Publishing;
            (row.claim, row.lease) = (Some(number), Some(lease));
            row.attempts += u32::from(action == Action::Publish);
            let (stage, fate) = match action {
                Action::Expire => (Stage::Settled(Fate::Expired), Fate::Expired),
                Action::Recover => (Stage::Ahead, Fate::Unconfirmed("interrupted")),
                Action::Publish => (Stage::Ahead, Fate::Released),
            };
            let checkpoint = row.checkpoint;
            Held {
                post,
                action,
                stage,
                lost: false,
                account: row.account,
                scheduled: row.scheduled,
                end: row.end(),
                attempts: row.attempts,
                max_attempts: row.max_attempts,
                checkpoint,
                line: Entry {
                    fate,
                    at: now,
                    checkpoint,
                },
            }
        });
        let posts: Vec<Held> = posts.collect();
        if !posts.is_empty() {
            self.runs[slot] = Some(Run {
                number,
                lease,
                posts,
            });
        }
        Told::Claimed(due)
    }

    /// What is still its own it holds for as long again.
    pub(crate) fn renew(&mut self, slot: usize) {
        let until = self.glance() + LEASE;
        let run = self.runs[slot].as_mut().expect("the run is there");
        run.lease = until;
        for held in &mut run.posts {
            let row = self.posts[held.post].row.as_mut();
            let own =
                row.filter(|row| row.status == Status::Publishing && row.claim == Some(run.number));
            held.lost = own.is_none();
            if let Some(row) = own {
                row.lease = Some(until);
            }
        }
    }

    /// A run goes on with one of its posts.
    pub(crate) fn step(&mut self, slot: usize, place: usize, step: &Step) {
        let now = self.now;
        let run = self.runs[slot].as_mut().expect("the run is there");
        let in_time = now < run.lease;
        let held = &mut run.posts[place];
        let live = &mut self.posts[held.post].live;
        match *step {
            Step::Refuse(refusal) => {
                let fate = held.refused(refusal, now);
                held.settle(fate, now);
            }
            Step::Process { minutes, goes_on } => {
                held.checkpoint = Some(now);
                let due = now + minutes * MINUTE;
                held.write(Fate::Waiting { due }, now);
                if !goes_on {
                    held.stage = Stage::Settled(Fate::Waiting { due });
                }
            }
            Step::Send { .. } if !in_time || held.lost => {
                let fate = held.again("lease_ended", now + held.pause());
                held.settle(fate, now);
            }
            Step::Send { arrives } => {
                held.write(Fate::Unconfirmed("interrupted"), now);
                held.stage = Stage::Sent { arrived: arrives };
                *live += u32::from(arrives);
            }
            Step::Hear => {
                held.write(Fate::Published { shown: false }, now);
                held.stage = Stage::Live;
            }
            Step::Finish => {
                held.checkpoint = None;
                held.settle(Fate::Published { shown: true }, now);
            }
            Step::LoseAnswer => held.settle(Fate::Unconfirmed("timeout"), now),
            Step::LookUp { tells: false } => held.settle(Fate::Unconfirmed("unconfirmed"), now),
            Step::LookUp { tells: true } if *live > 0 => {
                held.checkpoint = None;
                held.settle(Fate::Published { shown: true }, now);
            }
            Step::LookUp { tells: true } => {
                held.checkpoint = None;
                let fate = held.again("absent", now);
                held.settle(fate, now);
            }
        }
    }

    /// The run's outcomes reach the database.
    pub(crate) fn commit(&mut self, slot: usize) -> Heard {
        let run = self.runs[slot].clone().expect("the run is there");
        let now = self.now;
        let entries = run.posts.iter().map(|held| Entry {
            fate: held.outcome(),
            at: now,
            checkpoint: held.checkpoint,
        });
        let entries: Vec<Entry> = entries.collect();
        let written = self.record(&run, &entries);
        let lost = |held: &&Held| !written.iter().any(|(post, _)| *post == held.post);
        let mut lost: Vec<usize> = run
            .posts
            .iter()
            .filter(lost)
            .map(|held| held.post)
            .collect();
        lost.sort_unstable();
        Heard {
            before: false,
            lost,
        }
    }

    /// A run records what dead ones left; returns the rows that were written.
    pub(crate) fn replay(&mut self) -> Vec<(usize, Status)> {
        let mut written = Vec::new();
        for run in std::mem::take(&mut self.dead) {
            let entries: Vec<Entry> = run.posts.iter().map(|held| held.line.clone()).collect();
            written.extend(self.record(&run, &entries));
        }
        written.sort_unstable();
        written
    }

    /// Writes what the run still holds, and what it says of accounts; both only the first time.
    fn record(&mut self, run: &Run, entries: &[Entry]) -> Vec<(usize, Status)> {
        if !self.recorded.insert(run.number) {
            return Vec::new();
        }
        let mut written = Vec::new();
        for (held, entry) in run.posts.iter().zip(entries) {
            self.say(held.account, &entry.fate);
            let row = self.posts[held.post].row.as_mut();
            let is_ours = |row: &&mut super::life::Row| {
                row.status == Status::Publishing && row.claim == Some(run.number)
            };
            if let Some(row) = row.filter(is_ours) {
                put(row, held, entry);
                written.push((held.post, row.status));
            }
        }
        written
    }

    fn say(&mut self, account: usize, fate: &Fate) {
        let Fate::Retry {
            block: Some(block), ..
        } = fate
        else {
            return;
        };
        for (number, other) in self.accounts.iter_mut().enumerate() {
            match *block {
                Block::NeedsLogin if number == account && other.standing == Standing::Active => {
                    other.standing = Standing::NeedsLogin;
                }
                Block::Until { until, whole }
                    if number == account || whole && ACCOUNTS[number].1 == ACCOUNTS[account].1 =>
                {
                    other.blocked_until = other.blocked_until.max(Some(until));
                }
                _ => {}
            }
        }
    }
}

/// An outcome as it changes the row.
fn put(row: &mut super::life::Row, held: &Held, entry: &Entry) {
    let given_back = held.attempts.saturating_sub(1);
    let (status, due, attempts, said) = match entry.fate {
        Fate::Published { shown } => {
            row.status = Status::Published;
            (row.lease, row.checkpoint, row.error_class) = (None, None, None);
            row.permalink = shown.then(|| seen_at(held.post));
            row.history.push("published".to_owned());
            return;
        }
        Fate::Retry {
            due, counts, class, ..
        } => {
            let attempts = if counts { held.attempts } else { given_back };
            let said = Some((class, "retry"));
            (Status::Pending, Some(due), attempts, said)
        }
        Fate::Waiting { due } => (Status::Pending, Some(due), given_back, None),
        Fate::Released => (Status::Pending, None, given_back, None),
        Fate::Failed(class) => {
            let said = Some((class, "failed"));
            (Status::Failed, None, held.attempts, said)
        }
        Fate::Unconfirmed(class) => {
            let look = next_look(held.scheduled, entry.at);
            let said = Some((class, "unconfirmed"));
            (Status::Unconfirmed, Some(look), held.attempts, said)
        }
        Fate::Expired => (Status::Expired, None, held.attempts, None),
    };
    (row.status, row.lease, row.attempts) = (status, None, attempts);
    row.due = due.unwrap_or(row.due);
    if status == Status::Pending {
        // It may have got a later time meanwhile.
        row.due = row.due.max(row.scheduled);
    }
    row.checkpoint = entry.checkpoint;
    if let Some((class, outcome)) = said {
        row.error_class = Some(class.to_owned());
        row.history.push(outcome.to_owned());
    }
}
