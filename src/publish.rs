//! Publishing: a lane per platform, all at once, each bounded by its cap.
//!
//! This stage cannot fail, so that the commit always runs: whatever goes wrong stays with its post and becomes its
//! outcome. It is also the only stage that uses the network.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::stream::poll_fn;
use futures::{FutureExt, StreamExt};
use url::Url;
use uuid::Uuid;

use crate::claim::Claimed;
use crate::config::PlatformSettings;
use crate::http::{self, Http, Session};
use crate::journal::{Journal, Page};
use crate::limits::Limits;
use crate::outcome::{Failure, Outcome, Published, Reason, Scope, Settled, Verdict};
use crate::platform::{self, Found, Platform, Step};
use crate::progress::Progress;
use crate::schedule::{Clock, Lateness, Term, retry_delay};
use crate::secret::Key;
use crate::stop::Stop;
use crate::store::Database;
use crate::text::one_line;
use crate::tokens::Vault;

mod breaker;
mod doubt;
mod job;
mod pace;
mod queue;
mod tokens;

use breaker::Breaker;
pub(crate) use job::base;
use job::{Job, Keyrings, Unstarted};
pub use pace::Pace;
use queue::{Entry, Next, Queue};

/// A refusal that lasts no longer than this is waited out inside the run.
const SHORT_WAIT: Duration = Duration::from_secs(10);
/// So often, then it becomes the post's outcome.
const SHORT_WAITS: u32 = 5;

/// How to publish.
#[derive(Debug)]
pub struct Settings {
    /// How fast.
    pub pace: Pace,
    /// Caps that a person asked for, by platform.
    pub caps: BTreeMap<String, NonZeroUsize>,
    /// After this nothing new starts.
    pub time_budget: Duration,
    /// Where all traffic goes instead of the platforms, as `URL/<platform>/…`.
    pub sandbox: Option<Url>,
    /// What the configuration says of each platform.
    pub platforms: BTreeMap<String, PlatformSettings>,
    /// What opens the accounts' credentials, or why there is nothing.
    pub key: Result<Key, String>,
    /// Where refreshed tokens are saved.
    pub database: Database,
    /// The run, as which a token is held while it is refreshed.
    pub run: Uuid,
}

impl Settings {
    /// What the configuration says of a platform.
    fn of(&self, platform: &dyn Platform) -> Option<&PlatformSettings> {
        self.platforms.get(platform.name())
    }

    /// What a platform takes.
    pub fn limits(&self, platform: &dyn Platform) -> Limits<'_> {
        Limits::corrected(platform.figures(), self.of(platform))
    }
}

/// What came of the claimed posts.
#[derive(Debug, Default)]
pub struct Results {
    /// Every claimed post with its outcome.
    pub settled: Vec<Settled>,
    /// How each platform's lane went.
    pub lanes: BTreeMap<&'static str, Lane>,
    /// Accounts whose credentials this run could not open, and why. Their posts were given back.
    pub locked: BTreeMap<String, String>,
    /// A step panicked: a bug.
    pub panicked: bool,
    /// Statements that saving refreshed tokens took.
    pub statements: u32,
}

/// How a platform's lane went.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// Posts in flight at once, at most.
    pub cap: usize,
    /// Posts in flight at once, as it turned out.
    pub max_in_flight: usize,
    /// How long it took.
    pub took: Duration,
}

/// Everything a step needs beside its post.
struct Context<'a> {
    settings: &'a Settings,
    http: &'a Http,
    clock: Clock,
    /// When the claim was made, on the monotonic clock.
    claimed: Instant,
    /// How long it holds.
    lease: Term,
    stop: &'a Stop,
    progress: &'a Progress,
    journal: &'a Journal,
    vault: Vault<'a>,
    panicked: Cell<bool>,
}

