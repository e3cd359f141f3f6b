//! Slack: <https://docs.slack.dev/reference/methods/chat.postMessage>
//!
//! - **Version**: none in the path.
//! - **Auth**: a bot token (`xoxb-…`) with `chat:write`, as bearer. It does not expire unless the app rotates tokens.
//! - **Limits** (2026-08): text up to 40,000 characters, then it is cut off; about one message a second and channel.
//! - **Idempotency**: none. Our id travels in `metadata`, so that a later look-up can find the message.
//! - **Errors**: HTTP 200 with `ok: false` and a code; only rate limits use a status (429).
//! - The account's `external_id` is the channel id. Channel ids are not unique across workspaces by documentation,
//!   but they are in practice.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Platform, Step};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Effect, Reply, Session, by_status, in_doubt, unreadable};
use crate::limits::{Figure, Quota};
use crate::outcome::{Failure, Published, Reason, Scope};
use crate::post::{ClaimedPost, Content, Kind};
use crate::review::Review;

/// What the documentation says.
const FIGURES: &[Figure] = &[Figure {
    name: "text_chars",
    value: 40_000.0,
    as_of: "2018-04",
    source: "docs.slack.dev, truncating really long messages",
}];

/// The Slack client.
#[derive(Debug)]
pub struct Slack;

impl Platform for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn title(&self) -> &'static str {
        "Slack"
    }

    fn cap(&self) -> usize {
        8
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://slack.com"
    }

    fn spacing(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn figures(&self) -> &'static [Figure] {
        FIGURES
    }

    fn quotas(&self) -> &'static [Quota] {
        &[]
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn settings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn validate(&self, review: &mut Review<'_>) {
        let content = review.content;
        if content.kind != Kind::Post {
            review.problem("stories, reels and replies on Slack are not supported");
        }
        let text = text_of(content);
        if text.is_empty() {
            review.problem("a Slack message needs a body or a link");
        }
        review.characters("the message", &text, "text_chars");
        if !content.media.is_empty() {
            review.problem(
                "images and files on Slack are not supported yet; put a link into the body",
            );
        }
    }

    fn validate_account(&self, external_id: &str) -> Result<(), String> {
        let well_formed = external_id.starts_with(['C', 'G', 'D'])
            && external_id.len() > 2
            && external_id
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        if well_formed {
            return Ok(());
        }
        Err(format!(
            "`{external_id}` is not a Slack channel id (such as C024BE91L; see the channel's details)"
        ))
    }

    fn validate_settings(&self, _settings: &Map<String, Value>) -> Vec<String> {
        Vec::new()
    }

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            let request = session
                .api
                .request(Method::POST, "/api/chat.postMessage")
                .json(&message(session.post));
            let reply = session.send(request, Effect::Publishes).await?;
            let message: Message = accept(&reply, Effect::Publishes)?;
            let id = format!("{}:{}", message.channel, message.ts);
            session.accepted(&id);
            let (permalink, warnings) = match permalink(session, &message).await {
                Ok(permalink) => (Some(permalink), Vec::new()),
                Err(failure) => (
                    None,
                    vec![format!("no permalink: {}", failure.reason().message)],
                ),
            };
            Ok(Step::Done(Published {
                id,
                permalink,
                warnings,
                pause: None,
            }))
        }
        .boxed_local()
    }

    fn can_refresh(&self, _api: &Api<'_>) -> bool {
        false
    }

    fn refresh_ahead(&self) -> Duration {
        Duration::from_mins(10)
    }

    fn refresh<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Renewed, Failure>> {
        async move { Err(Failure::rejected("Slack tokens are not refreshed")) }.boxed_local()
    }

    fn check<'a>(&'a self, _api: &'a Api<'a>) -> LocalBoxFuture<'a, Result<Standing, Failure>> {
        async move { Ok(Standing::default()) }.boxed_local()
    }
}

async fn permalink(session: &Session<'_>, message: &Message) -> Result<String, Failure> {
    let query = [("channel", &message.channel), ("message_ts", &message.ts)];
    let request = session
        .api
        .request(Method::GET, "/api/chat.getPermalink")
        .query(&query);
    let reply = session.send(request, Effect::Reads).await?;
    accept(&reply, Effect::Reads).map(|Permalink { permalink }| permalink)
}

