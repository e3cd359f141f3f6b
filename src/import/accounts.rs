//! The accounts that posts may name, read once.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::account::AccountId;
use crate::store::{Store, StoreError};
use crate::suggest;

/// What an import needs to know of an account.
#[derive(Clone, Debug, Deserialize)]
pub struct AccountRow {
    /// Its number.
    pub id: AccountId,
    /// The platform's name.
    pub platform: String,
    /// The platform's own id for it.
    pub external_id: String,
    /// IANA zone of its local times.
    pub timezone: String,
}

impl AccountRow {
    /// How people name it: `facebook:1234567`.
    pub fn label(&self) -> String {
        format!("{}:{}", self.platform, self.external_id)
    }
}

/// Accounts by number and by label.
#[derive(Debug)]
pub struct Accounts {
    by_label: HashMap<String, AccountRow>,
    labels: HashMap<AccountId, String>,
    /// Looking for near names is slow: in a file of nothing but wrong ones the first few suggestions do.
    suggestions_left: usize,
}

impl Accounts {
    /// Reads them from the database.
    pub async fn load(store: &mut Store) -> Result<Self, StoreError> {
        let rows = store
            .accounts(&json!({"owner": null, "platform": null}))
            .await?;
        let rows: Result<Vec<AccountRow>, _> =
            rows.into_iter().map(serde_json::from_value).collect();
        let unreadable = |e| StoreError::Refused(format!("an account can't be read: {e}"));
        Ok(Self::new(rows.map_err(unreadable)?))
    }

    /// These accounts.
    pub fn new(rows: Vec<AccountRow>) -> Self {
        Self {
            labels: rows.iter().map(|row| (row.id, row.label())).collect(),
            by_label: rows.into_iter().map(|row| (row.label(), row)).collect(),
            suggestions_left: 100,
        }
    }

    /// The account of that label (`platform:external_id`) or number.
    pub fn find(&mut self, name: &str) -> Result<&AccountRow, String> {
        let label = name
            .parse()
            .ok()
            .and_then(|id: AccountId| self.labels.get(&id).cloned())
            .unwrap_or_else(|| name.to_owned());
        if self.by_label.contains_key(&label) {
            return Ok(&self.by_label[&label]);
        }
        Err(self.unknown(name))
    }

    /// The account of that number.
    pub fn numbered(&self, id: AccountId) -> Option<&AccountRow> {
        self.by_label.get(self.labels.get(&id)?)
    }

    fn unknown(&mut self, name: &str) -> String {
        let is_number = name.bytes().all(|b| b.is_ascii_digit());
        if !is_number && !name.contains(':') {
            return format!("`{name}` is neither platform:external_id nor an account's number");
        }
        let hint = if self.suggestions_left > 0 {
            self.suggestions_left -= 1;
            // Sorted, so that of two equally near names the same one is suggested every time.
            let mut labels: Vec<&str> = self.by_label.keys().map(String::as_str).collect();
            labels.sort_unstable();
            suggest::did_you_mean(name, labels)
        } else {
            String::new()
        };
        if hint.is_empty() {
            return format!(
                "there is no account `{name}`; see `publisher accounts list`, or add it with `publisher accounts add`"
            );
        }
        format!("there is no account `{name}`{hint}")
    }
}
