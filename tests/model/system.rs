//! The real thing: several stores on one database, real journals, and a platform that counts.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use publisher::claim;
use publisher::commit::{self, Report};
use publisher::exit::Exit;
use publisher::journal::{self, Journal};
use publisher::outcome::{Outcome, Settled};
use publisher::post::{Action, ClaimedPost};
use publisher::run;
use publisher::schedule::Clock;
use publisher::store::{Request, instant};
use publisher::summary::Summary;
use serde_json::json;

use super::bench::{Bench, id, number, time, uuid};
use super::hand::{Alive, InHand};
use super::life::{Heard, LEASE, RUNS, State, Status, Told, found_by_person};
use super::moves::Move;
use crate::support::database::request_at;

/// One case's state of affairs.
pub(crate) struct System<'a> {
    pub(crate) bench: &'a mut Bench,
    pub(crate) at: i64,
    runs: [Option<Alive>; RUNS],
    /// How often each post became live.
    pub(crate) ledger: BTreeMap<usize, u32>,
    next_run: u32,
    /// What a claim should not have brought.
    pub(crate) broken: Option<String>,
}

impl<'a> System<'a> {
    /// An empty queue.
    pub(crate) async fn new(bench: &'a mut Bench) -> Self {
        bench.clear().await;
        Self {
            bench,
            at: 0,
            runs: [const { None }; RUNS],
            ledger: BTreeMap::new(),
            next_run: 1,
            broken: None,
        }
    }

    /// Makes the move. The state is the reference's before it.
    pub(crate) async fn make(&mut self, next: &Move, state: &State) -> Told {
        match *next {
            Move::Wait { minutes } => self.at += minutes * 60,
            Move::Claim { run, limit } => return self.claim(run, limit).await,
            Move::Step { run, place, step } => {
                let run = self.runs[run].as_mut().expect("the run is there");
                run.step(place, step, self.at, &mut self.ledger);
            }
            Move::Renew { run } => self.renew(run).await,
            Move::Commit { run, unheard } => return self.commit(run, unheard).await,
            Move::Die {
                run,
                committed,
                journal_lost,
            } => self.die(run, committed, journal_lost).await,
            Move::Replay => return self.replay().await,
            Move::Cancel { post } => self.change(post, &["pending"], "canceled", None).await,
            Move::Retry { post } => {
                let from = ["failed", "expired", "canceled"];
                self.change(post, &from, "pending", None).await;
            }
            Move::Resolve { post } => {
                let (to, permalink) = match self.ledger.get(&post) {
                    Some(_) => ("published", Some(found_by_person(post))),
                    None => ("pending", None),
                };
                self.change(post, &["unconfirmed"], to, permalink).await;
            }
            _ => self.bench.raw.run(&sql(next, state)).await,
        }
        Told::Nothing
    }

    fn now(&self) -> DateTime<Utc> {
        time(self.at)
    }

    async fn claim(&mut self, slot: usize, limit: usize) -> Told {
        let id = uuid(self.next_run);
        self.next_run += 1;
        let request = Request {
            run: id,
            limit: u32::try_from(limit).unwrap(),
            lease: Duration::from_secs(LEASE.unsigned_abs()),
            ..request_at(self.now() + TimeDelta::seconds(30))
        };
        let claimed = claim::due(&mut self.bench.stores[slot], &request).await;
        let claimed = claimed.unwrap_or_else(|failed| panic!("{failed:?}"));
        let told = claimed
            .posts
            .iter()
            .map(|post| (number(post.id), post.action));
        let told = Told::Claimed(told.collect());
        for post in &claimed.posts {
            self.broken = self
                .broken
                .take()
                .or(promised(post, request.now.unwrap()).err());
        }
        let posts: Vec<InHand> = claimed.posts.into_iter().map(InHand::new).collect();
        if posts.is_empty() {
            return told;
        }
        let journal = Journal::new(id, Some(self.bench.place.clone()));
        if posts.iter().any(|held| held.post.action != Action::Expire) {
            let given_back: Vec<Outcome> = posts.iter().map(InHand::cut_off).collect();
            let verdicts = posts.iter().zip(&given_back);
            journal.begin(
                verdicts.map(|(held, outcome)| held.verdict(outcome)),
                self.now(),
            );
            assert!(journal.is_kept());
        }
        self.runs[slot] = Some(Alive {
            id,
            lease_ends: self.at + 30 + LEASE,
            journal,
            posts,
        });
        told
    }

    async fn renew(&mut self, slot: usize) {
        let at = self.now() + TimeDelta::seconds(30);
        let lease = Duration::from_secs(LEASE.unsigned_abs());
        let run = self.runs[slot].as_mut().expect("the run is there");
        let store = &mut self.bench.stores[slot];
        let posts = store.renew(&[run.id], lease, Some(at)).await.unwrap();
        run.lease_ends = self.at + 30 + LEASE;
        for held in &mut run.posts {
            held.lost = !posts.contains(&held.post.id);
        }
    }

    async fn commit(&mut self, slot: usize, unheard: bool) -> Told {
        let mut heard = Vec::new();
        for _ in 0..=usize::from(unheard) {
            let report = self.outcomes(slot).await;
            assert_eq!((&report.refused, &report.unrecorded), (&Vec::new(), &None));
            let mut lost: Vec<usize> = report.lost.into_iter().map(number).collect();
            lost.sort_unstable();
            heard.push(Heard {
                before: report.before,
                lost,
            });
        }
        let run = self.runs[slot].take().expect("the run is there");
        run.journal.remove();
        Told::Committed(heard)
    }

