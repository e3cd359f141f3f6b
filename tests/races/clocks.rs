//! Hosts whose clocks disagree, on one database: its clock decides what is due, how late it is, and whose lease ended.

use std::process::{Child, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use publisher::store::instant;

use crate::support::clock::ShiftedClock;
use crate::support::world::{Ended, World, ended, post};

const ACCOUNTS: u32 = 40;
const DUE: usize = 120;

/// A host whose clock says so much more.
fn host(world: &World, shift: TimeDelta) -> Child {
    let clock = ShiftedClock::new(world.path(&format!("clock of {shift}")));
    clock.shift(shift, TimeDelta::zero());
    let mut command = world.publisher(&[
        "run",
        "--json",
        "--fail-on",
        "none",
        "--limit",
        "45",
        "--cap",
        "slack=4",
        "--time-budget",
        "2s",
    ]);
    clock.on(&mut command);
    // A host of its own has a state directory of its own.
    command.env(
        "PUBLISHER_STATE_DIR",
        world.path(&format!("state of {shift}")),
    );
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The database's clock, which is this machine's true one.
fn now() -> DateTime<Utc> {
    publisher::schedule::Clock::host().now()
}

/// One host with the true time and one with another, run after run, until nothing is left to do.
fn two_hosts(shift: TimeDelta) {
    let world = World::postgres();
    let accounts: Vec<i64> = (0..ACCOUNTS)
        .map(|n| world.account("slack", n, &format!("owner {}", n % 5)))
        .collect();
    let account = |n: usize| accounts[n % accounts.len()];
    let at = |time: TimeDelta| instant(now() + time);
    let due: Vec<i64> = world.due((0..DUE).map(|n| {
        let ago = TimeDelta::seconds(i64::try_from(n % 50).unwrap());
        post(account(n), &format!("due {n}")).with("scheduled_at", at(-ago))
    }));
    // Due by a clock that is fast.
    let early = world.due((0..20).map(|n| {
        let ahead = TimeDelta::seconds(110 + i64::try_from(n).unwrap() * 3000);
        post(account(n), &format!("early {n}")).with("scheduled_at", at(ahead))
    }));
    // Another host is publishing these; by a clock that is fast its lease has ended.
    let leased = world.due((0..5).map(|n| post(account(n), &format!("leased {n}"))));
    let theirs = uuid::Uuid::new_v4();
    world.execute(&format!(
        "UPDATE posts SET status = 'publishing', claim = '{theirs}', attempts = 1, lease_until = '{}' WHERE id IN ({})",
        at(TimeDelta::seconds(115)), list(&leased)
    ));
    // One that is too late by the true time alone, and one that is by a fast clock alone.
    let [too_late, in_time] = [-24 * 60 - 2, -24 * 60 + 20].map(|minutes| {
        let post = post(account(0), &format!("{minutes} minutes"));
        // First of all: whatever the others cost on a slow machine, these two are reached.
        let post = post.with("priority", 1);
        world.due([post.with("scheduled_at", at(TimeDelta::minutes(minutes)))])[0]
    });
    // Some are in doubt and looked up later, others are put off.
    world.faults(&["slack:429:retry-after=90:7%", "slack:500-after-accept:5%"]);

    for _ in 0..3 {
        let runs = [TimeDelta::zero(), shift].map(|shift| host(&world, shift));
        let [right, wrong] = runs.map(ended);
        hears_of_no_skew(&right);
        if wrong.json()["due"] != 0 {
            hears_of(&wrong, shift);
        }
    }

    let statuses = |ids: &[i64]| {
        let sql = format!(
            "SELECT DISTINCT status FROM posts WHERE id IN ({}) ORDER BY status",
            list(ids)
        );
        world.rows(&sql).join(" ")
    };
    assert_eq!(statuses(&early), "pending", "nothing goes out early");
    assert_eq!(statuses(&[too_late]), "expired");
    assert_ne!(statuses(&[in_time]), "expired");
    assert_eq!(statuses(&leased), "publishing", "no lease is stolen");
    let claims = world.rows(&format!(
        "SELECT DISTINCT claim::text FROM posts WHERE id IN ({})",
        list(&leased)
    ));
    assert_eq!(claims, [theirs.to_string()]);
    // What was written is written in the database's time: when it was published, and when it is tried again.
    let off = world.rows(&format!(
        "SELECT id::text FROM posts WHERE id IN ({}) AND NOT coalesce( \
           status = 'published' AND published_at BETWEEN now() - interval '2 min' AND now() \
           OR status = 'pending' AND history = '[]' \
           OR status IN ('pending', 'unconfirmed') AND due_at BETWEEN now() AND now() + interval '4 min', false)",
        list(&due)
    ));
    assert!(off.is_empty(), "{off:?}");
    // What was in doubt may have been found meanwhile; what was put off can't have gone out.
    let found = statuses(&due);
    assert!(found.starts_with("pending published"), "{found}");
    let blocks = world.rows(
        "SELECT DISTINCT (blocked_until BETWEEN now() AND now() + interval '95 s')::text \
                             FROM accounts WHERE blocked_until IS NOT NULL",
    );
    assert_eq!(blocks, ["true"]);
    let live = world
        .value("SELECT count(*)::text FROM posts WHERE status IN ('published', 'unconfirmed')");
    assert_eq!(
        (
            world.stat("/published").to_string(),
            world.stat("/duplicates")
        ),
        (live, 0)
    );
}

fn list(ids: &[i64]) -> String {
    ids.iter()
        .map(i64::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn hears_of(run: &Ended, shift: TimeDelta) {
    let told = "this machine's clock and the database's differ skew_seconds=";
    let skew = run.stderr.lines().find_map(|line| line.split_once(told));
    let (_, skew) = skew.unwrap_or_else(|| panic!("{run:?}"));
    // The database's answer takes its time, and so does a process on a machine that has others.
    let off = skew.parse::<i64>().unwrap() - shift.num_seconds().abs();
    assert!(off.abs() <= 10, "{run:?}");
}

fn hears_of_no_skew(run: &Ended) {
    assert!(!run.stderr.contains("skew"), "{run:?}");
}

#[test]
fn a_host_two_minutes_fast_keeps_to_the_databases_clock() {
    two_hosts(TimeDelta::seconds(120));
}

#[test]
fn a_host_two_minutes_slow_keeps_to_the_databases_clock() {
    two_hosts(TimeDelta::seconds(-120));
}

#[test]
fn a_host_a_day_fast_keeps_to_the_databases_clock() {
    two_hosts(TimeDelta::days(1));
}

#[test]
fn a_host_a_day_slow_keeps_to_the_databases_clock() {
    two_hosts(TimeDelta::days(-1));
}

/// A clock that is set while a run is under way, as NTP does at boot, makes nothing go out twice or get lost.
#[test]
fn a_clock_that_jumps_during_a_run_loses_nothing() {
    for shift in [TimeDelta::days(1), TimeDelta::days(-1)] {
        let world = World::postgres();
        world.faults(&["slack:hang:1"]);
        world.due((0..6).map(|n| post(world.account("slack", n, "alder"), &format!("post {n}"))));
        let clock = ShiftedClock::new(world.path("clock"));
        let mut command =
            world.publisher(&["run", "--json", "--cap", "slack=2", "--fail-on", "none"]);
        clock.on(&mut command);
        let run = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        world.await_until("posts are in flight", |world| world.stat("/requests") > 0);
        world.faults(&[]);
        clock.shift(shift, TimeDelta::zero());
        ended(run).exits(0);
        for _ in 0..3 {
            world.let_time_pass();
            world.run(&["--fail-on", "none"]).exits(0);
        }
        assert_eq!(world.statuses(), "published 6");
        assert_eq!(
            (world.stat("/published"), world.stat("/duplicates")),
            (6, 0)
        );
    }
}
