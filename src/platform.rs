//! What the job asks of a platform, and the registry of those it knows.
//!
//! A platform is one file in `platform/` and one line in [`ALL`]. It publishes in *steps*: each ends as done, as
//! *wait* (with a checkpoint and a time to look again), or failed. A post that waits holds no slot, and its
//! checkpoint survives the run.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use serde_json::Value;

use crate::account::Account;
use crate::http::Session;
use crate::outcome::{Failure, Published};
use crate::post::Content;

pub mod facebook;
pub mod graph;
pub mod instagram;
pub mod linkedin;
pub mod slack;
pub mod youtube;

/// Every platform this version publishes to, in the order in which lists show them.
pub static ALL: &[&dyn Platform] = &[
    &facebook::Facebook,
    &instagram::Instagram,
    &linkedin::LinkedIn,
    &youtube::YouTube,
    &slack::Slack,
];

/// The platform of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Platform> {
    ALL.iter().copied().find(|platform| platform.name() == name)
}

/// The names, for messages and for `--help`.
pub fn names() -> Vec<&'static str> {
    ALL.iter().map(|platform| platform.name()).collect()
}

/// One platform's client.
///
/// A step must not sleep: it ends as [`Step::Wait`] instead. Every request it makes goes through
/// [`Session::send`], which declares its effect.
pub trait Platform: Sync {
    /// Its name, as in `accounts.platform` and in the paths of `--sandbox`.
    fn name(&self) -> &'static str;

    /// How many of its posts are in flight at once under the default pace.
    fn cap(&self) -> usize;

    /// Scheme and host of its API for this account, without a trailing slash.
    fn base_url(&self, account: &Account) -> &'static str;

    /// Everything that keeps this content from being published, in words its author understands.
    ///
    /// Reads nothing but its arguments (files are checked by [`crate::media::examine`]).
    fn validate(&self, content: &Content) -> Vec<String>;

    /// What is wrong with an account's `external_id`, if anything.
    fn validate_account(&self, external_id: &str) -> Result<(), String>;

    /// Takes the post one step further, from where `checkpoint` says it stands (`None`: from the beginning).
    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>>;
}

/// How a step ended, if it did not fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The post is live.
    Done(Published),
    /// Nothing more to do just now.
    Wait {
        /// Where it stands; the next step, perhaps in a later run, starts from here.
        checkpoint: Value,
        /// When to look again; zero to go on at once.
        after: Duration,
    },
}
