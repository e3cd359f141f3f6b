//! Access and refresh tokens: which are good, what they may do, and how long.
//!
//! Any token that is not empty is good unless its prefix asks for a refusal, so that a person can
//! make one up. Those that the sandbox itself gave out expire.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::wire::Refusal;
use super::world::Platform;

/// What the sandbox gave out, and what was used up.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// How long an access token that is given out here is good.
    pub(super) lifetime: Duration,
    /// When the access tokens given out here expire.
    minted: HashMap<String, Instant>,
    /// Refresh tokens that were exchanged for a new one.
    spent: HashSet<(Platform, String)>,
    /// Refresh tokens whose first use was answered by "come again".
    flaked: HashSet<(Platform, String)>,
    numbered: u64,
    refreshed: u64,
    refused: u64,
}

/// What an OAuth endpoint answers with, in whichever words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Minted {
    pub(super) access_token: String,
    /// A new one, where the old one is used up by now.
    pub(super) refresh_token: Option<String>,
    pub(super) expires_in: Duration,
}

/// Why a refresh token brings nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenRefusal {
    /// There is none, or it is empty.
    Missing,
    /// It was withdrawn (prefix `revoked-`) or is too old (`expired-`).
    Revoked,
    /// It was exchanged before, and works only once.
    Spent,
    /// A passing trouble of the server's (`flaky-`, the first time): HTTP 503.
    Unavailable,
}

impl Tokens {
    /// Whether a token is good for what needs the scope `needed`. Of scopes that serve equally well,
    /// separated by `|`, any will do; a refusal names the first.
    pub(super) fn check<'t>(
        &self,
        token: Option<&'t str>,
        needed: &'static str,
    ) -> Result<&'t str, Refusal> {
        let token = token.unwrap_or_default();
        let expired = || {
            self.minted
                .get(token)
                .is_some_and(|end| *end <= Instant::now())
        };
        if token.is_empty() {
            Err(Refusal::NoToken)
        } else if token.starts_with("revoked-") {
            Err(Refusal::Revoked)
        } else if token.starts_with("expired-") || expired() {
            Err(Refusal::Expired)
        } else if !may(token, needed) {
            let needed = needed.split('|').next().unwrap_or(needed);
            Err(Refusal::NoScope { needed })
        } else {
            Ok(token)
        }
    }

    /// Exchanges a refresh token. If the platform `rotates`, it works this once and the answer holds
    /// the next one; the new tokens have the scopes of the old one.
    pub(super) fn refresh(
        &mut self,
        platform: Platform,
        refresh_token: &str,
        rotates: bool,
    ) -> Result<Minted, TokenRefusal> {
        let key = (platform, refresh_token.to_owned());
        let refusal = if refresh_token.is_empty() {
            Some(TokenRefusal::Missing)
        } else if ["revoked-", "expired-"]
            .iter()
            .any(|bad| refresh_token.starts_with(bad))
        {
            Some(TokenRefusal::Revoked)
        } else if self.spent.contains(&key) {
            Some(TokenRefusal::Spent)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.refused += 1;
            return Err(refusal);
        }
        if refresh_token.starts_with("flaky-") && self.flaked.insert(key.clone()) {
            return Err(TokenRefusal::Unavailable);
        }
        self.refreshed += 1;
        let mut minted = self.mint(platform, scopes(refresh_token));
        if rotates {
            self.spent.insert(key);
        } else {
            minted.refresh_token = None;
        }
        Ok(minted)
    }

    /// A new pair of tokens with these scopes (`a,b,c`; `None`: all), as for a person who logs in.
    pub(super) fn mint(&mut self, platform: Platform, scopes: Option<&str>) -> Minted {
        self.numbered += 1;
        let own = scopes.map_or(String::new(), |scopes| format!("scopes({scopes})"));
        let name = format!("{platform}-{}", self.numbered);
        let (access, refresh) = starts(platform);
        let access_token = format!("{access}{own}access-{name}");
        let ends = Instant::now() + self.lifetime;
        self.minted.insert(access_token.clone(), ends);
        Minted {
            access_token,
            refresh_token: Some(format!("{refresh}{own}refresh-{name}")),
            expires_in: self.lifetime,
        }
    }

    /// The part of `/api/stats` about tokens.
    pub(super) fn stats(&self) -> Value {
        json!({"refreshed": self.refreshed, "refused": self.refused})
    }

    /// Counts from nought again. Nobody is logged out.
    pub(super) fn reset(&mut self) {
        (self.refreshed, self.refused) = (0, 0);
    }
}

