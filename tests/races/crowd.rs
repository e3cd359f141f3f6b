//! 2 to 16 processes at once, over the same posts, while answers get lost and connections break.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use publisher::account::Credentials;
use publisher::secret::{self, Key};

use crate::on_both;
use crate::support::dice::{Dice, asked_for};
use crate::support::files;
use crate::support::world::{Ended, KEY, ROUNDS, World, ended, external_id, post};

/// Platforms whose posts may be text, and their caps as they are documented.
const PLATFORMS: [(&str, i64); 3] = [("facebook", 8), ("linkedin", 4), ("slack", 8)];
/// For each platform.
const ACCOUNTS: u32 = 50;
const OWNERS: u32 = 12;
/// With rates that meet seldom: where two would strike one request, the first does.
const FAULTS: [&str; 3] = [
    "*:reset:5%",
    "*:500-after-accept:3%",
    "*:429:retry-after=1:2.1%",
];
/// So long a run waits for SQLite's lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
/// Waves of processes that meet faults; those that follow don't.
const FAULTY_WAVES: usize = 2;

on_both! {
    fn a_crowd_of_2_publishes_each_post_once(world: World) {
        crowds(world, 2, 200);
    }

    fn a_crowd_of_4_publishes_each_post_once(world: World) {
        crowds(world, 4, 300);
    }

    fn a_crowd_of_8_publishes_each_post_once(world: World) {
        crowds(world, 8, 500);
    }

    fn a_crowd_of_16_publishes_each_post_once(world: World) {
        crowds(world, 16, 2_000);
    }

    fn a_crowd_of_4_that_drains_publishes_each_post_once(world: World) {
        crowds_of(world, 4, 500, &["--drain"]);
    }
}

/// As many crowds as were asked for, one after the other.
fn crowds(world: &World, processes: u64, usual_posts: u64) {
    crowds_of(world, processes, usual_posts, &[]);
}

/// The same of runs with these arguments.
fn crowds_of(world: &World, processes: u64, usual_posts: u64, arguments: &'static [&'static str]) {
    let posts = asked_for("PUBLISHER_RACE_POSTS", usual_posts);
    let rounds = asked_for("PUBLISHER_RACE_ROUNDS", 1);
    let first = asked_for("PUBLISHER_RACE_SEED", 1);
    // A channel takes a message a second, and there are not that many seconds.
    std::fs::write(
        world.path("publisher.toml"),
        "[platforms.slack]\nspacing = \"0s\"\n",
    )
    .unwrap();
    let accounts = accounts(world);
    for seed in first..first + rounds {
        world.execute(
            "DELETE FROM posts; DELETE FROM runs; UPDATE accounts SET blocked_until = NULL",
        );
        world.block_on(world.sandbox.reset());
        world.due((0..posts).map(|n| {
            let account = accounts[usize::try_from(n).unwrap() % accounts.len()];
            // Giving up is another story.
            post(account, &format!("post {n} of {seed}")).with("max_attempts", 100)
        }));
        let mut crowd = Crowd::new(world, processes, posts, seed);
        crowd.arguments = arguments;
        crowd.publishes_each_post_once();
    }
}

/// The accounts of all platforms in turn, made in one statement: there are many.
fn accounts(world: &World) -> Vec<i64> {
    let key = Key::parse(KEY).unwrap();
    let rows = (0..ACCOUNTS).flat_map(|n| PLATFORMS.map(|(platform, _)| (n, platform)));
    let rows = rows.map(|(n, platform)| {
        let id = external_id(platform, n);
        let credentials = Credentials {
            access_token: format!("token-{platform}-{n}").into(),
            ..Credentials::default()
        };
        let sealed = secret::seal(&key, platform, &id, &credentials).unwrap();
        format!("('owner {}', '{platform}', '{id}', '{sealed}')", n % OWNERS)
    });
    let rows: Vec<String> = rows.collect();
    world.execute(&format!(
        "INSERT INTO accounts (owner, platform, external_id, credentials) VALUES {}",
        rows.join(", ")
    ));
    let ids = world.rows("SELECT CAST(id AS TEXT) FROM accounts ORDER BY id");
    ids.iter().map(|id| id.parse().unwrap()).collect()
}

/// Processes over the same posts, and what they say of themselves.
struct Crowd<'a> {
    world: &'a World,
    processes: u64,
    posts: u64,
    seed: u64,
    arguments: &'static [&'static str],
    dice: Dice,
    /// By all processes together.
    published: i64,
    /// Processes that had something to do, or their waves.
    busy: usize,
    /// The most that one process had in flight, by platform.
    in_flight: BTreeMap<String, i64>,
}

