//! What the program costs beside the requests and the rows themselves.

use std::time::Duration;

use anyhow::Result;

use super::{Row, Turns, World, messages, sandbox};
use crate::bare::Bare;
use crate::databases::Engine;
use crate::processes::timed;

const POSTS: usize = 10_000;
const TURNS: usize = 9;
const TARGET: f64 = 1.5;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, Duration::ZERO)?;
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let template = world.template(engine, "throughput", &messages(POSTS))?;
        let mut turns = Turns::default();
        for _ in 0..TURNS {
            let database = world.fresh(&template)?;
            world.runtime.block_on(sandbox.reset())?;
            let ran = world
                .programs
                .publish(&database, &sandbox, "max-speed", POSTS)?;
            turns.ours.push(ran.wall);

            let database = world.fresh(&template)?;
            world.runtime.block_on(sandbox.reset())?;
            let bare = Bare::Publish(database, sandbox.url.clone());
            let (wall, output) = timed(&mut world.programs.bare(&bare))?;
            anyhow::ensure!(output.stdout == format!("{POSTS}\n").as_bytes());
            turns.bare.push(wall);
        }
        let what = format!("throughput: {POSTS} posts at 0 ms, {}", engine.name());
        rows.push(Row::ratio(what, turns.ratio(), TARGET, turns.medians()));
    }
    Ok(rows)
}
