//! Several runs at once: each post goes to one of them, each gets as many as it may, and limits hold over all.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use publisher::post::PostId;
use publisher::store::{Request, StoreError, migrate};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::support::database::{Backend, Raw, World, minutes_ago, request};

on_both_databases!(
    each_post_is_claimed_by_one_run,
    small_claims_at_once_take_everything_in_the_end,
    a_claim_and_a_cancellation_do_not_both_win,
    runs_at_once_keep_to_a_limit_together,
    runs_at_once_take_as_many_as_each_may,
    runs_at_once_share_a_backlog,
    runs_with_different_filters_keep_to_a_limit_together,
);

async fn each_post_is_claimed_by_one_run(world: World) {
    let mut raw = world.raw().await;
    for owner in 0..10 {
        let account = raw.account(&format!("owner {owner}"), "slack").await;
        raw.posts(account, 30, 200).await;
    }
    let mut stores = join_all((0..8).map(|_| world.store())).await;
    let claims = join_all(
        stores
            .iter_mut()
            .map(async |store| store.claim(&request()).await.unwrap()),
    )
    .await;
    let claimed: Vec<PostId> = claims
        .iter()
        .flat_map(|claim| claim.posts.iter().map(|post| post.id))
        .collect();
    let distinct: BTreeSet<PostId> = claimed.iter().copied().collect();
    assert_eq!(claimed.len(), distinct.len(), "a post was claimed twice");
    // A post that one run skipped because another held it was claimed by that other.
    assert_eq!(distinct.len(), 2_000);
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE status = 'publishing' AND attempts = 1")
            .await,
        2_000
    );
}

async fn small_claims_at_once_take_everything_in_the_end(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.posts(account, 30, 2_000).await;
    let mut stores = join_all((0..8).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().map(async |store| {
        let mut ids = Vec::new();
        let mut empty = 0;
        // A run may find that others hold all that it chose; the next one finds what is left.
        while empty < 3 {
            let request = Request {
                limit: 60,
                ..request()
            };
            let claim = store.claim(&request).await.unwrap();
            assert!(claim.posts.len() <= 60);
            empty += usize::from(claim.posts.is_empty());
            ids.extend(claim.posts.into_iter().map(|post| post.id));
        }
        ids
    }))
    .await;
    let rest = stores[0].claim(&request()).await.unwrap();
    let mut claimed: Vec<PostId> = claims.into_iter().flatten().collect();
    claimed.extend(rest.posts.iter().map(|post| post.id));
    let distinct: BTreeSet<PostId> = claimed.iter().copied().collect();
    assert_eq!((claimed.len(), distinct.len()), (2_000, 2_000));
}

async fn runs_at_once_keep_to_a_limit_together(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "day", 5).await;
    raw.posts(account, 30, 200).await;
    let mut stores = join_all((0..8).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().map(async |store| {
        let mut count = 0;
        for _ in 0..5 {
            let claim = store.claim(&request()).await.unwrap();
            count += claim.posts.len();
        }
        count
    }))
    .await;
    assert_eq!(claims.iter().sum::<usize>(), 5, "{claims:?}");
}

/// Those that are started at the same instant share what is due, to the last place of each.
async fn runs_at_once_take_as_many_as_each_may(world: World) {
    let mut raw = world.raw().await;
    for owner in 0..5 {
        let account = raw.account(&format!("owner {owner}"), "slack").await;
        raw.posts(account, 30, 160).await;
    }
    let mut stores = join_all((0..8).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().map(async |store| {
        let request = Request {
            limit: 100,
            ..request()
        };
        store.claim(&request).await.unwrap().posts
    }))
    .await;
    let counts: Vec<usize> = claims.iter().map(Vec::len).collect();
    assert_eq!(counts, [100; 8]);
    let distinct: BTreeSet<PostId> = claims.iter().flatten().map(|post| post.id).collect();
    assert_eq!(distinct.len(), 800);
}

/// More than any claim looks at one by one, spread over so many accounts.
async fn a_backlog(world: &World, accounts: u32, posts: u32) -> Raw {
    let mut raw = world.raw().await;
    for number in 0..accounts {
        raw.account(&format!("owner {}", number % 7), "slack").await;
    }
    let at = minutes_ago(30);
    raw.run(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {posts})
         INSERT INTO posts (account_id, body, scheduled_at, due_at) SELECT i % {accounts} + 1, 'due', '{at}', '{at}' FROM n"
    ))
    .await;
    raw
}

