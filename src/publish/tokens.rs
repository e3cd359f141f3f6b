//! Tokens that end: refreshed ahead of their end, and once after the platform refused one.
//!
//! A refresh token may be good for one use only, so two runs must never spend the same one. Whoever refreshes holds the
//! account's token for a short while in the account's own row; the new one is saved there before its first use. Nothing
//! is locked in the database while the platform is asked.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::Context;
use super::job::Job;
use crate::account::{AccountId, Credentials, Renewed};
use crate::outcome::{Failure, Reason};
use crate::secret;
use crate::store::{Hold, Store, StoreError};

/// So long before its end a person hears of a token that only a person can renew.
const WARNING: TimeDelta = TimeDelta::days(7);
/// While another run refreshes the token, the post waits so long at a time.
const OTHERS: Duration = Duration::from_secs(3);
/// So often a new token is tried to be saved.
const TRIES: u32 = 5;

/// The connection over which tokens are held and saved, made when the first is refreshed.
#[derive(Default)]
pub(super) struct Vault(Mutex<Option<Store>>);

impl Vault {
    /// Does it with the connection. After a fault that is dropped, and the next one makes another.
    async fn with<T>(
        &self,
        context: &Context<'_>,
        work: impl AsyncFnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, Failure> {
        let away = |error: StoreError| Failure::Retry {
            after: None,
            reason: Reason::new(
                "database",
                format!("the token can't be refreshed while the database is away: {error}"),
            ),
        };
        let mut place = self.0.lock().await;
        let mut store = match place.take() {
            Some(store) => store,
            None => Store::open(&context.settings.database)
                .await
                .map_err(away)?,
        };
        let result = work(&mut store).await.map_err(away)?;
        *place = Some(store);
        Ok(result)
    }

    /// Ends the connection; returns how many statements it ran.
    pub(super) async fn close(&self) -> u32 {
        let Some(store) = self.0.lock().await.take() else {
            return 0;
        };
        let statements = store.statements();
        store.close().await;
        statements
    }
}

/// Refreshes a token that is about to end. If that fails for now, the one at hand may still do.
pub(super) async fn ahead(job: &Job, context: &Context<'_>) -> Result<(), Failure> {
    let now = context.clock.now();
    let Some(ends) = job.keyring.expires_at.get() else {
        return Ok(());
    };
    let ahead = TimeDelta::from_std(job.platform.refresh_ahead()).unwrap_or_default();
    if ends > now + ahead.max(WARNING) || job.keyring.tried.get() {
        return Ok(());
    }
    if !can_refresh(job, context) {
        job.keyring.tried.set(true);
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
            tracing::warn!(
                account = job.post.account.label(),
                "the token ends at {ends} and could not be refreshed yet: {}",
                failure.reason().message
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
    if job.keyring.tried.get() || !can_refresh(job, context) {
        return Err(Failure::NeedsLogin { reason: why });
    }
    renew(job, context).await
}

fn can_refresh(job: &Job, context: &Context<'_>) -> bool {
    let credentials = job.keyring.credentials();
    job.platform.can_refresh(&job.api(&credentials, context))
}

async fn renew(job: &Job, context: &Context<'_>) -> Result<(), Failure> {
    let (account, run) = (&job.post.account, context.settings.run);
    let hold = context
        .vault
        .with(context, async |store| {
            store.hold_token(account.id, run).await
        })
        .await?;
    let hold = hold.ok_or_else(|| Failure::Retry {
        after: Some(OTHERS),
        reason: Reason::new(
            "refreshing",
            "another run is refreshing the account's token just now",
        ),
    })?;
    let found = found(job, context, &hold).await;
    let bought = found.as_ref().ok().filter(|token| token.is_new);
    // Saved before its first use: from then on the account works, whatever becomes of this run.
    let saved = save(context, account.id, bought).await;
    let token = found?;
    saved?;
    job.keyring
        .replace(token.sealed, token.credentials, token.ends);
    Ok(())
}

/// A token that is good, as far as is known.
struct Token {
    sealed: String,
    credentials: Credentials,
    ends: Option<DateTime<Utc>>,
    /// This run bought it; else another one did, since this one began.
    is_new: bool,
}

async fn found(job: &Job, context: &Context<'_>, hold: &Hold) -> Result<Token, Failure> {
    let account = &job.post.account;
    let key = context.settings.key.as_ref();
    let key = key.expect("the credentials at hand were opened with it");
    let stored = secret::open(
        key,
        &account.platform,
        &account.external_id,
        &hold.credentials,
    )
    .map_err(|error| Failure::NeedsLogin {
        reason: Reason::new("needs_login", error.to_string()),
    })?;
    if !job.keyring.is(&hold.credentials) {
        return Ok(Token {
            sealed: hold.credentials.clone(),
            credentials: stored,
            ends: hold.token_expires_at,
            is_new: false,
        });
    }
    job.keyring.tried.set(true);
    let Renewed {
        access_token,
        refresh_token,
        lives,
    } = job.platform.refresh(&job.api(&stored, context)).await?;
    let filled = |secret: &SecretString| !secret.expose_secret().is_empty();
    if !filled(&access_token) {
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new("bad_reply", "the platform's new token is empty"),
        });
    }
    let credentials = Credentials {
        access_token,
        refresh_token: refresh_token.filter(filled).or(stored.refresh_token),
        ..stored
    };
    let sealed = secret::seal(key, &account.platform, &account.external_id, &credentials).map_err(
        |error| Failure::Retry {
            after: None,
            reason: Reason::new("seal", error.to_string()),
        },
    )?;
    Ok(Token {
        sealed,
        credentials,
        ends: lives.map(|lives| context.clock.now() + lives),
        is_new: true,
    })
}

/// Saves a token, if there is one, and lets go of the account's. What was bought may be the only one that is good, so
/// a database that is away for a moment is waited for.
async fn save(
    context: &Context<'_>,
    account: AccountId,
    token: Option<&Token>,
) -> Result<(), Failure> {
    let saved = token.map(|token| (token.sealed.as_str(), token.ends));
    let mut tries = 0;
    loop {
        let result = context
            .vault
            .with(context, async |store| {
                store
                    .let_go_of_token(account, context.settings.run, saved)
                    .await
            })
            .await;
        tries += 1;
        if result.is_ok() || saved.is_none() || tries == TRIES {
            return result;
        }
        tokio::time::sleep(OTHERS).await;
    }
}
