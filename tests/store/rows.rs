//! Rows that an application writes with plain SQL: what is filled in, what is put right, what is refused.

use publisher::store::{Outcomes, SettledRow};
use serde_json::{Value, json};

use crate::support::database::{Backend, Raw, World, minutes_ago, request};

on_both_databases!(
    three_columns_are_enough,
    a_rescheduled_post_is_due_at_its_new_time,
    a_retried_post_that_is_rescheduled_is_due_at_its_new_time,
    a_post_rescheduled_while_a_run_holds_it_is_not_due_before_its_new_time,
    a_settled_post_keeps_its_due_at,
    an_update_of_a_post_is_dated,
    an_update_of_an_account_is_dated,
    an_external_ref_is_unique,
    nonsense_in_a_post_is_refused,
    nonsense_in_an_account_is_refused,
    nonsense_in_a_limit_is_refused,
    every_status_platform_and_kind_is_accepted,
    an_account_added_again_without_a_token_keeps_its_token,
);

async fn three_columns_are_enough(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let row =
        json!({"account_id": account, "body": "it's me", "scheduled_at": "2026-03-01T09:00:00Z"});
    let id = raw.insert("posts", &row).await;

    let mut post = raw.post_row(id).await;
    let created = post.remove("created_at").unwrap();
    let updated = post.remove("updated_at").unwrap();
    assert!(
        updated.as_str() >= created.as_str() && updated.as_str() > Some("2026-01-01"),
        "{created} {updated}"
    );
    let expected = json!({
        "id": id, "account_id": account, "group_id": null, "kind": "post", "body": "it's me", "link": null,
        "media": [], "options": {}, "scheduled_at": "2026-03-01T09:00:00.000Z", "local_time": null,
        "timezone": null, "due_at": "2026-03-01T09:00:00.000Z", "expires_at": null, "priority": 0,
        "status": "pending", "attempts": 0, "max_attempts": 5, "claim": null, "lease_until": null,
        "checkpoint": null, "platform_post_id": null, "permalink": null, "published_at": null,
        "error_class": null, "error_code": null, "error": null, "history": [], "external_ref": null,
    });
    assert_eq!(Value::Object(post), expected);
}

async fn a_rescheduled_post_is_due_at_its_new_time(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw.post(account, 10).await;
    raw.run(&format!(
        "UPDATE posts SET scheduled_at = '2026-12-24T18:00:00Z' WHERE id = {id}"
    ))
    .await;
    let post = raw.post_row(id).await;
    assert_eq!(post["scheduled_at"], "2026-12-24T18:00:00.000Z");
    assert_eq!(post["due_at"], "2026-12-24T18:00:00.000Z");
}

async fn a_retried_post_that_is_rescheduled_is_due_at_its_new_time(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let columns = json!({"due_at": "2026-11-22T09:00:00Z", "attempts": 1});
    let id = raw.post_with(account, 10, columns).await;
    assert_eq!(
        raw.post_row(id).await["due_at"],
        "2026-11-22T09:00:00.000Z",
        "a retry is due when it says"
    );

    raw.run(&format!("UPDATE posts SET body = 'x' WHERE id = {id}"))
        .await;
    assert_eq!(
        raw.post_row(id).await["due_at"],
        "2026-11-22T09:00:00.000Z",
        "another update leaves it"
    );
    raw.run(&format!(
        "UPDATE posts SET scheduled_at = '2026-11-22T08:30:00Z' WHERE id = {id}"
    ))
    .await;
    assert_eq!(raw.post_row(id).await["due_at"], "2026-11-22T08:30:00.000Z");
}

async fn a_post_rescheduled_while_a_run_holds_it_is_not_due_before_its_new_time(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(raw.post(account, 10).await);
    }
    let request = request();
    let mut store = world.store().await;
    assert_eq!(store.claim(&request).await.unwrap().posts.len(), 2);
    raw.run("UPDATE posts SET scheduled_at = '2026-12-24T18:00:00Z'")
        .await;

    // One is given back as it was, the other is to be tried again in a minute.
    let rows = [
        json!({"id": ids[0], "status": "pending", "due_at": null, "attempts": 0, "checkpoint": null, "entry": null}),
        json!({"id": ids[1], "status": "pending", "due_at": minutes_ago(-1), "attempts": 1, "checkpoint": null,
               "entry": null}),
    ];
    let outcomes = Outcomes {
        run: None,
        published: Vec::new(),
        settled: rows.map(SettledRow::from).into(),
        accounts: Vec::new(),
    };
    store.commit(request.run, &outcomes).await.unwrap();
    for id in ids {
        let post = raw.post_row(id).await;
        assert_eq!(post["status"], "pending");
        assert_eq!(post["due_at"], "2026-12-24T18:00:00.000Z");
    }
}

