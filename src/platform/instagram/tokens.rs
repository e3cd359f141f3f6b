//! Tokens: renewing them, and what they open.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Login;
use super::errors::{accept, classify};
use super::quota::{self, Quota};
use crate::account::{Renewed, Standing};
use crate::http::{Api, Effect, Reply, unreadable};
use crate::outcome::{Failure, Reason};
use crate::platform::graph::{self, GraphError};

const FACEBOOK: &str = "graph.facebook.com";
const INSTAGRAM: &str = "graph.instagram.com";
/// A token of Instagram's own login lives for 60 days and can't be renewed on the first.
const TOO_YOUNG: TimeDelta = TimeDelta::days(59);
/// What publishing takes, with Facebook's login.
const SCOPES: [&str; 3] = [
    "instagram_basic",
    "instagram_content_publish",
    "pages_read_engagement",
];
const COMMENT_SCOPE: &str = "instagram_manage_comments";

#[derive(Deserialize)]
struct Token {
    access_token: SecretString,
    /// In seconds.
    expires_in: Option<u64>,
}

pub(super) async fn refresh(api: &Api<'_>) -> Result<Renewed, Failure> {
    match Login::of(api.account) {
        Login::Instagram => renew(api).await,
        Login::Facebook => derive(api).await,
    }
}

/// A token of Instagram's own login buys its successor.
async fn renew(api: &Api<'_>) -> Result<Renewed, Failure> {
    let url = api.url_at(INSTAGRAM, "/refresh_access_token");
    let query = [
        ("grant_type", "ig_refresh_token"),
        ("access_token", api.token()),
    ];
    let request = api.anonymous(Method::GET, &url).query(&query);
    let reply = api.send(request, Effect::Prepares).await?;
    if reply.status.is_client_error() && is_about_age(api, &reply) {
        return Ok(Renewed {
            access_token: api.credentials.access_token.clone(),
            refresh_token: None,
            lives: remaining(api),
        });
    }
    let token: Token =
        accept(&reply, Effect::Prepares).map_err(|failure| only_login(failure, ""))?;
    Ok(Renewed {
        access_token: token.access_token,
        refresh_token: None,
        lives: token.expires_in.map(Duration::from_secs),
    })
}

fn remaining(api: &Api<'_>) -> Option<Duration> {
    let ends = api.account.token_expires_at?;
    (ends - api.now).to_std().ok()
}

/// Whether a refusal to renew leaves the token as good as it was: it is surely too young, or the refusal is about
/// neither the token nor its permissions, and it has not ended.
fn is_about_age(api: &Api<'_>, reply: &Reply) -> bool {
    let Some(code) = GraphError::of(reply).and_then(|error| error.code) else {
        return false;
    };
    if matches!(code, 102 | 104 | 190) {
        return false;
    }
    let ends = api.account.token_expires_at;
    let is_young = ends.is_some_and(|ends| ends > api.now + TOO_YOUNG);
    let is_refusal = matches!(classify(reply, Effect::Prepares), Failure::Rejected { .. });
    is_young || is_refusal && ends.is_none_or(|ends| ends > api.now)
}

/// A user's token buys a Page's. It is renewed itself first, where the application is known.
async fn derive(api: &Api<'_>) -> Result<Renewed, Failure> {
    let (Some(user), Some(page)) = (
        api.credentials.refresh_token.clone(),
        api.account.setting("page_id").filter(|id| graph::is_id(id)),
    ) else {
        return Err(Failure::NeedsLogin {
            reason: Reason::new(
                "needs_login",
                "the token can't be renewed without a user's token as refresh token and the setting `page_id`; connect the \
                 account again",
            ),
        });
    };
    let renewed = match api.app() {
        Some(app) => Some(exchange(api, app, &user).await?),
        None => None,
    };
    let user = renewed.as_ref().unwrap_or(&user);
    let url = api.url_at(FACEBOOK, &graph::signed(api, page, user.expose_secret()));
    let request = api
        .anonymous(Method::GET, &url)
        .bearer_auth(user.expose_secret())
        .query(&[("fields", "access_token")]);
    let reply = api.send(request, Effect::Prepares).await?;
    let why = "the user whose token is stored can't give one of the Page; ";
    let token: Token =
        accept(&reply, Effect::Prepares).map_err(|failure| only_login(failure, why))?;
    Ok(Renewed {
        access_token: token.access_token,
        refresh_token: renewed,
        // A Page's token from a long-lived user's has no end of its own.
        lives: None,
    })
}

