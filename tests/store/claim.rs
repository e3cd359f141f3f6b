//! What a claim takes, how it marks it, and what it leaves alone.

use std::time::Duration;

use chrono::TimeDelta;
use publisher::post::{Action, PostId};
use publisher::store::{Claim, Request, instant};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database::{Backend, World, ago, minutes_ago, now, request, request_at};

on_both_databases!(
    a_due_post_is_marked_as_this_runs,
    a_post_comes_with_its_account,
    what_is_not_due_stays,
    due_is_due_to_the_millisecond,
    settled_posts_never_come_back,
    an_unconfirmed_post_comes_back_to_be_looked_up,
    posts_of_accounts_that_cannot_publish_stay,
    a_block_ends_at_its_instant,
    too_old_is_too_old_to_the_millisecond,
    the_posts_own_expiry_wins_over_the_default,
    nothing_lives_longer_than_seven_days,
    a_shorter_expiry_can_be_asked_for,
    old_posts_come_back_to_be_dropped_whatever_their_accounts_state,
    an_ended_lease_is_recovered_and_counts_as_no_attempt,
    a_live_lease_is_not_touched,
    a_recovered_post_is_held_by_the_new_run,
    only_the_named_platforms_are_claimed,
    only_the_named_owners_are_claimed,
    nothing_due_changes_nothing,
    the_databases_own_clock_is_the_default,
    one_unreadable_post_holds_nobody_up,
    a_row_out_of_bounds_is_refused,
    a_renewal_prolongs_what_is_still_its_claims,
    what_is_spared_is_left_to_others,
);

fn ids(claim: &Claim) -> Vec<PostId> {
    claim.posts.iter().map(|post| post.id).collect()
}

fn actions(claim: &Claim) -> Vec<(PostId, Action)> {
    claim
        .posts
        .iter()
        .map(|post| (post.id, post.action))
        .collect()
}

fn lease(minutes: i64) -> Value {
    json!({"status": "publishing", "claim": Uuid::new_v4().to_string(), "attempts": 1,
           "lease_until": minutes_ago(minutes)})
}

async fn a_due_post_is_marked_as_this_runs(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post_with(account, 10, json!({"attempts": 2})).await;
    let before = raw.post_row(id).await;

    let request = request();
    let claim = world.store().await.claim(&request).await.unwrap();
    assert_eq!(claim.now, Some(now()));
    assert_eq!(actions(&claim), [(id, Action::Publish)]);
    assert_eq!(claim.posts[0].attempts, 3, "this try included");

    let mut after = raw.post_row(id).await;
    assert!(after["updated_at"].as_str() >= before["updated_at"].as_str());
    after.insert("updated_at".to_owned(), before["updated_at"].clone());
    let mut expected = before;
    expected.extend([
        ("status".to_owned(), json!("publishing")),
        ("claim".to_owned(), json!(request.run.to_string())),
        ("lease_until".to_owned(), json!(minutes_ago(-15))),
        ("attempts".to_owned(), json!(3)),
    ]);
    assert_eq!(after, expected, "and nothing else");
}

async fn a_post_comes_with_its_account(world: World) {
    let mut raw = world.raw().await;
    let account = json!({
        "owner": "Ada & Söhne", "platform": "facebook", "external_id": "123", "display_name": "Ada's",
        "credentials": "v1.sealed", "token_expires_at": "2027-01-01T00:00:00.000Z", "settings": {"a": [1, "é"]},
    });
    let account_id = raw.insert("accounts", &account).await;
    let columns = json!({
        "kind": "reel", "body": "line\nline \u{1f98a} \"quoted\"", "link": "https://example.com/?a=b&c",
        "media": [{"url": "https://example.com/a.jpg", "alt": "é"}], "options": {"title": "t", "tags": ["x"]},
        "max_attempts": 7, "checkpoint": {"upload": 17},
    });
    let id = raw.post_with(account_id, 3, columns.clone()).await;

    let claim = world.store().await.claim(&request()).await.unwrap();
    let post = &claim.posts[0];
    assert_eq!((post.id, post.place, post.action), (id, 1, Action::Publish));
    assert_eq!(instant(post.scheduled_at), minutes_ago(3));
    assert_eq!(instant(post.expires_at), minutes_ago(3 - 24 * 60));
    assert_eq!((post.attempts, post.max_attempts), (1, 7));
    assert_eq!(post.checkpoint.as_ref(), Some(&columns["checkpoint"]));
    let content = serde_json::to_value(&post.content).unwrap();
    for name in ["kind", "body", "link", "media", "options"] {
        assert_eq!(content[name], columns[name]);
    }
    let its = &post.account;
    assert_eq!(its.id, account_id);
    assert_eq!(its.owner, "Ada & Söhne");
    assert_eq!(
        (&*its.platform, &*its.external_id, &*its.display_name),
        ("facebook", "123", "Ada's")
    );
    assert_eq!(its.credentials.as_deref(), Some("v1.sealed"));
    assert_eq!(
        its.token_expires_at,
        Some("2027-01-01T00:00:00Z".parse().unwrap())
    );
    assert_eq!(json!(its.settings), account["settings"]);
}

