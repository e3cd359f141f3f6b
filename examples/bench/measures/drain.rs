//! A backlog that is drained: by one process, whose memory it must not fill, and by several; and how soon what a dead run
//! without a journal held is looked up.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::recovery::kill_halfway;
use super::{Row, World, messages, sandbox, text_posts};
use crate::databases::{Engine, Seed};
use crate::processes::timed;

const FEW: usize = 10_000;
const MANY: usize = 100_000;
const TURNS: usize = 3;
/// What 100,000 posts may take, per post, of what 10,000 do.
const TARGET: f64 = 1.2;
const TARGET_KIB: usize = 96 * 1024;

/// Posts on Pages, which take many at once: a Slack channel takes one a second.
fn on_pages(count: usize) -> Seed<'static> {
    let pages = (0..500).map(|n| ("facebook", (1_000_000 + n).to_string()));
    let accounts: Vec<_> = pages.collect();
    Seed {
        due: text_posts(count, accounts.len()),
        accounts,
        future: 0,
    }
}

pub(super) fn take(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, Duration::ZERO)?;
    let mut rows = Vec::new();
    for engine in Engine::ALL {
        let few = world.template(engine, "drain_few", &on_pages(FEW))?;
        let many = world.template(engine, "drain_many", &on_pages(MANY))?;
        let (mut ratios, mut peak) = (Vec::new(), 0);
        for _ in 0..TURNS {
            let mut times = Vec::new();
            for (template, posts, drain) in [(&few, FEW, None), (&many, MANY, Some("--drain"))] {
                let database = world.fresh(template)?;
                world.runtime.block_on(sandbox.reset())?;
                let mut arguments =
                    vec!["--sandbox", &sandbox.url, "--pace", "max-speed", "--json"];
                arguments.extend(drain);
                let began = Instant::now();
                let weighed = world.programs.weigh(&database, &arguments, posts)?;
                times.push(began.elapsed().as_secs_f64() / posts as f64);
                peak = if drain.is_some() {
                    peak.max(weighed)
                } else {
                    peak
                };
            }
            ratios.push(times[1] / times[0]);
        }
        ratios.sort_by(f64::total_cmp);
        let what = format!(
            "drain: a post of {MANY}, against one of {FEW}, {}",
            engine.name()
        );
        rows.push(Row::ratio(
            what,
            ratios[TURNS / 2],
            TARGET,
            format!("{ratios:.2?}"),
        ));
        let what = format!("drain: memory for {MANY} posts, {}", engine.name());
        rows.push(Row::memory(what, peak, TARGET_KIB, String::new()));
    }
    Ok(rows)
}

/// Several processes over one queue.
struct Flood {
    posts: usize,
    latency: Duration,
    processes: usize,
    /// In flight at once, in each.
    cap: usize,
    /// How many posts a wave takes.
    limit: usize,
    target: Duration,
}

const FLOODS: [Flood; 2] = [
    Flood {
        posts: MANY,
        latency: Duration::from_millis(500),
        processes: 4,
        cap: 100,
        limit: 10_000,
        target: Duration::from_mins(5),
    },
    Flood {
        posts: FEW,
        latency: Duration::from_secs(2),
        processes: 4,
        cap: 25,
        limit: 2_500,
        target: Duration::from_mins(10),
    },
];

pub(super) fn floods(world: &World) -> Result<Vec<Row>> {
    FLOODS.iter().map(|flood| flood.row(world)).collect()
}

impl Flood {
    fn row(&self, world: &World) -> Result<Row> {
        let &Self {
            posts,
            processes,
            cap,
            ..
        } = self;
        let sandbox = sandbox(world, self.latency)?;
        let name = format!("flood_{posts}");
        let template = world.template(Engine::Postgres, &name, &on_pages(posts))?;
        let database = world.fresh(&template)?;
        let (cap, limit) = (format!("facebook={cap}"), self.limit.to_string());
        let arguments = [
            "--drain",
            "--time-budget",
            "15m",
            "--sandbox",
            &sandbox.url,
            "--cap",
            &cap,
            "--limit",
            &limit,
            "--json",
        ];
        let began = Instant::now();
        let runs: Result<Vec<_>> = (0..processes)
            .map(|_| {
                let mut run = world.programs.run(&database, &arguments);
                Ok(run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
            })
            .collect();
        let mut published = Vec::new();
        for run in runs? {
            let output = run.wait_with_output()?;
            let summary: Value = serde_json::from_slice(&output.stdout)
                .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
            published.push(summary["published"].as_u64().context("published")?);
        }
        let wall = began.elapsed();
        let stats = world.runtime.block_on(sandbox.stats())?;
        let all = u64::try_from(posts)?;
        ensure!(
            published.iter().sum::<u64>() == all
                && stats["published"] == all
                && stats["duplicates"] == 0,
            "{published:?}: {stats}"
        );
        Ok(Row {
            what: format!(
                "flood: {posts} posts at {:?}, {processes} processes of {cap}",
                self.latency
            ),
            figure: format!("{:.0} s", wall.as_secs_f64()),
            target: format!("<= {:.0} s", self.target.as_secs_f64()),
            is_met: Some(wall <= self.target),
            medians: format!("{published:?}"),
        })
    }
}

/// Runs come every few seconds.
const CRON: Duration = Duration::from_secs(5);
const LOOKED_UP: Duration = Duration::from_secs(210);

/// In real time: nothing but the lease's end makes the posts of a run without a journal anybody else's.
pub(super) fn takeover(world: &World) -> Result<Vec<Row>> {
    let sandbox = sandbox(world, Duration::ZERO)?;
    let template = world.template(Engine::Postgres, "takeover", &messages(FEW))?;
    let database = world.fresh(&template)?;
    kill_halfway(world, &database, &sandbox)?;
    let killed = Instant::now();
    std::fs::remove_dir_all(world.programs.state())?;
    let arguments = ["--sandbox", &sandbox.url, "--pace", "max-speed", "--json"];
    let mut began = Duration::ZERO;
    while killed.elapsed() < 2 * LOOKED_UP {
        began = killed.elapsed();
        let (_, output) = timed(&mut world.programs.run(&database, &arguments))?;
        let summary: Value = serde_json::from_slice(&output.stdout)?;
        if summary["due"] != 0 {
            break;
        }
        std::thread::sleep(CRON);
    }
    Ok(vec![Row {
        what: "takeover: a killed run without a journal is looked up after".to_owned(),
        figure: format!("{:.0} s", began.as_secs_f64()),
        target: format!("<= {:.0} s", LOOKED_UP.as_secs_f64()),
        is_met: Some(began <= LOOKED_UP),
        medians: String::new(),
    }])
}
