//! The PostgreSQL back end: one bare connection, no pool, nothing left behind in the session.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres, Row};
use tokio::time::timeout;

use super::{Access, Argument, Call, Columns, PublishedRow, StoreError, migrate};

mod url;

pub use url::PostgresUrl;

/// Longer than the server's own `statement_timeout` below, so that the server ends it first where it can.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(40);

/// Settings that end with the transaction, sent with BEGIN in one round trip: a session setting would stay in a pooled
/// connection for strangers. A sequential scan is never wanted here, whatever the statistics say right after an
/// import; compiling a millisecond's query takes longer than the query. The statements are made for READ COMMITTED:
/// at any other level, which the server may have for its default, two runs at once would fail each other. Names without
/// a schema are the server's own: where others may create functions in `public`, theirs would run with our rights.
const SETTINGS: &str = "SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '30s'; SET LOCAL idle_in_transaction_session_timeout = '60s'; \
                        SET LOCAL jit = off; SET LOCAL enable_seqscan = off";

#[derive(Debug)]
pub(super) struct Server {
    url: PostgresUrl,
    /// `None` after a fault: a connection that failed half-way, or whose work was given up, is dropped, never used again.
    connection: Option<PgConnection>,
}

impl Server {
    pub(super) async fn connect(url: &PostgresUrl) -> Result<Self, StoreError> {
        let mut server = Self {
            url: url.clone(),
            connection: None,
        };
        server.connection().await?;
        Ok(server)
    }

    async fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        if self.connection.is_none() {
            self.connection = Some(connect(&self.url).await?);
        }
        Ok(self.connection.as_mut().expect("it was set just above"))
    }

    pub(super) async fn transaction(
        &mut self,
        access: Access,
        calls: &[Call<'_>],
        each: &mut dyn FnMut(usize, &dyn Columns),
    ) -> Result<(), StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.url).await?,
        };
        let work = async {
            let begin = match access {
                Access::Reads => "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
                Access::Writes => "BEGIN ISOLATION LEVEL READ COMMITTED",
                Access::WritesAgain => {
                    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'"
                }
            };
            let mut transaction = connection
                .begin_with(AssertSqlSafe(format!("{begin}; {SETTINGS}")))
                .await?;
            for (place, call) in calls.iter().enumerate() {
                tracing::debug!(statement = call.sql.name, "database");
                let query = bound(call);
                let mut rows = query.fetch(&mut *transaction);
                let told = async {
                    while let Some(row) = rows.try_next().await? {
                        each(place, &row);
                    }
                    Ok(())
                };
                let told: Result<(), sqlx::Error> = told.await;
                drop(rows);
                if let Err(error) = told {
                    // The server tells an error before it lets go of the rows: who asks again must not find them held.
                    if error.as_database_error().is_some() {
                        transaction.rollback().await.ok();
                    }
                    return Err(error);
                }
            }
            transaction.commit().await
        };
        let error = match timeout(TRANSACTION_TIMEOUT, work).await {
            Ok(Ok(())) => {
                self.connection = Some(connection);
                return Ok(());
            }
            Ok(Err(error)) => explain(&error, &self.url),
            Err(_) => StoreError::Unavailable(format!("{:?} did not answer within 40 s", self.url)),
        };
        Err(error)
    }

    /// The schema's version, 0 if there is none.
    pub(super) async fn version(&mut self) -> Result<i64, StoreError> {
        let url = self.url.clone();
        let connection = self.connection().await?;
        let work = async {
            let mut transaction = connection.begin_with("BEGIN READ ONLY").await?;
            version(&mut transaction).await
        };
        work.await.map_err(|e| explain(&e, &url))
    }

    /// Applies what is missing; returns the version that was there before.
    pub(super) async fn migrate(mut self) -> Result<i64, StoreError> {
        let url = self.url.clone();
        let connection = self.connection().await?;
        let work = async {
            let mut transaction = connection.begin().await?;
            let found = version(&mut transaction).await?;
            if migrate::missing(found).is_empty() {
                return Ok(found);
            }
            // The lock ends with the transaction. Its number is this program's own, but any role can take it.
            sqlx::raw_sql(
                "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '30s'; SET LOCAL statement_timeout = '10min'; \
                 SELECT pg_advisory_xact_lock(5067418302415)",
            )
            .execute(&mut *transaction)
            .await?;
            let found = version(&mut transaction).await?;
            for (place, migration) in migrate::missing(found).iter().enumerate() {
                sqlx::raw_sql(migration.postgres)
                    .execute(&mut *transaction)
                    .await?;
                let create = "CREATE TABLE IF NOT EXISTS publisher.migrations \
                              (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()); \
                              COMMENT ON TABLE publisher.migrations IS 'Which versions of the schema were applied.'; \
                              COMMENT ON COLUMN publisher.migrations.version IS 'The version.'; \
                              COMMENT ON COLUMN publisher.migrations.name IS 'Its name.'; \
                              COMMENT ON COLUMN publisher.migrations.applied_at IS 'When it was applied.'; \
                              REVOKE ALL ON publisher.migrations FROM PUBLIC; \
                              ALTER TABLE publisher.migrations ENABLE ROW LEVEL SECURITY";
                sqlx::raw_sql(create).execute(&mut *transaction).await?;
                sqlx::query("INSERT INTO publisher.migrations (version, name) VALUES ($1, $2)")
                    .persistent(false)
                    .bind(found + 1 + i64::try_from(place).expect("there are few migrations"))
                    .bind(migration.name)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(found)
        };
        work.await.map_err(|e: sqlx::Error| explain(&e, &url))
    }

    pub(super) async fn close(self) {
        if let Some(connection) = self.connection {
            // The work is done; a goodbye that fails or takes long changes nothing.
            timeout(Duration::from_secs(1), connection.close())
                .await
                .ok();
        }
    }
}

