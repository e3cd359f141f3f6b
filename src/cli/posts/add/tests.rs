use std::path::PathBuf;

use clap::Parser;
use serde_json::json;

use super::super::{Posts, run};
use super::*;
use crate::account::NewAccount;
use crate::config;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    posts: Posts,
}

/// A database of its own, made on first use, with an account.
struct World {
    directory: tempfile::TempDir,
    config: Config,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("data/publisher.db");
        let config = Config {
            database: format!("sqlite:{}", database.display()).parse().unwrap(),
            database_is_default: true,
            state_dir: directory.path().to_owned(),
            encryption_key: None,
            media: crate::media::Policy::default(),
            file: config::File::default(),
        };
        let mut store = database::open(&config).await.unwrap();
        let account = NewAccount {
            owner: "acme".to_owned(),
            platform: "slack".to_owned(),
            external_id: "C024BE91L".to_owned(),
            display_name: String::new(),
            timezone: "Europe/Berlin".to_owned(),
            credentials: None,
            token_expires_at: None,
            settings: serde_json::Map::new(),
        };
        store.add_account(&account).await.unwrap();
        store.close().await;
        Self { directory, config }
    }

    async fn run(&self, arguments: &[&str]) -> Result<Exit, Failed> {
        let line = Line::try_parse_from([&["posts"], arguments].concat()).unwrap();
        run(line.posts, &self.config).await
    }

    async fn bodies(&self) -> Vec<Value> {
        let mut store = database::open_checked(&self.config).await.unwrap();
        let filter = json!({"id": null, "status": null, "platform": null, "owner": null,
            "account_id": null, "limit": 10});
        let mut posts = store.posts(&filter).await.unwrap();
        posts.sort_by_key(|post| post["id"].as_i64());
        posts
            .into_iter()
            .map(|post| json!([post["body"], post["scheduled_at"]]))
            .collect()
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

#[tokio::test]
async fn a_post_from_flags_is_checked_as_one_from_a_file() {
    let world = World::new().await;
    let add = [
        "add",
        "--account",
        "slack:C024BE91L",
        "--local",
        "2031-07-01 09:00",
    ];
    let error = world.run(&add).await.unwrap_err();
    assert_eq!(error.exit, Exit::Attention);
    assert_eq!(
        error.message,
        "nothing was added: a Slack message needs a body, a link or media"
    );

    let with_body = [&add[..], &["--body", "Hi", "--external-ref", "x"]].concat();
    let dry = [&with_body[..], &["--dry-run"]].concat();
    assert_eq!(world.run(&dry).await.unwrap(), Exit::Ok);
    assert!(world.bodies().await.is_empty());
    for _ in 0..2 {
        assert_eq!(world.run(&with_body).await.unwrap(), Exit::Ok);
        assert_eq!(
            world.bodies().await,
            [json!(["Hi", "2031-07-01T07:00:00.000Z"])]
        );
    }
}

#[tokio::test]
async fn a_file_is_added_whole_or_not_at_all_and_once() {
    let world = World::new().await;
    let header = "account,body,scheduled_at,external_ref\n";
    let good = "1,a,2031-07-01T07:00Z,a\n1,b,2031-07-01T08:00Z,b\n";
    let bad = world.file(
        "bad.csv",
        &format!("{header}{good}1,,2031-07-01T08:00Z,c\n"),
    );
    let error = world
        .run(&["import", bad.to_str().unwrap()])
        .await
        .unwrap_err();
    let expected = format!(
        "nothing was added: 1 problem\n{}:4:1: a Slack message needs a body, a link or media",
        bad.display()
    );
    assert_eq!((error.exit, error.message), (Exit::Attention, expected));
    assert!(world.bodies().await.is_empty());

    let good = world.file("good.txt", &format!("{header}{good}"));
    let good = good.to_str().unwrap();
    let error = world.run(&["import", good]).await.unwrap_err();
    assert_eq!(error.exit, Exit::Usage, "{error}");
    for _ in 0..2 {
        world
            .run(&["import", good, "--format", "csv"])
            .await
            .unwrap();
        let bodies = world.bodies().await;
        assert_eq!(
            bodies,
            [
                json!(["a", "2031-07-01T07:00:00.000Z"]),
                json!(["b", "2031-07-01T08:00:00.000Z"])
            ]
        );
    }
}

#[tokio::test]
async fn only_the_default_database_is_made() {
    let mut world = World::new().await;
    world.config.database_is_default = false;
    world.config.database = "sqlite:/nonexistent/publisher.db".parse().unwrap();
    let error = database::open(&world.config).await.unwrap_err();
    assert_eq!(error.exit, Exit::Configuration);
}

#[test]
fn remarks_are_few() {
    let batch = Batch {
        notes: (2..30).map(|line| (line, "moved".to_owned())).collect(),
        late: vec![7, 9],
        expired: vec![8],
        ..Batch::default()
    };
    let remarks = remarks(&batch, "f");
    assert_eq!(remarks.len(), 23);
    assert_eq!(remarks[19], "note: f:21: moved");
    assert_eq!(
        remarks[20..],
        [
            "and 8 more such notes",
            "warning: 1 post past expiry, never to be sent (first: f:8)",
            "warning: 2 posts due already, to be sent by the next run (first: f:7)",
        ]
    );
}
