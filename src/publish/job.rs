//! A claimed post on its way to its platform, and what settles it before it sets out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;
use url::Url;

use super::doubt::Doubt;
use super::{Context, Settings, note};
use crate::account::{Account, AccountId, App, Credentials};
use crate::config::PlatformSettings;
use crate::http::{Api, Base, Trail};
use crate::journal::Journal;
use crate::media::{self, Facts};
use crate::outcome::{Block, Failure, Outcome, Published, Reason, Settled, Verdict};
use crate::platform::{self, Platform};
use crate::post::{Action, ClaimedPost, Content};
use crate::review;
use crate::secret;
use crate::tokens::Keyring;

/// A post that takes steps.
pub(super) struct Job {
    pub(super) post: ClaimedPost,
    pub(super) platform: &'static dyn Platform,
    pub(super) desk: Rc<Desk>,
    /// What its media are, as far as they were looked at.
    pub(super) facts: RefCell<Rc<[Facts]>>,
    pub(super) trail: Trail,
    /// Whether the journal knows that it is live.
    live_noted: Cell<bool>,
    /// Where it is written down.
    pub(super) journal: Rc<Journal>,
    /// Sealed, as it is stored.
    pub(super) checkpoint: RefCell<Option<Value>>,
    pub(super) started: Cell<Option<Instant>>,
    /// What this run does not know of it, since it sent it.
    pub(super) doubt: RefCell<Option<Box<Doubt>>>,
    /// How often this run sent it again.
    pub(super) resends: Cell<u32>,
    pub(super) short_waits: Cell<u32>,
    pub(super) took: Cell<Duration>,
    pub(super) outcome: RefCell<Option<Box<Outcome>>>,
}

/// What the posts of an account share.
pub(super) struct Desk {
    /// What opens the account.
    pub(super) keyring: Keyring,
    /// The application that the configuration names.
    app: App,
    /// Where requests go.
    base: Base,
}

/// A post that takes none.
pub(super) struct Unstarted {
    pub(super) settled: Settled,
    /// Why its account's credentials can't be opened, if that is why.
    pub(super) locked: Option<String>,
}

impl Job {
    /// Settles what needs no platform, and opens the credentials of the rest.
    pub(super) fn new(
        post: ClaimedPost,
        context: &Context<'_>,
        journal: &Rc<Journal>,
        desks: &mut Desks,
    ) -> Result<Self, Box<Unstarted>> {
        let settings = context.settings;
        match prepare(&post, settings, &context.http.media, desks) {
            Ok((platform, facts, desk)) => {
                let mut post = post;
                forget_unknown_checkpoint(&mut post, settings);
                let checkpoint = RefCell::new(post.checkpoint.clone());
                Ok(Self {
                    post,
                    platform,
                    desk,
                    facts: RefCell::new(facts.into()),
                    trail: Trail::default(),
                    live_noted: Cell::new(false),
                    journal: Rc::clone(journal),
                    checkpoint,
                    started: Cell::new(None),
                    doubt: RefCell::new(None),
                    resends: Cell::new(0),
                    short_waits: Cell::new(0),
                    took: Cell::new(Duration::ZERO),
                    outcome: RefCell::new(None),
                })
            }
            Err(refused) => {
                let Refused { outcome, locked } = *refused;
                let (checkpoint, took) = (post.checkpoint.clone(), Duration::ZERO);
                let settled = Settled {
                    post,
                    outcome,
                    checkpoint,
                    took,
                };
                Err(Box::new(Unstarted { settled, locked }))
            }
        }
    }

    /// Whether it is not to be sent, but looked up: it may be live since an earlier run.
    pub(super) fn recovers(&self) -> bool {
        self.post.action == Action::Recover
    }

    /// Where its upload stands; nothing of a post in doubt may rest on a checkpoint that can't be opened.
    pub(super) fn opened(&self, context: &Context<'_>) -> Result<Option<Value>, Failure> {
        let stored = self.checkpoint.borrow();
        let (Some(stored), Ok(key)) = (&*stored, &context.settings.key) else {
            return Ok(None);
        };
        let opened = secret::open_checkpoint(key, &self.post.account, self.post.id, stored);
        opened.map(Some).map_err(|_| Failure::Unconfirmed {
            reason: Reason::new(
                "unconfirmed",
                format!(
                    "its checkpoint was not made by this version with this key, and tells nothing; look at {} before it \
                     is sent again",
                    self.platform.title()
                ),
            ),
        })
    }

    /// Keeps where its upload stands.
    pub(super) fn keep(&self, checkpoint: Option<&Value>, context: &Context<'_>) {
        let known = context.settings.key.as_ref().ok().zip(checkpoint);
        *self.checkpoint.borrow_mut() = known.and_then(|(key, checkpoint)| {
            secret::seal_checkpoint(key, &self.post.account, self.post.id, checkpoint)
        });
    }

