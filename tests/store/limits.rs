//! Limits: what an owner, an account or a platform may publish in a window.

use chrono::TimeDelta;
use publisher::post::PostId;
use publisher::schedule::Clock;
use publisher::store::{Request, instant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database::{Raw, World, minutes_ago, request};

on_both_databases!(
    an_account_publishes_no_more_than_its_limit,
    an_owner_publishes_no_more_than_its_limit_over_all_accounts,
    a_platform_publishes_no_more_than_its_limit_over_all_owners,
    windows_end_to_the_millisecond,
    what_is_in_flight_or_unconfirmed_counts,
    what_failed_does_not_count,
    the_strictest_rule_wins,
    several_scopes_hold_at_once,
    a_limit_on_comments_holds_no_post,
    a_limit_on_everything_holds_posts,
    a_limit_of_zero_holds_everything,
    a_scope_with_nothing_left_leaves_its_places_to_others,
    a_held_account_does_not_use_up_its_owners_limit,
    what_a_limit_holds_back_takes_no_turn,
    what_another_run_holds_back_takes_no_turn_and_no_place,
    the_order_within_a_limit_is_the_queues,
    a_scope_is_a_name_and_no_pattern,
    a_limit_and_a_claims_own_limit_work_together,
    a_limit_that_is_set_again_is_changed,
    old_posts_are_dropped_over_every_limit,
    a_platforms_own_quota_holds_unless_a_rule_says_otherwise,
    an_accounts_quota_counts_its_own_posts_alone,
    rules_are_shown_with_what_is_used_up_and_removed,
    what_is_used_up_is_counted_for_each_scope,
    a_block_is_lifted_for_a_scope,
);

/// Claims, and says how many of each account were taken.
async fn taken(world: &World, raw: &mut Raw, accounts: &[i64]) -> Vec<i64> {
    let request = request();
    world.store().await.claim(&request).await.unwrap();
    let mut taken = Vec::new();
    for account in accounts {
        let sql = format!(
            "SELECT count(*) FROM posts WHERE account_id = {account} AND claim = '{}'",
            request.run
        );
        taken.push(raw.number(&sql).await);
    }
    taken
}

async fn an_account_publishes_no_more_than_its_limit(world: World) {
    let mut raw = world.raw().await;
    let limited = raw.account("ada", "slack").await;
    let free = raw.account("ada", "slack").await;
    raw.limit(&format!("account:{limited}"), "hour", 3).await;
    raw.published(limited, TimeDelta::minutes(10)).await;
    raw.published(free, TimeDelta::minutes(10)).await;
    for account in [limited, free] {
        raw.posts(account, 5, 10).await;
    }
    let accounts = [limited, free];
    assert_eq!(taken(&world, &mut raw, &accounts).await, [2, 10]);
    assert_eq!(
        taken(&world, &mut raw, &accounts).await,
        [0, 0],
        "those that were just claimed count"
    );
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE status = 'pending' AND attempts = 0")
            .await,
        8
    );
}

async fn an_owner_publishes_no_more_than_its_limit_over_all_accounts(world: World) {
    let mut raw = world.raw().await;
    let slack = raw.account("ada", "slack").await;
    let facebook = raw.account("ada", "facebook").await;
    let other = raw.account("bob", "slack").await;
    raw.limit("owner:ada", "day", 5).await;
    raw.published(slack, TimeDelta::hours(23)).await;
    raw.published(facebook, TimeDelta::hours(1)).await;
    raw.published(other, TimeDelta::hours(1)).await;
    for account in [slack, facebook, other] {
        raw.posts(account, 5, 10).await;
    }
    let taken = taken(&world, &mut raw, &[slack, facebook, other]).await;
    assert_eq!(taken[0] + taken[1], 3);
    assert_eq!(taken[2], 10);
}

async fn a_platform_publishes_no_more_than_its_limit_over_all_owners(world: World) {
    let mut raw = world.raw().await;
    let ada = raw.account("ada", "slack").await;
    let bob = raw.account("bob", "slack").await;
    let elsewhere = raw.account("ada", "facebook").await;
    raw.limit("platform:slack", "day", 5).await;
    raw.published(bob, TimeDelta::hours(1)).await;
    for account in [ada, bob, elsewhere] {
        raw.posts(account, 5, 10).await;
    }
    // Owners take turns here, too.
    assert_eq!(
        taken(&world, &mut raw, &[ada, bob, elsewhere]).await,
        [2, 2, 10]
    );
}