async fn a_settled_post_keeps_its_due_at(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw
        .post_with(account, 10, json!({"status": "failed"}))
        .await;
    raw.run(&format!(
        "UPDATE posts SET scheduled_at = '2026-12-24T18:00:00Z' WHERE id = {id}"
    ))
    .await;
    assert_eq!(raw.post_row(id).await["due_at"], minutes_ago(10));
}

async fn an_update_of_a_post_is_dated(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let id = raw
        .post_with(
            account,
            10,
            json!({"updated_at": "2020-01-01T00:00:00.000Z"}),
        )
        .await;
    let before = raw.post_row(id).await["updated_at"].clone();
    raw.run(&format!("UPDATE posts SET body = 'new' WHERE id = {id}"))
        .await;
    let after = raw.post_row(id).await["updated_at"].clone();
    assert!(
        after.as_str() > before.as_str() && after.as_str() > Some("2026-"),
        "{before} {after}"
    );
}

async fn an_update_of_an_account_is_dated(world: World) {
    let mut raw = world.raw().await;
    let row = json!({"owner": "ada", "platform": "slack", "external_id": "C1",
                     "updated_at": "2020-01-01T00:00:00.000Z"});
    let account = raw.insert("accounts", &row).await;
    raw.run("UPDATE accounts SET display_name = 'new'").await;
    let after = raw.account_row(account).await["updated_at"].clone();
    assert!(after.as_str() > Some("2026-"), "{after}");
}

async fn an_external_ref_is_unique(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let row = json!({"account_id": account, "body": "a", "scheduled_at": minutes_ago(1), "external_ref": "r1"});
    raw.insert("posts", &row).await;
    raw.try_insert("posts", &row).await.unwrap_err();
    // Through the store the second is skipped, the rest is added.
    let mut other = row.clone();
    other["external_ref"] = json!("r2");
    let added = world.store().await.add_posts(&[row, other]).await.unwrap();
    assert_eq!(added.len(), 1);
    assert_eq!(
        raw.number("SELECT count(*) FROM posts WHERE due_at = scheduled_at")
            .await,
        2
    );
}

async fn nonsense_in_a_post_is_refused(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let cases = [
        json!({"account_id": account + 1}),
        json!({"account_id": null}),
        json!({"status": "draft"}),
        json!({"status": "Pending"}),
        json!({"status": null}),
        json!({"status": "publishing"}),
        json!({"status": "publishing", "lease_until": minutes_ago(0)}),
        json!({"lease_until": minutes_ago(0)}),
        json!({"status": "published"}),
        json!({"kind": "tweet"}),
        json!({"body": null}),
        json!({"media": {}}),
        json!({"media": "[", }),
        json!({"options": []}),
        json!({"options": "nonsense"}),
        json!({"history": {}}),
        json!({"checkpoint": "nonsense"}),
        json!({"scheduled_at": null}),
        json!({"scheduled_at": "soon"}),
        json!({"scheduled_at": "1999-12-31T00:00:00Z"}),
        json!({"scheduled_at": "2026-02-30T09:00:00Z"}),
        json!({"scheduled_at": "2026-02-30T09:00:00.000Z"}),
        json!({"scheduled_at": "2026-13-01T09:00:00.000Z"}),
        json!({"scheduled_at": "2026-03-01T25:00:00.000Z"}),
        json!({"due_at": "later"}),
        json!({"due_at": "2026-02-30T09:00:00.000Z"}),
        json!({"expires_at": "never"}),
        json!({"expires_at": "2026-02-30T09:00:00.000Z"}),
        json!({"expires_at": "2027-13-45T00:00:00.000Z"}),
        json!({"expires_at": "2027-13-45"}),
        json!({"expires_at": minutes_ago(10)}),
        json!({"expires_at": minutes_ago(11)}),
        json!({"attempts": -1}),
        json!({"attempts": "some"}),
        json!({"max_attempts": 0}),
        json!({"max_attempts": "many"}),
        json!({"max_attempts": 5_000_000_000_i64}),
        json!({"priority": "high"}),
        json!({"priority": 1.5, "status": "nonsense"}),
    ];
    let mut accepted = Vec::new();
    for case in cases {
        let mut row =
            json!({"account_id": account, "body": "hello", "scheduled_at": minutes_ago(10)});
        row.as_object_mut()
            .unwrap()
            .extend(case.as_object().unwrap().clone());
        if raw.try_insert("posts", &row).await.is_ok() {
            accepted.push(case);
        }
    }
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
    assert_eq!(raw.number("SELECT count(*) FROM posts").await, 0);
}

