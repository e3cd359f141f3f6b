//! When a post's token is refreshed: ahead of its end, and once after the platform refused it.

use chrono::TimeDelta;

use super::Context;
use super::job::Job;
use crate::account::Credentials;
use crate::outcome::{Failure, Reason};

/// So long before its end a person hears of a token that only a person can renew.
const WARNING: TimeDelta = TimeDelta::days(7);

/// Whether the token is about to end, or a person should hear that it will.
pub(super) fn is_due(job: &Job, context: &Context<'_>) -> bool {
    let keyring = &job.desk.keyring;
    let ahead = until_refreshed(job).max(WARNING);
    let ends = keyring.expires_at();
    ends.is_some_and(|ends| ends <= context.clock.now() + ahead) && !keyring.was_tried()
}

fn until_refreshed(job: &Job) -> TimeDelta {
    TimeDelta::from_std(job.platform.refresh_ahead()).unwrap_or_default()
}

/// Refreshes a token that is about to end. If that fails for now, the one at hand may still do.
pub(super) async fn ahead(job: &Job, context: &Context<'_>) -> Result<(), Failure> {
    let now = context.clock.now();
    let Some(ends) = job.desk.keyring.expires_at() else {
        return Ok(());
    };
    let ahead = until_refreshed(job);
    if !can_refresh(job, context) {
        job.desk.keyring.tried();
        tracing::warn!(
            account = job.post.account.label(),
            "the token ends at {ends} and can't be refreshed; give a new one with `publisher accounts add`"
        );
        return Ok(());
    }
    if ends > now + ahead {
        return Ok(());
    }
    match renew(job, context).await {
        Err(failure) if ends > now && !matches!(failure, Failure::NeedsLogin { .. }) => {
            let mut why = failure.reason().message.clone();
            job.redact(&mut why);
            tracing::warn!(
                account = job.post.account.label(),
                "the token ends at {ends} and could not be refreshed yet: {why}"
            );
            Ok(())
        }
        result => result,
    }
}

/// Refreshes a token that the platform refused. `why` is its refusal, which stands if there is no way.
pub(super) async fn after_refusal(
    job: &Job,
    context: &Context<'_>,
    why: Reason,
) -> Result<(), Failure> {
    if let Some(failure) = job.desk.keyring.put_off() {
        return Err(failure);
    }
    if job.desk.keyring.was_tried() || !can_refresh(job, context) {
        return Err(Failure::NeedsLogin { reason: why });
    }
    renew(job, context).await
}

fn can_refresh(job: &Job, context: &Context<'_>) -> bool {
    let credentials = job.desk.keyring.credentials();
    job.platform.can_refresh(&job.api(&credentials, context))
}

async fn renew(job: &Job, context: &Context<'_>) -> Result<(), Failure> {
    let ask = async |stored: &Credentials| job.platform.refresh(&job.api(stored, context)).await;
    let now = context.clock.now();
    context
        .vault
        .renew(&job.post.account, &job.desk.keyring, now, ask)
        .await
}
