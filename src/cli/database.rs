//! Opening the database for a command.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::store::{Database, Store, StoreError, migrate};

/// Opens it as a run needs it: one connection, and the claim checks the schema. The default SQLite file, which nobody
/// named, is made and migrated when there is none.
pub async fn open(config: &Config) -> Result<Store, Failed> {
    match Store::open(&config.database).await {
        Err(StoreError::Configuration(_))
            if config.database_is_default && migrate::found(&config.database).await? == 0 =>
        {
            // Two first runs at once both come here; the second finds nothing missing.
            migrate(&config.database).await?;
            Ok(Store::open(&config.database).await?)
        }
        result => Ok(result?),
    }
}

/// Opens it and makes sure that the schema is this program's.
pub async fn open_checked(config: &Config) -> Result<Store, Failed> {
    // An SQLite file is checked when it is opened.
    if matches!(config.database, Database::Postgres(_)) {
        migrate::check(&config.database).await?;
    }
    open(config).await
}

/// Applies what is missing, and makes an SQLite file's directory. Returns what was applied.
pub async fn migrate(database: &Database) -> Result<Vec<&'static str>, Failed> {
    if let Database::Sqlite(path) = database
        && let Some(directory) = path.parent()
    {
        // Its posts and sealed tokens are nobody else's business.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(|e| {
            let directory = directory.display();
            let message = format!("{directory}: the database's directory can't be made: {e}");
            Failed::new(Exit::Unavailable, message)
        })?;
    }
    Ok(migrate::run(database).await?)
}
