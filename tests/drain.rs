//! `publisher run --drain`: wave after wave until nothing is due, the real binary, both databases.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::world::{Ended, Platforms, World, bare_publisher, ended, post, signal};

/// Posts of so many accounts in turn, numbered.
fn due(world: &World, platform: &str, accounts: u32, posts: u32) {
    let ids: Vec<i64> = (0..accounts)
        .map(|n| world.account(platform, n, &format!("owner {}", n % 3)))
        .collect();
    let numbered = (0..posts).zip(ids.iter().cycle());
    world.due(numbered.map(|(n, account)| post(*account, &format!("post {n}"))));
}

/// What the platforms have of each account, in the order in which it came in.
fn seen(world: &World) -> BTreeMap<String, Vec<u32>> {
    let mut seen: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for post in world.get("api/posts").as_array().unwrap() {
        let number = post["text"]
            .as_str()
            .unwrap()
            .strip_prefix("post ")
            .unwrap();
        let account = post["account"].as_str().unwrap().to_owned();
        seen.entry(account)
            .or_default()
            .push(number.parse().unwrap());
    }
    seen
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

on_both! {
    fn it_goes_on_until_nothing_is_due(world: World) {
        let slow = Platforms::with(Duration::from_millis(20));
        due(world, "linkedin", 60, 300);
        let arguments = ["--drain", "--limit", "50", "--json", "--sandbox", &slow.url];
        let summary = world.run(&arguments).exits(0).json();
        assert_eq!((&summary["due"], &summary["published"]), (&json!(300), &json!(300)), "{summary}");
        let stats = world.block_on(slow.get("api/stats"));
        assert_eq!((&stats["published"], &stats["duplicates"]), (&json!(300), &json!(0)));
        assert_eq!(world.statuses(), "published 300");
        let waves = number(&summary["waves"]);
        assert!(waves >= 6, "{summary}");
        // Each wave has its claim, two UPDATEs and its row; a claim that finds all accounts at work is one more.
        let statements = number(&summary["database_statements"]);
        assert!((4 * waves + 1..=5 * waves + 1).contains(&statements), "{summary}");
        let runs = world.rows("SELECT count(*) || ' ' || sum(due) || ' ' || sum(published) || ' ' || max(exit_code) FROM runs");
        assert_eq!(runs, [format!("{waves} 300 300 0")]);
        assert_eq!(summary["platforms"]["linkedin"]["published"], 300);
        assert_eq!(summary["platforms"]["linkedin"]["max_in_flight"], 4, "no more at once than in one wave");
        assert_eq!(stats["platforms"]["linkedin"]["max_in_flight"], 4, "{stats}");
    }

    fn each_accounts_posts_keep_their_order_over_the_waves(world: World) {
        due(world, "linkedin", 4, 60);
        let summary = world.run(&["--drain", "--limit", "7", "--json"]).exits(0).json();
        assert_eq!(summary["published"], 60, "{summary}");
        for (account, numbers) in seen(world) {
            assert!(numbers.is_sorted(), "{account}: {numbers:?}");
            assert_eq!(numbers.len(), 15);
        }
    }

    fn nothing_due_is_no_wave_and_one_statement(world: World) {
        let summary = world.run(&["--drain", "--json"]).exits(0).json();
        assert_eq!((&summary["waves"], &summary["database_statements"]), (&json!(0), &json!(1)), "{summary}");
        assert_eq!(world.run(&["--json"]).exits(0).json().get("waves"), None);
        due(world, "linkedin", 1, 1);
        let one = world.run(&["--json"]).exits(0).json();
        assert_eq!((one.get("waves"), &one["database_statements"]), (None, &json!(4)));
    }

    fn without_the_flag_a_run_is_one_wave(world: World) {
        due(world, "linkedin", 10, 40);
        let summary = world.run(&["--limit", "10", "--json"]).exits(0).json();
        assert_eq!(summary["due"], 10, "{summary}");
        assert_eq!(world.statuses(), "pending 30, published 10");
    }

    fn a_signal_ends_it_as_it_ends_a_run(world: World) {
        let slow = Platforms::with(Duration::from_millis(100));
        due(world, "linkedin", 40, 400);
        let run = world.start(&["--drain", "--limit", "20", "--json", "--sandbox", &slow.url]);
        world.await_until("the second wave is recorded", |world| {
            world.value("SELECT count(*) || '' FROM runs").parse::<u32>().unwrap() >= 2
        });
        signal(&run, "TERM");
        let summary = ended(run).exits(143).json();
        let published = summary["published"].as_i64().unwrap();
        assert!((40..400).contains(&published), "{summary}");
        let stats = world.block_on(slow.get("api/stats"));
        assert_eq!(stats["published"], published);
        assert_eq!(world.statuses(), format!("pending {}, published {published}", 400 - published));
        assert_eq!(world.value("SELECT count(*) || '' FROM posts WHERE status = 'pending' AND attempts > 0"), "0");
        let recorded = world.value("SELECT count(*) || ' ' || sum(published) FROM runs");
        assert_eq!(recorded, format!("{} {published}", summary["waves"]));
    }

    fn it_ends_with_the_time_budget(world: World) {
        let slow = Platforms::with(Duration::from_millis(200));
        due(world, "linkedin", 40, 400);
        let arguments = ["--drain", "--limit", "20", "--time-budget", "2s", "--json", "--sandbox", &slow.url];
        let summary = world.run(&arguments).exits(0).json();
        let published = summary["published"].as_i64().unwrap();
        assert!((1..400).contains(&published), "{summary}");
        assert_eq!(world.statuses(), format!("pending {}, published {published}", 400 - published));
    }

    /// What it gives back it does not claim again: it would go round in circles.
    fn what_it_can_not_publish_it_leaves_to_others(world: World) {
        due(world, "linkedin", 12, 36);
        let mut command = world.publisher(&["run", "--drain", "--limit", "5", "--json"]);
        command.env("ENCRYPTION_KEY", "ff".repeat(32));
        let summary = Ended::from(command.output().unwrap()).exits(78).json();
        assert_eq!(summary["due"], summary["released"], "{summary}");
        assert!(number(&summary["waves"]) <= 12, "{summary}");
        assert_eq!(world.stat("/requests"), 0);

        let nobody = format!("http://127.0.0.1:{}", support::postgres::free_port());
        let arguments = ["--drain", "--limit", "5", "--cap", "linkedin=1", "--json", "--sandbox", &nobody];
        let summary = world.run(&arguments).exits(0).json();
        // Three in a row stop the platform; by then the next wave may be there.
        assert!(summary["retry"] == 3 && number(&summary["waves"]) <= 2, "{summary}");
        assert_eq!(world.run(&["--drain", "--json"]).exits(0).json()["published"], 33);
    }

    fn it_says_what_a_person_should_know_of_every_wave(world: World) {
        let account = world.account("slack", 1, "alder");
        std::fs::write(world.path("publisher.toml"), "[platforms.slack]\nspacing = \"0s\"\n").unwrap();
        let ids = world.due((0..6).map(|n| post(account, &format!("[[reject]] {n}"))));
        // Three in a row would spare the rest.
        world.due([post(account, "fine")]);
        let ended = world.run(&["--drain", "--limit", "2", "--json"]).exits(1);
        assert_eq!((&ended.json()["failed"], &ended.json()["published"]), (&json!(6), &json!(1)), "{ended:?}");
        for id in ids {
            assert!(ended.stderr.contains(&format!("post {id} (slack:C00000001) failed: ")), "{ended:?}");
        }
    }
}

#[test]
fn there_is_nothing_to_drain_in_a_dry_run() {
    let output = bare_publisher(&["run", "--drain", "--dry-run"])
        .output()
        .unwrap();
    Ended::from(output).exits(2);
}
