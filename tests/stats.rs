//! `publisher stats`, and what becomes of posts in doubt at a person's hands: by the real binary on both databases.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use serde_json::{Value, json};
use sqlx::Connection;
use support::database::{self, Backend, Raw, minutes_ago};
use support::pgbouncer::PgBouncer;
use support::world::{Ended, World, post, signal};

/// A claim of a run that is no more.
const CLAIM: &str = "00000000-0000-4000-8000-000000000001";

impl World {
    fn tell(&self, arguments: &[&str]) -> Ended {
        self.publisher(arguments).output().unwrap().into()
    }

    fn stats(&self) -> Value {
        self.tell(&["stats", "--json"]).exits(0).json()
    }

    /// Posts that nobody knows of since July 1, looked up in vain an hour later.
    fn unsure(&self, account: i64, bodies: &[&str]) -> Vec<String> {
        let ids = self.due(bodies.iter().map(|body| post(account, body)));
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let doubt = |at| json!({"at": at, "outcome": "unconfirmed"});
        let history = json!([
            doubt("2026-07-01T06:00:00.000Z"),
            {"at": "2026-07-01T06:30:00.000Z", "outcome": "retry"},
            doubt("2026-07-01T07:00:00.000Z"),
            doubt("2026-07-01T08:00:00.000Z"),
        ]);
        self.execute(&format!(
            "UPDATE posts SET status = 'unconfirmed', scheduled_at = '2026-07-01T06:59:00.000Z',
                    due_at = '2030-01-01T00:00:00.000Z', attempts = 1, history = '{history}', checkpoint = '{{}}',
                    error_class = 'timeout', error_code = '500', error = 'no answer'
             WHERE id IN ({})",
            ids.join(", ")
        ));
        ids
    }
}

