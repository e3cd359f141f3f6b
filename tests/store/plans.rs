//! Plans: an empty run's claim is an index probe, however many posts the future holds.

use publisher::store::Request;
use serde_json::json;
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
