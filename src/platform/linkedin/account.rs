//! The account's side: a new token, and what the present one is good for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::reply::classify;
use super::{WWW, is_organization, rest};
use crate::account::{Account, Renewed, Standing};
use crate::http::{Api, Effect, Reply, by_status, rate_limited, unreadable};
use crate::outcome::{Failure, Reason};

/// So many roles are on a page of their list, and so many pages are read.
const ROLES: usize = 100;
const ROLE_PAGES: usize = 10;
/// The roles on a page that may post.
const POSTING_ROLES: [&str; 4] = [
    "ADMINISTRATOR",
    "CONTENT_ADMIN",
    "CONTENT_ADMINISTRATOR",
    "DIRECT_SPONSORED_CONTENT_POSTER",
];

fn refresh_token<'a>(api: &'a Api<'_>) -> Option<&'a str> {
    let token = api.credentials.refresh_token.as_ref()?.expose_secret();
    (!token.is_empty()).then_some(token)
}

pub(super) fn can_refresh(api: &Api<'_>) -> bool {
    refresh_token(api).is_some() && api.app().is_some()
}

#[derive(Deserialize)]
struct NewToken {
    access_token: SecretString,
    expires_in: Option<u64>,
    refresh_token: Option<SecretString>,
}

#[derive(Default, Deserialize)]
struct OAuthError {
    error: Option<String>,
}

/// Buys a new token. What LinkedIn says of the refresh token's own end is not read: its unit is in doubt.
pub(super) async fn refresh(api: &Api<'_>) -> Result<Renewed, Failure> {
    let (Some(token), Some((id, secret))) = (refresh_token(api), api.app()) else {
        return Err(needs_login(
            "there is no refresh token, or no application to use it with",
            None,
        ));
    };
    let request = api
        .anonymous(Method::POST, &api.url_at(WWW, "/oauth/v2/accessToken"))
        .form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", id),
            ("client_secret", secret),
        ]);
    let reply = api.send(request, Effect::Prepares).await?;
    if !reply.status.is_success() {
        return Err(refused(&reply));
    }
    let new: NewToken = reply.json().ok_or_else(|| Failure::Retry {
        after: None,
        // The reply may hold a token, so it is not shown.
        reason: Reason::new("bad_reply", "LinkedIn's new token can't be read"),
    })?;
    Ok(Renewed {
        access_token: new.access_token,
        refresh_token: new.refresh_token,
        lives: new.expires_in.map(Duration::from_secs),
    })
}

/// Why there is no new token. LinkedIn's words could quote the old one, so only its code is kept.
pub(super) fn refused(reply: &Reply) -> Failure {
    let status = reply.status.as_u16();
    let error: OAuthError = reply.json().unwrap_or_default();
    let code = error.error.unwrap_or_else(|| status.to_string());
    let retry = |class, message: &str| Failure::Retry {
        after: reply.retry_after(),
        reason: Reason::new(class, message).code(code.clone()),
    };
    match (status, code.as_str()) {
        // Every parameter was sent, so it is the refresh token that it does not like.
        (400 | 401, "invalid_grant" | "invalid_request") => needs_login(
            "the refresh token has ended or was withdrawn; connect the account again",
            Some(&code),
        ),
        (400 | 401 | 403, _) => retry(
            "app",
            "LinkedIn does not accept the application; mend `client_id` in [platforms.linkedin] and \
             PUBLISHER_LINKEDIN_CLIENT_SECRET",
        ),
        (429, _) => {
            let reason = Reason::new("rate_limited", "LinkedIn limits requests for tokens");
            rate_limited(reply, reason.code(code))
        }
        (500.., _) => retry("server_error", "LinkedIn can't renew tokens just now"),
        _ => retry("refused", "LinkedIn did not renew the token"),
    }
}

fn needs_login(message: &str, code: Option<&str>) -> Failure {
    let reason = Reason::new("needs_login", message);
    Failure::NeedsLogin {
        reason: match code {
            Some(code) => reason.code(code),
            None => reason,
        },
    }
}

/// Asks LinkedIn for the token's own standing (with the application), and for the person or the role behind it.
pub(super) async fn check(api: &Api<'_>) -> Result<Standing, Failure> {
    let mut standing = Standing::default();
    introspect(api, &mut standing).await?;
    if is_organization(api.account) {
        check_role(api, &mut standing).await?;
    } else {
        check_person(api, &mut standing).await?;
    }
    Ok(standing)
}

/// What first comments take beside the scope for posts.
pub(super) fn comment_scope(account: &Account) -> &'static str {
    if is_organization(account) {
        "w_organization_social_feed"
    } else {
        "w_member_social_feed"
    }
}

#[derive(Deserialize)]
struct Introspection {
    #[serde(default)]
    active: bool,
    status: Option<String>,
    scope: Option<String>,
    expires_at: Option<i64>,
}