async fn windows_end_to_the_millisecond(world: World) {
    let mut raw = world.raw().await;
    let windows = [
        ("minute", TimeDelta::minutes(1)),
        ("hour", TimeDelta::hours(1)),
        ("day", TimeDelta::hours(24)),
        ("month", TimeDelta::days(30)),
    ];
    let mut accounts = Vec::new();
    for (window, length) in windows {
        let account = raw.account("ada", "slack").await;
        raw.limit(&format!("account:{account}"), window, 2).await;
        // The first has just left the window, the second is still in it.
        raw.published(account, length).await;
        raw.published(account, length - TimeDelta::milliseconds(1))
            .await;
        raw.posts(account, 5, 3).await;
        accounts.push(account);
    }
    assert_eq!(taken(&world, &mut raw, &accounts).await, [1, 1, 1, 1]);
}

async fn what_is_in_flight_or_unconfirmed_counts(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "hour", 4).await;
    let columns = json!({"status": "publishing", "claim": Uuid::new_v4().to_string(),
                         "lease_until": minutes_ago(-5)});
    let other = raw.account("ada", "facebook").await;
    raw.post_with(other, 60 * 24 * 2, columns).await;
    let columns = json!({"status": "unconfirmed", "due_at": "9999-12-31T00:00:00.000Z"});
    raw.post_with(account, 5, columns).await;
    raw.posts(account, 5, 10).await;
    // An unconfirmed post counts by its last change, which is the database's own now.
    let request = Request {
        now: Some(publisher::schedule::Clock::host().now()),
        expiry: std::time::Duration::from_hours(24 * 7),
        ..request()
    };
    raw.run(&format!(
        "UPDATE posts SET scheduled_at = '{}' WHERE status = 'pending'",
        publisher::store::instant(request.now.unwrap() - TimeDelta::minutes(5))
    ))
    .await;
    raw.run(&format!(
        "UPDATE posts SET lease_until = '{}' WHERE status = 'publishing'",
        publisher::store::instant(request.now.unwrap() + TimeDelta::minutes(5))
    ))
    .await;
    let claim = world.store().await.claim(&request).await.unwrap();
    assert_eq!(claim.posts.len(), 2);
}

async fn what_failed_does_not_count(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "month", 2).await;
    for status in ["failed", "expired", "canceled"] {
        raw.post_with(account, 5, json!({"status": status})).await;
    }
    raw.posts(account, -60, 5).await;
    raw.posts(account, 5, 5).await;
    assert_eq!(taken(&world, &mut raw, &[account]).await, [2]);
}

async fn the_strictest_rule_wins(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "minute", 4).await;
    raw.limit("owner:ada", "hour", 5).await;
    raw.limit("owner:ada", "day", 6).await;
    for minutes in [30, 40, 50] {
        raw.published(account, TimeDelta::minutes(minutes)).await;
    }
    raw.posts(account, 5, 10).await;
    let preview = world.store().await.preview(&request()).await.unwrap();
    let held: Vec<&str> = preview
        .posts
        .iter()
        .filter_map(|(_, held)| held.as_deref())
        .collect();
    assert_eq!(held, ["owner:ada: 5 per hour"; 8]);
    assert_eq!(taken(&world, &mut raw, &[account]).await, [2]);
}

async fn several_scopes_hold_at_once(world: World) {
    let mut raw = world.raw().await;
    let one = raw.account("ada", "slack").await;
    let two = raw.account("ada", "slack").await;
    let three = raw.account("bob", "slack").await;
    let four = raw.account("bob", "facebook").await;
    raw.limit(&format!("account:{one}"), "day", 1).await;
    raw.limit("owner:ada", "day", 3).await;
    raw.limit("platform:slack", "day", 5).await;
    for account in [one, two, three, four] {
        raw.posts(account, 5, 10).await;
    }
    let taken = taken(&world, &mut raw, &[one, two, three, four]).await;
    assert_eq!(taken[0], 1, "by the account's");
    assert_eq!(taken[1], 2, "by the owner's");
    assert_eq!(taken[2], 2, "by the platform's");
    assert_eq!(taken[3], 10);
}

async fn a_limit_on_comments_holds_no_post(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let row = json!({"scope": "owner:ada", "window": "day", "max": 0, "action": "comment"});
    raw.insert("limits", &row).await;
    raw.posts(account, 5, 3).await;
    assert_eq!(taken(&world, &mut raw, &[account]).await, [3]);
}

async fn a_limit_on_everything_holds_posts(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let row = json!({"scope": "owner:ada", "window": "day", "max": 1, "action": "*"});
    raw.insert("limits", &row).await;
    raw.posts(account, 5, 3).await;
    assert_eq!(taken(&world, &mut raw, &[account]).await, [1]);
}

