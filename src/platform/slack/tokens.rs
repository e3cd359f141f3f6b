//! The token: a new one where the app rotates them, and what it opens.

use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::reply::accept;
use crate::account::{Renewed, Standing};
use crate::http::{Api, Effect};
use crate::outcome::{Code, Failure, Reason};

/// Scopes beside `chat:write`, and what each is for. Any of those parted by a bar does.
const HELPFUL: &[(&str, &str)] = &[
    ("files:write", "files can't be uploaded"),
    (
        "files:read",
        "the address of a message with files stays unknown",
    ),
    (
        "channels:history|groups:history|im:history|mpim:history",
        "a message whose answer was lost can't be looked up",
    ),
];

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    expires_in: Option<u64>,
}

/// Exchanges the refresh token. It works once; the answer has the next one.
pub(super) async fn refresh(api: &Api<'_>) -> Result<Renewed, Failure> {
    let (Some(refresh_token), Some((id, secret))) = (&api.credentials.refresh_token, api.app())
    else {
        let message = "the token can't be refreshed: give the account's refresh token, and `[platforms.slack] \
                       client_id` with PUBLISHER_SLACK_CLIENT_SECRET";
        return Err(Failure::NeedsLogin {
            reason: Reason::new("needs_login", message),
        });
    };
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose_secret()),
        ("client_id", id),
        ("client_secret", secret),
    ];
    let url = format!("{}/api/oauth.v2.access", api.base.url);
    let request = api.anonymous(Method::POST, &url).form(&form);
    let reply = api.send(request, Effect::Prepares).await?;
    let token: Granted = accept(&reply, Effect::Prepares).map_err(refusal)?;
    Ok(Renewed {
        access_token: token.access_token,
        refresh_token: token.refresh_token,
        lives: token.expires_in.map(Duration::from_secs),
    })
}

/// What a refusal means here, where it is not about a message.
fn refusal(failure: Failure) -> Failure {
    let Some(Code::Word(code)) = failure.reason().code.clone() else {
        return failure;
    };
    let reason = |class, message: &str| {
        Reason::new(class, format!("{message} ({code})")).code(code.as_str())
    };
    match code.as_str() {
        "invalid_refresh_token" | "token_revoked" | "account_inactive" => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                "Slack does not accept the refresh token; install the app again and store its new tokens",
            ),
        },
        "bad_client_secret" | "invalid_client_id" | "invalid_grant_type" => Failure::Retry {
            after: None,
            reason: reason(
                "app",
                "Slack does not know the app; check `[platforms.slack] client_id` and PUBLISHER_SLACK_CLIENT_SECRET",
            ),
        },
        _ => match failure {
            // Nothing else is known to be for good, and an account is not given up for a slip of the server's.
            Failure::Rejected { .. } | Failure::Unauthorized { .. } => Failure::Retry {
                after: None,
                reason: reason("refresh", "Slack gave no new token"),
            },
            other => other,
        },
    }
}

#[derive(Deserialize)]
struct Test {
    team: Option<String>,
    user: Option<String>,
    bot_id: Option<String>,
}

/// Asks whose token it is, and what it may do where Slack tells.
pub(super) async fn check(api: &Api<'_>) -> Result<Standing, Failure> {
    let request = api.request(Method::POST, "/api/auth.test");
    let reply = api.send(request, Effect::Reads).await?;
    let test: Test = accept(&reply, Effect::Reads)?;
    let names = [test.team, test.user];
    let names: Vec<String> = names.into_iter().flatten().collect();
    let scopes = reply.header("x-oauth-scopes").map(listed);
    let mut standing = Standing {
        name: (!names.is_empty()).then(|| names.join(": ")),
        ..Standing::default()
    };
    match &scopes {
        Some(scopes) => {
            let has = |any: &str| {
                any.split('|')
                    .any(|one| scopes.iter().any(|own| own == one))
            };
            if !has("chat:write") {
                standing.missing.push("chat:write".to_owned());
            }
            let lacking = HELPFUL.iter().filter(|(any, _)| !has(any));
            standing.notes.extend(lacking.map(|(any, what)| {
                format!("without the scope {} {what}", any.replace('|', " or "))
            }));
        }
        None => standing
            .notes
            .push("Slack did not tell which scopes the token has".to_owned()),
    }
    if test.bot_id.is_none() {
        let note = "it is a person's token, not a bot's: messages appear under that person's name, and one whose answer \
                    was lost can't be looked up";
        standing.notes.push(note.to_owned());
    }
    standing.scopes = scopes;
    Ok(standing)
}

fn listed(header: &str) -> Vec<String> {
    let scopes = header.split(',').map(str::trim);
    scopes
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}
