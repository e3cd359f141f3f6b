//! A claimed post on its way to its platform, and what settles it before it sets out.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::Value;

use super::{Settings, problems};
use crate::account::Credentials;
use crate::http::Trail;
use crate::media;
use crate::outcome::{Block, Outcome, Reason, Settled, Verdict};
use crate::platform::{self, Platform};
use crate::post::{Action, ClaimedPost};
use crate::secret;

/// A post that takes steps.
pub(super) struct Job {
    pub(super) post: ClaimedPost,
    pub(super) platform: &'static dyn Platform,
    pub(super) credentials: Credentials,
    /// Where its requests go.
    pub(super) base: String,
    pub(super) trail: Trail,
    pub(super) checkpoint: RefCell<Option<Value>>,
    pub(super) started: Cell<Option<Instant>>,
    pub(super) short_waits: Cell<u32>,
    pub(super) took: Cell<Duration>,
    pub(super) outcome: RefCell<Option<Outcome>>,
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
        settings: &Settings,
        media: &media::Policy,
    ) -> Result<Self, Box<Unstarted>> {
        match prepare(&post, settings, media) {
            Ok((platform, credentials)) => {
                let base = base(&post, platform, settings);
                let checkpoint = RefCell::new(post.checkpoint.clone());
                Ok(Self {
                    post,
                    platform,
                    credentials,
                    base,
                    trail: Trail::default(),
                    checkpoint,
                    started: Cell::new(None),
                    short_waits: Cell::new(0),
                    took: Cell::new(Duration::ZERO),
                    outcome: RefCell::new(None),
                })
            }
            Err(Refused { outcome, locked }) => {
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

    /// What becomes of it if it never starts.
    pub(super) fn released(&self) -> Verdict<'_> {
        Verdict {
            post: &self.post,
            outcome: &Outcome::Released,
            checkpoint: self.post.checkpoint.as_ref(),
            took: Duration::ZERO,
        }
    }

    /// The outcome, also of a post that was cut off before it had one.
    pub(super) fn settle(self) -> Settled {
        let cut_off = || {
            if self.trail.sent.get() {
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
            outcome: outcome.unwrap_or_else(cut_off),
            post: self.post,
            checkpoint: self.checkpoint.into_inner(),
            took: self.took.get(),
        }
    }

    /// Text without this account's secrets: a platform may quote them back.
    pub(super) fn redact(&self, text: &mut String) {
        let secrets = [
            Some(&self.credentials.access_token),
            self.credentials.refresh_token.as_ref(),
        ];
        for secret in secrets.into_iter().flatten() {
            let secret = secret.expose_secret();
            if !secret.is_empty() && text.contains(secret) {
                *text = text.replace(secret, "[redacted]");
            }
        }
    }
}

/// What becomes of a post that does not set out.
struct Refused {
    outcome: Outcome,
    locked: Option<String>,
}

impl From<Outcome> for Refused {
    fn from(outcome: Outcome) -> Self {
        let locked = None;
        Self { outcome, locked }
    }
}

fn prepare(
    post: &ClaimedPost,
    settings: &Settings,
    media: &media::Policy,
) -> Result<(&'static dyn Platform, Credentials), Refused> {
    match post.action {
        Action::Expire => return Err(Outcome::Expired.into()),
        Action::Recover => return Err(interrupted().into()),
        Action::Publish => {}
    }
    let platform = platform::by_name(&post.account.platform).ok_or_else(|| {
        let known = platform::names().join(", ");
        let name = &post.account.platform;
        rejected(format!(
            "this version knows no platform `{name}`; it knows {known}"
        ))
    })?;
    let problems = problems(platform, post, media);
    if !problems.is_empty() {
        return Err(rejected(problems.join("; ")).into());
    }
    let sealed = post.account.credentials.as_deref();
    let sealed = sealed.ok_or_else(|| without_token(post))?;
    let opened = match &settings.key {
        Some(key) => {
            let account = &post.account;
            secret::open(key, &account.platform, &account.external_id, sealed)
                .map_err(|error| error.to_string())
        }
        None => Err("there is no key: ENCRYPTION_KEY is not set".to_owned()),
    };
    match opened {
        Ok(credentials) => Ok((platform, credentials)),
        Err(why) => Err(Refused {
            outcome: Outcome::Released,
            locked: Some(why),
        }),
    }
}

fn interrupted() -> Outcome {
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

/// Where the post's requests go: the configuration's address, the sandbox, or the platform.
fn base(post: &ClaimedPost, platform: &dyn Platform, settings: &Settings) -> String {
    let name = platform.name();
    let own = settings.platforms.get(name);
    let own = own.and_then(|settings| settings.base_url.as_ref());
    match (own, &settings.sandbox) {
        (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
        (None, Some(url)) => format!("{}/{name}", url.as_str().trim_end_matches('/')),
        (None, None) => platform.base_url(&post.account).to_owned(),
    }
}
