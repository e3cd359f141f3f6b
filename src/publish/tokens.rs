//! When a post's token is refreshed: ahead of its end, and once after the platform refused it.

use chrono::TimeDelta;

use super::Context;
use super::job::Job;
use crate::account::Credentials;
use crate::outcome::{Failure, Reason};

/// So long before its end a person hears of a token that only a person can renew.
const WARNING: TimeDelta = TimeDelta::days(7);

/// Refreshes a token that is about to end. If that fails for now, the one at hand may still do.
pub(super) async fn ahead(job: &Job, context: &Context<'_>) -> Result<(), Failure> {
    let now = context.clock.now();
    let Some(ends) = job.keyring.expires_at() else {
        return Ok(());
    };
    let ahead = TimeDelta::from_std(job.platform.refresh_ahead()).unwrap_or_default();
    if ends > now + ahead.max(WARNING) || job.keyring.was_tried() {
        return Ok(());
    }
    if !can_refresh(job, context) {
        job.keyring.tried();
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
    if let Some(failure) = job.keyring.put_off() {
        return Err(failure);
    }
    if job.keyring.was_tried() || !can_refresh(job, context) {
        return Err(Failure::NeedsLogin { reason: why });
    }
    renew(job, context).await
}

fn can_refresh(job: &Job, context: &Context<'_>) -> bool {
    let credentials = job.keyring.credentials();
    job.platform.can_refresh(&job.api(&credentials, context))
}

async fn renew(job: &Job, context: &Context<'_>) -> Result<(), Failure> {
    let ask = async |stored: &Credentials| job.platform.refresh(&job.api(stored, context)).await;
    let now = context.clock.now();
    context
        .vault
        .renew(&job.post.account, &job.keyring, now, ask)
        .await
}
