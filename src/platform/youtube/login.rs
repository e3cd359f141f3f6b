//! Tokens: new ones, and what the one at hand opens.

use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::path;
use super::replies::{Complaint, classify, lacks_scope};
use crate::account::{Renewed, Standing};
use crate::http::{Api, Effect, Reply, rate_limited, unreadable};
use crate::outcome::{Failure, Reason};

const TOKEN_HOST: &str = "oauth2.googleapis.com";
const SCOPES: &str = "https://www.googleapis.com/auth/";
/// Each of them lets publisher upload.
const UPLOADING: [&str; 4] = [
    "youtube.upload",
    "youtube",
    "youtube.force-ssl",
    "youtubepartner",
];

pub(super) fn can_refresh(api: &Api<'_>) -> bool {
    refresh_token(api).is_some() && api.app().is_some()
}

fn refresh_token<'a>(api: &Api<'a>) -> Option<&'a str> {
    let token = api.credentials.refresh_token.as_ref()?;
    Some(token.expose_secret()).filter(|token| !token.is_empty())
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    /// Only where the old one is no longer good.
    refresh_token: Option<SecretString>,
    expires_in: Option<u64>,
    /// Separated by blanks.
    scope: Option<String>,
}

#[derive(Deserialize)]
struct OAuthError {
    error: String,
}

pub(super) async fn refresh(api: &Api<'_>) -> Result<Renewed, Failure> {
    let token = new_token(api).await?;
    Ok(Renewed {
        access_token: token.access_token,
        refresh_token: token.refresh_token,
        lives: token.expires_in.map(Duration::from_secs),
    })
}

async fn new_token(api: &Api<'_>) -> Result<Answer, Failure> {
    let (Some(refresh_token), Some((id, secret))) = (refresh_token(api), api.app()) else {
        return Err(Failure::NeedsLogin {
            reason: Reason::new(
                "needs_login",
                "a new token takes a refresh token and the application's id and secret ([platforms.youtube] \
                 client_id, PUBLISHER_YOUTUBE_CLIENT_SECRET); one of them is missing",
            ),
        });
    };
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", id),
        ("client_secret", secret),
        ("refresh_token", refresh_token),
    ];
    let request = api
        .anonymous(Method::POST, &api.url_at(TOKEN_HOST, "/token"))
        .form(&form);
    // The old refresh token stays good, so this may be asked as often as it takes.
    let reply = api.send(request, Effect::Prepares).await?;
    if !reply.status.is_success() {
        return Err(refused(&reply));
    }
    reply.json().ok_or_else(|| Failure::Retry {
        after: None,
        // Not the reply itself: it may hold half a token.
        reason: Reason::new(
            "bad_reply",
            "Google's answer with a new token can't be read",
        ),
    })
}

/// Google's words are left out: they may quote what was sent.
pub(super) fn refused(reply: &Reply) -> Failure {
    let code = reply.json().map(|OAuthError { error }| error);
    let code = code.unwrap_or_else(|| reply.status.as_u16().to_string());
    let reason = |class, message: &str| Reason::new(class, message).code(code.as_str());
    let retry = |class, message: &str| Failure::Retry {
        after: reply.retry_after(),
        reason: reason(class, message),
    };
    let message = format!("Google gives no new token just now (HTTP {})", reply.status);
    if reply.status == 429 {
        return rate_limited(reply, reason("rate_limited", &message));
    }
    if reply.status.is_server_error() {
        return retry("server_error", &message);
    }
    match code.as_str() {
        "invalid_grant" => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                "Google no longer accepts the refresh token: connect the account again (`publisher accounts add`). \
                 While the project's consent screen is in \"Testing\", Google ends refresh tokens after 7 days: set \
                 it to \"In production\"",
            ),
        },
        "admin_policy_enforced" | "org_internal" | "access_denied" => Failure::NeedsLogin {
            reason: reason(
                "needs_login",
                "the rules of the Google account's organization keep this application out; its administrator can let \
                 it in, then connect the account again (`publisher accounts add`)",
            ),
        },
        "invalid_client" | "unauthorized_client" | "disabled_client" | "deleted_client" => retry(
            "app",
            "Google does not know the application, or the refresh token is another application's: check \
             [platforms.youtube] client_id and PUBLISHER_YOUTUBE_CLIENT_SECRET",
        ),
        _ => retry("refresh", &format!("Google gives no new token ({code})")),
    }
}

#[derive(Deserialize)]
struct Channels {
    #[serde(default)]
    items: Vec<Channel>,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    #[serde(default)]
    snippet: Snippet,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
struct Snippet {
    title: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    long_uploads_status: Option<String>,
}

/// Whose the token is, and what it may do as far as that can be told without an upload.
pub(super) async fn check(api: &Api<'_>) -> Result<Standing, Failure> {
    let mut standing = Standing::default();
    match channel(api).await? {
        Some(channel) => {
            let own = &api.account.external_id;
            if channel.id != *own {
                let message = format!(
                    "the token is of the channel {}, not of {own}; connect the account again, as that channel",
                    channel.id
                );
                return Err(Failure::NeedsLogin {
                    reason: Reason::new("needs_login", message),
                });
            }
            standing.name = channel.snippet.title;
            let long = channel.status.long_uploads_status;
            if long.is_some_and(|long| long != "allowed") {
                let note = "YouTube takes videos of more than 15 minutes only once the channel is verified";
                standing.notes.push(note.to_owned());
            }
        }
        None => standing.notes.push(
            "the token may not read its channel (scope youtube.readonly), so whose it is can't be told".to_owned(),
        ),
    }
    scopes(api, &mut standing).await;
    Ok(standing)
}

/// The token's channel; none if the token may not ask.
async fn channel(api: &Api<'_>) -> Result<Option<Channel>, Failure> {
    let request = api
        .request(Method::GET, &path(api, "channels"))
        .query(&[("part", "snippet,status"), ("mine", "true")]);
    let reply = api.send(request, Effect::Reads).await?;
    if reply.status.is_success() {
        let channels: Option<Channels> = reply.json();
        let channels = channels.ok_or_else(|| unreadable(&reply, Effect::Reads))?;
        let channel = channels.items.into_iter().next();
        return channel.map(Some).ok_or_else(|| Failure::NeedsLogin {
            reason: Reason::new("needs_login", "the Google account has no YouTube channel"),
        });
    }
    let code = Complaint::of(&reply);
    if reply.status == 403 && code.is_some_and(|error| error.code().is_some_and(lacks_scope)) {
        return Ok(None);
    }
    Err(classify(&reply, Effect::Reads, api.now))
}

/// Only the answer to a refresh tells the scopes. The new token is not kept; the others stay good.
async fn scopes(api: &Api<'_>, standing: &mut Standing) {
    if !can_refresh(api) {
        let note = "no new token can be had: that takes a refresh token and the application's id and secret";
        standing.notes.push(note.to_owned());
        return;
    }
    match new_token(api).await {
        Ok(token) => {
            let Some(scope) = token.scope else { return };
            let scopes: Vec<String> = scope
                .split_whitespace()
                .map(|scope| scope.strip_prefix(SCOPES).unwrap_or(scope).to_owned())
                .collect();
            if !scopes
                .iter()
                .any(|scope| UPLOADING.contains(&scope.as_str()))
            {
                standing.missing.push(UPLOADING[0].to_owned());
            }
            standing.scopes = Some(scopes);
        }
        Err(failure) => standing.notes.push(failure.reason().message.clone()),
    }
}
