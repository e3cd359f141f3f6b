//! What a run holds, and what came of it. While the lanes publish, one wave after the other is claimed and recorded, and
//! what is under way is renewed. All that the run asks of the database it asks here, one thing at a time.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::channel::mpsc::UnboundedReceiver;
use uuid::Uuid;

use super::{Done, Options, record};
use crate::claim;
use crate::commit::{self, Report};
use crate::exit::{Exit, Failed};
use crate::journal::Replayed;
use crate::lease::Lease;
use crate::outcome::{Block, Outcome, Settled};
use crate::post::{ClaimedPost, PostId};
use crate::progress::Progress;
use crate::publish::{Lanes, Wave};
use crate::schedule::Clock;
use crate::stop::Stop;
use crate::store::{Request, Store};
use crate::summary::Summary;

/// So many waves are in memory at once: one that is published, and the next.
const WAVES: usize = 2;
/// Of so many posts a person can be told one by one.
const TOLD: usize = 1_000;

pub(super) struct Ledger<'a> {
    store: &'a mut Store,
    options: &'a Options,
    stop: &'a Stop,
    lanes: &'a Lanes<'a>,
    lease: &'a Lease,
    progress: &'a Progress,
    clock: Clock,
    /// What runs that had died left.
    replayed: Replayed,
    started_at: DateTime<Utc>,
    /// The waves that are under way, and since when.
    waves: Vec<(Uuid, DateTime<Utc>)>,
    /// Whether another claim may bring something.
    is_more: bool,
    /// What this run gave back is left to others: it would only give it back again.
    spared: BTreeSet<String>,
    failed: Option<Failed>,
    /// How it ends, as far as what was recorded goes.
    exit: Exit,
    summary: Summary,
    waves_recorded: usize,
    told: Vec<Settled>,
    logins: BTreeMap<String, String>,
    report: Report,
    unrecorded: Vec<String>,
    /// Whether anything was sent of what is not recorded.
    sent_unrecorded: bool,
    journaled: bool,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(
        store: &'a mut Store,
        options: &'a Options,
        stop: &'a Stop,
        lanes: &'a Lanes<'a>,
        (lease, clock): (&'a Lease, Clock),
        progress: &'a Progress,
        replayed: Replayed,
    ) -> Self {
        Self {
            store,
            options,
            stop,
            lanes,
            lease,
            progress,
            clock,
            replayed,
            started_at: clock.now(),
            waves: Vec::new(),
            is_more: options.drain,
            spared: BTreeSet::new(),
            failed: None,
            exit: Exit::Ok,
            summary: Summary {
                run_id: options.request.run.to_string(),
                ..Summary::default()
            },
            waves_recorded: 0,
            told: Vec::new(),
            logins: BTreeMap::new(),
            report: Report::default(),
            unrecorded: Vec::new(),
            sent_unrecorded: false,
            journaled: false,
        }
    }

    /// Lets the first wave in, and goes on until the last is recorded.
    pub(super) async fn keep(
        &mut self,
        first: Vec<ClaimedPost>,
        mut settled: UnboundedReceiver<Wave>,
    ) {
        self.enter(self.options.request.run, self.started_at, first);
        loop {
            if self.may_claim() {
                self.claim().await;
                continue;
            }
            if !self.options.drain || self.waves.is_empty() {
                self.lanes.close();
            }
            tokio::select! {
                wave = settled.next() => match wave {
                    Some(wave) => self.record(wave).await,
                    None => break,
                },
                () = self.lease.renewal() => self.renew().await,
            }
        }
        self.progress.clear();
    }

    fn enter(&mut self, claim: Uuid, at: DateTime<Utc>, posts: Vec<ClaimedPost>) {
        // A claim that brought less has left nothing but what is held; what it brings can change that.
        self.is_more = self.options.drain && posts.len() >= self.options.request.limit as usize;
        if posts.is_empty() {
            return;
        }
        self.waves.push((claim, at));
        self.lanes.enter(claim, posts, self.options.journal.clone());
    }

    fn may_claim(&self) -> bool {
        self.is_more && self.waves.len() < WAVES && !self.stop.is_draining() && self.lease.holds()
    }

    async fn claim(&mut self) {
        let request = Request {
            run: Uuid::new_v4(),
            now: self.options.request.now.map(|_| self.clock.now()),
            spared: self.spared.iter().cloned().collect(),
            ..self.options.request.clone()
        };
        let at = self.clock.now();
        let claimed = tokio::select! {
            claimed = claim::due(self.store, &request) => claimed,
            // What it has given, if anything, comes back when its lease ends.
            _ = self.stop.insisted() => {
                self.is_more = false;
                return;
            }
        };
        match claimed {
            Ok(claimed) => self.enter(request.run, at, claimed.posts),
            Err(why) => {
                self.is_more = false;
                self.failed = Some(why);
            }
        }
    }

    async fn renew(&mut self) {
        let claims: Vec<Uuid> = self.waves.iter().map(|(claim, _)| *claim).collect();
        let request = &self.options.request;
        tokio::select! {
            () = claim::renew(self.store, &claims, request, self.clock, self.lease) => {}
            // What was sent is worth more than what might be.
            _ = self.stop.insisted() => self.lease.not_renewed(),
        }
    }

    async fn record(&mut self, wave: Wave) {
        let at = self
            .waves
            .iter()
            .position(|(claim, _)| *claim == wave.claim);
        let (claim, since) = self.waves.remove(at.expect("a wave comes out once"));
        if !self.options.drain {
            self.progress.clear();
        }
        let now = self.clock.now();
        let figures = self.lanes.figures();
        let summary = Summary::of(claim, since, now, &wave.settled, &figures);
        let exit = self.exit_of(&summary);
        self.exit = self.exit.max(exit);
        let row = record(claim, &summary.exiting(exit), &self.options.host);
        let commit = commit::outcomes(self.store, claim, row, &wave.settled, now);
        let report = self.stop.unless_insisted(commit).await;
        let report = report.unwrap_or_else(|| Report {
            unrecorded: Some("a signal ended the waiting for the database".to_owned()),
            ..Report::default()
        });
        let is_whole = report.unrecorded.is_none() && report.refused.is_empty();
        if is_whole {
            wave.journal.remove();
        } else {
            self.journaled |= wave.journal.is_kept();
            self.unrecorded.extend(unrecorded(&wave, &report, now));
        }
        if !is_whole || !report.beside.is_empty() {
            self.sent_unrecorded |= wave.settled.iter().any(Settled::was_sent);
        }
        self.is_more = self.options.drain && self.failed.is_none() && report.unrecorded.is_none();
        self.report.add(report);
        self.summary.add(&wave.settled, &figures);
        self.waves_recorded += 1;
        self.remember(wave.settled);
    }

    /// What a person may have to hear of, and what the claims that follow leave out.
    fn remember(&mut self, settled: Vec<Settled>) {
        for settled in settled {
            let account = &settled.post.account;
            match &settled.outcome {
                Outcome::Released => {
                    self.spared.insert(format!("account:{}", account.id));
                }
                Outcome::Retry {
                    block: Some(Block::NeedsLogin),
                    reason,
                    ..
                } => {
                    let why = || reason.message.clone();
                    self.logins.entry(account.label()).or_insert_with(why);
                }
                Outcome::Failed { .. } | Outcome::Unconfirmed { .. } | Outcome::Expired
                    if self.told.len() < TOLD =>
                {
                    self.told.push(settled);
                }
                _ => {}
            }
        }
        let stopped = self.lanes.stopped();
        self.spared
            .extend(stopped.map(|name| format!("platform:{name}")));
    }

    /// How a wave ends if all of it gets recorded.
    fn exit_of(&self, summary: &Summary) -> Exit {
        let told = [summary, &self.replayed.summary];
        let fail_on = &self.options.fail_on;
        if self.lanes.panicked() {
            Exit::Bug
        } else if let Some(exit) = self.stop.exit() {
            exit
        } else if !self.lanes.locked().is_empty() {
            Exit::Configuration
        } else if told
            .into_iter()
            .any(|summary| summary.needs_attention(fail_on))
        {
            Exit::Attention
        } else {
            Exit::Ok
        }
    }

    /// The account of it all.
    pub(super) fn close(self) -> Done {
        // A signal that comes while the last wave is recorded cuts nothing short, unless another would have followed.
        let exit = if self.options.drain || self.waves_recorded == 0 {
            self.exit.max(self.exit_of(&self.summary))
        } else {
            self.exit
        };
        let report = self.report;
        let is_whole =
            report.unrecorded.is_none() && report.refused.is_empty() && report.beside.is_empty();
        let exit = match (is_whole, self.sent_unrecorded) {
            (false, true) => Exit::Unrecorded,
            (false, false) => Exit::Unavailable,
            (true, _) if report.lost.is_empty() => exit,
            (true, _) => exit.max(Exit::Attention),
        };
        let exit = self
            .failed
            .as_ref()
            .map_or(exit, |failed| exit.max(failed.exit));
        let now = self.clock.now();
        let mut summary = self.summary.over(self.started_at, now).exiting(exit);
        summary.waves = self.options.drain.then_some(self.waves_recorded);
        Done {
            summary,
            replayed: self.replayed,
            told: self.told,
            logins: self.logins,
            locked: self.lanes.locked(),
            report,
            unrecorded: self.unrecorded,
            journaled: self.journaled,
            cut_short: self.failed.map(|failed| failed.message),
            exit,
        }
    }
}

/// The outcomes that the database could not take, as JSON lines.
fn unrecorded(wave: &Wave, report: &Report, at: DateTime<Utc>) -> Vec<String> {
    let refused: HashSet<PostId> = report.refused.iter().map(|(id, _)| *id).collect();
    let known = report.recorded.iter().chain(&report.lost);
    let known: HashSet<PostId> = known.copied().collect();
    let missing = wave.settled.iter().filter(|settled| {
        let id = settled.post.id;
        refused.contains(&id) || report.unrecorded.is_some() && !known.contains(&id)
    });
    missing
        .map(|settled| {
            let row = commit::row(wave.claim, settled.verdict(), at);
            serde_json::to_string(&row).expect("a row is plain data")
        })
        .collect()
}