/// The text as Slack's markup wants it, the link on a line of its own.
fn text_of(content: &Content) -> String {
    let parts = [Some(content.body.as_str()), content.link.as_deref()];
    let filled = parts.into_iter().flatten().filter(|part| !part.is_empty());
    let text = filled.collect::<Vec<_>>().join("\n");
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn message(post: &ClaimedPost) -> Value {
    json!({
        "channel": post.account.external_id,
        "text": text_of(&post.content),
        "unfurl_links": post.content.link.is_some(),
        "metadata": {"event_type": "publisher_post", "event_payload": {"id": post.id.to_string()}},
    })
}

#[derive(Deserialize)]
struct Message {
    channel: String,
    ts: String,
}

#[derive(Deserialize)]
struct Permalink {
    permalink: String,
}

#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    error: Option<String>,
    needed: Option<String>,
}

/// The reply's content, or what its error means.
fn accept<T: for<'de> Deserialize<'de>>(reply: &Reply, effect: Effect) -> Result<T, Failure> {
    if reply.status != StatusCode::OK {
        return Err(by_status(reply, effect));
    }
    match reply.json::<Envelope>() {
        Some(Envelope { ok: true, .. }) => reply.json().ok_or_else(|| unreadable(reply, effect)),
        Some(Envelope {
            error: Some(code),
            needed,
            ..
        }) => Err(classify(&code, needed.as_deref(), effect)),
        _ => Err(unreadable(reply, effect)),
    }
}

