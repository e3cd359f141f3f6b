//! The order in which posts go out, and the limit that respects it.

use chrono::TimeDelta;
use publisher::post::PostId;
use publisher::schedule::Lateness;
use publisher::store::{Claim, Request};
use serde_json::json;

use crate::support::database::{Backend, World, ago, request};

on_both_databases!(
    the_higher_priority_goes_first,
    then_the_less_late_class,
    lateness_classes_end_where_the_program_says,
    then_owners_take_turns,
    then_the_oldest,
    equals_go_in_the_order_of_their_numbers,
    places_count_from_one,
    a_flood_from_one_owner_crowds_out_nobody,
    the_limit_takes_the_first_of_the_order,
    the_limit_is_never_overshot,
    a_limit_of_nothing_takes_nothing,
);

fn ids(claim: &Claim) -> Vec<PostId> {
    claim.posts.iter().map(|post| post.id).collect()
}

fn at_most(limit: u32) -> Request {
    Request { limit, ..request() }
}

async fn the_higher_priority_goes_first(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut posts = Vec::new();
    // Priority wins over lateness and over the owner's turn.
    for (priority, minutes) in [(-1, 0), (0, 1), (5, 120), (10, 60 * 20)] {
        let columns = json!({"priority": priority});
        posts.push(raw.post_with(account, minutes, columns).await);
    }
    posts.reverse();
    assert_eq!(
        ids(&world.store().await.claim(&request()).await.unwrap()),
        posts
    );
}

async fn then_the_less_late_class(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut posts = Vec::new();
    for days in [8, 2] {
        posts.push(raw.post(account, 60 * 24 * days).await);
    }
    for minutes in [60 * 23, 59, 4] {
        posts.push(raw.post(account, minutes).await);
    }
    posts.reverse();
    assert_eq!(
        ids(&world.store().await.claim(&request()).await.unwrap()),
        posts
    );
}

async fn lateness_classes_end_where_the_program_says(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let edges = [
        TimeDelta::minutes(5),
        TimeDelta::hours(1),
        TimeDelta::hours(24),
        TimeDelta::days(7),
    ];
    for edge in edges {
        for late in [-1, 0, 1] {
            let columns = json!({"scheduled_at": ago(edge + TimeDelta::milliseconds(late))});
            raw.post_with(account, 0, columns).await;
        }
    }
    let claim = world.store().await.claim(&request()).await.unwrap();
    let now = claim.now.unwrap();
    let found: Vec<_> = claim.posts.iter().map(|post| post.scheduled_at).collect();
    let mut expected = found.clone();
    expected.sort_by_key(|at| (Lateness::of(*at, now), *at));
    assert_eq!(found, expected);
    assert_eq!(found.len(), 12);
}

async fn then_owners_take_turns(world: World) {
    let mut raw = world.raw().await;
    // Each owner's older posts first; whose turn comes first within a round, the oldest says.
    let mut ada = Vec::new();
    let mut bob = Vec::new();
    let first = raw.account("ada", "slack").await;
    let second = raw.account("ada", "facebook").await;
    for (account, minutes) in [(first, 50), (second, 49), (first, 48), (second, 47)] {
        ada.push(raw.post(account, minutes).await);
    }
    let account = raw.account("bob", "slack").await;
    for minutes in [20, 19] {
        bob.push(raw.post(account, minutes).await);
    }
    let account = raw.account("cleo", "slack").await;
    let cleo = raw.post(account, 30).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(
        ids(&claim),
        [ada[0], cleo, bob[0], ada[1], bob[1], ada[2], ada[3]]
    );
}

async fn then_the_oldest(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut posts = Vec::new();
    for minutes in [10, 30, 20, 40] {
        posts.push(raw.post(account, minutes).await);
    }
    let oldest_first = [posts[3], posts[1], posts[2], posts[0]];
    assert_eq!(
        ids(&world.store().await.claim(&request()).await.unwrap()),
        oldest_first
    );
}

