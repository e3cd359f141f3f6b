//! What can happen next, and to whom.

use publisher::post::Action;

use super::life::{Account, Heard, MINUTE, NEVER, Post, Row, Standing, State, Status, Told};
use super::runs::{Held, Stage};

/// At most so many posts.
pub(crate) const POSTS: usize = 8;
/// At most so many journals of dead runs before one is replayed: more add nothing.
pub(crate) const DEAD: usize = 4;

/// One move, of whoever makes it.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// An application adds a post.
    Add {
        account: usize,
        in_minutes: i64,
        expires_after: Option<i64>,
        priority: i64,
        max_attempts: u32,
    },
    /// An application writes another text.
    Edit { post: usize, body: u32 },
    /// An application sets another time.
    Reschedule { post: usize, in_minutes: i64 },
    /// An application deletes a post that waits.
    Delete { post: usize },
    /// An application cancels a post that is being published, which it should not.
    Seize { post: usize },
    /// `posts cancel`.
    Cancel { post: usize },
    /// `posts retry`.
    Retry { post: usize },
    /// `posts resolve`, after a look at the platform.
    Resolve { post: usize },
    /// An account is disabled, or is well again.
    Account { account: usize, disabled: bool },
    /// Time passes.
    Wait { minutes: i64 },
    /// A run begins.
    Claim { run: usize, limit: usize },
    /// A run goes on with the post at that place of its claim.
    Step {
        run: usize,
        place: usize,
        step: Step,
    },
    /// A run that goes on renews its lease.
    Renew { run: usize },
    /// A run records its outcomes and ends. Its first answer may get lost: then it tries again.
    Commit { run: usize, unheard: bool },
    /// A run is killed, perhaps after its commit went through.
    Die {
        run: usize,
        committed: bool,
        journal_lost: bool,
    },
    /// A run records what dead ones left.
    Replay,
}

/// What a run does with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The platform refuses: it surely does not have it.
    Refuse(Refusal),
    /// Its media are being processed.
    Process { minutes: i64, goes_on: bool },
    /// The request that publishes leaves.
    Send { arrives: bool },
    /// The platform has accepted it; the run has more to ask of it.
    Hear,
    /// The platform has accepted it, and that is all.
    Finish,
    /// No answer comes.
    LoseAnswer,
    /// The platform is asked whether it has it.
    LookUp { tells: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Later,
    Never,
    Login,
    Limit { minutes: i64, whole: bool },
}

impl Step {
    /// Whether a run can do it with a post that it has got so far with.
    pub(crate) fn is_next(self, held: &Held) -> bool {
        match (self, held.action, &held.stage) {
            (Self::LookUp { .. }, Action::Recover, Stage::Ahead) => true,
            (_, Action::Recover | Action::Expire, _) | (Self::LookUp { .. }, ..) => false,
            (Self::Refuse(_), _, stage) => {
                matches!(stage, Stage::Ahead | Stage::Sent { arrived: false })
            }
            (Self::Process { .. } | Self::Send { .. }, _, stage) => *stage == Stage::Ahead,
            (Self::Hear, _, stage) => *stage == Stage::Sent { arrived: true },
            (Self::Finish, _, stage) => {
                matches!(stage, Stage::Sent { arrived: true } | Stage::Live)
            }
            (Self::LoseAnswer, _, stage) => matches!(stage, Stage::Sent { .. }),
        }
    }
}

impl Move {
    /// Whether it can happen.
    pub(crate) fn is_possible(&self, state: &State) -> bool {
        let is =
            |post: usize, wanted: Status| state.row(post).is_some_and(|row| row.status == wanted);
        let runs = |run: usize| state.runs[run].as_ref();
        match *self {
            Self::Add { .. } => state.posts.len() < POSTS,
            Self::Edit { post, .. } | Self::Reschedule { post, .. } => state.row(post).is_some(),
            Self::Cancel { post } | Self::Delete { post } => is(post, Status::Pending),
            Self::Seize { post } => is(post, Status::Publishing),
            Self::Retry { post } => {
                let over = state.row(post).is_some_and(|row| row.status.is_over());
                over && !state.posts[post].seized
            }
            Self::Resolve { post } => is(post, Status::Unconfirmed),
            Self::Account { .. } | Self::Wait { .. } | Self::Replay => true,
            Self::Claim { run, .. } => runs(run).is_none(),
            Self::Step { run, place, step } => runs(run)
                .and_then(|run| run.posts.get(place))
                .is_some_and(|held| step.is_next(held)),
            Self::Renew { run } => runs(run).is_some_and(|run| state.now < run.lease),
            Self::Commit { run, .. } => runs(run).is_some(),
            Self::Die { run, .. } => runs(run).is_some() && state.dead.len() < DEAD,
        }
    }
}