async fn runs_at_once_share_a_backlog(world: World) {
    let mut raw = a_backlog(&world, 100, 40_000).await;
    let mut stores = join_all((0..4).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().map(async |store| {
        let request = Request {
            limit: 2_000,
            ..request()
        };
        store.claim(&request).await.unwrap().posts
    }))
    .await;
    let counts: Vec<usize> = claims.iter().map(Vec::len).collect();
    assert_eq!(counts, [2_000; 4]);
    let distinct: BTreeSet<PostId> = claims.iter().flatten().map(|post| post.id).collect();
    assert_eq!(distinct.len(), 8_000);
    // Each of an account's posts went to the same run, for there are accounts enough.
    for (place, claim) in claims.iter().enumerate() {
        let accounts: BTreeSet<i64> = claim.iter().map(|post| post.account.id).collect();
        let others = claims
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place);
        let shared = others
            .flat_map(|(_, claim)| claim)
            .filter(|post| accounts.contains(&post.account.id));
        assert_eq!(shared.count(), 0);
    }
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE status = 'publishing'")
            .await,
        8_000
    );
}

/// Whatever posts a run was started for, what others took counts.
async fn runs_with_different_filters_keep_to_a_limit_together(world: World) {
    let mut raw = world.raw().await;
    let owners: Vec<String> = (0..8).map(|number| format!("owner {number}")).collect();
    for owner in &owners {
        let account = raw.account(owner, "linkedin").await;
        raw.posts(account, 30, 40).await;
    }
    raw.limit("platform:linkedin", "day", 120).await;
    let mut stores = join_all((0..8).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().zip(&owners).map(async |(store, owner)| {
        let request = Request {
            owners: vec![owner.clone()],
            ..request()
        };
        store.claim(&request).await.unwrap().posts.len()
    }))
    .await;
    assert_eq!(claims.iter().sum::<usize>(), 120, "{claims:?}");
}

/// By what the server counts: ten times the backlog, and no more rows read. (On SQLite the plan is looked at; see `plans`.)
#[tokio::test]
async fn postgres_reads_no_more_of_a_backlog_than_a_claim_takes() {
    let world = World::migrated(Backend::Postgres).await;
    let counts = "SELECT (t.seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relid = t.relid))::bigint
                  FROM pg_stat_user_tables t WHERE t.relid = 'publisher.posts'::regclass";
    let mut raw = a_backlog(&world, 100, 25_000).await;
    let mut read = Vec::new();
    for statistics in ["absent", "fresh", "stale"] {
        if statistics == "fresh" {
            raw.run("ANALYZE").await;
        }
        if statistics == "stale" {
            raw.run("INSERT INTO posts (account_id, body, scheduled_at, due_at)
                     SELECT account_id, body, scheduled_at, due_at FROM posts, generate_series(1, 9) WHERE status = 'pending'")
                .await;
        }
        raw.run("SELECT pg_stat_force_next_flush(); SELECT 1").await;
        let before = raw.number(counts).await;
        let mut store = world.store().await;
        let request = Request {
            limit: 1_000,
            ..request()
        };
        assert_eq!(store.claim(&request).await.unwrap().posts.len(), 1_000);
        store.close().await;
        raw.wait_for_the_stores_to_be_gone().await;
        read.push(raw.number(counts).await - before);
        raw.end_the_runs().await;
    }
    assert!(read.iter().all(|rows| *rows < 60_000), "{read:?}");
}

/// Whoever is second sees what the first did.
async fn a_claim_and_a_cancellation_do_not_both_win(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post(account, 1).await;
    let begin = match world.backend {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN",
    };
    raw.run(begin).await;
    raw.run(&format!(
        "UPDATE posts SET status = 'canceled' WHERE id = {id}"
    ))
    .await;
    let mut store = world.store().await;
    let first = request();
    let (claim, ()) = tokio::join!(store.claim(&first), async {
        raw.run("COMMIT").await;
    });
    assert!(claim.unwrap().posts.is_empty());
    assert_eq!(raw.status(id).await, "canceled");
}

/// Whoever waits for another's claim holds what it gets from then on, and not from when it asked.
#[tokio::test]
async fn postgres_counts_a_lease_from_when_it_was_given() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post(account, 1).await;
    raw.run("BEGIN; SELECT pg_advisory_xact_lock(5067418302416)")
        .await;
    let mut store = world.store().await;
    let first = Request {
        now: None,
        ..request()
    };
    let mut watcher = world.raw().await;
    let (claim, given) = tokio::join!(store.claim(&first), async {
        let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                       WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
        while watcher.number(waiting).await == 0 {}
        let given = watcher.texts("SELECT clock_timestamp()::text").await;
        raw.run("COMMIT").await;
        given[0].clone()
    });
    assert_eq!(claim.unwrap().posts.len(), 1);
    let seconds = first.lease.as_secs();
    let late = format!(
        "SELECT count(*) FROM posts
         WHERE id = {id} AND lease_until >= '{given}'::timestamptz + make_interval(secs => {seconds})"
    );
    assert_eq!(raw.number(&late).await, 1);
}

