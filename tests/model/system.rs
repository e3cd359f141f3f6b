//! The real thing: several stores on one database, real journals, and a platform that counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use publisher::claim;
use publisher::commit::{self, Report};
use publisher::exit::Exit;
use publisher::journal::{self, Journal, Page, Place};
use publisher::outcome::{Failure, Outcome, Published, Reason, Scope, Settled, Verdict};
use publisher::post::{Action, ClaimedPost, PostId};
use publisher::run;
use publisher::schedule::{Clock, retry_delay};
use publisher::store::{Database, Request, Store, instant, migrate};
use publisher::summary::Summary;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use super::life::{
    ACCOUNTS, Heard, LEASE, RUNS, Standing, State, Status, Told, found_by_person, seen_at,
};
use super::moves::{Move, Refusal, Step};
use crate::support::database::{Backend, Raw, now, request_at};
use crate::support::postgres::cluster;

/// A database that one case after the other uses, and connections to it.
pub(crate) struct Bench {
    pub(crate) raw: Raw,
    stores: Vec<Store>,
    place: Place,
    _dir: TempDir,
}

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

/// A run that holds posts.
struct Alive {
    id: Uuid,
    lease_ends: i64,
    journal: Journal,
    posts: Vec<InHand>,
}

/// A post that a run holds.
struct InHand {
    post: ClaimedPost,
    checkpoint: Option<Value>,
    sent: bool,
    /// The platform has accepted it, then, whatever else is asked of it.
    live: Option<(Published, DateTime<Utc>)>,
    outcome: Option<Outcome>,
}

/// What the times of a case count from.
pub(crate) fn start() -> DateTime<Utc> {
    now()
}

/// So many seconds after the start.
pub(crate) fn time(seconds: i64) -> DateTime<Utc> {
    start() + TimeDelta::seconds(seconds)
}

/// The number of a row.
pub(crate) fn id(post: usize) -> PostId {
    PostId::try_from(post).unwrap() + 1
}

/// The post's number in the reference.
pub(crate) fn number(id: PostId) -> usize {
    usize::try_from(id - 1).unwrap()
}

/// The uuid of a run.
pub(crate) fn uuid(run: u32) -> Uuid {
    Uuid::from_u128(run.into())
}

impl Bench {
    /// A migrated database, in memory where the machine has such a place.
    pub(crate) async fn new(backend: Backend) -> Self {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let dir = dir.unwrap();
        let url = match backend {
            Backend::Sqlite => format!("sqlite:{}", dir.path().join("publisher.db").display()),
            Backend::Postgres => cluster().database().await,
        };
        let database: Database = url.parse().unwrap();
        migrate::run(&database).await.unwrap();
        let mut stores = Vec::new();
        for _ in 0..RUNS {
            stores.push(Store::open(&database).await.unwrap());
        }
        let place = Place {
            directory: dir.path().join("journal"),
            database: database.name(),
            host: "model".to_owned(),
        };
        Self {
            raw: Raw::connect(&url).await,
            stores,
            place,
            _dir: dir,
        }
    }

    /// The journals that are there.
    pub(crate) fn journals(&self) -> usize {
        match std::fs::read_dir(&self.place.directory) {
            Ok(files) => files.count(),
            Err(_) => 0,
        }
    }

    async fn clear(&mut self) {
        std::fs::remove_dir_all(&self.place.directory).ok();
        let mut sql = vec!["DELETE FROM posts; DELETE FROM runs; DELETE FROM accounts".to_owned()];
        for (account, (owner, platform)) in ACCOUNTS.iter().enumerate() {
            let id = id(account);
            sql.push(format!(
                "INSERT INTO accounts (id, owner, platform, external_id) VALUES ({id}, '{owner}', '{platform}', '{id}')"
            ));
        }
        self.raw.run(&sql.join("; ")).await;
    }
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
            Move::Step { run, place, step } => self.step(run, place, step),
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

