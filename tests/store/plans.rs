//! Plans: an empty run's claim is an index probe, however many posts the future holds; and what is listed or counted reads
//! no more of a large table than it shows.

use publisher::store::{Request, Store};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::support::database::{Backend, Raw, World, request};

/// 200,000 posts of ten accounts, one a minute from next year on, and a thousand that are published.
async fn a_full_future(world: &World) -> Raw {
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
    raw.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
         INSERT INTO posts (account_id, body, scheduled_at, due_at)
         SELECT i % 10 + 1, 'later', {future}, {future} FROM n"
    ))
    .await;
    raw.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO posts (account_id, body, scheduled_at, due_at, status, published_at)
         SELECT i % 10 + 1, 'before', {past}, {past}, 'published', {past} FROM n"
    ))
    .await;
    raw.limit("owner:owner 1", "day", 100).await;
    raw.limit("platform:slack", "hour", 100).await;
    raw
}

fn argument() -> String {
    json!({
        "claim": "00000000-0000-4000-8000-000000000000", "now": request().now, "schema": 1, "limit": 10_000,
        "expiry_seconds": 86400.0, "lease_seconds": 900.0, "platforms": null, "owners": null,
    })
    .to_string()
}

async fn postgres_plan(connection: &mut PgConnection) -> Vec<String> {
    let explain = concat!(
        "EXPLAIN ",
        include_str!("../../src/store/postgres/due.sql"),
        include_str!("../../src/store/postgres/claim.sql")
    );
    let begin = "BEGIN; SET LOCAL jit = off; SET LOCAL enable_seqscan = off";
    let mut transaction = connection.begin_with(begin).await.unwrap();
    sqlx::query_scalar(explain)
        .persistent(false)
        .bind(argument())
        .fetch_all(&mut *transaction)
        .await
        .unwrap()
}

#[tokio::test]
async fn postgres_probes_the_two_indexes() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = a_full_future(&world).await;
    for statistics in ["absent", "fresh"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        let Raw::Postgres(connection) = &mut raw else {
            unreachable!("it is PostgreSQL's")
        };
        let plan = postgres_plan(connection).await.join("\n");
        assert!(plan.contains("posts_due"), "{plan}");
        assert!(plan.contains("posts_lease"), "{plan}");
        assert!(!plan.contains("Seq Scan on posts"), "{plan}");
        // Nor a whole index, which is the same in disguise.
        let due = plan.split("CTE rule").next().unwrap();
        assert!(!due.contains("posts_pkey"), "{plan}");
    }
}

/// What the server counted while the store itself claimed: no plan of ours, no settings of ours.
#[tokio::test]
async fn postgres_reads_no_post_in_an_empty_run() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = a_full_future(&world).await;
    let counts = "SELECT concat_ws(' ', t.seq_scan, t.seq_tup_read,
                         (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = t.relid))
                  FROM pg_stat_user_tables t WHERE t.relid = 'publisher.posts'::regclass";
    for statistics in ["absent", "fresh"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
        let before = raw.texts(counts).await;
        let mut store = world.store().await;
        assert!(store.claim(&request()).await.unwrap().posts.is_empty());
        store.close().await;
        raw.wait_for_the_stores_to_be_gone().await;
        assert_eq!(raw.texts(counts).await, before, "statistics: {statistics}");
    }
}

/// With something due and limits to count, what is read grows with what the limits count, not with the table.
#[tokio::test]
async fn postgres_reads_little_to_count_for_limits() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = a_full_future(&world).await;
    let counts = "SELECT (t.seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = t.relid))::bigint
                  FROM pg_stat_user_tables t WHERE t.relid = 'publisher.posts'::regclass";
    for statistics in ["absent", "fresh"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        raw.post(1, 1).await;
        raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
        let before = raw.number(counts).await;
        let mut store = world.store().await;
        assert_eq!(store.claim(&request()).await.unwrap().posts.len(), 1);
        store.close().await;
        raw.wait_for_the_stores_to_be_gone().await;
        let read = raw.number(counts).await - before;
        assert!(read < 3_000, "statistics {statistics}: {read} rows read");
        raw.end_the_runs().await;
    }
}

/// Whether a run holds an account is asked for each that has something due, and nothing is read of the others, however much
/// they hold (20,000, here by ten accounts beside the ten that are due) and whether or not the statistics know.
#[tokio::test]
async fn postgres_asks_for_an_accounts_run_by_the_account() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    for owner in 0..20 {
        raw.account(&format!("owner {owner}"), "slack").await;
    }
    raw.run("ANALYZE").await;
    raw.run(
        "INSERT INTO posts (account_id, body, scheduled_at, due_at, status, claim, lease_until)
         SELECT i % 10 + 1, 'held', '2026-11-22', '2026-11-22', 'publishing', gen_random_uuid(), '2100-01-01'
         FROM generate_series(1, 20000) i",
    )
    .await;
    let counts = "SELECT (t.seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = t.relid))::bigint
                  FROM pg_stat_user_tables t WHERE t.relid = 'publisher.posts'::regclass";
    for (statistics, limit) in [("stale", 100), ("stale", 21), ("fresh", 100), ("fresh", 21)] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        for account in 11..=20 {
            raw.posts(account, 1, 4).await;
        }
        raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
        let before = raw.number(counts).await;
        let mut store = world.store().await;
        let request = Request { limit, ..request() };
        let claim = store.claim(&request).await.unwrap();
        assert_eq!(claim.posts.len(), limit.min(40) as usize);
        store.close().await;
        raw.wait_for_the_stores_to_be_gone().await;
        let read = raw.number(counts).await - before;
        assert!(
            read < 20_000,
            "statistics {statistics}, limit {limit}: {read} rows read"
        );
        raw.run("UPDATE posts SET status = 'canceled', lease_until = NULL WHERE body <> 'held'")
            .await;
    }
}

