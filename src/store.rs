//! The database: one store, two back ends.
//!
//! Nearly every statement takes one parameter, a JSON object, and returns rows of one text column (JSON or an id). So the
//! Rust is the same for both back ends and only the SQL differs: `store/postgres/*.sql` and `store/sqlite/*.sql` hold
//! the same names, and `diff -r` is the review. What there are thousands of is typed: a claim returns columns
//! (`claimed.rs`), and what was published goes to PostgreSQL as a list for each column (`rows.rs`). Everything runs in
//! explicit transactions with unnamed statements, which is what poolers in transaction mode need.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::account::{Account, AccountId};
use crate::post::{ClaimedPost, PostId};

mod claimed;
pub mod migrate;
mod postgres;
mod rows;
mod sqlite;

use claimed::{Columns, Reader};
pub use postgres::PostgresUrl;
pub use rows::{PublishedRow, Row, SettledRow};
pub(crate) use rows::{as_instant, without_nul};

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Database {
    /// A PostgreSQL URL. It holds a password: never shown.
    Postgres(PostgresUrl),
    /// A file.
    Sqlite(PathBuf),
}

impl Database {
    /// Names it without secrets, and the same from every working directory.
    pub fn name(&self) -> String {
        match self {
            Self::Postgres(url) => url.name(),
            Self::Sqlite(path) => {
                let whole = path
                    .canonicalize()
                    .or_else(|_| std::path::absolute(path))
                    .unwrap_or_else(|_| path.clone());
                format!("sqlite:{}", whole.display())
            }
        }
    }
}

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres(url) => write!(f, "{url:?}"),
            Self::Sqlite(path) => write!(f, "{}", path.display()),
        }
    }
}

impl std::str::FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = unquoted(text);
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(
                "it has no scheme; use postgres://USER:PASSWORD@HOST/DATABASE or sqlite:PATH"
                    .to_owned(),
            );
        };
        // SQLAlchemy adds the name of a driver.
        match scheme.split('+').next().unwrap_or_default() {
            "postgres" | "postgresql" => Ok(Self::Postgres(url.parse()?)),
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                let path = path.split('?').next().unwrap_or_default();
                if path.is_empty() || path == ":memory:" {
                    return Err("an SQLite database needs a file: sqlite:PATH".to_owned());
                }
                Ok(Self::Sqlite(PathBuf::from(path)))
            }
            _ => Err(format!(
                "`{scheme}` is not a database this program knows; use postgres://USER:PASSWORD@HOST/DATABASE or sqlite:PATH"
            )),
        }
    }
}

/// Without the blanks and the quotes around it that the files of environments keep.
pub fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text).trim()
}

/// Why the database did not do as asked, as a decision.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Not reached, read-only, too busy: the same may work later.
    #[error("{0}")]
    Unavailable(String),
    /// Another session was in the way: a lock, a deadlock, a conflict. Nothing was written; the same may work at once.
    #[error("{0}")]
    Contended(String),
    /// A person must change something first: the URL, the rights, the schema.
    #[error("{0}")]
    Configuration(String),
    /// It refused what was written, perhaps because of one row.
    #[error("{0}")]
    Refused(String),
}

/// One statement in both dialects.
struct Sql {
    name: &'static str,
    postgres: &'static str,
    sqlite: &'static str,
}

/// Declares a statement from the files of that name in both folders, one after the other; SQLite's may be other ones.
macro_rules! sql {
    ($name:literal, $($file:literal),+) => {
        sql!($name, $($file),+; sqlite $($file),+)
    };
    ($name:literal, $($file:literal),+; sqlite $($sqlite:literal),+) => {
        Sql {
            name: $name,
            postgres: concat!($(include_str!(concat!("store/postgres/", $file, ".sql"))),+),
            sqlite: concat!($(include_str!(concat!("store/sqlite/", $sqlite, ".sql"))),+),
        }
    };
}

