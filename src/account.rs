//! An account: where posts go, and with which credentials.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An account's number (`accounts.id`).
pub type AccountId = i64;

/// An account as the claim returns it.
#[derive(Clone, Debug, Deserialize)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// Whose it is.
    pub owner: String,
    /// The platform's name.
    pub platform: String,
    /// The platform's own id for it.
    pub external_id: String,
    /// A name for people.
    #[serde(default)]
    pub display_name: String,
    /// The sealed token; see [`crate::secret`].
    pub credentials: Option<String>,
    /// When the access token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// Per-account settings, typed per platform.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// When anything of it last changed: its token is no younger.
    #[serde(default)]
    pub updated_at: Option<DateTime<Utc>>,
}

impl Account {
    /// One of which nothing else is known.
    pub(crate) fn unknown(id: AccountId) -> Self {
        Self {
            id,
            owner: String::new(),
            platform: String::new(),
            external_id: String::new(),
            display_name: String::new(),
            credentials: None,
            token_expires_at: None,
            settings: Map::new(),
            updated_at: None,
        }
    }

    /// How messages name it: `facebook:1234567`.
    pub fn label(&self) -> String {
        format!("{}:{}", self.platform, self.external_id)
    }

    /// A setting that is a string, if it is there.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str)
    }
}

/// What opens an account's platform, once unsealed. Never logged: its `Debug` shows no secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The bearer token.
    pub access_token: SecretString,
    /// What a new access token is bought with, where the platform has such a thing: a refresh token, for a Facebook
    /// Page the long-lived token of a user.
    #[serde(default)]
    pub refresh_token: Option<SecretString>,
    /// The application that the tokens belong to, where it is not the configuration's.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Its secret.
    #[serde(default)]
    pub client_secret: Option<SecretString>,
}

impl Credentials {
    /// Every secret in it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        [
            Some(&self.access_token),
            self.refresh_token.as_ref(),
            self.client_secret.as_ref(),
        ]
        .into_iter()
        .flatten()
    }
}

/// The application as which a platform knows this program: what refreshing a token takes.
#[derive(Clone, Debug, Default)]
pub struct App {
    /// Its id.
    pub client_id: Option<String>,
    /// Its secret.
    pub client_secret: Option<SecretString>,
}

/// What a platform gives for a refresh token. Never logged.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The new bearer token.
    pub access_token: SecretString,
    /// The next refresh token, where the platform gave a new one; the old one is spent then.
    pub refresh_token: Option<SecretString>,
    /// How long the bearer token lives, where it ends at all.
    pub lives: Option<Duration>,
}

/// What a platform says of an account's token.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Standing {
    /// The account's name there.
    pub name: Option<String>,
    /// The scopes that the token has, where the platform tells.
    pub scopes: Option<Vec<String>>,
    /// Scopes that publishing needs and the token surely lacks.
    pub missing: Vec<String>,
    /// When the token ends, where the platform tells.
    pub expires_at: Option<DateTime<Utc>>,
    /// What else a person should know.
    pub notes: Vec<String>,
}

/// An account as a person adds it.
#[derive(Clone, Debug, Serialize)]
pub struct NewAccount {
    /// Whose it is.
    pub owner: String,
    /// The platform's name.
    pub platform: String,
    /// The platform's own id for it.
    pub external_id: String,
    /// A name for people.
    pub display_name: String,
    /// IANA zone of its local times.
    pub timezone: String,
    /// The sealed token.
    pub credentials: Option<String>,
    /// When the access token ends.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// Per-account settings.
    pub settings: Map<String, Value>,
}
