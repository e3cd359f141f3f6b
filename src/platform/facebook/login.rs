//! Tokens: new ones for a page, and what Meta says of the one at hand.

use std::time::Duration;

use chrono::DateTime;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::graph::{self, GraphError, accept};
use crate::account::{Renewed, Standing};
use crate::http::{Api, Effect, Reply, unreadable};
use crate::outcome::{Failure, Reason};

/// What publishing takes.
const NEEDED: [&str; 3] = [
    "pages_show_list",
    "pages_manage_posts",
    "pages_read_engagement",
];
/// What first comments take.
const FOR_COMMENTS: &str = "pages_manage_engagement";

/// The long-lived token of a person who has a role on the page.
pub(super) fn user_token<'a>(api: &Api<'a>) -> Option<&'a str> {
    let stored = api.credentials.refresh_token.as_ref()?.expose_secret();
    Some(stored).filter(|token| !token.is_empty())
}

/// A new token of the page, from the person's; that one is extended first, where the app's secret is known.
pub(super) async fn refresh(api: &Api<'_>) -> Result<Renewed, Failure> {
    let Some(stored) = user_token(api) else {
        let reason = Reason::new(
            "needs_login",
            "the page's token ended, and no token of a person is stored that brings a new one; connect the account again",
        );
        return Err(Failure::NeedsLogin { reason });
    };
    let extended = match api.app() {
        Some(app) => Some(extend(api, app, stored).await?),
        None => None,
    };
    let token = extended
        .as_ref()
        .map_or(stored, |extended| extended.access_token.expose_secret());
    let page = page_token(api, token).await?;
    Ok(match extended {
        // The page's token has no end; this one has, and must be extended before it.
        Some(Extended {
            access_token,
            expires_in,
        }) => Renewed {
            access_token: page,
            refresh_token: Some(access_token),
            lives: expires_in.map(Duration::from_secs),
        },
        None => Renewed {
            access_token: page,
            refresh_token: None,
            lives: None,
        },
    })
}

#[derive(Deserialize)]
struct Extended {
    access_token: SecretString,
    expires_in: Option<u64>,
}

async fn extend(
    api: &Api<'_>,
    (id, secret): (&str, &str),
    token: &str,
) -> Result<Extended, Failure> {
    let request = anonymous(api, &graph::unsigned(api, "oauth/access_token")).query(&[
        ("grant_type", "fb_exchange_token"),
        ("client_id", id),
        ("client_secret", secret),
        ("fb_exchange_token", token),
    ]);
    let reply = api.send(request, Effect::Reads).await?;
    // Code 1 is what a wrong secret gets; where it passes, Meta says so.
    let is_about_app = |error: &GraphError| {
        error.code == Some(101) || error.code == Some(1) && !error.is_transient()
    };
    about_app(api, &reply, is_about_app)?;
    let extended: Extended = accept_login(&reply)?;
    if extended.access_token.expose_secret().is_empty() {
        return Err(unreadable(&reply, Effect::Reads));
    }
    Ok(extended)
}

async fn page_token(api: &Api<'_>, user_token: &str) -> Result<SecretString, Failure> {
    #[derive(Deserialize)]
    struct Page {
        access_token: Option<SecretString>,
    }
    let page = &api.account.external_id;
    let request = anonymous(api, &graph::signed(api, page, user_token))
        .bearer_auth(user_token)
        .query(&[("fields", "access_token,name")]);
    let reply = api.send(request, Effect::Reads).await?;
    let Page { access_token } = accept_login(&reply)?;
    access_token.ok_or_else(|| Failure::NeedsLogin {
        reason: Reason::new(
            "needs_login",
            "Meta gives no token for this page: the person who connected it may not create content there any more; \
             connect the account again",
        ),
    })
}

/// A request without the page's token.
fn anonymous(api: &Api<'_>, path: &str) -> RequestBuilder {
    api.anonymous(Method::GET, &format!("{}{path}", api.base.url))
}

/// The answer to a login, or what its error means: nothing brings a newer token than the person's.
fn accept_login<T: DeserializeOwned>(reply: &Reply) -> Result<T, Failure> {
    accept(reply, Effect::Reads).map_err(|failure| match failure {
        Failure::Unauthorized { reason } => Failure::NeedsLogin { reason },
        Failure::Rejected { reason } => Failure::Retry {
            after: None,
            reason,
        },
        other => other,
    })
}

/// Refusals of the app are for whoever configures it; they say nothing about the account.
fn about_app(
    api: &Api<'_>,
    reply: &Reply,
    is_about_app: impl Fn(&GraphError) -> bool,
) -> Result<(), Failure> {
    match GraphError::of(reply) {
        Some(error) if reply.status.is_client_error() && is_about_app(&error) => {
            Err(wrong_app(api, &error))
        }
        _ => Ok(()),
    }
}

