//! What Facebook and Instagram share: Meta's Graph API, its errors and its rate limits.
//!
//! - **Errors**: `{"error": {code, error_subcode, is_transient, …}}`, most often with HTTP 400. `type` says
//!   `OAuthException` whatever the matter is, so `code` and `error_subcode` decide
//!   (<https://developers.facebook.com/docs/graph-api/guides/error-handling>, 2026-09).
//! - **In doubt**: the API answers 500, and codes 1 and 2, also to posts that it publishes all the same.
//! - **Rate limits**: no `Retry-After`. `X-Business-Use-Case-Usage` says in *minutes* when calls are welcome again;
//!   calling earlier makes it longer (<https://developers.facebook.com/docs/graph-api/overview/rate-limiting>).
//!   `X-App-Usage` says how much of a rolling hour's calls the app has used, in percent, and no time.
//! - **Tokens**: codes that a fresh token may mend are `Unauthorized`; those that only a person can mend (the app was
//!   removed, a checkpoint, a changed password, a lost role, a missing permission) are `NeedsLogin`.

use std::collections::HashMap;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::Sha256;

use crate::http::{Api, Effect, Reply, Session, by_status, in_doubt, unreadable};
use crate::outcome::{Code, Failure, Pause, Reason, Scope};
use crate::text::one_line;

pub(super) mod bytes;
pub(super) mod list;

/// The version of 2026-02-18, supported for at least two years.
const VERSION: &str = "v25.0";
/// Limits count over a rolling hour; so long it is where the reply names no time.
const RATE_LIMIT_WINDOW: Duration = Duration::from_hours(1);
/// A block by the integrity systems lasts hours or days, and the reply never says how long.
const BLOCKED_FOR: Duration = Duration::from_hours(6);
/// Nobody's calls are unwelcome for longer; a header that says so is wrong.
const LONGEST_WAIT_MINUTES: u64 = 31 * 24 * 60;
/// From so many percent of the app's calls on, its posts pause before Meta throttles it.
const NEARLY_USED_UP: f64 = 95.0;
/// For so long: calls count for an hour, so that about a quarter of them no longer does by then.
const APP_PAUSE: Duration = Duration::from_mins(15);
/// Subcodes about the content: links, photos, videos.
const CONTENT: [i64; 13] = [
    1_349_125, 1_363_022, 1_363_023, 1_363_031, 1_363_040, 1_363_127, 1_363_128, 1_363_129,
    1_366_046, 1_609_005, 1_609_008, 2_061_006, 2_069_019,
];
/// How long the account's posts wait where the operator has to name the app's secret.
const APP_PAUSE_UNTIL_MENDED: Duration = Duration::from_hours(1);
const PROOF_WANTED: &str = "the Meta app takes no calls without a proof of its secret (`appsecret_proof`), or not this \
    one; set client_id and the app's secret in the configuration, or switch off \"Require app secret\" in the app's settings";
/// How much of Meta's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;

/// A path of the API in the version that this account uses, signed as [`signed`] says.
pub(super) fn path(session: &Session<'_>, rest: &str) -> String {
    api_path(&session.api, rest)
}

/// The same where there is no post.
pub(super) fn api_path(api: &Api<'_>, rest: &str) -> String {
    signed(api, rest, api.token())
}

/// A path that is asked for with this token. Apps can be set to want a proof that who has the token is the app: where
/// its secret is known, it goes along.
/// <https://developers.facebook.com/docs/graph-api/guides/secure-requests>
pub(super) fn signed(api: &Api<'_>, rest: &str, token: &str) -> String {
    let path = unsigned(api, rest);
    let Some((_, secret)) = api.app() else {
        return path;
    };
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}appsecret_proof={}", proof(secret, token))
}

/// A path of what is asked without a token of an account.
pub(super) fn unsigned(api: &Api<'_>, rest: &str) -> String {
    format!("/{}/{rest}", api.version.unwrap_or(VERSION))
}

