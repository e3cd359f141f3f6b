//! Several runs at once: each post goes to one of them, each gets as many as it may, and limits hold over all.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt;
use futures::future::join_all;
use publisher::post::{Action, PostId};
use publisher::store::{Claim, Request, StoreError, migrate};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use crate::support::database::{Backend, Raw, World, minutes_ago, now, request, request_at};

on_both_databases!(
    each_post_is_claimed_by_one_run,
    small_claims_at_once_take_everything_in_the_end,
    a_claim_and_a_cancellation_do_not_both_win,
    runs_at_once_keep_to_a_limit_together,
    runs_at_once_take_as_many_as_each_may,
    a_run_takes_less_only_if_no_account_is_left,
    runs_at_once_share_a_backlog,
    runs_with_different_filters_keep_to_a_limit_together,
    an_account_belongs_to_one_living_run,
    an_account_belongs_to_one_living_run_in_a_backlog,
    what_is_over_for_an_account_does_not_wait_for_its_run,
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
    for owner in 0..25 {
        let account = raw.account(&format!("owner {owner}"), "slack").await;
        raw.posts(account, 30, 40).await;
    }
    let mut stores = join_all((0..8).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().map(async |store| {
        let mut raw = world.raw().await;
        let mut ids = Vec::new();
        let mut empty = 0;
        // A run may find that others hold every account; when they have ended, the next one finds what is left.
        while empty < 3 {
            let request = Request {
                limit: 60,
                ..request()
            };
            let claim = store.claim(&request).await.unwrap();
            assert!(claim.posts.len() <= 60);
            empty += usize::from(claim.posts.is_empty());
            raw.end_the_run(request.run).await;
            ids.extend(claim.posts.into_iter().map(|post| post.id));
        }
        ids
    }))
    .await;
    let rest = stores[0].claim(&request()).await.unwrap();
    let mut claimed: Vec<PostId> = claims.into_iter().flatten().collect();
    claimed.extend(rest.posts.iter().map(|post| post.id));
    let distinct: BTreeSet<PostId> = claimed.iter().copied().collect();
    assert_eq!((claimed.len(), distinct.len()), (1_000, 1_000));
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

/// What these claims take that are started at the same instant, where each of so many owners has an account with so many
/// posts: how many each, and no account's posts go to two.
async fn shares(world: &World, runs: usize, limit: u32, accounts: &[i64], each: u32) -> Vec<usize> {
    let mut raw = world.raw().await;
    raw.run("UPDATE posts SET status = 'canceled', lease_until = NULL")
        .await;
    for account in accounts {
        raw.posts(*account, 30, each).await;
    }
    let mut stores = join_all((0..runs).map(|_| world.store())).await;
    let claims = join_all(stores.iter_mut().map(async |store| {
        let request = Request { limit, ..request() };
        store.claim(&request).await.unwrap().posts
    }))
    .await;
    let counts: Vec<usize> = claims.iter().map(Vec::len).collect();
    let distinct: BTreeSet<PostId> = claims.iter().flatten().map(|post| post.id).collect();
    assert_eq!(distinct.len(), counts.iter().sum::<usize>());
    let whose = claims.iter().map(|posts| {
        let accounts: BTreeSet<i64> = posts.iter().map(|post| post.account.id).collect();
        accounts
    });
    let whose: Vec<i64> = whose.flatten().collect();
    let distinct: BTreeSet<i64> = whose.iter().copied().collect();
    assert_eq!(distinct.len(), whose.len(), "an account has two runs");
    counts
}

async fn owners(world: &World, count: u32) -> Vec<i64> {
    let mut raw = world.raw().await;
    let mut accounts = Vec::new();
    for owner in 0..count {
        accounts.push(raw.account(&format!("owner {owner}"), "slack").await);
    }
    accounts
}

/// Each takes its whole limit of what is due, if there are accounts enough: the last that a run takes of is no other's, also
/// where it does not take all of it.
async fn runs_at_once_take_as_many_as_each_may(world: World) {
    let accounts = owners(&world, 104).await;
    for (runs, limit, accounts, each) in [
        (8, 100, &accounts[..80], 10),
        (8, 100, &accounts[..104], 8),
        (6, 50, &accounts[..60], 5),
        (6, 1_000, &accounts[..102], 60),
        (4, 40, &accounts[..32], 5),
    ] {
        let counts = shares(&world, runs, limit, accounts, each).await;
        assert_eq!(counts, vec![limit as usize; runs]);
    }
}

async fn a_run_takes_less_only_if_no_account_is_left(world: World) {
    let accounts = owners(&world, 100).await;
    for (runs, limit, each) in [(8, 100, 8), (6, 1_000, 60)] {
        let counts = shares(&world, runs, limit, &accounts, each).await;
        let less = counts.iter().filter(|count| **count < limit as usize);
        assert_eq!(less.count(), 1, "{counts:?}");
        let free = "SELECT count(*) FROM accounts a WHERE NOT EXISTS (
                        SELECT 1 FROM posts p WHERE p.account_id = a.id AND p.status = 'publishing')";
        assert_eq!(world.raw().await.number(free).await, 0);
    }
}

