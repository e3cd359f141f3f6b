//! The journal: whatever kills a run, the next one knows what it had done.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};
use support::files;
use support::hostile::{Hostile, reply};
use support::world::{Ended, World, post, signal};

impl World {
    fn journals(&self) -> Vec<PathBuf> {
        files::listed(&self.path("state/journal"))
    }

    /// Posts of as many Slack accounts.
    fn slack_posts(&self, count: u32) -> Vec<i64> {
        let accounts: Vec<i64> = (0..count)
            .map(|n| self.account("slack", n, "alder"))
            .collect();
        self.due(accounts.iter().map(|account| post(*account, "hi")))
    }

    fn slack_is(&self, hostile: &Hostile) {
        self.slack_at(&hostile.url);
    }

    /// How many posts the journal says were sent or settled, beside what its first line says.
    fn noted(&self, status: &str) -> usize {
        let journal = self.journals().into_iter().next();
        let lines = journal.map(|path| lines(&path)).unwrap_or_default();
        let noted = lines.iter().skip(1);
        noted.filter(|line| line["row"]["status"] == status).count()
    }

    /// Kills a run with posts of Slack in flight that are live and unanswered; returns how many.
    fn killed_in_flight(&self) -> i64 {
        self.faults(&["slack:hang"]);
        let run = self.start(&["--cap", "slack=3"]);
        self.await_until("three posts are in flight", |world| {
            world.stat("/published") == 3
        });
        kill(run);
        self.faults(&[]);
        3
    }

    /// Holds the lock that a commit needs while `work` is done.
    fn with_commit_blocked<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.is_postgres() {
            let url = self.database_url.clone();
            let mut connection =
                self.block_on(async { PgConnection::connect(&url).await.unwrap() });
            let lock = "BEGIN; LOCK TABLE publisher.posts IN SHARE MODE";
            self.block_on(async { sqlx::raw_sql(lock).execute(&mut connection).await.unwrap() });
            let result = work();
            self.block_on(async { connection.close().await.unwrap() });
            result
        } else {
            let url = self.database_url.clone();
            let mut connection =
                self.block_on(async { SqliteConnection::connect(&url).await.unwrap() });
            let lock = "BEGIN IMMEDIATE";
            self.block_on(async { sqlx::raw_sql(lock).execute(&mut connection).await.unwrap() });
            let result = work();
            self.block_on(async { connection.close().await.unwrap() });
            result
        }
    }
}

/// What a journal's lines say; one that is still being written may lack its end.
fn lines(journal: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    whole
        .map(|line| serde_json::from_str(line.split_once(' ').unwrap().1).unwrap())
        .collect()
}

fn kill(mut run: Child) {
    signal(&run, "KILL");
    assert_eq!(run.wait().unwrap().code(), None, "it was killed");
}