async fn nonsense_in_an_account_is_refused(world: World) {
    let mut raw = world.raw().await;
    let cases = [
        json!({"owner": ""}),
        json!({"owner": null}),
        json!({"platform": "Slack"}),
        json!({"platform": "sl ack"}),
        json!({"platform": ""}),
        json!({"platform": "slack;"}),
        json!({"platform": "9gag"}),
        json!({"external_id": ""}),
        json!({"status": "asleep"}),
        json!({"settings": []}),
        json!({"settings": "nonsense"}),
        json!({"blocked_until": "some day"}),
        json!({"blocked_until": "2026-13-01T00:00:00.000Z"}),
        json!({"token_expires_at": "2026-02-30T00:00:00.000Z"}),
        json!({"token_expires_at": "abcd-ef-ghTij:kl:mn.opqZ"}),
        json!({"token_expires_at": "20000-01-01 00:00:00Z"}),
        json!({"token_expires_at": "0044-03-15 00:00:00Z BC"}),
        json!({"token_expires_at": "infinity"}),
    ];
    let mut accepted = Vec::new();
    for case in cases {
        let mut row = json!({"owner": "ada", "platform": "slack", "external_id": "C1"});
        row.as_object_mut()
            .unwrap()
            .extend(case.as_object().unwrap().clone());
        if raw.try_insert("accounts", &row).await.is_ok() {
            accepted.push(case);
        }
    }
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
}

async fn nonsense_in_a_limit_is_refused(world: World) {
    let mut raw = world.raw().await;
    let cases = [
        json!({"scope": "everything"}),
        json!({"scope": "owner:"}),
        json!({"scope": "planet:earth"}),
        json!({"window": "week"}),
        json!({"max": -1}),
        json!({"max": null}),
        json!({"action": "like"}),
    ];
    let mut accepted = Vec::new();
    for case in cases {
        let mut row = json!({"scope": "owner:ada", "window": "day", "max": 1});
        row.as_object_mut()
            .unwrap()
            .extend(case.as_object().unwrap().clone());
        if raw.try_insert("limits", &row).await.is_ok() {
            accepted.push(case);
        }
    }
    assert!(accepted.is_empty(), "accepted: {accepted:#?}");
}

async fn every_status_platform_and_kind_is_accepted(world: World) {
    let mut raw = world.raw().await;
    for platform in publisher::platform::names() {
        let account = raw.account("ada", platform).await;
        for kind in ["post", "story", "reel", "reply"] {
            raw.post_with(account, 1, json!({"kind": kind})).await;
        }
    }
    let account = raw.account("ada", "slack").await;
    for status in ["pending", "failed", "unconfirmed", "expired", "canceled"] {
        raw.post_with(account, 1, json!({"status": status})).await;
    }
    let columns = json!({"status": "published", "published_at": minutes_ago(0)});
    raw.post_with(account, 1, columns).await;
    let claim = "00000000-0000-4000-8000-000000000000";
    let columns = json!({"status": "publishing", "claim": claim, "lease_until": minutes_ago(-5)});
    raw.post_with(account, 1, columns).await;
}

/// A change of name must not make the token's end unknown.
async fn an_account_added_again_without_a_token_keeps_its_token(world: World) {
    let mut store = world.store().await;
    let mut account = publisher::account::NewAccount {
        owner: "ada".to_owned(),
        platform: "slack".to_owned(),
        external_id: "C1".to_owned(),
        display_name: "old".to_owned(),
        timezone: "UTC".to_owned(),
        credentials: Some("sealed".to_owned()),
        token_expires_at: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        settings: serde_json::Map::new(),
    };
    let first = store.add_account(&account).await.unwrap();
    let mut raw = world.raw().await;
    raw.run("UPDATE accounts SET status = 'needs_login'").await;

    account.credentials = None;
    account.token_expires_at = None;
    "new".clone_into(&mut account.display_name);
    let second = store.add_account(&account).await.unwrap();
    assert_eq!(first["id"], second["id"]);
    let row = raw.account_row(first["id"].as_i64().unwrap()).await;
    assert_eq!(row["display_name"], "new");
    assert_eq!(row["credentials"], "sealed");
    assert_eq!(row["token_expires_at"], "2027-01-01T00:00:00.000Z");
    assert_eq!(row["status"], "needs_login", "no login, no login");

    account.credentials = Some("sealed again".to_owned());
    let third = store.add_account(&account).await.unwrap();
    assert_eq!(third["status"], "active");
    let row = raw.account_row(first["id"].as_i64().unwrap()).await;
    assert_eq!(row["credentials"], "sealed again");
    assert_eq!(
        row["token_expires_at"],
        Value::Null,
        "a new token has its own end"
    );
}