/// HMAC-SHA256 of the token by the app's secret, in hexadecimal.
fn proof(secret: &str, token: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let mac = mac.expect("a key of any length does").chain_update(token);
    format!("{:x}", mac.finalize().into_bytes())
}

/// Ids of pages and accounts are numbers, and go into paths.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is the id of a post, a photo, a video or a comment (`123` or `123_456`): it goes into paths.
pub(super) fn is_node(text: &str) -> bool {
    text.split('_').all(is_id)
}

/// The reply's content, or what its error means by the codes that both platforms share.
pub(super) fn accept<T: DeserializeOwned>(reply: &Reply, effect: Effect) -> Result<T, Failure> {
    if !reply.status.is_success() {
        return Err(classify(reply, effect));
    }
    reply.json().ok_or_else(|| unreadable(reply, effect))
}

#[derive(Deserialize)]
struct Envelope {
    error: GraphError,
}

/// The error object of a reply.
#[derive(Debug, Deserialize)]
pub(super) struct GraphError {
    pub(super) code: Option<i64>,
    #[serde(rename = "error_subcode", alias = "subcode")]
    pub(super) subcode: Option<i64>,
    #[serde(default)]
    is_transient: bool,
    #[serde(default)]
    message: String,
    #[serde(rename = "error_user_msg")]
    user_message: Option<String>,
    #[serde(rename = "fbtrace_id")]
    trace: Option<String>,
    /// What some errors say for programs: an object, or the text of one.
    #[serde(default)]
    error_data: Value,
}

impl GraphError {
    /// The error that a reply carries, if it carries one.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        reply.json().map(|Envelope { error }| error)
    }

    /// A reason with the codes: `100/1609005 trace AbC`.
    pub(super) fn reason(&self, class: &'static str, message: impl Into<String>) -> Reason {
        let is_told = self.code.is_some() || self.subcode.is_some() || self.trace.is_some();
        let code = Code::Numbers {
            code: self.code,
            subcode: self.subcode,
            trace: self.trace.clone(),
        };
        Reason {
            code: Some(code).filter(|_| is_told),
            ..Reason::new(class, message)
        }
    }

    /// Whether the app is set to take no call without its proof. Meta has no code of its own for that.
    fn wants_proof(&self) -> bool {
        self.code == Some(100) && self.message.contains("appsecret_proof")
    }

    /// Whether Meta itself says that it will pass.
    pub(super) fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// Meta's words, those meant for users first.
    pub(super) fn words(&self) -> String {
        one_line(
            self.user_message.as_deref().unwrap_or(&self.message),
            WORDS_LIMIT,
        )
    }

    /// What the error says for programs, if that can be read.
    pub(super) fn data<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.error_data {
            Value::String(text) => serde_json::from_str(text).ok(),
            data => T::deserialize(data).ok(),
        }
    }

    fn rejected(&self) -> Failure {
        Failure::Rejected {
            reason: self.reason(
                "rejected",
                format!("Meta refuses the post: {}", self.words()),
            ),
        }
    }

    // Without Meta's words: they can quote the token.
    fn needs_login(&self, why: &str) -> Failure {
        Failure::NeedsLogin {
            reason: self.reason("needs_login", format!("{why}; connect the account again")),
        }
    }

    // Without Meta's words, likewise.
    fn unauthorized(&self, why: &str) -> Failure {
        Failure::Unauthorized {
            reason: self.reason("needs_login", format!("{why}; connect the account again")),
        }
    }

    /// Nothing was published, and the same may go well later.
    fn passing(&self, class: &'static str, what: &str) -> Failure {
        Failure::Retry {
            after: None,
            reason: self.reason(class, format!("{what}: {}", self.words())),
        }
    }

    fn limited(&self, scope: Scope, after: Duration) -> Failure {
        Failure::RateLimited {
            after,
            scope,
            reason: self.reason(
                "rate_limited",
                format!("Meta limits calls: {}", self.words()),
            ),
        }
    }
}

