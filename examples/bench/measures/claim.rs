//! Whether a claim slows down as the table fills with posts that are not due.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use publisher::store::{Database, Request, Store};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use uuid::Uuid;

use super::{Row, Turns, World, slack_accounts};
use crate::databases::{Databases, Engine, account};

const DUE: usize = 500;
const FEW: usize = 10_000;
const MANY: usize = 1_000_000;
const ACCOUNTS: usize = 100;
const TURNS: usize = 15;
const TARGET: f64 = 1.3;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let turns = world.runtime.block_on(turns(&world.databases, engine))?;
        let what = format!(
            "claim: {DUE} due among {MANY}, against {FEW}, {}",
            engine.name()
        );
        rows.push(Row::ratio(what, turns.ratio(), TARGET, turns.medians()));
    }
    Ok(rows)
}

async fn turns(databases: &Databases, engine: Engine) -> Result<Turns> {
    let filling = |future| Filling {
        accounts: ACCOUNTS,
        due: DUE,
        future,
    };
    let few = fill(databases, engine, "claim_few", filling(FEW)).await?;
    let many = fill(databases, engine, "claim_many", filling(MANY)).await?;
    let mut turns = Turns::default();
    // The first turn warms both sides' caches.
    for turn in 0..=TURNS {
        for (url, times) in [(&many, &mut turns.ours), (&few, &mut turns.bare)] {
            let time = claim(url, DUE).await?;
            if turn > 0 {
                times.push(time);
            }
            put_back(engine, url).await?;
        }
    }
    Ok(turns)
}

/// What a database has.
#[derive(Clone, Copy)]
pub(super) struct Filling {
    pub(super) accounts: usize,
    pub(super) due: usize,
    /// Posts that are not due for a day and longer.
    pub(super) future: usize,
}

/// A database with so many posts for the future, and among them, evenly spread, those that are due; its URL.
pub(super) async fn fill(
    databases: &Databases,
    engine: Engine,
    name: &str,
    filling: Filling,
) -> Result<String> {
    let Filling {
        accounts,
        due,
        future,
    } = filling;
    let database = databases.make(engine, name).await?;
    let mut store = Store::open(&database).await?;
    for (place, (platform, external_id)) in slack_accounts(accounts).iter().enumerate() {
        store
            .add_account(&account(place, platform, external_id)?)
            .await?;
    }
    store.close().await;
    let total = future + due;
    let every = total / due;
    let body = "'Post number ' || n || ': the new season starts today. Doors open at nine; bring a friend!'";
    let sql = match engine {
        Engine::Postgres => format!(
            "INSERT INTO publisher.posts (account_id, body, scheduled_at, due_at) \
             SELECT 1 + (n / {every}) % {accounts}, {body}, at, at FROM ( \
                 SELECT n, CASE WHEN n % {every} = 0 THEN now() - interval '1 minute' \
                                ELSE now() + interval '1 day' + n * interval '1 second' END AS at \
                 FROM generate_series(1, {total}) n) numbered"
        ),
        Engine::Sqlite => format!(
            "INSERT INTO posts (account_id, body, scheduled_at, due_at) \
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {total}) \
             SELECT 1 + (n / {every}) % {accounts}, {body}, at, at FROM ( \
                 SELECT n, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', \
                                    CASE WHEN n % {every} = 0 THEN '-1 minute' ELSE (86400 + n) || ' seconds' END) AS at \
                 FROM numbers)"
        ),
    };
    let url = databases.url(engine, name);
    execute(engine, &url, sql).await?;
    databases.settle(engine, name).await?;
    Ok(url)
}

/// How long a run's claim takes on a connection of its own.
pub(super) async fn claim(url: &str, expected: usize) -> Result<Duration> {
    let (time, claimed) = claimed(url).await?;
    ensure!(claimed == expected, "{claimed} posts were claimed");
    Ok(time)
}

/// The same with how many posts it brought.
pub(super) async fn claimed(url: &str) -> Result<(Duration, usize)> {
    let database: Database = url.parse().map_err(anyhow::Error::msg)?;
    let request = Request {
        run: Uuid::new_v4(),
        now: None,
        limit: 10_000,
        expiry: Duration::from_hours(24),
        lease: Duration::from_mins(15),
        platforms: Vec::new(),
        owners: Vec::new(),
        spared: Vec::new(),
        quotas: publisher::limits::quotas(&std::collections::BTreeMap::new()),
    };
    let mut store = Store::open(&database).await?;
    let began = Instant::now();
    let claimed = store.claim(&request).await?;
    let time = began.elapsed();
    store.close().await;
    Ok((time, claimed.posts.len()))
}

/// Makes the same posts due again, and leaves no work behind for the next claim.
pub(super) async fn put_back(engine: Engine, url: &str) -> Result<()> {
    let set = "SET status = 'pending', claim = NULL, lease_until = NULL, attempts = 0 WHERE status = 'publishing'";
    match engine {
        Engine::Postgres => {
            execute(engine, url, format!("UPDATE publisher.posts {set}")).await?;
            execute(engine, url, "CHECKPOINT".to_owned()).await
        }
        Engine::Sqlite => {
            let sql = format!("UPDATE posts {set}; PRAGMA wal_checkpoint(TRUNCATE)");
            execute(engine, url, sql).await
        }
    }
}

async fn execute(engine: Engine, url: &str, sql: String) -> Result<()> {
    let sql = AssertSqlSafe(sql);
    match engine {
        Engine::Postgres => {
            let mut connection = PgConnection::connect(url).await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await?;
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(url).await?;
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await?;
        }
    }
    Ok(())
}