on_both! {
    fn a_killed_run_costs_the_next_one_nothing_but_time(world: World) {
        world.slack_posts(10);
        let in_flight = world.killed_in_flight();
        assert_eq!(world.statuses(), "publishing 10");
        assert_eq!(world.journals().len(), 1);

        // At once: nobody waits for the lease.
        let ended = world.run(&["--json"]).exits(1);
        assert_eq!(world.statuses(), format!("published {}, unconfirmed {in_flight}", 10 - in_flight));
        assert_eq!((world.stat("/published"), world.stat("/duplicates")), (10, 0));
        let told = ended.stderr.lines().filter(|line| line.contains("unconfirmed, of a run that ended early")).count();
        assert_eq!(told, 3, "{ended:?}");
        // A try that was cut off counts; one that never began does not.
        assert_eq!(world.value("SELECT count(*) || '' FROM posts WHERE attempts = 1"), "10");
        assert_eq!(world.value("SELECT count(*) || '' FROM posts WHERE error_class = 'interrupted'"), "3");
        // Both runs are in the books.
        assert_eq!(world.rows("SELECT due || ' ' || unconfirmed || ' ' || released || ' ' || exit_code FROM runs ORDER BY exit_code"),
            ["7 0 0 1", "10 3 7 74"]);
        assert_eq!(world.journals(), Vec::<PathBuf>::new());
        assert_eq!(world.run(&["--json"]).exits(0).json()["database_statements"], 1);
    }

    fn what_was_answered_is_recorded_although_the_commit_never_came(world: World) {
        world.slack_posts(5);
        world.faults(&["slack:hang:1"]);
        let run = world.start(&[]);
        world.await_until("all are in flight", |world| world.stat("/published") == 5);
        world.with_commit_blocked(|| {
            world.await_until("all are answered", |world| {
                let settled = |line: &Value| line["row"]["permalink"].is_string();
                world.journals().first().is_some_and(|path| lines(path).iter().filter(|line| settled(line)).count() == 5)
            });
            kill(run);
        });
        // PostgreSQL ends a session whose client is gone when it next hears of it.
        world.await_until("the lock is free", |world| world.statuses() == "publishing 5");
        let requests = world.stat("/requests");

        let summary = world.run(&["--json"]).exits(0).json();
        assert_eq!((&summary["due"], &summary["database_statements"]), (&json!(0), &json!(4)), "{summary}");
        assert_eq!(world.statuses(), "published 5");
        assert_eq!(world.stat("/requests"), requests, "nothing is sent again");
        let permalinks = world.rows("SELECT permalink FROM posts ORDER BY permalink");
        let seen = world.get("api/posts");
        let mut seen: Vec<String> =
            seen.as_array().unwrap().iter().map(|post| post["permalink"].as_str().unwrap().to_owned()).collect();
        seen.sort();
        assert_eq!(permalinks, seen);
        assert_eq!(world.value("SELECT published || ' ' || exit_code FROM runs"), "5 74");
        assert_eq!(world.journals(), Vec::<PathBuf>::new());
    }

    fn a_post_is_written_down_before_it_is_sent(world: World) {
        world.slack_posts(5);
        let directory = world.path("state/journal");
        let hostile = Hostile::answers(move |_| {
            let journal = files::listed(&directory).pop().unwrap();
            let noted = lines(&journal).iter().skip(1).filter(|line| line["row"]["status"] == "unconfirmed").count();
            let error = format!(r#"{{"ok": false, "error": "noted_{noted}"}}"#);
            reply("200 OK", "", error.as_bytes())
        });
        world.slack_is(&hostile);
        world.run(&["--cap", "slack=1", "--fail-on", "none"]).exits(0);
        let codes = world.rows("SELECT error_code FROM posts ORDER BY error_code");
        assert_eq!(codes, (1..=5).map(|n| format!("noted_{n}")).collect::<Vec<_>>());
    }

    fn a_post_that_only_lacks_its_permalink_is_live(world: World) {
        world.slack_posts(1);
        let hostile = Hostile::answers(|head| {
            if head.contains("auth.test") {
                // For ever.
                std::thread::park();
            }
            reply("200 OK", "", br#"{"ok": true, "channel": "C1", "ts": "1.2"}"#)
        });
        world.slack_is(&hostile);
        let run = world.start(&[]);
        world.await_until("its permalink is asked for", |_| hostile.requests() == 2);
        kill(run);
        world.run(&[]).exits(0);
        assert_eq!(world.value("SELECT status || ' ' || platform_post_id FROM posts"), "published C1:1.2");
        assert_eq!(hostile.requests(), 2);
    }

    fn what_the_database_refuses_to_record_the_next_run_records(world: World) {
        world.slack_posts(4);
        world.faults(&["slack:hang:1"]);
        let run = world.start(&[]);
        world.await_until("all are in flight", |world| world.stat("/published") == 4);
        world.execute("ALTER TABLE runs RENAME TO hidden");
        let ended = support::world::ended(run).exits(74);
        assert!(ended.stderr.contains("the next run records them from its journal"), "{ended:?}");
        let on_stderr = ended.stderr.lines().filter(|line| line.starts_with('{')).count();
        assert_eq!((on_stderr, world.journals().len()), (4, 1), "{ended:?}");

        // A run that can't record it either leaves it where it is.
        world.run(&[]).exits(78);
        assert_eq!((world.statuses().as_str(), world.journals().len()), ("publishing 4", 1));
        world.execute("ALTER TABLE hidden RENAME TO runs");
        assert_eq!(world.run(&[]).exits(0).stderr, "");
        assert_eq!(world.statuses(), "published 4");
        assert_eq!((world.stat("/published"), world.stat("/duplicates")), (4, 0));
        assert_eq!(world.journals(), Vec::<PathBuf>::new());
    }

    fn a_refusal_that_is_waited_out_leaves_nothing_in_doubt(world: World) {
        world.slack_posts(1);
        world.faults(&["slack:429:retry-after=9"]);
        let run = world.start(&[]);
        world.await_until("it was sent and refused", |world| world.noted("pending") == 1);
        assert_eq!(world.noted("unconfirmed"), 1, "it was about to be sent before");
        kill(run);
        world.faults(&[]);
        world.run(&["--platform", "facebook"]).exits(0);
        assert_eq!(world.value("SELECT status || ' ' || attempts FROM posts"), "pending 0");
    }

    fn media_that_were_being_processed_go_on_from_where_they_stood(world: World) {
        world.faults(&["instagram:processing:60"]);
        world.due([post(world.account("instagram", 1, "alder"), "hi")
            .with("media", json!([{"url": world.sandbox.sample("1080x1080.jpg"), "alt": "A loaf"}]))]);
        let run = world.start(&[]);
        world.await_until("its container is processed", |world| world.noted("pending") > 0);
        kill(run);
        world.run(&["--platform", "facebook"]).exits(0);
        assert_eq!(world.value("SELECT status || ' ' || attempts FROM posts WHERE checkpoint IS NOT NULL"), "pending 0");
    }

    fn a_journal_torn_anywhere_in_its_tail_never_lies(world: World) {
        world.slack_posts(2);
        world.faults(&["slack:hang"]);
        let run = world.start(&["--cap", "slack=1"]);
        world.await_until("one is in flight", |world| world.stat("/published") == 1);
        kill(run);
        let journal = world.journals().pop().unwrap();
        let whole = std::fs::read(&journal).unwrap();
        let head = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let claim = world.value("SELECT DISTINCT CAST(claim AS TEXT) FROM posts");
        for cut in (head..=whole.len()).step_by(if world.is_postgres() { 37 } else { 11 }).chain([whole.len()]) {
            std::fs::write(&journal, &whole[..cut]).unwrap();
            // Nothing of Facebook is due: this only replays.
            let ended = world.run(&["--platform", "facebook", "--fail-on", "none"]).exits(0);
            let expected = if cut == whole.len() { "pending 1, unconfirmed 1" } else { "pending 2" };
            assert_eq!(world.statuses(), expected, "cut at {cut}: {ended:?}");
            assert!(!journal.exists());
            world.execute(&format!(
                "UPDATE posts SET status = 'publishing', claim = '{claim}', attempts = 1, lease_until = '2099-01-01T00:00:00.000Z'; \
                 DELETE FROM runs"
            ));
        }
    }

    fn the_journal_of_a_live_run_is_its_own(world: World) {
        world.slack_posts(4);
        world.faults(&["slack:hang"]);
        let run = world.start(&["--cap", "slack=2"]);
        world.await_until("two are in flight", |world| world.stat("/published") == 2);
        let journal = std::fs::read(&world.journals()[0]).unwrap();
        let ended = world.run(&["--json"]).exits(0);
        assert_eq!((ended.json()["database_statements"].clone(), ended.stderr.as_str()), (json!(1), ""));
        assert_eq!(std::fs::read(&world.journals()[0]).unwrap(), journal);
        assert_eq!(world.statuses(), "publishing 4");
        kill(run);
        world.faults(&[]);

        // Of eight that come at once, one replays.
        let runs: Vec<Child> = (0..8).map(|_| world.start(&["--fail-on", "none"])).collect();
        for run in runs {
            let ended = support::world::ended(run).exits(0);
            assert_eq!(ended.stderr, "");
        }
        assert_eq!(world.statuses(), "published 2, unconfirmed 2");
        assert_eq!((world.stat("/published"), world.stat("/duplicates")), (4, 0));
        assert_eq!(world.journals(), Vec::<PathBuf>::new());
    }

    fn what_another_run_settled_meanwhile_stays(world: World) {
        world.slack_posts(1);
        world.faults(&["slack:hang"]);
        let run = world.start(&[]);
        world.await_until("it is in flight", |world| world.stat("/published") == 1);
        kill(run);
        world.execute("UPDATE posts SET status = 'failed', lease_until = NULL, error = 'by hand'");
        let ended = world.run(&[]).exits(0);
        assert!(ended.stderr.contains("changed since"), "{ended:?}");
        assert_eq!(world.value("SELECT status || ' ' || error FROM posts"), "failed by hand");
        assert_eq!(world.run(&[]).exits(0).stderr, "");
    }

    fn a_commit_that_went_through_before_the_kill_is_not_repeated(world: World) {
        world.slack_posts(1);
        world.faults(&["slack:hang"]);
        let run = world.start(&[]);
        world.await_until("it is in flight", |world| world.stat("/published") == 1);
        let journal = world.journals().pop().unwrap();
        let saved = std::fs::read(&journal).unwrap();
        kill(run);
        world.run(&["--fail-on", "none"]).exits(0);
        // As if the first replay had died between its commit and the removal.
        std::fs::write(&journal, saved).unwrap();
        let before = world.dump();
        assert_eq!(world.run(&[]).exits(0).stderr, "");
        assert_eq!(world.dump(), before);
        assert!(!journal.exists());
    }

    fn without_the_database_the_journal_waits(world: World) {
        world.slack_posts(4);
        world.killed_in_flight();
        let journal = std::fs::read(&world.journals()[0]).unwrap();
        let mut elsewhere = world.publisher(&["run"]);
        if world.is_postgres() {
            let nobody = format!("postgres://nobody@127.0.0.1:{}/none", support::postgres::free_port());
            Ended::from(elsewhere.env("DATABASE_URL", nobody).output().unwrap()).exits(75);
        }
        // Neither does a dry run touch it.
        world.run(&["--dry-run"]).exits(0);
        assert_eq!(std::fs::read(&world.journals()[0]).unwrap(), journal);
        assert_eq!(world.statuses(), "publishing 4");
        world.run(&[]).exits(1);
        assert_eq!(world.statuses(), "published 1, unconfirmed 3");
    }

    fn it_is_for_its_owner_alone_and_holds_no_secret(world: World) {
        let secret = "xoxb-very-secret-token";
        world.due([post(world.account_with_token("slack", 1, "alder", secret), "a body")]);
        world.faults(&["slack:hang"]);
        let run = world.start(&[]);
        world.await_until("it is in flight", |world| world.stat("/published") == 1);
        let journal = world.journals().pop().unwrap();
        let text = std::fs::read_to_string(&journal).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&journal), mode(journal.parent().unwrap())), (0o600, 0o700));
        for forbidden in [secret, "a body", "very-secret", support::world::KEY, "password"] {
            assert!(!text.contains(forbidden), "{forbidden} is in {text}");
        }
        kill(run);
    }

    fn a_token_that_is_quoted_back_is_not_in_it(world: World) {
        world.slack_posts(2);
        let hostile = Hostile::answers(|head| {
            if head.contains("token-slack-1") {
                std::thread::park();
            }
            reply("200 OK", "", br#"{"ok": false, "error": "no_good_token-slack-0", "needed": "token-slack-0"}"#)
        });
        world.slack_is(&hostile);
        let run = world.start(&[]);
        world.await_until("one is refused", |world| world.noted("failed") == 1);
        let text = std::fs::read_to_string(&world.journals()[0]).unwrap();
        assert!(text.contains("[redacted]") && !text.contains("token-slack"), "{text}");
        kill(run);
    }

    fn nothing_is_left_after_a_good_run_and_nothing_made_by_an_empty_one(world: World) {
        world.run(&[]).exits(0);
        assert!(!world.path("state").exists());
        world.slack_posts(3);
        let ended = world.run(&["--json"]).exits(0);
        assert_eq!((&ended.json()["database_statements"], ended.stderr.as_str()), (&json!(4), ""));
        assert!(world.path("state/journal").exists());
        assert_eq!(world.journals(), Vec::<PathBuf>::new());
    }

    fn a_state_directory_that_can_not_be_written_only_warns(world: World) {
        std::fs::write(world.path("state"), "a file, no directory").unwrap();
        assert_eq!(world.run(&[]).exits(0).stderr, "");
        world.slack_posts(3);
        let ended = world.run(&[]).exits(0);
        assert_eq!(ended.stderr.matches("no journal can be kept").count(), 1, "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert_eq!(world.statuses(), "published 3");
    }

    fn what_can_not_be_read_or_is_another_databases_is_left_alone(world: World) {
        let other = World::sqlite();
        other.slack_posts(4);
        other.killed_in_flight();
        let foreign = other.journals().pop().unwrap();
        let directory = world.path("state/journal");
        std::fs::create_dir_all(&directory).unwrap();
        let moved = directory.join(foreign.file_name().unwrap());
        std::fs::copy(&foreign, &moved).unwrap();
        std::fs::write(directory.join("damaged.journal"), "0123456789abcdef {}\n").unwrap();
        std::fs::write(directory.join("dead.draft"), "0123").unwrap();

        world.slack_posts(2);
        let ended = world.run(&["--json"]).exits(0);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        for part in ["left alone", "damaged.journal: its line 1 is damaged", "of another database, sqlite:"] {
            assert!(ended.stderr.contains(part), "no {part:?} in {ended:?}");
        }
        assert_eq!(ended.json()["published"], 2);
        assert!(support::world::same_bytes(&foreign, &moved));
        assert_eq!(world.journals().len(), 2, "the draft is gone, the others stay");
        assert_eq!(other.run(&["--json"]).exits(1).json()["published"], 1);
    }
}
