//! Recording: a database that is away is waited for, one that is in another session's way is tried again, and a row
//! that it refuses holds back no other. All of it ends within [`PATIENCE`] and the try that is under way then.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use crate::post::PostId;
use crate::store::{Committed, Outcomes, PublishedRow, SettledRow, Store, StoreError};
use crate::text::one_line;

/// How long the outcomes are tried to be recorded.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often, and for how long, all rows together are tried against other sessions' locks and conflicts; then it may be
/// one row's fault.
const TOGETHER: (u32, Duration) = (5, Duration::from_secs(12));
/// The same for a part of them: a conflict is tried again, a lock that was waited for is not.
const IN_PARTS: (u32, Duration) = (2, Duration::from_secs(1));

/// How the commit went.
#[derive(Debug, Default)]
pub struct Report {
    /// Posts that were no longer this run's: somebody else changed them. Nothing was overwritten.
    pub lost: Vec<PostId>,
    /// Posts whose row the database refused, and why.
    pub refused: Vec<(PostId, String)>,
    /// What else it refused, and why: the run's own row, what the outcomes say of an account.
    pub beside: Vec<String>,
    /// Posts whose row was recorded now.
    pub recorded: Vec<PostId>,
    /// An earlier try of this commit went through, although its answer was lost.
    pub before: bool,
    /// Why the rest could not be recorded, if so.
    pub unrecorded: Option<String>,
}

/// Records a run's rows, waiting so long for a database that is away.
pub async fn record(
    store: &mut Store,
    run: Uuid,
    outcomes: &Outcomes<'_>,
    patience: Duration,
) -> Result<Report, StoreError> {
    let began = Instant::now();
    let limits = Limits {
        away: began + patience,
        contended: began + PATIENCE,
    };
    match patiently(store, run, outcomes, limits, TOGETHER).await {
        Ok((Committed::Now(updated), _)) => {
            let known: HashSet<PostId> = updated.iter().copied().collect();
            let published = outcomes.published.iter().map(|row| row.id);
            let settled = outcomes.settled.iter().filter_map(|row| row.id);
            let ids = published.chain(settled);
            let lost = ids.filter(|id| !known.contains(id)).collect();
            Ok(Report {
                lost,
                recorded: updated,
                ..Report::default()
            })
        }
        Ok((Committed::Before, _)) => Ok(Report {
            before: true,
            ..Report::default()
        }),
        Err(StoreError::Refused(why) | StoreError::Contended(why)) => {
            tracing::warn!(
                "the database refused the outcomes ({why}); they are recorded in parts, to find the row"
            );
            Ok(in_parts(store, run, outcomes, limits).await)
        }
        Err(error) => Err(error),
    }
}

/// Until when it is tried.
#[derive(Clone, Copy)]
struct Limits {
    /// While the database is away.
    away: Instant,
    /// While it is there, but other sessions or single rows are in the way.
    contended: Instant,
}

/// Tries until it is recorded, or there is no use. Also returns whether an earlier try ended without an answer.
async fn patiently(
    store: &mut Store,
    run: Uuid,
    outcomes: &Outcomes<'_>,
    limits: Limits,
    (tries, time): (u32, Duration),
) -> Result<(Committed, bool), StoreError> {
    let began = Instant::now();
    let (mut pause, mut contended, mut unanswered) = (FIRST_PAUSE, 0, false);
    loop {
        let error = match store.commit(run, outcomes).await {
            Ok(committed) => return Ok((committed, unanswered)),
            Err(error) => error,
        };
        let next = Instant::now() + pause;
        let end = match &error {
            StoreError::Unavailable(_) => {
                unanswered = true;
                limits.away
            }
            StoreError::Contended(_) => {
                contended += 1;
                if contended == tries || began.elapsed() > time {
                    return Err(error);
                }
                limits.contended
            }
            StoreError::Configuration(_) | StoreError::Refused(_) => return Err(error),
        };
        if next >= end {
            return Err(error);
        }
        tracing::warn!(
            "the outcomes can't be recorded yet: {error}; the next try is in {:.1} s, the last in at most {} s",
            pause.as_secs_f64(),
            (end - Instant::now()).as_secs()
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One row of a commit.
#[derive(Clone, Copy)]
enum Item<'a> {
    Published(&'a PublishedRow<'a>),
    Settled(&'a SettledRow),
    Account(&'a Value),
}

impl Item<'_> {
    fn post(&self) -> Option<PostId> {
        match self {
            Self::Published(row) => Some(row.id),
            Self::Settled(row) => row.id,
            Self::Account(_) => None,
        }
    }
}

fn together<'a>(items: &[Item<'a>]) -> Outcomes<'a> {
    let mut outcomes = Outcomes::default();
    for item in items {
        match *item {
            Item::Published(row) => outcomes.published.push(row.clone()),
            Item::Settled(row) => outcomes.settled.push(row.clone()),
            Item::Account(row) => outcomes.accounts.push(row.clone()),
        }
    }
    outcomes
}

