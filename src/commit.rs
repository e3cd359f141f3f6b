//! Committing: two bulk UPDATEs and the run's own row, in one transaction, fenced by the claim.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::outcome::{Block, Code, Outcome, Reason, Scope, Settled, Verdict};
use crate::post::PostId;
use crate::schedule::{next_look, rested};
use crate::store::{
    Outcomes, PublishedRow, Row, SettledRow, Store, as_instant, instant, without_nul,
};

mod record;

use record::PATIENCE;
pub use record::{Report, record};

/// Records the outcomes. Tries again while the database is away; rows that it refuses are found and set apart, so that
/// they can't hold back the others.
pub async fn outcomes(
    store: &mut Store,
    run: Uuid,
    record: Value,
    settled: &[Settled],
    now: DateTime<Utc>,
) -> Report {
    let entries = settled.iter().map(|settled| {
        let verdict = settled.verdict();
        (row(run, verdict, now), account(verdict))
    });
    let outcomes = Outcomes {
        run: Some(record),
        ..bulk(entries)
    };
    match self::record(store, run, &outcomes, PATIENCE).await {
        Ok(report) => report,
        Err(error) => Report {
            unrecorded: Some(error.to_string()),
            ..Report::default()
        },
    }
}

/// The two UPDATEs, of posts' rows and what they say about accounts. Sorted by id, so that two runs never lock them in
/// different orders.
pub fn bulk<'a>(entries: impl IntoIterator<Item = (Row<'a>, Option<Value>)>) -> Outcomes<'a> {
    let mut outcomes = Outcomes::default();
    let mut accounts = Vec::new();
    for (row, account) in entries {
        accounts.extend(account.map(|account| (row.id(), without_nul(account))));
        match row.without_nul() {
            Row::Published(row) => outcomes.published.push(row),
            Row::Settled(row) => outcomes.settled.push(row),
        }
    }
    outcomes.published.sort_unstable_by_key(|row| row.id);
    outcomes.settled.sort_unstable_by_key(|row| row.id);
    accounts.sort_by_key(|(post, _)| *post);
    outcomes.accounts = accounts.into_iter().map(|(_, account)| account).collect();
    outcomes
}

/// What a row says of a post that is not live.
#[derive(Serialize)]
struct Fields<'a> {
    id: PostId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<String>,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Entry<'a>>,
}

/// One post's row. It also is what the journal holds, and what goes to stderr if the database stays away.
pub fn row(run: Uuid, verdict: Verdict<'_>, now: DateTime<Utc>) -> Row<'_> {
    let post = verdict.post;
    let given_back = post.attempts.saturating_sub(1);
    let look_at;
    let (status, due_at, attempts) = match verdict.outcome {
        Outcome::Published {
            post: published,
            at,
        } => {
            let entry = Entry::new(run, verdict, now);
            return Row::Published(PublishedRow {
                id: post.id,
                status: "published".into(),
                platform_post_id: published.id.as_str().into(),
                permalink: published.permalink.as_deref().map(Into::into),
                published_at: *at,
                attempts: i32::try_from(post.attempts).ok(),
                entry: to_raw_value(&entry).expect("an entry is plain data"),
            });
        }
        Outcome::Retry {
            due_at,
            counts: true,
            ..
        } => ("pending", Some(due_at), post.attempts),
        Outcome::Retry {
            due_at,
            counts: false,
            ..
        }
        | Outcome::Waiting { due_at } => ("pending", Some(due_at), given_back),
        Outcome::Released => ("pending", None, given_back),
        Outcome::Failed { .. } => ("failed", None, post.attempts),
        Outcome::Unconfirmed { .. } => {
            look_at = next_look(post.scheduled_at, now);
            ("unconfirmed", Some(&look_at), post.attempts)
        }
        Outcome::Expired => ("expired", None, post.attempts),
    };
    let reason = verdict.outcome.reason();
    let fields = Fields {
        id: post.id,
        status,
        due_at: due_at.map(|at| instant(*at)),
        attempts,
        checkpoint: verdict.checkpoint,
        error_class: reason.map(|reason| reason.class),
        error_code: reason.and_then(|reason| reason.code.as_ref()),
        error: reason.map(|reason| reason.message.as_str()),
        entry: reason.map(|_| Entry::new(run, verdict, now)),
    };
    Row::Settled(SettledRow::new(post.id, &fields))
}

/// One entry of `posts.history`.
#[derive(Serialize)]
struct Entry<'a> {
    #[serde(serialize_with = "as_instant")]
    at: DateTime<Utc>,
    run: Uuid,
    outcome: &'static str,
    took_ms: u64,
    #[serde(flatten)]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

impl<'a> Entry<'a> {
    fn new(run: Uuid, verdict: Verdict<'a>, now: DateTime<Utc>) -> Self {
        Self {
            at: now,
            run,
            outcome: verdict.outcome.name(),
            took_ms: u64::try_from(verdict.took.as_millis()).unwrap_or(u64::MAX),
            reason: verdict.outcome.reason(),
            warnings: match verdict.outcome {
                Outcome::Published { post, .. } => &post.warnings,
                _ => &[],
            },
        }
    }
}

/// What an outcome says about its account, or about all of its platform.
pub fn account(verdict: Verdict<'_>) -> Option<Value> {
    let (block, why) = match verdict.outcome {
        Outcome::Retry {
            block: Some(block),
            reason,
            ..
        } => (*block, &reason.message),
        Outcome::Published { post, at } => {
            let pause = post.pause.as_ref()?;
            (
                Block::Until(rested(*at, pause.after), pause.scope),
                &pause.why,
            )
        }
        _ => return None,
    };
    let account = &verdict.post.account;
    Some(match block {
        Block::NeedsLogin => json!({"id": account.id, "needs_login": true, "reason": why}),
        Block::Until(until, Scope::Account) => {
            json!({"id": account.id, "blocked_until": instant(until), "reason": why})
        }
        Block::Until(until, Scope::Platform) => {
            json!({"platform": account.platform, "blocked_until": instant(until), "reason": why})
        }
    })
}
