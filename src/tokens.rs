//! Tokens that end: how a new one is bought and saved.
//!
//! A refresh token may be good for one use only, so two runs must never spend the same one. Whoever refreshes holds the
//! account's token for a short while, in the account's own row; the new one is saved there before its first use. Nothing
//! is locked in the database while the platform is asked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::account::{Account, AccountId, Credentials, Renewed};
use crate::outcome::{Failure, Reason};
use crate::schedule::later;
use crate::secret::{self, Key, OpenError};
use crate::store::{Database, Hold, Store, StoreError};

/// While another run refreshes the token, a post waits so long at a time.
const OTHERS: Duration = Duration::from_secs(3);
/// So often a new token is tried to be saved.
const TRIES: u32 = 5;

/// What opens an account, as it stands now.
pub struct Keyring {
    /// As the database has them.
    sealed: RefCell<String>,
    credentials: RefCell<Rc<Credentials>>,
    expires_at: Cell<Option<DateTime<Utc>>>,
    since: Cell<Option<DateTime<Utc>>>,
    tried: Cell<bool>,
    /// Why that came to nothing, if a later run may have more luck.
    put_off: RefCell<Option<Failure>>,
}

impl Keyring {
    /// Opens an account's sealed credentials.
    pub fn open(account: &Account, sealed: &str, key: &Key) -> Result<Self, OpenError> {
        let credentials = secret::open(key, &account.platform, &account.external_id, sealed)?;
        Ok(Self {
            sealed: RefCell::new(sealed.to_owned()),
            credentials: RefCell::new(Rc::new(credentials)),
            expires_at: Cell::new(account.token_expires_at),
            since: Cell::new(account.updated_at),
            tried: Cell::new(false),
            put_off: RefCell::new(None),
        })
    }

    /// The credentials.
    pub fn credentials(&self) -> Rc<Credentials> {
        Rc::clone(&self.credentials.borrow())
    }

    /// When the access token ends, if that is known.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at.get()
    }

    /// Since when the access token is no younger, as far as is known.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.since.get()
    }

    /// Whether a refresh was tried, or found to be impossible, since it was opened.
    pub fn was_tried(&self) -> bool {
        self.tried.get()
    }

    /// Notes that it was.
    pub fn tried(&self) {
        self.tried.set(true);
    }

    /// Why the refresh that was tried came to nothing, if a later run may have more luck: it says nothing against the
    /// login.
    pub fn put_off(&self) -> Option<Failure> {
        self.put_off.borrow().clone()
    }

    fn replace(&self, token: Token, now: DateTime<Utc>) {
        *self.sealed.borrow_mut() = token.sealed;
        *self.credentials.borrow_mut() = Rc::new(token.credentials);
        self.expires_at.set(token.ends);
        self.since.set(Some(now));
    }
}

/// A token that is good, as far as is known.
struct Token {
    sealed: String,
    credentials: Credentials,
    ends: Option<DateTime<Utc>>,
    /// It was bought just now; else another run did that, since this one began.
    is_new: bool,
}

/// Where tokens are held and saved. It connects when the first one is.
pub struct Vault<'a> {
    database: &'a Database,
    key: Option<&'a Key>,
    /// As whom tokens are held.
    run: Uuid,
    store: Mutex<Option<Store>>,
}

impl<'a> Vault<'a> {
    /// Of this database, for that run.
    pub fn new(database: &'a Database, key: Option<&'a Key>, run: Uuid) -> Self {
        Self {
            database,
            key,
            run,
            store: Mutex::new(None),
        }
    }

    /// Gets an account a new token, by asking the platform, or finds the one that another run got meanwhile.
    pub async fn renew(
        &self,
        account: &Account,
        keyring: &Keyring,
        now: DateTime<Utc>,
        ask: impl AsyncFnOnce(&Credentials) -> Result<Renewed, Failure>,
    ) -> Result<(), Failure> {
        let renewed = self.renewed(account, keyring, now, ask).await;
        if let Err(failure) = &renewed
            && keyring.was_tried()
            && !matches!(failure, Failure::NeedsLogin { .. })
        {
            *keyring.put_off.borrow_mut() = Some(failure.clone());
        }
        renewed
    }