async fn what_is_not_due_stays(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let due = raw.post(account, 0).await;
    let later = raw.post(account, -1).await;
    // A retry that is not due yet, though it was scheduled long ago; and one that is.
    let retry = raw
        .post_with(account, 60, json!({"due_at": minutes_ago(-1)}))
        .await;
    let retried = raw
        .post_with(account, 60, json!({"due_at": minutes_ago(1)}))
        .await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(ids(&claim), [due, retried]);
    assert_eq!(raw.status(later).await, "pending");
    assert_eq!(raw.status(retry).await, "pending");
}

async fn due_is_due_to_the_millisecond(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post(account, 0).await;
    let mut store = world.store().await;
    let early = now() - TimeDelta::milliseconds(1);
    assert!(
        store
            .claim(&request_at(early))
            .await
            .unwrap()
            .posts
            .is_empty()
    );
    assert_eq!(ids(&store.claim(&request()).await.unwrap()), [id]);
}

async fn settled_posts_never_come_back(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    for minutes in [0, 10, 60 * 24 * 2, 60 * 24 * 30] {
        for status in ["canceled", "failed", "unconfirmed", "expired"] {
            // An unconfirmed post is due when it is to be looked up next: here never.
            let columns = json!({"status": status, "due_at": "9999-12-31T00:00:00.000Z"});
            raw.post_with(account, minutes, columns).await;
        }
        let columns = json!({"status": "published", "published_at": minutes_ago(0)});
        raw.post_with(account, minutes, columns).await;
    }
    let before = raw.dump().await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert!(claim.posts.is_empty(), "{:?}", actions(&claim));
    assert_eq!(raw.dump().await, before);
}

async fn an_unconfirmed_post_comes_back_to_be_looked_up(world: World) {
    let mut raw = world.raw().await;
    let active = raw.account("ada", "slack").await;
    let blocked = raw.account("ada", "slack").await;
    let closed = raw.account("ada", "slack").await;
    raw.run(&format!(
        "UPDATE accounts SET blocked_until = '{}' WHERE id = {blocked}",
        minutes_ago(-60)
    ))
    .await;
    raw.run(&format!(
        "UPDATE accounts SET status = 'needs_login' WHERE id = {closed}"
    ))
    .await;
    let columns =
        |due: i64| json!({"status": "unconfirmed", "attempts": 2, "due_at": minutes_ago(due)});
    let its = raw.post_with(active, 30, columns(1)).await;
    raw.post_with(active, 30, columns(-1)).await;
    for account in [blocked, closed] {
        raw.post_with(account, 30, columns(1)).await;
    }
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(actions(&claim), [(its, Action::Recover)]);
    assert_eq!(claim.posts[0].attempts, 2, "a look is no try");
}

async fn posts_of_accounts_that_cannot_publish_stay(world: World) {
    let mut raw = world.raw().await;
    let disabled = raw.account("ada", "slack").await;
    let needs_login = raw.account("ada", "slack").await;
    let blocked = raw.account("ada", "slack").await;
    let active = raw.account("ada", "slack").await;
    raw.run(&format!(
        "UPDATE accounts SET status = 'disabled' WHERE id = {disabled};
         UPDATE accounts SET status = 'needs_login' WHERE id = {needs_login};
         UPDATE accounts SET blocked_until = '{}' WHERE id = {blocked}",
        minutes_ago(-1)
    ))
    .await;
    for account in [disabled, needs_login, blocked] {
        raw.post(account, 5).await;
    }
    let due = raw.post(active, 1).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(ids(&claim), [due]);
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE status = 'pending' AND attempts = 0")
            .await,
        3
    );
}

