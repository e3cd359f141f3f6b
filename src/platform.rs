//! What the job asks of a platform, and the registry of those it knows.
//!
//! A platform is one file in `platform/` and one line in `OWN`; a program that uses this crate adds others with
//! [`add`]. A platform publishes in *steps*: each ends as done, as *wait* (with a checkpoint and a time to look again),
//! or failed. A post that waits holds no slot, and its checkpoint survives the run. What a step leaves in doubt
//! ([`Failure::Unconfirmed`]) the job has looked up, in this run and by later ones.

use std::sync::OnceLock;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use serde_json::{Map, Value};

use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Session};
use crate::limits::{Figure, Quota};
use crate::outcome::{Failure, Published};
use crate::review::Review;

pub mod facebook;
pub mod graph;
pub mod instagram;
pub mod linkedin;
pub mod slack;
pub mod youtube;

mod likeness;
mod search;

/// Every platform this version publishes to, in the order in which lists show them.
static OWN: &[&dyn Platform] = &[
    &facebook::Facebook,
    &instagram::Instagram,
    &linkedin::LinkedIn,
    &youtube::YouTube,
    &slack::Slack,
];

/// Those that the program around this crate knows, too.
static ADDED: OnceLock<&'static [&'static dyn Platform]> = OnceLock::new();

/// Adds platforms to the registry, once, before anything else is done.
///
/// # Panics
///
/// If it was done before.
pub fn add(platforms: &'static [&'static dyn Platform]) {
    assert!(
        ADDED.set(platforms).is_ok(),
        "platforms are added once, at the start"
    );
}

/// Every platform there is.
pub fn all() -> impl Iterator<Item = &'static dyn Platform> {
    let added = ADDED.get().copied().unwrap_or_default();
    OWN.iter().chain(added).copied()
}

/// The platform of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Platform> {
    all().find(|platform| platform.name() == name)
}

/// The names, for messages and for `--help`.
pub fn names() -> Vec<&'static str> {
    all().map(Platform::name).collect()
}

/// One platform's client.
///
/// A step must not sleep: it ends as [`Step::Wait`] instead. Every request goes through [`Session::publish`] or
/// [`Api::send`], which know its effect.
pub trait Platform: Sync {
    /// Its name, as in `accounts.platform` and in the paths of `--sandbox`.
    fn name(&self) -> &'static str;

    /// Its name for people.
    fn title(&self) -> &'static str;

    /// How many of its posts are in flight at once under the default pace.
    fn cap(&self) -> usize;

    /// How far apart two posts of one account start, at least.
    fn spacing(&self) -> Duration;

    /// Scheme and host of its API for this account, without a trailing slash.
    fn base_url(&self, account: &Account) -> &'static str;

    /// What it takes, as far as its documentation says.
    fn figures(&self) -> &'static [Figure];

    /// How many posts it takes in a window, where it says.
    fn quotas(&self) -> &'static [Quota];

    /// The options of a post that it knows: name, and what it does.
    fn options(&self) -> &'static [(&'static str, &'static str)];

    /// The settings of an account that it knows: name, and what it does.
    fn settings(&self) -> &'static [(&'static str, &'static str)];

    /// Notes everything that keeps a post from being published, in words its author understands. Reads nothing but the
    /// review.
    fn validate(&self, review: &mut Review<'_>);

    /// What is wrong with an account's `external_id`, if anything.
    fn validate_account(&self, external_id: &str) -> Result<(), String>;

    /// What is wrong with the values of an account's settings; their names are known.
    fn validate_settings(&self, settings: &Map<String, Value>) -> Vec<String>;

    /// Takes the post one step further, from where `checkpoint` says it stands (`None`: from the beginning).
    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>>;

    /// Finds out what became of a post that may be live: nothing answered it, or the run that held it died. Reads
    /// only. `checkpoint` is the last that is known, and may be older than the last step. The run that sent the post
    /// asks after seconds ([`Action::Publish`]: nothing has followed the post yet), later runs after minutes
    /// ([`Action::Recover`]).
    ///
    /// [`Action::Publish`]: crate::post::Action::Publish
    /// [`Action::Recover`]: crate::post::Action::Recover
    fn look_up<'a>(
        &'a self,
        session: &'a Session<'a>,
        checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Found, Failure>>;

    /// How long its lists may lack a post that it accepted: only after that [`Found::NotSeen`] counts.
    fn lag(&self) -> Duration;

    /// Whether a new access token can be had without a person, with what is stored.
    fn can_refresh(&self, api: &Api<'_>) -> bool;

    /// How long before a token's end it is refreshed.
    fn refresh_ahead(&self) -> Duration;

    /// Gets one. [`Failure::NeedsLogin`] says that only a person can help; any other failure changes nothing.
    fn refresh<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>>;

    /// Asks the platform whether the token opens this account.
    fn check<'a>(&'a self, api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>>;
}

/// What became of a post that may be live.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It is.
    Live(Published),
    /// It may be sent again, from that checkpoint (`None`: from the beginning): it surely is not live and nothing that
    /// was sent can still make it so, or the platform takes no second one.
    Resend(Option<Value>),
    /// Nothing shows it. Once the platform had the time to catch up ([`Platform::lag`]) it may be sent again, from that
    /// checkpoint.
    NotSeen(Option<Value>),
    /// The platform does not tell yet, for this reason.
    Unclear(&'static str),
    /// The platform does not tell, for this reason, and won't in a minute either.
    Unknown(&'static str),
}

/// How a step ended, if it did not fail. Nothing of it is in doubt.
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