/// 60,000 posts of thirty accounts, of which the last one has none: of twelve one waits, few failed, the others were published.
async fn a_long_past(raw: &mut Raw) {
    let at = match raw {
        Raw::Sqlite(_) => "strftime('%Y-%m-%dT%H:%M:%fZ', '2026-01-01', i || ' minutes')",
        Raw::Postgres(_) => "timestamptz '2026-01-01Z' + i * interval '1 minute'",
    };
    let now = match raw {
        Raw::Sqlite(_) => "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || (i / 10) || ' seconds')",
        Raw::Postgres(_) => "now() - i / 10 * interval '1 second'",
    };
    raw.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO posts (account_id, body, scheduled_at, due_at, status, published_at)
         SELECT i % 29 + 1, 'before', {at}, {at},
                CASE WHEN i % 12 = 0 THEN 'pending' WHEN i % 2000 = 1 THEN 'failed' ELSE 'published' END,
                {now} FROM n"
    ))
    .await;
    raw.limit("owner:owner 1", "minute", 100).await;
    raw.limit("platform:slack", "minute", 100).await;
    raw.limit("account:3", "minute", 100).await;
}

async fn thirty_accounts(raw: &mut Raw) {
    for number in 0..30 {
        let platform = if number < 15 { "slack" } else { "facebook" };
        raw.account(&format!("owner {}", number % 10), platform)
            .await;
    }
}

/// Every filter of a list, also those that match little or nothing.
fn filters() -> Vec<Value> {
    vec![
        json!({}),
        json!({"status": "pending"}),
        json!({"status": "failed"}),
        json!({"status": "canceled"}),
        json!({"status": "unconfirmed"}),
        json!({"status": "published", "owner": "owner 3"}),
        json!({"platform": "facebook"}),
        json!({"owner": "owner 9", "platform": "slack"}),
        json!({"account_id": 3}),
        json!({"account_id": 3, "status": "expired"}),
        json!({"account_id": 30}),
        json!({"id": 17}),
        json!({"ids": [17, 18, 19], "status": "published"}),
    ]
}

/// What the server counted, for every reading command, whatever the statistics know.
#[tokio::test]
async fn postgres_lists_and_counts_by_the_index() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    thirty_accounts(&mut raw).await;
    // Nobody collects statistics meanwhile.
    raw.run("ALTER TABLE posts SET (autovacuum_enabled = off); ALTER TABLE accounts SET (autovacuum_enabled = off)")
        .await;
    for statistics in ["absent", "stale", "fresh"] {
        match statistics {
            "absent" => a_long_past(&mut raw).await,
            "stale" => {
                raw.run("TRUNCATE posts RESTART IDENTITY; DELETE FROM limits; ANALYZE")
                    .await;
                a_long_past(&mut raw).await;
            }
            _ => raw.run("ANALYZE").await,
        }
        for mut filter in filters() {
            filter["limit"] = json!(50);
            let read = reads(&world, &mut raw, async |store| {
                store.posts(&filter).await.unwrap();
            })
            .await;
            assert!(read < 1_500, "{statistics}, {filter}: {read} rows read");
        }
        let read = reads(&world, &mut raw, async |store| {
            store.limits().await.unwrap();
        })
        .await;
        assert!(read < 3_000, "{statistics}, limits: {read} rows read");
        let read = reads(&world, &mut raw, async |store| {
            store.accounts(&json!({"count_to": 100})).await.unwrap();
        })
        .await;
        assert!(read < 4_000, "{statistics}, accounts: {read} rows read");
        // What waits is counted once, by its time.
        let read = reads(&world, &mut raw, async |store| {
            let span = json!({"now": null, "since_seconds": 60.0});
            store.stats(&span).await.unwrap();
        })
        .await;
        assert!(read < 8_000, "{statistics}, stats: {read} rows read");
        let read = reads(&world, &mut raw, async |store| {
            store.unsettled(&json!({"account_ids": [3]})).await.unwrap();
        })
        .await;
        assert!(read < 300, "{statistics}, unsettled: {read} rows read");
    }
}

