//! What is listed, and in which order: the same as a plain query over the whole table gives.

use serde_json::{Value, json};

use crate::support::database::{Backend, World};
use crate::support::dice::Dice;

on_both_databases!(
    the_newest_come_first_whatever_is_asked_for,
    accounts_count_what_waits_as_far_as_they_are_asked,
    what_is_not_settled_is_found_by_account_and_time,
);

const STATUSES: [&str; 7] = [
    "pending",
    "publishing",
    "published",
    "failed",
    "unconfirmed",
    "expired",
    "canceled",
];

/// Posts of six accounts in every state, many of them at the same time, in three priorities.
async fn a_mixed_table(world: &World) {
    let mut raw = world.raw().await;
    let mut accounts = Vec::new();
    for (owner, platform) in [
        ("ada", "slack"),
        ("ada", "facebook"),
        ("bob", "slack"),
        ("bob", "slack"),
        ("cem", "youtube"),
        ("eve", "linkedin"),
    ] {
        accounts.push(raw.account(owner, platform).await);
    }
    let mut dice = Dice::of(7);
    // The last account has nothing.
    for _ in 0..250 {
        let account = accounts[dice.index(5)];
        let status = STATUSES[dice.index(7)];
        let mut columns = json!({"status": status, "priority": dice.below(3)});
        if status == "publishing" {
            columns["claim"] = json!(uuid::Uuid::new_v4());
            columns["lease_until"] = json!("2100-01-01T00:00:00.000Z");
        }
        if status == "published" {
            // Whenever it was published: that is not its place.
            columns["published_at"] = json!("2026-01-01T00:00:00.000Z");
        }
        let minutes = i64::try_from(dice.below(40)).unwrap();
        raw.post_with(account, minutes, columns).await;
    }
}

async fn the_newest_come_first_whatever_is_asked_for(world: World) {
    a_mixed_table(&world).await;
    let mut raw = world.raw().await;
    let mut store = world.store().await;
    let quoted = |value: &Value| match value {
        Value::String(text) => format!("'{text}'"),
        value => value.to_string(),
    };
    let mut statuses = vec![Value::Null];
    statuses.extend(STATUSES.map(Value::from));
    let whose = [
        json!({}),
        json!({"account_id": 1}),
        json!({"account_id": 6}),
        json!({"account_id": 99}),
        json!({"owner": "ada"}),
        json!({"owner": "bob", "platform": "slack"}),
        json!({"platform": "slack"}),
        json!({"platform": "slack", "owner": "cem"}),
        json!({"ids": [3, 5, 8, 13, 21, 1000]}),
        json!({"ids": []}),
        json!({"id": 7}),
        json!({"id": 7, "ids": [7, 8]}),
        json!({"id": 7, "ids": [8]}),
        json!({"ids": [3, 5, 8, 13, 21], "owner": "ada"}),
    ];
    for filter in &whose {
        for status in &statuses {
            for limit in [0, 1, 7, 60, 1_000] {
                let mut filter = filter.clone();
                filter["status"] = status.clone();
                filter["limit"] = json!(limit);
                let mut conditions = vec!["1 = 1".to_owned()];
                for (name, column) in [
                    ("id", "p.id"),
                    ("status", "p.status"),
                    ("account_id", "a.id"),
                    ("owner", "a.owner"),
                    ("platform", "a.platform"),
                ] {
                    if !filter[name].is_null() {
                        conditions.push(format!("{column} = {}", quoted(&filter[name])));
                    }
                }
                if let Some(ids) = filter["ids"].as_array() {
                    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                    let ids = [&["-1".to_owned()], &ids[..]].concat().join(", ");
                    conditions.push(format!("p.id IN ({ids})"));
                }
                let query = format!(
                    "SELECT CAST(p.id AS TEXT) FROM posts p JOIN accounts a ON a.id = p.account_id
                     WHERE {} ORDER BY p.scheduled_at DESC, p.id DESC LIMIT {limit}",
                    conditions.join(" AND ")
                );
                let expected = raw.texts(&query).await;
                let posts = store.posts(&filter).await.unwrap();
                let ids: Vec<String> = posts.iter().map(|post| post["id"].to_string()).collect();
                assert_eq!(ids, expected, "{filter}");
            }
        }
    }
}

async fn accounts_count_what_waits_as_far_as_they_are_asked(world: World) {
    a_mixed_table(&world).await;
    let mut raw = world.raw().await;
    let mut store = world.store().await;
    let waits = "SELECT CAST((SELECT count(*) FROM posts p WHERE p.account_id = a.id AND p.status = 'pending') AS TEXT)
                 FROM accounts a ORDER BY a.owner, a.platform, a.id";
    let all: Vec<i64> = raw
        .texts(waits)
        .await
        .iter()
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(all.iter().max() > Some(&3), "{all:?}");
    for count_to in [1, 3, i64::MAX] {
        let accounts = store
            .accounts(&json!({"count_to": count_to}))
            .await
            .unwrap();
        let counted: Vec<i64> = accounts
            .iter()
            .map(|account| account["pending"].as_i64().unwrap())
            .collect();
        let expected: Vec<i64> = all.iter().map(|waits| *waits.min(&count_to)).collect();
        assert_eq!(counted, expected, "to {count_to}");
    }
    let accounts = store.accounts(&json!({"owner": "ada"})).await.unwrap();
    let uncounted: Vec<&Value> = accounts.iter().map(|account| &account["pending"]).collect();
    assert_eq!(uncounted, [&Value::Null, &Value::Null]);
}

async fn what_is_not_settled_is_found_by_account_and_time(world: World) {
    a_mixed_table(&world).await;
    let mut raw = world.raw().await;
    let mut store = world.store().await;
    let times = raw
        .texts(match world.backend {
            Backend::Sqlite => "SELECT DISTINCT scheduled_at FROM posts ORDER BY 1",
            Backend::Postgres => {
                "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')
                 FROM (SELECT DISTINCT scheduled_at AS at FROM posts) t ORDER BY 1"
            }
        })
        .await;
    let (from, until) = (&times[times.len() / 3], &times[times.len() / 2]);
    for (filter, condition) in [
        (json!({}), "1 = 1".to_owned()),
        (json!({"account_ids": [1, 3]}), "a.id IN (1, 3)".to_owned()),
        (
            json!({"owner": "ada", "platform": "slack"}),
            "a.owner = 'ada' AND a.platform = 'slack'".to_owned(),
        ),
        (
            json!({"account_ids": [1, 2, 3], "from": from, "until": until}),
            format!("a.id IN (1, 2, 3) AND p.scheduled_at BETWEEN '{from}' AND '{until}'"),
        ),
    ] {
        let query = format!(
            "SELECT CAST(p.id AS TEXT) FROM posts p JOIN accounts a ON a.id = p.account_id
             WHERE p.status IN ('pending', 'publishing', 'unconfirmed') AND {condition} ORDER BY p.id"
        );
        let expected = raw.texts(&query).await;
        assert!(!expected.is_empty(), "{filter}");
        let found = store.unsettled(&filter).await.unwrap();
        let ids: Vec<String> = found.iter().map(|post| post["id"].to_string()).collect();
        assert_eq!(ids, expected, "{filter}");
    }
}