/// More than any claim takes, spread over so many accounts.
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
    // Each of an account's posts went to the same run.
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

const ANOTHER: &str = "another run is publishing for this account";

fn of_each(claim: &Claim, accounts: &[i64]) -> Vec<usize> {
    let of = |account: &i64| {
        let its = claim
            .posts
            .iter()
            .filter(|post| post.account.id == *account);
        its.count()
    };
    accounts.iter().map(of).collect()
}

async fn an_account_belongs_to_one_living_run(world: World) {
    let mut raw = world.raw().await;
    let held = raw.account("ada", "slack").await;
    let sibling = raw.account("ada", "facebook").await;
    let free = raw.account("bob", "slack").await;
    let accounts = [held, sibling, free];
    raw.posts(held, 30, 5).await;
    let mut store = world.store().await;
    let first = Request {
        limit: 2,
        platforms: vec!["slack".to_owned()],
        ..request()
    };
    let claim = store.claim(&first).await.unwrap();
    assert_eq!(claim.posts.len(), 2);
    for account in [sibling, free] {
        raw.post(account, 1).await;
    }

    let mut others = world.store().await;
    let preview = others.preview(&request()).await.unwrap();
    let why = |account: i64| {
        let its = preview
            .posts
            .iter()
            .filter(move |(post, _)| post.account.id == account);
        its.map(|(_, why)| why.as_deref()).collect::<Vec<_>>()
    };
    assert_eq!(why(held), [Some(ANOTHER); 3]);
    assert_eq!((why(sibling), why(free)), (vec![None], vec![None]));
    // Whatever it is asked for.
    let hers = Request {
        owners: vec!["ada".to_owned()],
        ..request()
    };
    assert_eq!(
        of_each(&others.claim(&hers).await.unwrap(), &accounts),
        [0, 1, 0]
    );
    assert_eq!(
        of_each(&others.claim(&request()).await.unwrap(), &accounts),
        [0, 0, 1]
    );
    // One that is settled is not all: the run still has the other.
    let settle = |post: PostId| {
        format!("UPDATE posts SET status = 'failed', lease_until = NULL WHERE id = {post}")
    };
    raw.run(&settle(claim.posts[0].id)).await;
    assert!(others.claim(&request()).await.unwrap().posts.is_empty());
    raw.run(&settle(claim.posts[1].id)).await;
    let rest = others.claim(&request()).await.unwrap();
    assert_eq!(of_each(&rest, &accounts), [3, 0, 0]);

    // A lease holds to its last instant; then what it held is looked up, and the rest is free.
    raw.post(held, 1).await;
    let last = now() + request().lease;
    assert!(
        others
            .claim(&request_at(last))
            .await
            .unwrap()
            .posts
            .is_empty()
    );
    let after = request_at(last + TimeDelta::milliseconds(1));
    let claim = others.claim(&after).await.unwrap();
    let recovered = claim
        .posts
        .iter()
        .filter(|post| post.account.id == held && post.action == Action::Recover);
    assert_eq!(recovered.count(), 3);
    assert_eq!(of_each(&claim, &accounts), [4, 1, 1]);
}