/// What an error reply means.
pub(super) fn classify(reply: &Reply, effect: Effect) -> Failure {
    let Some(error) = GraphError::of(reply) else {
        return by_status(reply, effect);
    };
    let trouble = || format!("Meta had an internal error: {}", error.words());
    if effect == Effect::Publishes && reply.status.is_server_error() {
        return in_doubt(effect, error.reason("server_error", trouble()));
    }
    if error.wants_proof() {
        return Failure::RateLimited {
            after: APP_PAUSE_UNTIL_MENDED,
            scope: Scope::Account,
            reason: error.reason("app", PROOF_WANTED),
        };
    }
    match (error.code, error.subcode) {
        (Some(4 | 341), _) => error.limited(Scope::Platform, regained(reply)),
        (Some(17 | 32 | 613 | 80001 | 80002), _) => error.limited(Scope::Account, regained(reply)),
        (Some(368), Some(1_404_082)) | (Some(506), _) | (_, Some(1_366_051)) => Failure::Rejected {
            reason: error.reason(
                "duplicate",
                "Meta says that the same content is already posted; change it or cancel the post",
            ),
        },
        (Some(368), Some(4_854_002)) => Failure::NeedsLogin {
            reason: error.reason(
                "needs_login",
                "Meta wants the account's owner to confirm their identity; log in there",
            ),
        },
        (Some(368), Some(1_346_003 | 1_404_102)) => error.rejected(),
        (Some(368), _) => error.limited(Scope::Account, BLOCKED_FOR),
        (Some(190), _) => of_token(&error),
        (Some(102 | 104), None) => error.unauthorized("Meta does not accept the token"),
        (Some(102 | 104) | None, _) => error.needs_login("Meta does not accept the token"),
        (Some(100), Some(33)) => {
            error.needs_login("the token does not reach this account (or its id is wrong)")
        }
        (Some(3 | 10 | 200..=299), _) | (_, Some(1_404_078 | 1_363_005 | 1_363_042)) => {
            error.needs_login("the token lacks a permission to publish for this account")
        }
        // These decide whatever the code beside them, which can be the 1 of an unknown error.
        (_, Some(subcode)) if CONTENT.contains(&subcode) => error.rejected(),
        (Some(1 | 2), _) | (_, Some(1_363_047 | 1_609_010)) => {
            in_doubt(effect, error.reason("server_error", trouble()))
        }
        (_, Some(1_363_019 | 1_363_030 | 1_363_033)) | (Some(6000 | 6001), _) => {
            error.passing("upload", "Meta could not take the video in")
        }
        (Some(389), _) => error.passing("fetch", "Meta could not fetch the video"),
        (Some(2500), _) => error.passing(
            "version",
            "Meta knows no such address; is the configuration's `api_version` still in service",
        ),
        _ if error.is_transient => in_doubt(effect, error.reason("server_error", trouble())),
        _ => match reply.status.as_u16() {
            401 | 408 | 409 | 425 | 429 | 500..=599 => by_status(reply, effect),
            _ => error.rejected(),
        },
    }
}

/// Whether the token lacks a permission for what was asked.
pub(super) fn lacks_permission(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NeedsLogin {
            reason: Reason {
                code: Some(Code::Numbers {
                    code: Some(3 | 10 | 200..=299),
                    ..
                }),
                ..
            }
        }
    )
}

/// Whether Meta knows no such thing (any more), or does not show it to this token.
pub(super) fn is_gone(failure: &Failure) -> bool {
    matches!(
        failure.reason().code,
        Some(Code::Numbers {
            code: Some(100),
            subcode: Some(33),
            ..
        })
    )
}

/// What the error that `debug_token` reports of a token means.
pub(super) fn of_token(error: &GraphError) -> Failure {
    let why = token_trouble(error.subcode.unwrap_or_default());
    match error.subcode {
        Some(458 | 459 | 460 | 464 | 492) => error.needs_login(why),
        _ => error.unauthorized(why),
    }
}

