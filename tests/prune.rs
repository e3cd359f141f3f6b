//! `publisher prune`: what goes, what stays, and who does not have to wait for it; by the real binary on both databases.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use publisher::schedule::Clock;
use publisher::store::instant;
use serde_json::{Value, json};
use support::database::{self, Backend, Raw};
use support::world::{Ended, World, ended, post};

/// So many days ago, as both databases take it.
fn ago(days: i64) -> String {
    instant(Clock::host().now() - TimeDelta::days(days))
}

impl World {
    fn tell(&self, arguments: &[&str]) -> Ended {
        self.publisher(arguments).output().unwrap().into()
    }

    fn prune(&self, arguments: &[&str]) -> Value {
        let all = [&["prune", "--older-than", "90d", "--json"], arguments].concat();
        let ended = self.tell(&all).exits(0);
        assert!(
            ended.stderr.is_empty() && ended.stdout.lines().count() == 1,
            "{ended:?}"
        );
        ended.json()
    }

    /// Changes rows without the trigger that says when they changed.
    fn rewrite(&self, sql: &str) {
        if self.is_postgres() {
            self.execute(&format!(
                "ALTER TABLE posts DISABLE TRIGGER posts_fill; {sql}; ALTER TABLE posts ENABLE TRIGGER posts_fill"
            ));
        } else {
            self.execute(sql);
        }
    }

    /// A post of that status, unchanged for so many days; with other columns.
    fn old(
        &self,
        account: i64,
        status: &str,
        days: i64,
        body: &str,
        columns: &[(&str, Value)],
    ) -> i64 {
        let mut new = post(account, body).with("scheduled_at", ago(days));
        for (name, value) in columns {
            new = new.with(name, value.clone());
        }
        let id = self.due([new])[0];
        let at = ago(days);
        let more = match status {
            "published" => format!(", published_at = '{at}', platform_post_id = '{id}'"),
            "publishing" => format!(
                ", claim = '00000000-0000-4000-8000-000000000001', lease_until = '{}'",
                ago(-1)
            ),
            "unconfirmed" => format!(", due_at = '{}'", ago(-1)),
            _ => String::new(),
        };
        self.rewrite(&format!(
            "UPDATE posts SET status = '{status}', updated_at = '{at}'{more} WHERE id = {id}"
        ));
        id
    }

    /// So many published posts of that account, a second apart, unchanged for so many days.
    fn crowd(&self, account: i64, count: u32, days: i64) {
        let at = ago(days);
        let at = if self.is_postgres() {
            format!("timestamptz '{at}' - i * interval '1 second'")
        } else {
            format!("strftime('%Y-%m-%dT%H:%M:%fZ', '{at}', -i || ' seconds')")
        };
        self.rewrite(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO posts (account_id, body, scheduled_at, due_at, status, published_at, updated_at)
             SELECT {account}, 'old', {at}, {at}, 'published', {at}, {at} FROM n"
        ));
    }

    fn bodies(&self) -> BTreeSet<String> {
        self.rows("SELECT body FROM posts").into_iter().collect()
    }

    fn run_of(&self, n: u32, days: i64) {
        let at = ago(days);
        self.execute(&format!(
            "INSERT INTO runs (id, host, version, started_at, finished_at, due, published, retry, failed, expired,
                               unconfirmed, released, platforms, exit_code)
             VALUES ('00000000-0000-4000-8000-{n:012}', 'h', '0', '{at}', '{at}', 1, 1, 0, 0, 0, 0, 0, '{{}}', 0)"
        ));
    }
}

fn nothing_kept() -> Value {
    json!({"external_ref": 0, "group": 0, "referred": 0, "locked": 0})
}

