//! An account: where posts go, and with which credentials.

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
}

impl Account {
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The bearer token.
    pub access_token: SecretString,
    /// What a new access token is bought with, where the platform has such a thing.
    #[serde(default)]
    pub refresh_token: Option<SecretString>,
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