fn token_trouble(subcode: i64) -> &'static str {
    match subcode {
        458 => "the app was removed from the account",
        459 | 464 => "Meta wants the account's owner to log in there first",
        460 => "the token ended when the password was changed",
        463 => "the token has expired",
        492 => "the token's owner has no role on this page any more",
        _ => "Meta does not accept the token",
    }
}

#[derive(Deserialize)]
struct Usage {
    #[serde(rename = "type", default)]
    kind: String,
    /// In minutes.
    #[serde(default)]
    estimated_time_to_regain_access: u64,
}

/// The time that the reply names until the account's calls are welcome again, if it names one. The header tells of the
/// app's other accounts and of its other dealings (advertisements, messages), too.
pub(super) fn named_wait(reply: &Reply) -> Option<Duration> {
    let json = reply.header("x-business-use-case-usage")?;
    let mut usage: HashMap<String, Vec<Usage>> = serde_json::from_str(json).ok()?;
    let own = usage.remove(&reply.asker.external_id)?.into_iter();
    let own = own.filter(|usage| matches!(usage.kind.as_str(), "pages" | "instagram"));
    let longest = own
        .map(|usage| usage.estimated_time_to_regain_access)
        .max()?;
    (longest > 0).then(|| Duration::from_mins(longest.min(LONGEST_WAIT_MINUTES)))
}

/// How long a rate limit lasts: as long as the reply says, else one window.
fn regained(reply: &Reply) -> Duration {
    named_wait(reply).unwrap_or(RATE_LIMIT_WINDOW)
}