#[tokio::test]
async fn sqlite_brings_other_spellings_into_one_form() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let spellings = [
        ("2026-03-01T09:00:00.000Z", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T09:00:00Z", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T09:00:00.5Z", "2026-03-01T09:00:00.500Z"),
        ("2026-03-01T09:00Z", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01 09:00", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01 09:00:00", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01T10:00:00+01:00", "2026-03-01T09:00:00.000Z"),
        ("2026-02-28T23:30:00-09:30", "2026-03-01T09:00:00.000Z"),
        ("2026-03-01", "2026-03-01T00:00:00.000Z"),
        ("2028-02-29T09:00:00.000Z", "2028-02-29T09:00:00.000Z"),
        ("9999-12-30T09:00:00Z", "9999-12-30T09:00:00.000Z"),
    ];
    for (spelling, form) in spellings {
        let columns = json!({"scheduled_at": spelling});
        let id = raw.post_with(account, 0, columns).await;
        let texts = raw
            .texts(&format!(
                "SELECT scheduled_at || ' ' || due_at FROM posts WHERE id = {id}"
            ))
            .await;
        assert_eq!(texts, [format!("{form} {form}")], "{spelling}");

        let id = raw.post(account, 0).await;
        raw.run(&format!(
            "UPDATE posts SET scheduled_at = '{spelling}', updated_at = 'x' WHERE id = {id}"
        ))
        .await;
        let texts = raw
            .texts(&format!(
                "SELECT scheduled_at || ' ' || due_at FROM posts WHERE id = {id}"
            ))
            .await;
        assert_eq!(texts, [format!("{form} {form}")], "updated to {spelling}");

        // An instant that is not set is put into form, too, when it is first set.
        let columns = json!({"scheduled_at": "2000-01-01T00:00:00.000Z"});
        let id = raw.post_with(account, 0, columns).await;
        raw.run(&format!(
            "UPDATE posts SET expires_at = '{spelling}', due_at = '{spelling}', updated_at = 'x' WHERE id = {id}"
        ))
        .await;
        let texts = raw
            .texts(&format!(
                "SELECT expires_at || ' ' || due_at FROM posts WHERE id = {id}"
            ))
            .await;
        assert_eq!(
            texts,
            [format!("{form} {form}")],
            "expiry and due_at updated to {spelling}"
        );
    }
}

/// Where PostgreSQL takes the next day's midnight.
#[tokio::test]
async fn sqlite_refuses_the_hour_24() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    for spelling in ["2027-02-28T24:00:00.000Z", "2027-02-28 24:00"] {
        for column in ["scheduled_at", "due_at", "expires_at"] {
            let mut row =
                json!({"account_id": account, "body": "b", "scheduled_at": minutes_ago(1)});
            row[column] = json!(spelling);
            let inserted = raw.try_insert("posts", &row).await;
            assert!(inserted.is_err(), "{column} {spelling}");
        }
        for column in ["token_expires_at", "blocked_until"] {
            let mut row = json!({"owner": "ada", "platform": "slack", "external_id": "C1"});
            row[column] = json!(spelling);
            let inserted = raw.try_insert("accounts", &row).await;
            assert!(inserted.is_err(), "{column} {spelling}");
        }
    }
}

/// JSON holds no blob: one would fail the claim of everything.
#[tokio::test]
async fn sqlite_refuses_what_is_not_text() {
    let world = World::migrated(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    for column in ["body", "link", "media", "options"] {
        let sql = format!(
            "INSERT INTO posts (account_id, scheduled_at, {column}) VALUES ({account}, '2026-03-01', x'ff00')"
        );
        assert!(raw.try_run(&sql).await.is_err(), "{column} accepted a blob");
    }
}

#[tokio::test]
async fn postgres_keeps_all_digits_of_an_instant() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let columns = json!({"scheduled_at": "2026-03-01 10:00:00.000001+01"});
    let id = raw.post_with(account, 0, columns).await;
    assert_eq!(
        raw.post_row(id).await["due_at"],
        "2026-03-01T09:00:00.000001Z"
    );
}

