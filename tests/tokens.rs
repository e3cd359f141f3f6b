//! Tokens that end: refreshed once, saved before their first use, and never spent twice, whatever dies when.
//!
//! Slack rotates: a refresh token is good for one use. Google's stays as it is.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::process::{Child, Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use publisher::account::Credentials;
use publisher::schedule::Clock;
use serde_json::json;
use support::world::{Ended, World, ended, post, signal};

/// What is stored of an account whose app rotates its tokens.
fn credentials(access: &str, refresh: &str) -> Credentials {
    Credentials {
        access_token: access.to_owned().into(),
        refresh_token: Some(refresh.to_owned().into()),
        client_id: Some("the-app".to_owned()),
        client_secret: Some("the-app's-secret".to_owned().into()),
    }
}

fn in_minutes(minutes: i64) -> DateTime<Utc> {
    Clock::host().now() + TimeDelta::minutes(minutes)
}

impl World {
    /// A Slack account with these tokens, and a post for it.
    fn rotating(&self, access: &str, refresh: &str, ends: Option<DateTime<Utc>>) -> i64 {
        let account = self.account_with("slack", 1, "alder", &credentials(access, refresh), ends);
        self.due([post(account, "Hello")]);
        account
    }

    fn refreshed(&self) -> i64 {
        self.stat("/tokens/refreshed")
    }

    fn sealed(&self) -> String {
        self.value("SELECT credentials FROM accounts")
    }

    fn account_status(&self) -> String {
        self.value("SELECT status FROM accounts")
    }

    /// Whether somebody holds the token.
    fn is_held(&self) -> bool {
        self.value(
            "SELECT CASE WHEN token_held_until IS NULL THEN 'no' ELSE 'yes' END FROM accounts",
        ) == "yes"
    }

    fn tell(&self, arguments: &[&str]) -> Ended {
        self.publisher(arguments).output().unwrap().into()
    }
}