    async fn renewed(
        &self,
        account: &Account,
        keyring: &Keyring,
        now: DateTime<Utc>,
        ask: impl AsyncFnOnce(&Credentials) -> Result<Renewed, Failure>,
    ) -> Result<(), Failure> {
        let run = self.run;
        let hold = self
            .with(async |store| store.hold_token(account.id, run).await)
            .await
            .map_err(|error| not_refreshed(&error))?;
        let hold = hold.ok_or_else(|| Failure::Retry {
            after: Some(OTHERS),
            reason: Reason::new(
                "refreshing",
                "another run is refreshing the account's token just now",
            ),
        })?;
        let found = self.found(account, keyring, now, &hold, ask).await;
        let bought = found.as_ref().ok().filter(|token| token.is_new);
        // Saved before its first use: from then on the account works, whatever becomes of this run.
        let saved = self.save(account.id, bought).await;
        let token = found?;
        saved?;
        keyring.replace(token, now);
        Ok(())
    }

    async fn found(
        &self,
        account: &Account,
        keyring: &Keyring,
        now: DateTime<Utc>,
        hold: &Hold,
        ask: impl AsyncFnOnce(&Credentials) -> Result<Renewed, Failure>,
    ) -> Result<Token, Failure> {
        let key = self
            .key
            .expect("the credentials at hand were opened with it");
        let (platform, id) = (&account.platform, &account.external_id);
        let stored = secret::open(key, platform, id, &hold.credentials);
        let stored = stored.map_err(|error| Failure::NeedsLogin {
            reason: Reason::new("needs_login", error.to_string()),
        })?;
        if *keyring.sealed.borrow() != hold.credentials {
            return Ok(Token {
                sealed: hold.credentials.clone(),
                credentials: stored,
                ends: hold.token_expires_at,
                is_new: false,
            });
        }
        keyring.tried();
        let renewed = ask(&stored).await?;
        let ends = renewed.lives.map(|lives| later(now, lives));
        let credentials = renewed_credentials(stored, renewed)?;
        let sealed = secret::seal(key, platform, id, &credentials).map_err(|error| {
            let reason = Reason::new("seal", error.to_string());
            Failure::Retry {
                after: None,
                reason,
            }
        })?;
        Ok(Token {
            sealed,
            credentials,
            ends,
            is_new: true,
        })
    }

    /// Saves a token, if there is one, and lets go of the account's. What was bought may be the only one that is good,
    /// so a database that is away for a moment is waited for.
    async fn save(&self, account: AccountId, token: Option<&Token>) -> Result<(), Failure> {
        let saved = token.map(|token| (token.sealed.as_str(), token.ends));
        let mut tries = 0;
        loop {
            let result = self
                .with(async |store| store.let_go_of_token(account, self.run, saved).await)
                .await;
            tries += 1;
            let error = match result {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_away = matches!(error, StoreError::Unavailable(_) | StoreError::Contended(_));
            if !is_away || saved.is_none() || tries == TRIES {
                return Err(not_refreshed(&error));
            }
            tokio::time::sleep(OTHERS).await;
        }
    }

    /// Does it with the connection. After a fault that is dropped, and the next one makes another.
    async fn with<T>(
        &self,
        work: impl AsyncFnOnce(&mut Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut place = self.store.lock().await;
        let mut store = match place.take() {
            Some(store) => store,
            None => Store::open(self.database).await?,
        };
        let result = work(&mut store).await?;
        *place = Some(store);
        Ok(result)
    }

    /// Ends the connection; returns how many statements it ran.
    pub async fn close(&self) -> u32 {
        let Some(store) = self.store.lock().await.take() else {
            return 0;
        };
        let statements = store.statements();
        store.close().await;
        statements
    }
}

fn not_refreshed(error: &StoreError) -> Failure {
    Failure::Retry {
        after: None,
        reason: Reason::new("database", format!("the token can't be refreshed: {error}")),
    }
}

/// What is stored with what was bought. A secret is never overwritten with nothing.
pub fn renewed_credentials(stored: Credentials, renewed: Renewed) -> Result<Credentials, Failure> {
    let filled = |secret: &SecretString| !secret.expose_secret().is_empty();
    if !filled(&renewed.access_token) {
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new("bad_reply", "the platform's new token is empty"),
        });
    }
    Ok(Credentials {
        access_token: renewed.access_token,
        refresh_token: renewed
            .refresh_token
            .filter(filled)
            .or(stored.refresh_token),
        ..stored
    })
}
