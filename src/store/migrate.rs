//! The schema's versions. The files are embedded; `publisher migrate` applies those that are missing.
//!
//! Each back end applies them in one transaction under a lock that ends with it (an advisory transaction lock,
//! `BEGIN IMMEDIATE`), so that two migrations at once are harmless, also behind a pooler.

use super::{Database, StoreError, postgres, sqlite};

/// One version's SQL in both dialects.
pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) postgres: &'static str,
    pub(super) sqlite: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        Migration {
            name: $name,
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
        }
    };
}

/// In order; the version is the place in this list, from 1.
pub(super) static ALL: &[Migration] = &[
    migration!("0001_publisher"),
    migration!("0002_bounds"),
    migration!("0003_queue"),
    migration!("0004_held"),
    migration!("0005_listed"),
    migration!("0006_typed"),
];

/// The version that this program needs.
pub fn version() -> i64 {
    i64::try_from(ALL.len()).expect("there are few migrations")
}

/// Says what is wrong if the database's schema is not this program's.
pub(super) fn compare(found: i64, place: &str) -> Result<(), StoreError> {
    let needed = version();
    let message = match found {
        0 => format!("{place} has no publisher schema; create it with `publisher migrate`"),
        _ if found < needed => format!(
            "the schema of {place} is version {found}, this program needs {needed}; bring it up to date with `publisher migrate`"
        ),
        _ if found > needed => format!(
            "the schema of {place} is version {found}, this program knows {needed}; install a newer publisher"
        ),
        _ => return Ok(()),
    };
    Err(StoreError::Configuration(message))
}

/// Applies what is missing (an SQLite file is made first) and returns the names of what was applied.
pub async fn run(database: &Database) -> Result<Vec<&'static str>, StoreError> {
    let found = match database {
        Database::Postgres(url) => postgres::Server::connect(url).await?.migrate().await?,
        Database::Sqlite(path) => sqlite::Db::open(path, true).await?.migrate().await?,
    };
    if found > version() {
        compare(found, &database.to_string())?;
    }
    Ok(missing(found)
        .iter()
        .map(|migration| migration.name)
        .collect())
}

/// The database's version, 0 if it has none. Changes nothing; a missing SQLite file counts as version 0.
pub async fn found(database: &Database) -> Result<i64, StoreError> {
    match database {
        Database::Postgres(url) => postgres::Server::connect(url).await?.version().await,
        Database::Sqlite(path) if !path.exists() => Ok(0),
        Database::Sqlite(path) => sqlite::Db::open(path, false).await?.version().await,
    }
}

/// Fails unless the database's schema is this program's.
pub async fn check(database: &Database) -> Result<(), StoreError> {
    compare(found(database).await?, &database.to_string())
}

/// The migrations after that version.
pub(super) fn missing(found: i64) -> &'static [Migration] {
    ALL.get(usize::try_from(found).unwrap_or_default()..)
        .unwrap_or_default()
}
