//! Several runs at once: each post goes to one of them, and nobody waits for anybody.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use publisher::post::PostId;
use publisher::store::{Request, migrate};
use serde_json::json;
use sqlx::PgConnection;

use crate::support::database::{Backend, Raw, World, request};

on_both_databases!(
    each_post_is_claimed_by_one_run,
    small_claims_at_once_take_everything_in_the_end,
    a_claim_and_a_cancellation_do_not_both_win,
    runs_at_once_keep_to_a_limit_together,
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
    for owner in 0..50 {
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
            raw.run(&format!(
                "UPDATE posts SET status = 'canceled', lease_until = NULL WHERE claim = '{}' AND status = 'publishing'",
                request.run
            ))
            .await;
            ids.extend(claim.posts.into_iter().map(|post| post.id));
        }
        ids
    }))
    .await;
    raw.end_the_runs().await;
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

/// A claim's transaction, held open on a plain connection.
async fn hold_a_claim(connection: &mut PgConnection, limit: u32) -> Vec<String> {
    let sql = concat!(
        include_str!("../../src/store/postgres/due.sql"),
        include_str!("../../src/store/postgres/claim.sql")
    );
    let request = request();
    let argument = json!({
        "claim": request.run, "now": request.now, "schema": migrate::version(), "limit": limit, "expiry_seconds": 86400,
        "lease_seconds": 900, "platforms": null, "owners": null,
    });
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
