//! The breaker: failures of one class in a row stop the rest of an account, or of a platform, in this run.

use std::collections::BTreeMap;

use super::queue::Next;
use crate::account::AccountId;

/// So many in a row.
const LENGTH: u32 = 3;

/// Counts failures of one class in a row, per platform and per account.
#[derive(Default)]
pub(super) struct Breaker {
    platform: Streak,
    accounts: BTreeMap<AccountId, Streak>,
}

#[derive(Default)]
struct Streak {
    class: &'static str,
    length: u32,
}

impl Streak {
    fn add(&mut self, class: &'static str) {
        self.length = if self.class == class {
            self.length + 1
        } else {
            1
        };
        self.class = class;
    }
}

impl Breaker {
    /// A post was published: nothing is in a row any more.
    pub(super) fn success(&mut self, account: AccountId) {
        self.platform = Streak::default();
        self.accounts.remove(&account);
    }

    /// A post failed; what follows for the others.
    pub(super) fn failure(&mut self, account: AccountId, class: &'static str) -> Next {
        self.accounts.entry(account).or_default().add(class);
        self.platform.add(class);
        self.state(account)
    }

    /// What follows for the others from what failed so far.
    pub(super) fn state(&self, account: AccountId) -> Next {
        let is_broken = |streak: &Streak| streak.length >= LENGTH;
        if is_broken(&self.platform) {
            Next::StopPlatform
        } else if self.accounts.get(&account).is_some_and(is_broken) {
            Next::StopAccount
        } else {
            Next::Done
        }
    }
}
