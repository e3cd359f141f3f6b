//! Databases with accounts and posts, and fresh copies of them.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use publisher::account::{Credentials, NewAccount};
use publisher::secret::{self, Key};
use publisher::store::{Database, Store, instant, migrate};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use crate::postgres::Cluster;

/// What seals the accounts' tokens; it is worth nothing outside the sandbox.
pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(crate) const TOKEN: &str = "bench-token";

const OWNERS: usize = 20;

/// A back end of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Where the databases of this benchmark live.
pub(crate) struct Databases {
    directory: PathBuf,
    cluster: OnceCell<Cluster>,
}

/// A prepared database, and the name of its working copy.
pub(crate) struct Template {
    engine: Engine,
    name: String,
}

/// Posts to be seeded.
pub(crate) struct Seed<'a> {
    /// Platform and external id of each account.
    pub(crate) accounts: Vec<(&'a str, String)>,
    /// Posts that are due, as rows of `Store::add_posts` without `account_id` and `scheduled_at`, with the account's
    /// place in the list above.
    pub(crate) due: Vec<(usize, Value)>,
    /// So many text posts that are due from tomorrow on.
    pub(crate) future: usize,
}

impl Databases {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            cluster: OnceCell::new(),
        }
    }

    /// Started on first use, with the server's own settings: durable.
    fn cluster(&self) -> &Cluster {
        self.cluster.get_or_init(|| Cluster::start(&[]))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.db"))
    }

    /// The URL of a database of that name.
    pub(crate) fn url(&self, engine: Engine, name: &str) -> String {
        match engine {
            Engine::Sqlite => format!("sqlite:{}", self.path(name).display()),
            Engine::Postgres => self.cluster().url(name),
        }
    }

    /// A connection to the cluster's own database.
    pub(crate) async fn admin(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.cluster().url("postgres")).await?)
    }

    /// Makes a database with this content.
    pub(crate) async fn template(
        &self,
        engine: Engine,
        name: &str,
        seed: &Seed<'_>,
    ) -> Result<Template> {
        let database = self.make(engine, name).await?;
        let mut store = Store::open(&database).await?;
        let mut ids = Vec::with_capacity(seed.accounts.len());
        for (place, (platform, external_id)) in seed.accounts.iter().enumerate() {
            let account = account(place, platform, external_id)?;
            ids.push(store.add_account(&account).await?["id"].clone());
        }
        let now = publisher::schedule::Clock::host().now();
        let due = seed.due.iter().map(|(account, columns)| {
            post(columns.clone(), &ids[*account], now - TimeDelta::minutes(1))
        });
        let future = (0..seed.future).map(|n| {
            let at = now + TimeDelta::days(1) + TimeDelta::seconds(i64::try_from(n).unwrap_or(0));
            post(json!({"body": text(n)}), &ids[n % ids.len()], at)
        });
        let rows: Vec<Value> = due.chain(future).collect();
        store.add_posts(&rows).await?;
        store.close().await;
        self.settle(engine, name).await?;
        Ok(Template {
            engine,
            name: name.to_owned(),
        })
    }

    /// The answer to a query of one column of text.
    pub(crate) async fn ask(&self, url: &str, sql: &'static str) -> Result<String> {
        let rows: Vec<String> = if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await?;
            let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
            connection.close().await?;
            rows
        } else {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::raw_sql("SET search_path = publisher")
                .execute(&mut connection)
                .await?;
            let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
            connection.close().await?;
            rows
        };
        Ok(rows.join(", "))
    }

    /// A new database with the schema and no content.
    pub(crate) async fn make(&self, engine: Engine, name: &str) -> Result<Database> {
        if engine == Engine::Postgres {
            let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
            sqlx::raw_sql(create)
                .execute(&mut self.admin().await?)
                .await?;
        }
        let url = self.url(engine, name);
        let database = url.parse().map_err(anyhow::Error::msg)?;
        migrate::run(&database).await?;
        Ok(database)
    }

    /// What a server that has been up for a while would have done: statistics, visibility, a checkpoint.
    pub(crate) async fn settle(&self, engine: Engine, name: &str) -> Result<()> {
        match engine {
            Engine::Postgres => {
                let mut connection = PgConnection::connect(&self.url(engine, name)).await?;
                for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
                    sqlx::raw_sql(statement).execute(&mut connection).await?;
                }
                connection.close().await?;
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(&self.url(engine, name)).await?;
                sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                    .execute(&mut connection)
                    .await?;
                connection.close().await?;
                std::fs::File::open(self.path(name))?.sync_all()?;
            }
        }
        Ok(())
    }

    /// Makes the template's working copy anew; its URL.
    pub(crate) async fn fresh(&self, template: &Template) -> Result<String> {
        let copy = format!("{}_copy", template.name);
        match template.engine {
            Engine::Postgres => {
                let mut admin = self.admin().await?;
                let statements = [
                    format!("DROP DATABASE IF EXISTS {copy} WITH (FORCE)"),
                    format!("CREATE DATABASE {copy} TEMPLATE {}", template.name),
                    "CHECKPOINT".to_owned(),
                ];
                for statement in statements {
                    sqlx::raw_sql(AssertSqlSafe(statement))
                        .execute(&mut admin)
                        .await?;
                }
                admin.close().await?;
            }
            Engine::Sqlite => {
                let path = self.path(&copy);
                for suffix in ["-wal", "-shm"] {
                    let mut name = path.clone().into_os_string();
                    name.push(suffix);
                    std::fs::remove_file(name).ok();
                }
                std::fs::copy(self.path(&template.name), &path).context("copying a database")?;
                // Else the run's first sync would pay for the copy.
                std::fs::File::open(&path)?.sync_all()?;
            }
        }
        Ok(self.url(template.engine, &copy))
    }
}

/// A body of a usual length.
pub(crate) fn text(n: usize) -> String {
    format!(
        "Post number {n}: the new season starts today, and we are glad to see you. Doors open at nine; bring a friend!"
    )
}

pub(crate) fn account(place: usize, platform: &str, external_id: &str) -> Result<NewAccount> {
    let key = Key::parse(KEY).map_err(anyhow::Error::msg)?;
    let credentials = Credentials {
        access_token: TOKEN.into(),
        ..Credentials::default()
    };
    let sealed = secret::seal(&key, platform, external_id, &credentials)?;
    Ok(NewAccount {
        owner: format!("owner {}", place % OWNERS),
        platform: platform.to_owned(),
        external_id: external_id.to_owned(),
        display_name: String::new(),
        timezone: "UTC".to_owned(),
        credentials: Some(sealed),
        token_expires_at: None,
        settings: serde_json::Map::new(),
    })
}

fn post(mut columns: Value, account: &Value, at: DateTime<Utc>) -> Value {
    columns["account_id"] = account.clone();
    columns["scheduled_at"] = json!(instant(at));
    columns
}