/// What a reply that says yes says of the calls that are left: whether the account's other posts, or those of the whole
/// app, had better wait.
pub(super) fn pause(reply: &Reply) -> Option<Pause> {
    if let Some(after) = named_wait(reply) {
        return Some(Pause {
            after,
            scope: Scope::Account,
            why: "Meta says that the account has used up its calls".to_owned(),
        });
    }
    let usage: HashMap<String, f64> = serde_json::from_str(reply.header("x-app-usage")?).ok()?;
    let most = usage.into_values().fold(0.0, f64::max);
    (most >= NEARLY_USED_UP).then(|| Pause {
        after: APP_PAUSE,
        scope: Scope::Platform,
        why: format!("the app has used {most} % of the calls that Meta allows in an hour"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::testing::{reply, verdict};

    fn error(status: u16, code: i64, subcode: impl Into<Option<i64>>) -> Reply {
        let error = json!({"error": {
            "message": "m", "type": "OAuthException", "code": code, "error_subcode": subcode.into(),
            "fbtrace_id": "AbC",
        }});
        reply(status, &error.to_string())
    }

    #[test]
    fn codes_decide_whatever_the_status() {
        let cases = [
            (4, None, "rate_limited for 3600s, Platform [rate_limited]"),
            (341, None, "rate_limited for 3600s, Platform [rate_limited]"),
            (17, None, "rate_limited for 3600s, Account [rate_limited]"),
            (32, None, "rate_limited for 3600s, Account [rate_limited]"),
            (
                613,
                Some(1996),
                "rate_limited for 3600s, Account [rate_limited]",
            ),
            (
                80001,
                None,
                "rate_limited for 3600s, Account [rate_limited]",
            ),
            (
                80002,
                None,
                "rate_limited for 3600s, Account [rate_limited]",
            ),
            (368, None, "rate_limited for 21600s, Account [rate_limited]"),
            (
                368,
                Some(1_390_008),
                "rate_limited for 21600s, Account [rate_limited]",
            ),
            (368, Some(4_854_002), "needs_login [needs_login]"),
            (368, Some(1_404_082), "rejected [duplicate]"),
            (368, Some(1_346_003), "rejected [rejected]"),
            (368, Some(1_404_102), "rejected [rejected]"),
            (506, None, "rejected [duplicate]"),
            (100, Some(1_366_051), "rejected [duplicate]"),
            (190, Some(460), "needs_login [needs_login]"),
            (190, Some(458), "needs_login [needs_login]"),
            (190, Some(459), "needs_login [needs_login]"),
            (190, Some(464), "needs_login [needs_login]"),
            (190, Some(492), "needs_login [needs_login]"),
            (190, Some(463), "unauthorized [needs_login]"),
            (190, Some(467), "unauthorized [needs_login]"),
            (190, None, "unauthorized [needs_login]"),
            (102, None, "unauthorized [needs_login]"),
            (104, None, "unauthorized [needs_login]"),
            (10, None, "needs_login [needs_login]"),
            (3, None, "needs_login [needs_login]"),
            (200, Some(1_404_078), "needs_login [needs_login]"),
            (299, None, "needs_login [needs_login]"),
            (100, Some(33), "needs_login [needs_login]"),
            (100, Some(1_363_042), "needs_login [needs_login]"),
            (389, None, "retry [fetch]"),
            (6000, None, "retry [upload]"),
            (6001, None, "retry [upload]"),
            (6000, Some(1_363_030), "retry [upload]"),
            // One that is not documented; one that is about the content.
            (6000, Some(1_999_999), "retry [upload]"),
            (6000, Some(1_363_127), "rejected [rejected]"),
            (2500, None, "retry [version]"),
            (382, None, "rejected [rejected]"),
            (100, None, "rejected [rejected]"),
            (100, Some(1_609_005), "rejected [rejected]"),
            (100, Some(1_609_008), "rejected [rejected]"),
            (2_061_006, None, "rejected [rejected]"),
            (1, None, "retry [server_error]"),
            (2, None, "retry [server_error]"),
            (100, Some(1_363_047), "retry [server_error]"),
            (100, Some(1_609_010), "retry [server_error]"),
        ];
        for (code, subcode, expected) in cases {
            let codes = subcode.map_or(format!("{code}"), |subcode| format!("{code}/{subcode}"));
            for status in [400, 403, 500] {
                if status == 500 && expected == "rejected [rejected]" {
                    continue;
                }
                let failure = classify(&error(status, code, subcode), Effect::Prepares);
                let expected = format!("{expected} {codes} trace AbC");
                assert_eq!(verdict(&failure), expected, "HTTP {status}");
            }
        }
    }

    #[test]
    fn a_publishing_request_is_in_doubt_where_meta_is_not_sure() {
        let cases = [
            (
                error(400, 1, None),
                "unconfirmed [server_error] 1 trace AbC",
            ),
            (
                error(400, 2, None),
                "unconfirmed [server_error] 2 trace AbC",
            ),
            (
                error(500, 2, None),
                "unconfirmed [server_error] 2 trace AbC",
            ),
            (
                error(500, 190, 463),
                "unconfirmed [server_error] 190/463 trace AbC",
            ),
            (
                error(400, 100, 1_609_010),
                "unconfirmed [server_error] 100/1609010 trace AbC",
            ),
            (error(400, 100, None), "rejected [rejected] 100 trace AbC"),
            (
                reply(400, r#"{"error": {"code": 99, "is_transient": true}}"#),
                "unconfirmed [server_error] 99",
            ),
            (reply(500, "<html>"), "unconfirmed [server_error] 500"),
            (
                reply(400, r#"{"error": {"type": "OAuthException"}}"#),
                "needs_login [needs_login] -",
            ),
            (
                error(429, 99, None),
                "rate_limited for 60s, Account [rate_limited] 429",
            ),
        ];
        for (reply, expected) in cases {
            assert_eq!(verdict(&classify(&reply, Effect::Publishes)), expected);
        }
    }

    #[test]
    fn a_limit_lasts_as_many_minutes_as_the_reply_says() {
        let usage = json!({
            "1": [
                {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 19},
                {"type": "ads_management", "estimated_time_to_regain_access": 600},
                {"type": "instagram"},
            ],
            "2": [{"type": "pages", "estimated_time_to_regain_access": 700}],
        });
        let with = |usage: &str| error(400, 80001, None).with("x-business-use-case-usage", usage);
        let minutes = |usage: &str| regained(&with(usage)).as_secs() / 60;
        assert_eq!(minutes(&usage.to_string()), 19);
        assert_eq!(
            minutes(r#"{"1": [{"type": "pages", "estimated_time_to_regain_access": 0}]}"#),
            60
        );
        assert_eq!(minutes("{}"), 60);
        assert_eq!(minutes("not json"), 60);
    }

    #[test]
    fn a_yes_can_say_that_it_was_the_last_one_for_now() {
        let business = |minutes: u64| {
            json!({"1": [{"type": "pages", "estimated_time_to_regain_access": minutes}]})
                .to_string()
        };
        let app = |percent: f64| {
            json!({"call_count": percent, "total_time": 3, "total_cputime": 1}).to_string()
        };
        let found = |name, value: &str| {
            let pause = pause(&reply(200, "{}").with(name, value))?;
            Some((pause.after.as_secs() / 60, pause.scope))
        };
        let (own, whole) = (Some((7, Scope::Account)), Some((15, Scope::Platform)));
        assert_eq!(found("x-business-use-case-usage", &business(7)), own);
        assert_eq!(found("x-business-use-case-usage", &business(0)), None);
        let others = r#"{"1": [{"type": "pages", "estimated_time_to_regain_access": 0},
            {"type": "ads_management", "estimated_time_to_regain_access": 600}],
            "2": [{"type": "pages", "estimated_time_to_regain_access": 600}]}"#
            .replace('\n', "");
        assert_eq!(found("x-business-use-case-usage", &others), None);
        assert_eq!(found("x-app-usage", &app(95.0)), whole);
        assert_eq!(found("x-app-usage", &app(94.0)), None);
        assert_eq!(found("x-app-usage", "[1"), None);
        assert_eq!(pause(&reply(200, "{}")), None);
    }

    /// By `openssl dgst -sha256 -hmac secret` of the token.
    #[test]
    fn the_proof_is_an_hmac_of_the_token() {
        assert_eq!(
            proof("secret", "token"),
            "e941110e3d2bfe82621f0e3e1434730d7305d106c5f68c87165d0b27a4611a4a"
        );
        let body = json!({"error": {
            "message": "API calls from the server require an appsecret_proof argument", "type": "GraphMethodException",
            "code": 100, "fbtrace_id": "AbC",
        }});
        let failure = classify(&reply(400, &body.to_string()), Effect::Publishes);
        assert_eq!(
            verdict(&failure),
            "rate_limited for 3600s, Account [app] 100 trace AbC"
        );
        assert!(failure.reason().message.contains("app's secret"));
    }

    #[test]
    fn data_for_programs_is_an_object_or_its_text() {
        for data in [json!({"start_offset": 7}), json!(r#"{"start_offset": 7}"#)] {
            let body = json!({"error": {"code": 6000, "error_data": data}});
            let error = GraphError::of(&reply(400, &body.to_string())).unwrap();
            let data: Option<HashMap<String, u64>> = error.data();
            assert_eq!(data.unwrap()["start_offset"], 7);
        }
        let error = GraphError::of(&error(400, 6000, None)).unwrap();
        assert_eq!(error.data::<HashMap<String, u64>>(), None);
    }

    #[test]
    fn words_about_a_token_never_quote_it() {
        let body = r#"{"error": {"code": 190, "message": "Malformed access token EAAsecret"}}"#;
        let failure = classify(&reply(400, body), Effect::Publishes);
        assert_eq!(
            failure.reason().message,
            "Meta does not accept the token; connect the account again"
        );
    }
}
