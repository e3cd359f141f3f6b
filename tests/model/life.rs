//! The reference: posts, accounts and runs as the documents describe them, without a database.
//!
//! Times are seconds since [`start`](super::bench::start). What is recorded is recorded on the minute, posts are
//! scheduled 15 seconds after one and claims look 30 seconds after one: the milliseconds that a real clock adds to what
//! is written can't decide anything.

use std::collections::BTreeSet;

use publisher::post::Action;

use super::runs::Run;

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// How long a claim holds.
pub(crate) const LEASE: i64 = 15 * MINUTE;
/// How long after a minute a claim looks.
const GLANCE: i64 = 30;
/// How long after a minute posts are scheduled.
const SCHEDULE: i64 = 15;
/// A time that does not come.
pub(crate) const NEVER: i64 = i64::MAX;
/// Whose the accounts are, and on which platforms.
pub(crate) const ACCOUNTS: [(&str, &str); 3] =
    [("ada", "slack"), ("ada", "facebook"), ("bob", "slack")];
/// How many runs there are at once.
pub(crate) const RUNS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Pending,
    Publishing,
    Published,
    Failed,
    Unconfirmed,
    Expired,
    Canceled,
}

impl Status {
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Self::Pending, "pending"),
        (Self::Publishing, "publishing"),
        (Self::Published, "published"),
        (Self::Failed, "failed"),
        (Self::Unconfirmed, "unconfirmed"),
        (Self::Expired, "expired"),
        (Self::Canceled, "canceled"),
    ];

    pub(crate) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|(_, its)| *its == name);
        found.unwrap_or_else(|| panic!("no status is {name}")).0
    }

    /// Whether a person can have it sent again.
    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Canceled)
    }
}

/// A row of `posts`, as far as the life of a post goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) account: usize,
    pub(crate) body: String,
    pub(crate) scheduled: i64,
    pub(crate) due: i64,
    pub(crate) expires: Option<i64>,
    pub(crate) priority: i64,
    pub(crate) status: Status,
    pub(crate) attempts: u32,
    pub(crate) max_attempts: u32,
    /// The number of the run that claimed it last.
    pub(crate) claim: Option<u32>,
    pub(crate) lease: Option<i64>,
    pub(crate) checkpoint: Option<i64>,
    pub(crate) error_class: Option<String>,
    pub(crate) permalink: Option<String>,
    /// The outcomes, one per attempt or decision.
    pub(crate) history: Vec<String>,
}

impl Row {
    /// After this it is never sent.
    pub(crate) fn end(&self) -> i64 {
        let end = self.expires.unwrap_or(self.scheduled + DAY);
        end.min(self.scheduled + 7 * DAY)
    }
}

/// A post.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    /// `None` once an application has deleted it.
    pub(crate) row: Option<Row>,
    /// How often the platform made it live.
    pub(crate) live: u32,
    /// An application took it away from the run that was publishing it.
    pub(crate) seized: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    NeedsLogin,
    Disabled,
}

/// An account's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) standing: Standing,
    pub(crate) blocked_until: Option<i64>,
}

impl Account {
    pub(crate) const WELL: Self = Self {
        standing: Standing::Active,
        blocked_until: None,
    };

    pub(crate) fn is_open(self, at: i64) -> bool {
        self.standing == Standing::Active && self.blocked_until.is_none_or(|until| until <= at)
    }
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) now: i64,
    pub(crate) accounts: [Account; ACCOUNTS.len()],
    pub(crate) posts: Vec<Post>,
    pub(crate) runs: [Option<Run>; RUNS],
    /// Runs that died and left a journal.
    pub(crate) dead: Vec<Run>,
    /// The runs whose outcomes are in the database.
    pub(crate) recorded: BTreeSet<u32>,
    pub(crate) next_run: u32,
}