#[track_caller]
fn refused(ended: Ended, code: i32, part: &str) {
    let ended = ended.exits(code);
    assert!(ended.stderr.contains(part), "no {part:?} in {ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
}

on_both! {
    fn an_empty_database_has_figures_too(world: World) {
        let stats = world.stats();
        assert_eq!((&stats["now"]["due"], &stats["published"], &stats["success_rate"]), (&json!(0), &json!(0), &json!(1.0)));
        assert_eq!((&stats["platforms"], &stats["accounts"]), (&json!({}), &json!([])));
        assert_eq!(stats["runs"], json!({"count": 0, "exit_codes": {}, "last": null}));
        world.tell(&["stats"]).exits(0);
        refused(world.tell(&["stats", "--since", "soon"]), 2, "24h");
    }

    fn what_waits_what_happened_and_who_is_needed(world: World) {
        let [slack, held, blocked, disabled] =
            ["slack", "facebook", "linkedin", "youtube"].map(|platform| world.account(platform, 1, "alder"));
        world.due([post(slack, "good"), post(slack, "[[reject]]"), post(slack, "too old").late(60 * 25)]);
        world.run(&[]).exits(1);
        world.execute(&format!(
            "UPDATE accounts SET status = 'needs_login' WHERE id = {held};
             UPDATE accounts SET blocked_until = '2030-01-01T00:00:00.000Z', blocked_reason = 'too many' WHERE id = {blocked};
             UPDATE accounts SET status = 'disabled' WHERE id = {disabled}"
        ));
        let due = [slack, held, held, blocked, disabled].map(|account| post(account, "due"));
        let later = post(slack, "later").with("scheduled_at", "2030-01-01T00:00:00Z");
        world.due(due.into_iter().chain([later]));
        let lost = world.due([post(slack, "lost")])[0];
        world.execute(&format!(
            "UPDATE posts SET status = 'publishing', claim = '{CLAIM}', lease_until = '2020-01-01T00:00:00.000Z' WHERE id = {lost}"
        ));
        let left = world.unsure(slack, &["unsure", "left to a person"]).remove(1);
        world.execute(&format!("UPDATE posts SET due_at = '9999-12-31T00:00:00.000Z' WHERE id = {left}"));

        let before = world.dump();
        let ended = world.tell(&["stats", "--json"]).exits(0);
        assert!(ended.stderr.is_empty() && !ended.stdout.contains("token"), "{ended:?}");
        assert_eq!(ended.stdout.lines().count(), 1, "one object on one line");
        let mut stats = ended.json();
        assert_eq!(stats["now"], json!({
            "due": 5, "held_back": {"needs_login": 2, "blocked": 1, "disabled": 1},
            "later": 1, "next_due_at": "2030-01-01T00:00:00.000Z", "publishing": 1, "lease_ended": 1,
            "unconfirmed": 2, "unconfirmed_since": "2026-07-01T07:00:00.000Z",
            "next_look_at": "2030-01-01T00:00:00.000Z", "for_a_person": 1, "failed": 1,
        }));
        assert_eq!(stats["accounts"], json!([
            {"id": held, "account": "facebook:1000001", "owner": "alder", "status": "needs_login",
             "blocked_until": null, "reason": null, "due": 2},
            {"id": blocked, "account": "linkedin:urn:li:organization:2001", "owner": "alder", "status": "active",
             "blocked_until": "2030-01-01T00:00:00.000Z", "reason": "too many", "due": 1},
        ]));
        let last = stats["runs"]["last"].take();
        assert_eq!(stats["runs"], json!({"count": 1, "exit_codes": {"1": 1}, "last": null}));
        assert_eq!((&last["due"], &last["published"], &last["exit_code"]), (&json!(3), &json!(1), &json!(1)));
        let late = stats["platforms"]["slack"]["lateness_ms"].clone();
        assert!(late["max"].as_i64() > Some(0) && late["p50"] == late["max"], "{late}");
        let third = 1.0 / 3.0;
        let figures = json!({"published": 1, "failed": 1, "expired": 1, "success_rate": third, "lateness_ms": late});
        assert_eq!(stats["platforms"], json!({"slack": figures}));
        for (name, value) in figures.as_object().unwrap() {
            assert_eq!(&stats[name], value, "{name}");
        }

        let lines = world.tell(&["stats"]).exits(0).stdout;
        for line in ["due\t5\t2 wait for a login; 1 wait for a blocked account; 1 wait for a disabled account\n",
                     "slack\t1\t1\t1\t33.3%\t", "\n2\tfacebook:1000001\talder\t2\tneeds a login"] {
            assert!(lines.contains(line), "no {line:?} in {lines}");
        }
        assert_eq!(world.dump(), before, "stats reads only");

        // Long before it nothing happened, and what stands now stands all the same.
        world.execute("UPDATE runs SET started_at = '2020-01-01T00:00:00.000Z'");
        let stats = world.tell(&["stats", "--json", "--since", "1ms"]).exits(0).json();
        assert_eq!((&stats["published"], &stats["failed"], &stats["now"]["failed"]), (&json!(0), &json!(0), &json!(1)));
        assert_eq!((&stats["runs"]["count"], &stats["runs"]["last"]["exit_code"]), (&json!(0), &json!(1)));
    }

    fn a_post_in_doubt_says_what_to_do(world: World) {
        let account = world.account("linkedin", 1, "birch");
        world.execute("UPDATE accounts SET external_id = 'urn:li:person:abcDEF123'");
        world.seal_again(account, "linkedin", "urn:li:person:abcDEF123");
        let id = world.due([post(account, "Hello, network")])[0];
        world.execute(&format!(
            "UPDATE posts SET status = 'publishing', claim = '{CLAIM}', lease_until = '2020-01-01T00:00:00.000Z'"
        ));
        let run = world.run(&["--json"]).exits(1);
        assert_eq!((&run.json()["unconfirmed"], &run.json()["platforms"]["linkedin"]["unconfirmed"]), (&json!(1), &json!(1)));
        let command = format!("`publisher posts resolve {id} --published URL`");
        assert!(run.stderr.contains(&command) && run.stderr.contains("looked up again"), "{run:?}");
        let shown = world.tell(&["posts", "show", &id.to_string()]).exits(0).stdout;
        assert!(shown.contains(&command) && shown.contains("\nunsure since "), "{shown}");
        let known = world.unsure(account, &["since July"]).remove(0);
        let list = world.tell(&["posts", "list", "--status", "unconfirmed"]).exits(0).stdout;
        let line = format!(
            "{known}\tlinkedin:urn:li:person:abcDEF123\t2026-07-01 06:59Z\t2026-07-01 07:00Z\t2030-01-01 00:00Z\t1/5\tsince July\n"
        );
        assert!(list.contains(&line), "{list}");
    }

    fn a_post_that_was_found_is_published_when_the_doubt_began(world: World) {
        let account = world.account("slack", 1, "alder");
        let ids = world.unsure(account, &["by address", "by id"]);
        let there = "https://acme.slack.com/archives/C00000001/p1";
        world.tell(&["posts", "resolve", &ids[0], "--published", there]).exits(0);
        world.tell(&["posts", "resolve", &ids[1], "--published", "1700000000.000100"]).exits(0);
        for (id, name, value) in [(&ids[0], "permalink", there), (&ids[1], "platform_post_id", "1700000000.000100")] {
            let shown = world.tell(&["posts", "show", id, "--json"]).exits(0).json();
            assert_eq!((&shown["status"], &shown[name]), (&json!("published"), &json!(value)));
            let at: chrono::DateTime<chrono::Utc> = serde_json::from_value(shown["published_at"].clone()).unwrap();
            assert_eq!(publisher::store::instant(at), "2026-07-01T07:00:00.000Z");
            for nothing in ["error", "error_class", "error_code", "checkpoint", "lease_until"] {
                assert_eq!(shown[nothing], Value::Null, "{nothing}");
            }
            assert_eq!(shown["history"][4]["outcome"], "published");
        }
        refused(world.tell(&["posts", "resolve", &ids[0], "--published", there]), 1, "is published");
        refused(world.tell(&["posts", "resolve", &ids[0], "--not-published"]), 1, "is published");
        assert_eq!(world.statuses(), "published 2");
    }

    fn a_slip_of_the_hand_changes_nothing(world: World) {
        let account = world.account("slack", 1, "alder");
        let ids = world.unsure(account, &["one", "two"]);
        let before = world.dump();
        let one = ids[0].as_str();
        for (arguments, part) in [
            (&[one, "--published", "https://www.linkedin.com/feed/update/urn:li:share:7/"] as &[&str], "goes to slack"),
            (&[one, "--published", "acme.slack.com/archives/C1/p1"], "https://"),
            (&[one, "--published", "javascript://alert(1)"], "https://"),
            (&[one, "--published", " "], "neither"),
            (&[one, &ids[1], "--published", "https://acme.slack.com/archives/C1/p1"], "one by one"),
            (&[one, "--published", "7", "--not-published"], "cannot be used with"),
            (&[one], "--published"),
            (&["--not-published"], "required"),
            (&["one", "--not-published"], "one"),
        ] {
            let arguments = [&["posts", "resolve"], arguments].concat();
            refused(world.tell(&arguments), 2, part);
        }
        refused(world.tell(&["posts", "resolve", "999", "--published", "7"]), 1, "no post 999");
        assert_eq!(world.dump(), before);
    }

    fn several_posts_are_put_back_and_each_is_told(world: World) {
        let account = world.account("slack", 1, "alder");
        let ids = world.unsure(account, &["one", "two"]);
        let later = world.due([post(account, "later").with("scheduled_at", "2030-01-01T00:00:00Z")])[0];
        let later = later.to_string();
        let ended = world
            .tell(&["posts", "resolve", &ids[0], &ids[1], &ids[0], &later, "999", "--not-published", "--json"])
            .exits(1);
        assert!(ended.stderr.contains(&format!("post {later} is pending")) && ended.stderr.contains("no post 999"));
        let entry = |id: &str, changed: bool, status: Value| json!({"id": id.parse::<i64>().unwrap(), "changed": changed, "status": status});
        assert_eq!(ended.json(), json!([
            entry(&ids[0], true, json!("pending")), entry(&ids[1], true, json!("pending")),
            entry(&later, false, json!("pending")), entry("999", false, Value::Null),
        ]));
        assert_eq!(world.run(&["--json"]).exits(0).json()["published"], 2);
        assert_eq!(world.stat("/published"), 2);
    }

    /// The run's own finding counts; a person's answer meanwhile would be overwritten, or overwrite it.
    fn a_post_that_a_run_is_looking_up_is_left_to_it(world: World) {
        let account = world.account("slack", 1, "alder");
        let id = world.unsure(account, &["unsure"]).remove(0);
        // Its checkpoint was made by nobody, and would end the look-up before it is made.
        world.execute("UPDATE posts SET checkpoint = NULL");
        world.faults(&["slack/status:hang"]);
        world.let_time_pass();
        let run = world.start(&[]);
        world.await_until("a run has it", |world| world.statuses() == "publishing 1");
        for arguments in [&["--not-published"] as &[&str], &["--published", "1700000000.000100"]] {
            let ended = world.tell(&[&["posts", "resolve", &id], arguments].concat());
            refused(ended, 1, "in the hands of a run just now, until 20");
        }
        assert_eq!(world.stats()["now"]["publishing"], 1);
        signal(&run, "KILL");
        run.wait_with_output().unwrap();
        assert_eq!(world.statuses(), "publishing 1");
    }

    /// A history of thousands is read once for each post, not once for each pair of its entries.
    fn a_long_history_is_read_in_one_go(world: World) {
        let id = world.due([post(world.account("slack", 1, "alder"), "hi")])[0];
        let entry = |n: usize, outcome: &str| json!({"at": format!("2026-03-01T{:02}:{:02}:00.000Z", n / 60 % 24, n % 60), "outcome": outcome});
        let mut history: Vec<Value> = (0..5_000).map(|n| entry(n, "unconfirmed")).collect();
        history[4_900] = entry(4_900, "retry");
        let since = history[4_901]["at"].clone();
        let history = Value::from(history);
        world.execute(&format!("UPDATE posts SET status = 'unconfirmed', attempts = 1, history = '{history}' WHERE id = {id}"));
        assert_eq!(world.stats()["now"]["unconfirmed_since"], since);
    }

    /// What an application wrote into a history, or left out of it, is no reason to fall silent.
    fn a_history_of_any_shape_is_read(world: World) {
        let account = world.account("slack", 1, "alder");
        world.unsure(account, &["sound"]);
        for (n, history) in [json!([]), json!([1, "x", null, [], {}]), json!([{"outcome": "unconfirmed"}]),
                             json!(["x", {"outcome": "unconfirmed", "at": "2026-08-01T00:00:00.000Z"}])].iter().enumerate() {
            let id = world.due([post(account, "odd")])[0];
            world.execute(&format!("UPDATE posts SET status = 'unconfirmed', history = '{history}' WHERE id = {id}"));
            assert_eq!(world.stats()["now"]["unconfirmed"], n + 2, "{history}");
            world.tell(&["posts", "list", "--status", "unconfirmed"]).exits(0);
        }
        assert_eq!(world.stats()["now"]["unconfirmed_since"], "2026-07-01T07:00:00.000Z");
    }
}

#[test]
fn it_works_through_a_pooler() {
    let pooler = PgBouncer::start(1);
    let world = World::postgres().through(|direct| pooler.url(direct));
    world.due([post(world.account("slack", 1, "alder"), "hi")]);
    for _ in 0..3 {
        assert_eq!(world.stats()["now"]["due"], 1);
    }
}

/// The percentiles are those of `run --json`: the nearest rank, of each platform and of all.
async fn percentiles(backend: Backend) -> Value {
    let world = database::World::migrated(backend).await;
    let mut raw = world.raw().await;
    for (platform, seconds) in [("slack", 1..=20), ("linkedin", 100..=100)] {
        let account = raw.account("ada", platform).await;
        for late in seconds {
            let at = database::ago(chrono::TimeDelta::seconds(600 - late));
            let columns = json!({"status": "published", "published_at": at});
            raw.post_with(account, 10, columns).await;
        }
    }
    // One of long ago.
    raw.published(1, chrono::TimeDelta::hours(25)).await;
    let argument = json!({"now": minutes_ago(0), "since_seconds": 86400.0});
    let mut stats = world.store().await.stats(&argument).await.unwrap();
    let rows = stats["published"].as_array_mut().unwrap();
    rows.sort_by_key(|row| row["platform"].to_string());
    stats["published"].take()
}

#[tokio::test]
async fn both_databases_have_the_same_percentiles() {
    let expected = json!([
        {"platform": "linkedin", "posts": 1, "p50": 100_000, "p95": 100_000, "max": 100_000},
        {"platform": "slack", "posts": 20, "p50": 10_000, "p95": 19_000, "max": 20_000},
        {"platform": null, "posts": 21, "p50": 11_000, "p95": 20_000, "max": 100_000},
    ]);
    assert_eq!(percentiles(Backend::Sqlite).await, expected);
    assert_eq!(percentiles(Backend::Postgres).await, expected);
}

/// 100,000 posts to come, and 20,000 that were published over two weeks.
async fn a_full_table(world: &database::World) -> Raw {
    let mut raw = world.raw().await;
    for owner in 0..10 {
        raw.account(&format!("owner {owner}"), "slack").await;
    }
    let (future, past) = match world.backend {
        Backend::Sqlite => (
            "strftime('%Y-%m-%dT%H:%M:%fZ', '2027-01-01', i || ' minutes')",
            "strftime('%Y-%m-%dT%H:%M:%fZ', '2026-11-22', -i || ' minutes')",
        ),
        Backend::Postgres => (
            "timestamptz '2027-01-01Z' + i * interval '1 minute'",
            "timestamptz '2026-11-22Z' - i * interval '1 minute'",
        ),
    };
    let numbers = |n| {
        format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})")
    };
    raw.run(&format!(
        "{} INSERT INTO posts (account_id, body, scheduled_at, due_at)
         SELECT i % 10 + 1, 'later', {future}, {future} FROM n",
        numbers(100_000)
    ))
    .await;
    raw.run(&format!(
        "{} INSERT INTO posts (account_id, body, scheduled_at, due_at, status, published_at)
         SELECT i % 10 + 1, 'before', {past}, {past}, 'published', {past} FROM n",
        numbers(20_000)
    ))
    .await;
    raw
}

