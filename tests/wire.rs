//! A hostile wire: whatever becomes of the bytes between a run and its database or platforms, it ends in time, says the
//! truth in its exit code, sends nothing twice, and loses nothing once the wire is sound again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::postgres::free_port;
use support::proxy::{Act, Passing, Proxy, Way, opens};
use support::story::{Story, claims, commits, is_publishing, updates};
use support::world::{Ended, ended};

/// The longest that a machine under load adds to any of this.
const GRACE: Duration = Duration::from_secs(12);
/// The time budget, and a request that began within it.
const BUDGET: Duration = Duration::from_secs(3 + 2);
/// How long the store waits for a connection, and for a transaction.
const CONNECT: Duration = Duration::from_secs(10);
const TRANSACTION: Duration = Duration::from_secs(40);
/// How long a commit is tried.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the wire does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Resets,
    SwallowsAll,
    SwallowsOnce,
    Trickles,
    HalfCloses,
    CutsInHalf,
}

impl Does {
    fn act(self, wire: &Passing<'_>) -> Act {
        match self {
            Self::Resets => Act::Reset,
            Self::SwallowsAll => Act::BlackHole,
            Self::SwallowsOnce => Act::Swallow,
            Self::Trickles => Act::Trickle(Duration::from_millis(1)),
            Self::HalfCloses => Act::HalfClose,
            Self::CutsInHalf => Act::Cut(wire.chunk.len() / 2, Box::new(|| {})),
        }
    }
}

type Place = fn(&Passing<'_>) -> bool;

/// The beginning of a connection, and the first bytes that come back on it.
const CONNECTING: Place =
    |wire| opens(wire) || wire.way == Way::Back && wire.back.len() == wire.chunk.len();
const CLAIM: Place = |wire| wire.way == Way::Out && claims(wire) && commits(wire) == 0;
const CLAIMED: Place = |wire| wire.way == Way::Back && claims(wire) && commits(wire) == 0;
const UPDATE: Place = |wire| wire.way == Way::Out && updates(wire) == 1;
const COMMIT: Place = |wire| wire.way == Way::Out && commits(wire) == 2;
const COMMITTED: Place = |wire| wire.way == Way::Back && commits(wire) == 2;
const REQUEST: Place = |wire| wire.way == Way::Out && is_publishing(wire.out);
const REPLY: Place = |wire| wire.way == Way::Back && is_publishing(wire.out);

/// How often the wire is broken there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Always,
}

impl Times {
    /// What it returns says whether the wire was broken yet.
    fn break_wire(self, proxy: &Proxy, place: Place, does: Does) -> Arc<AtomicBool> {
        let broken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&broken);
        proxy.decide(move |wire| {
            if !place(wire) || self == Self::Once && flag.load(Ordering::Relaxed) {
                return Act::Pass;
            }
            flag.store(true, Ordering::Relaxed);
            does.act(wire)
        });
        broken
    }
}

/// A story whose requests have two seconds.
fn story() -> Story {
    let story = Story::postgres();
    let file = "request_timeout = \"2s\"\nupload_timeout = \"2s\"\n";
    std::fs::write(story.world.path("publisher.toml"), file).unwrap();
    story.begin();
    story
}

/// A run with a budget of three seconds and the usual exit codes.
const RUN: [&str; 2] = ["--time-budget", "3s"];

fn start(mut publisher: Command) -> Child {
    publisher.stdout(Stdio::piped()).stderr(Stdio::piped());
    publisher.spawn().unwrap()
}

/// How it ends, which it does in time.
fn in_time(run: Child, within: Duration, what: &str) -> Ended {
    let began = Instant::now();
    let run = ended(run);
    let took = began.elapsed();
    assert!(took < within + GRACE, "{what}: it took {took:?}: {run:?}");
    run
}

/// Mends the wire; afterwards every post is live once.
fn nothing_is_lost(story: &Story, what: &str) {
    story.heal();
    story.make_up();
    story.published_once(what);
}

/// Runs the cases at once: most of their time is waiting.
fn all<T: Sync>(cases: &[T], case: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for each in cases {
            scope.spawn(|| case(each));
        }
    });
}

#[test]
fn a_database_that_is_not_reached_ends_the_run_before_anything_is_sent() {
    use Does::{CutsInHalf, HalfCloses, Resets, SwallowsAll, SwallowsOnce};
    let cases = [
        ("connecting", CONNECTING, Resets, CONNECT),
        ("connecting", CONNECTING, SwallowsAll, CONNECT),
        ("connecting", CONNECTING, SwallowsOnce, CONNECT),
        ("connecting", CONNECTING, HalfCloses, CONNECT),
        ("claim", CLAIM, Resets, BUDGET),
        ("claim", CLAIM, SwallowsAll, TRANSACTION),
        ("claim", CLAIM, SwallowsOnce, TRANSACTION),
        ("claim", CLAIM, HalfCloses, BUDGET),
        ("claim", CLAIM, CutsInHalf, BUDGET),
        ("claim's answer", CLAIMED, Resets, BUDGET),
        ("claim's answer", CLAIMED, CutsInHalf, BUDGET),
        ("claim's answer", CLAIMED, HalfCloses, BUDGET),
    ];
    all(&cases, |&(name, place, does, within)| {
        let what = format!("{name}: {does:?}");
        let story = story();
        let broken = Times::Always.break_wire(story.database.as_ref().unwrap(), place, does);
        let run = in_time(start(story.publisher(&RUN)), within, &what);
        assert!(
            broken.load(Ordering::Relaxed),
            "{what}: it never came there"
        );
        assert_eq!(run.code, 75, "{what}: {run:?}");
        assert!(run.stderr.contains("127.0.0.1"), "{what}: {run:?}");
        assert_eq!(story.world.stat("/requests"), 0, "{what}");
        nothing_is_lost(&story, &what);
    });
}

