//! The database of the cases, and what its numbers and times are in the reference.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use publisher::journal::Place;
use publisher::post::PostId;
use publisher::store::{Database, Store, migrate};
use tempfile::TempDir;
use uuid::Uuid;

use super::life::{ACCOUNTS, RUNS, Standing};
use crate::support::database::{Backend, Raw, now};
use crate::support::postgres::cluster;

/// A database that one case after the other uses, and connections to it.
pub(crate) struct Bench {
    pub(crate) raw: Raw,
    pub(crate) stores: Vec<Store>,
    pub(crate) place: Place,
    _dir: TempDir,
}

impl Bench {
    /// A migrated database, in memory where the machine has such a place.
    pub(crate) async fn new(backend: Backend) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let dir = dir.unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", dir.path().join("publisher.db").display()),
            Backend::Postgres => cluster().database().await,
        };
        let database: Database = url.parse().unwrap();
        migrate::run(&database).await.unwrap();
        let mut stores = Vec::new();
        for _ in 0..RUNS {
            stores.push(Store::open(&database).await.unwrap());
        }
        let place = Place {
            directory: dir.path().join("journal"),
            database: database.name(),
            host: "model".to_owned(),
        };
        Self {
            raw: Raw::connect(&url).await,
            stores,
            place,
            _dir: dir,
        }
    }

    /// The journals that are there.
    pub(crate) fn journals(&self) -> usize {
        match std::fs::read_dir(&self.place.directory) {
            Ok(files) => files.count(),
            Err(_) => 0,
        }
    }

    /// Nothing but the accounts, all well.
    pub(crate) async fn clear(&mut self) {
        std::fs::remove_dir_all(&self.place.directory).ok();
        let mut sql = vec!["DELETE FROM posts; DELETE FROM runs; DELETE FROM accounts".to_owned()];
        for (account, (owner, platform)) in ACCOUNTS.iter().enumerate() {
            let id = id(account);
            sql.push(format!(
                "INSERT INTO accounts (id, owner, platform, external_id) VALUES ({id}, '{owner}', '{platform}', '{id}')"
            ));
        }
        self.raw.run(&sql.join("; ")).await;
    }
}

/// What the times of a case count from.
pub(crate) fn start() -> DateTime<Utc> {
    now()
}

/// So many seconds after the start.
pub(crate) fn time(seconds: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(seconds)
}

/// The number of a row.
pub(crate) fn id(post: usize) -> PostId {
    PostId::try_from(post).unwrap() + 1
}

/// The post's number in the reference.
pub(crate) fn number(id: PostId) -> usize {
    usize::try_from(id - 1).unwrap()
}

/// The uuid of a run.
pub(crate) fn uuid(run: u32) -> Uuid {
    Uuid::from_u128(run.into())
}

/// The word of the database for an account's standing.
pub(crate) fn standing(name: &str) -> Standing {
    match name {
        "active" => Standing::Active,
        "needs_login" => Standing::NeedsLogin,
        "disabled" => Standing::Disabled,
        _ => panic!("no account is {name}"),
    }
}
