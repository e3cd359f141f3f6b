//! One invocation: claim, publish, commit, exit.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use crate::claim::{self, Claimed};
use crate::commit::Report;
use crate::exit::{Exit, Failed};
use crate::http::Http;
use crate::journal::{self, Place, Replayed};
use crate::lease::Lease;
use crate::outcome::Settled;
use crate::progress::Progress;
use crate::publish::{Lanes, Settings};
use crate::stop::Stop;
use crate::store::{Request, Store};
use crate::summary::{FailOn, Summary};

mod ledger;

use ledger::Ledger;

/// What a run is asked for.
#[derive(Debug)]
pub struct Options {
    /// What to claim.
    pub request: Request,
    /// Claim again until nothing is due or the time budget is used up; without it a run is one wave.
    pub drain: bool,
    /// How to publish it.
    pub settings: Settings,
    /// What a person wants to hear of.
    pub fail_on: Vec<FailOn>,
    /// This machine's name, for the run's row.
    pub host: String,
    /// Where the journal is; without a place none is kept.
    pub journal: Option<Place>,
}

/// What a run did.
#[derive(Debug)]
pub struct Done {
    /// In figures.
    pub summary: Summary,
    /// What runs that had died left to be recorded.
    pub replayed: Replayed,
    /// Posts of which a person may want to hear (failed, expired, unconfirmed), each with its outcome: at most a thousand.
    pub told: Vec<Settled>,
    /// Accounts that need a login, and why.
    pub logins: BTreeMap<String, String>,
    /// Accounts whose credentials could not be opened, and why.
    pub locked: BTreeMap<String, String>,
    /// How the commits went.
    pub report: Report,
    /// The outcomes that the database could not take, as JSON lines.
    pub unrecorded: Vec<String>,
    /// What could not be recorded is in the journal, for the next run.
    pub journaled: bool,
    /// Why no further wave could be claimed, if so.
    pub cut_short: Option<String>,
    /// How it ends.
    pub exit: Exit,
}

/// Records what dead runs left, then publishes what is due. `None` if there was neither.
pub async fn run(
    store: &mut Store,
    options: &Options,
    http: &Http,
    stop: &Stop,
    progress: &Progress,
) -> Result<Option<Done>, Failed> {
    let statements = store.statements();
    let (replayed, claimed) = tokio::select! {
        begun = begin(store, options) => begun?,
        exit = stop.insisted() => return Err(Failed::new(
            exit,
            "stopped while the database was asked for posts; if it has given some, they come back when their lease ends",
        )),
    };
    let Claimed {
        posts,
        clock,
        at,
        term,
    } = claimed;
    if posts.is_empty() && replayed.rows.is_empty() {
        return Ok(None);
    }
    let lease = Lease::new(options.request.lease, term);
    let span = (clock, at + options.settings.time_budget, &lease);
    let (lanes, waves) = Lanes::new(&options.settings, http, span, stop, progress);
    let mut ledger = Ledger::new(
        store,
        options,
        stop,
        &lanes,
        (&lease, clock),
        progress,
        replayed,
    );
    let kept = Box::pin(ledger.keep(posts, waves));
    tokio::join!(lanes.run(), kept);
    let mut done = ledger.close();
    done.summary.database_statements = store.statements() - statements + lanes.statements();
    Ok(Some(done))
}

/// Records what dead runs left, then claims what is due.
async fn begin(store: &mut Store, options: &Options) -> Result<(Replayed, Claimed), Failed> {
    let replayed = match &options.journal {
        Some(place) => journal::replay(store, place).await?,
        None => Replayed::default(),
    };
    Ok((replayed, claim::due(store, &options.request).await?))
}

/// The run's own row.
pub fn record(run: Uuid, summary: &Summary, host: &str) -> serde_json::Value {
    json!({
        "id": run, "host": host, "version": env!("CARGO_PKG_VERSION"),
        "started_at": summary.started_at, "finished_at": summary.finished_at,
        "due": summary.due, "published": summary.published, "retry": summary.retry, "failed": summary.failed,
        "expired": summary.expired, "unconfirmed": summary.unconfirmed, "released": summary.released,
        "platforms": summary.platforms, "exit_code": summary.exit_code,
    })
}
