//! What must hold after every move, and at the end.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::bench::{Bench, number, standing, start};
use super::life::{Account, NEVER, Row, State, Status};
use super::system::System;
use crate::support::database::Raw;

/// What a real clock may have added to a time that was written down, in seconds.
const DRIFT: i64 = 14;

/// What is in the database.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) posts: Vec<(usize, Row)>,
    accounts: Vec<Account>,
    runs: BTreeSet<u32>,
}

impl Found {
    /// Everything in one query.
    pub(crate) async fn read(bench: &mut Bench) -> Self {
        let sql = match bench.raw {
            Raw::Sqlite(_) => {
                "SELECT json_object('body', body, 'id', id, 'account_id', account_id, 'scheduled_at', scheduled_at, \
                 'due_at', due_at, 'expires_at', expires_at, 'priority', priority, 'status', status, \
                 'attempts', attempts, 'max_attempts', max_attempts, 'claim', claim, 'lease_until', lease_until, \
                 'checkpoint', json(checkpoint), 'error_class', error_class, 'permalink', permalink, \
                 'history', json(history)) FROM posts \
                 UNION ALL SELECT json_object('owner', owner, 'id', id, 'status', status, \
                 'blocked_until', blocked_until) FROM accounts \
                 UNION ALL SELECT json_object('run', id) FROM runs"
            }
            Raw::Postgres(_) => {
                "SELECT to_jsonb(p)::text FROM posts p UNION ALL SELECT to_jsonb(a)::text FROM accounts a \
                 UNION ALL SELECT jsonb_build_object('run', id)::text FROM runs"
            }
        };
        let mut found = Self {
            posts: Vec::new(),
            accounts: vec![Account::WELL; super::life::ACCOUNTS.len()],
            runs: BTreeSet::new(),
        };
        for row in bench.raw.texts(sql).await {
            let row: Value = serde_json::from_str(&row).unwrap();
            let id = || number(row["id"].as_i64().unwrap());
            if row["body"].is_string() {
                found.posts.push((id(), post(&row)));
            } else if row["owner"].is_string() {
                found.accounts[id()] = Account {
                    standing: standing(row["status"].as_str().unwrap()),
                    blocked_until: seconds(&row["blocked_until"]),
                };
            } else {
                found.runs.extend(run(&row["run"]));
            }
        }
        found.posts.sort_by_key(|(number, _)| *number);
        found
    }

    /// Compares it with the reference.
    pub(crate) fn is(mut self, state: &State) -> Result<(), String> {
        let expected: Vec<(usize, Row)> = state
            .rows()
            .map(|(post, row)| (post, row.clone()))
            .collect();
        for ((_, found), (_, expected)) in self.posts.iter_mut().zip(&expected) {
            if (found.due.saturating_sub(expected.due)).abs() <= DRIFT {
                found.due = expected.due;
            }
        }
        same("posts", &self.posts, &expected)?;
        same("accounts", &self.accounts, &state.accounts.to_vec())?;
        same("runs", &self.runs, &state.recorded)
    }
}

/// Says what differs.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{what}\n   found: {found:?}\nexpected: {expected:?}"
    ))
}

fn post(row: &Value) -> Row {
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    let count = |name: &str| u32::try_from(row[name].as_i64().unwrap()).unwrap();
    let history = row["history"].as_array().unwrap().iter();
    Row {
        account: number(row["account_id"].as_i64().unwrap()),
        body: text("body").unwrap(),
        scheduled: seconds(&row["scheduled_at"]).unwrap(),
        due: seconds(&row["due_at"]).unwrap(),
        expires: seconds(&row["expires_at"]),
        priority: row["priority"].as_i64().unwrap(),
        status: Status::named(row["status"].as_str().unwrap()),
        attempts: count("attempts"),
        max_attempts: count("max_attempts"),
        claim: run(&row["claim"]),
        lease: seconds(&row["lease_until"]),
        checkpoint: row["checkpoint"].as_i64(),
        error_class: text("error_class"),
        permalink: text("permalink"),
        history: history
            .map(|entry| entry["outcome"].as_str().unwrap().to_owned())
            .collect(),
    }
}

fn run(id: &Value) -> Option<u32> {
    let id: Uuid = id.as_str()?.parse().unwrap();
    Some(u32::try_from(id.as_u128()).unwrap())
}

/// An instant as the reference counts.
fn seconds(at: &Value) -> Option<i64> {
    let at = DateTime::parse_from_rfc3339(at.as_str()?).unwrap().to_utc();
    let seconds = (at - start()).num_seconds();
    Some(if at.timestamp() > 253_000_000_000 {
        NEVER
    } else {
        seconds
    })
}

/// From each status a post goes only to these.
pub(crate) fn may_follow(from: Status, to: Status) -> bool {
    use Status::{Canceled, Expired, Failed, Pending, Published, Publishing, Unconfirmed};
    let next: &[Status] = match from {
        Pending => &[Publishing, Canceled],
        // (An application that seizes a post cancels it.)
        Publishing => &[Published, Pending, Failed, Unconfirmed, Expired, Canceled],
        Unconfirmed => &[Publishing, Published, Pending],
        Failed | Expired | Canceled => &[Pending],
        Published => &[],
    };
    from == to || next.contains(&to)
}

/// What is promised of the posts, whatever the reference thinks.
pub(crate) fn promises(
    system: &System<'_>,
    found: &Found,
    before: &State,
    after: &State,
) -> Result<(), String> {
    system.broken.clone().map_or(Ok(()), Err)?;
    for (number, row) in &found.posts {
        let says = |what: &str| Err(format!("post {number} {what}: {row:?}"));
        let live = system.ledger.get(number).copied().unwrap_or_default();
        let is_seized = after.posts[*number].seized;
        if let Some(was) = before.row(*number)
            && !may_follow(was.status, row.status)
        {
            return says(&format!("was {:?}", was.status));
        }
        if live > 1 {
            return says(&format!("is live {live} times"));
        }
        if row.attempts > row.max_attempts {
            return says("was tried too often");
        }
        let is_told = matches!(
            row.status,
            Status::Publishing | Status::Unconfirmed | Status::Published
        );
        if live == 1 && !is_told && !is_seized {
            return says("is live");
        }
        if live == 0 && row.status == Status::Published {
            return says("is not live");
        }
    }
    Ok(())
}

/// Once all is quiet: every post is settled, and what is live is known to be.
pub(crate) fn settled(system: &System<'_>, found: &Found, state: &State) -> Result<(), String> {
    for (number, row) in &found.posts {
        let is_live = system.ledger.contains_key(number);
        let is_settled = row.status == Status::Published || row.status.is_over();
        let is_seized = state.posts[*number].seized;
        if !is_settled || is_live != (row.status == Status::Published) && !is_seized {
            return Err(format!("post {number} is not settled: {row:?}"));
        }
    }
    same("journals", &system.bench.journals(), &0)
}
