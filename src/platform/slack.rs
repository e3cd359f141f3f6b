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
use serde_json::{Value, json};

use super::{Platform, Step};
use crate::account::Account;
use crate::http::{Effect, Reply, Session, by_status, in_doubt, unreadable};
use crate::outcome::{Failure, Published, Reason, Scope};
use crate::post::{ClaimedPost, Content};

/// Past this Slack cuts the text off (docs.slack.dev, "truncating really long messages", 2018-04).
const TEXT_LIMIT: usize = 40_000;

/// The Slack client.
#[derive(Debug)]
pub struct Slack;

impl Platform for Slack {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn cap(&self) -> usize {
        8
    }

    fn base_url(&self, _account: &Account) -> &'static str {
        "https://slack.com"
    }

    fn validate(&self, content: &Content) -> Vec<String> {
        let mut problems = Vec::new();
        let text = text_of(content);
        if text.is_empty() {
            problems.push("a Slack message needs a body or a link".to_owned());
        }
        let length = text.chars().count();
        if length > TEXT_LIMIT {
            problems.push(format!(
                "the message has {length} characters; Slack takes {TEXT_LIMIT}"
            ));
        }
        if !content.media.is_empty() {
            problems.push(
                "images and files on Slack are not supported yet; put a link into the body"
                    .to_owned(),
            );
        }
        problems
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

    fn step<'a>(
        &'a self,
        session: &'a Session<'a>,
        _checkpoint: Option<&'a Value>,
    ) -> LocalBoxFuture<'a, Result<Step, Failure>> {
        async move {
            let request = session
                .request(Method::POST, "/api/chat.postMessage")
                .json(&message(session.post));
            let message: Message = accept(
                session.send(request, Effect::Publishes).await?,
                Effect::Publishes,
            )?;
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
            }))
        }
        .boxed_local()
    }
}

async fn permalink(session: &Session<'_>, message: &Message) -> Result<String, Failure> {
    let query = [("channel", &message.channel), ("message_ts", &message.ts)];
    let request = session
        .request(Method::GET, "/api/chat.getPermalink")
        .query(&query);
    let reply: Permalink = accept(session.send(request, Effect::Reads).await?, Effect::Reads)?;
    Ok(reply.permalink)
}

/// The text as Slack's markup wants it, the link on a line of its own.
fn text_of(content: &Content) -> String {
    let body = content
        .body
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    match &content.link {
        Some(link) if body.is_empty() => link.clone(),
        Some(link) => format!("{body}\n{link}"),
        None => body,
    }
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
fn accept<T: for<'de> Deserialize<'de>>(reply: Reply, effect: Effect) -> Result<T, Failure> {
    if reply.status != StatusCode::OK {
        return Err(by_status(&reply, effect));
    }
    match reply.json::<Envelope>() {
        Some(Envelope { ok: true, .. }) => reply.json().ok_or_else(|| unreadable(&reply, effect)),
        Some(Envelope {
            error: Some(code),
            needed,
            ..
        }) => Err(classify(&code, needed.as_deref(), effect)),
        _ => Err(unreadable(&reply, effect)),
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
            after: Duration::from_secs(60),
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