    /// Whether the next step is a look: it may be live.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.recovers() || self.doubt.borrow().is_some()
    }

    /// What becomes of it if nothing more is known: it is `lost` if it may be live, else `given_back`.
    pub(super) fn unfinished<'a>(
        &'a self,
        lost: &'a Outcome,
        given_back: &'a Outcome,
    ) -> Verdict<'a> {
        Verdict {
            post: &self.post,
            outcome: if self.recovers() { lost } else { given_back },
            checkpoint: self.post.checkpoint.as_ref(),
            took: Duration::ZERO,
        }
    }

    /// The outcome, also of a post that was cut off before it had one.
    pub(super) fn settle(self, now: DateTime<Utc>) -> Settled {
        let cut_off = || {
            if let Some(id) = self.trail.live.take() {
                // What follows a post is not worth its outcome.
                let post = Published::at(id, None);
                Outcome::Published { post, at: now }
            } else if self.recovers() {
                interrupted()
            } else if let Some(doubt) = self.doubt.borrow().as_ref() {
                let reason = doubt.reason();
                let mut outcome = Outcome::Unconfirmed { reason };
                self.redact_outcome(&mut outcome);
                outcome
            } else if self.trail.sent.get().is_some() {
                let reason = Reason::new(
                    "stopped",
                    "the run was stopped before the platform answered",
                );
                Outcome::Unconfirmed { reason }
            } else {
                Outcome::Released
            }
        };
        let outcome = self.outcome.borrow_mut().take();
        Settled {
            outcome: outcome.map_or_else(cut_off, |outcome| *outcome),
            // Nobody asks any more what it says.
            post: ClaimedPost {
                content: Content::default(),
                ..self.post
            },
            checkpoint: self.checkpoint.into_inner(),
            took: self.took.get(),
        }
    }

    /// The account's dealings with its platform.
    pub(super) fn api<'a>(
        &'a self,
        credentials: &'a Credentials,
        context: &Context<'a>,
    ) -> Api<'a> {
        let settings = context.settings.of(self.platform);
        Api {
            account: &self.post.account,
            credentials,
            app: &self.desk.app,
            http: context.http,
            base: &self.desk.base,
            version: settings.and_then(|settings| settings.api_version.as_deref()),
            limits: context.settings.limits(self.platform),
            now: context.clock.now(),
            token_since: self.desk.keyring.since(),
        }
    }

    /// Notes that the platform has accepted it while more is asked of it, once.
    pub(super) fn note_live(&self, context: &Context<'_>) {
        if let Some(id) = &*self.trail.live.borrow()
            && !self.live_noted.replace(true)
        {
            let (post, at) = (Published::at(id, None), context.clock.now());
            note(self, &Outcome::Published { post, at }, context);
        }
    }

    /// Whether it has media.
    pub(super) fn has_media(&self) -> bool {
        !self.post.content.media.is_empty()
    }

    /// Looks at the media that are elsewhere, and at the whole post again with what that told.
    pub(super) async fn look(&self, context: &Context<'_>) -> Result<(), Failure> {
        let media = self.post.content.media().map_err(Failure::rejected)?;
        if media.iter().all(|medium| medium.url.is_none()) {
            return Ok(());
        }
        let mut facts = self.facts.borrow().to_vec();
        for (place, medium) in media.iter().enumerate() {
            if medium.url.is_some() {
                facts[place] = media::look(place + 1, medium, context.http).await?;
            }
        }
        let limits = context.settings.limits(self.platform);
        let known = (facts.clone(), Vec::new());
        let problems = review::problems(self.platform, &self.post.content, known, limits);
        *self.facts.borrow_mut() = facts.into();
        if problems.is_empty() {
            return Ok(());
        }
        Err(Failure::rejected(problems.join("; ")))
    }

    /// An outcome's words without this account's secrets.
    pub(super) fn redact_outcome(&self, outcome: &mut Outcome) {
        if let Some(reason) = outcome.reason_mut() {
            self.redact(&mut reason.message);
            if let Some(code) = &mut reason.code {
                code.reword(|text| self.redact(text));
            }
        }
    }

    /// Text without this account's secrets: a platform may quote them back.
    pub(super) fn redact(&self, text: &mut String) {
        *text = secret::redacted(text, &self.desk.keyring.credentials(), &self.desk.app);
    }
}

/// The desks of a wave: an account's credentials are opened once.
#[derive(Default)]
pub(super) struct Desks(HashMap<AccountId, Rc<Desk>>);

impl Desks {
    /// The account's, or why its credentials can't be opened.
    fn of(
        &mut self,
        account: &Account,
        sealed: &str,
        platform: &dyn Platform,
        settings: &Settings,
    ) -> Result<Rc<Desk>, String> {
        if let Some(desk) = self.0.get(&account.id) {
            return Ok(Rc::clone(desk));
        }
        let key = settings.key.as_ref()?;
        let keyring = Keyring::open(account, sealed, key).map_err(|error| error.to_string())?;
        let own = settings.of(platform);
        let desk = Rc::new(Desk {
            keyring,
            app: own.map(PlatformSettings::app).unwrap_or_default(),
            base: base(account, platform, own, settings.sandbox.as_ref()),
        });
        self.0.insert(account.id, Rc::clone(&desk));
        Ok(desk)
    }
}

