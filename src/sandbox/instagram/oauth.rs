//! Tokens: Instagram's own login renews them, Facebook's exchanges a user's, and both can be looked at.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::super::graph::{self, GraphError};
use super::super::steps::Step;
use super::super::tokens::{Minted, TokenRefusal};
use super::super::wire::{Call, Fields, Refusal, Reply};
use super::super::world::Platform;
use super::refuse;

/// A token that starts so is less than a day old, and can't be renewed yet.
const YOUNG: &str = "young-";
/// An application's secret that starts so is not its secret.
const WRONG: &str = "wrong";

pub(super) fn refused(refusal: TokenRefusal) -> GraphError {
    match refusal {
        TokenRefusal::Missing => graph::refuse(Refusal::NoToken),
        TokenRefusal::Revoked | TokenRefusal::Spent => graph::refuse(Refusal::Revoked),
        TokenRefusal::Unavailable => GraphError::new(2, "Service temporarily unavailable")
            .status(StatusCode::SERVICE_UNAVAILABLE)
            .transient(),
    }
}

fn token(minted: &Minted) -> Response {
    graph::ok(json!({
        "access_token": minted.access_token,
        "token_type": "bearer",
        "expires_in": minted.expires_in.as_secs(),
    }))
}

/// `GET /refresh_access_token`, which has no version in its path.
pub(super) fn renew(call: &Call<'_>) -> Result<Reply, GraphError> {
    let fields = call.query();
    graph::check_known(&fields, &["grant_type", "access_token"])?;
    if fields.get("grant_type") != Some("ig_refresh_token") {
        return Err(GraphError::new(100, "(#100) Unsupported grant_type"));
    }
    let old = fields.get("access_token");
    let scopes = "instagram_business_basic";
    let old = call.check_token(old, scopes).map_err(graph::refuse)?;
    if old.starts_with(YOUNG) {
        let message = "(#100) The access token is less than 24 hours old";
        return Err(GraphError::new(100, message));
    }
    exchanged(call, old)
}

/// `GET /oauth/access_token`: a user's token for a longer one.
pub(super) fn exchange(call: &Call<'_>, fields: &Fields) -> Result<Reply, GraphError> {
    let known = [
        "grant_type",
        "client_id",
        "client_secret",
        "fb_exchange_token",
    ];
    graph::check_known(fields, &known)?;
    if fields.get("grant_type") != Some("fb_exchange_token") {
        return Err(GraphError::new(100, "(#100) Unsupported grant_type"));
    }
    check_app(fields.filled("client_id"), fields.filled("client_secret"))?;
    exchanged(call, fields.get("fb_exchange_token").unwrap_or_default())
}

fn exchanged(call: &Call<'_>, old: &str) -> Result<Reply, GraphError> {
    let mut world = call.flight.twin.world();
    let fault = world.fault(Platform::Instagram, Step::Token);
    if let Some(kind) = fault.filter(|kind| !kind.accepts()) {
        return Ok(kind.reply(None, refuse));
    }
    let minted = world
        .tokens
        .refresh(Platform::Instagram, old, false)
        .map_err(refused)?;
    Ok(world.struck(fault, refuse, |_| token(&minted)))
}

fn check_app(id: Option<&str>, secret: Option<&str>) -> Result<(), GraphError> {
    match (id, secret) {
        (Some(_), Some(secret)) if !secret.starts_with(WRONG) => Ok(()),
        (Some(_), Some(_)) => Err(GraphError::new(1, "Error validating client secret.")),
        _ => Err(GraphError::new(
            101,
            "Missing client_id or client_secret parameter.",
        )),
    }
}

/// `GET /debug_token`: what a token may do, told to its own application.
pub(super) fn debug(call: &Call<'_>, fields: &Fields) -> Result<Reply, GraphError> {
    graph::check_known(fields, &["input_token", "access_token"])?;
    let app = fields
        .get("access_token")
        .and_then(|app| app.split_once('|'));
    let (id, secret) =
        app.ok_or_else(|| GraphError::new(100, "(#100) You must provide an app access token"))?;
    check_app(Some(id), Some(secret))?;
    let token = fields.filled("input_token");
    let token = token
        .ok_or_else(|| GraphError::new(100, "(#100) The parameter input_token is required"))?;
    let scopes = match token
        .strip_prefix("scopes(")
        .and_then(|rest| rest.split_once(')'))
    {
        Some((list, _)) => list.split(',').map(str::trim).collect(),
        None => vec![
            "instagram_basic",
            "instagram_content_publish",
            "instagram_manage_comments",
            "pages_read_engagement",
            "pages_show_list",
        ],
    };
    let is_dead = ["expired-", "revoked-"]
        .iter()
        .any(|bad| token.starts_with(bad));
    let mut world = call.flight.twin.world();
    Ok(world.step(Platform::Instagram, Step::Token, refuse, |_| {
        graph::ok(json!({"data": {
            "app_id": id, "type": "PAGE", "application": "Sandbox", "is_valid": !is_dead,
            "expires_at": 0, "data_access_expires_at": 0, "scopes": scopes,
        }}))
    }))
}
