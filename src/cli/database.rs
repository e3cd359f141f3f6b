//! Opening the database for a command.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::config::Config;
use crate::exit::Failed;
use crate::store::{Database, Store, migrate};

/// Opens it as a run needs it: one connection, and the claim checks the schema. The default SQLite file, which nobody
/// named, is made and migrated when there is none.
pub async fn open(config: &Config) -> Result<Store, Failed> {
    if let (true, Database::Sqlite(path)) = (config.database_is_default, &config.database) {
        make(&config.database, path).await?;
    }
    Ok(Store::open(&config.database).await?)
}

/// Opens it and makes sure that the schema is this program's.
pub async fn open_checked(config: &Config) -> Result<Store, Failed> {
    // An SQLite file is checked when it is opened.
    if matches!(config.database, Database::Postgres(_)) {
        migrate::check(&config.database).await?;
    }
    open(config).await
}

async fn make(database: &Database, path: &Path) -> Result<(), Failed> {
    if migrate::found(database).await? > 0 {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        // Its posts and sealed tokens are nobody else's business.
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.map_err(|e| {
            let directory = directory.display();
            Failed::configuration(format!(
                "{directory}: the database's directory can't be made: {e}"
            ))
        })?;
    }
    // Two first runs at once both come here; the second finds nothing missing.
    migrate::run(database).await?;
    Ok(())
}
