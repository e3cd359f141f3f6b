//! Posts that may be live: later runs look them up, and each ends as what the platform has, once.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use chrono::TimeDelta;
use publisher::schedule::Clock;
use serde_json::json;
use support::world::{ROUNDS, SHORT_RUN, World, post, signal};

/// The platforms' answers get lost, and so does what clears that up at once.
const LOST: [&str; 5] = [
    "*:500-after-accept",
    "facebook/status:500",
    "linkedin/status:500",
    "youtube/status:500",
    "slack/status:500",
];

impl World {
    /// One post for each platform that has a look-up.
    fn one_for_each(&self) {
        let video = self.path("clip.mp4");
        std::fs::write(&video, vec![7_u8; 300_000]).unwrap();
        self.due([
            post(self.account("facebook", 1, "alder"), "Hello, Page"),
            post(self.account("instagram", 1, "alder"), "Hello, followers").with(
                "media",
                json!([{"url": self.sandbox.sample("1080x1080.jpg"), "alt": "A loaf"}]),
            ),
            post(self.account("linkedin", 1, "birch"), "Hello, network"),
            post(
                self.account("youtube", 1, "birch"),
                "What you see is a clip",
            )
            .with("media", json!([{"path": video}]))
            .with("options", json!({"title": "A clip"})),
            post(self.account("slack", 1, "cedar"), "Hello, team"),
        ]);
    }

    /// Runs until every post is published, or the runs change nothing any more.
    fn run_until_quiet(&self) -> String {
        for _ in 0..ROUNDS {
            self.let_time_pass();
            self.run(&SHORT_RUN).exits(0);
            if self.statuses() == "published 5" {
                break;
            }
        }
        self.statuses()
    }

    fn published_once(&self) {
        assert_eq!((self.stat("/published"), self.stat("/duplicates")), (5, 0));
        let without = "SELECT CAST(count(*) AS TEXT) FROM posts WHERE permalink IS NULL OR platform_post_id IS NULL";
        assert_eq!(self.value(without), "0", "{:#?}", self.get("api/posts"));
    }
}