impl State {
    /// The move happens.
    pub(crate) fn make(&mut self, next: &Move) -> Told {
        match *next {
            Move::Add {
                account,
                in_minutes,
                expires_after,
                priority,
                max_attempts,
            } => {
                let scheduled = self.schedule(in_minutes);
                let row = Row {
                    account,
                    body: "first".to_owned(),
                    scheduled,
                    due: scheduled,
                    expires: expires_after.map(|minutes| scheduled + minutes * MINUTE),
                    priority,
                    status: Status::Pending,
                    attempts: 0,
                    max_attempts,
                    claim: None,
                    lease: None,
                    checkpoint: None,
                    error_class: None,
                    permalink: None,
                    history: Vec::new(),
                };
                self.posts.push(Post {
                    row: Some(row),
                    live: 0,
                    seized: false,
                });
            }
            Move::Edit { post, body } => self.row_mut(post).body = body.to_string(),
            Move::Reschedule { post, in_minutes } => {
                self.reschedule(post, self.schedule(in_minutes));
            }
            Move::Delete { post } => self.posts[post].row = None,
            Move::Seize { post } => {
                self.posts[post].seized = true;
                let row = self.row_mut(post);
                (row.status, row.lease) = (Status::Canceled, None);
            }
            Move::Cancel { post } => {
                let row = self.row_mut(post);
                row.status = Status::Canceled;
                row.history.push("canceled".to_owned());
            }
            Move::Retry { post } => self.revive(post),
            Move::Resolve { post } => self.resolve(post),
            Move::Account { account, disabled } => {
                self.accounts[account] = Account::WELL;
                if disabled {
                    self.accounts[account].standing = Standing::Disabled;
                }
            }
            Move::Wait { minutes } => self.now += minutes * MINUTE,
            Move::Claim { run, limit } => return self.claim(run, limit),
            Move::Step { run, place, step } => self.step(run, place, &step),
            Move::Renew { run } => self.renew(run),
            Move::Commit { run, unheard } => {
                let heard = self.commit(run);
                self.runs[run] = None;
                let again = unheard.then_some(Heard {
                    before: true,
                    lost: Vec::new(),
                });
                return Told::Committed([heard].into_iter().chain(again).collect());
            }
            Move::Die {
                run,
                committed,
                journal_lost,
            } => {
                if committed {
                    self.commit(run);
                }
                let run = self.runs[run].take().expect("the run is there");
                if run.has_journal() && !journal_lost {
                    self.dead.push(run);
                }
            }
            Move::Replay => return Told::Replayed(self.replay()),
        }
        Told::Nothing
    }

    /// What is to happen next if nothing more goes wrong; `None` once there is nothing to do.
    pub(crate) fn healing(&self) -> Option<Move> {
        let ill = |account: &Account| *account != Account::WELL;
        if let Some(account) = self.accounts.iter().position(ill) {
            let disabled = false;
            return Some(Move::Account { account, disabled });
        }
        if let Some(run) = self.runs.iter().position(Option::is_some) {
            return Some(self.going_on(run));
        }
        if !self.dead.is_empty() {
            return Some(Move::Replay);
        }
        if !self.due().is_empty() {
            return Some(Move::Claim {
                run: 0,
                limit: POSTS,
            });
        }
        let open = self.rows().filter_map(|(post, row)| match row.status {
            Status::Pending | Status::Unconfirmed => Some((row.due, post)),
            Status::Publishing => Some((row.lease?, post)),
            _ => None,
        });
        let (at, post) = open.max()?;
        if at == NEVER {
            return Some(Move::Resolve { post });
        }
        // To the minute in which, or after which, a claim finds them all.
        let minutes = ((at - self.now) / MINUTE).max(1);
        Some(Move::Wait { minutes })
    }

    /// What a run does that nothing disturbs.
    fn going_on(&self, run: usize) -> Move {
        let unheard = false;
        let posts = self.runs[run].iter().flat_map(|run| &run.posts);
        let mut open = posts.enumerate().filter(|(_, held)| !held.is_settled());
        let Some((place, held)) = open.next() else {
            return Move::Commit { run, unheard };
        };
        let step = match (held.action, &held.stage) {
            (Action::Recover, _) => Step::LookUp { tells: true },
            (_, Stage::Ahead) => Step::Send { arrives: true },
            (_, Stage::Sent { arrived: false }) => Step::LoseAnswer,
            (_, _) => Step::Finish,
        };
        Move::Step { run, place, step }
    }
}