async fn equals_go_in_the_order_of_their_numbers(world: World) {
    let mut raw = world.raw().await;
    let mut posts = Vec::new();
    for owner in ["zoe", "ada", "moe"] {
        let account = raw.account(owner, "slack").await;
        posts.push(raw.post(account, 10).await);
    }
    assert_eq!(
        ids(&world.store().await.claim(&request()).await.unwrap()),
        posts
    );
}

async fn places_count_from_one(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.posts(account, 10, 300).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    let places: Vec<i64> = claim.posts.iter().map(|post| post.place).collect();
    assert_eq!(places, (1..=300).collect::<Vec<i64>>());
}

async fn a_flood_from_one_owner_crowds_out_nobody(world: World) {
    let mut raw = world.raw().await;
    let flood = raw.account("flood", "slack").await;
    raw.posts(flood, 59, 5_000).await;
    let mut others = Vec::new();
    for owner in 0..20 {
        let account = raw.account(&format!("owner {owner}"), "slack").await;
        // Later than every one of the flood.
        others.push(raw.post(account, 20).await);
    }
    let claim = world.store().await.claim(&at_most(25)).await.unwrap();
    assert_eq!(claim.posts.len(), 25);
    let found = ids(&claim);
    assert!(others.iter().all(|id| found.contains(id)), "{found:?}");
    assert_eq!(
        found[1..21],
        others,
        "the second of the flood comes after them"
    );
}

async fn the_limit_takes_the_first_of_the_order(world: World) {
    let mut raw = world.raw().await;
    for owner in ["ada", "bob", "cleo"] {
        let account = raw.account(owner, "slack").await;
        for minutes in 1..20 {
            let columns = json!({"priority": minutes % 3});
            raw.post_with(account, minutes * 7, columns).await;
        }
    }
    let mut store = world.store().await;
    let whole: Vec<PostId> = store
        .preview(&request())
        .await
        .unwrap()
        .posts
        .into_iter()
        .map(|(post, _)| post.id)
        .collect();
    assert_eq!(whole.len(), 57);
    assert_eq!(ids(&store.claim(&at_most(10)).await.unwrap()), whole[..10]);
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE status = 'publishing'")
            .await,
        10
    );
}

/// Plans flip with the statistics, and some plans evaluate a LIMIT once per row.
async fn the_limit_is_never_overshot(world: World) {
    let mut raw = world.raw().await;
    let flood = raw.account("flood", "slack").await;
    let trickle = raw.account("trickle", "facebook").await;
    // The statistics know an empty table.
    raw.run("ANALYZE").await;
    let mut left = 0;
    for statistics in ["the emptiness", "the emptiness", "too little", "everything"] {
        raw.posts(flood, 30, 1_500).await;
        raw.posts(trickle, 30, 10).await;
        left += 1_510;
        if statistics == "everything" {
            raw.run("ANALYZE").await;
        }
        if statistics == "too little" && world.backend == Backend::Postgres {
            // Whoever plans with these settings has nothing but nested loops.
            for setting in [
                "hashjoin",
                "mergejoin",
                "memoize",
                "material",
                "sort",
                "bitmapscan",
            ] {
                let name = world.url.rsplit('/').next().unwrap();
                raw.run(&format!("ALTER DATABASE {name} SET enable_{setting} = off"))
                    .await;
            }
        }
        for limit in [7, 1, 100] {
            let claim = world.store().await.claim(&at_most(limit)).await.unwrap();
            assert_eq!(claim.posts.len(), limit as usize, "{statistics}");
            left -= i64::from(limit);
            let pending = "SELECT count(*) FROM posts WHERE status = 'pending'";
            assert_eq!(raw.number(pending).await, left, "{statistics}");
            raw.end_the_runs().await;
        }
    }
}

async fn a_limit_of_nothing_takes_nothing(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    let before = raw.dump().await;
    let claim = world.store().await.claim(&at_most(0)).await.unwrap();
    assert!(claim.posts.is_empty());
    assert_eq!(raw.dump().await, before);
}