async fn a_limit_of_zero_holds_everything(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let other = raw.account("bob", "slack").await;
    raw.limit("owner:ada", "minute", 0).await;
    for account in [account, other] {
        raw.posts(account, 5, 3).await;
    }
    assert_eq!(taken(&world, &mut raw, &[account, other]).await, [0, 3]);
}

async fn a_scope_with_nothing_left_leaves_its_places_to_others(world: World) {
    let mut raw = world.raw().await;
    let full = raw.account("ada", "slack").await;
    let free = raw.account("bob", "slack").await;
    raw.limit("owner:ada", "day", 1).await;
    raw.limit("platform:slack", "day", 4).await;
    raw.published(full, TimeDelta::hours(1)).await;
    raw.posts(full, 50, 10).await;
    raw.posts(free, 20, 10).await;
    // Of the platform's four one is used up; the other three are not ada's to take.
    assert_eq!(taken(&world, &mut raw, &[full, free]).await, [0, 3]);
}

async fn a_held_account_does_not_use_up_its_owners_limit(world: World) {
    let mut raw = world.raw().await;
    let disabled = raw.account("ada", "slack").await;
    let partly = raw.account("ada", "slack").await;
    let free = raw.account("ada", "slack").await;
    raw.run(&format!(
        "UPDATE accounts SET status = 'disabled' WHERE id = {disabled}"
    ))
    .await;
    raw.limit(&format!("account:{partly}"), "day", 1).await;
    raw.limit("owner:ada", "day", 3).await;
    raw.posts(disabled, 50, 5).await;
    raw.posts(partly, 40, 5).await;
    raw.posts(free, 20, 5).await;
    assert_eq!(
        taken(&world, &mut raw, &[disabled, partly, free]).await,
        [0, 1, 2]
    );
}

async fn a_platforms_own_quota_holds_unless_a_rule_says_otherwise(world: World) {
    let mut raw = world.raw().await;
    let video = raw.account("ada", "youtube").await;
    let message = raw.account("ada", "slack").await;
    raw.published(video, TimeDelta::minutes(10)).await;
    for account in [video, message] {
        raw.posts(account, 5, 6).await;
    }
    let quota = json!({"platform": "youtube", "per": "platform", "window": "day", "max": 3});
    let request = Request {
        quotas: json!([quota]),
        ..request()
    };
    let preview = world.store().await.preview(&request).await.unwrap();
    let held: Vec<String> = preview.posts.into_iter().filter_map(|(_, by)| by).collect();
    assert_eq!(held, vec!["platform:youtube: 3 per day by the platform"; 4]);
    // A rule of the same scope and window takes its place, also a laxer one.
    raw.limit("platform:youtube", "day", 5).await;
    let claim = world.store().await.claim(&request).await.unwrap();
    let of = |account| {
        claim
            .posts
            .iter()
            .filter(|post| post.account.id == account)
            .count()
    };
    assert_eq!((of(video), of(message)), (4, 6));
}

async fn an_accounts_quota_counts_its_own_posts_alone(world: World) {
    let mut raw = world.raw().await;
    let busy = raw.account("ada", "linkedin").await;
    let idle = raw.account("ada", "linkedin").await;
    let ruled = raw.account("ada", "linkedin").await;
    let other = raw.account("ada", "slack").await;
    raw.published(busy, TimeDelta::minutes(10)).await;
    raw.published(busy, TimeDelta::hours(25)).await;
    raw.limit(&format!("account:{ruled}"), "day", 1).await;
    for account in [busy, idle, ruled, other] {
        raw.posts(account, 5, 6).await;
    }
    let quota = json!({"platform": "linkedin", "per": "account", "window": "day", "max": 3});
    let request = Request {
        quotas: json!([quota]),
        ..request()
    };
    let claim = world.store().await.claim(&request).await.unwrap();
    let of = |account| {
        claim
            .posts
            .iter()
            .filter(|post| post.account.id == account)
            .count()
    };
    assert_eq!((of(busy), of(idle), of(ruled), of(other)), (2, 3, 1, 6));
}

async fn rules_are_shown_with_what_is_used_up_and_removed(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "day", 20).await;
    raw.limit("owner:ada", "hour", 5).await;
    raw.published(account, TimeDelta::hours(2)).await;
    raw.published(account, TimeDelta::hours(3)).await;
    let mut store = world.store().await;
    // Beside the database's own clock: what was published was so before now.
    let rules = store.limits().await.unwrap();
    let rule = |window: &str| rules.iter().find(|rule| rule["window"] == window).unwrap();
    assert_eq!((rules.len(), &rule("day")["max"]), (2, &json!(20)));
    assert!(rule("day")["used"].as_i64() >= rule("hour")["used"].as_i64());
    let removed = store.clear_limits("owner:ada", Some("day")).await.unwrap();
    assert_eq!(removed.len(), 1);
    assert_eq!(
        store.clear_limits("owner:bob", None).await.unwrap().len(),
        0
    );
    assert_eq!(
        store.clear_limits("owner:ada", None).await.unwrap().len(),
        1
    );
    assert_eq!(store.limits().await.unwrap().len(), 0);
}