fn spawned(mut command: Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

on_both! {
    fn a_token_is_refreshed_ahead_of_its_end_and_kept(world: World) {
        world.rotating("good-for-now", "the-first-one", Some(in_minutes(5)));
        let before = world.sealed();
        world.run(&[]).exits(0);
        assert_eq!((world.refreshed(), world.statuses().as_str()), (1, "published 1"));
        assert_ne!(world.sealed(), before);
        assert!(!world.is_held());
        // The new one is good for an hour: nothing more to do.
        let account = world.value("SELECT CAST(id AS TEXT) FROM accounts").parse().unwrap();
        world.due([post(account, "Hello again")]);
        world.run(&[]).exits(0);
        assert_eq!((world.refreshed(), world.statuses().as_str()), (1, "published 2"));
    }

    fn a_token_that_is_refused_is_refreshed_once(world: World) {
        world.rotating("expired-long-ago", "the-first-one", None);
        let summary = world.run(&["--json"]).exits(0).json();
        assert_eq!((world.refreshed(), &summary["published"]), (1, &json!(1)));
        // Holding and saving the token are the two statements more.
        assert_eq!(summary["database_statements"], 6);
        assert_eq!(world.stat("/tokens/refused"), 0);
    }

    fn a_revoked_grant_needs_a_login_and_its_posts_wait(world: World) {
        let account = world.rotating("expired-long-ago", "revoked-by-a-person", None);
        world.due([post(account, "A second one")]);
        let before = world.sealed();
        let run = world.run(&["--json"]).exits(0);
        let summary = run.json();
        assert_eq!(summary["needs_login"], json!(["slack:C00000001"]));
        assert_eq!((&summary["retry"], &summary["released"]), (&json!(1), &json!(1)), "{summary}");
        assert!(run.stderr.contains("slack:C00000001 needs a login"), "{run:?}");
        assert_eq!(world.account_status(), "needs_login");
        assert_eq!(world.statuses(), "pending 2");
        assert_eq!(world.value("SELECT CAST(sum(attempts) AS TEXT) FROM posts"), "0");
        assert_eq!(world.sealed(), before);
        // Nothing is due for it any more, until a person has connected it.
        assert_eq!(world.run(&["--json"]).exits(0).json()["due"], 0);
    }

    fn a_fault_of_a_moment_marks_nothing(world: World) {
        world.rotating("expired-long-ago", "the-first-one", None);
        let before = world.sealed();
        world.faults(&["slack/token:500"]);
        world.run(&[]).exits(0);
        assert_eq!((world.account_status().as_str(), world.statuses().as_str()), ("active", "pending 1"));
        assert_eq!(world.sealed(), before);
        assert!(!world.is_held());
        assert_eq!(world.value("SELECT CASE WHEN blocked_until IS NULL THEN 'free' ELSE 'blocked' END FROM accounts"), "free");
    }

    /// Nor for the account's other posts, which the same run sends with the old token, or tries again soon.
    fn a_fault_of_a_moment_marks_nothing_for_the_next_post(world: World) {
        for (fault, refresh) in [("slack/token:500", "the-first-one"), ("slack/token:429:retry-after=0", "the-second-one")] {
            world.execute("DELETE FROM posts");
            let account = world.rotating("expired-long-ago", refresh, None);
            world.due([post(account, "A second one")]);
            world.faults(&[fault]);
            world.run(&[]).exits(0);
            let found = (world.account_status(), world.statuses());
            assert_eq!(found, ("active".to_owned(), "pending 2".to_owned()), "{fault}");
            world.faults(&[]);
            world.let_time_pass();
            world.run(&[]).exits(0);
            assert_eq!(world.statuses(), "published 2", "{fault}");
        }
    }

    /// Ahead of time there is no hurry: the token at hand still does.
    fn a_fault_ahead_of_the_end_delays_no_post(world: World) {
        world.rotating("good-for-now", "the-first-one", Some(in_minutes(5)));
        world.faults(&["slack/token:500"]);
        let run = world.run(&[]).exits(0);
        assert_eq!(world.statuses(), "published 1");
        assert!(run.stderr.contains("could not be refreshed yet"), "{run:?}");
    }

    fn runs_at_once_spend_a_refresh_token_once(world: World) {
        let account = world.rotating("expired-long-ago", "the-first-one", None);
        world.due((0..5).map(|n| post(account, &format!("Hello {n}"))));
        // Slow enough for the others to find the token held.
        world.faults(&["slack/token:hang:1s"]);
        let runs: Vec<Child> = (0..4).map(|_| world.start(&["--limit", "1"])).collect();
        for run in runs {
            ended(run);
        }
        world.faults(&[]);
        world.execute("UPDATE posts SET due_at = scheduled_at WHERE status = 'pending'");
        world.run(&[]).exits(0);
        assert_eq!((world.refreshed(), world.stat("/tokens/refused")), (1, 0));
        assert_eq!((world.statuses().as_str(), world.stat("/duplicates")), ("published 6", 0));
    }

    fn a_run_that_is_killed_before_the_first_use_has_saved_the_token(world: World) {
        let account = world.rotating("expired-long-ago", "the-first-one", None);
        let before = world.sealed();
        // Only the first, refused request gets an answer; the one with the new token hangs.
        world.faults(&["slack:hang"]);
        let run = world.start(&[]);
        world.await_until("the new token is in use", |world| {
            world.refreshed() == 1 && world.stat("/published") == 1
        });
        signal(&run, "KILL");
        run.wait_with_output().unwrap();
        assert_ne!(world.sealed(), before);
        world.faults(&[]);
        world.due([post(account, "After the crash")]);
        world.run(&["--fail-on", "none"]).exits(0);
        assert_eq!((world.refreshed(), world.stat("/tokens/refused")), (1, 0));
        assert_eq!(world.account_status(), "active");
        assert_eq!(world.value("SELECT status FROM posts WHERE body = 'After the crash'"), "published");
    }

    /// A holder that died lets go after two minutes; until then the others wait, and spend no attempt's worth of it.
    fn a_token_that_another_run_holds_is_left_alone(world: World) {
        world.rotating("expired-long-ago", "the-first-one", None);
        let until = publisher::store::instant(in_minutes(1));
        world.execute(&format!(
            "UPDATE accounts SET token_held_by = '00000000-0000-4000-8000-000000000001', token_held_until = '{until}'"
        ));
        world.run(&["--time-budget", "2s"]);
        assert_eq!((world.refreshed(), world.account_status().as_str()), (0, "active"));
        let past = publisher::store::instant(in_minutes(-1));
        world.execute(&format!("UPDATE accounts SET token_held_until = '{past}'"));
        world.execute("UPDATE posts SET due_at = scheduled_at");
        world.run(&[]).exits(0);
        assert_eq!((world.refreshed(), world.statuses().as_str()), (1, "published 1"));
    }

    /// A person's new token wins over one that was being refreshed meanwhile.
    fn a_token_that_was_stored_anew_is_not_overwritten(world: World) {
        world.rotating("expired-long-ago", "the-first-one", None);
        world.faults(&["slack/token:hang:2s"]);
        let run = world.start(&[]);
        world.await_until("the token is held", World::is_held);
        let stored = credentials("good-and-new", "the-second-one");
        world.account_with("slack", 1, "alder", &stored, None);
        let by_a_person = world.sealed();
        ended(run);
        assert_eq!(world.sealed(), by_a_person);
        assert_eq!(world.account_status(), "active");
        world.faults(&[]);
        world.execute("UPDATE posts SET due_at = scheduled_at");
        world.run(&[]).exits(0);
        assert_eq!(world.statuses(), "published 1");
    }

    fn a_refresh_token_that_stays_is_kept(world: World) {
        let video = world.path("clip.mp4");
        std::fs::write(&video, vec![7_u8; 300_000]).unwrap();
        let stored = credentials("expired-an-hour-ago", "google-keeps-this-one");
        let account = world.account_with("youtube", 1, "alder", &stored, Some(in_minutes(-1)));
        let clip = |title: &str| {
            post(account, title).with("media", json!([{"path": video}]))
        };
        world.due([clip("One")]);
        world.run(&[]).exits(0);
        let ended = publisher::store::instant(in_minutes(-1));
        world.execute(&format!("UPDATE accounts SET token_expires_at = '{ended}'"));
        world.due([clip("Two")]);
        world.run(&[]).exits(0);
        assert_eq!((world.refreshed(), world.statuses().as_str()), (2, "published 2"));
    }

    fn a_check_proves_a_token(world: World) {
        world.account("slack", 1, "alder");
        let expired = credentials("expired-long-ago", "the-first-one");
        world.account_with("slack", 2, "alder", &expired, Some(in_minutes(-60)));
        let well = world.tell(&["accounts", "check", "--json"]).exits(0).json();
        assert_eq!((&well[0]["ok"], &well[1]["ok"]), (&json!(true), &json!(true)), "{well}");
        assert_eq!(world.refreshed(), 1);
        assert_eq!(well[1]["days_left"], 0);

        world.account_with_token("slack", 3, "birch", "revoked-by-a-person");
        world.account_with_token("slack", 4, "birch", "scopes(files:write)only");
        let ill = world.tell(&["accounts", "check", "--owner", "birch"]).exits(1);
        assert!(ill.stdout.contains("refused"), "{ill:?}");
        assert!(ill.stdout.contains("chat:write"), "{ill:?}");
        for secret in ["revoked-by-a-person", "the-app's-secret", "the-first-one"] {
            assert!(!ill.stdout.contains(secret) && !ill.stderr.contains(secret), "{ill:?}");
        }
    }

    fn an_account_is_added_with_a_refresh_token_alone(world: World) {
        let tokens = json!({"refresh_token": "the-first-one", "client_id": "app", "client_secret": "secret"});
        let mut command = world.publisher(&["accounts", "add", "slack", "C00000009", "--owner", "alder"]);
        command.stdin(Stdio::piped());
        let mut child = spawned(command);
        serde_json::to_writer(child.stdin.take().unwrap(), &tokens).unwrap();
        ended(child).exits(0);
        assert_eq!(world.refreshed(), 1);
        let has_end = "SELECT CASE WHEN token_expires_at IS NULL THEN 'no' ELSE 'yes' END FROM accounts";
        assert_eq!(world.value(has_end), "yes");
        world.tell(&["accounts", "check", "slack:C00000009"]).exits(0);
    }
}
