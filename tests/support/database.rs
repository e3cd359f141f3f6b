//! A database of its own for a test, on either back end, and a plain connection to seed it and to look at it.
//!
//! The plain connection speaks the SQL that both databases share: names without a schema (PostgreSQL finds them
//! through `search_path`), instants as literals.

use chrono::{DateTime, TimeDelta, Utc};
use publisher::post::PostId;
use publisher::store::{Database, Request, Store, instant, migrate};
use serde_json::{Map, Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, SqliteConnection};
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

use super::postgres::cluster;

/// The two databases that the store speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A test's database.
pub struct World {
    pub backend: Backend,
    pub database: Database,
    pub url: String,
    dir: TempDir,
}

/// A plain connection.
pub enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The instant at which the tests claim.
pub fn now() -> DateTime<Utc> {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

/// So long before [`now`].
pub fn ago(time: TimeDelta) -> String {
    instant(now() - time)
}

/// So many minutes before [`now`].
pub fn minutes_ago(minutes: i64) -> String {
    ago(TimeDelta::minutes(minutes))
}

/// A claim at [`now`] with the defaults of the command line.
pub fn request() -> Request {
    request_at(now())
}

/// A claim at that instant with the defaults of the command line.
pub fn request_at(now: DateTime<Utc>) -> Request {
    Request {
        run: Uuid::new_v4(),
        now: Some(now),
        limit: 10_000,
        expiry: Duration::from_hours(24),
        lease: Duration::from_mins(15),
        platforms: Vec::new(),
        owners: Vec::new(),
        spared: Vec::new(),
        quotas: serde_json::json!([]),
    }
}

impl World {
    /// A database without anything in it; on SQLite not even a file.
    pub async fn empty(backend: Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", dir.path().join("publisher.db").display()),
            Backend::Postgres => cluster().database().await,
        };
        Self {
            backend,
            database: url.parse().unwrap(),
            url,
            dir,
        }
    }

    /// A database with this version's schema.
    pub async fn migrated(backend: Backend) -> Self {
        let world = Self::empty(backend).await;
        migrate::run(&world.database).await.unwrap();
        world
    }

    /// The store, opened.
    pub async fn store(&self) -> Store {
        Store::open(&self.database).await.unwrap()
    }

    /// A plain connection.
    pub async fn raw(&self) -> Raw {
        Raw::connect(&self.url).await
    }
}

/// A literal that both databases read.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Array(_) | Value::Object(_) => {
            format!("'{}'", value.to_string().replace('\'', "''"))
        }
        Value::Number(_) | Value::Bool(_) => value.to_string(),
    }
}

/// A migration's name, and its text for SQLite and for PostgreSQL.
macro_rules! released {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        )
    };
}

const RELEASED: [(&str, &str, &str); 5] = [
    released!("0001_publisher"),
    released!("0002_bounds"),
    released!("0003_queue"),
    released!("0004_held"),
    released!("0005_listed"),
];

impl Raw {
    /// Connects; a missing SQLite file is made. On PostgreSQL the tables' names need no schema.
    pub async fn connect(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            let options: SqliteConnectOptions = url.parse().unwrap();
            let options = options
                .create_if_missing(true)
                .busy_timeout(Duration::from_secs(30));
            return Self::Sqlite(options.connect().await.unwrap());
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql("SET search_path = publisher, public; SET TimeZone = 'UTC'")
            .execute(&mut connection)
            .await
            .unwrap();
        Self::Postgres(connection)
    }

    /// Makes the schema of that version, as it was released.
    pub async fn make_version(&mut self, version: usize) {
        for (place, (name, sqlite, postgres)) in RELEASED[..version].iter().enumerate() {
            let number = place + 1;
            let (schema, mark) = match self {
                Self::Sqlite(_) => (sqlite, format!("PRAGMA user_version = {number}")),
                Self::Postgres(_) => (
                    postgres,
                    format!(
                        "CREATE TABLE IF NOT EXISTS publisher.migrations (version bigint PRIMARY KEY, name text NOT NULL, \
                         applied_at timestamptz NOT NULL DEFAULT now()); \
                         INSERT INTO publisher.migrations (version, name) VALUES ({number}, '{name}')"
                    ),
                ),
            };
            self.run(schema).await;
            self.run(&mark).await;
        }
    }

