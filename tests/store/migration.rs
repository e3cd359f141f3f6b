//! The schema's versions: made from nothing, twice, two at once; and what is said when they do not fit.

use futures::future::join_all;
use publisher::store::{Database, Store, StoreError, migrate};
use serde_json::json;

use crate::support::database::{Backend, World, request};

on_both_databases!(
    a_second_migration_does_nothing,
    the_check_is_content_and_changes_nothing,
    a_newer_schema_is_left_alone,
    a_claim_on_a_newer_schema_claims_nothing,
);

/// Cases that start without a schema.
macro_rules! on_nothing {
    ($($case:ident),+ $(,)?) => {
        mod nothing_in_sqlite {
            $(#[tokio::test]
            async fn $case() {
                use crate::support::database::{Backend, World};
                super::$case(World::empty(Backend::Sqlite).await).await;
            })+
        }
        mod nothing_in_postgres {
            $(#[tokio::test]
            async fn $case() {
                use crate::support::database::{Backend, World};
                super::$case(World::empty(Backend::Postgres).await).await;
            })+
        }
    };
}

on_nothing!(
    it_is_made_from_nothing,
    several_migrations_at_once_apply_it_once,
    the_check_says_how_to_make_it,
    a_claim_says_how_to_make_it,
    a_database_of_the_first_version_is_brought_up_to_date,
    a_database_of_the_second_version_keeps_its_rows,
    a_database_of_the_third_version_keeps_its_rows,
    a_database_of_the_fourth_version_keeps_its_rows,
    a_database_of_the_version_before_keeps_its_rows,
);

/// The schema's versions, in order.
const NAMES: [&str; 6] = [
    "0001_publisher",
    "0002_bounds",
    "0003_queue",
    "0004_held",
    "0005_listed",
    "0006_typed",
];

/// What comes in the sixth version is a function beside that of the versions before: rows stay, and can be claimed.
async fn a_database_of_the_version_before_keeps_its_rows(world: World) {
    let mut raw = world.raw().await;
    raw.make_version(5).await;
    let account = raw.account("ada", "slack").await;
    let waits = raw.post(account, 1).await;
    let before = raw.dump().await;
    let message = configuration(migrate::check(&world.database).await);
    let needs = format!("version 5, this program needs {}", migrate::version());
    assert!(message.contains(&needs), "{message}");
    let applied = migrate::run(&world.database).await.unwrap();
    assert_eq!(applied, NAMES[5..]);
    assert_eq!(raw.dump().await, before);
    let claim = world.store().await.claim(&request()).await.unwrap();
    let ids: Vec<i64> = claim.posts.iter().map(|post| post.id).collect();
    assert_eq!(ids, [waits]);
}

/// What comes in the fifth version is an index: rows stay, and are listed.
async fn a_database_of_the_fourth_version_keeps_its_rows(world: World) {
    let mut raw = world.raw().await;
    raw.make_version(4).await;
    let account = raw.account("ada", "slack").await;
    let failed = raw.post_with(account, 5, json!({"status": "failed"})).await;
    let waits = raw.post(account, 1).await;
    let before = raw.dump().await;
    let message = configuration(migrate::check(&world.database).await);
    let needs = format!("version 4, this program needs {}", migrate::version());
    assert!(message.contains(&needs), "{message}");
    let applied = migrate::run(&world.database).await.unwrap();
    assert_eq!(applied, NAMES[4..]);
    assert_eq!(raw.dump().await, before);
    let posts = world
        .store()
        .await
        .posts(&json!({"limit": 5}))
        .await
        .unwrap();
    let ids: Vec<&serde_json::Value> = posts.iter().map(|post| &post["id"]).collect();
    assert_eq!(ids, [&json!(waits), &json!(failed)]);
}

