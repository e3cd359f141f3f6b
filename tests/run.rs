//! `publisher run`, the real binary, as cron starts it: an empty environment, no terminal, both databases.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};
use support::world::{Ended, Platforms, World, bare_publisher, ended, post, signal};

/// One post for each platform, with what that platform needs.
fn one_of_each(world: &World) -> Vec<i64> {
    let video = world.path("clip.mp4");
    std::fs::write(&video, vec![7_u8; 300_000]).unwrap();
    world.due([
        post(world.account("facebook", 1, "alder"), "Hello, Page")
            .with("link", "https://example.com/a"),
        post(
            world.account("instagram", 1, "alder"),
            "Hello, followers #hi",
        )
        .with(
            "media",
            json!([{"url": world.sandbox.sample("1080x1080.jpg"), "alt": "A loaf"}]),
        ),
        post(
            world.account("linkedin", 1, "birch"),
            "Hello (network) #hiring *now* @you",
        ),
        post(
            world.account("youtube", 1, "birch"),
            "What you see is a clip",
        )
        .with("media", json!([{"path": video}]))
        .with("options", json!({"title": "A clip", "privacy": "unlisted"})),
        post(world.account("slack", 1, "cedar"), "Hello <team> & all"),
    ])
}

/// Interrupts a run, and again until it waits for nothing.
fn interrupted_twice(world: &World, run: Child) -> Ended {
    signal(&run, "INT");
    // Two signals that come close together may be delivered as one, so the second is repeated until it is heard.
    let run = std::cell::RefCell::new(run);
    world.await_until("the run ends", |_| {
        let mut run = run.borrow_mut();
        let over = run.try_wait().unwrap().is_some();
        if !over {
            signal(&run, "INT");
        }
        over
    });
    ended(run.into_inner())
}

