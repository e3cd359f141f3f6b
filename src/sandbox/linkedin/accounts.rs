//! Who a token's member is, where that member has a role, and the OAuth endpoints.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::steps::Step;
use super::super::tokens::{Minted, TokenRefusal};
use super::super::wall_clock;
use super::super::wire::{self, Call, Fields, Refusal, Refused, Reply};
use super::super::world::Platform;
use super::{check_headers, error, is_urn, refuse};

/// The scopes of a token that does not say which it has.
const ALL_SCOPES: &str = "openid,profile,w_member_social,w_member_social_feed,r_organization_social,\
                          rw_organization_admin,w_organization_social,w_organization_social_feed";
/// The documentation's own sample: minutes, where its text says seconds.
const REFRESH_TOKEN_LIVES: u64 = 525_600;

/// What a token says of itself: `x` in `name(x)`.
fn mark<'t>(token: &'t str, name: &str) -> Option<&'t str> {
    let start = token.find(&format!("{name}("))? + name.len() + 1;
    let rest = &token[start..];
    Some(&rest[..rest.find(')')?])
}

/// Whether the token's member is this author, or has a role there.
pub(super) fn may_write_as(token: &str, author: &str) -> bool {
    let id = author.rsplit(':').next().unwrap_or_default();
    let list = if is_urn(author, &["person"]) {
        mark(token, "member")
    } else {
        mark(token, "organizations")
    };
    list.is_none_or(|list| list.split(',').any(|own| own.trim() == id))
}

/// `GET /v2/userinfo`.
pub(super) fn userinfo(call: &Call<'_>) -> Result<Reply, Refused> {
    let token = call
        .check_token(call.bearer(), "openid|profile")
        .map_err(refuse)?;
    let member = mark(token, "member").unwrap_or("sandbox");
    let body = json!({
        "sub": member, "name": "Sandy Box", "given_name": "Sandy", "family_name": "Box",
        "locale": {"country": "US", "language": "en"},
    });
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Linkedin, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, body)
    }))
}

/// `GET /rest/organizationAcls?q=roleAssignee`: the roles of the token's member, in pages. A token that names no
/// organizations has a role on every one that has posted or uploaded here. One of which a page is `closed(…)` to its
/// member gets no list that names its organizations, too.
pub(super) fn roles(call: &Call<'_>) -> Result<Reply, Refused> {
    let token = check_headers(call, "rw_organization_admin|r_organization_admin")?;
    let query = call.query();
    if query.get("q") != Some("roleAssignee") {
        let message = "The parameter q must be roleAssignee";
        return Err(error(400, None, Some("ILLEGAL_ARGUMENT"), message));
    }
    if query.get("projection").is_some() && mark(token, "closed").is_some() {
        return Err(refuse(Refusal::NoScope { needed: "" }).into());
    }
    let number = |name: &str, usual: usize| match query.get(name).map(str::parse) {
        None => Ok(usual),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => {
            let message = format!("The parameter {name} must be a number");
            Err(error(400, None, Some("ILLEGAL_ARGUMENT"), &message))
        }
    };
    let (start, count) = (number("start", 0)?, number("count", 10)?.min(100));
    let state = query.get("state").unwrap_or("APPROVED");
    let role = query.get("role").unwrap_or("ADMINISTRATOR");
    let member = mark(token, "member").unwrap_or("sandbox");
    let mut world = call.flight.twin.world();
    let organizations: BTreeSet<String> = if let Some(list) = mark(token, "organizations") {
        let ids = list.split(',').map(str::trim).filter(|id| !id.is_empty());
        ids.map(|id| format!("urn:li:organization:{id}")).collect()
    } else {
        let owners = world.assets.0.values().map(|asset| asset.owner.as_str());
        let known = world.shares.authors().chain(owners);
        let known = known.filter(|urn| is_urn(urn, &["organization"]));
        known.map(str::to_owned).collect()
    };
    // All of them have that one role, and none is still asked for.
    let has_it = (role, state) == ("ADMINISTRATOR", "APPROVED");
    let listed = organizations.iter().filter(|_| has_it);
    let elements: Vec<Value> = listed
        .skip(start)
        .take(count)
        .map(|urn| {
            json!({
                "role": role, "state": state, "organization": urn,
                "roleAssignee": format!("urn:li:person:{member}"),
            })
        })
        .collect();
    let mut links = Vec::new();
    if has_it && start + count < organizations.len() {
        let next = start + count;
        links.push(json!({
            "rel": "next", "type": "application/json",
            "href": format!("/rest/organizationAcls?q=roleAssignee&state={state}&start={next}&count={count}"),
        }));
    }
    let body = json!({
        "elements": elements, "paging": {"start": start, "count": count, "links": links},
    });
    Ok(world.step(Platform::Linkedin, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, body)
    }))
}

