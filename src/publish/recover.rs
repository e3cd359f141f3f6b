//! Posts that may be live: the run that held them died, or the platform's answer never came. They are looked up, and
//! what the platform says decides; nothing is sent here.

use std::time::Duration;

use serde_json::Value;

use super::job::Job;
use super::queue::Next;
use super::{Context, conclude};
use crate::http::Session;
use crate::outcome::{Failure, Outcome, Reason, Scope};
use crate::platform::{Found, Platform, Step};

/// Asks the platform. The failure is what is known if it does not have the post, or does not tell.
pub(super) async fn look(
    platform: &dyn Platform,
    session: &Session<'_>,
    checkpoint: Option<&Value>,
) -> Result<Step, Failure> {
    match platform.look_up(session, checkpoint).await? {
        Found::Live(published) => Ok(Step::Done(published)),
        Found::Absent => Err(Failure::Retry {
            after: Some(Duration::ZERO),
            reason: Reason::new(
                "absent",
                format!("{} does not have it; it is sent again", platform.title()),
            ),
        }),
        Found::Unknown(why) => Err(Failure::Unconfirmed {
            reason: Reason::new(
                "unconfirmed",
                format!(
                    "{why}; look at {} before it is sent again",
                    platform.title()
                ),
            ),
        }),
    }
}

/// What follows for the post, and for the lane: a look-up that fails leaves the post in doubt, and nothing else.
pub(super) fn decide(job: &Job, failure: Failure, context: &Context<'_>) -> Next {
    let now = context.clock.now();
    let next = match &failure {
        Failure::RateLimited {
            scope: Scope::Platform,
            ..
        } => Next::StopPlatform,
        Failure::RateLimited { .. } | Failure::NeedsLogin { .. } | Failure::Unauthorized { .. } => {
            Next::StopAccount
        }
        _ => Next::Done,
    };
    let mut outcome = match failure {
        absent @ Failure::Retry { .. } if absent.reason().class == "absent" => {
            // It is sent from the beginning: the checkpoint may be that of a doubt, which has just ended.
            *job.checkpoint.borrow_mut() = None;
            Outcome::of(absent, &job.post, now, Duration::ZERO)
        }
        failure => Outcome::Unconfirmed {
            reason: failure.reason().clone(),
        },
    };
    job.redact_outcome(&mut outcome);
    conclude(job, outcome, context);
    next
}