#[test]
fn a_database_that_refuses_connections_ends_the_run_before_anything_is_sent() {
    let story = story();
    let mut publisher = story.publisher(&RUN);
    let nobody = format!("postgres://postgres@127.0.0.1:{}/none", free_port());
    publisher.env("DATABASE_URL", nobody);
    in_time(start(publisher), BUDGET, "refused").exits(75);
    assert_eq!(story.world.stat("/requests"), 0);
    nothing_is_lost(&story, "refused");
}

#[test]
fn a_commit_whose_wire_breaks_goes_through_on_another() {
    use Does::{CutsInHalf, HalfCloses, Resets, SwallowsOnce, Trickles};
    let cases = [
        ("first UPDATE", UPDATE, Resets, BUDGET),
        ("first UPDATE", UPDATE, CutsInHalf, BUDGET),
        ("first UPDATE", UPDATE, Trickles, TRANSACTION),
        ("COMMIT", COMMIT, Resets, BUDGET),
        ("COMMIT", COMMIT, HalfCloses, BUDGET),
        ("COMMIT", COMMIT, SwallowsOnce, BUDGET + TRANSACTION),
        ("COMMIT's answer", COMMITTED, Resets, BUDGET),
        ("COMMIT's answer", COMMITTED, CutsInHalf, BUDGET),
        (
            "COMMIT's answer",
            COMMITTED,
            SwallowsOnce,
            BUDGET + TRANSACTION,
        ),
    ];
    all(&cases, |&(name, place, does, within)| {
        let what = format!("{name}: {does:?}");
        let story = story();
        let broken = Times::Once.break_wire(story.database.as_ref().unwrap(), place, does);
        let run = in_time(start(story.publisher(&RUN)), within, &what);
        assert!(
            broken.load(Ordering::Relaxed),
            "{what}: it never came there"
        );
        assert_eq!(run.code, 0, "{what}: {run:?}");
        // Nothing is left to be made up for.
        story.published_once(&what);
        assert_eq!(
            story
                .world
                .value("SELECT exit_code || ' ' || published FROM runs"),
            "0 5",
            "{what}"
        );
    });
}

#[test]
fn a_database_that_stays_away_at_the_end_leaves_the_journal() {
    let story = story();
    let mut gone = false;
    let wire = story.database.as_ref().unwrap();
    wire.decide(move |wire| {
        gone |= updates(wire) > 0;
        if gone { Act::Reset } else { Act::Pass }
    });
    let run = in_time(start(story.publisher(&RUN)), BUDGET + PATIENCE, "gone").exits(74);
    assert!(
        run.stderr
            .contains("the next run records them from its journal"),
        "{run:?}"
    );
    let rows = run.stderr.lines().filter(|line| line.starts_with('{'));
    assert_eq!((rows.count(), story.journals()), (5, 1), "{run:?}");
    story.heal();
    let requests = story.world.stat("/requests");
    Ended::from(story.publisher(&RUN).output().unwrap()).exits(0);
    story.published_once("gone");
    assert_eq!(
        story.world.stat("/requests"),
        requests,
        "the journal was enough"
    );
}

#[test]
fn a_platform_whose_wire_breaks_costs_time_alone() {
    use Does::{CutsInHalf, HalfCloses, Resets, SwallowsAll, SwallowsOnce, Trickles};
    let cases = [
        ("connecting", CONNECTING, Resets),
        ("connecting", CONNECTING, SwallowsAll),
        ("connecting", CONNECTING, SwallowsOnce),
        ("connecting", CONNECTING, Trickles),
        ("connecting", CONNECTING, HalfCloses),
        ("request", REQUEST, Resets),
        ("request", REQUEST, SwallowsAll),
        ("request", REQUEST, SwallowsOnce),
        ("request", REQUEST, Trickles),
        ("request", REQUEST, HalfCloses),
        ("request", REQUEST, CutsInHalf),
        ("reply", REPLY, Resets),
        ("reply", REPLY, SwallowsAll),
        ("reply", REPLY, SwallowsOnce),
        ("reply", REPLY, Trickles),
        ("reply", REPLY, HalfCloses),
        ("reply", REPLY, CutsInHalf),
    ];
    all(&cases, |&(name, place, does)| {
        let what = format!("{name}: {does:?}");
        let story = story();
        let broken = Times::Always.break_wire(&story.platforms, place, does);
        let run = in_time(start(story.publisher(&RUN)), BUDGET, &what);
        assert!(
            broken.load(Ordering::Relaxed),
            "{what}: it never came there"
        );
        let statuses = story.world.statuses();
        assert!(
            !statuses.contains("publishing") && !statuses.contains("failed"),
            "{what}: {statuses}"
        );
        let expected = i32::from(statuses.contains("unconfirmed"));
        assert_eq!(run.code, expected, "{what}: {statuses}: {run:?}");
        nothing_is_lost(&story, &what);
    });
}

/// What surely was not sent is not in doubt.
#[test]
fn platforms_that_refuse_connections_are_tried_later() {
    let story = story();
    let mut publisher = story.publisher(&RUN);
    publisher.env(
        "PUBLISHER_SANDBOX",
        format!("http://127.0.0.1:{}/", free_port()),
    );
    in_time(start(publisher), BUDGET, "refused").exits(0);
    assert_eq!(story.world.statuses(), "pending 5");
    nothing_is_lost(&story, "refused");
}