/// `GET /rest/organizations/{id}`, for those who administer it.
pub(super) fn organization(call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    let token = check_headers(call, "rw_organization_admin|r_organization_admin")?;
    if !may_write_as(token, &format!("urn:li:organization:{id}")) {
        return Err(refuse(Refusal::NoScope { needed: "" }).into());
    }
    let body = json!({
        "id": id.parse::<u64>().unwrap_or_default(), "localizedName": format!("Page {id}"),
        "vanityName": format!("page-{id}"),
    });
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Linkedin, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, body)
    }))
}

fn oauth_error(status: StatusCode, code: &str, description: &str) -> Refused {
    let body = json!({"error": code, "error_description": description});
    wire::json(status, body).into()
}

/// The fields of a form that has these, and an application that LinkedIn knows: any but one whose
/// secret starts with `wrong-`.
fn form(call: &Call<'_>, needed: &[&str]) -> Result<Fields, Refused> {
    let bad =
        |description: &str| oauth_error(StatusCode::BAD_REQUEST, "invalid_request", description);
    if call.content_type() != "application/x-www-form-urlencoded" {
        return Err(bad("The body must be a form"));
    }
    let fields = call.fields().map_err(|_| bad("The body must be a form"))?;
    for name in needed.iter().chain(&["client_id", "client_secret"]) {
        if fields.filled(name).is_none() {
            return Err(bad(&format!("A required parameter \"{name}\" is missing")));
        }
    }
    if fields
        .get("client_secret")
        .is_some_and(|secret| secret.starts_with("wrong-"))
    {
        let description = "Client authentication failed";
        return Err(oauth_error(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            description,
        ));
    }
    Ok(fields)
}

/// `POST /oauth/v2/accessToken`: a code or a refresh token for a new token. A refresh token stays
/// the same.
pub(super) fn access_token(call: &Call<'_>) -> Result<Reply, Refused> {
    let grant = form(call, &["grant_type"])?;
    let (fields, refresh_token) = match grant.get("grant_type") {
        Some("refresh_token") => {
            let fields = form(call, &["refresh_token"])?;
            let token = fields.get("refresh_token").map(str::to_owned);
            (fields, token)
        }
        Some("authorization_code") => (form(call, &["code", "redirect_uri"])?, None),
        _ => {
            let description = "The grant type is not supported";
            let code = "unsupported_grant_type";
            return Err(oauth_error(StatusCode::BAD_REQUEST, code, description));
        }
    };
    let ended = "The provided authorization grant or refresh token is invalid, expired or revoked";
    let invalid = || oauth_error(StatusCode::BAD_REQUEST, "invalid_request", ended).response();
    if fields
        .get("code")
        .is_some_and(|code| code.starts_with("expired-"))
    {
        return Err(invalid().into());
    }
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Linkedin, Step::Token, refuse, |world| {
            let Some(old) = refresh_token else {
                let minted = world.tokens.mint(Platform::Linkedin, None);
                let refresh_token = minted.refresh_token.clone();
                return granted(&minted, refresh_token.as_deref());
            };
            match world.tokens.refresh(Platform::Linkedin, &old, false) {
                Ok(minted) => granted(&minted, Some(&old)),
                Err(TokenRefusal::Unavailable) => {
                    let message = "Service Unavailable";
                    error(503, None, Some("SERVICE_UNAVAILABLE"), message).response()
                }
                Err(_) => invalid(),
            }
        }),
    )
}

fn granted(minted: &Minted, refresh_token: Option<&str>) -> Response {
    let body = json!({
        "access_token": minted.access_token,
        "expires_in": minted.expires_in.as_secs(),
        "refresh_token": refresh_token,
        "refresh_token_expires_in": REFRESH_TOKEN_LIVES,
        "scope": mark(&minted.access_token, "scopes").unwrap_or(ALL_SCOPES),
    });
    wire::json(StatusCode::OK, body)
}

/// `POST /oauth/v2/introspectToken`.
pub(super) fn introspect(call: &Call<'_>) -> Result<Reply, Refused> {
    let fields = form(call, &["token"])?;
    let token = fields.get("token").unwrap_or_default();
    let mut world = call.flight.twin.world();
    let checked = world.tokens.check(Some(token), "openid");
    let lives = chrono::TimeDelta::from_std(world.tokens.lifetime).unwrap_or_default();
    let body = match checked {
        Ok(_) | Err(Refusal::NoScope { .. }) => json!({
            "active": true, "status": "active",
            "scope": mark(token, "scopes").unwrap_or(ALL_SCOPES),
            "client_id": fields.get("client_id"),
            "auth_type": "3L",
            "expires_at": (wall_clock() + lives).timestamp(),
        }),
        Err(Refusal::Expired) => json!({"active": false, "status": "expired"}),
        Err(_) => json!({"active": false, "status": "revoked"}),
    };
    Ok(world.step(Platform::Linkedin, Step::Token, refuse, |_| {
        wire::json(StatusCode::OK, body)
    }))
}
