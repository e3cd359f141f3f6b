//! Which move comes next, by chance, of those that are possible.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use proptest_state_machine::ReferenceStateMachine;

use super::life::{ACCOUNTS, DAY, HOUR, MINUTE, RUNS, State, Status};
use super::moves::{DEAD, Move, POSTS, Refusal, Step};
use super::runs::Stage;

/// What a person or an application decides about a post.
type Decision = fn(usize) -> Move;

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
    let steps = steps(state, run);
    let commit = if steps.is_empty() { 4 } else { 1 };
    if !steps.is_empty() {
        moves.push((8, select(steps).boxed()));
    }
    let renewal = Move::Renew { run };
    if renewal.is_possible(state) {
        moves.push((2, Just(renewal).boxed()));
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
        // The worst time to die is when nobody but the platform knows.
        let posts = state.runs[run].iter().flat_map(|run| &run.posts);
        let mut stages = posts.map(|held| &held.stage);
        let is_in_doubt = stages.any(|stage| matches!(stage, Stage::Sent { .. } | Stage::Live));
        moves.push((if is_in_doubt { 4 } else { 1 }, deaths.boxed()));
    }
    moves
}

/// What a run can do next.
fn steps(state: &State, run: usize) -> Vec<Move> {
    let posts = state.runs[run].iter().flat_map(|run| &run.posts);
    let steps = posts.enumerate().flat_map(|(place, held)| {
        let next = choices().into_iter().filter(|step| step.is_next(held));
        next.map(move |step| Move::Step { run, place, step })
    });
    steps.collect()
}

/// All steps; the likelier ones more than once.
fn choices() -> Vec<Step> {
    let limit = |minutes, whole| Step::Refuse(Refusal::Limit { minutes, whole });
    vec![
        Step::Send { arrives: true },
        Step::Send { arrives: true },
        Step::Send { arrives: true },
        Step::Send { arrives: false },
        Step::Finish,
        Step::Hear,
        Step::LoseAnswer,
        Step::LookUp { tells: true },
        Step::LookUp { tells: true },
        Step::LookUp { tells: false },
        Step::Refuse(Refusal::Later),
        Step::Refuse(Refusal::Never),
        Step::Refuse(Refusal::Login),
        limit(5, false),
        limit(90, true),
        Step::Process {
            minutes: 1,
            goes_on: true,
        },
        Step::Process {
            minutes: 3,
            goes_on: false,
        },
    ]
}
