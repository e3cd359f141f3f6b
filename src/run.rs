//! One invocation: claim, publish, commit, exit.

use std::collections::BTreeMap;

use serde_json::json;
use uuid::Uuid;

use crate::claim;
use crate::commit::{self, Report};
use crate::exit::{Exit, Failed};
use crate::http::Http;
use crate::outcome::Settled;
use crate::post::ClaimedPost;
use crate::progress::Progress;
use crate::publish::{self, Results, Settings};
use crate::stop::Stop;
use crate::store::{Request, Store};
use crate::summary::{FailOn, Summary};

/// What a run is asked for.
#[derive(Debug)]
pub struct Options {
    /// What to claim.
    pub request: Request,
    /// How to publish it.
    pub settings: Settings,
    /// What a person wants to hear of.
    pub fail_on: Vec<FailOn>,
    /// This machine's name, for the run's row.
    pub host: String,
}

/// What a run did.
#[derive(Debug)]
pub struct Done {
    /// In figures.
    pub summary: Summary,
    /// Every claimed post with its outcome.
    pub settled: Vec<Settled>,
    /// How the commit went.
    pub report: Report,
    /// Accounts whose credentials could not be opened, and why.
    pub locked: BTreeMap<String, String>,
    /// How it ends.
    pub exit: Exit,
}

/// Publishes what is due. `None` if nothing is.
pub async fn run(
    store: &mut Store,
    options: &Options,
    http: &Http,
    stop: &Stop,
    progress: impl FnOnce(&[ClaimedPost]) -> Progress,
) -> Result<Option<Done>, Failed> {
    let run = options.request.run;
    let statements = store.statements();
    let claimed = claim::due(store, &options.request).await?;
    if claimed.posts.is_empty() {
        return Ok(None);
    }
    let (clock, started_at) = (claimed.clock, claimed.clock.now());
    let progress = progress(&claimed.posts);

    let results = publish::all(
        claimed.posts,
        &options.settings,
        http,
        clock,
        claimed.at,
        stop,
        &progress,
    )
    .await;
    progress.clear();

    let now = clock.now();
    let summary = Summary::of(run, started_at, now, &results.settled, &results.lanes);
    let exit = exit(&results, &summary, stop, &options.fail_on);
    let record = record(run, &summary.clone().exiting(exit), &options.host);
    let report = commit::outcomes(store, run, record, &results.settled, now).await;
    let exit = after_commit(exit, &report, &results);

    let mut summary = summary.exiting(exit);
    summary.database_statements = store.statements() - statements;
    Ok(Some(Done {
        summary,
        settled: results.settled,
        report,
        locked: results.locked,
        exit,
    }))
}

/// How the run ends, if its outcomes get recorded.
fn exit(results: &Results, summary: &Summary, stop: &Stop, fail_on: &[FailOn]) -> Exit {
    if results.panicked {
        Exit::Bug
    } else if let Some(exit) = stop.exit() {
        exit
    } else if !results.locked.is_empty() {
        Exit::Configuration
    } else if summary.needs_attention(fail_on) {
        Exit::Attention
    } else {
        Exit::Ok
    }
}

/// How it ends once the commit is known.
fn after_commit(exit: Exit, report: &Report, results: &Results) -> Exit {
    let sent = results.settled.iter().any(Settled::was_sent);
    match report {
        Report {
            unrecorded: Some(_),
            ..
        } if sent => Exit::Unrecorded,
        Report {
            unrecorded: Some(_),
            ..
        } => Exit::Unavailable,
        Report { lost, refused, .. } if lost.is_empty() && refused.is_empty() => exit,
        Report { refused, .. } if !refused.is_empty() => Exit::Unrecorded,
        Report { .. } => exit.max(Exit::Attention),
    }
}

/// The run's own row.
fn record(run: Uuid, summary: &Summary, host: &str) -> serde_json::Value {
    json!({
        "id": run, "host": host, "version": env!("CARGO_PKG_VERSION"),
        "started_at": summary.started_at, "finished_at": summary.finished_at,
        "due": summary.due, "published": summary.published, "retry": summary.retry, "failed": summary.failed,
        "expired": summary.expired, "unconfirmed": summary.unconfirmed, "released": summary.released,
        "platforms": summary.platforms, "exit_code": summary.exit_code,
    })
}

/// The outcomes as JSON lines, for when the database can't take them.
pub fn unrecorded(done: &Done, run: Uuid) -> impl Iterator<Item = String> {
    let at = done.summary.finished_at.parse().unwrap_or_default();
    done.settled
        .iter()
        .map(move |settled| commit::row(run, settled, at).to_string())
}
