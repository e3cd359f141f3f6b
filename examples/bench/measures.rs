//! The measures: what each sets up, runs and compares.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::databases::{Databases, Engine, Seed, Template, text};
use crate::processes::{Programs, Sandbox};

mod backlog;
mod claim;
mod drain;
mod empty;
mod journal;
mod latency;
mod memory;
mod recovery;
mod statements;
mod throughput;

/// One measure.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) take: fn(&World) -> Result<Vec<Row>>,
}

/// All of them, in the order of the table.
pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        name: "latency",
        what: "500 posts on all platforms at 50 ms, against what caps and latency allow",
        take: latency::take,
    },
    Measure {
        name: "throughput",
        what: "10,000 posts at 0 ms, against a bare loop",
        take: throughput::take,
    },
    Measure {
        name: "journal",
        what: "throughput with the journal, against none",
        take: journal::take,
    },
    Measure {
        name: "recovery",
        what: "what a run leaves that was killed on 10,000 posts",
        take: recovery::take,
    },
    Measure {
        name: "empty",
        what: "a run with nothing due, against a program that connects and counts",
        take: empty::take,
    },
    Measure {
        name: "statements",
        what: "statements of a run, as the server counts them",
        take: statements::take,
    },
    Measure {
        name: "claim",
        what: "claiming 500 posts among 1,000,000, against 10,000",
        take: claim::take,
    },
    Measure {
        name: "backlog",
        what: "claims of 10,000 with 1,000,000 due, and several at once",
        take: backlog::take,
    },
    Measure {
        name: "drain",
        what: "100,000 posts by one process in waves, against 10,000 in one",
        take: drain::take,
    },
    Measure {
        name: "flood",
        what: "a backlog and four processes, in real time (some minutes)",
        take: drain::floods,
    },
    Measure {
        name: "takeover",
        what: "when a dead run's posts are looked up, in real time (three minutes)",
        take: drain::takeover,
    },
    Measure {
        name: "memory",
        what: "the most memory a run holds",
        take: memory::take,
    },
];

/// What the measures share.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) programs: Programs,
    pub(crate) databases: Databases,
    /// Removed at the end.
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("publisher-bench-")
            .tempdir()?;
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            programs: Programs::find(directory.path())?,
            databases: Databases::new(directory.path()),
            directory,
        })
    }

    fn template(&self, engine: Engine, name: &str, seed: &Seed<'_>) -> Result<Template> {
        self.runtime
            .block_on(self.databases.template(engine, name, seed))
            .with_context(|| format!("seeding {name}"))
    }

    /// How many posts there are in each state: `pending 1, published 2`.
    fn counts(&self, database: &str) -> Result<String> {
        let sql = "SELECT status || ' ' || count(*) FROM posts GROUP BY status ORDER BY 1";
        self.runtime.block_on(self.databases.ask(database, sql))
    }

    /// Ends the leases of dead runs, which otherwise takes a while.
    fn end_leases(&self, database: &str) -> Result<()> {
        let sql = "UPDATE posts SET lease_until = '2020-01-01T00:00:00.000Z' WHERE status = 'publishing' RETURNING ''";
        self.runtime.block_on(self.databases.ask(database, sql))?;
        Ok(())
    }

    fn fresh(&self, template: &Template) -> Result<String> {
        self.runtime.block_on(self.databases.fresh(template))
    }
}

/// A line of the table.
pub(crate) struct Row {
    what: String,
    figure: String,
    target: String,
    /// `None` where there is no target.
    is_met: Option<bool>,
    medians: String,
}

impl Row {
    /// A ratio that should be no larger than the target.
    fn ratio(what: impl Into<String>, ratio: f64, target: f64, medians: String) -> Self {
        Self {
            what: what.into(),
            figure: format!("{ratio:.2}"),
            target: format!("<= {target}"),
            is_met: Some(ratio <= target),
            medians,
        }
    }

    /// A ratio that should be no smaller than the target, if there is one.
    fn share(what: impl Into<String>, share: f64, target: Option<f64>, medians: String) -> Self {
        Self {
            what: what.into(),
            figure: format!("{share:.2}"),
            target: target.map_or_else(String::new, |target| format!(">= {target}")),
            is_met: target.map(|target| share >= target),
            medians,
        }
    }

    /// So many KiB at most.
    fn memory(what: String, kib: usize, target: usize, medians: String) -> Self {
        let mebibytes = |kib: usize| format!("{:.1} MiB", kib as f64 / 1024.0);
        Self {
            what,
            figure: mebibytes(kib),
            target: format!("<= {}", mebibytes(target)),
            is_met: Some(kib <= target),
            medians,
        }
    }

    /// A figure without a target.
    fn figure(what: impl Into<String>, figure: String) -> Self {
        Self {
            what: what.into(),
            figure,
            target: String::new(),
            is_met: None,
            medians: String::new(),
        }
    }

    pub(crate) fn is_met(&self) -> bool {
        self.is_met != Some(false)
    }

    pub(crate) fn cells(&self) -> [&str; 5] {
        let met = match self.is_met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        [&self.what, &self.figure, &self.target, met, &self.medians]
    }
}

/// Two sides of a comparison, measured in turns.
#[derive(Default)]
struct Turns {
    ours: Vec<Duration>,
    bare: Vec<Duration>,
}

impl Turns {
    /// The median of the turns' ratios. The two sides of a turn ran one right after the other, so what else the machine
    /// did from turn to turn drops out.
    fn ratio(&self) -> f64 {
        let ratios = self.ratios();
        ratios[ratios.len() / 2]
    }

    /// In ascending order.
    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> = (self.ours.iter().zip(&self.bare))
            .map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }

    /// Both medians and the spread of the ratios.
    fn medians(&self) -> String {
        let ratios = self.ratios();
        let quartile = |quarter: usize| ratios[(ratios.len() - 1) * quarter / 4];
        format!(
            "{} : {}, {} turns, quartiles {:.2} to {:.2}",
            milliseconds(median(&self.ours)),
            milliseconds(median(&self.bare)),
            ratios.len(),
            quartile(1),
            quartile(3),
        )
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// So many accounts on Slack.
fn slack_accounts(count: usize) -> Vec<(&'static str, String)> {
    (0..count).map(|n| ("slack", format!("C{n:07}"))).collect()
}

/// Text posts that are due, spread over these accounts.
fn text_posts(count: usize, accounts: usize) -> Vec<(usize, Value)> {
    (0..count)
        .map(|n| (n % accounts, json!({"body": text(n)})))
        .collect()
}

/// Slack messages that are due. A message is one request, and there are more accounts than any pace has posts in flight.
fn messages(count: usize) -> Seed<'static> {
    let accounts = slack_accounts(500);
    Seed {
        due: text_posts(count, accounts.len()),
        accounts,
        future: 0,
    }
}

/// A sandbox that answers after that time.
fn sandbox(world: &World, latency: Duration) -> Result<Sandbox> {
    Sandbox::start(&world.programs, latency)
}