/// What the move told whoever made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// These posts, in their order.
    Claimed(Vec<(usize, Action)>),
    /// What the run heard of its commit, each time it was tried.
    Committed(Vec<Heard>),
    /// The rows that a replay wrote.
    Replayed(Vec<(usize, Status)>),
}

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) before: bool,
    pub(crate) lost: Vec<usize>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            accounts: [Account::WELL; ACCOUNTS.len()],
            posts: Vec::new(),
            runs: [const { None }; RUNS],
            dead: Vec::new(),
            recorded: BTreeSet::new(),
            next_run: 1,
        }
    }

    /// When a claim made now looks.
    pub(crate) fn glance(&self) -> i64 {
        self.now + GLANCE
    }

    /// The schedule of a post that is to go out in so many minutes.
    pub(crate) fn schedule(&self, minutes: i64) -> i64 {
        self.now + minutes * MINUTE + SCHEDULE
    }

    /// The post's row, if it is there.
    pub(crate) fn row(&self, post: usize) -> Option<&Row> {
        self.posts.get(post)?.row.as_ref()
    }

    /// The post's row, to be changed; who changes one knows that it is there.
    pub(crate) fn row_mut(&mut self, post: usize) -> &mut Row {
        self.posts[post].row.as_mut().expect("the row is there")
    }

    /// The posts that have a row, with it.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &Row)> {
        let posts = self.posts.iter().enumerate();
        posts.filter_map(|(number, post)| Some((number, post.row.as_ref()?)))
    }

    /// A new time for a post: one that waits is due then.
    pub(crate) fn reschedule(&mut self, post: usize, scheduled: i64) {
        let row = self.row_mut(post);
        if row.status == Status::Pending && row.scheduled != scheduled {
            row.due = scheduled;
        }
        row.scheduled = scheduled;
        row.expires = None;
    }

    /// A person has it sent again, from the beginning.
    pub(crate) fn revive(&mut self, post: usize) {
        let at = self.schedule(0);
        let row = self.row_mut(post);
        row.status = Status::Pending;
        (row.scheduled, row.due, row.expires) = (at, at, None);
        (row.attempts, row.checkpoint) = (0, None);
        row.history.push("pending".to_owned());
    }

    /// A person says what became of one in doubt, after a look at the platform.
    pub(crate) fn resolve(&mut self, post: usize) {
        if self.posts[post].live == 0 {
            return self.revive(post);
        }
        let row = self.row_mut(post);
        row.status = Status::Published;
        row.permalink = Some(found_by_person(post));
        (row.checkpoint, row.error_class) = (None, None);
        row.history.push("published".to_owned());
    }

    /// What a claim would take now, and what it is to do with it, in the order in which it goes out.
    pub(crate) fn due(&self) -> Vec<(usize, Action)> {
        let at = self.glance();
        let mut queue: Vec<Candidate> = self
            .rows()
            .filter_map(|(number, row)| self.candidate(number, row, at))
            .collect();
        queue.sort_by_key(|it| (it.scheduled, it.post));
        // Each owner's first, then each one's second: within a priority and a class of lateness.
        for place in 0..queue.len() {
            let it = &queue[place];
            let earlier = queue[..place].iter().filter(|other| {
                (other.priority, other.class, other.owner) == (it.priority, it.class, it.owner)
            });
            queue[place].turn = earlier.count();
        }
        queue.sort_by_key(|it| (-it.priority, it.class, it.turn, it.scheduled, it.post));
        queue.iter().map(|it| (it.post, it.action)).collect()
    }

    /// Whether a living run publishes for the account.
    fn is_held(&self, account: usize, at: i64) -> bool {
        let lives = |row: &Row| row.lease.is_some_and(|lease| lease >= at);
        self.rows().any(|(_, row)| {
            row.account == account && row.status == Status::Publishing && lives(row)
        })
    }

    fn candidate(&self, post: usize, row: &Row, at: i64) -> Option<Candidate> {
        let is_open = self.accounts[row.account].is_open(at);
        let is_free = !self.is_held(row.account, at);
        let action = match row.status {
            Status::Pending if row.due <= at && row.end() <= at => Action::Expire,
            Status::Pending if row.due <= at && is_open && is_free => Action::Publish,
            Status::Publishing if row.lease.is_some_and(|lease| lease < at) => Action::Recover,
            Status::Unconfirmed if row.due <= at && is_open => Action::Recover,
            _ => return None,
        };
        let late = at - row.scheduled;
        let classes = [5 * MINUTE, HOUR, DAY, 7 * DAY];
        Some(Candidate {
            post,
            action,
            priority: row.priority,
            class: classes.iter().filter(|limit| late > **limit).count(),
            owner: ACCOUNTS[row.account].0,
            scheduled: row.scheduled,
            turn: 0,
        })
    }
}

/// A post that may be claimed.
struct Candidate {
    post: usize,
    action: Action,
    priority: i64,
    class: usize,
    owner: &'static str,
    scheduled: i64,
    turn: usize,
}

/// Where the platform shows a post.
pub(crate) fn seen_at(post: usize) -> String {
    format!("https://platform.example/{post}")
}

/// Where a person found it.
pub(crate) fn found_by_person(post: usize) -> String {
    format!("https://person.example/{post}")
}
