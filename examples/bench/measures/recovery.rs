//! How long it takes to make up for a run that was killed when half of its posts were live: with its journal, and with
//! nothing but the leases.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Row, World, median, messages, milliseconds, sandbox};
use crate::databases::Engine;
use crate::processes::{Sandbox, timed};

const POSTS: usize = 10_000;
const TURNS: usize = 5;
/// A run comes that far in seconds.
const LONGEST: Duration = Duration::from_mins(1);

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, Duration::ZERO)?;
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let template = world.template(engine, "recovery", &messages(POSTS))?;
        let (mut replays, mut lookups) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let database = world.fresh(&template)?;
            kill_halfway(world, &database, &sandbox)?;
            // Nothing of Facebook is due: it only replays.
            let (wall, _) = timed(
                &mut world
                    .programs
                    .run(&database, &["--platform", "facebook", "--fail-on", "none"]),
            )?;
            replays.push(wall);
            let counts = world.counts(&database)?;
            ensure!(
                counts.starts_with("pending ") && counts.contains("published "),
                "{counts}"
            );

            let database = world.fresh(&template)?;
            kill_halfway(world, &database, &sandbox)?;
            std::fs::remove_dir_all(world.programs.state())?;
            world.end_leases(&database)?;
            let arguments = ["--sandbox", &sandbox.url, "--pace", "max-speed", "--json"];
            let (wall, output) = timed(&mut world.programs.run(&database, &arguments))?;
            let summary: Value = serde_json::from_slice(&output.stdout)?;
            ensure!(
                summary["due"] == POSTS && summary["unconfirmed"] == 0,
                "{summary}"
            );
            lookups.push(wall);
        }
        for (how, walls) in [
            ("its journal is replayed", &replays),
            ("each is looked up", &lookups),
        ] {
            let what = format!("recovery: {POSTS} posts, {how}, {}", engine.name());
            rows.push(Row::figure(what, milliseconds(median(walls))));
        }
    }
    Ok(rows)
}

/// A run that is killed as soon as half of its posts are live.
pub(super) fn kill_halfway(world: &World, database: &str, sandbox: &Sandbox) -> Result<()> {
    world.runtime.block_on(sandbox.reset())?;
    let arguments = ["--sandbox", &sandbox.url, "--pace", "max-speed"];
    let mut run = world.programs.run(database, &arguments);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let began = Instant::now();
    loop {
        let stats = world.runtime.block_on(sandbox.stats())?;
        let live = stats["published"].as_u64().context("published")?;
        if usize::try_from(live)? >= POSTS / 2 {
            break;
        }
        if began.elapsed() > LONGEST || run.try_wait()?.is_some() {
            run.kill().ok();
            bail!("the run did not come to be killed: {stats}");
        }
    }
    run.kill()?;
    run.wait()?;
    Ok(())
}