    /// Runs statements that must go through.
    pub async fn run(&mut self, sql: &str) {
        self.try_run(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// Runs statements; what the database says against them.
    pub async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
            Self::Postgres(connection) => sqlx::raw_sql(sql).execute(connection).await.map(drop),
        }
    }

    /// A query's one column, which is text.
    pub async fn texts(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let rows = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_all(connection).await,
        };
        rows.unwrap()
    }

    /// A query's one number.
    pub async fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql.to_owned());
        let number = match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
        };
        number.unwrap()
    }

    /// Inserts a row and returns its id.
    pub async fn insert(&mut self, table: &str, row: &Value) -> i64 {
        self.try_insert(table, row)
            .await
            .unwrap_or_else(|e| panic!("{row}: {e}"))
    }

    /// Inserts a row, or says what the database has against it.
    pub async fn try_insert(&mut self, table: &str, row: &Value) -> Result<i64, sqlx::Error> {
        let row = row.as_object().expect("a row is an object");
        let names: Vec<String> = row.keys().map(|name| format!("\"{name}\"")).collect();
        let values: Vec<String> = row.values().map(literal).collect();
        let id = if row.contains_key("window") {
            "max"
        } else {
            "id"
        };
        let sql = AssertSqlSafe(format!(
            "INSERT INTO {table} ({}) VALUES ({}) RETURNING CAST({id} AS bigint)",
            names.join(", "),
            values.join(", ")
        ));
        match self {
            Self::Sqlite(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(sql).fetch_one(connection).await,
        }
    }

    /// An account of that owner on that platform.
    pub async fn account(&mut self, owner: &str, platform: &str) -> i64 {
        let row = json!({"owner": owner, "platform": platform, "external_id": Uuid::new_v4().to_string()});
        self.insert("accounts", &row).await
    }

    /// A pending post of that account, scheduled so many minutes ago.
    pub async fn post(&mut self, account: i64, minutes: i64) -> PostId {
        self.post_with(account, minutes, json!({})).await
    }

    /// The same with other columns.
    pub async fn post_with(&mut self, account: i64, minutes: i64, columns: Value) -> PostId {
        let mut row =
            json!({"account_id": account, "body": "hello", "scheduled_at": minutes_ago(minutes)});
        let Value::Object(columns) = columns else {
            panic!("columns are an object")
        };
        row.as_object_mut().unwrap().extend(columns);
        self.insert("posts", &row).await
    }

    /// So many pending posts of that account, all scheduled so many minutes ago.
    pub async fn posts(&mut self, account: i64, minutes: i64, count: u32) {
        let at = minutes_ago(minutes);
        let sql = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO posts (account_id, body, scheduled_at, due_at)
             SELECT {account}, 'one of many', {at}, {at} FROM n",
            at = match self {
                Self::Sqlite(_) => format!("'{at}'"),
                Self::Postgres(_) => format!("'{at}'::timestamptz"),
            }
        );
        self.run(&sql).await;
    }

    /// A post that was published so long before [`now`].
    pub async fn published(&mut self, account: i64, ago_: TimeDelta) -> PostId {
        let columns = json!({"status": "published", "published_at": ago(ago_)});
        self.post_with(account, 60 * 24 * 40, columns).await
    }

    /// A limit on publishing.
    pub async fn limit(&mut self, scope: &str, window: &str, max: i64) {
        let row = json!({"scope": scope, "window": window, "max": max});
        self.insert("limits", &row).await;
    }

    /// A whole table in the order of its first column, in one form for both databases: JSON columns as JSON, instants
    /// in UTC with all their digits.
    pub async fn table(&mut self, table: &str) -> Vec<Map<String, Value>> {
        let rows = match self {
            Self::Postgres(_) => {
                self.texts(&format!(
                    "SELECT to_jsonb(t)::text FROM {table} t ORDER BY 1"
                ))
                .await
            }
            Self::Sqlite(_) => {
                let columns = self
                    .texts(&format!("SELECT name FROM pragma_table_info('{table}')"))
                    .await;
                let pairs: Vec<String> =
                    columns.iter().map(|c| format!("'{c}', \"{c}\"")).collect();
                let pairs = pairs.join(", ");
                self.texts(&format!("SELECT json_object({pairs}) FROM {table}"))
                    .await
            }
        };
        let mut rows: Vec<Map<String, Value>> = rows.iter().map(|row| in_one_form(row)).collect();
        rows.sort_by_key(|row| row.get("id").and_then(Value::as_i64));
        rows
    }

    /// A row of `posts`.
    pub async fn post_row(&mut self, id: PostId) -> Map<String, Value> {
        self.row("posts", id).await
    }

    /// A row of `accounts`.
    pub async fn account_row(&mut self, id: i64) -> Map<String, Value> {
        self.row("accounts", id).await
    }

    async fn row(&mut self, table: &str, id: i64) -> Map<String, Value> {
        let rows = self.table(table).await;
        rows.into_iter()
            .find(|row| row["id"] == json!(id))
            .expect("the row is there")
    }

    /// The status of a post.
    pub async fn status(&mut self, id: PostId) -> String {
        let sql = format!("SELECT status FROM posts WHERE id = {id}");
        self.texts(&sql).await.remove(0)
    }

    /// PostgreSQL's counts of what a session read are out when the session is gone.
    pub async fn wait_for_the_stores_to_be_gone(&mut self) {
        let sessions = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = 'publisher'";
        while self.number(sessions).await > 0 {}
    }

    /// As if every run had ended, and a person had taken back what it claimed.
    pub async fn end_the_runs(&mut self) {
        let free = "status = 'canceled', lease_until = NULL";
        self.run(&format!(
            "UPDATE posts SET {free} WHERE status = 'publishing'"
        ))
        .await;
    }

    /// As if this one had.
    pub async fn end_the_run(&mut self, run: Uuid) {
        let free = "status = 'canceled', lease_until = NULL";
        self.run(&format!(
            "UPDATE posts SET {free} WHERE status = 'publishing' AND claim = '{run}'"
        ))
        .await;
    }

    /// Everything that is in the database.
    pub async fn dump(&mut self) -> Vec<Vec<Map<String, Value>>> {
        let mut tables = Vec::new();
        for table in ["accounts", "posts", "limits", "runs"] {
            tables.push(self.table(table).await);
        }
        tables
    }
}

fn in_one_form(row: &str) -> Map<String, Value> {
    let row: Map<String, Value> = serde_json::from_str(row).unwrap();
    let json_columns = [
        "media",
        "options",
        "history",
        "checkpoint",
        "settings",
        "platforms",
    ];
    row.into_iter()
        .map(|(name, value)| {
            let Value::String(text) = &value else {
                return (name, value);
            };
            let value = if json_columns.contains(&name.as_str()) {
                serde_json::from_str(text).unwrap_or(value)
            } else if name.ends_with("_at") || name.ends_with("_until") {
                DateTime::parse_from_rfc3339(text)
                    .map_or(value.clone(), |at| json!(instant_with_digits(at.to_utc())))
            } else {
                value
            };
            (name, value)
        })
        .collect()
}

/// As [`instant`], but nothing of a microsecond is lost.
fn instant_with_digits(at: DateTime<Utc>) -> String {
    if at.timestamp_subsec_micros().is_multiple_of(1_000) {
        instant(at)
    } else {
        at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }
}