/// Publishes the claimed posts.
pub async fn all(
    claimed: Claimed,
    settings: &Settings,
    http: &Http,
    stop: &Stop,
    progress: &Progress,
    journal: &Journal,
) -> Results {
    let Claimed {
        posts,
        clock,
        at: claimed,
        lease,
    } = claimed;
    let context = Context {
        settings,
        http,
        clock,
        claimed,
        lease,
        stop,
        progress,
        journal,
        vault: Vault::new(&settings.database, settings.key.as_ref().ok(), settings.run),
        panicked: Cell::new(false),
    };
    let mut results = Results::default();
    let mut jobs: Vec<Job> = Vec::with_capacity(posts.len());
    let mut keyrings = Keyrings::default();
    for post in posts {
        let job = Job::new(post, settings, &http.media, &mut keyrings);
        match job.map_err(|unstarted| *unstarted) {
            Ok(job) => jobs.push(job),
            Err(Unstarted { settled, locked }) => {
                if let Some(why) = locked {
                    results.locked.insert(settled.post.account.label(), why);
                }
                progress.settled(&settled.post.account.platform, &settled.outcome);
                results.settled.push(settled);
            }
        }
    }
    // What is on time never waits for what is looked up.
    jobs.sort_by_key(Job::recovers);
    if !jobs.is_empty() {
        let unstarted = results.settled.iter().map(Settled::verdict);
        let (lost, given_back) = (job::interrupted(), Outcome::Released);
        let unfinished = jobs.iter().map(|job| job.unfinished(&lost, &given_back));
        journal.begin(unstarted.chain(unfinished), clock.now());
    }
    let lanes = platform::all().filter_map(|platform| lane(platform, &jobs, &context));
    let lanes = join_all(lanes);
    tokio::select! {
        // A signal that came while the posts were claimed is heeded before any of them starts.
        biased;
        () = stop.watch(claimed + settings.time_budget) => {}
        lanes = lanes => results.lanes = lanes.into_iter().collect(),
    }
    results.panicked = context.panicked.get();
    results.statements = context.vault.close().await;
    let now = clock.now();
    let settled = jobs.into_iter().map(|job| job.settle(now));
    results.settled.extend(settled);
    results
}

/// The platform's lane, if it has anything to do.
fn lane<'a>(
    platform: &'static dyn Platform,
    jobs: &'a [Job],
    context: &'a Context<'a>,
) -> Option<impl Future<Output = (&'static str, Lane)> + 'a> {
    let name = platform.name();
    let now = context.clock.now();
    let mine = jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| job.platform.name() == name);
    let entries: Vec<Entry> = mine
        .map(|(place, job)| Entry {
            place,
            account: job.post.account.id,
            lateness: Lateness::of(job.post.scheduled_at, now),
        })
        .collect();
    if entries.is_empty() {
        return None;
    }
    let cap = context
        .settings
        .pace
        .cap(platform.cap(), context.settings.caps.get(name).copied());
    let spacing = context
        .settings
        .pace
        .spacing(platform.spacing(), context.settings.of(platform));
    let queue = RefCell::new(Queue::new(
        entries,
        context.settings.pace.classes(),
        spacing,
    ));
    Some(async move {
        let began = Instant::now();
        let mut draining = Box::pin(context.stop.draining());
        let next = poll_fn(|cx| {
            if draining.poll_unpin(cx).is_ready() {
                queue.borrow_mut().stop();
            }
            queue.borrow_mut().poll_next(cx)
        });
        let mut breaker = Breaker::default();
        {
            let mut steps = next
                .map(|place| async move { (place, step(&jobs[place], context).await) })
                .buffer_unordered(cap);
            while let Some((place, result)) = steps.next().await {
                let next = decide(&jobs[place], result, &mut breaker, context);
                queue.borrow_mut().finish(place, next);
            }
        }
        (
            name,
            Lane {
                cap,
                max_in_flight: queue.borrow().max_in_flight(),
                took: began.elapsed(),
            },
        )
    })
}

