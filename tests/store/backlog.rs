//! How much waits, for whoever decides how many runs to start: a function on PostgreSQL, a view on SQLite.

use serde_json::{Value, json};

use crate::support::database::{Backend, Raw, World, request};

on_both_databases!(
    it_counts_what_a_run_would_take,
    it_reads_what_is_due_and_no_more,
);

fn due(backend: Backend) -> &'static str {
    match backend {
        Backend::Postgres => "SELECT publisher.backlog()",
        Backend::Sqlite => "SELECT due FROM backlog",
    }
}

const PAST: &str = "2026-01-01T00:00:00.000Z";
const FUTURE: &str = "2100-01-01T00:00:00.000Z";

fn held_until(at: &str) -> Value {
    json!({"status": "publishing", "claim": "00000000-0000-4000-8000-000000000001", "lease_until": at})
}

async fn it_counts_what_a_run_would_take(world: World) {
    let mut raw = world.raw().await;
    assert_eq!(raw.number(due(world.backend)).await, 0);
    let account = raw.account("ada", "slack").await;
    let standings = [
        json!({"status": "needs_login"}),
        json!({"status": "disabled"}),
        json!({"blocked_until": FUTURE}),
    ];
    let mut waiting = Vec::new();
    for standing in standings {
        let mut row =
            json!({"owner": "ada", "platform": "slack", "external_id": uuid::Uuid::new_v4()});
        row.as_object_mut()
            .unwrap()
            .extend(standing.as_object().unwrap().clone());
        waiting.push(raw.insert("accounts", &row).await);
    }
    let once_blocked =
        json!({"owner": "ada", "platform": "slack", "external_id": "once", "blocked_until": PAST});
    let once_blocked = raw.insert("accounts", &once_blocked).await;

    // In a run's hands, of another time, or through.
    let beside = [
        json!({"due_at": FUTURE}),
        json!({"status": "unconfirmed", "due_at": FUTURE}),
        json!({"status": "published", "published_at": PAST}),
        json!({"status": "failed"}),
        json!({"status": "expired"}),
        json!({"status": "canceled"}),
    ];
    for columns in beside {
        raw.post_with(account, 5, columns).await;
    }
    // What waits for an account that a run is publishing for waits for that run.
    let busy = raw.account("bob", "slack").await;
    let in_its_hands = raw.post_with(busy, 5, held_until(FUTURE)).await;
    raw.post(busy, 5).await;
    for account in &waiting {
        raw.post(*account, 5).await;
        let columns = json!({"status": "unconfirmed", "due_at": PAST});
        raw.post_with(*account, 5, columns).await;
    }
    assert_eq!(raw.number(due(world.backend)).await, 0);

    raw.post(account, 5).await;
    raw.post(once_blocked, 5).await;
    let columns = json!({"status": "unconfirmed", "due_at": PAST});
    raw.post_with(account, 5, columns).await;
    // A dead run's posts can't wait, also not for their account.
    raw.post_with(waiting[0], 5, held_until(PAST)).await;
    // Nor can what is to be looked up, for its account's run; and that run's end sets the rest free.
    let columns = json!({"status": "unconfirmed", "due_at": PAST});
    raw.post_with(busy, 5, columns).await;
    assert_eq!(raw.number(due(world.backend)).await, 5);
    let set = |status: &str| format!("UPDATE posts SET {status} WHERE id = {in_its_hands}");
    raw.run(&set("status = 'failed', lease_until = NULL")).await;
    assert_eq!(raw.number(due(world.backend)).await, 6);
    raw.run(&set(&format!(
        "status = 'publishing', lease_until = '{PAST}'"
    )))
    .await;
    assert_eq!(raw.number(due(world.backend)).await, 7);
    raw.run(&set("status = 'failed', lease_until = NULL")).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(claim.posts.len(), 6);
    raw.run(&format!(
        "UPDATE posts SET lease_until = '{FUTURE}' WHERE status = 'publishing'"
    ))
    .await;
    assert_eq!(raw.number(due(world.backend)).await, 0);
}

/// Nor does it count the future, or what is through, whatever the statistics say.
async fn it_reads_what_is_due_and_no_more(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let (future, past) = match world.backend {
        Backend::Sqlite => (format!("'{FUTURE}'"), format!("'{PAST}'")),
        Backend::Postgres => (
            format!("timestamptz '{FUTURE}'"),
            format!("timestamptz '{PAST}'"),
        ),
    };
    raw.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO posts (account_id, body, scheduled_at, due_at, status, published_at)
         SELECT {account}, 'x', {past}, {future}, CASE WHEN i % 2 = 0 THEN 'pending' ELSE 'published' END, {past} FROM n"
    ))
    .await;
    raw.post(account, 5).await;
    for statistics in ["absent", "fresh"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        match world.backend {
            Backend::Sqlite => sqlite_searches(&mut raw).await,
            Backend::Postgres => postgres_reads_little(&mut raw, statistics).await,
        }
    }
}

async fn sqlite_searches(raw: &mut Raw) {
    let Raw::Sqlite(connection) = raw else {
        unreachable!("it is SQLite's")
    };
    let rows: Vec<(i64, i64, i64, String)> =
        sqlx::query_as("EXPLAIN QUERY PLAN SELECT due FROM backlog")
            .fetch_all(connection)
            .await
            .unwrap();
    let plan: String = rows.into_iter().map(|(.., step)| step + "\n").collect();
    for index in [
        "posts_due (due_at<?)",
        "posts_lease (lease_until<?)",
        "posts_unsure (due_at<?)",
        "posts_lease (lease_until>?)",
    ] {
        assert!(plan.contains(index), "no {index} in {plan}");
    }
    assert!(
        !plan.contains("SCAN p") && !plan.contains("SCAN h"),
        "{plan}"
    );
}

async fn postgres_reads_little(raw: &mut Raw, statistics: &str) {
    let counts = "SELECT (t.seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = t.relid))::bigint
                  FROM pg_stat_user_tables t WHERE t.relid = 'publisher.posts'::regclass";
    raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
    let before = raw.number(counts).await;
    assert_eq!(raw.number("SELECT publisher.backlog()").await, 1);
    raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
    let read = raw.number(counts).await - before;
    assert!(read < 10, "statistics {statistics}: {read} rows read");
}

/// It needs no rights on the tables, and gives none: whoever may call it gets a number.
#[tokio::test]
async fn postgres_gives_a_monitoring_role_the_number_alone() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 5).await;
    raw.run("DROP ROLE IF EXISTS watcher; CREATE ROLE watcher; GRANT USAGE ON SCHEMA publisher TO watcher; SET ROLE watcher")
        .await;
    let error = raw.try_run("SELECT publisher.backlog()").await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    raw.run(
        "RESET ROLE; GRANT EXECUTE ON FUNCTION publisher.backlog() TO watcher; SET ROLE watcher",
    )
    .await;
    // Another table of the name, and another operator, are not its own.
    raw.run("CREATE TEMPORARY TABLE posts (id bigint); SET search_path = pg_temp, publisher")
        .await;
    assert_eq!(raw.number("SELECT publisher.backlog()").await, 1);
    let error = raw
        .try_run("SELECT id FROM publisher.posts")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
}
