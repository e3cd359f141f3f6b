//! # publisher
//!
//! An external cron starts this program every minute. One invocation claims the due social-media posts from a
//! database in one query, drops those past their expiry, publishes the rest (all platforms at once, with a cap for
//! each), records what happened in two bulk UPDATEs, and exits with a code that the cron host keeps.
//!
//! ```text
//!            ┌─────────── run.rs ────────────────────────────────────────────────────────────────┐
//!  cron ───▶ │  claim.rs ─────▶ publish.rs ──────────────────────▶ commit.rs ─────▶ exit.rs      │ ───▶ exit code
//!            │  one query       lane facebook  ≤ 8 in flight        one transaction:   0, 1, 7x  │
//!            │                  lane instagram ≤ 5                  two UPDATEs,                 │
//!            │                  lane linkedin  ≤ 4  …               the run's row                │
//!            └──────┬──────────────────┬──────────────────────────────────┬──────────────────────┘
//!                   ▼                  ▼                                  ▼
//!               store.rs          platform.rs, http.rs                 store.rs
//!           SQLite | PostgreSQL   one file per platform
//! ```
//!
//! The database is the queue. Nothing is kept in memory between runs, and there is no daemon, broker or lock server.
//! A run that publishes keeps a file beside it, `journal.rs`, until the database has committed; the next run records
//! what a run that died left there, before it claims anything.
//!
//! ## Where to find what
//!
//! | the work, in its order | |
//! |---|---|
//! | [`cli`] | flags and environment, one file per command |
//! | [`config`] | the settings that come of them, and `publisher.toml` |
//! | [`run`] | one invocation, on one screen |
//! | [`claim`] | what is due: one query (`store/*/due.sql`, `claim.sql`) |
//! | [`lease`] | until when it may be sent; renewed while the run lives |
//! | [`publish`] | the lanes: caps, paces, one post in flight per account, the breaker |
//! | [`journal`] | what a run was doing, on the disk, should it die; the next run records it |
//! | [`commit`] | the outcomes: two bulk UPDATEs and the run's row |
//! | [`exit`], [`stop`], [`summary`] | how it ends, also early, and what it says of itself |
//!
//! | the nouns | |
//! |---|---|
//! | [`post`], [`account`] | what is published, and where |
//! | [`outcome`] | what became of it; an error is a decision here |
//! | [`schedule`] | time, zones, lateness, back-off |
//! | [`secret`], [`tokens`] | sealed credentials; how a token that ends is replaced |
//! | [`limits`] | what the platforms take, as dated figures |
//! | [`review`] | everything that is wrong with a post, before anything is sent |
//! | [`trust`], [`text`] | whose files are believed; strangers' words on their way to people |
//!
//! | the outside | |
//! |---|---|
//! | [`store`] | both databases behind one set of statements |
//! | [`platform`] | the trait, the registry, one file per platform |
//! | [`http`], [`media`] | requests with a declared effect; files that are streamed |
//! | [`import`] | posts from CSV, JSON and JSON Lines |
//! | [`sandbox`] | a local twin of the platforms, for people, tests and CI |
//!
//! ## Life of a post
//!
//! ```text
//!              claim                    accepted
//!  pending ───────────▶ publishing ──────────────────▶ published
//!    ▲ ▲                 │  │  │  rejected, or out of tries
//!    │ │  tried later    │  │  └─────────────────────▶ failed
//!    │ └─ or not started ┘  │  sent, but no answer
//!    │                      └────────────────────────▶ unconfirmed ──▶ published, pending
//!    │                                   (looked up in the run, by later ones, or a person looks)
//!    └── older than its expiry ▶ expired             a person: pending ▶ canceled
//! ```
//!
//! ## Invariants
//!
//! - No stage but [`publish`] uses the network, and none but [`claim`] and [`commit`] the database. (A replayed journal
//!   goes through [`commit`]. A token that was refreshed is saved at once, before its first use.)
//! - Only a claim makes a [`post::ClaimedPost`], and a platform accepts nothing else.
//! - [`publish::Lanes`] cannot fail, so the commit always runs. A panic, a hang, a 50 MB reply stay with their post.
//! - A request declares its [`http::Effect`] before it is sent. What publishes is sent again only if it surely was not
//!   accepted; else the post is in doubt, and nothing sends it again before its platform was asked. Each platform says how
//!   ([`platform::Platform::look_up`]); when, and what follows, is [`publish`]'s alone.
//! - Where there is a state directory, no such request leaves before the journal knows of it: a run that is killed leaves
//!   in doubt only what was in flight.
//! - Every write after the claim carries the claim, and its row count is compared: another run's outcome is never
//!   overwritten, and a lost claim is always reported.
//! - Claims that find something due come one after the other (`publisher.claim_due`, SQLite's write lock), each on what the
//!   one before it left: so they share the work, and limits hold over all. Nothing is sent under that lock.
//! - An account belongs to one living run: what else waits for it no other claim takes. So its posts go out in order, one
//!   in flight, over all runs. Looking up, and dropping what is too old, does not wait for that.
//! - No post is sent after its lease ended, by the monotonic clock or by the wall clock, and no answer is waited for then:
//!   leases are short, and a run that lives longer renews its own. A row whose lease ended belongs to a run that died: it
//!   is taken over to find out what became of it, not to be sent. Only a platform that surely does not have it lets it go
//!   out again.
//! - The number of statements does not grow with the posts: the claim, two UPDATEs, one INSERT. (On SQLite one more
//!   UPDATE where an account must be blocked; the last three again for each dead run's journal; a renewal a minute.) A run
//!   that drains does all of that once for each wave.
//! - A slot of a lane is never held while merely waiting: for the account, for media, for a back-off.
//! - Time, environment and exit are arguments: `clippy.toml` refuses them anywhere but at the rim.
//! - Secrets are sealed at rest, never in a log line, an error or a URL.

pub mod cli;
pub mod config;
pub mod run;

pub mod claim;
pub mod lease;
pub mod publish;

pub mod journal;

pub mod commit;
pub mod exit;
pub mod stop;
pub mod summary;
pub mod text;

pub mod account;
pub mod limits;
pub mod outcome;
pub mod post;
pub mod schedule;
pub mod secret;
pub mod suggest;
pub mod tokens;
pub mod trust;

pub mod http;
pub mod media;
pub mod platform;
pub mod review;

pub mod store;

pub mod import;

pub mod progress;

pub mod sandbox;