fn column<'a, T>(rows: &'a [PublishedRow<'a>], of: impl Fn(&'a PublishedRow<'a>) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// The statement with its parameters, unnamed as poolers need it.
fn bound<'a>(call: &'a Call<'_>) -> Query<'a, Postgres, PgArguments> {
    let query = sqlx::query(call.sql.postgres).persistent(false);
    let (claim, rows) = match &call.argument {
        Argument::Json(argument) => return query.bind(argument.as_str()),
        Argument::Published(claim, rows) => (claim, *rows),
    };
    query
        .bind(claim.to_string())
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.platform_post_id.as_ref()))
        .bind(column(rows, |row| row.permalink.as_deref()))
        .bind(column(rows, |row| row.published_at))
        .bind(column(rows, |row| row.attempts))
        .bind(column(rows, |row| row.entry.get()))
}

impl Columns for PgRow {
    fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error> {
        self.try_get(at)
    }

    fn number(&self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(at)
    }

    fn instant(&self, at: usize) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        self.try_get(at)
    }
}

/// A session with the first host that gives one, and takes changes where there is a choice.
async fn connect(url: &PostgresUrl) -> Result<PgConnection, StoreError> {
    let mut last = None;
    for options in &url.hosts {
        let seconds = url.connect_timeout.as_secs();
        let session = timeout(url.connect_timeout, session(options, url));
        let why = match session.await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) => why,
            Err(_) => StoreError::Unavailable(format!("{url:?} did not answer within {seconds} s")),
        };
        // What a person must mend says more than that another host is away.
        if !matches!(last, Some(StoreError::Configuration(_))) {
            last = Some(why);
        }
    }
    Err(last.expect("a URL names a host"))
}

async fn session(
    options: &PgConnectOptions,
    url: &PostgresUrl,
) -> Result<PgConnection, StoreError> {
    let refused = |error: sqlx::Error| match explain(&error, url) {
        // Without a session there is no row and no other session to be at fault.
        StoreError::Refused(why) | StoreError::Contended(why) => StoreError::Unavailable(why),
        error => error,
    };
    let mut connection = options.connect().await.map_err(refused)?;
    if url.asks_for_primary {
        let read_only: String = sqlx::query_scalar("SHOW transaction_read_only")
            .persistent(false)
            .fetch_one(&mut connection)
            .await
            .map_err(refused)?;
        if read_only == "on" {
            connection.close().await.ok();
            return Err(StoreError::Unavailable(format!(
                "{url:?}: no host takes changes (standbys, or set to be read-only)"
            )));
        }
    }
    Ok(connection)
}

