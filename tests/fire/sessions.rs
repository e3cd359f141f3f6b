//! Other sessions are in the way: conflicts, deadlocks, locks.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::between::{
    CLAIM_WAITS, Running, Session, WAITS, all, between, outcomes, the_next_run_records,
};
use crate::support::story::Story;
use crate::support::world::Ended;

/// A trigger that fails the first statements that give a post this status, and the claim or the commit with them.
fn fail_first(story: &Story, status: &str, sqlstate: &str, times: u32) {
    // What a sequence has counted is not rolled back.
    story.world.execute(&format!(
        "CREATE SEQUENCE public.fire;
         CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.status = '{status}' AND nextval('public.fire') <= {times} THEN
                 RAISE 'not now' USING ERRCODE = '{sqlstate}';
             END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER fire BEFORE UPDATE ON publisher.posts FOR EACH ROW EXECUTE FUNCTION public.fire()"
    ));
}

#[test]
fn a_conflict_is_tried_again_within_the_run() {
    let cases = [
        ("publishing", "40001", CLAIM_WAITS),
        ("publishing", "40P01", CLAIM_WAITS),
        ("published", "40001", WAITS),
        ("published", "40P01", WAITS),
    ];
    all(&cases, |&(status, sqlstate, says)| {
        let story = Story::postgres();
        story.begin();
        fail_first(&story, status, sqlstate, 3);
        let run = Running::start(&story).ends().exits(0);
        assert_eq!(run.stderr.matches(says).count(), 3, "{run:?}");
        story.published_once(&format!("{status} {sqlstate}"));
    });
}

#[test]
fn a_claim_that_never_gets_through_sends_nothing() {
    let story = Story::postgres();
    story.begin();
    fail_first(&story, "publishing", "40001", 1_000_000);
    let run = Running::start(&story).ends().exits(75);
    assert_eq!(story.world.stat("/requests"), 0);
    assert!(run.stderr.contains("not now [40001]"), "{run:?}");
    story
        .world
        .execute("DROP FUNCTION public.fire CASCADE; DROP SEQUENCE public.fire");

    // What an application's trigger says against it is no bug of publisher's.
    fail_first(&story, "publishing", "P0001", 1_000_000);
    let run = Running::start(&story).ends().exits(78);
    assert_eq!(story.world.stat("/requests"), 0);
    assert!(run.stderr.contains("not now [P0001]"), "{run:?}");
    story.world.execute("DROP FUNCTION public.fire CASCADE");
    story.make_up();
    story.published_once("a claim that never got through");
}

#[test]
fn a_commit_that_a_deadlock_ends_is_tried_again() {
    let story = Story::postgres();
    story.begin();
    let world = &story.world;
    let ids = world.rows("SELECT id::text FROM posts ORDER BY id");
    let (first, last) = (&ids[0], &ids[4]);
    let mut other = None;
    let mut run = between(&story, |_| {
        // The other session never is the one that gives way.
        let sql = format!(
            "SET deadlock_timeout = '1h'; BEGIN; UPDATE publisher.posts SET priority = 1 WHERE id = {last}"
        );
        other = Some(Session::begin(world, &sql));
    });
    world.await_until("the commit waits for the last row", |world| {
        let waiting = "SELECT 1::text FROM pg_stat_activity WHERE application_name = 'publisher'
                       AND datname = current_database() AND wait_event_type = 'Lock'";
        !world.rows(waiting).is_empty()
    });
    let mut other = other.unwrap();
    other.execute(&format!(
        "UPDATE publisher.posts SET priority = 1 WHERE id = {first}; COMMIT"
    ));
    run.says("[40P01]", 1);
    run.ends().exits(0);
    story.published_once("a deadlock");
}

