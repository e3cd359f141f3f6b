//! A run's hands: what the stage between the claim and the commit does with a post, as `publish.rs` has it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use publisher::journal::{Journal, Page};
use publisher::outcome::{Failure, Outcome, Published, Reason, Scope, Settled, Verdict};
use publisher::post::{Action, ClaimedPost};
use publisher::schedule::{Clock, retry_delay};
use serde_json::{Value, json};
use uuid::Uuid;

use super::bench::{number, time};
use super::life::seen_at;
use super::moves::{Refusal, Step};

/// A run that holds posts.
pub(crate) struct Alive {
    pub(crate) id: Uuid,
    pub(crate) lease_ends: i64,
    pub(crate) journal: Journal,
    pub(crate) posts: Vec<InHand>,
}

/// A post that a run holds.
pub(crate) struct InHand {
    pub(crate) post: ClaimedPost,
    /// Its last renewal did not bring it back.
    pub(crate) lost: bool,
    checkpoint: Option<Value>,
    sent: bool,
    /// The platform has accepted it, then, whatever else is asked of it.
    live: Option<(Published, DateTime<Utc>)>,
    outcome: Option<Outcome>,
}

impl Alive {
    /// One step of one post; what the platform makes live is in its ledger.
    pub(crate) fn step(
        &mut self,
        place: usize,
        step: Step,
        at: i64,
        ledger: &mut BTreeMap<usize, u32>,
    ) {
        let now = time(at);
        let held = &mut self.posts[place];
        let post = number(held.post.id);
        let journal = &self.journal;
        match step {
            Step::Refuse(refusal) => held.fail(refused(refusal), journal, now),
            Step::Process { minutes, goes_on } => {
                held.checkpoint = Some(json!(at));
                let due_at = now + TimeDelta::minutes(minutes);
                let waiting = Outcome::Waiting { due_at };
                journal.note(held.verdict(&waiting), now);
                journal.write();
                held.outcome = (!goes_on).then_some(waiting);
            }
            Step::Send { arrives } => {
                assert_eq!(
                    held.post.action,
                    Action::Publish,
                    "post {post} is not to be sent"
                );
                held.page(journal, now).sending().unwrap();
                if at >= self.lease_ends || held.lost {
                    held.fail(retry("lease_ended", None), journal, now);
                    return;
                }
                held.sent = true;
                if arrives {
                    *ledger.entry(post).or_default() += 1;
                }
            }
            Step::Hear => {
                let live = Published::at(post.to_string(), None);
                let outcome = Outcome::Published {
                    post: live.clone(),
                    at: now,
                };
                journal.note(held.verdict(&outcome), now);
                journal.write();
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
            Step::LookUp { tells: true } if ledger.contains_key(&post) => {
                held.publish(journal, now);
            }
            Step::LookUp { tells: true } => {
                held.checkpoint = None;
                held.fail(retry("absent", Some(Duration::ZERO)), journal, now);
            }
        }
    }
}

impl InHand {
    pub(crate) fn new(post: ClaimedPost) -> Self {
        Self {
            checkpoint: post.checkpoint.clone(),
            outcome: (post.action == Action::Expire).then_some(Outcome::Expired),
            lost: false,
            sent: false,
            live: None,
            post,
        }
    }

    pub(crate) fn verdict<'a>(&'a self, outcome: &'a Outcome) -> Verdict<'a> {
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
        journal.write();
        self.outcome = Some(outcome);
    }

    /// What becomes of it if nothing more is known.
    pub(crate) fn cut_off(&self) -> Outcome {
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

    pub(crate) fn settled(&self) -> Settled {
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