fn classify(code: &str, needed: Option<&str>, effect: Effect) -> Failure {
    let reason = |class, message: String| Reason::new(class, message).code(code);
    match code {
        "fatal_error" | "internal_error" => in_doubt(
            effect,
            reason(
                "server_error",
                format!("Slack had an internal error ({code})"),
            ),
        ),
        "service_unavailable" | "request_timeout" | "team_added_to_org" | "org_login_required" => {
            Failure::Retry {
                after: None,
                reason: reason("unavailable", format!("Slack is unavailable ({code})")),
            }
        }
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => Failure::RateLimited {
            after: Duration::from_mins(1),
            scope: Scope::Account,
            reason: reason("rate_limited", format!("Slack limits messages ({code})")),
        },
        "missing_scope" => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                format!("the token lacks the scope {}", needed.unwrap_or("it needs")),
            ),
        },
        "token_expired"
        | "invalid_auth"
        | "not_authed"
        | "token_revoked"
        | "account_inactive"
        | "no_permission"
        | "not_allowed_token_type"
        | "app_access_restricted"
        | "access_denied"
        | "accesslimited"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "two_factor_setup_required" => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                format!("Slack does not accept the token ({code}); connect the app again"),
            ),
        },
        "channel_not_found" => Failure::Rejected {
            reason: reason(
                "rejected",
                "Slack knows no such channel, or the app can't see it".to_owned(),
            ),
        },
        "not_in_channel" => Failure::Rejected {
            reason: reason(
                "rejected",
                "the app is not in this channel; invite it (/invite @app)".to_owned(),
            ),
        },
        "is_archived" => Failure::Rejected {
            reason: reason("rejected", "the Slack channel is archived".to_owned()),
        },
        _ => Failure::Rejected {
            reason: reason("rejected", format!("Slack refused the message: {code}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{reply, verdict};

    fn content(value: Value) -> Content {
        serde_json::from_value(value).unwrap()
    }

    fn accepted(reply: &Reply) -> String {
        match accept::<Message>(reply, Effect::Publishes) {
            Ok(message) => format!("{}:{}", message.channel, message.ts),
            Err(failure) => verdict(&failure),
        }
    }

    #[test]
    fn a_message_says_whose_it_is() {
        let post = json!({
            "id": 7, "body": "a < b & c", "link": "https://a.b/?c&d", "attempts": 1, "max_attempts": 5,
            "scheduled_at": "2026-09-01T12:00:00Z", "expires_at": "2026-09-02T12:00:00Z",
            "checkpoint": null,
            "account": {
                "id": 1, "owner": "o", "platform": "slack", "external_id": "C024BE91L",
                "credentials": null, "token_expires_at": null,
            },
        });
        assert_eq!(
            message(&serde_json::from_value(post).unwrap()),
            json!({
                "channel": "C024BE91L",
                "text": "a &lt; b &amp; c\nhttps://a.b/?c&amp;d",
                "unfurl_links": true,
                "metadata": {"event_type": "publisher_post", "event_payload": {"id": "7"}},
            })
        );
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let fine = json!({"link": "https://a.b"});
        assert_eq!(
            crate::review::testing::problems(&Slack, &content(fine)),
            Vec::<String>::new()
        );
        let post = content(json!({
            "kind": "story",
            "body": "a".repeat(39_990),
            "link": "<!channel>",
            "media": [{"path": "a.jpg"}],
            "options": {"first_comment": "Hi"},
        }));
        assert_eq!(
            crate::review::testing::problems(&Slack, &post),
            [
                "stories, reels and replies on Slack are not supported",
                "the message has 40007 characters; Slack takes 40000",
                "link: the address is not a URL: relative URL without a base",
                "images and files on Slack are not supported yet; put a link into the body",
                "a first comment on Slack is not supported yet",
            ]
        );
        assert_eq!(
            crate::review::testing::problems(&Slack, &Content::default()),
            ["a Slack message needs a body or a link"]
        );
    }

    #[test]
    fn an_account_is_a_channel() {
        for id in ["C024BE91L", "G1A", "D1A"] {
            assert!(Slack.validate_account(id).is_ok(), "{id}");
        }
        for id in ["", "C", "#general", "U024BE91L", "C024be91l"] {
            assert!(Slack.validate_account(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_message_has_its_channel_and_time_as_id() {
        let body = r#"{"ok": true, "channel": "C1", "ts": "1503435956.000247"}"#;
        assert_eq!(accepted(&reply(200, body)), "C1:1503435956.000247");
    }

    #[test]
    fn a_code_decides_and_else_the_status() {
        let cases = [
            ("fatal_error", "unconfirmed [server_error]"),
            ("internal_error", "unconfirmed [server_error]"),
            ("service_unavailable", "retry [unavailable]"),
            ("request_timeout", "retry [unavailable]"),
            ("team_added_to_org", "retry [unavailable]"),
            ("org_login_required", "retry [unavailable]"),
            (
                "ratelimited",
                "rate_limited for 60s, Account [rate_limited]",
            ),
            (
                "rate_limited",
                "rate_limited for 60s, Account [rate_limited]",
            ),
            (
                "message_limit_exceeded",
                "rate_limited for 60s, Account [rate_limited]",
            ),
            ("token_expired", "needs_login [needs_login]"),
            ("token_revoked", "needs_login [needs_login]"),
            ("account_inactive", "needs_login [needs_login]"),
            ("missing_scope", "needs_login [needs_login]"),
            ("channel_not_found", "rejected [rejected]"),
            ("not_in_channel", "rejected [rejected]"),
            ("is_archived", "rejected [rejected]"),
            ("no_text", "rejected [rejected]"),
            ("metadata_too_large", "rejected [rejected]"),
        ];
        for (code, expected) in cases {
            let body = json!({"ok": false, "error": code}).to_string();
            assert_eq!(accepted(&reply(200, &body)), format!("{expected} {code}"));
        }
        let limited =
            reply(429, r#"{"ok": false, "error": "ratelimited"}"#).with("retry-after", "30");
        assert_eq!(
            accepted(&limited),
            "rate_limited for 30s, Account [rate_limited] 429"
        );
        assert_eq!(accepted(&reply(500, "")), "unconfirmed [server_error] 500");
        assert_eq!(accepted(&reply(200, "<html>")), "unconfirmed [bad_reply] -");
        let nameless = reply(200, r#"{"ok": true}"#);
        assert_eq!(accepted(&nameless), "unconfirmed [bad_reply] -");
    }

    #[test]
    fn a_missing_scope_is_named() {
        let body = r#"{"ok": false, "error": "missing_scope", "needed": "chat:write"}"#;
        let failure = accept::<Message>(&reply(200, body), Effect::Publishes)
            .err()
            .unwrap();
        assert_eq!(
            failure.reason().message,
            "the token lacks the scope chat:write"
        );
    }
}