on_both! {
    fn what_ended_long_ago_goes_and_nothing_else(world: World) {
        let account = world.account("slack", 1, "alder");
        for status in ["published", "failed", "expired", "canceled"] {
            world.old(account, status, 91, &format!("old {status}"), &[]);
            world.old(account, status, 89, &format!("young {status}"), &[]);
        }
        for status in ["pending", "publishing", "unconfirmed"] {
            world.old(account, status, 400, &format!("waiting {status}"), &[]);
        }
        // It was published long ago, and a person has settled it just now; its time is long past, and it failed just now.
        let settled = world.old(account, "published", 400, "settled of late", &[]);
        let failed = world.old(account, "failed", 400, "failed of late", &[]);
        world.rewrite(&format!("UPDATE posts SET updated_at = '{}' WHERE id IN ({settled}, {failed})", ago(1)));
        for (n, days) in [(1, 200), (2, 91), (3, 89)] {
            world.run_of(n, days);
        }
        let before = world.dump();
        let counted = world.prune(&["--dry-run"]);
        assert_eq!(counted, json!({"posts": 4, "runs": 2, "kept": nothing_kept(), "dry_run": true}));
        assert_eq!(world.dump(), before, "a dry run reads only");

        let mut all = world.bodies();
        let removed = world.prune(&[]);
        assert_eq!(removed, json!({"posts": 4, "runs": 2, "kept": nothing_kept(), "dry_run": false}));
        all.retain(|body| !body.starts_with("old "));
        assert_eq!(world.bodies(), all);
        assert_eq!(world.value("SELECT CAST(id AS text) FROM runs"), "00000000-0000-4000-8000-000000000003");

        // And there is no more of it; also in words.
        let ended = world.tell(&["prune", "--older-than", "90d"]).exits(0);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("removed 0 posts and 0 runs that had not changed for 90d\n", ""));
        world.tell(&["prune", "--older-than", "2000d"]).exits(0);
    }

    /// `stats` tells of it, however long ago it was.
    fn the_last_run_stays(world: World) {
        for (n, days) in [(1, 300), (2, 200)] {
            world.run_of(n, days);
        }
        assert_eq!(world.prune(&[])["runs"], 1);
        let stats = world.tell(&["stats", "--json"]).exits(0).json();
        assert!(stats["runs"]["last"].is_object(), "{stats}");
        assert_eq!(world.prune(&[])["runs"], 0);
    }

    fn what_is_too_young_is_not_asked_for(world: World) {
        let account = world.account("slack", 1, "alder");
        world.old(account, "published", 35, "35 days", &[]);
        // Whatever clock said so: it was published within what limits count.
        let id = world.old(account, "published", 35, "30 days", &[]);
        world.rewrite(&format!("UPDATE posts SET published_at = '{}' WHERE id = {id}", ago(30)));
        for wrong in ["30d", "1h", "0d", "soon", "90"] {
            let ended = world.tell(&["prune", "--older-than", wrong]).exits(2);
            assert!(ended.stderr.contains("31d") || ended.stderr.contains("not a duration"), "{ended:?}");
        }
        world.tell(&["prune"]).exits(2);
        assert_eq!(world.statuses(), "published 2");
        world.tell(&["prune", "--older-than", "31d"]).exits(0);
        assert_eq!(world.bodies(), ["30 days".to_owned()].into());
    }

    /// A reference is what keeps an import from making the post again.
    fn a_post_with_a_reference_is_not_made_again(world: World) {
        let account = world.account("slack", 1, "alder");
        world.old(account, "published", 100, "published", &[("external_ref", json!("r-1"))]);
        world.old(account, "canceled", 100, "canceled", &[("external_ref", json!("r-2"))]);
        let csv = format!("account,body,scheduled_at,external_ref\n{account},Again,2030-01-01T00:00Z,r-1\n{account},Again,2030-01-01T00:00Z,r-2\n");
        std::fs::write(world.path("posts.csv"), csv).unwrap();
        let ended = world.tell(&["prune", "--older-than", "90d"]).exits(0);
        assert!(ended.stdout.contains("\nkept: 2 with an external_ref (--with-external-ref"), "{ended:?}");
        world.tell(&["posts", "import", "posts.csv"]).exits(0);
        assert_eq!(world.statuses(), "canceled 1, published 1");
        assert_eq!(world.prune(&["--with-external-ref", "--dry-run"])["posts"], 2);
        assert_eq!(world.prune(&["--with-external-ref"])["posts"], 2);
        world.tell(&["posts", "import", "posts.csv"]).exits(0);
        assert_eq!(world.statuses(), "pending 2");
    }

    fn a_group_stays_together_until_it_is_through(world: World) {
        let account = world.account("slack", 1, "alder");
        let group = |name: &str| [("group_id", json!(name))];
        for (name, status) in [("a", "pending"), ("b", "unconfirmed"), ("c", "publishing"), ("d", "failed")] {
            world.old(account, "published", 100, name, &group(name));
            world.old(account, status, 100, &format!("{name} {status}"), &group(name));
        }
        let removed = world.prune(&[]);
        assert_eq!((&removed["posts"], &removed["kept"]["group"]), (&json!(2), &json!(3)));
        assert_eq!(world.statuses(), "pending 1, published 3, publishing 1, unconfirmed 1");
        world.rewrite(&format!(
            "UPDATE posts SET status = 'canceled', lease_until = NULL, updated_at = '{}' WHERE status <> 'published'", ago(1)
        ));
        assert_eq!(world.prune(&[]), json!({"posts": 3, "runs": 0, "kept": nothing_kept(), "dry_run": false}));
    }

    fn limits_count_as_before(world: World) {
        let account = world.account("slack", 1, "alder");
        for window in ["minute", "hour", "day", "month"] {
            world.tell(&["limits", "set", "owner:alder", "5", "--per", window]).exits(0);
        }
        for days in [0, 1, 20, 29, 100] {
            world.old(account, "published", days, &format!("{days} days"), &[]);
        }
        world.old(account, "unconfirmed", 20, "unsure", &[]);
        let before = world.tell(&["limits", "show", "--json"]).exits(0).stdout;
        assert!(before.contains("\"used\": 5"), "{before}");
        let removed = world.tell(&["prune", "--older-than", "31d", "--with-external-ref", "--json"]).exits(0);
        assert_eq!(removed.json()["posts"], 1);
        assert_eq!(world.tell(&["limits", "show", "--json"]).exits(0).stdout, before);
    }

    /// Several pages of each kind, over several accounts, with posts between them that stay.
    fn thousands_go_page_by_page(world: World) {
        let accounts: Vec<i64> = (1..=3).map(|n| world.account("slack", n, "alder")).collect();
        for (account, count) in [(accounts[0], 1_500), (accounts[2], 2_600)] {
            world.crowd(account, count, 100);
        }
        world.crowd(accounts[1], 50, 1);
        world.rewrite("UPDATE posts SET external_ref = 'r-' || id WHERE id % 3 = 0");
        world.rewrite("UPDATE posts SET status = 'failed' WHERE id % 2 = 0 AND account_id <> 2");
        // SQLite's trigger has noticed. Half of them have changed at one instant, half at another.
        world.rewrite(&format!("UPDATE posts SET updated_at = '{}' WHERE account_id <> 2 AND id % 2 = 0", ago(99)));
        world.rewrite(&format!("UPDATE posts SET updated_at = '{}' WHERE account_id <> 2 AND id % 2 = 1", ago(98)));
        let kept: i64 = world.value(&format!("SELECT CAST(count(*) AS text) FROM posts WHERE external_ref IS NOT NULL AND updated_at < '{}'", ago(90)))
            .parse().unwrap();
        let counted = world.prune(&["--dry-run"]);
        let removed = world.prune(&[]);
        for report in [counted, removed] {
            assert_eq!((&report["posts"], &report["kept"]["external_ref"]), (&json!(4_100 - kept), &json!(kept)));
        }
        let left = world.value("SELECT CAST(count(*) AS text) FROM posts");
        assert_eq!(left, (kept + 50).to_string());
    }

    fn a_run_publishes_meanwhile(world: World) {
        let account = world.account("slack", 1, "alder");
        world.crowd(account, 8_000, 100);
        world.due((0..20).map(|n| post(account, &format!("now {n}"))));
        let prune = world
            .publisher(&["prune", "--older-than", "90d", "--json"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let run = world.run(&["--json"]).exits(0).json();
        assert_eq!((&run["published"], &run["exit_code"]), (&json!(20), &json!(0)));
        let removed = ended(prune).exits(0).json();
        assert_eq!((&removed["posts"], &removed["kept"]), (&json!(8_000), &nothing_kept()));
        assert_eq!((world.statuses().as_str(), world.stat("/duplicates")), ("published 20", 0));
    }

    /// What the database will not let go of, because an application's table refers to it, holds back nothing else.
    fn what_an_application_refers_to_stays(world: World) {
        let account = world.account("slack", 1, "alder");
        world.crowd(account, 1_200, 100);
        let id = world.old(account, "failed", 100, "referred", &[]);
        let table = if world.is_postgres() { "public.tickets" } else { "tickets" };
        world.execute(&format!(
            "CREATE TABLE {table} (post bigint REFERENCES posts (id), note bigint REFERENCES posts (id) ON DELETE CASCADE);
             INSERT INTO {table} (post, note) VALUES ({id}, NULL), (7, NULL), (NULL, 8), (1100, 7)"
        ));
        let removed = world.prune(&[]);
        assert_eq!((&removed["posts"], &removed["kept"]["referred"]), (&json!(1_198), &json!(3)));
        assert_eq!(world.value("SELECT CAST(sum(post) AS text) FROM tickets"), (id + 7 + 1_100).to_string());
        assert_eq!(world.value("SELECT CAST(count(*) AS text) FROM tickets WHERE note = 8"), "0");
    }
}

/// A table that may not be read refuses by itself, and the row is found among the others.
#[test]
fn postgres_leaves_what_a_hidden_table_refers_to() {
    let world = World::postgres();
    let account = world.account("slack", 1, "alder");
    world.crowd(account, 100, 100);
    let role = format!("keeper_{}", std::process::id());
    world.execute(&format!(
        "CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA publisher TO {role};
         CREATE TABLE public.hidden (post bigint REFERENCES posts (id)); INSERT INTO public.hidden VALUES (7), (70);
         CREATE SCHEMA closed; CREATE TABLE closed.open (post bigint REFERENCES posts (id)); INSERT INTO closed.open VALUES (8);
         GRANT SELECT ON closed.open TO PUBLIC;
         ALTER TABLE accounts OWNER TO {role}; ALTER TABLE posts OWNER TO {role}; ALTER TABLE runs OWNER TO {role};
         GRANT ALL ON ALL TABLES IN SCHEMA publisher TO {role}; GRANT ALL ON ALL FUNCTIONS IN SCHEMA publisher TO {role};
         CREATE POLICY all_versions ON migrations TO {role} USING (true)"
    ));
    let world = world.through(|url| url.replace("postgres@", &format!("{role}@")));
    let removed = world.prune(&[]);
    assert_eq!(
        (&removed["posts"], &removed["kept"]["referred"]),
        (&json!(97), &json!(3))
    );
    assert_eq!(
        world.rows("SELECT p.id::text FROM posts p ORDER BY p.id"),
        ["7", "8", "70"]
    );
    world.execute(&format!(
        "ALTER TABLE accounts OWNER TO postgres; ALTER TABLE posts OWNER TO postgres; ALTER TABLE runs OWNER TO postgres;
         DROP OWNED BY {role}; DROP ROLE {role}"
    ));
}

/// Rows that another session holds are passed over; it does not wait for them, nor they for it.
#[test]
fn postgres_passes_over_what_another_session_holds() {
    let world = World::postgres();
    let account = world.account("slack", 1, "alder");
    world.crowd(account, 2_500, 100);
    (1..=5).for_each(|n| world.run_of(n, 100));
    let mut other = world.block_on(Raw::connect(&world.database_url));
    world.block_on(other.run(
        "BEGIN; SELECT FROM posts WHERE id IN (3, 1500, 2500) FOR KEY SHARE; SELECT FROM runs WHERE host = 'h' FOR UPDATE",
    ));
    let counted = world.prune(&["--dry-run"]);
    assert_eq!(counted["posts"], 2_500);
    let removed = world.prune(&[]);
    assert_eq!(
        (
            &removed["posts"],
            &removed["runs"],
            &removed["kept"]["locked"]
        ),
        (&json!(2_497), &json!(0), &json!(7))
    );
    assert_eq!(
        world.rows("SELECT p.id::text FROM posts p ORDER BY p.id"),
        ["3", "1500", "2500"]
    );
    world.block_on(other.run("COMMIT"));
    let removed = world.prune(&[]);
    assert_eq!(
        (&removed["posts"], &removed["runs"]),
        (&json!(3), &json!(4))
    );
}

/// A table that is locked as a whole ends it soon, and says how far it came.
#[test]
fn postgres_does_not_wait_long_for_a_whole_table() {
    let world = World::postgres();
    let account = world.account("slack", 1, "alder");
    world.crowd(account, 10, 100);
    (1..=5).for_each(|n| world.run_of(n, 100));
    let mut other = world.block_on(Raw::connect(&world.database_url));
    world.block_on(other.run("BEGIN; LOCK TABLE runs IN SHARE MODE"));
    let ended = world.tell(&["prune", "--older-than", "90d"]).exits(75);
    assert!(
        ended
            .stderr
            .contains("10 posts and 0 runs were removed before that, run it again"),
        "{ended:?}"
    );
    assert_eq!(world.statuses(), "");
}

/// Another program's lock on the file is waited for, as everywhere.
#[test]
fn sqlite_waits_for_another_program() {
    let world = World::sqlite();
    let account = world.account("slack", 1, "alder");
    world.crowd(account, 10, 100);
    let mut other = world.block_on(Raw::connect(&world.database_url));
    world.block_on(other.run("BEGIN IMMEDIATE; UPDATE posts SET priority = 1 WHERE id = 1"));
    let prune = world
        .publisher(&["prune", "--older-than", "90d", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It has looked already, or looks later: the one that was changed stays in either case.
    std::thread::sleep(std::time::Duration::from_millis(500));
    world.block_on(other.run("COMMIT"));
    assert_eq!(ended(prune).exits(0).json()["posts"], 9);
}

/// What is read grows with what is old, and neither with what is young nor with the square of what stays.
#[test]
fn postgres_reads_what_is_old_and_no_more() {
    let world = World::postgres();
    let account = world.account("slack", 1, "alder");
    world.crowd(account, 20_000, 1);
    world.crowd(account, 5_000, 100);
    world.rewrite("UPDATE posts SET external_ref = 'r-' || id WHERE id > 20000");
    world.crowd(account, 1_500, 120);
    // A table of this size has been looked at by autovacuum long before its rows are old.
    world.execute("ANALYZE");
    let reads = "SELECT (seq_tup_read + idx_tup_fetch)::text FROM pg_stat_user_tables WHERE relid = 'publisher.posts'::regclass";
    let before: i64 = world.value(reads).parse().unwrap();
    let removed = world.prune(&[]);
    assert_eq!(
        (&removed["posts"], &removed["kept"]["external_ref"]),
        (&json!(1_500), &json!(5_000))
    );
    world.await_until("its session is gone", |world| {
        world.value(
            "SELECT count(*)::text FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'publisher'",
        ) == "0"
    });
    let read = world.value(reads).parse::<i64>().unwrap() - before;
    // Each is read to be found, and read, locked and read to be removed.
    assert!((6_500..15_000).contains(&read), "{read} rows read");
}

/// The same on SQLite, as its plan has it.
#[tokio::test]
async fn sqlite_reads_what_is_old_and_no_more() {
    let world = database::World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    for statistics in ["absent", "fresh"] {
        let Raw::Sqlite(connection) = &mut raw else {
            unreachable!("it is SQLite's")
        };
        let explain = concat!(
            "EXPLAIN QUERY PLAN ",
            include_str!("../src/store/sqlite/old_posts.sql")
        );
        let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
            .bind(
                json!({"batch": 1000, "older_than_seconds": 1, "with_external_ref": false})
                    .to_string(),
            )
            .fetch_all(connection)
            .await
            .unwrap();
        let plan: String = rows.into_iter().map(|(.., step)| step + "\n").collect();
        for step in [
            "SEARCH posts USING INDEX posts_settled (updated_at>? AND updated_at<?)",
            "SEARCH u USING INDEX posts_group (group_id=?)",
        ] {
            assert!(plan.contains(step), "no {step} ({statistics}): {plan}");
        }
        assert!(!plan.contains("SCAN posts"), "{plan}");
        raw.posts(account, 10, 2_000).await;
        raw.run("UPDATE posts SET status = 'canceled' WHERE id % 2 = 0; ANALYZE")
            .await;
    }
}

/// The README's blocks of SQL that have these words.
fn block(words: &str) -> String {
    let blocks = include_str!("../README.md").split("```sql\n").skip(1);
    let mut blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    let found = blocks.find(|block| block.contains(words));
    found.unwrap().to_owned()
}

/// What the README says of very large tables: what it advises works, and what it advises against doesn't.
#[test]
fn postgres_keeps_an_archive_by_months_and_no_queue() {
    let world = World::postgres();
    let account = world.account("slack", 1, "alder");
    world.crowd(account, 30, 100);
    world.crowd(account, 5, 1);
    world.rewrite("UPDATE posts SET created_at = '2030-01-15T00:00:00Z' WHERE id <= 10");
    world.execute(&block("autovacuum_vacuum_scale_factor"));
    let archive = block("CREATE SCHEMA archive");
    world.execute(&archive);
    let (_, again) = archive
        .split_once("posts_rest PARTITION OF archive.posts DEFAULT;")
        .unwrap();
    world.execute(again);
    assert_eq!(world.prune(&[])["posts"], 30);
    let counts = "SELECT concat_ws(' ', (SELECT count(*) FROM archive.posts_2030_01), (SELECT count(*) FROM archive.posts))";
    assert_eq!(world.value(counts), "10 30");

    let months = "PARTITION BY RANGE (created_at)";
    let error = world
        .try_execute(&format!(
            "CREATE TABLE parts (LIKE publisher.posts INCLUDING ALL) {months}"
        ))
        .unwrap_err();
    assert!(
        error.contains("must include all partitioning columns"),
        "{error}"
    );
    world.execute(&format!(
        "CREATE TABLE parts (LIKE publisher.posts INCLUDING DEFAULTS) {months}"
    ));
    let import = "INSERT INTO parts (account_id, scheduled_at, due_at, external_ref) VALUES (1, now(), now(), 'r')
                  ON CONFLICT (external_ref) WHERE external_ref IS NOT NULL DO NOTHING";
    let error = world.try_execute(import).unwrap_err();
    assert!(
        error.contains("no unique or exclusion constraint"),
        "{error}"
    );
}