/// Whatever the server's default is: runs and an application's writes at once.
#[test]
fn a_strict_default_isolation_fails_no_run() {
    all(&["serializable", "repeatable read"], |level| {
        let story = Story::postgres_of(4);
        let world = &story.world;
        let database = world.database_url.rsplit('/').next().unwrap();
        world.execute(&format!(
            "ALTER DATABASE {database} SET default_transaction_isolation = '{level}'"
        ));
        story.begin();
        assert_eq!(world.value("SHOW default_transaction_isolation"), *level);
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let session = Session::begin(
                    world,
                    "SET default_transaction_isolation = 'read committed'; CREATE TABLE public.writes (n bigint)",
                );
                let mut session = session;
                // One row at a time: with more the session could be the one that loses a deadlock.
                for n in (0..20).cycle() {
                    session.execute(&format!(
                        "UPDATE publisher.posts SET priority = 1 - priority WHERE id % 20 = {n}"
                    ));
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let limited = || {
                let mut run = story.publisher(&["--limit", "5"]);
                run.output().unwrap()
            };
            let runs: Vec<_> = (0..4).map(|_| scope.spawn(limited)).collect();
            for run in runs {
                Ended::from(run.join().unwrap()).exits(0);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        // What a run found locked it left to the others.
        story.make_up();
        story.published_once(level);
    });
}

const LOCK: &str = "BEGIN; LOCK TABLE publisher.posts IN ACCESS EXCLUSIVE MODE";

#[test]
fn a_table_that_is_locked_for_a_while_is_waited_for() {
    all(&[CLAIM_WAITS, WAITS], |&says| {
        let story = Story::postgres();
        story.begin();
        let mut lock = None;
        let mut run = if says == CLAIM_WAITS {
            lock = Some(Session::begin(&story.world, LOCK));
            Running::start(&story)
        } else {
            between(&story, |_| lock = Some(Session::begin(&story.world, LOCK)))
        };
        run.says(says, 1);
        assert!(run.said().contains("[55P03]"), "{}", run.said());
        drop(lock);
        run.ends().exits(0);
        story.published_once(says);
    });
}

pub(crate) fn a_table_that_is_locked_for_good_at_the_commit() {
    let story = Story::postgres();
    story.begin();
    let mut lock = None;
    let run = between(&story, |_| lock = Some(Session::begin(&story.world, LOCK)));
    let run = run.ends().exits(74);
    assert!(run.stderr.contains("[55P03]"), "{run:?}");
    assert_eq!(outcomes(&run), 5, "{run:?}");
    drop(lock);
    the_next_run_records(&story, "locked at the commit");
}

pub(crate) fn a_table_that_is_locked_for_good_at_the_claim() {
    let story = Story::postgres();
    story.begin();
    let lock = Session::begin(&story.world, LOCK);
    let run = Running::start(&story).ends().exits(75);
    assert!(run.stderr.contains("[55P03]"), "{run:?}");
    assert_eq!(story.world.stat("/requests"), 0);
    drop(lock);
    story.make_up();
    story.published_once("locked at the claim");
}

pub(crate) fn a_row_that_is_locked_for_good_holds_back_no_other() {
    let story = Story::postgres();
    story.begin();
    let mut lock = None;
    let run = between(&story, |_| {
        let one = "BEGIN; SELECT FROM publisher.posts WHERE id = (SELECT max(id) FROM publisher.posts) FOR UPDATE";
        lock = Some(Session::begin(&story.world, one));
    });
    let run = run.ends().exits(74);
    assert_eq!(outcomes(&run), 1, "{run:?}");
    assert_eq!(story.world.statuses(), "published 4, publishing 1");
    drop(lock);
    the_next_run_records(&story, "one row locked");
}

#[test]
fn a_commit_that_is_canceled_is_tried_again() {
    let story = Story::postgres();
    story.begin();
    let mut lock = None;
    let mut run = between(&story, |_| lock = Some(Session::begin(&story.world, LOCK)));
    story.world.await_until("it is canceled", |world| {
        let canceled = world.rows(
            "SELECT pg_cancel_backend(pid)::text FROM pg_stat_activity WHERE application_name = 'publisher'
             AND datname = current_database() AND wait_event_type = 'Lock'",
        );
        !canceled.is_empty()
    });
    run.says("[57014]", 1);
    drop(lock);
    run.ends().exits(0);
    story.published_once("canceled");
}