    /// As `publish.rs` does it.
    fn step(&mut self, slot: usize, place: usize, step: Step) {
        let (at, now) = (self.at, self.now());
        let run = self.runs[slot].as_mut().expect("the run is there");
        let held = &mut run.posts[place];
        let post = number(held.post.id);
        let journal = &run.journal;
        match step {
            Step::Refuse(refusal) => held.fail(refused(refusal), journal, now),
            Step::Process { minutes, goes_on } => {
                held.checkpoint = Some(json!(at));
                let due_at = now + TimeDelta::minutes(minutes);
                let waiting = Outcome::Waiting { due_at };
                journal.note(held.verdict(&waiting), now);
                held.outcome = (!goes_on).then_some(waiting);
            }
            Step::Send { arrives } => {
                assert_eq!(
                    held.post.action,
                    Action::Publish,
                    "post {post} is not to be sent"
                );
                held.page(journal, now).sending().unwrap();
                if at >= run.lease_ends {
                    held.fail(retry("lease_ended", None), journal, now);
                    return;
                }
                held.sent = true;
                if arrives {
                    *self.ledger.entry(post).or_default() += 1;
                }
            }
            Step::Hear => {
                let live = Published::at(post.to_string(), None);
                held.page(journal, now).live(&live);
                held.live = Some((live, now));
            }
            Step::Finish => held.publish(journal, now),
            Step::LoseAnswer => {
                let reason = Reason::new("timeout", "no answer came");
                held.fail(Failure::Unconfirmed { reason }, journal, now);
            }
            Step::LookUp { tells: false } => {
                let reason = Reason::new("unconfirmed", "it does not tell");
                held.fail(Failure::Unconfirmed { reason }, journal, now);
            }
            Step::LookUp { tells: true } if self.ledger.contains_key(&post) => {
                held.publish(journal, now);
            }
            Step::LookUp { tells: true } => {
                held.checkpoint = None;
                held.fail(retry("absent", Some(Duration::ZERO)), journal, now);
            }
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

impl InHand {
    fn new(post: ClaimedPost) -> Self {
        Self {
            checkpoint: post.checkpoint.clone(),
            outcome: (post.action == Action::Expire).then_some(Outcome::Expired),
            sent: false,
            live: None,
            post,
        }
    }

    fn verdict<'a>(&'a self, outcome: &'a Outcome) -> Verdict<'a> {
        Verdict {
            post: &self.post,
            outcome,
            checkpoint: self.checkpoint.as_ref(),
            took: Duration::ZERO,
        }
    }

    fn page<'a>(&'a self, journal: &'a Journal, now: DateTime<Utc>) -> Page<'a> {
        Page {
            journal,
            clock: Clock::at(now),
            post: &self.post,
            checkpoint: self.checkpoint.as_ref(),
        }
    }

    fn publish(&mut self, journal: &Journal, now: DateTime<Utc>) {
        let post = number(self.post.id);
        let post = Published::at(post.to_string(), Some(seen_at(post)));
        self.checkpoint = None;
        self.conclude(Outcome::Published { post, at: now }, journal, now);
    }

    fn fail(&mut self, failure: Failure, journal: &Journal, now: DateTime<Utc>) {
        let is_absent = failure.reason().class == "absent";
        let delay = if is_absent {
            Duration::ZERO
        } else {
            retry_delay(self.post.attempts, 1.0)
        };
        let outcome = Outcome::of(failure, &self.post, now, delay);
        self.conclude(outcome, journal, now);
    }

    fn conclude(&mut self, outcome: Outcome, journal: &Journal, now: DateTime<Utc>) {
        journal.note(self.verdict(&outcome), now);
        self.outcome = Some(outcome);
    }

    /// What becomes of it if nothing more is known.
    fn cut_off(&self) -> Outcome {
        let unconfirmed = |class| Outcome::Unconfirmed {
            reason: Reason::new(class, "the run ended"),
        };
        match (&self.outcome, &self.live) {
            (Some(outcome), _) => outcome.clone(),
            _ if self.post.action == Action::Recover => unconfirmed("interrupted"),
            (None, Some((post, at))) => Outcome::Published {
                post: post.clone(),
                at: *at,
            },
            _ if self.sent => unconfirmed("stopped"),
            _ => Outcome::Released,
        }
    }

    fn settled(&self) -> Settled {
        Settled {
            post: self.post.clone(),
            outcome: self.cut_off(),
            checkpoint: self.checkpoint.clone(),
            took: Duration::ZERO,
        }
    }
}

fn retry(class: &'static str, after: Option<Duration>) -> Failure {
    let reason = Reason::new(class, "it is tried again");
    Failure::Retry { after, reason }
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Later => retry("server_error", None),
        Refusal::Never => Failure::rejected("it is too long"),
        Refusal::Login => Failure::NeedsLogin {
            reason: Reason::new("needs_login", "the token has ended"),
        },
        Refusal::Limit { minutes, whole } => Failure::RateLimited {
            after: Duration::from_secs(60 * minutes.unsigned_abs()),
            scope: if whole {
                Scope::Platform
            } else {
                Scope::Account
            },
            reason: Reason::new("rate_limited", "that was enough"),
        },
    }
}

/// The word of the database for an account's standing.
pub(crate) fn standing(name: &str) -> Standing {
    match name {
        "active" => Standing::Active,
        "needs_login" => Standing::NeedsLogin,
        "disabled" => Standing::Disabled,
        _ => panic!("no account is {name}"),
    }
}