/// How many rows and entries of indexes of `posts` the server counted meanwhile.
async fn reads(world: &World, raw: &mut Raw, work: impl AsyncFnOnce(&mut Store)) -> i64 {
    let counts = "SELECT (t.seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = t.relid))::bigint
                  FROM pg_stat_user_tables t WHERE t.relid = 'publisher.posts'::regclass";
    raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
    let before = raw.number(counts).await;
    let mut store = world.store().await;
    work(&mut store).await;
    store.close().await;
    raw.wait_for_the_stores_to_be_gone().await;
    raw.number(counts).await - before
}

#[tokio::test]
async fn sqlite_lists_and_counts_by_the_index() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    thirty_accounts(&mut raw).await;
    a_long_past(&mut raw).await;
    for statistics in ["absent", "fresh"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        let Raw::Sqlite(connection) = &mut raw else {
            unreachable!("it is SQLite's")
        };
        for (statement, indexes) in [
            (
                include_str!("../../src/store/sqlite/posts_list.sql"),
                &[
                    "q USING COVERING INDEX posts_ended (status=? AND account_id=?)",
                    "q USING COVERING INDEX posts_next (priority=? AND account_id=?)",
                    "q USING COVERING INDEX posts_ended (status=? AND account_id=? AND scheduled_at>?)",
                    "q USING COVERING INDEX posts_next (priority=? AND account_id=? AND scheduled_at>?)",
                ][..],
            ),
            (
                include_str!("../../src/store/sqlite/accounts_list.sql"),
                &["p USING COVERING INDEX posts_next (priority=? AND account_id=?)"],
            ),
            (
                include_str!("../../src/store/sqlite/limits_list.sql"),
                &["p USING COVERING INDEX posts_published (account_id=? AND published_at>?)"],
            ),
            (
                include_str!("../../src/store/sqlite/posts_unsettled.sql"),
                &[
                    "p USING INDEX posts_next (priority=? AND account_id=? AND scheduled_at>? AND scheduled_at<?)",
                ],
            ),
        ] {
            let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "EXPLAIN QUERY PLAN {statement}"
            )))
            .bind(r#"{"limit": 50}"#)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
            let plan: Vec<String> = rows.into_iter().map(|(.., detail)| detail).collect();
            for index in indexes {
                assert!(
                    plan.iter().any(|step| step.ends_with(index)),
                    "{statistics}, {index}: {plan:#?}"
                );
            }
            // What is being published or in doubt is all read, and the first step of an index is one row.
            let is_scan = |step: &&String| {
                let ["SCAN", table, ..] = step.split(' ').collect::<Vec<_>>()[..] else {
                    return false;
                };
                let is_small = [
                    "posts_next",
                    "posts_held",
                    "posts_lease",
                    "posts_unsure",
                    "posts_unconfirmed",
                ]
                .iter()
                .any(|index| step.ends_with(index));
                ["posts", "p", "q"].contains(&table) && !is_small
            };
            let scans: Vec<&String> = plan.iter().filter(is_scan).collect();
            assert!(scans.is_empty(), "{statistics}: {scans:#?} in {plan:#?}");
        }
    }
}

const CLOCK: &str = include_str!("../../src/store/sqlite/clock.sql");
const FEW: &str = include_str!("../../src/store/sqlite/few.sql");
const MANY: &str = include_str!("../../src/store/sqlite/many.sql");

async fn sqlite_plan(connection: &mut SqliteConnection, waiting: &str) -> Vec<String> {
    let due = include_str!("../../src/store/sqlite/due.sql");
    let claim = include_str!("../../src/store/sqlite/claim.sql");
    let explain = format!("EXPLAIN QUERY PLAN {CLOCK}{waiting}{due}{claim}");
    let rows: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(explain))
        .bind(argument())
        .fetch_all(connection)
        .await
        .unwrap();
    rows.into_iter().map(|(.., detail)| detail).collect()
}

#[tokio::test]
async fn sqlite_probes_the_two_indexes() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = a_full_future(&world).await;
    for (statistics, waiting) in [
        ("absent", FEW),
        ("absent", MANY),
        ("fresh", FEW),
        ("fresh", MANY),
    ] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        let Raw::Sqlite(connection) = &mut raw else {
            unreachable!("it is SQLite's")
        };
        let plan = sqlite_plan(connection, waiting).await;
        let uses = |index: &str| {
            plan.iter()
                .any(|step| step.starts_with("SEARCH posts USING INDEX") && step.contains(index))
        };
        assert!(uses("posts_due"), "{plan:#?}");
        assert!(uses("posts_lease"), "{plan:#?}");
        // Whether a run holds an account: by the account.
        let probes = |step: &String| step.contains("USING INDEX posts_held (account_id=?)");
        assert!(plan.iter().any(probes), "{plan:#?}");
        let scans: Vec<&String> = plan
            .iter()
            .filter(|step| {
                // The first step of an index, for the highest priority, is one row.
                let is_step = *step == "SCAN p USING COVERING INDEX posts_next";
                *step == "SCAN posts"
                    || *step == "SCAN p"
                    || step.starts_with("SCAN p ") && !is_step
            })
            .collect();
        assert!(scans.is_empty(), "{plan:#?}");
    }
}
