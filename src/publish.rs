//! Publishing: a lane per platform, all at once, each bounded by its cap.
//!
//! This stage cannot fail, so that the commit always runs: whatever goes wrong stays with its post and becomes its
//! outcome. It is also the only stage that uses the network.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::channel::mpsc;
use futures::future::{join_all, pending};
use futures::{FutureExt, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::config::PlatformSettings;
use crate::http::{Http, Session};
use crate::journal::{self, Journal, Page};
use crate::lease::Lease;
use crate::limits::Limits;
use crate::outcome::{Failure, Outcome, Published, Reason, Scope, Settled, Verdict};
use crate::platform::{self, Found, Platform, Step};
use crate::post::ClaimedPost;
use crate::progress::Progress;
use crate::schedule::{Clock, Lateness, retry_delay};
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
use job::{Desks, Job, Unstarted};
pub use pace::Pace;
use queue::{Entry, Next, Place, Queue};

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

/// What a claim's posts came to.
#[derive(Debug)]
pub struct Wave {
    /// The claim.
    pub claim: Uuid,
    /// Each post with its outcome, in the claim's order.
    pub settled: Vec<Settled>,
    /// Where they are written down until the database knows.
    pub journal: Rc<Journal>,
    /// How many have none yet.
    left: usize,
}

/// How a platform's lane went.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Posts in flight at once, at most.
    pub cap: usize,
    /// Posts in flight at once, as it turned out.
    pub max_in_flight: usize,
    /// How long it took.
    pub took: Duration,
}

/// A platform's lane.
struct Lane {
    platform: &'static dyn Platform,
    cap: usize,
    queue: RefCell<Queue>,
    breaker: RefCell<Breaker>,
    /// The posts in it.
    jobs: RefCell<HashMap<Place, Rc<Job>>>,
    /// When it first had something to do, and when it last had settled something.
    busy: Cell<Option<(Instant, Instant)>>,
}

impl Lane {
    fn new(platform: &'static dyn Platform, settings: &Settings) -> Self {
        let (name, pace) = (platform.name(), &settings.pace);
        let spacing = pace.spacing(platform.spacing(), settings.of(platform));
        Self {
            platform,
            cap: pace.cap(platform.cap(), settings.caps.get(name).copied()),
            queue: RefCell::new(Queue::new(pace.classes(), spacing)),
            breaker: RefCell::default(),
            jobs: RefCell::default(),
            busy: Cell::new(None),
        }
    }
}

/// Everything a step needs beside its post.
struct Context<'a> {
    settings: &'a Settings,
    http: &'a Http,
    clock: Clock,
    /// After this nothing new starts.
    deadline: Instant,
    lease: &'a Lease,
    stop: &'a Stop,
    progress: &'a Progress,
    vault: Vault<'a>,
    panicked: Cell<bool>,
}

/// The lanes of a run. What is claimed goes in as a wave and comes out as one, settled; a wave that comes in while
/// others are under way lines up behind them.
pub struct Lanes<'a> {
    context: Context<'a>,
    all: Vec<Lane>,
    next_place: Cell<Place>,
    waves: RefCell<Vec<Wave>>,
    finished: mpsc::UnboundedSender<Wave>,
    /// Once no more waves come.
    closed: CancellationToken,
    /// Accounts whose credentials this run could not open, and why. Their posts are given back.
    locked: RefCell<BTreeMap<String, String>>,
    statements: Cell<u32>,
}