/// Each rule counts what its scope published in its window, has under way, and does not know of.
async fn what_is_used_up_is_counted_for_each_scope(world: World) {
    let mut raw = world.raw().await;
    let one = raw.account("ada", "slack").await;
    let two = raw.account("ada", "facebook").await;
    let other = raw.account("bob", "slack").await;
    let ago = |hours: i64| instant(Clock::host().now() - TimeDelta::hours(hours));
    for (account, hours) in [
        (one, 0),
        (one, 2),
        (one, 30),
        (two, 2),
        (other, 2),
        (other, 1_000),
    ] {
        let columns = json!({"status": "published", "published_at": ago(hours)});
        raw.post_with(account, 5, columns).await;
    }
    let held =
        || json!({"status": "publishing", "claim": uuid::Uuid::new_v4(), "lease_until": ago(-1)});
    for account in [one, two, two] {
        raw.post_with(account, 5, held()).await;
    }
    raw.post_with(one, 5, json!({"status": "unconfirmed"}))
        .await;
    raw.post(one, 5).await;
    let this = format!("account:{one}");
    for (scope, window) in [
        ("owner:ada", "hour"),
        ("owner:ada", "day"),
        ("owner:ada", "month"),
        ("platform:slack", "day"),
        ("platform:slack", "month"),
        ("platform:youtube", "day"),
        (&this, "day"),
        ("owner:nobody", "month"),
    ] {
        raw.limit(scope, window, 20).await;
    }
    let rules = world.store().await.limits().await.unwrap();
    let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    let used: Vec<String> = rules
        .iter()
        .map(|rule| {
            format!(
                "{} {} {}",
                text(rule, "scope"),
                text(rule, "window"),
                rule["used"]
            )
        })
        .collect();
    let expected = [
        format!("{this} day 4"),
        "owner:ada day 7".to_owned(),
        "owner:ada hour 5".to_owned(),
        "owner:ada month 8".to_owned(),
        "owner:nobody month 0".to_owned(),
        "platform:slack day 5".to_owned(),
        "platform:slack month 6".to_owned(),
        "platform:youtube day 0".to_owned(),
    ];
    assert_eq!(used, expected);
}

async fn a_block_is_lifted_for_a_scope(world: World) {
    let mut raw = world.raw().await;
    let one = raw.account("ada", "slack").await;
    let two = raw.account("bob", "slack").await;
    let three = raw.account("bob", "facebook").await;
    raw.run("UPDATE accounts SET blocked_until = '2999-01-01T00:00:00.000Z', blocked_reason = 'too many'")
        .await;
    let mut store = world.store().await;
    let clear = async |store: &mut publisher::store::Store, scope: &str| {
        let mut ids = store.clear_blocks(scope).await.unwrap();
        ids.sort_unstable();
        ids
    };
    assert_eq!(clear(&mut store, &format!("account:{one}")).await, [one]);
    assert_eq!(clear(&mut store, "platform:slack").await, [two]);
    assert_eq!(clear(&mut store, "owner:bob").await, [three]);
    assert_eq!(clear(&mut store, "owner:bob").await, [0_i64; 0]);
    let rows = raw.table("accounts").await;
    assert!(rows.iter().all(|row| row["blocked_reason"].is_null()));
}

/// An owner's posts that stay anyway must not push its other posts behind everybody else's.
async fn what_a_limit_holds_back_takes_no_turn(world: World) {
    let mut raw = world.raw().await;
    let held = raw.account("ada", "facebook").await;
    let partly = raw.account("ada", "linkedin").await;
    let free = raw.account("ada", "slack").await;
    let other = raw.account("bob", "slack").await;
    raw.limit("platform:facebook", "day", 0).await;
    raw.limit(&format!("account:{partly}"), "day", 1).await;
    for account in [held, partly] {
        raw.posts(account, 50, 10).await;
    }
    raw.posts(other, 30, 10).await;
    let its = raw.post(free, 20).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    let of = |post: &publisher::post::ClaimedPost| post.account.id;
    let accounts: Vec<i64> = claim.posts.iter().map(of).collect();
    assert_eq!(accounts[..4], [partly, other, other, free]);
    assert_eq!(claim.posts[3].id, its);
}

