//! The SQLite back end: one connection, `BEGIN IMMEDIATE` for whatever writes, WAL switched on by the migration.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, Sqlite, SqliteConnection};

use super::{Access, Argument, Call, Columns, Recorded, StoreError, json_text, migrate};

/// How long a lock of another process is waited for. An application that holds one for seconds is no error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a goodbye may take: one that is blocked by another process changes nothing any more.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// `SQLITE_BUSY`.
const BUSY: u32 = 5;

#[derive(Debug)]
pub(super) struct Db {
    path: PathBuf,
    /// Which file was opened there.
    file: Option<FileId>,
    connection: SqliteConnection,
    /// Whether a transaction failed on the connection, or was given up: a COMMIT that met with an I/O error leaves it
    /// neither in one nor out of it, so it is not used again.
    is_spent: bool,
}

/// A file's device and number, which it keeps when it is moved.
type FileId = (u64, u64);

fn file_at(path: &Path) -> Option<FileId> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Db {
    pub(super) async fn open(path: &Path, create: bool) -> Result<Self, StoreError> {
        if !create && !path.exists() {
            return Err(StoreError::Configuration(format!(
                "there is no database at {}; create it with `publisher migrate`",
                path.display()
            )));
        }
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .busy_timeout(BUSY_TIMEOUT)
            // With WAL this loses nothing when the process dies; FULL also survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        if create {
            // Kept in the file. Set here only: the change needs a lock that no busy timeout waits for, so it is tried
            // again.
            options = options.journal_mode(SqliteJournalMode::Wal);
        }
        if create && !path.exists() {
            // Its posts and sealed tokens are nobody else's business. What is there already has the mode it was given.
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            if let Err(error) = made
                && error.kind() != ErrorKind::AlreadyExists
            {
                return Err(StoreError::Unavailable(format!(
                    "{} can't be made: {error}; does its directory exist, and may this user write there?",
                    path.display()
                )));
            }
        }
        let until = Instant::now() + BUSY_TIMEOUT;
        let connection = loop {
            match options.connect().await {
                Err(error) if create && code(&error) == BUSY && Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                connected => break connected.map_err(|e| explain(&e, path))?,
            }
        };
        Ok(Self {
            path: path.to_owned(),
            file: file_at(path),
            connection,
            is_spent: false,
        })
    }

    /// An open file stays open when it is moved away or replaced, and what is written then reaches nobody: the next run
    /// would find everything as it was, and send it again. So whatever is at the path now is the database.
    async fn follow_path(&mut self) -> Result<(), StoreError> {
        let shown = self.path.display();
        let found = file_at(&self.path);
        if found.is_none() {
            return Err(StoreError::Unavailable(format!(
                "{shown} was moved or removed while it was in use; put it back"
            )));
        }
        let is_other = found != self.file;
        if is_other {
            tracing::warn!("another file is at {shown} now; this run goes on with that one");
        }
        if is_other || self.is_spent {
            *self = Self::open(&self.path, false).await?;
        }
        Ok(())
    }

    pub(super) async fn transaction(
        &mut self,
        access: Access,
        calls: &[Call<'_>],
        each: &mut dyn FnMut(usize, &dyn Columns),
    ) -> Result<(), StoreError> {
        if access != Access::Reads {
            self.follow_path().await?;
        }
        let begin = match access {
            Access::Reads => "BEGIN",
            Access::Writes | Access::WritesAgain => "BEGIN IMMEDIATE",
        };
        let work = async {
            let mut transaction = self.connection.begin_with(begin).await?;
            for (place, call) in calls.iter().enumerate() {
                tracing::debug!(statement = call.sql.name, "database");
                let query = bound(call);
                let mut rows = query.fetch(&mut *transaction);
                while let Some(row) = rows.try_next().await? {
                    each(place, &row);
                }
            }
            transaction.commit().await
        };
        let was_spent = std::mem::replace(&mut self.is_spent, true);
        let result = work.await.map_err(|e: sqlx::Error| explain(&e, &self.path));
        self.is_spent = was_spent || result.is_err();
        result
    }

    /// One statement that only reads one text at most; it is a transaction of its own.
    pub(super) async fn read(&mut self, call: &Call<'_>) -> Result<Option<String>, StoreError> {
        tracing::debug!(statement = call.sql.name, "database");
        let row = bound(call).fetch_optional(&mut self.connection).await;
        let text = row.and_then(|row| row.map_or(Ok(None), |row| row.text(0)));
        text.map_err(|e| explain(&e, &self.path))
    }

    /// The schema's version, 0 if there is none.
    pub(super) async fn version(&mut self) -> Result<i64, StoreError> {
        version(&mut self.connection)
            .await
            .map_err(|e| explain(&e, &self.path))
    }

    /// Applies what is missing; returns the version that was there before.
    pub(super) async fn migrate(mut self) -> Result<i64, StoreError> {
        let work = async {
            let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            let found = version(&mut transaction).await?;
            for (place, migration) in migrate::missing(found).iter().enumerate() {
                let version = found + 1 + i64::try_from(place).expect("there are few migrations");
                sqlx::raw_sql(migration.sqlite)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {version}")))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(found)
        };
        let found = work
            .await
            .map_err(|e: sqlx::Error| explain(&e, &self.path))?;
        self.close().await;
        Ok(found)
    }

    pub(super) async fn close(self) {
        // Everything is committed; closing folds the WAL back, and if it can't, the next opener does.
        tokio::time::timeout(CLOSE_TIMEOUT, self.connection.close())
            .await
            .ok();
    }
}

fn bound<'a>(call: &'a Call<'_>) -> Query<'a, Sqlite, SqliteArguments> {
    let query = sqlx::query(call.sql.sqlite).persistent(false);
    match &call.argument {
        Argument::Json(argument) => query.bind(argument.as_str()),
        &Argument::Published(claim, rows) => query.bind(json_text(&Recorded {
            claim,
            rows,
            accounts: &[],
        })),
    }
}

impl Columns for SqliteRow {
    fn text(&self, at: usize) -> Result<Option<String>, sqlx::Error> {
        // As bytes: SQLite does not check that text is UTF-8, and one broken row must not fail the statement.
        let text: Option<Vec<u8>> = self.try_get(at)?;
        Ok(text.map(lossy))
    }

    fn number(&self, at: usize) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(at)
    }

    fn instant(&self, at: usize) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        self.try_get(at)
    }
}