impl<'a> Lanes<'a> {
    /// Makes them, and the place where the waves come out.
    pub fn new(
        settings: &'a Settings,
        http: &'a Http,
        (clock, deadline, lease): (Clock, Instant, &'a Lease),
        stop: &'a Stop,
        progress: &'a Progress,
    ) -> (Self, mpsc::UnboundedReceiver<Wave>) {
        let (finished, waves) = mpsc::unbounded();
        let key = settings.key.as_ref().ok();
        let lanes = Self {
            context: Context {
                settings,
                http,
                clock,
                deadline,
                lease,
                stop,
                progress,
                vault: Vault::new(&settings.database, key, settings.run),
                panicked: Cell::new(false),
            },
            all: platform::all()
                .map(|platform| Lane::new(platform, settings))
                .collect(),
            next_place: Cell::new(0),
            waves: RefCell::default(),
            finished,
            closed: CancellationToken::new(),
            locked: RefCell::default(),
            statements: Cell::new(0),
        };
        (lanes, waves)
    }

    /// Lets in what a claim brought.
    pub fn enter(&self, claim: Uuid, posts: Vec<ClaimedPost>, place: Option<journal::Place>) {
        let context = &self.context;
        context.progress.expect(&posts);
        context.lease.claimed(posts.iter().map(|post| post.id));
        let journal = Rc::new(Journal::new(claim, place));
        let mut settled = Vec::with_capacity(posts.len());
        let mut jobs: Vec<Rc<Job>> = Vec::with_capacity(posts.len());
        let mut desks = Desks::default();
        for post in posts {
            match Job::new(post, context, &journal, &mut desks) {
                Ok(job) => jobs.push(job.into()),
                Err(unstarted) => {
                    let Unstarted {
                        settled: post,
                        locked,
                    } = *unstarted;
                    if let Some(why) = locked {
                        let account = post.post.account.label();
                        self.locked.borrow_mut().insert(account, why);
                    }
                    context
                        .progress
                        .settled(&post.post.account.platform, &post.outcome);
                    settled.push(post);
                }
            }
        }
        // What is on time never waits for what is looked up.
        jobs.sort_by_key(|job| job.recovers());
        if !jobs.is_empty() {
            let unstarted = settled.iter().map(Settled::verdict);
            let (lost, given_back) = (job::interrupted(), Outcome::Released);
            let unfinished = jobs.iter().map(|job| job.unfinished(&lost, &given_back));
            journal.begin(unstarted.chain(unfinished), context.clock.now());
        }
        let left = jobs.len();
        self.waves.borrow_mut().push(Wave {
            claim,
            settled,
            journal,
            left,
        });
        if left == 0 {
            self.come_out(claim);
        }
        for job in jobs {
            self.line_up(job);
        }
    }

    /// The job takes the last place of its platform's lane.
    fn line_up(&self, job: Rc<Job>) {
        let lane = self
            .all
            .iter()
            .find(|lane| lane.platform.name() == job.platform.name());
        let lane = lane.expect("a job's platform is registered");
        let place = self.next_place.replace(self.next_place.get() + 1);
        let now = Instant::now();
        let (since, _) = lane.busy.get().unwrap_or((now, now));
        lane.busy.set(Some((since, now)));
        let entry = Entry {
            place,
            account: job.post.account.id,
            lateness: Lateness::of(job.post.scheduled_at, self.context.clock.now()),
        };
        lane.jobs.borrow_mut().insert(place, job);
        let is_in = lane.queue.borrow_mut().push(entry);
        if !is_in {
            self.ended(lane, [place]);
        }
    }

    /// No more waves come.
    pub fn close(&self) {
        for lane in &self.all {
            lane.queue.borrow_mut().close();
        }
        self.closed.cancel();
    }

    /// Publishes until the lanes are closed and empty, or must not be waited for any longer. Then every wave is out.
    pub async fn run(&self) {
        let context = &self.context;
        let mut lanes = join_all(self.all.iter().map(|lane| self.drive(lane)));
        let lanes = poll_fn(move |cx| {
            let polled = lanes.poll_unpin(cx);
            for wave in &*self.waves.borrow() {
                wave.journal.write();
            }
            polled
        });
        let watched = async {
            context.lease.watch().await;
            pending::<()>().await;
        };
        tokio::select! {
            // A signal that came while the posts were claimed is heeded before any of them starts.
            biased;
            () = context.stop.watch(context.deadline) => {}
            () = watched => {}
            _ = lanes => {}
        }
        for lane in &self.all {
            lane.queue.borrow_mut().stop();
            let rest: Vec<Place> = lane.jobs.borrow().keys().copied().collect();
            self.ended(lane, rest);
        }
        // A claim may still be under way: what it brings comes out as it is.
        self.closed.cancelled().await;
        self.statements.set(context.vault.close().await);
        self.finished.close_channel();
    }

    /// One lane at work.
    async fn drive(&self, lane: &Lane) {
        let context = &self.context;
        let mut stopping = Box::pin(async {
            tokio::select! {
                () = context.stop.draining() => {}
                () = context.lease.ended() => {}
            }
        });
        let mut is_stopped = false;
        let next = stream::poll_fn(|cx| {
            if !is_stopped && stopping.poll_unpin(cx).is_ready() {
                is_stopped = true;
                let ended = lane.queue.borrow_mut().stop();
                self.ended(lane, ended);
            }
            lane.queue.borrow_mut().poll_next(cx)
        });
        let mut steps = next
            .map(|place| {
                let job = Rc::clone(&lane.jobs.borrow()[&place]);
                async move {
                    let result = step(&job, context).await;
                    (place, job, result)
                }
            })
            .buffer_unordered(lane.cap);
        while let Some((place, job, result)) = steps.next().await {
            let next = decide(&job, result, &mut lane.breaker.borrow_mut(), context);
            drop(job);
            let ended = lane.queue.borrow_mut().finish(place, next);
            self.ended(lane, ended);
        }
    }

    /// These posts take no further step.
    fn ended(&self, lane: &Lane, places: impl IntoIterator<Item = Place>) {
        for place in places {
            let Some(job) = lane.jobs.borrow_mut().remove(&place) else {
                continue;
            };
            let job = Rc::into_inner(job).expect("the step of a post that has ended is gone");
            let claim = job.journal.claim();
            let settled = job.settle(self.context.clock.now());
            if let Some((since, _)) = lane.busy.get() {
                lane.busy.set(Some((since, Instant::now())));
            }
            let mut waves = self.waves.borrow_mut();
            let wave = waves.iter_mut().find(|wave| wave.claim == claim);
            let wave = wave.expect("a wave stays until its last post has ended");
            wave.settled.push(settled);
            wave.left -= 1;
            let is_out = wave.left == 0;
            drop(waves);
            if is_out {
                self.come_out(claim);
            }
        }
    }

    /// The last of its posts has ended.
    fn come_out(&self, claim: Uuid) {
        let mut waves = self.waves.borrow_mut();
        let at = waves.iter().position(|wave| wave.claim == claim);
        let mut wave = waves.remove(at.expect("it is there until now"));
        wave.settled.sort_by_key(|settled| settled.post.place);
        wave.journal.write();
        // Whoever has given up listening has the journal.
        self.finished.unbounded_send(wave).ok();
    }

    /// How each lane that had something to do went so far.
    pub fn figures(&self) -> BTreeMap<&'static str, Figures> {
        let worked = self.all.iter().filter_map(|lane| {
            let (since, until) = lane.busy.get()?;
            let figures = Figures {
                cap: lane.cap,
                max_in_flight: lane.queue.borrow().max_in_flight(),
                took: until - since,
            };
            Some((lane.platform.name(), figures))
        });
        worked.collect()
    }

