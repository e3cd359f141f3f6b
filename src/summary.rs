//! What a run did, for machines (`--json`), people (the table) and the exit code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::exit::Exit;
use crate::outcome::{Block, Outcome, Settled};
use crate::publish::Figures;
use crate::store::instant;

/// What `--fail-on` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum FailOn {
    /// A post failed for good.
    Failed,
    /// A post was dropped as too old.
    Expired,
    /// A post may or may not be live.
    Unconfirmed,
    /// A post is to be tried again.
    Retry,
    /// Nothing.
    None,
}

/// One run in figures.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The run (`runs.id`).
    pub run_id: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub finished_at: String,
    /// Wall time of the whole run.
    pub duration_ms: u64,
    /// Posts claimed.
    pub due: usize,
    /// Posts published.
    pub published: usize,
    /// Posts that a later run tries again.
    pub retry: usize,
    /// Posts failed for good.
    pub failed: usize,
    /// Posts dropped as too old.
    pub expired: usize,
    /// Posts that may or may not be live.
    pub unconfirmed: usize,
    /// Posts given back untouched, or waiting for their media.
    pub released: usize,
    /// Posts that met a platform's rate limit (they count under `retry`, too).
    pub throttled: usize,
    /// Accounts that a person must connect again, as `platform:external_id`; their posts wait (they count under
    /// `retry`).
    pub needs_login: BTreeSet<String>,
    /// Posts published per minute of this run.
    pub posts_per_minute: f64,
    /// Published among all that were tried and settled; 1 if there were none.
    pub success_rate: f64,
    /// From `scheduled_at` to the platform's acceptance.
    pub lateness_ms: Lateness,
    /// The same per platform that had something to do.
    pub platforms: BTreeMap<String, PlatformSummary>,
    /// Statements that ran, transaction control apart.
    pub database_statements: u32,
    /// How many claims brought something, with `--drain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waves: Option<usize>,
    /// What the run exits with.
    pub exit_code: u8,
    /// How late each published post was, in milliseconds.
    #[serde(skip)]
    pub late: Vec<i64>,
}

/// How late published posts were.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lateness {
    /// Half were no later.
    pub p50: i64,
    /// 95 of 100 were no later.
    pub p95: i64,
    /// The latest.
    pub max: i64,
}

/// One platform in figures.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PlatformSummary {
    /// Posts published.
    pub published: usize,
    /// Posts that a later run tries again.
    pub retry: usize,
    /// Posts failed for good.
    pub failed: usize,
    /// Posts dropped as too old.
    pub expired: usize,
    /// Posts that may or may not be live.
    pub unconfirmed: usize,
    /// Posts given back.
    pub released: usize,
    /// Posts in flight at once, at most.
    pub cap: usize,
    /// Posts in flight at once, as it turned out.
    pub max_in_flight: usize,
    /// How long its lane took.
    pub duration_ms: u64,
}

impl Summary {
    /// Counts a run's outcomes.
    pub fn of(
        run: Uuid,
        started_at: DateTime<Utc>,
        finished_at: DateTime<Utc>,
        settled: &[Settled],
        lanes: &BTreeMap<&'static str, Figures>,
    ) -> Self {
        let mut summary = Self {
            run_id: run.to_string(),
            ..Self::default()
        };
        summary.add(settled, lanes);
        summary.over(started_at, finished_at)
    }

    /// Counts these as well. A lane's figures are of all that it did so far.
    pub fn add(&mut self, settled: &[Settled], lanes: &BTreeMap<&'static str, Figures>) {
        self.due += settled.len();
        for settled in settled {
            self.count(settled);
        }
        for (name, lane) in lanes {
            let platform = self.platforms.entry((*name).to_owned()).or_default();
            platform.cap = lane.cap;
            platform.max_in_flight = lane.max_in_flight;
            platform.duration_ms = milliseconds(lane.took);
        }
    }

    /// What follows from the counts for a run of that time.
    #[must_use]
    pub fn over(mut self, started_at: DateTime<Utc>, finished_at: DateTime<Utc>) -> Self {
        let duration = (finished_at - started_at).to_std().unwrap_or_default();
        self.started_at = instant(started_at);
        self.finished_at = instant(finished_at);
        self.duration_ms = milliseconds(duration);
        let tried = self.published + self.failed + self.unconfirmed + self.retry;
        self.success_rate = if tried > 0 {
            self.published as f64 / tried as f64
        } else {
            1.0
        };
        if !duration.is_zero() {
            self.posts_per_minute = self.published as f64 * 60.0 / duration.as_secs_f64();
        }
        self.late.sort_unstable();
        self.lateness_ms = lateness(&self.late);
        self
    }

    fn count(&mut self, settled: &Settled) {
        let platform = self
            .platforms
            .entry(settled.post.account.platform.clone())
            .or_default();
        let (whole, part) = match &settled.outcome {
            Outcome::Published { .. } => (&mut self.published, &mut platform.published),
            Outcome::Retry { .. } => (&mut self.retry, &mut platform.retry),
            Outcome::Failed { .. } => (&mut self.failed, &mut platform.failed),
            Outcome::Expired => (&mut self.expired, &mut platform.expired),
            Outcome::Unconfirmed { .. } => (&mut self.unconfirmed, &mut platform.unconfirmed),
            Outcome::Waiting { .. } | Outcome::Released => {
                (&mut self.released, &mut platform.released)
            }
        };
        *whole += 1;
        *part += 1;
        if let Outcome::Published { at, .. } = &settled.outcome {
            self.late
                .push((*at - settled.post.scheduled_at).num_milliseconds());
        }
        if matches!(
            settled.outcome,
            Outcome::Retry {
                block: Some(Block::Until(..)),
                ..
            }
        ) {
            self.throttled += 1;
        }
        if matches!(
            settled.outcome,
            Outcome::Retry {
                block: Some(Block::NeedsLogin),
                ..
            }
        ) {
            self.needs_login.insert(settled.post.account.label());
        }
    }

    /// Whether a person asked to hear of what happened.
    pub fn needs_attention(&self, fail_on: &[FailOn]) -> bool {
        fail_on.iter().any(|kind| match kind {
            FailOn::Failed => self.failed > 0,
            FailOn::Expired => self.expired > 0,
            FailOn::Unconfirmed => self.unconfirmed > 0,
            FailOn::Retry => self.retry > 0,
            FailOn::None => false,
        })
    }

    /// The same with an exit code.
    #[must_use]
    pub fn exiting(mut self, exit: Exit) -> Self {
        self.exit_code = exit as u8;
        self
    }
}

/// Of all, in ascending order.
fn lateness(all: &[i64]) -> Lateness {
    // The nearest-rank percentile.
    let rank = |percent: usize| {
        all.get((all.len() * percent).div_ceil(100).saturating_sub(1))
            .copied()
    };
    Lateness {
        p50: rank(50).unwrap_or_default(),
        p95: rank(95).unwrap_or_default(),
        max: all.last().copied().unwrap_or_default(),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