on_both! {
    fn what_was_accepted_and_not_answered_is_found(world: World) {
        world.one_for_each();
        world.faults(&LOST);
        world.run(&SHORT_RUN).exits(0);
        assert_eq!(world.stat("/published"), 5);
        world.faults(&[]);
        assert_eq!(world.run_until_quiet(), "published 5");
        world.published_once();
    }

    /// The run that sent it asks after it a few seconds later, and then sends what follows it.
    fn what_was_accepted_and_not_answered_is_found_in_the_same_run(world: World) {
        world.one_for_each();
        world.execute(&format!(
            "UPDATE posts SET options = '{}' WHERE account_id <> (SELECT id FROM accounts WHERE platform = 'youtube')",
            json!({"first_comment": "First!"})
        ));
        world.faults(&["*:500-after-accept"]);
        world.run(&[]).exits(0);
        assert_eq!(world.statuses(), "published 5");
        world.published_once();
        let posts = world.get("api/posts");
        let comments = posts.as_array().unwrap().iter().map(|post| post["comments"].as_array().unwrap().len());
        assert_eq!(comments.sum::<usize>(), 4, "{posts:#}");
    }

    /// A platform's list may lag behind: what it does not show yet is not sent again at once.
    fn what_is_not_listed_is_sent_again_only_after_a_while(world: World) {
        world.due([post(world.account("facebook", 1, "alder"), "Hello, Page")]);
        world.faults(&["facebook:reset"]);
        let run = world.run(&[]).exits(1);
        assert_eq!(world.statuses(), "unconfirmed 1");
        assert!(run.stderr.contains("it does not show so far"), "{run:?}");
        // Nor right after the lease of a run that died while it may have sent it.
        world.faults(&[]);
        let claim = "00000000-0000-4000-8000-000000000001";
        let ended = |seconds_ago: i64| {
            let at = Clock::host().now() - TimeDelta::seconds(seconds_ago);
            let at = at.format("%Y-%m-%dT%H:%M:%S%.3fZ");
            world.execute(&format!(
                "UPDATE posts SET status = 'publishing', claim = '{claim}', lease_until = '{at}'"
            ));
        };
        ended(30);
        world.run(&[]).exits(1);
        assert_eq!((world.statuses().as_str(), world.stat("/published")), ("unconfirmed 1", 0));
        ended(90);
        world.run(&[]).exits(0);
        world.run(&[]).exits(0);
        assert_eq!((world.statuses().as_str(), world.stat("/published")), ("published 1", 1));
    }

    /// What is not live is sent again from where its upload stands: no second session is begun.
    fn an_upload_in_doubt_goes_on_where_it_stands(world: World) {
        std::fs::write(world.path("clip.mp4"), vec![7_u8; 9 << 20]).unwrap();
        let account = world.account("youtube", 1, "birch");
        let clip = post(account, "A clip").with("media", json!([{"path": world.path("clip.mp4")}]));
        world.due([clip.with("options", json!({"title": "A clip"}))]);
        // The last chunk alone is not taken, and nobody tells in this run what became of it.
        world.faults(&["youtube/publish:reset", "youtube/status:500"]);
        world.run(&[]).exits(1);
        assert_eq!(world.statuses(), "unconfirmed 1");
        world.faults(&["youtube/prepare:500"]);
        world.let_time_pass();
        world.run(&[]).exits(0);
        world.let_time_pass();
        world.run(&[]).exits(0);
        assert_eq!((world.statuses().as_str(), world.stat("/published")), ("published 1", 1));
    }

    fn what_was_not_accepted_is_sent_again(world: World) {
        world.one_for_each();
        world.faults(&["*:reset", "*/status:500"]);
        world.run(&SHORT_RUN).exits(0);
        assert_eq!(world.stat("/published"), 0);
        world.faults(&[]);
        assert_eq!(world.run_until_quiet(), "published 5");
        world.published_once();
    }

    /// A host without a disk: nothing is left of the run but its claim.
    fn a_run_that_was_killed_without_a_journal_is_made_up_for(world: World) {
        world.one_for_each();
        world.faults(&["*:hang"]);
        let run = world.start(&[]);
        world.await_until("every platform has its post", |world| world.stat("/published") == 5);
        signal(&run, "KILL");
        run.wait_with_output().unwrap();
        std::fs::remove_dir_all(world.path("state")).unwrap();
        assert_eq!(world.statuses(), "publishing 5");
        world.faults(&[]);
        assert_eq!(world.run_until_quiet(), "published 5");
        world.published_once();
    }

    fn a_run_that_was_killed_before_it_sent_anything_is_made_up_for(world: World) {
        world.one_for_each();
        world.faults(&["*/prepare:hang", "*/status:hang", "*:reset"]);
        let run = world.start(&[]);
        world.await_until("every post is claimed", |world| world.statuses() == "publishing 5");
        world.await_until("the run is at work", |world| world.stat("/requests") >= 3);
        signal(&run, "KILL");
        run.wait_with_output().unwrap();
        std::fs::remove_dir_all(world.path("state")).unwrap();
        world.faults(&[]);
        assert_eq!(world.run_until_quiet(), "published 5");
        world.published_once();
    }

    /// Members' own posts can't be read: a person decides, and nothing is sent meanwhile.
    fn where_the_platform_does_not_tell_a_person_decides(world: World) {
        let account = world.account("linkedin", 1, "birch");
        world.execute("UPDATE accounts SET external_id = 'urn:li:person:abcDEF123'");
        world.seal_again(account, "linkedin", "urn:li:person:abcDEF123");
        let ids = world.due([post(account, "Hello, network")]);
        let claim = "00000000-0000-4000-8000-000000000001";
        world.execute(&format!(
            "UPDATE posts SET status = 'publishing', claim = '{claim}', lease_until = '2020-01-01T00:00:00.000Z'"
        ));
        let run = world.run(&[]).exits(1);
        assert!(run.stderr.contains("look at LinkedIn"), "{run:?}");
        assert_eq!((world.statuses().as_str(), world.stat("/published")), ("unconfirmed 1", 0));
        let moved = "SELECT CASE WHEN due_at > scheduled_at THEN 'later' ELSE 'now' END FROM posts";
        assert_eq!(world.value(moved), "later");
        let id = ids[0].to_string();
        world.publisher(&["posts", "resolve", &id, "--not-published"]).output().unwrap();
        world.run(&[]).exits(0);
        assert_eq!((world.statuses().as_str(), world.stat("/published")), ("published 1", 1));
    }

    /// Six posts of a dead run and three that are on time share one slot, and every look-up takes all of the time.
    fn what_is_on_time_never_waits_for_what_is_looked_up(world: World) {
        std::fs::write(world.path("publisher.toml"), "request_timeout = \"3s\"\n").unwrap();
        let posts = |accounts: std::ops::Range<u32>| {
            accounts.map(|n| post(world.account("linkedin", n, "birch"), &format!("Hello, network {n}")))
        };
        world.due(posts(0..6).collect::<Vec<_>>());
        let claim = "00000000-0000-4000-8000-000000000001";
        world.execute(&format!(
            "UPDATE posts SET status = 'publishing', claim = '{claim}', lease_until = '2020-01-01T00:00:00.000Z'"
        ));
        world.due(posts(6..9).collect::<Vec<_>>());
        world.faults(&["linkedin/status:hang"]);
        let run = world.run(&["--cap", "linkedin=1", "--time-budget", "3s", "--fail-on", "none", "--json"]).exits(0);
        assert_eq!(world.statuses(), "published 3, unconfirmed 6", "{run:?}");
        assert_eq!(run.json()["platforms"]["linkedin"]["max_in_flight"], 1);
        assert_eq!(world.stat("/platforms/linkedin/max_in_flight"), 1);
    }

    /// An account whose token is gone keeps its posts in doubt, and loses none.
    fn a_look_up_that_fails_leaves_the_post_in_doubt(world: World) {
        world.one_for_each();
        world.faults(&LOST);
        world.run(&SHORT_RUN).exits(0);
        for fault in ["*/status:401", "*/status:429", "*/status:reset", "*/status:bad-json", "*/status:truncate"] {
            world.faults(&[fault]);
            world.let_time_pass();
            world.run(&SHORT_RUN).exits(0);
        }
        assert_eq!(world.stat("/duplicates"), 0);
        world.faults(&[]);
        world.execute("UPDATE accounts SET status = 'active'");
        assert_eq!(world.run_until_quiet(), "published 5");
        world.published_once();
    }
}
