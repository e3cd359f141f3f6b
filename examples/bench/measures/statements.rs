//! How many statements a run costs the server, as the server itself counts them.

use std::time::Duration;

use anyhow::Result;

use super::{Row, World, messages, sandbox};
use crate::databases::Engine;

const POSTS: [usize; 3] = [10, 500, 10_000];
/// The claim, two UPDATEs and the run's own row.
const TARGET: i64 = 4;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, Duration::ZERO)?;
    let mut admin = world.runtime.block_on(world.databases.admin())?;
    let create = sqlx::raw_sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
    world.runtime.block_on(create.execute(&mut admin))?;
    let mut counts = Vec::new();
    for posts in POSTS {
        let template = world.template(
            Engine::Postgres,
            &format!("statements_{posts}"),
            &messages(posts),
        )?;
        let database = world.fresh(&template)?;
        let reset = sqlx::raw_sql("SELECT pg_stat_statements_reset()");
        world.runtime.block_on(reset.execute(&mut admin))?;
        world
            .programs
            .publish(&database, &sandbox, "max-speed", posts)?;
        // The server is started with track_utility off: BEGIN, SET and COMMIT do not count.
        let count = sqlx::query_scalar(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s \
             JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1",
        )
        .bind(database.rsplit('/').next());
        let count: i64 = world.runtime.block_on(count.fetch_one(&mut admin))?;
        counts.push(count);
    }
    let list = |numbers: &[i64]| {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        numbers.join(", ")
    };
    Ok(vec![Row {
        what: "statements: 10, 500 and 10000 posts, PostgreSQL".to_owned(),
        figure: list(&counts),
        target: list(&[TARGET; POSTS.len()]),
        is_met: Some(counts == [TARGET; POSTS.len()]),
        medians: String::new(),
    }])
}