async fn a_block_ends_at_its_instant(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.run(&format!(
        "UPDATE accounts SET blocked_until = '{}', blocked_reason = 'rate limit'",
        minutes_ago(0)
    ))
    .await;
    let id = raw.post(account, 5).await;
    let mut store = world.store().await;
    let early = request_at(now() - TimeDelta::milliseconds(1));
    assert!(store.claim(&early).await.unwrap().posts.is_empty());
    assert_eq!(ids(&store.claim(&request()).await.unwrap()), [id]);
}

async fn too_old_is_too_old_to_the_millisecond(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let day = TimeDelta::hours(24);
    let mut ids = Vec::new();
    for late in [
        day - TimeDelta::milliseconds(1),
        day,
        day + TimeDelta::milliseconds(1),
    ] {
        ids.push(
            raw.post_with(account, 0, json!({"scheduled_at": ago(late)}))
                .await,
        );
    }
    let claim = world.store().await.claim(&request()).await.unwrap();
    let mut found = actions(&claim);
    found.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(
        found,
        [
            (ids[0], Action::Publish),
            (ids[1], Action::Expire),
            (ids[2], Action::Expire)
        ]
    );
    for post in &claim.posts {
        let tried = u32::from(post.action == Action::Publish);
        assert_eq!(post.attempts, tried, "dropping is no attempt");
        assert_eq!(raw.post_row(post.id).await["attempts"], tried);
        assert_eq!(raw.status(post.id).await, "publishing");
    }
}

async fn the_posts_own_expiry_wins_over_the_default(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let exactly = raw
        .post_with(account, 10, json!({"expires_at": minutes_ago(0)}))
        .await;
    let not_yet = raw
        .post_with(
            account,
            11,
            json!({"expires_at": ago(TimeDelta::milliseconds(-1))}),
        )
        .await;
    let two_days_old = raw
        .post_with(
            account,
            60 * 48,
            json!({"expires_at": ago(TimeDelta::milliseconds(-1))}),
        )
        .await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    let mut found = actions(&claim);
    found.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(
        found,
        [
            (exactly, Action::Expire),
            (not_yet, Action::Publish),
            (two_days_old, Action::Publish)
        ]
    );
    let expires_at = claim.posts.iter().find(|post| post.id == not_yet).unwrap();
    assert_eq!(
        expires_at.expires_at,
        now() + TimeDelta::milliseconds(1),
        "as the post says"
    );
}

async fn nothing_lives_longer_than_seven_days(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let week = TimeDelta::days(7);
    let mut ids = Vec::new();
    for late in [week - TimeDelta::milliseconds(1), week] {
        for expires_at in [json!(minutes_ago(-10_000)), Value::Null] {
            let columns = json!({"scheduled_at": ago(late), "expires_at": expires_at});
            ids.push(raw.post_with(account, 0, columns).await);
        }
    }
    let request = Request {
        expiry: Duration::from_hours(24 * 30),
        ..request()
    };
    let claim = world.store().await.claim(&request).await.unwrap();
    let mut found = actions(&claim);
    found.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(
        found,
        [
            (ids[0], Action::Publish),
            (ids[1], Action::Publish),
            (ids[2], Action::Expire),
            (ids[3], Action::Expire)
        ]
    );
    for post in &claim.posts {
        assert_eq!(post.expires_at, post.scheduled_at + week);
    }
}

async fn a_shorter_expiry_can_be_asked_for(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let short = TimeDelta::milliseconds(1_500);
    let fresh = raw
        .post_with(
            account,
            0,
            json!({"scheduled_at": ago(short - TimeDelta::milliseconds(1))}),
        )
        .await;
    let old = raw
        .post_with(account, 0, json!({"scheduled_at": ago(short)}))
        .await;
    let request = Request {
        expiry: Duration::from_millis(1_500),
        ..request()
    };
    let claim = world.store().await.claim(&request).await.unwrap();
    assert_eq!(
        actions(&claim),
        [(old, Action::Expire), (fresh, Action::Publish)]
    );
}

