//! A model of the life of a post: applications, people and several runs in any order, against a reference that knows
//! nothing of databases. After every move each row is the reference's; at the end all heals, and every post that the
//! platform has is published, none is lost and none is doubled.
//!
//! `PUBLISHER_MODEL_CASES` (200 on SQLite, 150 on PostgreSQL) says how many cases, and `PUBLISHER_MODEL_SEED` (1)
//! which. A failure shows the shortest moves that lead to it, and the seed, which alone repeats it with one case:
//!
//! ```text
//! PUBLISHER_MODEL_CASES=10000 PUBLISHER_MODEL_SEED=1000 cargo test --test model
//! ```

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "model/bench.rs"]
mod bench;
#[path = "model/chance.rs"]
mod chance;
#[path = "model/checks.rs"]
mod checks;
#[path = "model/hand.rs"]
mod hand;
#[path = "model/life.rs"]
mod life;
#[path = "model/moves.rs"]
mod moves;
#[path = "model/runs.rs"]
mod runs;
#[path = "model/system.rs"]
mod system;

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use bench::Bench;
use checks::{Found, promises, same, settled};
use life::{State, Told};
use moves::Move;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use support::database::Backend;
use system::System;
use tokio::runtime::{Builder, Runtime};

/// A case has up to so many moves before it heals.
const MOVES: usize = 40;
/// Healing takes fewer than this, or it never ends.
const HEALING: usize = 500;

#[test]
fn every_order_of_events_on_sqlite_leads_to_what_is_promised() {
    cases(Backend::Sqlite, 200);
}

#[test]
fn every_order_of_events_on_postgres_leads_to_what_is_promised() {
    cases(Backend::Postgres, 150);
}

fn asked(name: &str, usual: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the tests asks for more"
    )]
    let asked = std::env::var(name);
    asked.map_or(usual, |asked| asked.parse().unwrap())
}

fn cases(backend: Backend, usual: u64) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let bench = RefCell::new(runtime.block_on(Bench::new(backend)));
    let first = asked("PUBLISHER_MODEL_SEED", 1);
    for seed in first..first + asked("PUBLISHER_MODEL_CASES", usual) {
        let config = Config {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: 1_000,
            ..Config::default()
        };
        let moves = State::sequential_strategy(1..=MOVES);
        let ended = TestRunner::new(config).run(&moves, |(state, moves, seen)| {
            let count = || {
                if let Some(seen) = &seen {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            };
            case(&runtime, &mut bench.borrow_mut(), state, &moves, count)
                .map_err(TestCaseError::fail)
        });
        match ended {
            Ok(()) => {}
            Err(TestError::Fail(why, (_, moves, _))) => {
                panic!("{}", story(seed, &why.to_string(), &moves))
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
}

/// How it came about, a line for each move.
fn story(seed: u64, why: &str, moves: &[Move]) -> String {
    let moves: Vec<String> = moves.iter().map(|next| format!("  {next:?}")).collect();
    format!(
        "PUBLISHER_MODEL_SEED={seed}: after\n{}\n{why}",
        moves.join("\n")
    )
}

fn case(
    runtime: &Runtime,
    bench: &mut Bench,
    mut state: State,
    moves: &[Move],
    seen: impl Fn(),
) -> Result<(), String> {
    runtime.block_on(async {
        let mut system = System::new(bench).await;
        for next in moves {
            seen();
            take(&mut system, &mut state, next).await?;
        }
        let mut healing = Vec::new();
        while let Some(next) = state.healing() {
            healing.push(format!("{next:?}"));
            let taken = match healing.len() {
                HEALING => Err("it does not end".to_owned()),
                _ => take(&mut system, &mut state, &next).await,
            };
            let healing = healing.join(", ");
            taken.map_err(|why| format!("while it healed ({healing}): {why}"))?;
        }
        let found = Found::read(system.bench).await;
        settled(&system, &found, &state)
    })
}

/// One move, and what must hold after it.
async fn take(system: &mut System<'_>, state: &mut State, next: &Move) -> Result<(), String> {
    let before = state.clone();
    let expected = state.make(next);
    let told = system.make(next, &before).await;
    let found = Found::read(system.bench).await;
    let checked = promises(system, &found, &before, state)
        .and_then(|()| same::<Told>("told", &told, &expected))
        .and_then(|()| found.is(state));
    checked.map_err(|why| format!("{next:?}\n{why}"))
}
