//! Commit under fire: what becomes of a run whose database is away, refuses rows, is locked, read-only, full or another
//! one when the outcomes are to be recorded, or the posts to be claimed. The wire itself is broken in `wire.rs`.
//!
//! Each case says how the run ends, what a person reads, that no post goes out twice, and that nothing is lost once the
//! database is sound again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "fire/between.rs"]
mod between;
#[path = "fire/failover.rs"]
mod failover;
#[path = "fire/file.rs"]
mod file;
#[path = "fire/rows.rs"]
mod rows;
#[path = "fire/server.rs"]
mod server;
#[path = "fire/sessions.rs"]
mod sessions;
#[path = "fire/signals.rs"]
mod signals;

/// Those that wait for half a minute or a whole one. By its name it begins first, and goes on beside the others.
#[test]
fn all_that_takes_its_time() {
    between::at_once(&[
        ("comes back", server::one_that_comes_back_is_waited_for),
        (
            "table, commit",
            sessions::a_table_that_is_locked_for_good_at_the_commit,
        ),
        (
            "table, claim",
            sessions::a_table_that_is_locked_for_good_at_the_claim,
        ),
        (
            "row",
            sessions::a_row_that_is_locked_for_good_holds_back_no_other,
        ),
        (
            "file, locked for long",
            file::a_lock_is_waited_for_beyond_the_busy_timeout,
        ),
        (
            "file, locked at the commit",
            file::a_lock_for_good_at_the_commit_leaves_the_journal,
        ),
        (
            "file, locked at the claim",
            file::a_lock_for_good_at_the_claim_sends_nothing,
        ),
        (
            "file, moved",
            file::one_that_is_gone_for_good_leaves_the_journal,
        ),
        ("failover", failover::a_standby_takes_over),
        (
            "copy",
            file::a_copy_from_before_the_claim_learns_what_was_sent,
        ),
        (
            "refused for ever",
            rows::those_that_are_refused_for_ever_keep_no_later_run_from_publishing,
        ),
    ]);
}