/// The plan in lines, each of which names the index and its condition.
async fn plan(raw: &mut Raw) -> String {
    let argument = json!({"now": minutes_ago(0), "since_seconds": 86400.0}).to_string();
    match raw {
        Raw::Sqlite(connection) => {
            let explain = concat!(
                "EXPLAIN QUERY PLAN ",
                include_str!("../src/store/sqlite/stats.sql")
            );
            let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
                .bind(argument)
                .fetch_all(connection)
                .await
                .unwrap();
            let steps: Vec<String> = rows.into_iter().map(|(.., step)| step).collect();
            steps.join("\n")
        }
        Raw::Postgres(connection) => {
            let explain = concat!("EXPLAIN ", include_str!("../src/store/postgres/stats.sql"));
            let begin = "BEGIN READ ONLY; SET LOCAL jit = off; SET LOCAL enable_seqscan = off";
            let mut transaction = connection.begin_with(begin).await.unwrap();
            let lines: Vec<String> = sqlx::query_scalar(explain)
                .persistent(false)
                .bind(argument)
                .fetch_all(&mut *transaction)
                .await
                .unwrap();
            lines.join("\n")
        }
    }
}

/// Each part is answered by its own index, with statistics or without.
async fn probes_its_indexes(backend: Backend) {
    let world = database::World::migrated(backend).await;
    let mut raw = a_full_table(&world).await;
    let (searches, scans): (&[&str], &[&str]) = match backend {
        Backend::Sqlite => (
            &[
                "INDEX posts_due (due_at<?)",
                "INDEX posts_published (account_id=? AND published_at>?)",
            ],
            &[
                "SCAN posts\n",
                "SCAN p\n",
                "posts_published\n",
                "SCAN p USING INTEGER",
            ],
        ),
        Backend::Postgres => (
            &["Index Cond: (due_at <= ", "AND (published_at > $"],
            &["Seq Scan on posts", "posts_pkey", "posts_external_ref"],
        ),
    };
    for statistics in ["absent", "fresh"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        let plan = plan(&mut raw).await + "\n";
        for index in ["posts_failed", "posts_expired"].iter().chain(searches) {
            assert!(plan.contains(index), "no {index} ({statistics}): {plan}");
        }
        // Both hold the posts that are being published and no others.
        let publishing = plan.contains("posts_lease") || plan.contains("posts_held");
        assert!(publishing, "no posts_lease ({statistics}): {plan}");
        for scan in scans {
            assert!(!plan.contains(scan), "{scan} ({statistics}): {plan}");
        }
    }
}

#[tokio::test]
async fn sqlite_probes_its_indexes() {
    probes_its_indexes(Backend::Sqlite).await;
}

#[tokio::test]
async fn postgres_probes_its_indexes() {
    probes_its_indexes(Backend::Postgres).await;
}