/// What a post's turn brought.
enum Turn {
    /// It went a step further.
    Step(Step),
    /// It is in doubt, and was looked up.
    Look(Found),
}

/// One turn of one post. A panic stays with its post.
async fn step(job: &Job, context: &Context<'_>) -> Result<Turn, Failure> {
    if job.started.get().is_none() {
        job.started.set(Some(Instant::now()));
        context.progress.started(job.platform.name());
    }
    let result = AssertUnwindSafe(taken(job, context)).catch_unwind().await;
    let result = result.unwrap_or_else(|panic| {
        context.panicked.set(true);
        let message = format!("a bug in publisher: {}", panic_message(panic.as_ref()));
        let reason = Reason::new("bug", message);
        if job.trail.sent.get().is_some() {
            Err(Failure::Unconfirmed { reason })
        } else {
            Err(Failure::Rejected { reason })
        }
    });
    // What is live stays live, whatever went wrong after it.
    match (result, job.trail.live.borrow_mut().take()) {
        (Err(failure), Some(live)) => Ok(Turn::Step(Step::Done(
            live.but("after it was published", Err::<(), _>(failure)),
        ))),
        (result, _) => result,
    }
}

/// The step with what belongs before it: a claim that holds, a look at media that are elsewhere, and a token that is
/// accepted.
async fn taken(job: &Job, context: &Context<'_>) -> Result<Turn, Failure> {
    http::in_time(context.lease)?;
    if !job.is_in_doubt() && job.checkpoint.borrow().is_none() {
        job.look(context).await?;
    }
    tokens::ahead(job, context).await?;
    match turn(job, context).await {
        Err(Failure::Unauthorized { reason }) => {
            tokens::after_refusal(job, context, reason).await?;
            turn(job, context).await
        }
        result => result,
    }
}

async fn turn(job: &Job, context: &Context<'_>) -> Result<Turn, Failure> {
    let opened = job.opened(context)?;
    let checkpoint = job.checkpoint.borrow().clone();
    let credentials = job.keyring.credentials();
    let facts = job.facts.borrow().clone();
    let session = Session {
        api: job.api(&credentials, context),
        post: &job.post,
        facts: &facts,
        lease: context.lease,
        trail: &job.trail,
        page: Page {
            journal: context.journal,
            clock: context.clock,
            post: &job.post,
            checkpoint: checkpoint.as_ref(),
        },
    };
    if job.is_in_doubt() {
        let found = job.platform.look_up(&session, opened.as_ref()).await?;
        return Ok(Turn::Look(found));
    }
    let step = job.platform.step(&session, opened.as_ref()).await?;
    Ok(Turn::Step(step))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    one_line(&text.unwrap_or_else(|| "no message".to_owned()), 200)
}

/// When a post that goes on after so long takes its next turn, if that is still in this run.
fn in_time(after: Duration, context: &Context<'_>) -> Option<Instant> {
    let at = Instant::now().checked_add(after)?;
    (at < context.claimed + context.settings.time_budget).then_some(at)
}

