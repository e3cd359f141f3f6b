//! Runs as a cron host starts them, one after the other whether or not the one before has ended, with slow platforms,
//! while an application adds posts, edits them and cancels them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use publisher::schedule::Clock;
use publisher::store::instant;
use serde_json::Value;

use crate::on_both;
use crate::support::dice::{Dice, asked_for};
use crate::support::world::{Ended, Platforms, ROUNDS, World, ended, post};

/// Each platform's answer takes that long.
const LATENCY: Duration = Duration::from_millis(60);
/// From one run's start to the next one's: shorter than a run takes.
const EVERY: Duration = Duration::from_millis(120);
const RUNS: usize = 25;
/// What the application does from one run's start to the next one's, at least.
const THINGS: usize = 4;
const PLATFORMS: [&str; 3] = ["facebook", "linkedin", "slack"];

on_both! {
    fn runs_that_overlap_publish_what_an_application_changes_meanwhile(world: World) {
        let first = asked_for("PUBLISHER_RACE_SEED", 1);
        for seed in first..first + asked_for("PUBLISHER_RACE_ROUNDS", 1) {
            world.execute("DELETE FROM posts; DELETE FROM runs; DELETE FROM accounts");
            Host::new(world, seed).publishes_what_is_left();
        }
    }
}

/// A cron host, an application and slow platforms.
struct Host<'a> {
    world: &'a World,
    slow: Platforms,
    accounts: Vec<i64>,
    dice: Dice,
    seed: u64,
    /// The text of each post that the application has added, as it last put it.
    texts: BTreeMap<i64, String>,
    /// Posts that were still pending when it canceled them.
    canceled: BTreeSet<i64>,
}

impl<'a> Host<'a> {
    fn new(world: &'a World, seed: u64) -> Self {
        std::fs::write(
            world.path("publisher.toml"),
            "[platforms.slack]\nspacing = \"0s\"\n",
        )
        .unwrap();
        let accounts = (1..=6).flat_map(|n| {
            PLATFORMS.map(|platform| world.account(platform, n, &format!("owner {}", n % 3)))
        });
        Self {
            world,
            slow: Platforms::with(LATENCY),
            accounts: accounts.collect(),
            dice: Dice::of(seed),
            seed,
            texts: BTreeMap::new(),
            canceled: BTreeSet::new(),
        }
    }

    fn publishes_what_is_left(mut self) {
        let mut runs: Vec<Child> = Vec::new();
        let mut overlapped = 0;
        for _ in 0..RUNS {
            let next = Instant::now() + EVERY;
            overlapped += usize::from(
                runs.last_mut()
                    .is_some_and(|run| run.try_wait().unwrap().is_none()),
            );
            runs.push(self.start());
            let mut things = 0;
            while things < THINGS || Instant::now() < next {
                self.application_does_something();
                things += 1;
            }
        }
        assert!(overlapped > RUNS / 4, "only {overlapped} runs overlapped");
        let what = format!("PUBLISHER_RACE_SEED={}", self.seed);
        for run in runs {
            is_sound(&ended(run), &what);
        }
        for _ in 0..ROUNDS {
            self.world.let_time_pass();
            is_sound(&ended(self.start()), &what);
        }
        self.is_settled(&what);
    }

    fn start(&self) -> Child {
        self.world
            .start(&["--json", "--limit", "40", "--sandbox", &self.slow.url])
    }

    /// It adds some posts, or edits or cancels one that it believes to be pending, as the schema allows it to.
    fn application_does_something(&mut self) {
        let number = self.texts.len();
        // One of the latest: most of the others have gone out.
        let some = self.texts.keys().nth_back(self.dice.index(8)).copied();
        match (self.dice.below(10), some) {
            (0..6, _) | (_, None) => {
                // Some are due at once, and some can still be changed for a while.
                let ahead = TimeDelta::milliseconds(i64::try_from(self.dice.below(400)).unwrap());
                let soon = instant(Clock::host().now() + ahead);
                let accounts: Vec<i64> = (0..4)
                    .map(|_| self.accounts[self.dice.index(self.accounts.len())])
                    .collect();
                let texts: Vec<String> =
                    (number..number + 4).map(|n| format!("post {n}")).collect();
                let posts = accounts.iter().zip(&texts).map(|(account, text)| {
                    post(*account, text).with("scheduled_at", soon.as_str())
                });
                let ids = self.world.due(posts);
                self.texts.extend(ids.into_iter().zip(texts));
            }
            (6..9, Some(id)) => {
                let text = format!("{}, edited", self.texts[&id]);
                if self.change(id, &format!("body = '{text}'")) {
                    self.texts.insert(id, text);
                }
            }
            (_, Some(id)) => {
                if self.change(id, "status = 'canceled'") {
                    self.canceled.insert(id);
                }
            }
        }
    }

    /// Whether the post was still the application's to change.
    fn change(&self, id: i64, set: &str) -> bool {
        let sql = format!(
            "UPDATE posts SET {set} WHERE id = {id} AND status = 'pending' RETURNING CAST(id AS TEXT)"
        );
        !self.world.rows(&sql).is_empty()
    }

    /// Each post went out once with the text that it had at last, but for those that were canceled in time.
    fn is_settled(&self, what: &str) {
        let world = self.world;
        let canceled = world.rows("SELECT CAST(id AS TEXT) FROM posts WHERE status = 'canceled'");
        let canceled: BTreeSet<i64> = canceled.iter().map(|id| id.parse().unwrap()).collect();
        assert_eq!(canceled, self.canceled, "{what}");
        let live = self.texts.iter().filter(|(id, _)| !canceled.contains(id));
        let mut expected: Vec<&str> = live.map(|(_, text)| text.as_str()).collect();
        expected.sort_unstable();
        let seen = world.block_on(self.slow.get("api/posts"));
        let mut seen: Vec<&str> = seen
            .as_array()
            .unwrap()
            .iter()
            .map(|post: &Value| post["text"].as_str().unwrap())
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, expected, "{what}");
        let statuses = world.rows("SELECT DISTINCT status FROM posts ORDER BY status");
        assert_eq!(statuses, ["canceled", "published"], "{what}");
        let stats = world.block_on(self.slow.get("api/stats"));
        assert_eq!(stats["duplicates"], 0, "{what}");
        let edited = expected.iter().filter(|text| text.ends_with("edited"));
        assert!(edited.count() > 0, "{what}");
    }
}

fn is_sound(run: &Ended, what: &str) {
    assert!(run.code == 0 && run.stderr.is_empty(), "{what}: {run:?}");
}
