//! Kill points: the real binary is killed at every boundary that can be seen from outside, with its journal kept or
//! lost, and the runs that follow publish each post exactly once.
//!
//! Then at random places, while the platforms misbehave. `PUBLISHER_KILL_ROUNDS` (10) says in how many rounds, and
//! `PUBLISHER_KILL_SEED` (1) which; a failure names the seed of its round, which alone repeats it with one round:
//!
//! ```text
//! PUBLISHER_KILL_ROUNDS=200 PUBLISHER_KILL_SEED=1000 cargo test --test kill random
//! ```

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use support::dice::{Dice, asked_for};
use support::files;
use support::proxy::{Act, Gate, Passing, Proxy, Way, gate, opens};
use support::story::{PUBLISHING, Story, claims, commits, count, is_last_request, updates};

/// How much of the bytes at a boundary arrives before the kill.
#[derive(Clone, Copy, Debug)]
enum Share {
    None,
    Half,
    All,
}

/// A place on a wire.
struct Boundary {
    name: String,
    share: Share,
    is_here: Box<dyn Fn(&Passing<'_>) -> bool + Send>,
}

fn boundary(
    name: impl Into<String>,
    share: Share,
    is_here: impl Fn(&Passing<'_>) -> bool + Send + 'static,
) -> Boundary {
    let (name, is_here) = (name.into(), Box::new(is_here));
    Boundary {
        name,
        share,
        is_here,
    }
}

impl Boundary {
    /// Makes the wire stand still there, the first time that it is reached.
    fn arm(self, proxy: &Proxy) -> Gate {
        let (gate, then) = gate();
        let mut then = Some(then);
        let Self { share, is_here, .. } = self;
        proxy.decide(move |passing| {
            if !is_here(passing) {
                return Act::Pass;
            }
            match (then.take(), share) {
                (None, _) => Act::Pass,
                (Some(then), Share::None) => Act::Cut(0, then),
                (Some(then), Share::Half) => Act::Cut(passing.chunk.len() / 2, then),
                (Some(then), Share::All) => Act::PassThen(then),
            }
        });
        gate
    }
}

/// What is said to PostgreSQL and by it, in the order of a run.
fn on_the_database() -> Vec<Boundary> {
    use Share::{All, Half, None};
    vec![
        sent("connecting", None, opens),
        answered("connected", All, |wire| {
            wire.back.ends_with(b"Z\0\0\0\x05I")
        }),
        sent("claim half-sent", Half, claims),
        sent("claim sent", All, claims),
        answered("claim half-answered", Half, claims),
        answered("claim answered", All, claims),
        sent("claim's COMMIT not sent", None, |wire| commits(wire) == 1),
        sent("claim's COMMIT sent", All, |wire| commits(wire) == 1),
        answered("claim acknowledged", All, |wire| commits(wire) == 1),
        sent("outcomes journaled", None, |wire| updates(wire) == 1),
        sent("first UPDATE half-sent", Half, |wire| updates(wire) == 1),
        sent("first UPDATE sent", All, |wire| updates(wire) == 1),
        sent("second UPDATE sent", All, |wire| updates(wire) == 2),
        sent("run's row sent", All, |wire| {
            count(wire.out, b"\"finished_at\":") == 1
        }),
        sent("COMMIT not sent", None, |wire| commits(wire) == 2),
        sent("COMMIT sent", All, |wire| commits(wire) == 2),
        answered("COMMIT acknowledged", All, |wire| commits(wire) == 2),
        sent("journal removed", None, |wire| {
            wire.chunk.ends_with(b"X\0\0\0\x04")
        }),
    ]
}

fn sent(name: &str, share: Share, is_here: fn(&Passing<'_>) -> bool) -> Boundary {
    boundary(name, share, move |wire| {
        wire.way == Way::Out && is_here(wire)
    })
}

fn answered(name: &str, share: Share, is_here: fn(&Passing<'_>) -> bool) -> Boundary {
    boundary(name, share, move |wire| {
        wire.way == Way::Back && is_here(wire)
    })
}

/// What is said to the platforms and by them.
fn on_the_platforms() -> Vec<Boundary> {
    let first = boundary("first journal line written", Share::None, |wire| {
        opens(wire)
    });
    let each = PUBLISHING.iter().flat_map(|&(platform, line)| {
        let place = |what: &str, way, share| {
            boundary(format!("{platform}: {what}"), share, move |wire| {
                wire.way == way && is_last_request(wire.out, platform, line)
            })
        };
        [
            place("request not sent", Way::Out, Share::None),
            place("request half-sent", Way::Out, Share::Half),
            place("request sent", Way::Back, Share::None),
            place("reply half-read", Way::Back, Share::Half),
            place("reply read", Way::Back, Share::All),
        ]
    });
    std::iter::once(first).chain(each).collect()
}

impl Story {
    /// Kills a run at this boundary.
    fn kill_at(&self, gate: Gate, name: &str) {
        let mut run = self.start();
        assert!(gate.is_reached(), "{name}: the run never came there");
        if name == "first journal line written" {
            // Each wave has its own.
            assert!(self.journals() >= 1);
        }
        run.kill().unwrap();
        run.wait().unwrap();
        gate.open();
        self.heal();
    }

    /// Every boundary of this wire, with the journal kept and with it lost.
    fn every(&self, boundaries: fn() -> Vec<Boundary>, proxy: &Proxy) {
        for lost in [false, true] {
            for boundary in boundaries() {
                let what = format!("{}, journal lost: {lost}", boundary.name);
                let name = boundary.name.clone();
                self.begin();
                self.kill_at(boundary.arm(proxy), &name);
                if lost {
                    self.lose_journal();
                }
                self.make_up();
                self.published_once(&what);
            }
        }
    }
}

#[test]
fn a_run_killed_on_its_way_to_or_from_postgres_is_made_up_for() {
    let story = Story::postgres();
    story.every(on_the_database, story.database.as_ref().unwrap());
}

#[test]
fn a_drain_killed_on_its_way_to_or_from_postgres_is_made_up_for() {
    let story = Story::postgres().drained();
    story.every(on_the_database, story.database.as_ref().unwrap());
}

#[test]
fn a_drain_killed_on_its_way_to_or_from_a_platform_is_made_up_for() {
    let story = Story::sqlite().drained();
    story.every(on_the_platforms, &story.platforms);
}

#[test]
fn a_run_killed_on_its_way_to_or_from_a_platform_is_made_up_for_with_postgres() {
    let story = Story::postgres();
    story.every(on_the_platforms, &story.platforms);
}

#[test]
fn a_run_killed_on_its_way_to_or_from_a_platform_is_made_up_for_with_sqlite() {
    let story = Story::sqlite();
    story.every(on_the_platforms, &story.platforms);
}

/// SQLite has no wire: the lock that the commit needs is held instead.
#[test]
fn a_run_killed_between_its_last_outcome_and_the_commit_is_made_up_for() {
    let story = Story::sqlite();
    let world = &story.world;
    for lost in [false, true] {
        story.begin();
        let first = boundary("first connection", Share::All, opens);
        let gate = first.arm(&story.platforms);
        let mut run = story.start();
        assert!(gate.is_reached());
        let mut connection = world.block_on(async {
            SqliteConnection::connect(&world.database_url)
                .await
                .unwrap()
        });
        let lock = sqlx::raw_sql("BEGIN IMMEDIATE");
        world.block_on(async { lock.execute(&mut connection).await.unwrap() });
        gate.open();
        world.await_until("every outcome is journaled", |world| {
            let journals = files::contents(&world.path("state/journal"));
            let text: String = journals
                .iter()
                .map(|(_, content)| String::from_utf8_lossy(content))
                .collect();
            text.lines()
                .skip(1)
                .filter(|line| line.contains("\"entry\":{") && line.contains("permalink"))
                .count()
                >= 5
        });
        run.kill().unwrap();
        run.wait().unwrap();
        world.block_on(async { connection.close().await.unwrap() });
        assert_eq!(world.statuses(), "publishing 5");
        if lost {
            story.lose_journal();
        }
        story.make_up();
        story.published_once(&format!("journal lost: {lost}"));
    }
}

/// By then the database knows, and the rest is tidying up.
#[test]
fn a_run_killed_once_its_journal_is_removed_has_done_its_work() {
    let story = Story::sqlite();
    story.begin();
    let first = boundary("first connection", Share::All, opens);
    let gate = first.arm(&story.platforms);
    let mut run = story.start();
    assert!(gate.is_reached());
    assert_eq!(story.journals(), 1);
    gate.open();
    let began = std::time::Instant::now();
    while story.journals() > 0 && began.elapsed() < Duration::from_secs(20) {
        std::hint::spin_loop();
    }
    // It may have ended by itself; a kill then changes nothing.
    run.kill().unwrap();
    run.wait().unwrap();
    story.published_once("journal removed");
}

/// A place on either wire after so many chunks.
fn somewhere(dice: &mut Dice, chunks: u64) -> [Boundary; 2] {
    let share = match dice.below(3) {
        0 => Share::None,
        1 => Share::Half,
        _ => Share::All,
    };
    let left = Arc::new(AtomicU64::new(dice.below(chunks)));
    [Arc::clone(&left), left].map(|left| {
        boundary("somewhere", share, move |_| {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_err()
        })
    })
}

impl Story {
    /// Kills a run at a random place, unless it ends before it comes there; then `false`.
    fn kill_somewhere(&self, dice: &mut Dice) -> bool {
        let [on_platforms, on_database] = somewhere(dice, 200);
        let mut gates = vec![on_platforms.arm(&self.platforms)];
        gates.extend(self.database.as_ref().map(|proxy| on_database.arm(proxy)));
        let mut run = self.start();
        let was_alive = loop {
            if gates
                .iter()
                .any(|gate| gate.is_reached_within(Duration::from_millis(5)))
            {
                break true;
            }
            if run.try_wait().unwrap().is_some() {
                break false;
            }
        };
        run.kill().unwrap();
        run.wait().unwrap();
        gates.into_iter().for_each(Gate::open);
        self.heal();
        was_alive
    }

    /// Rounds of two kills each, while answers get lost and connections break.
    fn is_killed_at_random(&self) {
        let rounds = asked_for("PUBLISHER_KILL_ROUNDS", 10);
        let first = asked_for("PUBLISHER_KILL_SEED", 1);
        let mut kills = 0;
        for seed in first..first + rounds {
            let mut dice = Dice::of(seed);
            self.begin();
            // A try that was killed counts, and giving up is another story.
            self.world.execute("UPDATE posts SET max_attempts = 100");
            // Where both would strike, the first does: the other way round there would be no resets.
            self.world
                .faults(&["*:reset:10%", "*:500-after-accept:20%"]);
            for _ in 0..2 {
                kills += u64::from(self.kill_somewhere(&mut dice));
                if dice.below(2) == 0 {
                    self.lose_journal();
                }
                self.world.let_time_pass();
            }
            self.world.faults(&[]);
            self.make_up();
            self.published_once(&format!("PUBLISHER_KILL_SEED={seed}"));
        }
        assert!(
            kills >= rounds / 2,
            "too few runs were killed: {kills} in {rounds} rounds"
        );
    }
}

#[test]
fn runs_killed_at_random_are_made_up_for_with_postgres() {
    Story::postgres_of(4).is_killed_at_random();
}

#[test]
fn drains_killed_at_random_are_made_up_for() {
    Story::postgres_of(4).drained().is_killed_at_random();
    Story::sqlite_of(4).drained().is_killed_at_random();
}

#[test]
fn runs_killed_at_random_are_made_up_for_with_sqlite() {
    Story::sqlite_of(4).is_killed_at_random();
}
