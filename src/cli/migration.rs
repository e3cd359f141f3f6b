//! `publisher migrate`.

use super::database;
use super::output::say;
use crate::config::Config;
use crate::exit::{Exit, Failed};
use crate::store::migrate;

/// Create the schema or bring it up to date. Wants a direct connection rather than a pooler's.
#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// Only say whether the schema is this version's; exit 78 if not.
    #[arg(long)]
    check: bool,
}

/// Carries it out.
pub async fn run(command: Migrate, config: &Config) -> Result<Exit, Failed> {
    let (url, version) = (&config.database, migrate::version());
    if command.check {
        migrate::check(url).await?;
        say(&format!(
            "{url}: the schema is version {version}, as it should be\n"
        ))?;
        return Ok(Exit::Ok);
    }
    let applied = database::migrate(url).await?;
    if applied.is_empty() {
        say(&format!(
            "{url}: nothing to do, the schema is version {version}\n"
        ))?;
    } else {
        say(&format!(
            "{url}: applied {}; the schema is version {version}\n",
            applied.join(", ")
        ))?;
    }
    Ok(Exit::Ok)
}