    async fn outcomes(&mut self, slot: usize) -> Report {
        let now = self.now();
        let run = self.runs[slot].as_ref().expect("the run is there");
        let settled: Vec<Settled> = run.posts.iter().map(InHand::settled).collect();
        let summary = Summary {
            run_id: run.id.to_string(),
            started_at: instant(now),
            finished_at: instant(now),
            ..Summary::default()
        };
        let record = run::record(run.id, &summary.exiting(Exit::Ok), "model");
        let store = &mut self.bench.stores[slot];
        commit::outcomes(store, run.id, record, &settled, now).await
    }

    async fn die(&mut self, slot: usize, committed: bool, journal_lost: bool) {
        if committed {
            self.outcomes(slot).await;
        }
        let run = self.runs[slot].take().expect("the run is there");
        if journal_lost {
            run.journal.remove();
        }
    }

    async fn replay(&mut self) -> Told {
        let replayed = journal::replay(&mut self.bench.stores[0], &self.bench.place).await;
        let replayed = replayed.unwrap_or_else(|failed| panic!("{failed:?}"));
        let written = replayed.rows.iter().map(|row| {
            let status = Status::named(row["status"].as_str().unwrap());
            (number(row["id"].as_i64().unwrap()), status)
        });
        let mut written: Vec<(usize, Status)> = written.collect();
        written.sort_unstable();
        Told::Replayed(written)
    }

    /// What `posts cancel`, `posts retry` and `posts resolve` do.
    async fn change(&mut self, post: usize, from: &[&str], to: &str, permalink: Option<String>) {
        let before = Clock::host().now();
        let change = json!({
            "ids": [id(post)], "from": from, "to": to, "permalink": permalink, "message": "a person says so",
        });
        let changed = self.bench.stores[1].change_posts(&change).await.unwrap();
        assert_eq!(changed, [id(post)]);
        if to == "pending" {
            self.move_to_model_time(post, before).await;
        }
    }

    /// A person's decision counts from the database's clock. The case has a clock of its own.
    async fn move_to_model_time(&mut self, post: usize, before: DateTime<Utc>) {
        let row = self.bench.raw.post_row(id(post)).await;
        let scheduled: DateTime<Utc> = row["scheduled_at"].as_str().unwrap().parse().unwrap();
        let slack = TimeDelta::seconds(1);
        let is_now = before - slack <= scheduled && scheduled <= Clock::host().now() + slack;
        assert!(is_now, "{row:?}");
        assert_eq!(row["scheduled_at"], row["due_at"]);
        let at = instant(time(self.at + 15));
        let sql = format!(
            "UPDATE posts SET scheduled_at = '{at}', due_at = '{at}' WHERE id = {}",
            id(post)
        );
        self.bench.raw.run(&sql).await;
    }
}

/// What every claim promises of a post, whatever the reference thinks.
fn promised(post: &ClaimedPost, at: DateTime<Utc>) -> Result<(), String> {
    let is_in_time = at < post.expires_at;
    let broken = match post.action {
        _ if post.attempts > post.max_attempts => "it was tried often enough",
        Action::Publish if !is_in_time => "it is too old to be sent",
        Action::Publish if at < post.scheduled_at => "it is sent before its time",
        Action::Expire if is_in_time => "it is not too old",
        _ => return Ok(()),
    };
    Err(format!("{broken}: {post:?}"))
}

/// What an application does with plain SQL.
fn sql(next: &Move, state: &State) -> String {
    match *next {
        Move::Add {
            account,
            in_minutes,
            expires_after,
            priority,
            max_attempts,
        } => {
            let scheduled = time(state.schedule(in_minutes));
            let expires = expires_after.map(|minutes| scheduled + TimeDelta::minutes(minutes));
            let expires = expires.map_or("NULL".to_owned(), |at| format!("'{}'", instant(at)));
            format!(
                "INSERT INTO posts (id, account_id, body, scheduled_at, expires_at, priority, max_attempts) \
                 VALUES ({}, {}, 'first', '{}', {expires}, {priority}, {max_attempts})",
                id(state.posts.len()),
                id(account),
                instant(scheduled),
            )
        }
        Move::Edit { post, body } => {
            format!("UPDATE posts SET body = '{body}' WHERE id = {}", id(post))
        }
        Move::Reschedule { post, in_minutes } => {
            let at = instant(time(state.schedule(in_minutes)));
            let id = id(post);
            format!("UPDATE posts SET scheduled_at = '{at}', expires_at = NULL WHERE id = {id}")
        }
        Move::Delete { post } => format!("DELETE FROM posts WHERE id = {}", id(post)),
        Move::Seize { post } => {
            let id = id(post);
            format!("UPDATE posts SET status = 'canceled', lease_until = NULL WHERE id = {id}")
        }
        Move::Account { account, disabled } => {
            let status = if disabled { "disabled" } else { "active" };
            let id = id(account);
            format!("UPDATE accounts SET status = '{status}', blocked_until = NULL WHERE id = {id}")
        }
        _ => unreachable!("{next:?} is not an application's"),
    }
}
