//! A signal comes while a run waits for its database at the end.

use crate::between::{Running, Session, WAITS, all, between, outcomes, the_next_run_records};
use crate::support::proxy::Act;
use crate::support::story::{Story, updates};
use crate::support::world::signal;

const SAYS: &str = "the outcomes are still to be recorded";

/// From the commit on nothing reaches the database.
fn cut(story: &Story) {
    let mut is_gone = false;
    story.database.as_ref().unwrap().decide(move |wire| {
        is_gone |= updates(wire) > 0;
        if is_gone { Act::Reset } else { Act::Pass }
    });
}

fn first_signal(story: &Story, name: &str) -> Running {
    cut(story);
    let mut run = Running::start(story);
    run.says(WAITS, 1);
    signal(&run.child, name);
    run.says(SAYS, 1);
    run
}

#[test]
fn the_first_does_not_keep_it_from_recording() {
    all(&["TERM", "INT"], |name| {
        let story = Story::postgres();
        story.begin();
        let run = first_signal(&story, name);
        story.heal();
        run.ends().exits(0);
        story.published_once(name);
    });
}

#[test]
fn the_second_ends_it_with_a_journal() {
    let story = Story::postgres();
    story.begin();
    let run = first_signal(&story, "TERM");
    signal(&run.child, "TERM");
    let run = run.ends().exits(74);
    assert!(
        run.stderr
            .contains("a signal ended the waiting for the database); the next run records"),
        "{run:?}"
    );
    assert_eq!(outcomes(&run), 5, "{run:?}");
    the_next_run_records(&story, "two signals");
}

/// Neither is SQLite's own waiting an obstacle.
#[test]
fn the_first_may_come_while_the_posts_go_out() {
    let story = Story::sqlite();
    story.begin();
    let mut lock = None;
    let mut run = between(&story, |run| {
        lock = Some(Session::begin(&story.world, "BEGIN IMMEDIATE"));
        signal(&run.child, "INT");
    });
    story.world.await_until("it ends", |_| {
        let has_ended = run.child.try_wait().unwrap().is_some();
        if !has_ended {
            signal(&run.child, "INT");
        }
        has_ended
    });
    let run = run.ends().exits(74);
    assert_eq!((outcomes(&run), story.journals()), (5, 1), "{run:?}");
    drop(lock);
    story.heal();
    story.make_up();
    story.published_once("a lock and signals");
}