#[tokio::test]
async fn postgres_takes_a_local_time_and_its_zone_instead_of_scheduled_at() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let insert = async |raw: &mut Raw, local: &str, zone: &str| {
        let row =
            json!({"account_id": account, "body": "b", "local_time": local, "timezone": zone});
        let id = raw.insert("posts", &row).await;
        let post = raw.post_row(id).await;
        assert_eq!(post["scheduled_at"], post["due_at"]);
        (id, post["scheduled_at"].clone())
    };
    let cases = [
        (
            "2026-07-01 09:00",
            "Europe/Berlin",
            "2026-07-01T07:00:00.000Z",
        ),
        (
            "2026-12-01 09:00",
            "Europe/Berlin",
            "2026-12-01T08:00:00.000Z",
        ),
        // 02:00 to 03:00 does not exist: forward by the gap.
        (
            "2026-03-29 02:30",
            "Europe/Berlin",
            "2026-03-29T01:30:00.000Z",
        ),
        // 02:00 to 03:00 exists twice: the first.
        (
            "2026-10-25 02:30",
            "Europe/Berlin",
            "2026-10-25T00:30:00.000Z",
        ),
        // Half an hour.
        (
            "2026-10-04 02:15",
            "Australia/Lord_Howe",
            "2026-10-03T15:45:00.000Z",
        ),
        (
            "2026-04-05 01:45",
            "Australia/Lord_Howe",
            "2026-04-04T14:45:00.000Z",
        ),
        // Dublin's summer time is its standard time.
        (
            "2026-10-25 01:30",
            "Europe/Dublin",
            "2026-10-25T00:30:00.000Z",
        ),
    ];
    for (local, zone, instant) in cases {
        assert_eq!(
            insert(&mut raw, local, zone).await.1,
            instant,
            "{local} {zone}"
        );
    }

    // Either of the two moves a pending post; scheduled_at given beside them wins.
    let (id, _) = insert(&mut raw, "2026-07-01 09:00", "Europe/Berlin").await;
    raw.run(&format!(
        "UPDATE posts SET timezone = 'America/New_York' WHERE id = {id}"
    ))
    .await;
    let post = raw.post_row(id).await;
    assert_eq!(post["scheduled_at"], "2026-07-01T13:00:00.000Z");
    assert_eq!(post["due_at"], "2026-07-01T13:00:00.000Z");
    raw.run(&format!(
        "UPDATE posts SET local_time = '2026-07-02 09:00', scheduled_at = '2026-07-02 00:00Z' WHERE id = {id}"
    ))
    .await;
    let post = raw.post_row(id).await;
    assert_eq!(post["scheduled_at"], "2026-07-02T00:00:00.000Z");
    assert_eq!(post["due_at"], "2026-07-02T00:00:00.000Z");

    for row in [
        json!({"local_time": "2026-07-01 09:00"}),
        json!({"timezone": "Europe/Berlin"}),
        json!({"local_time": "2026-07-01 09:00", "timezone": "Europe/Nowhere"}),
    ] {
        let mut row = row;
        row["account_id"] = json!(account);
        row["body"] = json!("b");
        raw.try_insert("posts", &row).await.unwrap_err();
    }
}

/// What a run writes is dated and no more; whatever else is written is filled in, too.
#[tokio::test]
async fn postgres_dates_and_fills_in_what_takes_a_post_from_its_run() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    let seen = "DROP TABLE IF EXISTS pg_temp.seen; CREATE TEMP TABLE seen AS SELECT id, updated_at FROM posts";
    let later = "SELECT count(*) FROM posts p JOIN pg_temp.seen s USING (id) WHERE p.updated_at > s.updated_at";
    for change in [
        "status = 'canceled', lease_until = NULL",
        "status = 'canceled', lease_until = NULL, updated_at = '2020-01-01'",
        "status = 'pending', lease_until = NULL, scheduled_at = '2026-12-24T18:00:00Z', updated_at = '2020-01-01'",
    ] {
        let id = raw.post(account, 1).await;
        raw.run(seen).await;
        let claim = world.store().await.claim(&request()).await.unwrap();
        assert_eq!(claim.posts.len(), 1);
        assert_eq!(raw.number(later).await, 1, "a claim dates its posts");
        raw.run(seen).await;
        raw.run(&format!("UPDATE posts SET {change} WHERE id = {id}"))
            .await;
        assert_eq!(raw.number(later).await, 1, "{change}");
    }
    let due = raw.texts("SELECT due_at::text FROM posts WHERE status = 'pending'");
    assert_eq!(due.await, ["2026-12-24 18:00:00+00"]);
    let undated = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'posts'::regclass AND attnum > 0 AND NOT attisdropped
                   AND attnum NOT IN (SELECT unnest(tgattr) FROM pg_trigger WHERE tgrelid = 'posts'::regclass)";
    assert_eq!(
        raw.texts(undated).await,
        [""; 0],
        "a trigger for each column"
    );
}
