//! The store's conformance suite: every case runs on SQLite and on PostgreSQL.

mod support;

use std::time::Duration;

use publisher::store::{Database, Request, Store, migrate};
use support::postgres::cluster;
use uuid::Uuid;

#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    let urls = [
        format!("sqlite:{}", dir.path().join("p.db").display()),
        cluster().database().await,
    ];
    for url in urls {
        let database: Database = url.parse().unwrap();
        println!("{database}");
        println!("{:?}", migrate::check(&database).await);
        println!("{:?}", migrate::run(&database).await);
        println!("{:?}", migrate::check(&database).await);
        let mut store = Store::open(&database).await.unwrap();
        for i in 0..3 {
            let account = publisher::account::NewAccount {
                owner: format!("o{}", i % 2),
                platform: "slack".into(),
                external_id: format!("C0{i}"),
                display_name: String::new(),
                timezone: "UTC".into(),
                credentials: Some("x".into()),
                token_expires_at: None,
                settings: serde_json::Map::default(),
            };
            println!("{:?}", store.add_account(&account).await);
        }
        println!("{:?}", store.accounts(&serde_json::json!({})).await);
        let rows: Vec<_> = (0..6)
            .map(|i| serde_json::json!({"account_id": i % 3 + 1, "body": format!("b{i}"), "scheduled_at": "2026-11-22T08:00:00Z", "external_ref": format!("r{}", i.min(4))}))
            .collect();
        println!("{:?}", store.add_posts(&rows).await);
        let request = Request {
            run: Uuid::new_v4(),
            now: Some("2026-11-22T08:01:00Z".parse().unwrap()),
            limit: 4,
            expiry: Duration::from_secs(86400),
            lease: Duration::from_secs(900),
            platforms: vec![],
            owners: vec![],
        };
        let preview = store.preview(&request).await.unwrap();
        for (p, held) in preview.posts {
            println!(
                "{} {} {:?} {held:?} {}",
                p.id, p.place, p.action, p.account.owner
            );
        }
        for _ in 0..2 {
            let claim = store.claim(&request).await.unwrap();
            for p in claim.posts {
                println!(
                    "claimed {} {} {:?} {}",
                    p.id, p.place, p.action, p.account.owner
                );
            }
        }
    }
}
