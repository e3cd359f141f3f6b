//! Committing: two bulk UPDATEs and the run's own row, in one transaction, fenced by the claim.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::outcome::{Block, Outcome, Scope, Settled, Verdict};
use crate::schedule::{next_look, rested};
use crate::store::{Outcomes, Row, Store, instant};

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
pub fn bulk(entries: impl IntoIterator<Item = (Value, Option<Value>)>) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let mut accounts = Vec::new();
    for (row, account) in entries {
        let is_published = row["status"] == "published";
        let row = Row::from(without_nul(row));
        accounts.extend(account.map(|account| (row.id, without_nul(account))));
        if is_published {
            outcomes.published.push(row);
        } else {
            outcomes.settled.push(row);
        }
    }
    outcomes.published.sort_unstable_by_key(|row| row.id);
    outcomes.settled.sort_unstable_by_key(|row| row.id);
    accounts.sort_by_key(|(post, _)| *post);
    outcomes.accounts = accounts.into_iter().map(|(_, account)| account).collect();
    outcomes
}

/// One post's row. It also is what the journal holds, and what goes to stderr if the database stays away.
pub fn row(run: Uuid, verdict: Verdict<'_>, now: DateTime<Utc>) -> Value {
    let post = verdict.post;
    let given_back = post.attempts.saturating_sub(1);
    let look_at;
    let (status, due_at, attempts) = match verdict.outcome {
        Outcome::Published {
            post: published,
            at,
        } => {
            return json!({
                "id": post.id, "status": "published", "platform_post_id": published.id,
                "permalink": published.permalink, "published_at": instant(*at), "attempts": post.attempts,
                "entry": entry(run, verdict, now),
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
    json!({
        "id": post.id, "status": status, "due_at": due_at.map(|at| instant(*at)), "attempts": attempts,
        "checkpoint": verdict.checkpoint,
        "error_class": reason.map(|reason| reason.class),
        "error_code": reason.and_then(|reason| reason.code.as_ref()),
        "error": reason.map(|reason| &reason.message),
        "entry": reason.map(|_| entry(run, verdict, now)),
    })
}

/// One entry of `posts.history`.
fn entry(run: Uuid, verdict: Verdict<'_>, now: DateTime<Utc>) -> Value {
    let mut entry = json!({
        "at": instant(now), "run": run, "outcome": verdict.outcome.name(),
        "took_ms": u64::try_from(verdict.took.as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(reason) = verdict.outcome.reason() {
        entry["class"] = json!(reason.class);
        entry["code"] = json!(reason.code);
        entry["message"] = json!(reason.message);
    }
    if let Outcome::Published { post, .. } = verdict.outcome
        && !post.warnings.is_empty()
    {
        entry["warnings"] = json!(post.warnings);
    }
    entry
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

/// PostgreSQL's text holds no NUL, and a platform's reply may: one such reply must not fail the whole commit.
fn without_nul(mut value: Value) -> Value {
    strip_nul(&mut value);
    value
}

/// In place: nearly no row has one.
fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => text.retain(|c| c != '\0'),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(fields) => {
            if fields.keys().any(|name| name.contains('\0')) {
                let old = std::mem::take(fields).into_iter();
                fields.extend(old.map(|(name, value)| (name.replace('\0', ""), value)));
            }
            fields.values_mut().for_each(strip_nul);
        }
        _ => {}
    }
}