/// On PostgreSQL the claim is parsed and planned only if something is due; see `publisher.claim_due` in the migrations.
static CLAIM: Sql = Sql {
    postgres: concat!(
        "SELECT * FROM publisher.claim_due($1::jsonb, $claim$",
        include_str!("store/postgres/due.sql"),
        include_str!("store/postgres/claim.sql"),
        "$claim$)"
    ),
    ..sql!("claim", "due", "claim"; sqlite "clock", "few", "due", "claim")
};
/// SQLite prepares a statement anew for every run, and this one takes ten times as long.
static CLAIM_OF_MANY: Sql = Sql {
    postgres: CLAIM.postgres,
    ..sql!("claim", "due", "claim"; sqlite "clock", "many", "due", "claim")
};
static LOOK: Sql = sql!("look", "look");
static PREVIEW: Sql = sql!("preview", "due", "preview"; sqlite "clock", "few", "due", "preview");
static RENEW: Sql = sql!("renew", "renew");
static RUN: Sql = sql!("run", "run");
static PUBLISHED: Sql = sql!("published", "published");
static SETTLED: Sql = sql!("settled", "settled");
static STANDING: Sql = sql!("standing", "standing");
static ACCOUNTS_ADD: Sql = sql!("accounts_add", "accounts_add");
static ACCOUNTS_LIST: Sql = sql!("accounts_list", "accounts_list");
static ACCOUNTS_OPEN: Sql = sql!("accounts_open", "accounts_open");
static BLOCKS_CLEAR: Sql = sql!("blocks_clear", "blocks_clear");
static LIMITS_CLEAR: Sql = sql!("limits_clear", "limits_clear");
static LIMITS_LIST: Sql = sql!("limits_list", "limits_list");
static LIMITS_SET: Sql = sql!("limits_set", "limits_set");
static TOKEN_HOLD: Sql = sql!("token_hold", "token_hold");
static TOKEN_LET_GO: Sql = sql!("token_let_go", "token_let_go");
static OLD_POSTS: Sql = sql!("old_posts", "old_posts");
static OLD_RUNS: Sql = sql!("old_runs", "old_runs");
static PRUNE_POSTS: Sql = sql!("prune_posts", "prune_posts");
static PRUNE_RUNS: Sql = sql!("prune_runs", "prune_runs");
static POSTS_ADD: Sql = sql!("posts_add", "posts_add");
static POSTS_CHANGE: Sql = sql!("posts_change", "posts_change");
static POSTS_LIST: Sql = sql!("posts_list", "posts_list");
static POSTS_UNSETTLED: Sql = sql!("posts_unsettled", "posts_unsettled");
static STATS: Sql = sql!("stats", "stats");

/// A statement and its parameters.
struct Call<'a> {
    sql: &'static Sql,
    argument: Argument<'a>,
}

enum Argument<'a> {
    /// One, a JSON object.
    Json(String),
    /// What was published by a claim: on PostgreSQL a list per column.
    Published(Uuid, &'a [PublishedRow<'a>]),
}

impl<'a> Call<'a> {
    fn new(sql: &'static Sql, argument: &impl Serialize) -> Self {
        let argument = Argument::Json(json_text(argument));
        Self { sql, argument }
    }

    fn published(claim: Uuid, rows: &'a [PublishedRow<'a>]) -> Self {
        Self {
            sql: &PUBLISHED,
            argument: Argument::Published(claim, rows),
        }
    }
}

fn json_text(argument: &impl Serialize) -> String {
    serde_json::to_string(argument).expect("names and JSON values can be written")
}

/// Whether a transaction writes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Reads,
    Writes,
    /// It writes, and is tried again: it waits for no lock for long.
    WritesAgain,
}

/// What a claim is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The run.
    pub run: Uuid,
    /// Instead of the database's clock (tests, `--now`).
    pub now: Option<DateTime<Utc>>,
    /// At most so many posts.
    pub limit: u32,
    /// The default window after which a post is dropped; at most seven days count.
    pub expiry: Duration,
    /// How long the claim holds.
    pub lease: Duration,
    /// Only these platforms, if any are named.
    pub platforms: Vec<String>,
    /// Only these owners, if any are named.
    pub owners: Vec<String>,
    /// Not of these, as `account:7` or `platform:linkedin`.
    pub spared: Vec<String>,
    /// How many posts the platforms allow, as [`crate::limits::quotas`] has it.
    pub quotas: Value,
}

impl Request {
    fn argument(&self) -> Value {
        let unless_empty = |names: &[String]| {
            if names.is_empty() {
                Value::Null
            } else {
                json!(names)
            }
        };
        json!({
            "claim": self.run,
            "now": self.now.map(instant),
            "schema": migrate::version(),
            "limit": self.limit,
            "expiry_seconds": self.expiry.as_secs_f64(),
            "lease_seconds": self.lease.as_secs_f64(),
            "platforms": unless_empty(&self.platforms),
            "owners": unless_empty(&self.owners),
            "quotas": self.quotas,
            "spared": unless_empty(&self.spared),
        })
    }
}

