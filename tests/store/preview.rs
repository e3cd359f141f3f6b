//! The preview: it says what a claim would do, and does nothing.

use chrono::TimeDelta;
use publisher::post::{Action, PostId};
use serde_json::json;
use uuid::Uuid;

use crate::support::database::{Backend, Raw, World, minutes_ago, request};

on_both_databases!(
    it_changes_nothing,
    it_agrees_with_the_claim,
    it_says_what_holds_a_post_back,
    it_reads_a_database_that_somebody_writes_to,
);

/// Something of everything.
async fn fair(raw: &mut Raw) {
    for owner in ["ada", "bob", "cleo"] {
        for platform in ["slack", "facebook", "linkedin"] {
            let account = raw.account(owner, platform).await;
            for minutes in [-5, 1, 3, 30, 200, 60 * 30, 60 * 24 * 9] {
                let columns = json!({"priority": i32::from(minutes == 200)});
                raw.post_with(account, minutes, columns).await;
            }
            let columns = json!({"status": "publishing", "claim": Uuid::new_v4().to_string(),
                                 "lease_until": minutes_ago(1)});
            raw.post_with(account, 20, columns).await;
            raw.published(account, TimeDelta::minutes(20)).await;
        }
    }
    raw.limit("owner:ada", "hour", 8).await;
    raw.limit("platform:slack", "hour", 7).await;
    raw.run(
        "UPDATE accounts SET status = 'needs_login' WHERE owner = 'bob' AND platform = 'linkedin'",
    )
    .await;
}

async fn it_changes_nothing(world: World) {
    let mut raw = world.raw().await;
    fair(&mut raw).await;
    let before = raw.dump().await;
    let mut store = world.store().await;
    let preview = store.preview(&request()).await.unwrap();
    assert!(!preview.posts.is_empty());
    assert_eq!(store.statements(), 1);
    assert_eq!(raw.dump().await, before);
}

async fn it_agrees_with_the_claim(world: World) {
    let mut raw = world.raw().await;
    fair(&mut raw).await;
    let mut store = world.store().await;
    let preview = store.preview(&request()).await.unwrap();
    assert_eq!(preview.now, request().now);
    let announced: Vec<(PostId, Action, i64)> = preview
        .posts
        .iter()
        .filter(|(_, held)| held.is_none())
        .map(|(post, _)| (post.id, post.action, post.place))
        .collect();
    let claim = store.claim(&request()).await.unwrap();
    let claimed: Vec<(PostId, Action, i64)> = claim
        .posts
        .iter()
        .map(|post| (post.id, post.action, post.place))
        .collect();
    assert_eq!(announced, claimed);
    // The case is worth something only if both kinds are many.
    assert!(claimed.len() > 30 && preview.posts.len() > claimed.len() + 5);
    for action in [Action::Publish, Action::Expire, Action::Recover] {
        assert!(claimed.iter().any(|(_, its, _)| *its == action));
    }
    for ((shown, _), taken) in preview
        .posts
        .iter()
        .filter(|(_, held)| held.is_none())
        .zip(&claim.posts)
    {
        assert_eq!(shown.content, taken.content);
        assert_eq!(shown.expires_at, taken.expires_at);
        let tried = u32::from(taken.action == Action::Publish);
        assert_eq!(shown.attempts + tried, taken.attempts);
    }
}

async fn it_says_what_holds_a_post_back(world: World) {
    let mut raw = world.raw().await;
    let mut accounts = Vec::new();
    for owner in ["ada", "bob", "cleo", "dan", "eve"] {
        let account = raw.account(owner, "slack").await;
        raw.post(account, 1).await;
        accounts.push(account);
    }
    raw.run(&format!(
        "UPDATE accounts SET status = 'disabled' WHERE id = {};
         UPDATE accounts SET blocked_until = '2026-11-22T09:30:00.000Z', blocked_reason = 'rate limit' WHERE id = {};
         UPDATE accounts SET blocked_until = '2026-11-22T09:30:00.000Z' WHERE id = {}",
        accounts[0], accounts[1], accounts[2]
    ))
    .await;
    raw.limit("owner:dan", "month", 0).await;
    let preview = world.store().await.preview(&request()).await.unwrap();
    let mut held: Vec<Option<String>> = vec![None; 5];
    for (post, why) in preview.posts {
        held[accounts
            .iter()
            .position(|id| *id == post.account.id)
            .unwrap()] = why;
    }
    let blocked = |account| format!("account:{account} is blocked until 2026-11-22T09:30:00Z");
    assert_eq!(
        held,
        [
            Some(format!("account:{} is disabled", accounts[0])),
            Some(format!("{} (rate limit)", blocked(accounts[1]))),
            Some(blocked(accounts[2])),
            Some("owner:dan: 0 per month".to_owned()),
            None,
        ]
    );
}

async fn it_reads_a_database_that_somebody_writes_to(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    raw.run(match world.backend {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN",
    })
    .await;
    raw.run("UPDATE posts SET body = 'changed'").await;
    let preview = world.store().await.preview(&request()).await.unwrap();
    assert_eq!(preview.posts[0].0.content.body, "hello");
    raw.run("ROLLBACK").await;
}
