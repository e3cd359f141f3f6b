//! Standard streams that are closed, full, or read by nobody.

use std::process::{Command, Stdio};

use super::{in_shell, journals};
use crate::support::world::{Ended, World, post};

/// What a shell does to the streams, and whether the summary that `--json` prints is lost where somebody asked for it.
const STREAMS: [(&str, bool); 9] = [
    (">&-", false),
    ("2>&-", false),
    ("<&-", false),
    (">&- 2>&-", false),
    ("<&- >&- 2>&-", false),
    (">/dev/full", true),
    ("2>/dev/full", false),
    (">/dev/full 2>/dev/full", true),
    (">/dev/full 2>&-", true),
];
const FLAGS: [&[&str]; 3] = [&[], &["--json"], &["--json", "-vv"]];

/// Seeds one post that is fine, and perhaps one that fails.
fn seed(world: &World, account: i64, fails: bool) {
    world.execute("DELETE FROM posts; DELETE FROM runs");
    world.block_on(world.sandbox.reset());
    world.due([post(account, "fine")]);
    if fails {
        world.due([post(account, "[[reject]] me")]);
    }
}

/// The work was done and recorded, whatever became of the words about it.
fn is_done(world: &World, fails: bool, what: &str) {
    let statuses = if fails {
        "failed 1, published 1"
    } else {
        "published 1"
    };
    let exit_code = world.value("SELECT CAST(exit_code AS TEXT) FROM runs");
    let found = (
        world.statuses(),
        world.stat("/published"),
        exit_code,
        journals(world),
    );
    let right = (statuses.to_owned(), 1, i32::from(fails).to_string(), 0);
    assert_eq!(found, right, "{what}");
}

#[test]
fn a_run_does_its_work_whatever_its_streams_are() {
    let world = World::sqlite();
    let account = world.account_in_a_hurry();
    for fails in [false, true] {
        for (streams, summary_is_lost) in STREAMS {
            for flags in FLAGS {
                seed(&world, account, fails);
                let arguments = [&["run"], flags].concat();
                let script = format!("exec \"$0\" \"$@\" {streams}");
                let run = in_shell(&world.publisher(&arguments), &script)
                    .output()
                    .unwrap();
                let what = format!("run {flags:?} {streams}, one fails: {fails}: {run:?}");
                is_done(&world, fails, &what);
                let lost = summary_is_lost && flags.contains(&"--json");
                assert_eq!(run.status.code(), Some(i32::from(fails || lost)), "{what}");
                let run = Ended::from(run);
                if lost && !streams.contains('2') {
                    assert!(
                        run.stderr
                            .contains("publisher: the summary can't be written to stdout"),
                        "{what}"
                    );
                }
                if fails && !streams.contains('2') {
                    assert!(run.stderr.contains(") failed: "), "{what}");
                }
            }
        }
    }
}

impl World {
    /// An account whose posts needn't keep their distance.
    fn account_in_a_hurry(&self) -> i64 {
        let settings = "[platforms.slack]\nspacing = \"0s\"\n";
        std::fs::write(self.path("publisher.toml"), settings).unwrap();
        self.account("slack", 1, "alder")
    }
}

/// As after `| head -0`: a pipe whose reader is gone.
fn nobody_reads() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn a_run_does_its_work_when_nobody_reads_what_it_says() {
    let world = World::sqlite();
    let account = world.account_in_a_hurry();
    for fails in [false, true] {
        for flags in FLAGS {
            for (gone, streams) in [("stdout", 1), ("stderr", 2), ("both", 3)] {
                seed(&world, account, fails);
                let mut run = world.publisher(&[&["run"], flags].concat());
                let stream = |number: i32| {
                    if streams & number > 0 {
                        nobody_reads()
                    } else {
                        Stdio::null()
                    }
                };
                let status = run.stdout(stream(1)).stderr(stream(2)).status().unwrap();
                let what = format!("run {flags:?} without {gone}: {status}");
                is_done(&world, fails, &what);
                assert_eq!(status.code(), Some(i32::from(fails)), "{what}");
            }
        }
    }
}

/// What can't be recorded is said; what can't be said either is in the journal, and the exit code stays true.
#[test]
fn a_full_output_does_not_hide_that_nothing_was_recorded() {
    let world = World::sqlite();
    let account = world.account_in_a_hurry();
    seed(&world, account, false);
    // Nothing of the commit is ever taken.
    world.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no row for you'); END; \
         CREATE TRIGGER refuse_too BEFORE UPDATE ON posts WHEN new.status = 'published' \
         BEGIN SELECT RAISE(ABORT, 'no post for you'); END",
    );
    let plain = world.publisher(&["run", "--json"]);
    let run: Ended = in_shell(&plain, "exec \"$0\" \"$@\" >/dev/full")
        .output()
        .unwrap()
        .into();
    let run = run.exits(74);
    assert!(
        run.stderr
            .contains("the summary can't be written to stdout"),
        "{run:?}"
    );
    assert!(run.stderr.contains("no post for you"), "{run:?}");
    assert!(
        run.stderr.contains("\"status\":\"published\""),
        "the outcome itself: {run:?}"
    );
}

#[test]
fn a_list_that_can_not_be_written_is_an_error_and_one_that_is_not_read_is_none() {
    let world = World::sqlite();
    let account = world.account_in_a_hurry();
    world.due((0..3_000).map(|n| {
        post(
            account,
            &format!("post {n} of a list longer than any pipe holds"),
        )
    }));
    let list = |flags: &[&str]| -> Command {
        world.publisher(&[&["posts", "list", "--limit", "3000"], flags].concat())
    };
    for flags in [&[][..], &["--json"]] {
        let full = in_shell(&list(flags), "exec \"$0\" \"$@\" >/dev/full")
            .output()
            .unwrap();
        let full = Ended::from(full).exits(1);
        assert!(full.stderr.contains("No space left on device"), "{full:?}");
        let closed = in_shell(&list(flags), "exec \"$0\" \"$@\" >&-")
            .output()
            .unwrap();
        assert_eq!(Ended::from(closed).exits(0).stderr, "");
        for redirection in ["2>&-", "2>/dev/full"] {
            let script = format!("exec \"$0\" \"$@\" {redirection}");
            let listed = in_shell(&list(flags), &script).output().unwrap();
            assert!(Ended::from(listed).exits(0).stdout.contains("post 2999"));
        }
        let unread = list(flags).stdout(nobody_reads()).output().unwrap();
        assert_eq!(Ended::from(unread).exits(0).stderr, "");
        let head = in_shell(&list(flags), "\"$0\" \"$@\" | head -1")
            .output()
            .unwrap();
        assert_eq!(Ended::from(head).exits(0).stderr, "");
    }
}