fn wrong_app(api: &Api<'_>, error: &GraphError) -> Failure {
    let name = &api.account.platform;
    let variable = name.to_uppercase();
    let message = format!(
        "Meta does not accept the app; check `client_id` in [platforms.{name}] and \
         PUBLISHER_{variable}_CLIENT_SECRET (or the account's own client_id and client_secret)"
    );
    Failure::Retry {
        after: None,
        reason: error.reason("app", message),
    }
}

/// What Meta says of the token: all of it where the app's secret is known, else whether it opens the page.
pub(super) async fn check(api: &Api<'_>) -> Result<Standing, Failure> {
    let name = page_name(api).await?;
    let Some((id, secret)) = api.app() else {
        return Ok(Standing {
            name: Some(name),
            notes: vec![
                "Meta tells scopes and end of a token only to its app: set client_id and client_secret to see them"
                    .to_owned(),
            ],
            ..Standing::default()
        });
    };
    let request = anonymous(api, &graph::unsigned(api, "debug_token"))
        .bearer_auth(format!("{id}|{secret}"))
        .query(&[("input_token", api.token())]);
    let reply = api.send(request, Effect::Reads).await?;
    // The only token that this request can be refused for is the app's own.
    let is_about_app = |error: &GraphError| matches!(error.code, Some(1 | 101 | 102 | 104 | 190));
    about_app(api, &reply, is_about_app)?;
    let Debugged { data } = accept_login(&reply)?;
    standing(api, name, data)
}

async fn page_name(api: &Api<'_>) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Page {
        name: String,
    }
    let path = graph::api_path(api, &api.account.external_id);
    let request = api
        .request(Method::GET, &path)
        .query(&[("fields", "id,name")]);
    let reply = api.send(request, Effect::Reads).await?;
    accept(&reply, Effect::Reads).map(|Page { name }| name)
}

#[derive(Deserialize)]
struct Debugged {
    data: Token,
}

/// Instants are Unix seconds; 0 is never.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    #[serde(rename = "type")]
    kind: Option<String>,
    is_valid: bool,
    profile_id: Option<String>,
    expires_at: i64,
    data_access_expires_at: i64,
    scopes: Vec<String>,
    granular_scopes: Vec<Granular>,
    error: Option<GraphError>,
}

#[derive(Deserialize)]
struct Granular {
    scope: String,
    /// Without it, all.
    target_ids: Option<Vec<String>>,
}

impl Token {
    /// Whether it has this scope for this page.
    fn may(&self, scope: &str, page: &str) -> bool {
        let elsewhere = |granular: &Granular| {
            let targets = granular.target_ids.as_ref();
            granular.scope == scope && targets.is_some_and(|ids| ids.iter().all(|id| id != page))
        };
        self.scopes.iter().any(|own| own == scope) && !self.granular_scopes.iter().any(elsewhere)
    }
}

fn standing(api: &Api<'_>, name: String, token: Token) -> Result<Standing, Failure> {
    let page = api.account.external_id.as_str();
    if !token.is_valid {
        return Err(match &token.error {
            Some(error) => graph::of_token(error),
            None => Failure::Unauthorized {
                reason: Reason::new(
                    "needs_login",
                    "Meta says that the token is not good any more",
                ),
            },
        });
    }
    let instant = |seconds: i64| (seconds > 0).then(|| DateTime::from_timestamp(seconds, 0))?;
    let mut notes = Vec::new();
    if token.kind.as_deref().is_some_and(|kind| kind != "PAGE") {
        notes.push(
            "this is a person's token, not a page's: posts may fail or carry the wrong name"
                .to_owned(),
        );
    }
    if token.profile_id.as_deref().is_some_and(|id| id != page) {
        notes.push(format!("this token is another page's, not that of {page}"));
    }
    if !token.may(FOR_COMMENTS, page) {
        notes.push(format!("first comments need {FOR_COMMENTS}, too"));
    }
    if let Some(end) = instant(token.data_access_expires_at) {
        let day = end.format("%Y-%m-%d");
        notes.push(format!(
            "Meta's data access for this login ends on {day}; log in again before"
        ));
    }
    let missing = NEEDED.iter().filter(|scope| !token.may(scope, page));
    Ok(Standing {
        name: Some(name),
        missing: missing.map(|scope| (*scope).to_owned()).collect(),
        expires_at: instant(token.expires_at),
        scopes: Some(token.scopes),
        notes,
    })
}