/// Halves what is refused until the rows at fault are found. The parts of a size are tried before those of half the
/// size: so most rows are soon recorded, whatever becomes of the rest.
async fn in_parts(store: &mut Store, run: Uuid, outcomes: &Outcomes<'_>, limits: Limits) -> Report {
    let published = outcomes.published.iter().map(Item::Published);
    let settled = outcomes.settled.iter().map(Item::Settled);
    let accounts = outcomes.accounts.iter().map(Item::Account);
    let items: Vec<Item<'_>> = published.chain(settled).chain(accounts).collect();

    let mut report = Report::default();
    let mut parts = VecDeque::from([items.as_slice()]);
    while let Some(part) = parts.pop_front() {
        let began = Instant::now();
        let tried = patiently(store, run, &together(part), limits, IN_PARTS).await;
        let is_late = Instant::now() >= limits.contended;
        let some_went = !report.recorded.is_empty() || !report.lost.is_empty();
        match (tried, part) {
            (Ok((committed, unanswered)), _) => report.note(part, committed, unanswered),
            (Err(StoreError::Contended(why)), [_]) if !is_late && began.elapsed() > IN_PARTS.1 => {
                tracing::warn!("a row can't be recorded yet: {why}");
                parts.push_back(part);
            }
            (Err(StoreError::Refused(why) | StoreError::Contended(why)), [item]) if !is_late => {
                report.refuse(*item, &why);
            }
            (Err(StoreError::Refused(_) | StoreError::Contended(_)), _) if !is_late => {
                let (one, other) = part.split_at(part.len() / 2);
                parts.extend([one, other]);
            }
            (Err(error @ (StoreError::Refused(_) | StoreError::Contended(_))), _)
                if some_went || matches!(error, StoreError::Refused(_)) =>
            {
                // The database is there, so this is no reason to wait for it, and there may be thousands of them.
                let rest = std::iter::once(part).chain(parts.drain(..)).flatten();
                rest.for_each(|item| report.refuse(*item, &error.to_string()));
            }
            (Err(error), _) => {
                report.unrecorded = Some(error.to_string());
                return report;
            }
        }
    }
    report.lost.sort_unstable();
    report.refused.sort_unstable();
    mark(store, run, outcomes, limits, &mut report).await;
    report
}

/// The run's own row comes last: it says that the rest was tried.
async fn mark(
    store: &mut Store,
    run: Uuid,
    outcomes: &Outcomes<'_>,
    limits: Limits,
    report: &mut Report,
) {
    let Some(record) = &outcomes.run else { return };
    let alone = Outcomes {
        run: Some(record.clone()),
        ..together(&[])
    };
    match patiently(store, run, &alone, limits, IN_PARTS).await {
        Ok((Committed::Before, false)) => {
            // What is no longer this run's was recorded by an earlier try.
            report.lost.clear();
            report.before = report.refused.is_empty();
        }
        Ok(_) => {}
        Err(StoreError::Refused(why) | StoreError::Contended(why)) => {
            report.set_beside(format!("the run's own row, {record}: {why}"));
        }
        Err(error) => report.unrecorded = Some(error.to_string()),
    }
}

impl Report {
    /// Adds what another commit of this run came to.
    pub fn add(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.refused.extend(other.refused);
        self.beside.extend(other.beside);
        self.unrecorded = self.unrecorded.take().or(other.unrecorded);
    }

    fn note(&mut self, part: &[Item<'_>], committed: Committed, unanswered: bool) {
        let updated: HashSet<PostId> = match committed {
            Committed::Now(updated) => updated.into_iter().collect(),
            Committed::Before => return,
        };
        for id in part.iter().filter_map(Item::post) {
            // A part has no mark. If its rows are no longer this run's after a try without an answer, that try did it.
            if unanswered || updated.contains(&id) {
                self.recorded.push(id);
            } else {
                self.lost.push(id);
            }
        }
    }

    fn refuse(&mut self, item: Item<'_>, why: &str) {
        match (item.post(), item) {
            (Some(id), _) => self.refused.push((id, why.to_owned())),
            (None, Item::Account(row)) => {
                self.set_beside(format!("what this run says of an account, {row}: {why}"));
            }
            (None, Item::Published(_) | Item::Settled(_)) => {
                self.set_beside(format!("a row that names no post: {why}"));
            }
        }
    }

    fn set_beside(&mut self, what: String) {
        tracing::error!("the database refused {}", one_line(&what, 2000));
        self.beside.push(what);
    }
}
