//! Slack's replies: what they say, and what an error means.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::http::{Effect, Reply, by_status, in_doubt, unreadable};
use crate::outcome::{Failure, Reason, Scope};
use crate::text::one_line;

/// A limit without the time of its end.
const PAUSE: Duration = Duration::from_mins(1);
/// How much of Slack's own words goes into a message, in characters.
const WORDS_LIMIT: usize = 300;

/// What every reply has, and what refusals have.
#[derive(Deserialize)]
struct Envelope {
    ok: bool,
    error: Option<String>,
    needed: Option<String>,
    /// Of another shape than documented it is only less to tell.
    #[serde(default)]
    response_metadata: Value,
}

impl Envelope {
    /// Slack's own words on a refusal.
    fn words(&self) -> Option<String> {
        let messages = self.response_metadata["messages"].as_array()?;
        let words: Vec<&str> = messages.iter().filter_map(Value::as_str).collect();
        (!words.is_empty()).then(|| one_line(&words.join("; "), WORDS_LIMIT))
    }
}

/// The reply's content, or what its error means.
pub(super) fn accept<T: for<'de> Deserialize<'de>>(
    reply: &Reply,
    effect: Effect,
) -> Result<T, Failure> {
    let envelope = reply.json::<Envelope>();
    if reply.status == StatusCode::TOO_MANY_REQUESTS {
        let code = envelope.and_then(|envelope| envelope.error);
        let code = code.unwrap_or_else(|| "429".to_owned());
        return Err(limited(&code, reply.retry_after()));
    }
    match envelope {
        Some(Envelope { ok: true, .. }) if reply.status == StatusCode::OK => {
            reply.json().ok_or_else(|| unreadable(reply, effect))
        }
        // Whatever a server error's body says, it may have come after the message was posted.
        Some(envelope) if reply.status == StatusCode::OK || reply.status.is_client_error() => {
            match &envelope.error {
                Some(code) => Err(classify(code, &envelope, effect)),
                None => Err(unreadable(reply, effect)),
            }
        }
        _ if reply.status == StatusCode::OK => Err(unreadable(reply, effect)),
        _ => Err(by_status(reply, effect)),
    }
}

fn limited(code: &str, after: Option<Duration>) -> Failure {
    let message = format!("Slack takes no more messages just now ({code})");
    Failure::RateLimited {
        after: after.unwrap_or(PAUSE).max(Duration::from_secs(1)),
        scope: Scope::Account,
        reason: Reason::new("rate_limited", message).code(code),
    }
}

/// What a code means. Those that are not named reject the post, in Slack's own words.
fn classify(code: &str, envelope: &Envelope, effect: Effect) -> Failure {
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
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => limited(code, None),
        // Where tokens rotate, an old one may be called invalid, too.
        "token_expired" | "invalid_auth" => Failure::Unauthorized {
            reason: reason(
                "needs_login",
                format!("Slack does not accept the token ({code}); connect the app again"),
            ),
        },
        "missing_scope" => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                format!(
                    "the token lacks the scope {}; add it to the Slack app, install the app again and store its new \
                     token",
                    envelope.needed.as_deref().unwrap_or("it needs")
                ),
            ),
        },
        "not_authed"
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
        _ => Failure::Rejected {
            reason: reason("rejected", refusal(code, envelope.words())),
        },
    }
}

/// A refusal in words that the post's author understands.
fn refusal(code: &str, words: Option<String>) -> String {
    let known = match code {
        "channel_not_found" | "invalid_channel" => {
            "Slack knows no such channel, or the app can't see it; if it is private, invite the app (/invite @app)"
        }
        "not_in_channel" => "the app is not in this channel; invite it (/invite @app)",
        "is_archived" => "the Slack channel is archived",
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "posting_to_channel_denied" => {
            "the workspace's settings do not let the app post in this channel"
        }
        "restricted_action_thread_only_channel" => {
            "this channel takes only replies in threads; make the post a reply"
        }
        "restricted_action_non_threadable_channel" | "restricted_action_thread_locked" => {
            "this channel, or this thread, takes no replies"
        }
        "cannot_reply_to_message" | "thread_not_found" => {
            "Slack knows no message to reply to, or takes no replies to it"
        }
        "messages_tab_disabled" => "the app's Messages tab is switched off in its settings",
        "no_text" => "Slack wants a text",
        "msg_too_long" | "msg_blocks_too_long" => "the message is too long for Slack",
        "invalid_blocks" => "Slack can't show the message's text or an image",
        "file_upload_size_restricted" => "the file is larger than the workspace allows",
        "file_uploads_disabled" | "file_uploads_except_images_disabled" => {
            "the workspace's settings do not allow this file to be uploaded"
        }
        "file_type_not_allowed" => "the workspace's settings do not allow files of this type",
        "storage_limit_reached" => {
            "the workspace has no room for files left; delete some or change its plan"
        }
        "alt_txt_too_large" => "the description of a file is too long for Slack",
        "channels_limit_exceeded" => "the files were sent to too many channels",
        "file_not_found" => "Slack lost the uploaded file",
        "file_update_failed" => "Slack could not share the uploaded file",
        _ => "Slack refused the message",
    };
    match words {
        Some(words) => format!("{known} ({code}: {words})"),
        None => format!("{known} ({code})"),
    }
}

/// Slack's warnings that the readers notice.
pub(super) fn warnings(reply: &Reply) -> Vec<String> {
    let body: Value = reply.json().unwrap_or_default();
    let listed = body["response_metadata"]["warnings"].as_array();
    let mut names = listed.into_iter().flatten().filter_map(Value::as_str);
    let cut_off = names.any(|name| name == "message_truncated");
    cut_off
        .then(|| "Slack cut the message off: it is too long".to_owned())
        .into_iter()
        .collect()
}