/// Also where more is due than a claim takes: also then by no more than what a claim takes and its accounts.
async fn an_account_belongs_to_one_living_run_in_a_backlog(world: World) {
    let mut raw = a_backlog(&world, 10, 1_000).await;
    let run = |limit: u32| Request { limit, ..request() };
    let mut store = world.store().await;
    let first = run(12);
    let claim = store.claim(&first).await.unwrap();
    let held: BTreeSet<i64> = claim.posts.iter().map(|post| post.account.id).collect();
    assert!(held.len() < 10, "{held:?}");
    let claim = store.claim(&run(900)).await.unwrap();
    let others: BTreeSet<i64> = claim.posts.iter().map(|post| post.account.id).collect();
    assert_eq!(others.len(), 10 - held.len());
    assert!(others.is_disjoint(&held));
    assert_eq!(claim.posts.len(), 100 * others.len());
    assert!(store.claim(&run(100)).await.unwrap().posts.is_empty());
    raw.end_the_run(first.run).await;
    let claim = store.claim(&run(100)).await.unwrap();
    assert_eq!(claim.posts.len(), 100);
    assert!(
        claim
            .posts
            .iter()
            .all(|post| held.contains(&post.account.id))
    );
}

/// What is too old, what a run that died left and what is to be looked up ask nothing of the account's turn: neither where
/// little is due nor where much is.
async fn what_is_over_for_an_account_does_not_wait_for_its_run(world: World) {
    let mut raw = world.raw().await;
    let held = raw.account("ada", "slack").await;
    let lease = |minutes: i64| {
        json!({"status": "publishing", "claim": "00000000-0000-4000-8000-000000000001",
               "lease_until": minutes_ago(minutes)})
    };
    raw.post_with(held, 3, lease(-10)).await;
    for backlog in [0, 200] {
        if backlog > 0 {
            let free = raw.account("bob", "slack").await;
            raw.posts(free, 1, backlog).await;
        }
        raw.post(held, 30).await;
        let mut over = vec![
            (raw.post(held, 60 * 24 * 3).await, Action::Expire),
            (
                raw.post_with(held, 20, json!({"expires_at": minutes_ago(10)}))
                    .await,
                Action::Expire,
            ),
            (raw.post_with(held, 3, lease(1)).await, Action::Recover),
            (
                raw.post_with(
                    held,
                    3,
                    json!({"status": "unconfirmed", "due_at": minutes_ago(1)}),
                )
                .await,
                Action::Recover,
            ),
        ];
        let request = Request {
            limit: 100,
            ..request()
        };
        let claim = world.store().await.claim(&request).await.unwrap();
        let its = claim.posts.iter().filter(|post| post.account.id == held);
        let mut its: Vec<(PostId, Action)> = its.map(|post| (post.id, post.action)).collect();
        its.sort_unstable_by_key(|(id, _)| *id);
        over.sort_unstable_by_key(|(id, _)| *id);
        if backlog == 0 {
            assert_eq!(its, over);
            continue;
        }
        // The backlog is more urgent than what is late: it all gets its place as the backlog goes.
        let mut found = its;
        while found.len() < 4 {
            let claim = world
                .store()
                .await
                .claim(&Request {
                    run: uuid::Uuid::new_v4(),
                    ..request.clone()
                })
                .await
                .unwrap();
            assert!(!claim.posts.is_empty(), "{found:?}");
            let its = claim.posts.iter().filter(|post| post.account.id == held);
            found.extend(its.map(|post| (post.id, post.action)));
            raw.run(&format!("UPDATE posts SET status = 'canceled', lease_until = NULL WHERE account_id <> {held} AND status = 'publishing'")).await;
        }
        found.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(found, over);
    }
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
        "SELECT * FROM publisher.claim_due($1::jsonb, $claim$",
        include_str!("../../src/store/postgres/due.sql"),
        include_str!("../../src/store/postgres/claim.sql"),
        "$claim$)"
    );
    let argument = argument(&request(), 1_000).to_string();
    let mut rows = sqlx::query(sql).bind(argument).fetch(&mut stopped);
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
async fn hold_a_claim(connection: &mut PgConnection, limit: u32) -> Vec<PgRow> {
    let sql = concat!(
        include_str!("../../src/store/postgres/due.sql"),
        include_str!("../../src/store/postgres/claim.sql")
    );
    let argument = argument(&request(), limit);
    sqlx::raw_sql("BEGIN")
        .execute(&mut *connection)
        .await
        .unwrap();
    let rows = sqlx::query(sql)
        .bind(argument.to_string())
        .fetch_all(connection);
    rows.await.unwrap()
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
    // And one row for what they share.
    assert_eq!(hold_a_claim(&mut holder, 10).await.len(), 11);

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
    raw.end_the_runs().await;
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
    raw.end_the_runs().await;
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
