//! SQLite: the file is locked, moved, replaced, or can't grow.

use std::process::Command;
use std::time::Duration;

use crate::between::{
    IN_DOUBT, Running, Session, WAITS, between, between_as, outcomes, the_next_run_records,
};
use crate::support::story::Story;

fn story() -> Story {
    let story = Story::sqlite();
    story.begin();
    story
}

const LOCK: &str = "BEGIN IMMEDIATE";

#[test]
fn a_lock_of_a_second_is_no_news() {
    let story = story();
    let mut lock = None;
    let run = between(&story, |_| lock = Some(Session::begin(&story.world, LOCK)));
    // The second itself is what is told of here.
    std::thread::sleep(Duration::from_secs(1));
    drop(lock);
    let run = run.ends().exits(0);
    assert_eq!(run.stderr, "");
    story.published_once("a lock of a second");
}

pub(crate) fn a_lock_is_waited_for_beyond_the_busy_timeout() {
    let story = story();
    let mut lock = None;
    let mut run = between(&story, |_| lock = Some(Session::begin(&story.world, LOCK)));
    run.says(WAITS, 1);
    assert!(run.said().contains("locked"), "{}", run.said());
    drop(lock);
    run.ends().exits(0);
    story.published_once("a long lock");
}

pub(crate) fn a_lock_for_good_at_the_commit_leaves_the_journal() {
    let story = story();
    let mut lock = None;
    let run = between(&story, |_| lock = Some(Session::begin(&story.world, LOCK)));
    let run = run.ends().exits(74);
    assert!(
        run.stderr.contains("publisher.db: database is locked"),
        "{run:?}"
    );
    assert_eq!(outcomes(&run), 5, "{run:?}");
    drop(lock);
    the_next_run_records(&story, "locked for good");
}

pub(crate) fn a_lock_for_good_at_the_claim_sends_nothing() {
    let story = story();
    let lock = Session::begin(&story.world, LOCK);
    let run = Running::start(&story).ends().exits(75);
    assert!(
        run.stderr.contains("publisher.db: database is locked"),
        "{run:?}"
    );
    assert_eq!(story.world.stat("/requests"), 0);
    drop(lock);
    story.make_up();
    story.published_once("locked at the claim");
}

/// Moves the file and what belongs to it.
fn rename(story: &Story, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let (from, to) = (format!("{from}{end}"), format!("{to}{end}"));
        if story.world.path(&from).exists() {
            std::fs::rename(story.world.path(&from), story.world.path(&to)).unwrap();
        }
    }
}

#[test]
fn one_that_was_moved_is_waited_for() {
    let story = story();
    let mut run = between(&story, |_| rename(&story, "publisher.db", "elsewhere"));
    run.says(WAITS, 1);
    assert!(
        run.said().contains("was moved or removed"),
        "{}",
        run.said()
    );
    rename(&story, "elsewhere", "publisher.db");
    run.ends().exits(0);
    story.published_once("moved and put back");
}

pub(crate) fn one_that_is_gone_for_good_leaves_the_journal() {
    let story = story();
    let run = between(&story, |_| rename(&story, "publisher.db", "elsewhere"));
    let run = run.ends().exits(74);
    assert!(run.stderr.contains("was moved or removed"), "{run:?}");
    assert_eq!(outcomes(&run), 5, "{run:?}");
    // Nor is an empty one made in its place.
    assert!(!story.world.path("publisher.db").exists());
    rename(&story, "elsewhere", "publisher.db");
    the_next_run_records(&story, "moved");
}

/// A copy from before the claim takes its place: what is live, or may be, must not go out again from there.
pub(crate) fn a_copy_from_before_the_claim_learns_what_was_sent() {
    for is_in_doubt in [false, true] {
        let story = story();
        if is_in_doubt {
            story.world.faults(&IN_DOUBT);
        }
        let copy = story.world.path("copy");
        story
            .world
            .execute(&format!("VACUUM INTO '{}'", copy.display()));
        let run = between(&story, |_| {
            rename(&story, "publisher.db", "old");
            rename(&story, "copy", "publisher.db");
            assert_eq!(story.world.statuses(), "pending 5");
        });
        let run = run.ends().exits(i32::from(is_in_doubt));
        assert!(run.stderr.contains("another file is at"), "{run:?}");
        let expected = if is_in_doubt {
            "published 4, unconfirmed 1"
        } else {
            "published 5"
        };
        assert_eq!(story.world.statuses(), expected, "{run:?}");
        let attempts = "SELECT DISTINCT CAST(attempts AS TEXT) FROM posts";
        assert_eq!(story.world.value(attempts), "1");
        story.world.faults(&[]);
        story.heal();
        story.make_up();
        story.published_once("a copy");
    }
}

/// As on a disk that is full for a moment.
#[test]
fn one_that_can_not_grow_is_waited_for() {
    let story = story();
    let publisher = story.publisher(&[]);
    // Else the system ends a process that writes beyond its limit.
    let mut patient = Command::new("sh");
    patient
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(publisher.get_program())
        .args(publisher.get_args())
        .env_clear()
        .envs(
            publisher
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(story.world.dir.path());
    let limit = |run: &Running, size: &str| {
        let done = Command::new("prlimit")
            .arg(format!("--pid={}", run.child.id()))
            .arg(format!("--fsize={size}:"))
            .status();
        assert!(done.unwrap().success());
    };
    let mut run = between_as(&story, patient, |run| {
        let log = std::fs::metadata(story.world.path("publisher.db-wal")).unwrap();
        limit(run, &log.len().to_string());
    });
    run.says(WAITS, 1);
    limit(&run, "unlimited");
    run.ends().exits(0);
    story.published_once("it could not grow");
}