/// What follows from a turn: for the post (its outcome, unless it goes on) and for the lane.
fn decide(
    job: &Job,
    result: Result<Turn, Failure>,
    breaker: &mut Breaker,
    context: &Context<'_>,
) -> Next {
    let now = context.clock.now();
    let failure = match result {
        Ok(Turn::Look(found)) => return doubt::decide(job, Ok(found), breaker, context),
        Ok(Turn::Step(Step::Done(post))) => return published(job, post, breaker, context),
        Ok(Turn::Step(Step::Wait { checkpoint, after })) => {
            // A step that can wait has nothing in doubt.
            job.trail.sent.set(None);
            job.keep(Some(&checkpoint), context);
            let waiting = Outcome::Waiting {
                due_at: now + after,
            };
            if let Some(at) = in_time(after, context) {
                note(job, &waiting, context);
                return Next::Again(at);
            }
            conclude(job, waiting, context);
            return Next::Done;
        }
        Err(failure) if job.is_in_doubt() => {
            return doubt::decide(job, Err(failure), breaker, context);
        }
        Err(Failure::Unconfirmed { reason }) => {
            return doubt::begin(job, reason, breaker, context);
        }
        Err(failure) => failure,
    };
    job.trail.sent.set(None);
    let short = match &failure {
        Failure::Retry {
            after: Some(after), ..
        }
        | Failure::RateLimited { after, .. } => Some(*after),
        _ => None,
    };
    let at = short.filter(|after| *after <= SHORT_WAIT);
    if let Some(at) = at.and_then(|after| in_time(after, context))
        && job.short_waits.get() < SHORT_WAITS
    {
        job.short_waits.set(job.short_waits.get() + 1);
        let due_at = now + short.unwrap_or_default();
        note(job, &Outcome::Waiting { due_at }, context);
        return Next::Again(at);
    }
    let next = match &failure {
        Failure::RateLimited {
            scope: Scope::Platform,
            ..
        } => Next::StopPlatform,
        Failure::RateLimited {
            scope: Scope::Account,
            ..
        }
        | Failure::NeedsLogin { .. }
        | Failure::Unauthorized { .. } => Next::StopAccount,
        Failure::Rejected { .. } => Next::Done,
        Failure::Retry { reason, .. } | Failure::Unconfirmed { reason } => {
            breaker.failure(job.post.account.id, reason.class)
        }
    };
    let mut outcome = Outcome::of(failure, &job.post, now, delay(job));
    job.redact_outcome(&mut outcome);
    conclude(job, outcome, context);
    next
}

/// The post is live.
fn published(job: &Job, mut post: Published, breaker: &mut Breaker, context: &Context<'_>) -> Next {
    let warnings = post.warnings.iter_mut();
    warnings.for_each(|warning| job.redact(warning));
    job.keep(None, context);
    breaker.success(job.post.account.id);
    let next = match post.pause.as_ref().map(|pause| pause.scope) {
        None => Next::Done,
        Some(Scope::Account) => Next::StopAccount,
        Some(Scope::Platform) => Next::StopPlatform,
    };
    let at = context.clock.now();
    conclude(job, Outcome::Published { post, at }, context);
    next
}

/// How long the post waits before the next try.
fn delay(job: &Job) -> Duration {
    retry_delay(job.post.attempts, jitter())
}

fn conclude(job: &Job, outcome: Outcome, context: &Context<'_>) {
    job.took.set(
        job.started
            .get()
            .map_or(Duration::ZERO, |started| started.elapsed()),
    );
    if let Some(reason) = outcome.reason() {
        // As a text, not as it displays itself: what a platform wrote goes into one line.
        let code = reason.code.as_ref().map(ToString::to_string);
        tracing::info!(
            post.id = job.post.id,
            platform = job.platform.name(),
            account = job.post.account.label(),
            class = reason.class,
            code,
            "{}: {}",
            outcome.name(),
            reason.message
        );
    } else {
        let duration_ms = u64::try_from(job.took.get().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            post.id = job.post.id,
            platform = job.platform.name(),
            duration_ms,
            "{}",
            outcome.name()
        );
    }
    note(job, &outcome, context);
    context.progress.settled(job.platform.name(), &outcome);
    *job.outcome.borrow_mut() = Some(outcome);
}

/// Writes down how the post stands, should the run end here.
fn note(job: &Job, outcome: &Outcome, context: &Context<'_>) {
    let checkpoint = job.checkpoint.borrow();
    let verdict = Verdict {
        post: &job.post,
        outcome,
        checkpoint: checkpoint.as_ref(),
        took: job.took.get(),
    };
    context.journal.note(verdict, context.clock.now());
}

/// A random number from 0 to 1. Without randomness every run waits the full time, which is safe.
fn jitter() -> f64 {
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}
