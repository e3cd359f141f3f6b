//! What a minute costs in which nothing is due: most of them.

use anyhow::{Result, ensure};

use super::{Row, Turns, World, slack_accounts};
use crate::bare::Bare;
use crate::databases::{Engine, Seed};
use crate::processes::timed;

const TURNS: usize = 300;
const TARGET: f64 = 1.5;

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let seed = Seed {
        accounts: slack_accounts(50),
        due: Vec::new(),
        future: 1_000,
    };
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let template = world.template(engine, "empty", &seed)?;
        let database = world.fresh(&template)?;
        let mut turns = Turns::default();
        for _ in 0..TURNS {
            let (wall, output) = timed(&mut world.programs.run(&database, &[]))?;
            ensure!(output.stdout.is_empty() && output.stderr.is_empty());
            turns.ours.push(wall);
            let bare = Bare::Probe(database.clone());
            turns.bare.push(timed(&mut world.programs.bare(&bare))?.0);
        }
        let what = format!("empty: a run with nothing due, {}", engine.name());
        rows.push(Row::ratio(what, turns.ratio(), TARGET, turns.medians()));
    }
    Ok(rows)
}
