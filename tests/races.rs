//! Many runs at once, runs that were suspended, and clocks that disagree: the real binary, both databases, the sandbox
//! as the platforms. Nothing goes out twice, nothing is lost, no cap is exceeded.
//!
//! Usually the largest crowd alone has 2,000 posts. `PUBLISHER_RACE_POSTS` says how many every crowd has,
//! `PUBLISHER_RACE_ROUNDS` (1) how often each comes, and `PUBLISHER_RACE_SEED` (1) with which dice; a failure names the
//! seed of its round, which alone repeats it with one round:
//!
//! ```text
//! PUBLISHER_RACE_POSTS=2000 PUBLISHER_RACE_ROUNDS=20 PUBLISHER_RACE_SEED=1000 cargo test --test races crowd
//! ```

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

#[path = "races/clocks.rs"]
mod clocks;
#[path = "races/cron.rs"]
mod cron;
#[path = "races/crowd.rs"]
mod crowd;
#[path = "races/renewed.rs"]
mod renewed;
#[path = "races/suspended.rs"]
mod suspended;
