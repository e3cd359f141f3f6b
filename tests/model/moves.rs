//! What can happen next, and to whom.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;
use publisher::post::Action;

use super::life::{
    ACCOUNTS, Account, DAY, HOUR, Heard, MINUTE, NEVER, Post, RUNS, Row, Standing, State, Status,
    Told,
};
use super::runs::{Held, Stage};

/// At most so many posts.
const POSTS: usize = 8;
/// At most so many journals of dead runs before one is replayed: more add nothing.
const DEAD: usize = 4;

/// What a person or an application decides about a post.
type Decision = fn(usize) -> Move;

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
    fn is_next(self, held: &Held) -> bool {
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

    /// All of them; the likelier ones more than once.
    fn all() -> Vec<Self> {
        let limit = |minutes, whole| Self::Refuse(Refusal::Limit { minutes, whole });
        vec![
            Self::Send { arrives: true },
            Self::Send { arrives: true },
            Self::Send { arrives: true },
            Self::Send { arrives: false },
            Self::Finish,
            Self::Hear,
            Self::LoseAnswer,
            Self::LookUp { tells: true },
            Self::LookUp { tells: true },
            Self::LookUp { tells: false },
            Self::Refuse(Refusal::Later),
            Self::Refuse(Refusal::Never),
            Self::Refuse(Refusal::Login),
            limit(5, false),
            limit(90, true),
            Self::Process {
                minutes: 1,
                goes_on: true,
            },
            Self::Process {
                minutes: 3,
                goes_on: false,
            },
        ]
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

    fn steps(&self, run: usize) -> Vec<Move> {
        let posts = self.runs[run].iter().flat_map(|run| &run.posts);
        let steps = posts.enumerate().flat_map(|(place, held)| {
            let next = Step::all().into_iter().filter(|step| step.is_next(held));
            next.map(move |step| Move::Step { run, place, step })
        });
        steps.collect()
    }
}

impl ReferenceStateMachine for State {
    type State = Self;
    type Transition = Move;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::new()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Move> {
        let mut moves = vec![(3, waits().boxed())];
        if state.posts.len() < POSTS {
            moves.push((6, adds().boxed()));
        }
        let posts: Vec<usize> = state.rows().map(|(post, _)| post).collect();
        if !posts.is_empty() {
            let whole = posts.clone();
            let edits = (select(posts), any::<u32>());
            moves.push((
                1,
                edits
                    .prop_map(|(post, body)| Move::Edit { post, body })
                    .boxed(),
            ));
            let times = (select(whole), -60..=3_000_i64);
            let reschedule = |(post, in_minutes)| Move::Reschedule { post, in_minutes };
            moves.push((2, times.prop_map(reschedule).boxed()));
        }
        let decisions: [(u32, Status, Decision); 8] = [
            (1, Status::Pending, |post| Move::Cancel { post }),
            (1, Status::Pending, |post| Move::Delete { post }),
            (1, Status::Publishing, |post| Move::Seize { post }),
            (2, Status::Failed, |post| Move::Retry { post }),
            (2, Status::Expired, |post| Move::Retry { post }),
            (2, Status::Canceled, |post| Move::Retry { post }),
            (2, Status::Unconfirmed, |post| Move::Resolve { post }),
            (2, Status::Unconfirmed, |post| Move::Reschedule {
                post,
                in_minutes: 30,
            }),
        ];
        for (weight, status, decision) in decisions {
            let posts = state.rows().filter(|(_, row)| row.status == status);
            let posts = posts.map(|(post, _)| decision(post));
            let possible: Vec<Move> = posts.filter(|it| it.is_possible(state)).collect();
            if !possible.is_empty() {
                moves.push((weight, select(possible).boxed()));
            }
        }
        let standing = (0..ACCOUNTS.len(), any::<bool>());
        let standing = standing.prop_map(|(account, disabled)| Move::Account { account, disabled });
        moves.push((1, standing.boxed()));
        for run in 0..RUNS {
            moves.extend(of_run(state, run));
        }
        // Without dead ones it must leave alone those that live.
        let replays = if state.dead.is_empty() { 1 } else { 6 };
        moves.push((replays, Just(Move::Replay).boxed()));
        Union::new_weighted(moves).boxed()
    }

    fn apply(mut state: Self, next: &Move) -> Self {
        state.make(next);
        state
    }

    fn preconditions(state: &Self, next: &Move) -> bool {
        next.is_possible(state)
    }
}

fn adds() -> impl Strategy<Value = Move> {
    let when = prop_oneof![6 => -20..=5_i64, 2 => 5..=90_i64, 1 => -12_000..=-1_000_i64];
    let expires_after = prop_oneof![3 => Just(None), 1 => (5..=60_i64).prop_map(Some)];
    let fields = (0..ACCOUNTS.len(), when, expires_after, 0..=1_i64, 1..=3_u32);
    fields.prop_map(
        |(account, in_minutes, expires_after, priority, max_attempts)| Move::Add {
            account,
            in_minutes,
            expires_after,
            priority,
            max_attempts,
        },
    )
}

fn waits() -> impl Strategy<Value = Move> {
    let minutes = prop_oneof![
        5 => 1..=8_i64,
        4 => 14..=20_i64,
        2 => 30..=(4 * HOUR / MINUTE),
        1 => (DAY / MINUTE)..=(3 * DAY / MINUTE),
    ];
    minutes.prop_map(|minutes| Move::Wait { minutes })
}

fn of_run(state: &State, run: usize) -> Vec<(u32, BoxedStrategy<Move>)> {
    if state.runs[run].is_none() {
        let weight = if state.due().is_empty() { 1 } else { 4 };
        let claims = (1..=5_usize).prop_map(move |limit| Move::Claim { run, limit });
        return vec![(weight, claims.boxed())];
    }
    let mut moves = Vec::new();
    let steps = state.steps(run);
    let commit = if steps.is_empty() { 4 } else { 1 };
    if !steps.is_empty() {
        moves.push((8, select(steps).boxed()));
    }
    let commits = proptest::bool::weighted(0.3);
    let commits = commits.prop_map(move |unheard| Move::Commit { run, unheard });
    moves.push((commit, commits.boxed()));
    if state.dead.len() < DEAD {
        let deaths = (proptest::bool::weighted(0.2), proptest::bool::weighted(0.4));
        let deaths = deaths.prop_map(move |(committed, journal_lost)| Move::Die {
            run,
            committed,
            journal_lost,
        });
        moves.push((1, deaths.boxed()));
    }
    moves
}