    /// Platforms of which nothing more starts in this run.
    pub fn stopped(&self) -> impl Iterator<Item = &'static str> {
        let stopped = self
            .all
            .iter()
            .filter(|lane| lane.queue.borrow().is_stopped());
        stopped.map(|lane| lane.platform.name())
    }

    /// Accounts whose credentials could not be opened, and why. Their posts were given back.
    pub fn locked(&self) -> BTreeMap<String, String> {
        self.locked.borrow().clone()
    }

    /// Whether a step panicked: a bug.
    pub fn panicked(&self) -> bool {
        self.context.panicked.get()
    }

    /// Statements that saving refreshed tokens took.
    pub fn statements(&self) -> u32 {
        self.statements.get()
    }
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
    let mut taking = pin!(AssertUnwindSafe(taken(job, context)).catch_unwind());
    let taking = poll_fn(|cx| {
        let polled = taking.as_mut().poll(cx);
        if polled.is_pending() {
            job.note_live(context);
        }
        polled
    });
    let result = taking.await.unwrap_or_else(|panic| {
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
            Published::at(live, None).but("after it was published", Err::<(), _>(failure)),
        ))),
        (result, _) => result,
    }
}

/// The step with what belongs before it: a claim that holds, a look at media that are elsewhere, and a token that is
/// accepted.
async fn taken(job: &Job, context: &Context<'_>) -> Result<Turn, Failure> {
    context.lease.check(job.post.id)?;
    // What is rare is kept apart: a step's state is moved about, and it is as large as all that it may have to wait for.
    if !job.is_in_doubt() && job.checkpoint.borrow().is_none() && job.has_media() {
        Box::pin(job.look(context)).await?;
    }
    if tokens::is_due(job, context) {
        Box::pin(tokens::ahead(job, context)).await?;
    }
    match turn(job, context).await {
        Err(Failure::Unauthorized { reason }) => {
            Box::pin(tokens::after_refusal(job, context, reason)).await?;
            Box::pin(turn(job, context)).await
        }
        result => result,
    }
}

async fn turn(job: &Job, context: &Context<'_>) -> Result<Turn, Failure> {
    let opened = job.opened(context)?;
    let checkpoint = job.checkpoint.borrow().clone();
    let credentials = job.desk.keyring.credentials();
    let facts = job.facts.borrow().clone();
    let session = Session {
        api: job.api(&credentials, context),
        post: &job.post,
        facts: &facts,
        lease: context.lease,
        trail: &job.trail,
        page: Page {
            journal: &job.journal,
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
    (at < context.deadline).then_some(at)
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
    *job.outcome.borrow_mut() = Some(outcome.into());
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
    job.journal.note(verdict, context.clock.now());
}

/// A random number from 0 to 1. Without randomness every run waits the full time, which is safe.
fn jitter() -> f64 {
    getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX))
}