async fn old_posts_come_back_to_be_dropped_whatever_their_accounts_state(world: World) {
    let mut raw = world.raw().await;
    let mut expected = Vec::new();
    for state in [
        "status = 'disabled'",
        "status = 'needs_login'",
        "blocked_until = '2027-01-01T00:00:00.000Z'",
        "status = 'active'",
    ] {
        let account = raw.account("ada", "slack").await;
        raw.run(&format!("UPDATE accounts SET {state} WHERE id = {account}"))
            .await;
        let id = raw
            .post_with(account, 60 * 24 * 3, json!({"attempts": 2}))
            .await;
        raw.limit(&format!("account:{account}"), "day", 0).await;
        expected.push((id, Action::Expire));
    }
    let claim = world.store().await.claim(&request()).await.unwrap();
    let mut found = actions(&claim);
    found.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(found, expected);
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE attempts = 2 AND status = 'publishing'")
            .await,
        4
    );
}

async fn an_ended_lease_is_recovered_and_counts_as_no_attempt(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.run("UPDATE accounts SET status = 'disabled'").await;
    raw.limit("owner:ada", "day", 0).await;
    let mut columns = lease(0);
    columns["checkpoint"] = json!({"container": "17"});
    let ended = raw.post_with(account, 3, columns).await;
    let long_dead = raw.post_with(account, 60 * 24 * 3, lease(60)).await;

    let mut store = world.store().await;
    // A lease holds to its last instant.
    let claim = store.claim(&request()).await.unwrap();
    assert_eq!(actions(&claim), [(long_dead, Action::Recover)]);
    let later = request_at(now() + TimeDelta::milliseconds(1));
    let claim = store.claim(&later).await.unwrap();
    assert_eq!(actions(&claim), [(ended, Action::Recover)]);
    let post = &claim.posts[0];
    assert_eq!(post.attempts, 1);
    assert_eq!(post.checkpoint, Some(json!({"container": "17"})));
    assert_eq!(raw.post_row(ended).await["attempts"], 1);
}

async fn a_live_lease_is_not_touched(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    // Also one whose post has expired meanwhile.
    raw.post_with(account, 3, lease(-1)).await;
    raw.post_with(account, 60 * 24 * 3, lease(-10)).await;
    let before = raw.dump().await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert!(claim.posts.is_empty());
    assert_eq!(raw.dump().await, before);
}

async fn a_recovered_post_is_held_by_the_new_run(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post_with(account, 3, lease(1)).await;
    let request = request();
    let mut store = world.store().await;
    store.claim(&request).await.unwrap();
    let row = raw.post_row(id).await;
    assert_eq!(row["claim"], request.run.to_string());
    assert_eq!(row["lease_until"], minutes_ago(-15));
    assert!(
        store
            .claim(&crate::support::database::request())
            .await
            .unwrap()
            .posts
            .is_empty(),
        "nobody else takes it"
    );
}

async fn only_the_named_platforms_are_claimed(world: World) {
    let mut raw = world.raw().await;
    let slack = raw.account("ada", "slack").await;
    let facebook = raw.account("ada", "facebook").await;
    let linkedin = raw.account("ada", "linkedin").await;
    let mut posts = Vec::new();
    for account in [slack, facebook, linkedin] {
        posts.push(raw.post(account, 3).await);
        // The filter holds for the dropped and the recovered, too.
        posts.push(raw.post_with(account, 60 * 48, json!({})).await);
        posts.push(raw.post_with(account, 3, lease(1)).await);
    }
    let request = Request {
        platforms: vec!["slack".to_owned(), "linkedin".to_owned()],
        ..request()
    };
    let claim = world.store().await.claim(&request).await.unwrap();
    let mut found = ids(&claim);
    found.sort_unstable();
    assert_eq!(found, [&posts[..3], &posts[6..]].concat());
}

