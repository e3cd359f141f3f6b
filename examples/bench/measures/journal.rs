//! What the journal costs: the same posts with it and without.

use std::time::Duration;

use anyhow::Result;

use super::{Row, Turns, World, messages, sandbox};
use crate::databases::Engine;
use crate::processes::{read_summary, timed};

const TURNS: usize = 9;

/// How long the sandbox takes, how many posts, and the least share of the throughput that is to be left.
const CASES: [(Duration, usize, Option<f64>); 2] = [
    (Duration::ZERO, 10_000, None),
    (Duration::from_millis(50), 3_000, Some(0.95)),
];

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (latency, posts, target) in CASES {
        let sandbox = sandbox(world, latency)?;
        let arguments = ["--sandbox", &sandbox.url, "--pace", "max-speed", "--json"];
        for engine in Engine::ALL {
            let name = format!("journal_{}", latency.as_millis());
            let template = world.template(engine, &name, &messages(posts))?;
            // Here both are ours: the one that is compared with the other is the run without.
            let mut turns = Turns::default();
            for _ in 0..TURNS {
                let programs = &world.programs;
                for is_kept in [true, false] {
                    let database = world.fresh(&template)?;
                    world.runtime.block_on(sandbox.reset())?;
                    let (mut run, times) = if is_kept {
                        (programs.run(&database, &arguments), &mut turns.bare)
                    } else {
                        let run = programs.run_without_journal(&database, &arguments);
                        (run, &mut turns.ours)
                    };
                    let (wall, output) = timed(&mut run)?;
                    read_summary(&output.stdout, posts)?;
                    times.push(wall);
                }
            }
            let what = format!(
                "journal: {posts} posts at {} ms, {}",
                latency.as_millis(),
                engine.name()
            );
            let medians = format!("without : with {}", turns.medians());
            rows.push(Row::share(what, turns.ratio(), target, medians));
        }
    }
    Ok(rows)
}