/// How Slack's access tokens that end begin, and the tokens that replace them.
const SLACK: (&str, &str) = ("xoxe.xoxb-1-", "xoxe-1-");

/// How the platform's access and refresh tokens begin. Only Slack's can be told by that.
fn starts(platform: Platform) -> (&'static str, &'static str) {
    match platform {
        Platform::Slack => SLACK,
        _ => ("", ""),
    }
}

/// The scopes in `scopes(a,b,c)…`, with or without a start that tells a token of Slack's; a token without that has
/// every scope.
pub(super) fn scopes(token: &str) -> Option<&str> {
    let (access, refresh) = SLACK;
    let rest = token.strip_prefix(access);
    let rest = rest.or_else(|| token.strip_prefix(refresh));
    let rest = rest.unwrap_or(token).strip_prefix("scopes(")?;
    // Without its end the list grants nothing: a slip should not look like a token for everything.
    Some(rest.split_once(')').map_or("", |(list, _)| list))
}

fn may(token: &str, needed: &str) -> bool {
    let has = |list: &str| {
        let mut owned = list.split(',').map(str::trim);
        owned.any(|scope| needed.split('|').any(|needed| needed == scope))
    };
    !token.starts_with("noscope-") && scopes(token).is_none_or(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_prefix_asks_for_a_refusal() {
        let tokens = Tokens::default();
        let no_scope = Refusal::NoScope { needed: "write" };
        for (token, refusal) in [
            (None, Refusal::NoToken),
            (Some(""), Refusal::NoToken),
            (Some("expired-1"), Refusal::Expired),
            (Some("revoked-1"), Refusal::Revoked),
            (Some("noscope-1"), no_scope),
            (Some("scopes()1"), no_scope),
            (Some("scopes(read)1"), no_scope),
            (Some("scopes(write"), no_scope),
            (Some("scopes(writer)"), no_scope),
        ] {
            assert_eq!(tokens.check(token, "write|all"), Err(refusal), "{token:?}");
        }
        for token in [
            "x",
            "scopes(read,write)1",
            "scopes(read, write)",
            "scopes(all)",
        ] {
            assert_eq!(tokens.check(Some(token), "write|all"), Ok(token));
        }
    }

    #[test]
    fn a_token_that_was_given_out_expires() {
        let mut tokens = Tokens {
            lifetime: HOUR,
            ..Tokens::default()
        };
        let minted = tokens.refresh(Platform::Youtube, "r", false).unwrap();
        assert_eq!((minted.refresh_token, minted.expires_in), (None, HOUR));
        let token = Some(minted.access_token.as_str());
        tokens.check(token, "write").unwrap();
        tokens.lifetime = Duration::ZERO;
        let minted = tokens.refresh(Platform::Youtube, "r", false);
        let token = minted.unwrap().access_token;
        assert_eq!(tokens.check(Some(&token), "write"), Err(Refusal::Expired));
    }

    #[test]
    fn a_rotating_refresh_token_works_once() {
        let mut tokens = Tokens::default();
        let mut refresh = |token: &str| tokens.refresh(Platform::Slack, token, true);
        let next = refresh("scopes(a)first").unwrap();
        assert_eq!(refresh("scopes(a)first"), Err(TokenRefusal::Spent));
        assert!(next.access_token.starts_with("xoxe.xoxb-"), "{next:?}");
        assert_eq!(scopes(&next.access_token), Some("a"));
        let next = next.refresh_token.unwrap();
        assert!(next.starts_with("xoxe-1-"), "{next}");
        assert_eq!(scopes(&next), Some("a"));
        refresh(&next).unwrap();
        assert_eq!(refresh(&next), Err(TokenRefusal::Spent));
        assert_eq!(refresh(""), Err(TokenRefusal::Missing));
        assert_eq!(refresh("revoked-1"), Err(TokenRefusal::Revoked));
        assert_eq!(refresh("flaky-1"), Err(TokenRefusal::Unavailable));
        refresh("flaky-1").unwrap();
        // What one platform has used up means nothing to another.
        tokens
            .refresh(Platform::Linkedin, "scopes(a)first", true)
            .unwrap();
        assert_eq!(tokens.stats(), json!({"refreshed": 4, "refused": 4}));
        tokens.reset();
        assert_eq!(tokens.stats(), json!({"refreshed": 0, "refused": 0}));
    }
}