/// A process that was stopped, or a machine that fell off the net, in the midst of what it claimed: it has sent nothing.
#[tokio::test]
async fn postgres_ends_a_claim_whose_run_stopped_reading() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    // More than the sockets between the two take up.
    let at = minutes_ago(1);
    raw.run(&format!(
        "INSERT INTO posts (account_id, body, scheduled_at, due_at)
         SELECT {account}, repeat('long ', 12000), '{at}', '{at}' FROM generate_series(1, 400)"
    ))
    .await;
    let Raw::Postgres(mut stopped) = world.raw().await else {
        unreachable!("it is PostgreSQL's");
    };
    let sql = concat!(
        "SELECT publisher.when_due($1::jsonb, $claim$",
        include_str!("../../src/store/postgres/due.sql"),
        include_str!("../../src/store/postgres/claim.sql"),
        "$claim$)"
    );
    let argument = argument(&request(), 1_000).to_string();
    let mut rows = sqlx::query_scalar::<_, String>(sql)
        .bind(argument)
        .fetch(&mut stopped);
    assert!(rows.next().await.unwrap().is_ok());

    let mut store = world.store().await;
    let first = store.claim(&request()).await;
    assert!(matches!(first, Err(StoreError::Contended(_))), "{first:?}");
    assert_eq!(store.claim(&request()).await.unwrap().posts.len(), 400);
    // Whoever stopped learns that it has nothing.
    assert!(rows.any(async |row| row.is_err()).await);
}

/// What a claim is asked with.
fn argument(request: &Request, limit: u32) -> Value {
    json!({
        "claim": request.run, "now": request.now, "schema": migrate::version(), "limit": limit, "expiry_seconds": 86400,
        "lease_seconds": 900, "platforms": null, "owners": null,
    })
}

/// A claim's transaction, held open on a plain connection.
async fn hold_a_claim(connection: &mut PgConnection, limit: u32) -> Vec<String> {
    let sql = concat!(
        include_str!("../../src/store/postgres/due.sql"),
        include_str!("../../src/store/postgres/claim.sql")
    );
    let argument = argument(&request(), limit);
    sqlx::raw_sql("BEGIN")
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::query_scalar(sql)
        .bind(argument.to_string())
        .fetch_all(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn postgres_does_not_wait_for_another_runs_rows() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.posts(account, 30, 100).await;
    let Raw::Postgres(mut holder) = world.raw().await else {
        unreachable!("it is PostgreSQL's");
    };
    assert_eq!(hold_a_claim(&mut holder, 10).await.len(), 10);

    // The same account's row can be read and locked, get a post and be renamed; and the rest can be claimed.
    raw.run("SET lock_timeout = '2s'").await;
    raw.post(account, 1).await;
    raw.run("SELECT * FROM accounts FOR UPDATE").await;
    raw.run("UPDATE accounts SET display_name = 'renamed'")
        .await;
    raw.run("DELETE FROM posts WHERE status = 'failed'").await;
    let mut store = world.store().await;
    let claim = tokio::time::timeout(Duration::from_secs(5), store.claim(&request())).await;
    let claim = claim.expect("the claim waits for nobody").unwrap();
    assert_eq!(claim.posts.len(), 91, "all but the ten that are held");

    // Once they are given back they can be claimed.
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut holder)
        .await
        .unwrap();
    assert_eq!(store.claim(&request()).await.unwrap().posts.len(), 10);
}

/// An application that holds a row for itself delays that one post.
#[tokio::test]
async fn postgres_skips_a_row_that_an_application_holds() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let held = raw.post(account, 2).await;
    let free = raw.post(account, 1).await;
    raw.run(&format!(
        "BEGIN; UPDATE posts SET body = 'being edited' WHERE id = {held}"
    ))
    .await;
    let mut store = world.store().await;
    let claim = tokio::time::timeout(Duration::from_secs(5), store.claim(&request())).await;
    let claim = claim.expect("the claim waits for nobody").unwrap();
    assert_eq!(claim.posts.len(), 1);
    assert_eq!(claim.posts[0].id, free);
    raw.run("COMMIT").await;
    let claim = store.claim(&request()).await.unwrap();
    assert_eq!(claim.posts[0].content.body, "being edited");
}

/// An application that holds a write transaction for a while is waited for.
#[tokio::test]
async fn sqlite_waits_for_another_writer() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 2).await;
    raw.run("BEGIN IMMEDIATE; UPDATE posts SET body = 'edited'")
        .await;
    let mut store = world.store().await;
    let first = request();
    let (claim, ()) = tokio::join!(store.claim(&first), async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        raw.run("COMMIT").await;
    });
    assert_eq!(claim.unwrap().posts[0].content.body, "edited");
}
