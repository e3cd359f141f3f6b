//! Tokens: a person's made longer, a Page's, and what Meta says of one.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::graph::{self, GraphError};
use super::super::steps::Step;
use super::super::tokens::TokenRefusal;
use super::super::wire::{Refusal, Reply};
use super::super::world::{Platform, World};
use super::{Asked, COMMENTING, LISTING, PUBLISHING, READING, page_node, refuse};

/// The one Page of `me/accounts`.
const PAGE: &str = "1001";
/// App secrets that start so are wrong.
const WRONG: &str = "wrong-";

/// `fb_exchange_token`: a new token for a person's that is still good.
pub(super) fn exchange(asked: &Asked<'_, '_>) -> Result<Reply, GraphError> {
    if asked.required("grant_type")? != "fb_exchange_token" {
        let message = "The sandbox knows the grant_type fb_exchange_token alone";
        return Err(GraphError::new(100, message));
    }
    check_app(
        asked.required("client_id")?,
        asked.required("client_secret")?,
    )?;
    let token = asked.required("fb_exchange_token")?;
    let mut world = asked.call.flight.twin.world();
    let accept = |world: &mut World| match world.tokens.refresh(Platform::Facebook, token, false) {
        Ok(minted) => graph::ok(json!({
            "access_token": minted.access_token,
            "token_type": "bearer",
            "expires_in": minted.expires_in.as_secs(),
        })),
        Err(refusal) => refused(token, refusal),
    };
    Ok(world.step(Platform::Facebook, Step::Token, refuse, accept))
}

fn refused(token: &str, refusal: TokenRefusal) -> Response {
    match refusal {
        TokenRefusal::Unavailable => GraphError::new(2, "Service temporarily unavailable")
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .transient()
            .into_response(),
        _ if token.starts_with("expired-") => refuse(Refusal::Expired),
        _ => refuse(Refusal::Revoked),
    }
}

fn check_app(id: &str, secret: &str) -> Result<(), GraphError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = "Error validating application. Invalid application ID.";
        return Err(GraphError::new(101, message));
    }
    if secret.is_empty() || secret.starts_with(WRONG) {
        return Err(GraphError::new(1, "Error validating client secret."));
    }
    Ok(())
}

/// `fields=access_token` of a Page, with the token of a person who has a role there.
pub(super) fn page_token(asked: &Asked<'_, '_>, page: &str) -> Result<Reply, GraphError> {
    if let Some(refused) = asked.refused(LISTING) {
        return Ok(refused);
    }
    asked.call.flight.of_account(page);
    let mut node = page_node(page);
    node.insert("access_token".to_owned(), "".into());
    graph::select(&node, &asked.fields, "id")?;
    let mut world = asked.call.flight.twin.world();
    let accept = |world: &mut World| {
        let minted = world.tokens.mint(Platform::Facebook, None);
        node["access_token"] = minted.access_token.into();
        match graph::select(&node, &asked.fields, "id") {
            Ok(body) => graph::ok(body),
            Err(error) => error.into_response(),
        }
    };
    Ok(world.step(Platform::Facebook, Step::Token, refuse, accept))
}

pub(super) fn accounts(asked: &Asked<'_, '_>) -> Reply {
    if let Some(refused) = asked.refused(LISTING) {
        return refused;
    }
    let mut world = asked.call.flight.twin.world();
    let accept = |world: &mut World| {
        let minted = world.tokens.mint(Platform::Facebook, None);
        graph::ok(json!({"data": [{
            "id": PAGE,
            "name": format!("Page {PAGE}"),
            "access_token": minted.access_token,
            "tasks": ["CREATE_CONTENT", "MODERATE"],
        }]}))
    };
    world.step(Platform::Facebook, Step::Token, refuse, accept)
}

/// `debug_token`, with the app's own token: `id|secret`.
pub(super) fn debug(asked: &Asked<'_, '_>) -> Result<Reply, GraphError> {
    let bearer = asked.call.bearer();
    let own = bearer.or_else(|| asked.fields.get("access_token"));
    let app = own.and_then(|token| token.split_once('|'));
    let invalid = || GraphError::new(190, "Invalid OAuth access token.");
    let (app_id, secret) = app.ok_or_else(invalid)?;
    check_app(app_id, secret).map_err(|_| invalid())?;
    let token = asked.required("input_token")?;
    let mut world = asked.call.flight.twin.world();
    let may = |scope: &'static str| world.tokens.check(Some(token), scope);
    let scopes = [LISTING, PUBLISHING, READING, COMMENTING];
    let has: Vec<&str> = scopes
        .into_iter()
        .filter(|scope| may(scope).is_ok())
        .collect();
    let trouble = match may(LISTING) {
        Err(Refusal::Expired) => Some((463, "Error validating access token: Session has expired.")),
        Err(Refusal::Revoked) => Some((
            458,
            "Error validating access token: The user has not authorized application.",
        )),
        _ => None,
    };
    let mut data = json!({
        "app_id": app_id,
        "type": "PAGE",
        "application": "Sandbox",
        "is_valid": trouble.is_none(),
        "expires_at": 0,
        "data_access_expires_at": 0,
        "scopes": has,
    });
    if let Some((subcode, message)) = trouble {
        data["error"] = json!({"code": 190, "subcode": subcode, "message": message});
    }
    let found = |_: &mut World| graph::ok(json!({"data": data}));
    Ok(world.step(Platform::Facebook, Step::Token, refuse, found))
}