/// What a claim brought.
#[derive(Debug)]
pub struct Claim {
    /// The database's clock at that moment; `None` if it brought nothing and the database did not say.
    pub now: Option<DateTime<Utc>>,
    /// The posts, in the order in which they go out.
    pub posts: Vec<ClaimedPost>,
}

/// What a run now would do.
#[derive(Debug)]
pub struct Preview {
    /// The database's clock at that moment.
    pub now: Option<DateTime<Utc>>,
    /// Every due post in order, and what holds it back.
    pub posts: Vec<(ClaimedPost, Option<String>)>,
}

/// What a commit writes; see `commit.rs`.
#[derive(Clone, Debug, Default)]
pub struct Outcomes<'a> {
    /// The run's own row, which also marks this commit as done; `None` for a part of one.
    pub run: Option<Value>,
    /// Rows of `published.sql`, by id.
    pub published: Vec<PublishedRow<'a>>,
    /// Rows of `settled.sql`, by id.
    pub settled: Vec<SettledRow>,
    /// What the outcomes say about accounts.
    pub accounts: Vec<Value>,
}

/// What the statements of a commit take in one parameter.
#[derive(Serialize)]
struct Recorded<'a, T> {
    claim: Uuid,
    rows: &'a [T],
    accounts: &'a [Value],
}

/// An account's token as it is stored, held by this run.
#[derive(Debug, Deserialize)]
pub struct Hold {
    /// Sealed.
    pub credentials: String,
    /// When the access token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
}

/// What a commit did.
#[derive(Debug, PartialEq, Eq)]
pub enum Committed {
    /// These posts were updated; those that are missing were no longer ours.
    Now(Vec<PostId>),
    /// An earlier try of this commit went through, although its answer was lost.
    Before,
}

/// What may be removed when it is old. Each is walked through in the order of an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// Settled posts: published, failed, expired, canceled.
    Posts,
    /// Runs.
    Runs,
}

/// The next of what is old.
#[derive(Debug, Deserialize)]
pub struct OldPage {
    /// What has not changed since then is old.
    pub before: Value,
    /// How many were looked at: fewer than were asked for at the end.
    pub seen: usize,
    /// What may go.
    pub ids: Vec<Value>,
    /// What stays although it is old.
    #[serde(default)]
    pub kept: Kept,
    /// Where it ended, for the page after it.
    pub next: Value,
}

/// How many posts stay although they are old.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Kept {
    /// Their `external_ref` keeps an import from making them again.
    pub external_ref: usize,
    /// Another post of their group is not through.
    pub group: usize,
    /// A foreign key refers to them.
    pub referred: usize,
}

/// An open database.
#[derive(Debug)]
pub struct Store {
    backend: Backend,
    statements: u32,
}

#[derive(Debug)]
enum Backend {
    Postgres(postgres::Server),
    Sqlite(sqlite::Db),
}