async fn exchange(
    api: &Api<'_>,
    (id, secret): (&str, &str),
    user: &SecretString,
) -> Result<SecretString, Failure> {
    let url = api.url_at(FACEBOOK, &graph::unsigned(api, "oauth/access_token"));
    let query = [
        ("grant_type", "fb_exchange_token"),
        ("client_id", id),
        ("client_secret", secret),
        ("fb_exchange_token", user.expose_secret()),
    ];
    let request = api.anonymous(Method::GET, &url).query(&query);
    let reply = api.send(request, Effect::Prepares).await?;
    if let Some(failure) = wrong_app(&reply) {
        return Err(failure);
    }
    let token: Token =
        accept(&reply, Effect::Prepares).map_err(|failure| only_login(failure, ""))?;
    if token.access_token.expose_secret().is_empty() {
        return Err(unreadable(&reply, Effect::Prepares));
    }
    Ok(token.access_token)
}

/// The application's id or secret is wrong: that is nothing that the account's owner could mend.
fn wrong_app(reply: &Reply) -> Option<Failure> {
    let error = GraphError::of(reply).filter(|_| reply.status.is_client_error())?;
    matches!(error.code, Some(1 | 101)).then(|| Failure::Retry {
        after: None,
        reason: error.reason(
            "app",
            "Meta does not know the application; mend [platforms.instagram] client_id and \
             PUBLISHER_INSTAGRAM_CLIENT_SECRET",
        ),
    })
}

/// A refusal of a token that buys others: only a person can help.
fn only_login(failure: Failure, why: &str) -> Failure {
    match failure {
        Failure::Unauthorized { reason } | Failure::NeedsLogin { reason } => Failure::NeedsLogin {
            reason: Reason {
                message: format!("{why}{}", reason.message),
                ..reason
            },
        },
        // What nobody expected disconnects no account.
        Failure::Rejected { reason } => Failure::Retry {
            after: None,
            reason,
        },
        other => other,
    }
}

pub(super) async fn check(api: &Api<'_>) -> Result<Standing, Failure> {
    #[derive(Deserialize)]
    struct Node {
        username: Option<String>,
    }
    let request = api
        .request(Method::GET, &graph::api_path(api, &api.account.external_id))
        .query(&[("fields", "username")]);
    let reply = api.send(request, Effect::Reads).await?;
    let Node { username } = accept(&reply, Effect::Reads)?;
    let mut standing = Standing {
        name: username.map(|name| format!("@{name}")),
        ..Standing::default()
    };
    standing.notes.push(usage(api).await);
    match (Login::of(api.account), api.app()) {
        (Login::Facebook, Some(app)) => {
            if let Err(failure) = debug(api, app, &mut standing).await {
                let why = &failure.reason().message;
                standing
                    .notes
                    .push(format!("the scopes can't be read: {why}"));
            }
        }
        (Login::Facebook, None) => standing.notes.push(
            "which scopes the token has can be told only with the application's id and secret"
                .to_owned(),
        ),
        (Login::Instagram, _) => {
            standing.expires_at = api.account.token_expires_at;
            standing.notes.push(
                "Instagram's own login does not tell a token's scopes; publishing needs \
                 instagram_business_content_publish, first comments instagram_business_manage_comments"
                    .to_owned(),
            );
        }
    }
    Ok(standing)
}

/// How much of its limit the account has used.
async fn usage(api: &Api<'_>) -> String {
    match quota::read(api).await {
        Ok(Some(Quota { used, config })) => format!(
            "{used} of {} posts of the present window are used",
            config.total
        ),
        Ok(None) => "Instagram tells no limit of posts".to_owned(),
        Err(failure) => format!(
            "the limit of posts can't be read: {}",
            failure.reason().message
        ),
    }
}

/// What Meta knows of the token.
async fn debug(
    api: &Api<'_>,
    (id, secret): (&str, &str),
    standing: &mut Standing,
) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Debug {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        scopes: Vec<String>,
        /// In seconds since 1970; 0 for one without an end.
        #[serde(default)]
        expires_at: i64,
    }
    let app = format!("{id}|{secret}");
    let query = [("input_token", api.token()), ("access_token", app.as_str())];
    let url = api.url_at(FACEBOOK, &graph::unsigned(api, "debug_token"));
    let request = api.anonymous(Method::GET, &url).query(&query);
    let reply = api.send(request, Effect::Reads).await?;
    if let Some(failure) = wrong_app(&reply) {
        return Err(failure);
    }
    let Debug { data } = accept(&reply, Effect::Reads)?;
    let lacks = |scope: &&str| !data.scopes.iter().any(|own| own == scope);
    standing.missing = SCOPES
        .iter()
        .filter(|scope| lacks(scope))
        .map(ToString::to_string)
        .collect();
    if lacks(&COMMENT_SCOPE) {
        standing
            .notes
            .push(format!("first comments need {COMMENT_SCOPE}"));
    }
    standing.expires_at = match data.expires_at {
        0 => None,
        seconds => DateTime::from_timestamp(seconds, 0),
    };
    standing.scopes = Some(data.scopes);
    Ok(())
}
