//! Posts that may be live: the platform's answer never came, or the run that held them died. They are looked up, and
//! what the platform shows decides: a few times in this run, and if it does not tell, by later ones.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::breaker::Breaker;
use super::job::Job;
use super::queue::Next;
use super::{Context, conclude, in_time, note, published};
use crate::outcome::{Failure, Outcome, Reason, Scope};
use crate::platform::Found;

/// How long each look of the run that sent the post comes after the one before, or after the doubt began.
const LOOKS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(15),
];
/// So often one run sends a post again of which it knows each time that it is not live.
const RESENDS: u32 = 2;

/// Not in this run.
const NEVER: Option<Duration> = Some(Duration::MAX);

/// What puts a post in doubt.
pub(super) struct Doubt {
    /// Why it may be live.
    cause: Reason,
    /// What the last look said.
    said: Option<String>,
    /// When it was sent.
    sent_at: DateTime<Utc>,
    /// How often it was looked up.
    looks: usize,
}

impl Doubt {
    /// Why it is in doubt, as far as is known.
    pub(super) fn reason(&self) -> Reason {
        let cause = self.cause.clone();
        match &self.said {
            Some(said) => cause.but(said),
            None => cause,
        }
    }
}

/// A step that sent the post left it in doubt.
pub(super) fn begin(
    job: &Job,
    reason: Reason,
    breaker: &mut Breaker,
    context: &Context<'_>,
) -> Next {
    let next = breaker.failure(job.post.account.id, reason.class);
    // Without a request that left there is nothing that a look would tell.
    if let Some(sent_at) = job.trail.sent.get()
        && next != Next::StopPlatform
    {
        *job.doubt.borrow_mut() = Some(Box::new(Doubt {
            cause: reason,
            said: None,
            sent_at,
            looks: 0,
        }));
        return look_again(job, None, next, context);
    }
    unconfirmed(job, reason, context);
    next
}

/// The next look, if there is one: after a while, or after what the platform asks for. Else it stays in doubt, which
/// means `otherwise` for the lane.
fn look_again(job: &Job, after: Option<Duration>, otherwise: Next, context: &Context<'_>) -> Next {
    let mut doubt = job.doubt.borrow_mut();
    let Some(doubt) = doubt.as_mut() else {
        return otherwise;
    };
    let usual = LOOKS.get(doubt.looks);
    let after = usual.map(|usual| after.unwrap_or_default().max(*usual));
    let reason = doubt.reason();
    if let Some(at) = after.and_then(|after| in_time(after, context)) {
        doubt.looks += 1;
        let mut outcome = Outcome::Unconfirmed { reason };
        job.redact_outcome(&mut outcome);
        note(job, &outcome, context);
        return Next::Again(at);
    }
    unconfirmed(job, reason, context);
    otherwise
}

fn unconfirmed(job: &Job, reason: Reason, context: &Context<'_>) {
    let mut outcome = Outcome::Unconfirmed { reason };
    job.redact_outcome(&mut outcome);
    conclude(job, outcome, context);
}

/// What follows from a look for the post, and for the lane. A look that fails leaves the post in doubt, and nothing
/// else.
pub(super) fn decide(
    job: &Job,
    looked: Result<Found, Failure>,
    breaker: &mut Breaker,
    context: &Context<'_>,
) -> Next {
    match looked {
        Ok(Found::Live(post)) => published(job, post, breaker, context),
        Ok(Found::Resend(from)) => resend(job, from.as_ref(), context),
        Ok(Found::NotSeen(from)) if has_had_time(job, context) => {
            resend(job, from.as_ref(), context)
        }
        Ok(Found::NotSeen(_)) => keeps(job, "it does not show so far", None, breaker, context),
        Ok(Found::Unclear(why)) => keeps(job, why, None, breaker, context),
        Ok(Found::Unknown(why)) => keeps(job, why, NEVER, breaker, context),
        Err(failure) => failed(job, &failure, breaker, context),
    }
}

/// Whether the platform's lists would show it by now.
fn has_had_time(job: &Job, context: &Context<'_>) -> bool {
    let doubt = job.doubt.borrow();
    let sent_by = doubt.as_ref().map(|doubt| doubt.sent_at);
    let sent_by = sent_by.or(job.post.held_until);
    let lag = TimeDelta::from_std(job.platform.lag()).unwrap_or(TimeDelta::MAX);
    // What is unconfirmed since an earlier run waited longer before it was claimed.
    sent_by.is_none_or(|at| context.clock.now() - at >= lag)
}

/// The platform does not tell: this run asks again, and then later ones do.
fn keeps(
    job: &Job,
    why: &str,
    after: Option<Duration>,
    breaker: &Breaker,
    context: &Context<'_>,
) -> Next {
    let title = job.platform.title();
    let why = format!("{why}; look at {title} before it is sent again");
    let otherwise = breaker.state(job.post.account.id);
    if let Some(doubt) = job.doubt.borrow_mut().as_mut() {
        doubt.said = Some(why);
    } else {
        unconfirmed(job, Reason::new("unconfirmed", why), context);
        return otherwise;
    }
    look_again(job, after, otherwise, context)
}

/// It is not live: it is sent again at once, by this run if it sent it before.
fn resend(job: &Job, from: Option<&Value>, context: &Context<'_>) -> Next {
    let was_sent_here = job.doubt.take().is_some();
    job.trail.sent.set(None);
    job.keep(from, context);
    let now = context.clock.now();
    if was_sent_here
        && job.resends.get() < RESENDS
        && let Some(at) = in_time(Duration::ZERO, context)
    {
        job.resends.set(job.resends.get() + 1);
        note(job, &Outcome::Waiting { due_at: now }, context);
        return Next::Again(at);
    }
    let message = format!(
        "{} does not have it; it is sent again",
        job.platform.title()
    );
    let failure = Failure::Retry {
        after: None,
        reason: Reason::new("absent", message),
    };
    let delay = if was_sent_here {
        super::delay(job)
    } else {
        Duration::ZERO
    };
    conclude(job, Outcome::of(failure, &job.post, now, delay), context);
    Next::Done
}

/// A look that failed.
fn failed(job: &Job, failure: &Failure, breaker: &Breaker, context: &Context<'_>) -> Next {
    let state = breaker.state(job.post.account.id);
    let (after, otherwise) = match failure {
        Failure::Retry { after, .. } => (*after, state),
        Failure::RateLimited { after, scope, .. } => {
            let otherwise = match scope {
                Scope::Platform => Next::StopPlatform,
                Scope::Account => Next::StopAccount,
            };
            (Some(*after), otherwise)
        }
        Failure::NeedsLogin { .. } | Failure::Unauthorized { .. } => (NEVER, Next::StopAccount),
        Failure::Rejected { .. } | Failure::Unconfirmed { .. } => (NEVER, state),
    };
    let why = failure.reason();
    if let Some(doubt) = job.doubt.borrow_mut().as_mut() {
        doubt.said = Some(format!("it could not be looked up: {}", why.message));
    } else {
        unconfirmed(job, why.clone(), context);
        return otherwise;
    }
    look_again(job, after, otherwise, context)
}