async fn introspect(api: &Api<'_>, standing: &mut Standing) -> Result<(), Failure> {
    let Some((id, secret)) = api.app() else {
        standing.notes.push(
            "LinkedIn tells scopes and expiry only to the application; set `client_id` in [platforms.linkedin] and \
             PUBLISHER_LINKEDIN_CLIENT_SECRET"
                .to_owned(),
        );
        return Ok(());
    };
    let request = api
        .anonymous(Method::POST, &api.url_at(WWW, "/oauth/v2/introspectToken"))
        .form(&[
            ("client_id", id),
            ("client_secret", secret),
            ("token", api.token()),
        ]);
    let reply = api.send(request, Effect::Reads).await?;
    let status = reply.status.as_u16();
    if matches!(status, 400 | 401 | 403) {
        standing.notes.push(
            "LinkedIn does not accept the application, so scopes and expiry are not known"
                .to_owned(),
        );
        return Ok(());
    }
    if !reply.status.is_success() {
        return Err(by_status(&reply, Effect::Reads));
    }
    let Some(told) = reply.json::<Introspection>() else {
        return Err(Failure::Retry {
            after: None,
            reason: Reason::new("bad_reply", "LinkedIn's word on the token can't be read"),
        });
    };
    if !told.active {
        let how = told.status.as_deref();
        return Err(match how {
            Some("expired") => Failure::Unauthorized {
                reason: Reason::new("needs_login", "the token has expired").code("expired"),
            },
            _ => needs_login("the token is not active; connect the account again", how),
        });
    }
    let scope = told.scope.unwrap_or_default();
    let scopes = scope.split([',', ' ']).filter(|name| !name.is_empty());
    let scopes: Vec<String> = scopes.map(str::to_owned).collect();
    let needed = if is_organization(api.account) {
        "w_organization_social"
    } else {
        "w_member_social"
    };
    let for_comments = comment_scope(api.account);
    let has = |scope: &str| scopes.iter().any(|name| name == scope);
    if !has(needed) {
        standing.missing.push(needed.to_owned());
    }
    if !has(for_comments) {
        let note = format!("first comments need {for_comments}, too");
        standing.notes.push(note);
    }
    standing.scopes = Some(scopes);
    let ends = told
        .expires_at
        .and_then(|at| DateTime::<Utc>::from_timestamp(at, 0));
    standing.expires_at = ends;
    Ok(())
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    name: Option<String>,
}

async fn check_person(api: &Api<'_>, standing: &mut Standing) -> Result<(), Failure> {
    let reply = api
        .send(api.request(Method::GET, "/v2/userinfo"), Effect::Reads)
        .await?;
    if reply.status.as_u16() == 403 {
        standing.notes.push(
            "whose token it is can't be told without the scopes openid and profile".to_owned(),
        );
        return Ok(());
    }
    if !reply.status.is_success() {
        return Err(classify(&reply, Effect::Reads, api.now));
    }
    let person: UserInfo = reply
        .json()
        .ok_or_else(|| unreadable(&reply, Effect::Reads))?;
    let urn = format!("urn:li:person:{}", person.sub);
    if urn != api.account.external_id {
        return Err(needs_login(
            &format!("the token is that of another member, {urn}; connect the right one"),
            None,
        ));
    }
    standing.name = person.name;
    Ok(())
}

#[derive(Deserialize)]
struct Roles {
    elements: Vec<Role>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Deserialize)]
struct Role {
    organization: String,
    #[serde(rename = "role")]
    name: String,
    state: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Paging {
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    rel: String,
}

/// Reads the member's roles, page for page. Undecorated: of a list that names its organizations, too, LinkedIn refuses
/// all if one of them is closed to the member.
/// <https://learn.microsoft.com/linkedin/marketing/community-management/organizations/organization-access-control-by-role>
async fn check_role(api: &Api<'_>, standing: &mut Standing) -> Result<(), Failure> {
    for page in 0..ROLE_PAGES {
        let path = format!(
            "/rest/organizationAcls?q=roleAssignee&state=APPROVED&start={}&count={ROLES}",
            page * ROLES
        );
        let reply = api
            .send(rest(api, Method::GET, &path), Effect::Reads)
            .await?;
        if reply.status.as_u16() == 403 {
            standing.notes.push(
                "the role on the page can't be told without the scope rw_organization_admin"
                    .to_owned(),
            );
            return Ok(());
        }
        if !reply.status.is_success() {
            return Err(classify(&reply, Effect::Reads, api.now));
        }
        let roles: Roles = reply
            .json()
            .ok_or_else(|| unreadable(&reply, Effect::Reads))?;
        let posts = |role: &&Role| {
            role.organization == api.account.external_id
                && role
                    .state
                    .as_deref()
                    .is_none_or(|state| state == "APPROVED")
                && POSTING_ROLES.contains(&role.name.as_str())
        };
        if let Some(role) = roles.elements.iter().find(posts) {
            standing
                .notes
                .push(format!("role on the page: {}", role.name));
            return name_page(api, standing).await;
        }
        let has_next = roles.paging.links.iter().any(|link| link.rel == "next");
        if roles.elements.is_empty() || !has_next && roles.elements.len() < ROLES {
            return Err(needs_login(
                "the member behind the token has no role on the page that may post (administrator or content \
                 administrator)",
                None,
            ));
        }
    }
    standing
        .notes
        .push("the member has too many roles to find the one on the page among them".to_owned());
    Ok(())
}

/// Asks for the page's name, which is for people alone.
async fn name_page(api: &Api<'_>, standing: &mut Standing) -> Result<(), Failure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        localized_name: String,
    }
    let id = api
        .account
        .external_id
        .rsplit(':')
        .next()
        .unwrap_or_default();
    let path = format!("/rest/organizations/{id}");
    let reply = api
        .send(rest(api, Method::GET, &path), Effect::Reads)
        .await?;
    let page = reply.status.is_success().then(|| reply.json::<Page>());
    standing.name = page.flatten().map(|page| page.localized_name);
    Ok(())
}