async fn only_the_named_owners_are_claimed(world: World) {
    let mut raw = world.raw().await;
    let owners = ["ada", "it's \"bob\"", "cleo"];
    let mut posts = Vec::new();
    for owner in owners {
        let account = raw.account(owner, "slack").await;
        posts.push(raw.post(account, 3).await);
    }
    let mut store = world.store().await;
    let named = |names: &[&str]| Request {
        owners: names.iter().map(|name| (*name).to_owned()).collect(),
        ..request()
    };
    assert!(
        store
            .claim(&named(&["nobody"]))
            .await
            .unwrap()
            .posts
            .is_empty()
    );
    let both = Request {
        platforms: vec!["facebook".to_owned()],
        ..named(&["ada"])
    };
    assert!(store.claim(&both).await.unwrap().posts.is_empty());
    assert_eq!(
        ids(&store.claim(&named(&[owners[1], "cleo"])).await.unwrap()),
        posts[1..]
    );
}

async fn nothing_due_changes_nothing(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, -60).await;
    let before = raw.dump().await;
    let mut store = world.store().await;
    assert!(store.claim(&request()).await.unwrap().posts.is_empty());
    assert_eq!(store.statements(), 1);
    assert_eq!(raw.dump().await, before);
}

async fn the_databases_own_clock_is_the_default(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    // Long past by any clock, and far ahead of any.
    let past = raw
        .post_with(account, 0, json!({"scheduled_at": "2020-01-01T00:00:00Z"}))
        .await;
    raw.post_with(account, 0, json!({"scheduled_at": "2100-01-01T00:00:00Z"}))
        .await;
    let request = Request {
        now: None,
        ..request()
    };
    let claim = world.store().await.claim(&request).await.unwrap();
    assert_eq!(actions(&claim), [(past, Action::Expire)]);
    let host = publisher::schedule::Clock::host().now();
    let lag = (host - claim.now.unwrap()).abs();
    assert!(lag < TimeDelta::minutes(1), "{lag}");
}

/// JSON that a database takes and a program may choke on: one application's mistake is one post's failure.
async fn one_unreadable_post_holds_nobody_up(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let huge = r#"{"number": 1e400}"#;
    let odd = raw.post_with(account, 4, json!({"media": deep})).await;
    let big = raw.post_with(account, 3, json!({"options": huge})).await;
    let sound = raw.post(account, 2).await;
    let mut store = world.store().await;
    let claim = store.claim(&request()).await.unwrap();
    assert_eq!(ids(&claim), [odd, big, sound]);
    // They are claimed to fail alone: nothing is known of what they say.
    for post in &claim.posts[..2] {
        let why = post.unreadable.as_ref().unwrap();
        assert!(
            why.contains("correct its media, options or checkpoint"),
            "{why}"
        );
        assert_eq!((post.content.body.as_str(), post.attempts), ("", 1));
        assert_eq!(post.account.label(), claim.posts[2].account.label());
    }
    assert_eq!(claim.posts[2].unreadable, None);
}

/// What is beyond a row's bounds is refused when it is written, whoever writes it.
async fn a_row_out_of_bounds_is_refused(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let post = raw.post(account, 1).await;
    let far = match world.backend {
        Backend::Postgres => "infinity",
        Backend::Sqlite => "infinitely late",
    };
    for (column, value) in [
        ("body", json!("x".repeat(262_145))),
        ("link", json!("x".repeat(8193))),
        ("media", json!(["x".repeat(262_145)])),
        ("options", json!({"x": "y".repeat(262_145)})),
        ("history", json!(["x".repeat(8_388_609)])),
        (
            "checkpoint",
            json!("\"".to_owned() + &"x".repeat(8_388_609) + "\""),
        ),
        ("group_id", json!("x".repeat(1025))),
        ("attempts", json!(1_000_001)),
        ("max_attempts", json!(i32::MAX)),
        ("published_at", json!(far)),
    ] {
        let mut row =
            json!({"account_id": account, "body": "a", "scheduled_at": "2026-03-01T09:00:00Z"});
        row[column] = value.clone();
        let error = raw
            .try_insert("posts", &row)
            .await
            .expect_err(column)
            .to_string();
        assert!(
            error.contains("bounds") || error.contains("posts_"),
            "{column}: {error}"
        );
        let text = value.as_str().map_or(value.to_string(), ToOwned::to_owned);
        let update = format!("UPDATE posts SET {column} = '{text}' WHERE id = {post}");
        assert!(raw.try_run(&update).await.is_err(), "{column}");
    }
    let fits = json!({
        "account_id": account, "body": "x".repeat(262_144), "scheduled_at": "2026-03-01T09:00:00Z",
        "attempts": 1_000_000, "max_attempts": 1_000_000,
    });
    raw.insert("posts", &fits).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(claim.posts.len(), 2);
}

