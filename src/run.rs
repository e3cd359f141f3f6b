//! One invocation: claim, publish, commit, exit.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;
use uuid::Uuid;

use crate::claim::{self, Claimed};
use crate::commit::{self, Report};
use crate::exit::{Exit, Failed};
use crate::http::Http;
use crate::journal::{self, Journal, Place, Replayed};
use crate::outcome::Settled;
use crate::post::{ClaimedPost, PostId};
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
    /// Every claimed post with its outcome.
    pub settled: Vec<Settled>,
    /// How the commit went.
    pub report: Report,
    /// What could not be recorded is in the journal, for the next run.
    pub journaled: bool,
    /// Accounts whose credentials could not be opened, and why.
    pub locked: BTreeMap<String, String>,
    /// How it ends.
    pub exit: Exit,
}

/// Records what dead runs left, then publishes what is due. `None` if there was neither.
pub async fn run(
    store: &mut Store,
    options: &Options,
    http: &Http,
    stop: &Stop,
    progress: impl FnOnce(&[ClaimedPost]) -> Progress,
) -> Result<Option<Done>, Failed> {
    let run = options.request.run;
    let statements = store.statements();
    let (replayed, claimed) = tokio::select! {
        begun = begin(store, options) => begun?,
        exit = stop.insisted() => return Err(Failed::new(
            exit,
            "stopped while the database was asked for posts; if it has given some, they come back when their lease ends",
        )),
    };
    if claimed.posts.is_empty() && replayed.rows.is_empty() {
        return Ok(None);
    }
    let (clock, started_at) = (claimed.clock, claimed.clock.now());
    let progress = progress(&claimed.posts);

    let journal = Journal::new(run, options.journal.clone());
    let results = publish::all(claimed, &options.settings, http, stop, &progress, &journal).await;
    progress.clear();

    let now = clock.now();
    let summary = Summary::of(run, started_at, now, &results.settled, &results.lanes);
    let told = [&summary, &replayed.summary];
    let exit = exit(&results, told, stop, &options.fail_on);
    let report = if results.settled.is_empty() {
        Report::default()
    } else {
        let record = record(run, &summary.clone().exiting(exit), &options.host);
        let commit = commit::outcomes(store, run, record, &results.settled, now);
        stop.unless_insisted(commit)
            .await
            .unwrap_or_else(|| Report {
                unrecorded: Some("a signal ended the waiting for the database".to_owned()),
                ..Report::default()
            })
    };
    let is_whole = report.unrecorded.is_none() && report.refused.is_empty();
    let journaled = !is_whole && journal.is_kept();
    if is_whole {
        journal.remove();
    }
    let exit = after_commit(exit, &report, &results);

    let mut summary = summary.exiting(exit);
    summary.database_statements = store.statements() - statements + results.statements;
    Ok(Some(Done {
        summary,
        replayed,
        settled: results.settled,
        report,
        journaled,
        locked: results.locked,
        exit,
    }))
}

/// Records what dead runs left, then claims what is due.
async fn begin(store: &mut Store, options: &Options) -> Result<(Replayed, Claimed), Failed> {
    let replayed = match &options.journal {
        Some(place) => journal::replay(store, place).await?,
        None => Replayed::default(),
    };
    Ok((replayed, claim::due(store, &options.request).await?))
}

/// How the run ends, if its outcomes get recorded.
fn exit(results: &Results, told: [&Summary; 2], stop: &Stop, fail_on: &[FailOn]) -> Exit {
    if results.panicked {
        Exit::Bug
    } else if let Some(exit) = stop.exit() {
        exit
    } else if !results.locked.is_empty() {
        Exit::Configuration
    } else if told.iter().any(|summary| summary.needs_attention(fail_on)) {
        Exit::Attention
    } else {
        Exit::Ok
    }
}

/// How it ends once the commit is known.
fn after_commit(exit: Exit, report: &Report, results: &Results) -> Exit {
    let sent = results.settled.iter().any(Settled::was_sent);
    let is_whole =
        report.unrecorded.is_none() && report.refused.is_empty() && report.beside.is_empty();
    match (is_whole, sent) {
        (false, true) => Exit::Unrecorded,
        (false, false) => Exit::Unavailable,
        (true, _) if report.lost.is_empty() => exit,
        (true, _) => exit.max(Exit::Attention),
    }
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

/// The outcomes that the database could not take, as JSON lines.
pub fn unrecorded(done: &Done, run: Uuid) -> impl Iterator<Item = String> {
    let at = done.summary.finished_at.parse().unwrap_or_default();
    let report = &done.report;
    let refused: HashSet<PostId> = report.refused.iter().map(|(id, _)| *id).collect();
    let known = report.recorded.iter().chain(&report.lost);
    let known: HashSet<PostId> = known.copied().collect();
    done.settled
        .iter()
        .filter(move |settled| {
            let id = settled.post.id;
            refused.contains(&id) || report.unrecorded.is_some() && !known.contains(&id)
        })
        .map(move |settled| commit::row(run, settled.verdict(), at).to_string())
}
