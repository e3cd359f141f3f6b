//! Disks that are full: no file grows beyond some size, which stands for that on any machine.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use chrono::TimeDelta;

use super::{in_shell, journals};
use crate::support::clock::ShiftedClock;
use crate::support::world::{Ended, World, post};

const POSTS: u32 = 12;
/// Longer than a run waits for a database that takes nothing, and shorter than its lease.
const PATIENCE: TimeDelta = TimeDelta::seconds(65);

/// The run, none of whose files grows beyond so many times 512 bytes.
fn with_disk_of(world: &World, blocks: u32, clock: Option<&ShiftedClock>) -> Child {
    let mut plain = world.publisher(&["run", "--cap", "slack=2"]);
    if let Some(clock) = clock {
        clock.on(&mut plain);
    }
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut run = in_shell(&plain, &script);
    run.stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn seed(world: &World, accounts: &[i64]) {
    world.execute("DELETE FROM posts; DELETE FROM runs");
    world.block_on(world.sandbox.reset());
    world.due(accounts.iter().map(|account| post(*account, "hi")));
}

fn accounts(world: &World) -> Vec<i64> {
    (0..POSTS)
        .map(|n| world.account("slack", n, "alder"))
        .collect()
}

fn all_published(world: &World, what: &str) {
    let found = (
        world.statuses(),
        world.stat("/published"),
        world.stat("/duplicates"),
        journals(world),
    );
    let right = (format!("published {POSTS}"), i64::from(POSTS), 0, 0);
    assert_eq!(found, right, "{what}");
}

#[test]
fn a_journal_that_can_not_grow_keeps_no_post_from_going_out() {
    let world = World::postgres();
    let accounts = accounts(&world);
    let (mut from_the_beginning, mut in_the_middle) = (0, 0);
    for blocks in [0, 1, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24] {
        seed(&world, &accounts);
        let run = with_disk_of(&world, blocks, None);
        let run = Ended::from(run.wait_with_output().unwrap()).exits(0);
        all_published(&world, &format!("{blocks} blocks: {run:?}"));
        from_the_beginning += u32::from(run.stderr.contains("no journal can be kept"));
        in_the_middle += u32::from(run.stderr.contains("this run goes on without it"));
    }
    assert!(
        from_the_beginning > 1 && in_the_middle > 1,
        "{from_the_beginning} {in_the_middle}"
    );
}

#[test]
fn a_database_that_can_not_grow_loses_nothing() {
    let world = World::sqlite();
    let accounts = accounts(&world);
    let mut codes = std::collections::BTreeMap::<i32, u32>::new();
    // From nothing at all up to enough for everything.
    for blocks in [
        0, 1, 40, 64, 65, 70, 80, 90, 100, 110, 120, 140, 160, 200, 300, 400,
    ] {
        seed(&world, &accounts);
        let clock = ShiftedClock::new(world.path("clock"));
        let mut run = with_disk_of(&world, blocks, Some(&clock));
        // Where the outcomes can't be recorded it waits for long, unless its clock says that it has.
        let mut stderr = String::new();
        let mut lines = BufReader::new(run.stderr.take().unwrap());
        while lines.read_line(&mut stderr).unwrap() > 0 {
            if stderr.contains("can't be recorded yet") {
                clock.shift(PATIENCE, PATIENCE);
            }
        }
        let mut stdout = String::new();
        run.stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        let code = run.wait().unwrap().code().unwrap();
        let what = format!("{blocks} blocks: exit code {code}: {stderr}");
        *codes.entry(code).or_default() += 1;
        match code {
            0 => all_published(&world, &what),
            74 => {
                assert_eq!(
                    (world.stat("/published"), journals(&world)),
                    (i64::from(POSTS), 1),
                    "{what}"
                );
                assert!(
                    stderr.contains("the next run records them from its journal"),
                    "{what}"
                );
                assert_eq!(world.statuses(), format!("publishing {POSTS}"), "{what}");
            }
            75 => {
                assert_eq!(
                    (world.stat("/requests"), journals(&world)),
                    (0, 0),
                    "{what}"
                );
                assert_eq!(world.statuses(), format!("pending {POSTS}"), "{what}");
            }
            _ => panic!("{what}"),
        }
        // With space again it is as if nothing had been.
        world.run(&[]).exits(0);
        all_published(&world, &what);
    }
    assert!(
        [0, 74, 75].iter().all(|code| codes.contains_key(code)),
        "{codes:?}"
    );
}