/// A checkpoint that is not ours, or from before checkpoints were sealed, is as good as none for a post that is surely
/// not live: it starts over. One in doubt keeps it; see [`Job::opened`].
fn forget_unknown_checkpoint(post: &mut ClaimedPost, settings: &Settings) {
    let (Some(stored), Ok(key), Action::Publish) = (&post.checkpoint, &settings.key, post.action)
    else {
        return;
    };
    if let Err(why) = secret::open_checkpoint(key, &post.account, post.id, stored) {
        tracing::warn!(post.id = post.id, %why, "its checkpoint can't be opened; its upload starts over");
        post.checkpoint = None;
    }
}

/// What a post needs on its way.
type Prepared = (&'static dyn Platform, Vec<Facts>, Rc<Desk>);

/// What becomes of a post that does not set out.
struct Refused {
    outcome: Outcome,
    locked: Option<String>,
}

impl From<Outcome> for Box<Refused> {
    fn from(outcome: Outcome) -> Self {
        let locked = None;
        Self::new(Refused { outcome, locked })
    }
}

fn prepare(
    post: &ClaimedPost,
    settings: &Settings,
    policy: &media::Policy,
    desks: &mut Desks,
) -> Result<Prepared, Box<Refused>> {
    match post.action {
        Action::Expire => return Err(Outcome::Expired.into()),
        Action::Recover => return prepare_recovery(post, settings, desks),
        Action::Publish => {}
    }
    if let Some(why) = &post.unreadable {
        return Err(rejected(why.clone()).into());
    }
    let platform = platform::by_name(&post.account.platform).ok_or_else(|| {
        let known = platform::names().join(", ");
        let name = &post.account.platform;
        rejected(format!(
            "this version knows no platform `{name}`; it knows {known}"
        ))
    })?;
    let known = media::examine(&post.content, policy);
    let facts = known.0.clone();
    let problems = review::problems(platform, &post.content, known, settings.limits(platform));
    if !problems.is_empty() {
        return Err(rejected(problems.join("; ")).into());
    }
    let sealed = post.account.credentials.as_deref();
    let sealed = sealed.ok_or_else(|| without_token(post))?;
    match desks.of(&post.account, sealed, platform, settings) {
        Ok(desk) => Ok((platform, facts, desk)),
        Err(why) => Err(Box::new(Refused {
            outcome: Outcome::Released,
            locked: Some(why),
        })),
    }
}

/// A post that may be live is looked up if that is possible. If not it stays as it is, whatever else is wrong with it.
fn prepare_recovery(
    post: &ClaimedPost,
    settings: &Settings,
    desks: &mut Desks,
) -> Result<Prepared, Box<Refused>> {
    // What can't be read can't be told from what is live either.
    if post.unreadable.is_some() {
        return Err(interrupted().into());
    }
    let platform = platform::by_name(&post.account.platform).ok_or_else(interrupted)?;
    let sealed = post
        .account
        .credentials
        .as_deref()
        .ok_or_else(interrupted)?;
    let opened = desks.of(&post.account, sealed, platform, settings);
    let desk = opened.map_err(|why| {
        Box::new(Refused {
            outcome: interrupted(),
            locked: Some(why),
        })
    })?;
    Ok((platform, Vec::new(), desk))
}

pub(super) fn interrupted() -> Outcome {
    let reason = Reason::new(
        "interrupted",
        "the run that held this post ended without recording what became of it; look at the platform before it is \
         sent again",
    );
    Outcome::Unconfirmed { reason }
}

fn rejected(message: String) -> Outcome {
    let reason = Reason::new("rejected", message);
    Outcome::Failed { reason }
}

fn without_token(post: &ClaimedPost) -> Outcome {
    let reason = Reason::new(
        "needs_login",
        "no token is stored for this account; add one with `publisher accounts add`",
    );
    Outcome::Retry {
        due_at: post.scheduled_at,
        counts: false,
        block: Some(Block::NeedsLogin),
        reason,
    }
}

/// Where an account's requests go: to the sandbox, which a flag asked for, else to the configuration's address, else to the
/// platform.
pub(crate) fn base(
    account: &Account,
    platform: &dyn Platform,
    settings: Option<&PlatformSettings>,
    sandbox: Option<&Url>,
) -> Base {
    let own = settings.and_then(|settings| settings.base_url.as_ref());
    let stand_in = |url: String| Base {
        url,
        is_stand_in: true,
    };
    match (own, sandbox) {
        (Some(url), None) => stand_in(url.as_str().trim_end_matches('/').to_owned()),
        (_, Some(url)) => {
            let url = url.as_str().trim_end_matches('/');
            stand_in(format!("{url}/{}", platform.name()))
        }
        (None, None) => Base {
            url: platform.base_url(account).to_owned(),
            is_stand_in: false,
        },
    }
}