impl<'a> Crowd<'a> {
    fn new(world: &'a World, processes: u64, posts: u64, seed: u64) -> Self {
        Self {
            world,
            processes,
            posts,
            seed,
            arguments: &[],
            dice: Dice::of(seed),
            published: 0,
            busy: 0,
            in_flight: BTreeMap::new(),
        }
    }

    fn publishes_each_post_once(mut self) {
        self.world.faults(&FAULTS);
        for wave in 0..FAULTY_WAVES + ROUNDS {
            if wave == FAULTY_WAVES {
                self.world.faults(&[]);
            }
            // What is in doubt is looked up by a later wave rather than waited for.
            let budget = if wave < FAULTY_WAVES { "5s" } else { "5m" };
            self.wave(budget);
            if self.world.statuses() == format!("published {}", self.posts) {
                break;
            }
            // Nobody is at work: what is left belongs to no one.
            assert!(
                !self.world.statuses().contains("publishing"),
                "{}",
                self.what()
            );
            self.world.let_time_pass();
        }
        self.is_settled();
    }

    /// All processes, not quite at once, each with a part of the posts: else the first would take all of them.
    fn wave(&mut self, budget: &str) {
        let mut runs = Vec::new();
        for _ in 0..self.processes {
            std::thread::sleep(Duration::from_millis(self.dice.below(60)));
            let share = self.posts * (1 + self.dice.below(3)) / (2 * self.processes) + 1;
            let share = share.to_string();
            let began = Instant::now();
            let mut arguments = vec!["--json", "--time-budget", budget, "--limit", &share];
            arguments.extend(self.arguments);
            let run = self.world.start(&arguments);
            runs.push(std::thread::spawn(move || (ended(run), began.elapsed())));
        }
        for run in runs {
            let (run, took) = run.join().unwrap();
            self.hear(&run, took);
        }
    }

    /// What one process says of itself.
    fn hear(&mut self, run: &Ended, took: Duration) {
        let what = format!("{}, after {took:?}: {run:?}", self.what());
        // On a machine that has too much to do the lock may come too late, but never is it not waited for.
        if run.code == 75 && run.stderr.contains("database is locked") && took >= LOCK_PATIENCE {
            return;
        }
        // What is in doubt needs a person, until it has been looked up.
        assert!(matches!(run.code, 0 | 1), "{what}");
        for complaint in [
            "locked",
            "changed by somebody else",
            "could not be",
            "can't be",
            "panic",
        ] {
            assert!(!run.stderr.contains(complaint), "{complaint}: {what}");
        }
        let summary = run.json();
        let waves = summary["waves"].as_u64();
        let waves = waves.unwrap_or(u64::from(summary["due"] != 0));
        self.busy += usize::try_from(waves).unwrap();
        self.published += summary["published"].as_i64().unwrap();
        for (platform, cap) in PLATFORMS {
            let lane = &summary["platforms"][platform];
            if let Some(found) = lane["max_in_flight"].as_i64() {
                assert!(lane["cap"] == cap && found <= cap, "{what}");
                let most = self.in_flight.entry(platform.to_owned()).or_default();
                *most = found.max(*most);
            }
        }
    }

    /// Every post is live once, the database knows, and so does exactly one process.
    fn is_settled(&self) {
        let (world, posts) = (self.world, i64::try_from(self.posts).unwrap());
        let distinct =
            "SELECT CAST(count(DISTINCT account_id || ' ' || platform_post_id) AS TEXT) FROM posts";
        let found = (
            world.statuses(),
            world.value(distinct),
            world.stat("/published"),
            world.stat("/duplicates"),
            self.published,
        );
        let right = (
            format!("published {posts}"),
            posts.to_string(),
            posts,
            0,
            posts,
        );
        assert_eq!(found, right, "{}", self.what());
        for class in ["connection", "server_error"] {
            let met = format!(
                "SELECT CAST(count(*) AS TEXT) FROM posts WHERE CAST(history AS TEXT) LIKE '%{class}%'"
            );
            assert_ne!(world.value(&met), "0", "{class}: {}", self.what());
        }
        let runs = world.value("SELECT CAST(count(*) AS TEXT) FROM runs");
        assert_eq!(
            runs,
            self.busy.to_string(),
            "each run has its row: {}",
            self.what()
        );
        let journals = files::listed(&world.path("state/journal"));
        assert_eq!(journals, [] as [PathBuf; 0], "{}", self.what());
        for (platform, cap) in PLATFORMS {
            assert_eq!(
                self.in_flight[platform],
                cap,
                "{platform}'s cap is used: {}",
                self.what()
            );
        }
    }

    fn what(&self) -> String {
        format!(
            "{} processes, PUBLISHER_RACE_SEED={}",
            self.processes, self.seed
        )
    }
}