impl Store {
    /// Opens the database. On PostgreSQL this connects and no more; an SQLite file must exist and have this version's
    /// schema.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let backend = match database {
            Database::Postgres(url) => Backend::Postgres(postgres::Server::connect(url).await?),
            Database::Sqlite(path) => {
                let mut sqlite = sqlite::Db::open(path, false).await?;
                migrate::compare(sqlite.version().await?, &database.to_string())?;
                Backend::Sqlite(sqlite)
            }
        };
        Ok(Self {
            backend,
            statements: 0,
        })
    }

    /// How many statements ran, transaction control apart. The look that precedes a claim is part of it.
    pub fn statements(&self) -> u32 {
        self.statements
    }

    /// Claims what is due: one statement, which also checks the schema.
    pub async fn claim(&mut self, request: &Request) -> Result<Claim, StoreError> {
        let Some(claim) = self.look(request).await? else {
            self.statements += 1;
            let posts = Vec::new();
            return Ok(Claim { now: None, posts });
        };
        let mut claimed = self.due(claim, Access::WritesAgain, request).await?;
        Ok(Claim {
            now: claimed.now,
            posts: claimed.finish(),
        })
    }

    /// Which claim is worth its preparation and, on SQLite, the lock; `None` if nothing is due. On PostgreSQL the claim
    /// itself looks first.
    async fn look(&mut self, request: &Request) -> Result<Option<&'static Sql>, StoreError> {
        let Backend::Sqlite(sqlite) = &mut self.backend else {
            return Ok(Some(&CLAIM));
        };
        let look = Call::new(&LOOK, &request.argument());
        let found = sqlite.read(&look).await?;
        Ok(found.map(|due| match due.as_str() {
            "many" => &CLAIM_OF_MANY,
            _ => &CLAIM,
        }))
    }

    /// What a claim would find, without claiming it: reads only.
    pub async fn preview(&mut self, request: &Request) -> Result<Preview, StoreError> {
        // All of it, however much is due.
        let whole = Request {
            limit: u32::MAX,
            ..request.clone()
        };
        let mut found = self.due(&PREVIEW, Access::Reads, &whole).await?;
        let posts = found.finish().into_iter();
        let posts = posts.map(|post| {
            let held_by = found.held_by.remove(&post.id);
            (post, held_by)
        });
        Ok(Preview {
            posts: posts.collect(),
            now: found.now,
        })
    }

    /// Reads what a claim or a preview brings.
    async fn due(
        &mut self,
        sql: &'static Sql,
        access: Access,
        request: &Request,
    ) -> Result<Reader, StoreError> {
        let calls = [Call::new(sql, &request.argument())];
        let mut reader = Reader::default();
        let each = &mut |_, row: &dyn Columns| reader.read(row);
        self.rows(access, &calls, each).await?;
        if reader.has_rows {
            migrate::compare(reader.schema.unwrap_or_default(), "the database")?;
        }
        Ok(reader)
    }

    /// Lets these claims hold so long from now on (the database's clock, unless `now` says otherwise). Returns the posts
    /// that are still theirs.
    pub async fn renew(
        &mut self,
        claims: &[Uuid],
        lease: Duration,
        now: Option<DateTime<Utc>>,
    ) -> Result<HashSet<PostId>, StoreError> {
        let argument = json!({
            "claims": claims, "now": now.map(instant), "lease_seconds": lease.as_secs_f64(),
        });
        let rows = self.query(&RENEW, Access::WritesAgain, &argument).await?;
        Ok(rows.into_iter().collect())
    }

    /// Records a run's outcomes: its own row and two bulk UPDATEs, in one transaction.
    pub async fn commit(
        &mut self,
        run: Uuid,
        outcomes: &Outcomes<'_>,
    ) -> Result<Committed, StoreError> {
        // The rows are borrowed: there may be thousands, and they are as large as the posts.
        let settled = Recorded {
            claim: run,
            rows: outcomes.settled.as_slice(),
            accounts: &outcomes.accounts,
        };
        let mut calls = vec![
            Call::published(run, &outcomes.published),
            Call::new(&SETTLED, &settled),
        ];
        if !outcomes.accounts.is_empty() && !STANDING.dialect(&self.backend).is_empty() {
            let rows = &[];
            calls.push(Call::new(&STANDING, &Recorded { rows, ..settled }));
        }
        // The last, so that the others can tell whether it was there before.
        if let Some(record) = &outcomes.run {
            calls.push(Call::new(&RUN, record));
        }
        let rows = self.transaction(Access::WritesAgain, &calls).await?;
        if outcomes.run.is_some() && rows.last().is_some_and(Vec::is_empty) {
            return Ok(Committed::Before);
        }
        let ids = rows[0]
            .iter()
            .chain(&rows[1])
            .filter_map(|id| id.parse().ok());
        Ok(Committed::Now(ids.collect()))
    }

    /// Adds an account, or gives an existing one new credentials; returns `{id, status}`.
    pub async fn add_account(
        &mut self,
        account: &crate::account::NewAccount,
    ) -> Result<Value, StoreError> {
        let argument = json!({
            "owner": account.owner, "platform": account.platform, "external_id": account.external_id,
            "display_name": account.display_name, "timezone": account.timezone,
            "credentials": account.credentials, "token_expires_at": account.token_expires_at.map(instant),
            "settings": account.settings,
        });
        let rows: Vec<Value> = self.query(&ACCOUNTS_ADD, Access::Writes, &argument).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| StoreError::Refused("the account was not added".to_owned()))
    }

    /// Every account that matches, without credentials: `{id, owner, platform, external_id, display_name, timezone,
    /// status, blocked_until, blocked_reason, token_expires_at, has_credentials, pending, settings, created_at}`.
    /// The filter is an object with `owner` and `platform`, each null or a name, and with `count_to`, if `pending` is to be
    /// counted: at most so many are, and without it `pending` is null.
    pub async fn accounts(&mut self, filter: &Value) -> Result<Vec<Value>, StoreError> {
        self.query(&ACCOUNTS_LIST, Access::Reads, filter).await
    }

    /// Every account that matches, with its sealed credentials and its status. The filter is an object with `id`,
    /// `owner` and `platform`, each null or a value.
    pub async fn open_accounts(
        &mut self,
        filter: &Value,
    ) -> Result<Vec<(Account, String)>, StoreError> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(flatten)]
            account: Account,
            status: String,
        }
        let rows: Vec<Row> = self.query(&ACCOUNTS_OPEN, Access::Reads, filter).await?;
        let pairs = rows.into_iter().map(|row| (row.account, row.status));
        Ok(pairs.collect())
    }

    /// Every rule of the table `limits`: `{scope, action, window, max, used}`.
    pub async fn limits(&mut self) -> Result<Vec<Value>, StoreError> {
        self.query(&LIMITS_LIST, Access::Reads, &json!({})).await
    }

    /// Removes the rules of a scope, or the one of a window; returns those that were there.
    pub async fn clear_limits(
        &mut self,
        scope: &str,
        window: Option<&str>,
    ) -> Result<Vec<Value>, StoreError> {
        let argument = json!({"scope": scope, "window": window});
        self.query(&LIMITS_CLEAR, Access::Writes, &argument).await
    }

    /// Lifts the blocks of a scope's accounts; returns the accounts that had one.
    pub async fn clear_blocks(&mut self, scope: &str) -> Result<Vec<AccountId>, StoreError> {
        let argument = json!({"scope": scope});
        self.query(&BLOCKS_CLEAR, Access::Writes, &argument).await
    }

    /// Takes hold of an account's token, to refresh it; `None` while another run has it. A hold ends by itself after
    /// two minutes: longer than a refresh takes.
    pub async fn hold_token(
        &mut self,
        account: AccountId,
        run: Uuid,
    ) -> Result<Option<Hold>, StoreError> {
        let argument = json!({"account": account, "run": run});
        let rows = self.query(&TOKEN_HOLD, Access::Writes, &argument).await?;
        Ok(rows.into_iter().next())
    }

    /// Lets go of it, and saves a new one, sealed, with its end. A run that no longer has it changes nothing.
    pub async fn let_go_of_token(
        &mut self,
        account: AccountId,
        run: Uuid,
        new: Option<(&str, Option<DateTime<Utc>>)>,
    ) -> Result<(), StoreError> {
        let argument = json!({
            "account": account, "run": run, "credentials": new.map(|(sealed, _)| sealed),
            "token_expires_at": new.and_then(|(_, ends)| ends).map(instant),
        });
        let rows: Vec<PostId> = self.query(&TOKEN_LET_GO, Access::Writes, &argument).await?;
        if rows.is_empty() && new.is_some() {
            return Err(StoreError::Refused(
                "the account's token was changed by somebody else while it was refreshed"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Sets a limit, an object with `scope`, `window`, `max` and perhaps `action`.
    pub async fn set_limit(&mut self, limit: &Value) -> Result<(), StoreError> {
        self.query::<Value>(&LIMITS_SET, Access::Writes, limit)
            .await
            .map(drop)
    }

    /// Adds posts, all or none: a list of rows with the columns of `posts` that a person sets. Returns the new ids;
    /// a row whose `external_ref` is there already is skipped.
    pub async fn add_posts(&mut self, rows: &[impl Serialize]) -> Result<Vec<PostId>, StoreError> {
        // A statement per 5,000 rows keeps the JSON that the database takes apart at some megabytes.
        let calls: Vec<Call> = rows
            .chunks(5_000)
            .map(|chunk| Call::new(&POSTS_ADD, &json!({"rows": chunk})))
            .collect();
        let added = self.transaction(Access::Writes, &calls).await?;
        added.into_iter().flatten().map(|id| parse(&id)).collect()
    }

    /// Changes the status of posts as a person decides: an object with `ids`, `from` (statuses), `to`, a
    /// `message` for the history, and of a post that is live `permalink`, `platform_post_id` and `published_at`, each
    /// null or absent if it is not known. Returns those that were changed.
    pub async fn change_posts(&mut self, change: &Value) -> Result<Vec<PostId>, StoreError> {
        self.query(&POSTS_CHANGE, Access::Writes, change).await
    }

    /// Posts that match, newest first: every column of `posts` as JSON, and `account`, `platform`, `owner`.
    /// The filter is an object with `id`, `ids` (a list), `status`, `platform`, `owner`, `account_id` (each null or a value) and
    /// `limit`.
    pub async fn posts(&mut self, filter: &Value) -> Result<Vec<Value>, StoreError> {
        self.query(&POSTS_LIST, Access::Reads, filter).await
    }

    /// Posts that are not settled (pending, publishing, unconfirmed): `id`, `account_id`, `scheduled_at`, `body`, `link`,
    /// `media` and `external_ref` of each, in the order of their ids. The filter is an object with `account_ids` (a list),
    /// `owner`, `platform`, `from` and `until` (of `scheduled_at`), each null or a value.
    pub async fn unsettled(&mut self, filter: &Value) -> Result<Vec<Value>, StoreError> {
        self.query(&POSTS_UNSETTLED, Access::Reads, filter).await
    }

    /// How things stand, and what happened in the last while: an object with `at`, `since`, `now`, `published`,
    /// `ended`, `runs` and `accounts`, as `publisher stats` reads it. The argument is an object with `now` (null: the
    /// database's clock) and `since_seconds`.
    pub async fn stats(&mut self, argument: &Value) -> Result<Value, StoreError> {
        let rows: Vec<Value> = self.query(&STATS, Access::Reads, argument).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| StoreError::Refused("the database gave no figures".to_owned()))
    }

    /// The next of what is old: reads only. The argument is an object with `before` and `after` (both null for the first
    /// page, then `before` and `next` of the page before), `older_than_seconds`, `batch` and `with_external_ref`.
    pub async fn old(&mut self, what: Old, argument: &Value) -> Result<OldPage, StoreError> {
        let sql = match what {
            Old::Posts => &OLD_POSTS,
            Old::Runs => &OLD_RUNS,
        };
        let rows = self.query(sql, Access::Reads, argument).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| StoreError::Refused("the database gave no page".to_owned()))
    }

    /// Removes it, in one short transaction that waits for no row: what another session holds, or has changed since,
    /// stays. Returns how many went.
    pub async fn remove_old(
        &mut self,
        what: Old,
        ids: &[Value],
        before: &Value,
    ) -> Result<usize, StoreError> {
        let sql = match what {
            Old::Posts => &PRUNE_POSTS,
            Old::Runs => &PRUNE_RUNS,
        };
        let argument = json!({"ids": ids, "before": before});
        let gone: Vec<Value> = self.query(sql, Access::WritesAgain, &argument).await?;
        Ok(gone.len())
    }

    async fn query<T: DeserializeOwned>(
        &mut self,
        sql: &'static Sql,
        access: Access,
        argument: &Value,
    ) -> Result<Vec<T>, StoreError> {
        let rows = self
            .transaction(access, &[Call::new(sql, argument)])
            .await?;
        rows.into_iter().flatten().map(|row| parse(&row)).collect()
    }

    async fn transaction(
        &mut self,
        access: Access,
        calls: &[Call<'_>],
    ) -> Result<Vec<Vec<String>>, StoreError> {
        let mut texts = vec![Vec::new(); calls.len()];
        let each = &mut |call: usize, row: &dyn Columns| {
            texts[call].extend(row.text(0).map_err(|error| claimed::spoilt(&error))?);
            Ok(())
        };
        self.rows(access, calls, each).await?;
        Ok(texts)
    }

    /// Runs statements in one transaction and hands on their rows, each with its statement's place. The first error of
    /// whoever reads them comes back when all is done.
    async fn rows(
        &mut self,
        access: Access,
        calls: &[Call<'_>],
        each: &mut dyn FnMut(usize, &dyn Columns) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.statements += u32::try_from(calls.len()).unwrap_or(u32::MAX);
        let mut read = Ok(());
        let each = &mut |call: usize, row: &dyn Columns| {
            if read.is_ok() {
                read = each(call, row);
            }
        };
        match &mut self.backend {
            Backend::Postgres(postgres) => postgres.transaction(access, calls, each).await?,
            Backend::Sqlite(sqlite) => sqlite.transaction(access, calls, each).await?,
        }
        read
    }

    /// Ends the connection in good order.
    pub async fn close(self) {
        match self.backend {
            Backend::Postgres(postgres) => postgres.close().await,
            Backend::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

impl Sql {
    fn dialect(&self, backend: &Backend) -> &'static str {
        match backend {
            Backend::Postgres(_) => self.postgres,
            Backend::Sqlite(_) => self.sqlite,
        }
    }
}

fn parse<T: DeserializeOwned>(row: &str) -> Result<T, StoreError> {
    serde_json::from_str(row).map_err(|e| {
        StoreError::Refused(format!(
            "the database returned a row that can't be read: {e}"
        ))
    })
}

/// An instant in the one form that both databases take and that sorts as text.
pub fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