/// Text that SQLite keeps and PostgreSQL refuses: half an emoji as an escape, and bytes that are no UTF-8.
#[tokio::test]
async fn sqlite_hands_out_the_rest_beside_broken_text() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let half = raw
        .post_with(account, 4, json!({"media": r#"[{"alt": "\ud83e"}]"#}))
        .await;
    let broken = raw.post(account, 3).await;
    raw.run(&format!(
        "UPDATE posts SET body = CAST(x'61ff62' AS TEXT) WHERE id = {broken}"
    ))
    .await;
    let sound = raw.post(account, 2).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(ids(&claim), [half, broken, sound]);
    assert!(claim.posts[0].unreadable.is_some());
    assert_eq!(claim.posts[1].content.body, "a\u{fffd}b");
}

async fn a_renewal_prolongs_what_is_still_its_claims(world: World) {
    let mut raw = world.raw().await;
    let mut store = world.store().await;
    let (mine, others) = (
        raw.account("ada", "slack").await,
        raw.account("bob", "slack").await,
    );
    raw.posts(mine, 30, 3).await;
    let first = request();
    let held = ids(&store.claim(&first).await.unwrap());
    raw.posts(others, 30, 1).await;
    let other = store.claim(&request()).await.unwrap();
    // One was taken over meanwhile, one a person took back.
    raw.run(&format!(
        "UPDATE posts SET claim = '{}' WHERE id = {}; \
         UPDATE posts SET status = 'canceled', lease_until = NULL WHERE id = {}",
        Uuid::new_v4(),
        held[1],
        held[2]
    ))
    .await;
    let before = raw.post_row(ids(&other)[0]).await;

    let (lease, at) = (Duration::from_mins(3), now() + TimeDelta::minutes(14));
    let claims = [Uuid::new_v4(), first.run];
    let renewed = store.renew(&claims, lease, Some(at)).await.unwrap();
    assert_eq!(renewed, [held[0]].into());
    let until = instant(at + lease);
    assert_eq!(raw.post_row(held[0]).await["lease_until"], until);
    assert_eq!(raw.post_row(ids(&other)[0]).await, before);
    // It is the first's for so long.
    let late = |at| Request {
        now: Some(at),
        ..request()
    };
    let claim = store.claim(&late(at + lease)).await.unwrap();
    assert!(!ids(&claim).contains(&held[0]));
    let claim = store
        .claim(&late(at + lease + TimeDelta::milliseconds(1)))
        .await
        .unwrap();
    assert_eq!(ids(&claim), [held[0]]);
    // By then nothing is its own any more.
    let renewed = store.renew(&[first.run], lease, Some(at)).await.unwrap();
    assert_eq!(renewed, [].into());
}

async fn what_is_spared_is_left_to_others(world: World) {
    let mut raw = world.raw().await;
    let mut store = world.store().await;
    let mut accounts = Vec::new();
    for (owner, platform) in [("ada", "slack"), ("bob", "slack"), ("ada", "linkedin")] {
        let account = raw.account(owner, platform).await;
        raw.posts(account, 30, 10).await;
        accounts.push(account);
    }
    // Where a claim takes all, and where it takes accounts in turn.
    for limit in [100, 8] {
        let request = Request {
            limit,
            spared: vec![
                format!("account:{}", accounts[0]),
                "platform:linkedin".to_owned(),
            ],
            ..request()
        };
        let claim = store.claim(&request).await.unwrap();
        assert_eq!(claim.posts.len(), usize::try_from(limit).unwrap().min(10));
        assert!(
            claim
                .posts
                .iter()
                .all(|post| post.account.id == accounts[1])
        );
        raw.run(
            "UPDATE posts SET status = 'pending', claim = NULL, lease_until = NULL, attempts = 0",
        )
        .await;
    }
    let claim = store.claim(&request()).await.unwrap();
    assert_eq!(claim.posts.len(), 30);
}