fn lossy(text: Vec<u8>) -> String {
    String::from_utf8(text)
        .unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version")
        .persistent(false)
        .fetch_one(connection)
        .await
}

/// SQLite's primary result code, which is the low byte of the extended one (<https://www.sqlite.org/rescode.html>); 0 if
/// the error is none of the database's.
fn code(error: &sqlx::Error) -> u32 {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let extended = code.and_then(|code| code.parse::<u32>().ok());
    extended.unwrap_or_default() & 0xff
}

/// What an error means for the run.
fn explain(error: &sqlx::Error, path: &Path) -> StoreError {
    let path = path.display();
    let Some(database_error) = error.as_database_error() else {
        return StoreError::Unavailable(format!("{path}: {error}"));
    };
    let message = database_error.message();
    match code(error) {
        // SQLITE_ERROR: a table or a column that is not there.
        1 => StoreError::Configuration(format!(
            "{path} has another program's or another version's schema ({message}); bring it up to date with `publisher migrate`"
        )),
        8 => StoreError::Unavailable(format!("{path} is read-only ({message})")),
        // SQLITE_CORRUPT, SQLITE_NOTADB.
        11 | 26 => StoreError::Configuration(format!(
            "{path} is not a sound SQLite database ({message}); name another file with --database-url"
        )),
        14 => StoreError::Unavailable(format!(
            "{path} can't be opened ({message}); does its directory exist, and may this user write there?"
        )),
        // SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_TOOBIG.
        18..=20 => StoreError::Refused(message.to_owned()),
        _ => StoreError::Unavailable(format!("{path}: {message}")),
    }
}
