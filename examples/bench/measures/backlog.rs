//! A backlog: whether a claim's cost grows with it, and whether runs that start at once share it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;

use super::claim::{Filling, claim, claimed, fill, put_back};
use super::{Row, Turns, World, milliseconds};
use crate::databases::{Databases, Engine};

const LIMIT: usize = 10_000;
const BACKLOG: usize = 1_000_000;
const ACCOUNTS: usize = 750;
const TURNS: usize = 5;
const TARGET: f64 = 1.5;
/// Runs that claim at once, and what is due for them.
const RUNS: usize = 6;
const SHARED: usize = 100_000;
/// Claims at once of which none may fail, and how much longer than one alone each may wait for its turn.
const CROWD: u32 = 16;
const PATIENCE: f64 = 1.2;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let name = engine.name();
        let turns = world.runtime.block_on(turns(&world.databases, engine))?;
        let what = format!("claim of {LIMIT}: {BACKLOG} due, against {LIMIT}, {name}");
        rows.push(Row::ratio(what, turns.ratio(), TARGET, turns.medians()));
        rows.extend(world.runtime.block_on(at_once(&world.databases, engine))?);
    }
    Ok(rows)
}

fn filling(due: usize) -> Filling {
    Filling {
        accounts: ACCOUNTS,
        due,
        future: 0,
    }
}

async fn turns(databases: &Databases, engine: Engine) -> Result<Turns> {
    let few = fill(databases, engine, "backlog_few", filling(LIMIT)).await?;
    let many = fill(databases, engine, "backlog_many", filling(BACKLOG)).await?;
    let mut turns = Turns::default();
    // The first turn warms both sides' caches.
    for turn in 0..=TURNS {
        for (url, times) in [(&many, &mut turns.ours), (&few, &mut turns.bare)] {
            let time = claim(url, LIMIT).await?;
            if turn > 0 {
                times.push(time);
            }
            put_back(engine, url).await?;
        }
    }
    Ok(turns)
}

/// Claims at once, each by a thread of its own.
async fn at_once(databases: &Databases, engine: Engine) -> Result<[Row; 2]> {
    let url = fill(databases, engine, "backlog_shared", filling(SHARED)).await?;
    let alone = claim(&url, LIMIT).await?;
    put_back(engine, &url).await?;
    let claims = crowd(&url, RUNS).await?;
    let total: usize = claims.iter().map(|(_, count)| count).sum();
    put_back(engine, &url).await?;
    let slowest = crowd(&url, usize::try_from(CROWD)?).await?;
    let slowest = slowest.iter().map(|(time, _)| *time).max();
    let slowest = slowest.context("there are claims")?;
    ensure!(total <= RUNS * LIMIT, "{total} posts were claimed");
    let share = f64::from(u32::try_from(total)?) / f64::from(u32::try_from(RUNS * LIMIT)?);
    let ratio = slowest.as_secs_f64() / (f64::from(CROWD) * alone.as_secs_f64());
    let name = engine.name();
    Ok([
        Row::share(
            format!(
                "{RUNS} claims at once of {SHARED} due, of {} posts, {name}",
                RUNS * LIMIT
            ),
            share,
            Some(1.0),
            format!("{total} posts"),
        ),
        Row::ratio(
            format!("the slowest of {CROWD} claims at once, against {CROWD} alone, {name}"),
            ratio,
            PATIENCE,
            format!("{} : {}", milliseconds(slowest), milliseconds(alone)),
        ),
    ])
}

async fn crowd(url: &str, size: usize) -> Result<Vec<(Duration, usize)>> {
    let claims = (0..size).map(|_| {
        let url = url.to_owned();
        tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(claimed(&url))
        })
    });
    let claims = try_join_all(claims).await?;
    claims.into_iter().collect()
}