/// What comes in the fourth version is how the backlog is counted: rows stay, and so does who may ask.
async fn a_database_of_the_third_version_keeps_its_rows(world: World) {
    let mut raw = world.raw().await;
    raw.make_version(3).await;
    let busy = raw.account("ada", "slack").await;
    let free = raw.account("bob", "slack").await;
    let held = json!({"status": "publishing", "claim": uuid::Uuid::new_v4(), "lease_until": "2100-01-01T00:00:00.000Z"});
    raw.post_with(busy, 5, held).await;
    for account in [busy, free] {
        raw.posts(account, 5, 2).await;
    }
    let due = match world.backend {
        Backend::Postgres => "SELECT publisher.backlog()",
        Backend::Sqlite => "SELECT due FROM backlog",
    };
    assert_eq!(raw.number(due).await, 4);
    if world.backend == Backend::Postgres {
        raw.run("DROP ROLE IF EXISTS looker; CREATE ROLE looker; GRANT USAGE ON SCHEMA publisher TO looker;
                 GRANT EXECUTE ON FUNCTION publisher.backlog() TO looker")
            .await;
    }
    let before = raw.dump().await;
    let message = configuration(migrate::check(&world.database).await);
    let needs = format!("version 3, this program needs {}", migrate::version());
    assert!(message.contains(&needs), "{message}");
    let applied = migrate::run(&world.database).await.unwrap();
    assert_eq!(applied, NAMES[3..]);
    assert_eq!(raw.dump().await, before);
    if world.backend == Backend::Postgres {
        raw.run("SET ROLE looker").await;
    }
    assert_eq!(raw.number(due).await, 2);
    let claim = world.store().await.claim(&request()).await.unwrap();
    let accounts: Vec<i64> = claim.posts.iter().map(|post| post.account.id).collect();
    assert_eq!(accounts, [free, free]);
}

/// What comes in the third version is beside the rows: each is as it was, in whatever state, and is counted.
async fn a_database_of_the_second_version_keeps_its_rows(world: World) {
    let mut raw = world.raw().await;
    raw.make_version(2).await;
    let account = raw.account("ada", "slack").await;
    for (status, columns) in [
        ("pending", json!({"group_id": "g", "external_ref": "r"})),
        (
            "publishing",
            json!({"claim": uuid::Uuid::new_v4(), "lease_until": "2026-01-01T00:00:00.000Z"}),
        ),
        (
            "published",
            json!({"published_at": "2026-01-01T00:00:00.000Z"}),
        ),
        ("failed", json!({"error": "no"})),
        ("unconfirmed", json!({"attempts": 1})),
        ("expired", json!({})),
        ("canceled", json!({})),
    ] {
        let mut columns = columns;
        columns["status"] = json!(status);
        raw.post_with(account, 5, columns).await;
    }
    raw.limit("owner:ada", "day", 3).await;
    let before = raw.dump().await;
    let message = configuration(migrate::check(&world.database).await);
    let needs = format!("version 2, this program needs {}", migrate::version());
    assert!(message.contains(&needs), "{message}");
    let applied = migrate::run(&world.database).await.unwrap();
    assert_eq!(applied, NAMES[2..]);
    assert_eq!(raw.dump().await, before);
    let due = match world.backend {
        Backend::Postgres => "SELECT publisher.backlog()",
        Backend::Sqlite => "SELECT due FROM backlog",
    };
    assert_eq!(raw.number(due).await, 3);
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(claim.posts.len(), 3);
}

/// Rows that the first version took and this one does not are cut, and so not sent; all others are as they were.
async fn a_database_of_the_first_version_is_brought_up_to_date(world: World) {
    let mut raw = world.raw().await;
    raw.make_version(1).await;
    let account = raw.account("ada", "slack").await;
    let sound = raw.post(account, 5).await;
    let large = raw
        .post_with(account, 4, json!({"body": "x".repeat(300_000)}))
        .await;
    let claimed = raw
        .post_with(
            account,
            3,
            json!({
                "media": [{"url": "x".repeat(300_000)}], "status": "publishing", "claim": uuid::Uuid::new_v4(),
                "lease_until": "2100-01-01T00:00:00.000Z",
            }),
        )
        .await;
    let many = raw
        .post_with(
            account,
            2,
            json!({"attempts": i32::MAX, "max_attempts": i32::MAX}),
        )
        .await;
    let beyond = match world.backend {
        Backend::Postgres => "infinity",
        Backend::Sqlite => "~",
    };
    let ever = raw
        .post_with(
            account,
            1,
            json!({"status": "published", "published_at": beyond}),
        )
        .await;
    let before = raw.post_row(sound).await;
    let message = configuration(migrate::check(&world.database).await);
    let needs = format!("version 1, this program needs {}", migrate::version());
    assert!(message.contains(&needs), "{message}");
    let applied = migrate::run(&world.database).await.unwrap();
    assert_eq!(applied, NAMES[1..]);

    assert_eq!(raw.post_row(sound).await, before);
    let row = raw.post_row(large).await;
    assert_eq!(
        (&row["status"], &row["error_class"]),
        (&json!("failed"), &json!("rejected"))
    );
    assert!(
        row["error"].as_str().unwrap().contains("256 KiB"),
        "{row:?}"
    );
    assert_eq!(row["body"].as_str().unwrap().len(), 65_536);
    let row = raw.post_row(claimed).await;
    assert_eq!(
        (&row["status"], &row["media"]),
        (&json!("unconfirmed"), &json!([]))
    );
    let row = raw.post_row(many).await;
    assert_eq!(
        (&row["status"], &row["attempts"]),
        (&json!("pending"), &json!(1_000_000))
    );
    let at = raw.post_row(ever).await["published_at"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(at.starts_with("20"), "{at}");
    // And it works: also the row whose count can't grow.
    let claim = world.store().await.claim(&request()).await.unwrap();
    let ids: Vec<i64> = claim.posts.iter().map(|post| post.id).collect();
    assert_eq!(ids, [sound, claimed, many]);
}

#[track_caller]
fn configuration(result: Result<impl std::fmt::Debug, StoreError>) -> String {
    match result {
        Err(StoreError::Configuration(message)) => message,
        other => panic!("{other:?}"),
    }
}

async fn make_newer(world: &World) {
    let mut raw = world.raw().await;
    let next = migrate::version() + 1;
    raw.run(&match world.backend {
        Backend::Sqlite => format!("PRAGMA user_version = {next}"),
        Backend::Postgres => {
            format!("INSERT INTO migrations (version, name) VALUES ({next}, 'next')")
        }
    })
    .await;
}

async fn it_is_made_from_nothing(world: World) {
    assert_eq!(migrate::found(&world.database).await.unwrap(), 0);
    let applied = migrate::run(&world.database).await.unwrap();
    assert_eq!(applied, NAMES);
    assert_eq!(
        migrate::found(&world.database).await.unwrap(),
        migrate::version()
    );
    migrate::check(&world.database).await.unwrap();
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    let claim = world.store().await.claim(&request()).await.unwrap();
    assert_eq!(claim.posts.len(), 1);
    if world.backend == Backend::Sqlite {
        let mode = raw.texts("PRAGMA journal_mode").await;
        assert_eq!(mode, ["wal"], "readers and one writer do not wait");
    }
}

async fn a_second_migration_does_nothing(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    let before = raw.dump().await;
    let applied = migrate::run(&world.database).await.unwrap();
    assert!(applied.is_empty(), "{applied:?}");
    assert_eq!(raw.dump().await, before);
}

async fn several_migrations_at_once_apply_it_once(world: World) {
    let runs = join_all((0..8).map(|_| migrate::run(&world.database))).await;
    let applied: Vec<&str> = runs
        .into_iter()
        .flat_map(|run| run.expect("each succeeds"))
        .collect();
    assert_eq!(applied, NAMES);
    migrate::check(&world.database).await.unwrap();
    if world.backend == Backend::Postgres {
        let mut raw = world.raw().await;
        assert_eq!(
            raw.number("SELECT count(*) FROM migrations").await,
            migrate::version()
        );
    }
}

async fn the_check_is_content_and_changes_nothing(world: World) {
    let mut raw = world.raw().await;
    let before = raw.dump().await;
    migrate::check(&world.database).await.unwrap();
    assert_eq!(raw.dump().await, before);
}

async fn the_check_says_how_to_make_it(world: World) {
    let message = configuration(migrate::check(&world.database).await);
    assert!(message.contains("publisher migrate"), "{message}");
    assert_eq!(migrate::found(&world.database).await.unwrap(), 0);
    if let Database::Sqlite(path) = &world.database {
        assert!(!path.exists(), "a check makes no file");
    }
}

async fn a_claim_says_how_to_make_it(world: World) {
    let claim = match Store::open(&world.database).await {
        Ok(mut store) => store.claim(&request()).await.map(drop),
        Err(error) => Err(error),
    };
    let message = configuration(claim);
    assert!(message.contains("publisher migrate"), "{message}");
    if let Database::Sqlite(path) = &world.database {
        assert!(!path.exists(), "a claim makes no file");
    }
}

async fn a_newer_schema_is_left_alone(world: World) {
    make_newer(&world).await;
    let mut raw = world.raw().await;
    let before = raw.dump().await;
    let next = migrate::version() + 1;
    for message in [
        configuration(migrate::check(&world.database).await),
        configuration(migrate::run(&world.database).await),
    ] {
        assert!(message.contains(&format!("version {next}")), "{message}");
        assert!(message.contains("install a newer publisher"), "{message}");
    }
    assert_eq!(migrate::found(&world.database).await.unwrap(), next);
    assert_eq!(raw.dump().await, before);
}

async fn a_claim_on_a_newer_schema_claims_nothing(world: World) {
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    // Opened before another program brought the schema up to date, and after.
    let mut early = world.store().await;
    make_newer(&world).await;
    let before = raw.dump().await;
    match world.backend {
        // An empty claim brings no row that could say so; the next open does.
        Backend::Sqlite => assert!(early.claim(&request()).await.unwrap().posts.is_empty()),
        Backend::Postgres => {
            let message = configuration(early.claim(&request()).await);
            assert!(message.contains("install a newer publisher"), "{message}");
        }
    }
    let late = match Store::open(&world.database).await {
        Ok(mut store) => store.claim(&request()).await.map(drop),
        Err(error) => Err(error),
    };
    let message = configuration(late);
    assert!(message.contains("install a newer publisher"), "{message}");
    assert_eq!(raw.dump().await, before);
}

#[tokio::test]
async fn sqlite_says_that_a_file_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "Dear diary, this is not a database. ".repeat(200);
    std::fs::write(&path, &text).unwrap();
    let database: Database = format!("sqlite:{}", path.display()).parse().unwrap();
    for message in [
        configuration(Store::open(&database).await),
        configuration(migrate::check(&database).await),
        configuration(migrate::run(&database).await),
    ] {
        assert!(message.contains("notes.txt"), "{message}");
        assert!(message.contains("--database-url"), "{message}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

/// Somebody else's database, where a table of the same name is in the way: nothing of it is touched.
#[tokio::test]
async fn sqlite_leaves_another_programs_database_alone() {
    let world = World::empty(Backend::Sqlite).await;
    let mut raw = world.raw().await;
    raw.run("CREATE TABLE posts (title TEXT); INSERT INTO posts VALUES ('theirs')")
        .await;
    let message = configuration(migrate::check(&world.database).await);
    assert!(message.contains("publisher migrate"), "{message}");
    let message = configuration(migrate::run(&world.database).await);
    assert!(message.contains("posts"), "{message}");
    assert_eq!(
        raw.texts("SELECT name FROM sqlite_schema").await,
        ["posts"],
        "all or nothing"
    );
}

#[tokio::test]
async fn sqlite_says_that_a_directory_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("p.db");
    let database: Database = format!("sqlite:{}", path.display()).parse().unwrap();
    let error = migrate::run(&database).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("directory"), "{error}");
}

#[tokio::test]
async fn postgres_says_that_nobody_listens_without_showing_the_password() {
    let port = crate::support::postgres::free_port();
    let url = format!("postgres://ada:s3cr3t@127.0.0.1:{port}/posts");
    let error = Store::open(&url.parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let said = format!("{error} {error:?}");
    assert!(
        said.contains("127.0.0.1") && !said.contains("s3cr3t"),
        "{said}"
    );
}

#[tokio::test]
async fn postgres_says_that_a_database_is_missing() {
    let url = crate::support::postgres::cluster().url("no_such_database");
    let message = configuration(Store::open(&url.parse().unwrap()).await);
    assert!(message.contains("no_such_database"), "{message}");
}

/// A login that may do nothing is a configuration error and no reason to try again.
#[tokio::test]
async fn postgres_says_that_rights_are_missing() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    raw.run("DROP ROLE IF EXISTS beggar; CREATE ROLE beggar LOGIN")
        .await;
    let url = world.url.replace("postgres@", "beggar@");
    let mut store = Store::open(&url.parse().unwrap()).await.unwrap();
    let message = configuration(store.claim(&request()).await);
    assert!(message.contains("42501"), "{message}");
}

#[tokio::test]
async fn postgres_says_that_it_is_read_only() {
    let world = World::migrated(Backend::Postgres).await;
    let mut raw = world.raw().await;
    let account = raw.account("ada", "slack").await;
    raw.post(account, 1).await;
    let name = world.url.rsplit('/').next().unwrap();
    raw.run(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ))
    .await;
    let error = world.store().await.claim(&request()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("read-only"), "{error}");
}