async fn version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    // In the catalogue itself: what a session keeps of it may be older than the lock that it has just waited for.
    let table = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 WHERE n.nspname = 'publisher' AND c.relname = 'migrations')";
    let there: bool = sqlx::query_scalar(table)
        .persistent(false)
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM publisher.migrations")
        .persistent(false)
        .fetch_one(connection)
        .await
}

/// What an error means for the run. Passwords are in none of these messages.
fn explain(error: &sqlx::Error, url: &PostgresUrl) -> StoreError {
    let Some(database_error) = error.as_database_error() else {
        return match without_trust(error) {
            Some(why) => StoreError::Configuration(format!("{url:?}: {why}")),
            None => StoreError::Unavailable(format!("{url:?} can't be reached: {error}")),
        };
    };
    let code = database_error.code().unwrap_or_default().into_owned();
    let server = database_error.try_downcast_ref::<PgDatabaseError>();
    let detail = server
        .and_then(PgDatabaseError::detail)
        .map(|detail| format!(" ({})", crate::text::one_line(detail, 200)))
        .unwrap_or_default();
    let message = format!("{} [{code}]{detail}", database_error.message());
    if server.is_some_and(is_of_an_application) {
        return StoreError::Refused(message);
    }
    match code.as_str() {
        "3F000" | "42P01" | "42703" | "42883" => StoreError::Configuration(format!(
            "{url:?} has no publisher schema, or another version's ({message}); bring it up to date with `publisher migrate`"
        )),
        "42501" | "3D000" => StoreError::Configuration(format!("{url:?}: {message}")),
        "25006" => StoreError::Unavailable(format!(
            "{url:?} is read-only ({message}): a standby, or a server that was set so; DATABASE_URL must lead to the primary"
        )),
        "57014" => StoreError::Contended(format!("{url:?}: {message}")),
        _ => match code.get(..2) {
            Some("28") => {
                StoreError::Configuration(format!("{url:?} refuses the login: {message}"))
            }
            // Conflicts, deadlocks, locks, and internal errors such as a tuple that is updated concurrently.
            Some("40" | "55" | "XX") => StoreError::Contended(format!("{url:?}: {message}")),
            // The server's or the connection's state, which may pass.
            None | Some("08" | "25" | "26" | "2D" | "34" | "53" | "57" | "58" | "72" | "F0") => {
                StoreError::Unavailable(format!("{url:?}: {message}"))
            }
            // Integrity and data errors, and whatever an application's trigger may say: something in a row.
            Some(_) => StoreError::Refused(message),
        },
    }
}

/// Why the server can't be trusted with a login, and what to do, if it is that.
fn without_trust(error: &sqlx::Error) -> Option<String> {
    let advice = "give its CA with ?sslrootcert=FILE (from the provider's page), or say ?sslmode=require to encrypt without \
                  asking who answers, or ?sslmode=disable where the way to it is private";
    match error {
        sqlx::Error::Configuration(why) => Some(why.to_string()),
        sqlx::Error::Tls(why) => Some(format!("{why}; {advice}")),
        sqlx::Error::Io(fault) => {
            let why = fault.get_ref()?.downcast_ref::<rustls::Error>()?;
            let is_certificate = matches!(why, rustls::Error::InvalidCertificate(_));
            is_certificate.then(|| format!("its certificate can't be trusted ({why}); {advice}"))
        }
        _ => None,
    }
}

/// Whether a fault in an application's own trigger or policy speaks, which would else look like one in the schema.
fn is_of_an_application(error: &PgDatabaseError) -> bool {
    let is_policy = error.code() == "42501" && error.routine() == Some("ExecWithCheckOptions");
    let is_trigger = error.code().starts_with("42")
        && error
            .r#where()
            .is_some_and(|place| place.contains("function ") && !place.contains("publisher."));
    is_policy || is_trigger
}