on_both! {
    fn it_publishes_to_five_platforms_and_records_it(world: World) {
        one_of_each(world);
        let summary = world.run(&["--json"]).exits(0).json();

        assert_eq!((&summary["due"], &summary["published"]), (&json!(5), &json!(5)), "{summary}");
        assert_eq!(summary["database_statements"], 4);
        assert_eq!(world.statuses(), "published 5");
        let seen = world.get("api/posts");
        let mut texts: Vec<&str> = seen.as_array().unwrap().iter().filter_map(|post| post["text"].as_str()).collect();
        texts.sort_unstable();
        assert_eq!(texts, [
            "Hello (network) #hiring *now* @you", "Hello <team> & all", "Hello, Page", "Hello, followers #hi",
            "What you see is a clip",
        ]);
        // What the database says and what the platform has are the same posts.
        for seen in seen.as_array().unwrap() {
            let found = world.value(&format!(
                "SELECT coalesce(p.permalink, '') || ' ' || p.platform_post_id FROM posts p \
                 JOIN accounts a ON a.id = p.account_id WHERE a.platform = '{}'",
                seen["platform"].as_str().unwrap()
            ));
            let (permalink, id) = found.split_once(' ').unwrap();
            assert_eq!(permalink, seen["permalink"].as_str().unwrap(), "{seen}");
            assert!(id.ends_with(seen["id"].as_str().unwrap()), "{id} {seen}");
        }
        let recorded = world.value(
            "SELECT id || ' ' || due || ' ' || published || ' ' || exit_code FROM runs",
        );
        assert_eq!(recorded, format!("{} 5 5 0", summary["run_id"].as_str().unwrap()));
        // A second run finds nothing, and sends nothing.
        assert_eq!(world.run(&["--json"]).exits(0).json()["database_statements"], 1);
        assert_eq!(world.stat("/published"), 5);
    }

    fn it_is_silent_on_success(world: World) {
        assert_eq!(world.run(&[]).exits(0).stdout, "");
        world.due([post(world.account("slack", 1, "alder"), "hi")]);
        let ended = world.run(&[]).exits(0);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
        assert_eq!(world.stat("/published"), 1);
    }

    fn eight_at_once_publish_each_post_exactly_once(world: World) {
        let accounts: Vec<i64> = (0..100).map(|n| world.account("slack", n, &format!("owner {}", n % 12))).collect();
        world.due((0..500).map(|n| post(accounts[n % 100], &format!("post {n}"))));
        let runs: Vec<_> = (0..8).map(|_| world.start(&["--json"])).collect();
        let published: i64 =
            runs.into_iter().map(|run| ended(run).exits(0).json()["published"].as_i64().unwrap()).sum();
        assert_eq!(published, 500);
        assert_eq!((world.stat("/published"), world.stat("/duplicates")), (500, 0));
        assert_eq!(world.statuses(), "published 500");
    }

    fn a_rejected_post_fails_alone(world: World) {
        let account = world.account("slack", 1, "alder");
        let ids = world.due([post(account, "[[reject]] me"), post(account, "fine")]);
        let ended = world.run(&[]).exits(1);
        assert!(ended.stderr.contains(&format!("post {} (slack:C00000001) failed: ", ids[0])), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
        assert_eq!(world.statuses(), "failed 1, published 1");
        assert_eq!(world.value("SELECT error_class || ' ' || attempts FROM posts WHERE status = 'failed'"), "rejected 1");
        // It is dead until a person revives it.
        world.run(&[]).exits(0);
    }

    fn what_is_too_late_is_dropped_without_a_call(world: World) {
        let account = world.account("slack", 1, "alder");
        world.due([post(account, "yesterday").late(24 * 60 + 1), post(account, "last week").late(8 * 24 * 60)]);
        let ended = world.run(&["--json"]).exits(1);
        assert_eq!(ended.json()["expired"], 2);
        assert!(ended.stderr.contains("too late"), "{ended:?}");
        assert_eq!((world.statuses().as_str(), world.stat("/requests")), ("expired 2", 0));

        world.due([post(account, "an hour ago").late(60)]);
        world.run(&["--expiry", "30m", "--fail-on", "none"]).exits(0);
        assert_eq!((world.statuses().as_str(), world.stat("/requests")), ("expired 3", 0));
    }

    fn an_answer_that_got_lost_is_never_sent_again(world: World) {
        for (n, fault) in ["slack:500-after-accept", "slack:reset-after-accept"].into_iter().enumerate() {
            // The look-up that follows is refused, so that the doubt stays.
            world.faults(&[fault, "slack/status:rejected"]);
            let account = world.account("slack", u32::try_from(n).unwrap(), "alder");
            world.due([post(account, fault)]);
            let ended = world.run(&[]).exits(1);
            assert!(ended.stderr.contains("unconfirmed"), "{ended:?}");
            world.faults(&[]);
            world.run(&[]).exits(0);
        }
        assert_eq!(world.statuses(), "unconfirmed 2");
        assert_eq!((world.stat("/published"), world.stat("/duplicates")), (2, 0));
    }

    fn a_refused_connection_is_tried_again_later(world: World) {
        let ids = world.due([post(world.account("slack", 1, "alder"), "hi")]);
        let nobody = format!("http://127.0.0.1:{}", support::postgres::free_port());
        let summary = world.run(&["--json", "--sandbox", &nobody]).exits(0).json();
        assert_eq!((&summary["retry"], &summary["published"]), (&json!(1), &json!(0)));
        let later = if world.is_postgres() { "due_at > now()" } else { "due_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now')" };
        let row = world.value(&format!(
            "SELECT status || ' ' || attempts || ' ' || error_class FROM posts WHERE id = {} AND {later}", ids[0]
        ));
        assert_eq!(row, "pending 1 connect");
        world.run(&["--fail-on", "retry", "--sandbox", &nobody]).exits(0);
    }

    fn the_last_try_fails(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi").with("max_attempts", 1)]);
        let nobody = format!("http://127.0.0.1:{}", support::postgres::free_port());
        let ended = world.run(&["--sandbox", &nobody]).exits(1);
        assert!(ended.stderr.contains("it was the last of 1 tries"), "{ended:?}");
        assert_eq!(world.statuses(), "failed 1");
    }

    fn three_failures_in_a_row_spare_the_rest(world: World) {
        let accounts: Vec<i64> = (0..30).map(|n| world.account("slack", n, "alder")).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let nobody = format!("http://127.0.0.1:{}", support::postgres::free_port());
        let summary = world.run(&["--json", "--sandbox", &nobody, "--cap", "slack=1"]).exits(0).json();
        assert_eq!((&summary["retry"], &summary["released"]), (&json!(3), &json!(27)), "{summary}");
        assert_eq!(world.value("SELECT sum(attempts) || '' FROM posts"), "3");
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 27);
    }

    fn a_rate_limit_blocks_the_account_and_uses_no_attempt(world: World) {
        let (one, other) = (world.account("slack", 1, "alder"), world.account("linkedin", 2, "birch"));
        world.due([post(one, "first"), post(one, "second"), post(other, "elsewhere")]);
        world.faults(&["slack:429:retry-after=90"]);
        let summary = world.run(&["--json"]).exits(0).json();
        assert_eq!((&summary["retry"], &summary["released"], &summary["published"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!(summary["throttled"], 1);
        assert_eq!(world.value("SELECT sum(attempts) || '' FROM posts WHERE status = 'pending'"), "0");
        assert_eq!(world.stat("/platforms/slack/requests"), 1);
        // The next runs leave the account alone, and the dry run says why.
        world.faults(&[]);
        assert_eq!(world.run(&["--json"]).exits(0).json()["due"], 0);
        let plan = world.run(&["--dry-run", "--json"]).exits(0).json();
        let by = plan["hold_back"][0]["by"].as_str().unwrap();
        assert!(by.contains("is blocked until"), "{plan}");
    }

    fn a_short_refusal_is_waited_out(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi")]);
        world.faults(&["slack:429:retry-after=1:50%"]);
        // Every second request is refused: if the first is, the second is not, and the other way round.
        world.run(&[]).exits(0);
        world.due([post(world.account("slack", 2, "alder"), "hi")]);
        world.run(&[]).exits(0);
        assert_eq!(world.statuses(), "published 2");
    }

    fn a_refused_token_waits_for_a_person(world: World) {
        let account = world.account_with_token("slack", 1, "alder", "revoked-1");
        world.due([post(account, "first"), post(account, "second")]);
        let summary = world.run(&["--json"]).exits(0).json();
        assert_eq!((&summary["retry"], &summary["released"]), (&json!(1), &json!(1)), "{summary}");
        assert_eq!(world.value("SELECT status FROM accounts"), "needs_login");
        assert_eq!(world.value("SELECT sum(attempts) || ' ' || min(status) FROM posts"), "0 pending");
        // Until then nothing of it is claimed.
        assert_eq!(world.run(&["--json"]).exits(0).json()["due"], 0);
        assert_eq!(world.stat("/requests"), 1);
        // A new token opens the account again.
        world.account("slack", 1, "alder");
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 2);
    }

    fn a_wrong_or_missing_key_names_the_accounts_and_sends_nothing(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi"), post(world.account("facebook", 2, "birch"), "hi")]);
        let mut wrong = world.publisher(&["run"]);
        wrong.env("ENCRYPTION_KEY", "ff".repeat(32));
        let mut missing = world.publisher(&["run"]);
        missing.env_remove("ENCRYPTION_KEY");
        for mut command in [wrong, missing] {
            let ended: support::world::Ended = command.output().unwrap().into();
            let ended = ended.exits(78);
            assert!(ended.stderr.contains("slack:C00000001") && ended.stderr.contains("facebook:1000002"), "{ended:?}");
        }
        assert_eq!(world.stat("/requests"), 0);
        assert_eq!(world.value("SELECT sum(attempts) || ' ' || min(status) FROM posts"), "0 pending");
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 2);
    }

    fn a_malformed_key_stops_before_anything_is_claimed(world: World) {
        world.due([post(world.account("slack", 1, "alder"), "hi")]);
        let mut command = world.publisher(&["run"]);
        command.env("ENCRYPTION_KEY", "not-a-key-at-all");
        let ended: support::world::Ended = command.output().unwrap().into();
        let ended = ended.exits(78);
        assert!(ended.stderr.contains("ENCRYPTION_KEY") && !ended.stderr.contains("not-a-key-at-all"), "{ended:?}");
        assert_eq!(world.value("SELECT count(*) || '' FROM posts WHERE claim IS NOT NULL"), "0");
    }

    fn a_dry_run_writes_nothing_and_calls_nobody(world: World) {
        one_of_each(world);
        let account = world.account("slack", 2, "dogwood");
        world.due([
            post(account, "too late").late(24 * 60 + 5),
            post(account, ""),
            post(account, "over the limit"),
        ]);
        world.execute(&format!("INSERT INTO limits (scope, \"window\", max) VALUES ('account:{account}', 'day', 1)"));
        let before = world.dump();
        let plan = world.run(&["--dry-run", "--json"]).exits(1).json();
        let text = world.run(&["--dry-run"]).exits(1).stdout;
        assert_eq!(world.dump(), before);
        assert_eq!(world.stat("/requests"), 0);

        assert_eq!(plan["publish"].as_array().unwrap().len(), 5, "{plan}");
        assert_eq!(plan["expire"][0]["text"], "too late");
        assert_eq!(plan["reject"].as_array().unwrap().len(), 1, "{plan}");
        assert_eq!(plan["hold_back"][0]["by"], format!("account:{account}: 1 per day"));
        for part in ["slack: publish 1, 8 at once", "expired, to be dropped: 1", "held back: 1", "would be rejected: 1"] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        // At another time other things are due.
        let earlier = world.run(&["--dry-run", "--json", "--now", "2020-01-01T00:00:00Z"]).exits(0).json();
        assert_eq!((&earlier["due"], &earlier["now"]), (&json!(0), &json!("2020-01-01T00:00:00.000Z")));
    }

    fn a_dry_run_shows_what_a_person_reads_and_counts_the_rest(world: World) {
        let (one, other) = (world.account("slack", 1, "alder"), world.account("facebook", 2, "alder"));
        let posts = |account, count| (0..count).map(move |n| post(account, &format!("post {n}")));
        world.due(posts(one, 25).chain(posts(other, 3)));
        let lines = |arguments: &[&str]| world.run(&[&["--dry-run"], arguments].concat()).exits(0).stdout;
        let of_posts = |text: &str| text.lines().filter(|line| line.contains(". post ")).count();

        let text = lines(&[]);
        assert!(text.contains("slack: publish 25, 8 at once, 24s at least (25 to slack:C00000001, 1s apart)\n"), "{text}");
        assert!(text.contains("facebook: publish 3, 8 at once\n"), "{text}");
        assert!(text.contains("        … and 5 more (--all)\n"), "{text}");
        assert_eq!(of_posts(&text), 23, "{text}");
        assert_eq!(of_posts(&lines(&["--all"])), 28);

        let text = lines(&["--limit", "10"]);
        assert!(text.ends_with("\n… and 18 more wait for the next run: --limit is 10.\n"), "{text}");
        assert_eq!(of_posts(&text), 10, "{text}");
        let text = lines(&["--limit", "10", "--all"]);
        assert!(text.contains("beyond --limit, for the next run: 18\n"), "{text}");
        assert_eq!(of_posts(&text), 28, "{text}");

        // Programs get everything in any case.
        let plan = world.run(&["--dry-run", "--json", "--limit", "10"]).exits(0).json();
        let count = |list: &str| plan[list].as_array().unwrap().len();
        assert_eq!((count("publish"), count("over_limit"), &plan["due"]), (10, 18, &json!(28)));
        let keys: Vec<&String> = plan["over_limit"][0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["account", "id", "lateness", "owner", "place", "platform", "scheduled_at", "text"]);
    }

    fn limits_hold_posts_back_until_the_window_moves_on(world: World) {
        let accounts: Vec<i64> = (0..4).map(|n| world.account("slack", n, "alder")).collect();
        world.due((0..8).map(|n| post(accounts[n % 4], &format!("post {n}"))));
        world.execute("INSERT INTO limits (scope, \"window\", max) VALUES ('owner:alder', 'hour', 3)");
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 3);
        assert_eq!(world.run(&["--json"]).exits(0).json()["due"], 0);
        let an_hour_ago = publisher::store::instant(publisher::schedule::Clock::host().now() - chrono::TimeDelta::minutes(61));
        world.execute(&format!("UPDATE posts SET published_at = '{an_hour_ago}' WHERE status = 'published'"));
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 3);
        assert_eq!(world.statuses(), "pending 2, published 6");
    }

    fn a_panicless_run_of_unknown_platforms_fails_them_clearly(world: World) {
        world.execute("INSERT INTO accounts (owner, platform, external_id) VALUES ('alder', 'myspace', 'tom')");
        let id = world.value("SELECT id || '' FROM accounts").parse().unwrap();
        world.due([post(id, "hi")]);
        let ended = world.run(&[]).exits(1);
        assert!(ended.stderr.contains("knows no platform `myspace`"), "{ended:?}");
        assert_eq!(world.statuses(), "failed 1");
    }

    fn the_rest_waits_when_the_time_budget_is_used_up(world: World) {
        let slow = Platforms::with(Duration::from_millis(400));
        let accounts: Vec<i64> = (0..40).map(|n| world.account("linkedin", n, "alder")).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let summary = world.run(&["--json", "--time-budget", "1s", "--sandbox", &slow.url]).exits(0).json();
        let (published, released) = (summary["published"].as_i64().unwrap(), summary["released"].as_i64().unwrap());
        // Four at a time, 400 ms each: three rounds start within the second.
        assert!(published >= 4 && released >= 4 && published + released == 40, "{summary}");
        assert_eq!(world.value("SELECT count(*) || '' FROM posts WHERE status = 'pending' AND attempts = 0"), released.to_string());
    }

    fn sigterm_drains_and_commits(world: World) {
        let slow = Platforms::with(Duration::from_millis(300));
        let accounts: Vec<i64> = (0..40).map(|n| world.account("linkedin", n, "alder")).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let run = world.start(&["--json", "--sandbox", &slow.url]);
        world.await_until("posts are in flight", |world| world.value_of(&slow, "/requests") > 0);
        signal(&run, "TERM");
        let summary = ended(run).exits(143).json();
        let published = summary["published"].as_i64().unwrap();
        assert!((1..40).contains(&published), "{summary}");
        assert_eq!(world.value_of(&slow, "/published"), published);
        assert_eq!(world.statuses(), format!("pending {}, published {published}", 40 - published));
        assert_eq!(world.value("SELECT exit_code || '' FROM runs"), "143");
        world.run(&[]).exits(0);
        assert_eq!(world.statuses(), "published 40");
    }

    fn a_second_signal_stops_waiting(world: World) {
        world.faults(&["slack:hang"]);
        world.due([post(world.account("slack", 1, "alder"), "hi"), post(world.account("slack", 2, "birch"), "hi")]);
        let run = world.start(&["--json", "--cap", "slack=1"]);
        world.await_until("a post is in flight", |world| world.stat("/requests") > 0);
        let summary = interrupted_twice(world, run).exits(130).json();
        assert_eq!((&summary["unconfirmed"], &summary["released"]), (&json!(1), &json!(1)), "{summary}");
        assert_eq!(world.statuses(), "pending 1, unconfirmed 1");
    }

    fn a_post_that_is_live_is_published_although_nobody_waits_for_its_comment(world: World) {
        world.faults(&["slack/comment:hang"]);
        let account = world.account("slack", 1, "alder");
        world.due([post(account, "hi").with("options", json!({"first_comment": "First"}))]);
        let run = world.start(&["--json"]);
        world.await_until("its answer was followed by a request", |world| world.stat("/requests") > 1);
        interrupted_twice(world, run).exits(130);
        assert_eq!(world.statuses(), "published 1");
        assert_ne!(world.value("SELECT platform_post_id FROM posts"), "");
    }

    fn caps_hold_and_are_used(world: World) {
        let slow = Platforms::with(Duration::from_millis(50));
        let accounts: Vec<i64> = (0..40).map(|n| world.account("slack", n, &format!("owner {}", n % 4))).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let summary = world.run(&["--json", "--limit", "20", "--sandbox", &slow.url]).exits(0).json();
        assert_eq!(world.value_of(&slow, "/platforms/slack/max_in_flight"), 8);
        assert_eq!(summary["platforms"]["slack"]["max_in_flight"], 8);
        world.reset(&slow);
        world.run(&["--cap", "slack=3", "--sandbox", &slow.url]).exits(0);
        assert_eq!(world.value_of(&slow, "/platforms/slack/max_in_flight"), 3);
        assert_eq!(world.statuses(), "published 40");
    }

    fn an_account_has_one_post_in_flight_in_order(world: World) {
        let slow = Platforms::with(Duration::from_millis(20));
        let (one, other) = (world.account("slack", 1, "alder"), world.account("slack", 2, "alder"));
        world.due((0..10).map(|n| post(if n < 7 { one } else { other }, &format!("post {n}"))));
        world.run(&["--sandbox", &slow.url]).exits(0);
        assert_eq!(world.value_of(&slow, "/platforms/slack/max_in_flight_per_account"), 1);
        let posts = world.get_from(&slow, "api/posts");
        let texts = |account: &str| -> Vec<String> {
            let mine = posts.as_array().unwrap().iter().filter(|post| post["account"] == account);
            mine.map(|post| post["text"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(texts("C00000001"), (0..7).map(|n| format!("post {n}")).collect::<Vec<_>>());
    }

    fn a_slow_platform_never_holds_up_another(world: World) {
        world.faults(&["linkedin:hang:2"]);
        let linkedin: Vec<i64> = (0..8).map(|n| world.account("linkedin", n, "alder")).collect();
        let slack: Vec<i64> = (0..30).map(|n| world.account("slack", n, "birch")).collect();
        world.due(linkedin.iter().chain(&slack).map(|account| post(*account, "hi")));
        let run = world.start(&["--json"]);
        world.await_until("Slack is done while LinkedIn hangs", |world| {
            world.stat("/platforms/slack/published") == 30
        });
        let posts = world.get("api/stats");
        assert!(posts["platforms"]["linkedin"]["published"].as_i64() <= Some(4), "{posts}");
        ended(run).exits(0);
        assert_eq!(world.statuses(), "published 38");
    }

    fn the_gentle_pace_keeps_distance(world: World) {
        let slow = Platforms::with(Duration::from_millis(50));
        let accounts: Vec<i64> = (0..3).map(|n| world.account("slack", n, "alder")).collect();
        world.due(accounts.iter().map(|account| post(*account, "hi")));
        let summary = world.run(&["--json", "--pace", "gentle", "--sandbox", &slow.url]).exits(0).json();
        // 500 ms between starts: however late a busy machine lets them arrive, the last of three begins a second after
        // the first.
        assert!(summary["duration_ms"].as_u64() >= Some(1_000), "{summary}");
        assert_eq!(world.get_from(&slow, "api/posts").as_array().unwrap().len(), 3);
    }
}

impl World {
    fn get_from(&self, platforms: &Platforms, path: &str) -> Value {
        self.block_on(platforms.get(path))
    }

    fn value_of(&self, platforms: &Platforms, pointer: &str) -> i64 {
        self.get_from(platforms, "api/stats")
            .pointer(pointer)
            .and_then(Value::as_i64)
            .unwrap_or_default()
    }

    fn reset(&self, platforms: &Platforms) {
        self.block_on(platforms.reset());
    }
}

#[test]
fn postgresql_is_never_migrated_unless_asked() {
    let world = World::postgres();
    world.execute("DROP SCHEMA publisher CASCADE");
    let ended = world.run(&[]).exits(78);
    assert!(ended.stderr.contains("publisher migrate"), "{ended:?}");
    assert!(!ended.stderr.contains("postgres@"), "{ended:?}");
    world.run(&["--migrate"]).exits(0);
    world.run(&[]).exits(0);
}

#[test]
fn sqlite_is_made_on_first_use_at_the_default_place_only() {
    let home = tempfile::tempdir().unwrap();
    let run = |variable: &str, value: &str| {
        let mut command = bare_publisher(&["run"]);
        command.env(variable, value).current_dir(home.path());
        support::world::Ended::from(command.output().unwrap())
    };
    let ended = run("HOME", home.path().to_str().unwrap()).exits(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    assert!(
        home.path()
            .join(".local/share/publisher/publisher.db")
            .exists()
    );

    // A dry run makes nothing.
    let mut command = bare_publisher(&["run", "--dry-run"]);
    let nowhere = tempfile::tempdir().unwrap();
    command
        .env("HOME", nowhere.path())
        .current_dir(nowhere.path());
    let ended = support::world::Ended::from(command.output().unwrap()).exits(0);
    assert!(ended.stdout.contains("Nothing is due."), "{ended:?}");
    assert_eq!(std::fs::read_dir(nowhere.path()).unwrap().count(), 0);

    let elsewhere = home.path().join("other.db");
    let ended = run("DATABASE_URL", &format!("sqlite:{}", elsewhere.display())).exits(78);
    assert!(ended.stderr.contains("publisher migrate"), "{ended:?}");
    assert!(!elsewhere.exists());

    let ended = run("UNRELATED", "1").exits(78);
    assert!(ended.stderr.contains("set DATABASE_URL"), "{ended:?}");
}

#[test]
fn at_a_terminal_it_shows_bars_and_a_table() {
    let world = World::sqlite();
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    // `script` gives the command a terminal.
    let mut command = std::process::Command::new("script");
    command
        .args([
            "-qec",
            &format!("{} run", env!("CARGO_BIN_EXE_publisher")),
            "/dev/null",
        ])
        .env_clear()
        .env("TERM", "xterm")
        .env("DATABASE_URL", &world.database_url)
        .env("ENCRYPTION_KEY", support::world::KEY)
        .env("PUBLISHER_SANDBOX", &world.sandbox.url);
    let ended = support::world::Ended::from(command.output().unwrap()).exits(0);
    for part in ["slack ██", "1 of 8", "1 of 1 due posts published"] {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in {}",
            ended.stdout
        );
    }
}

#[test]
fn the_demo_does_the_whole_job() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = bare_publisher(&["demo", "--latency", "5ms"]);
    command.env("TMPDIR", temporary.path());
    let ended = support::world::Ended::from(command.output().unwrap()).exits(0);
    for part in [
        "61 posts are due",
        "56 of 60 due posts published",
        "3 were older than 24 hours",
        "failed alone",
        "sandbox",
    ] {
        assert!(
            ended.stdout.contains(part),
            "no {part:?} in {}",
            ended.stdout
        );
    }
    assert_eq!(
        std::fs::read_dir(temporary.path()).unwrap().count(),
        0,
        "it leaves nothing behind"
    );
}
