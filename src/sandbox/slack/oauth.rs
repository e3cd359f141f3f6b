//! Tokens that rotate: each refresh token works once.
//!
//! A client id that starts with `unknown-` is none, a secret that starts with `wrong-` is wrong.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::steps::Step;
use super::super::tokens::{Minted, TokenRefusal};
use super::super::wire::{Call, Fields, Refused, Reply};
use super::super::world::Platform;
use super::{ALL_SCOPES, APP, BOT_USER, TEAM, check_known, failed, ok, refuse, refused};

pub(super) fn access(call: &Call<'_>, fields: &Fields) -> Result<Reply, Refused> {
    let known = [
        "grant_type",
        "refresh_token",
        "client_id",
        "client_secret",
        "code",
        "redirect_uri",
    ];
    check_known(fields, &known)?;
    check_app(call, fields)?;
    let mut world = call.flight.twin.world();
    match fields.filled("grant_type") {
        Some("refresh_token") => {
            let token = fields.get("refresh_token").unwrap_or_default().to_owned();
            Ok(world.step(Platform::Slack, Step::Token, refuse, |world| {
                match world.tokens.refresh(Platform::Slack, &token, true) {
                    Ok(minted) => ok(&granted(&minted)),
                    Err(TokenRefusal::Unavailable) => {
                        failed(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable")
                    }
                    Err(_) => failed(StatusCode::OK, "invalid_refresh_token"),
                }
            }))
        }
        None | Some("authorization_code") if fields.filled("code").is_some() => {
            Ok(world.step(Platform::Slack, Step::Token, refuse, |world| {
                ok(&granted(&world.tokens.mint(Platform::Slack, None)))
            }))
        }
        None | Some("authorization_code") => Err(refused("invalid_code")),
        Some(_) => Err(refused("invalid_grant_type")),
    }
}

/// Id and secret of the app come as arguments or as HTTP Basic.
fn check_app(call: &Call<'_>, fields: &Fields) -> Result<(), Refused> {
    let basic = call.header("authorization").and_then(|header| {
        let encoded = header.strip_prefix("Basic ")?;
        let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    });
    let argument = |name: &str| fields.get(name).unwrap_or_default().to_owned();
    let (id, secret) = basic.unwrap_or_else(|| (argument("client_id"), argument("client_secret")));
    if id.is_empty() || id.starts_with("unknown-") {
        return Err(refused("invalid_client_id"));
    }
    if secret.is_empty() || secret.starts_with("wrong-") {
        return Err(refused("bad_client_secret"));
    }
    Ok(())
}

fn granted(minted: &Minted) -> Value {
    json!({
        "ok": true,
        "access_token": minted.access_token,
        "refresh_token": minted.refresh_token,
        "expires_in": minted.expires_in.as_secs(),
        "token_type": "bot",
        "scope": ALL_SCOPES,
        "bot_user_id": BOT_USER,
        "app_id": APP,
        "team": {"id": TEAM, "name": "Sandbox"},
        "enterprise": null,
        "is_enterprise_install": false,
    })
}
