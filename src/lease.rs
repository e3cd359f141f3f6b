//! For how long a run may send what it claimed, and which of it.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::outcome::{Failure, Reason};
use crate::post::PostId;
use crate::schedule::Term;

/// So often both clocks are looked at while something may be on its way to a platform.
const GLANCE: Duration = Duration::from_secs(1);

/// A run's hold on the posts that it claimed. It is short, so that what a run held that died is soon looked up, and is
/// renewed for as long as the run lives. Once it has ended it stays so: another run may have the posts by then.
#[derive(Debug)]
pub struct Lease {
    length: Duration,
    term: Cell<Term>,
    /// When it is to be renewed.
    renewal: Cell<Instant>,
    posts: RefCell<HashSet<PostId>>,
    ended: CancellationToken,
}

impl Lease {
    /// Of so long, from `term` on, which began before the database granted it.
    pub fn new(length: Duration, term: Term) -> Self {
        Self {
            length,
            term: Cell::new(term),
            renewal: Cell::new(Instant::now() + length / 3),
            posts: RefCell::default(),
            ended: CancellationToken::new(),
        }
    }

    /// These posts are held as well.
    pub fn claimed(&self, posts: impl IntoIterator<Item = PostId>) {
        self.posts.borrow_mut().extend(posts);
    }

    /// Whether the post may still be sent.
    pub fn check(&self, post: PostId) -> Result<(), Failure> {
        if self.holds() && self.posts.borrow().contains(&post) {
            return Ok(());
        }
        let reason = Reason::new(
            "lease_ended",
            "the claim on this post ended before it was sent: this run was held up for too long",
        );
        Err(Failure::Retry {
            after: None,
            reason,
        })
    }

    /// Whether it has not ended.
    pub fn holds(&self) -> bool {
        !self.ended.is_cancelled() && !self.term.get().is_over()
    }

    /// Ends when it does. Only while [`Lease::watch`] runs does anybody look.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Looks at the clocks until it has ended.
    pub async fn watch(&self) {
        while self.holds() {
            tokio::time::sleep(GLANCE).await;
        }
        self.ended.cancel();
        tracing::warn!(
            "the claim has ended, for it could not be renewed in time; what has not been sent waits for another run"
        );
    }

    /// Ends when a renewal is due; never once it has ended.
    pub async fn renewal(&self) {
        tokio::select! {
            () = tokio::time::sleep_until(self.renewal.get().into()) => {}
            () = async { self.ended().await; std::future::pending().await } => {}
        }
    }

    /// A renewal from `term` on left it these posts. What is not among them somebody else has changed.
    pub fn renewed(&self, term: Term, posts: HashSet<PostId>) {
        if self.holds() {
            self.term.set(term);
            self.renewal.set(Instant::now() + self.length / 3);
        }
        self.posts.replace(posts);
    }

    /// A renewal failed: it is tried again soon.
    pub fn not_renewed(&self) {
        self.renewal.set(Instant::now() + self.length / 30);
    }
}