/// Nor must those whose account is another run's: they use up nothing of the owner's limit or the platform's.
async fn what_another_run_holds_back_takes_no_turn_and_no_place(world: World) {
    let mut raw = world.raw().await;
    let busy = raw.account("ada", "slack").await;
    let free = raw.account("ada", "slack").await;
    let other = raw.account("bob", "slack").await;
    let columns = json!({"status": "publishing", "claim": Uuid::new_v4().to_string(), "lease_until": minutes_ago(-5)});
    raw.post_with(busy, 5, columns).await;
    // The account's run has one under way: of the owner's limit two are left, of the platform's four.
    raw.limit("owner:ada", "day", 3).await;
    raw.limit("platform:slack", "day", 5).await;
    raw.limit(&format!("account:{busy}"), "day", 0).await;
    raw.posts(busy, 50, 10).await;
    raw.posts(other, 30, 10).await;
    raw.posts(free, 20, 10).await;
    let preview = world.store().await.preview(&request()).await.unwrap();
    let held = preview
        .posts
        .iter()
        .filter(|(post, _)| post.account.id == busy);
    let why: Vec<Option<&str>> = held.map(|(_, why)| why.as_deref()).collect();
    assert_eq!(
        why,
        [Some("another run is publishing for this account"); 10]
    );
    let claim = world.store().await.claim(&request()).await.unwrap();
    let accounts: Vec<i64> = claim.posts.iter().map(|post| post.account.id).collect();
    assert_eq!(accounts, [other, free, other, free]);
    // An account's own state says more.
    raw.run("UPDATE accounts SET status = 'disabled'").await;
    let preview = world.store().await.preview(&request()).await.unwrap();
    let why = preview.posts.iter().filter_map(|(_, why)| why.as_deref());
    assert!(why.clone().count() > 20 && why.into_iter().all(|why| why.ends_with("is disabled")));
}

async fn the_order_within_a_limit_is_the_queues(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "day", 2).await;
    raw.post(account, 60).await;
    let older = raw.post(account, 4).await;
    raw.post(account, 3).await;
    let urgent = raw.post_with(account, 120, json!({"priority": 1})).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    let ids: Vec<PostId> = claim.posts.iter().map(|post| post.id).collect();
    assert_eq!(ids, [urgent, older]);
}

async fn a_scope_is_a_name_and_no_pattern(world: World) {
    let mut raw = world.raw().await;
    let owners = ["ada", "ad", "Ada", "%", "ada:1", "*"];
    let mut accounts = Vec::new();
    for owner in owners {
        let account = raw.account(owner, "slack").await;
        raw.posts(account, 5, 2).await;
        accounts.push(account);
    }
    for scope in [
        "owner:ada",
        "owner:%",
        "owner:*",
        "platform:sl",
        "account:99999",
    ] {
        raw.limit(scope, "day", 0).await;
    }
    assert_eq!(taken(&world, &mut raw, &accounts).await, [0, 2, 2, 0, 2, 0]);
}

async fn a_limit_and_a_claims_own_limit_work_together(world: World) {
    let mut raw = world.raw().await;
    let limited = raw.account("ada", "slack").await;
    let free = raw.account("bob", "slack").await;
    raw.limit("owner:ada", "day", 2).await;
    raw.posts(limited, 50, 20).await;
    raw.posts(free, 20, 20).await;
    let request = Request {
        limit: 10,
        ..request()
    };
    let claim = world.store().await.claim(&request).await.unwrap();
    let of = |account| {
        let its = claim.posts.iter().filter(|post| post.account.id == account);
        its.count()
    };
    assert_eq!((of(limited), of(free)), (2, 8), "the places are filled");
}

async fn a_limit_that_is_set_again_is_changed(world: World) {
    let mut store = world.store().await;
    for max in [5, 1] {
        let limit = json!({"scope": "owner:ada", "window": "day", "max": max});
        store.set_limit(&limit).await.unwrap();
    }
    let mut raw = world.raw().await;
    let rows = raw.table("limits").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["max"], 1);
    assert_eq!(rows[0]["action"], "publish");
    let nonsense = json!({"scope": "owner:ada", "window": "week", "max": 1});
    store.set_limit(&nonsense).await.unwrap_err();
}

async fn old_posts_are_dropped_over_every_limit(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.limit("owner:ada", "day", 1).await;
    raw.posts(account, 60 * 24 * 2, 3).await;
    raw.posts(account, 5, 3).await;
    // Dropping three uses up nothing of the one.
    assert_eq!(taken(&world, &mut raw, &[account]).await, [4]);
}
