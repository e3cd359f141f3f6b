//! `oauth2.googleapis.com/token`: new access tokens for refresh tokens, which stay good.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::super::steps::Step;
use super::super::tokens::TokenRefusal;
use super::super::wire::{self, Call, Refusal, Reply};
use super::super::world::Platform;

/// What a token of the sandbox may do if it does not say.
const ALL_SCOPES: [&str; 4] = [
    "https://www.googleapis.com/auth/youtube",
    "https://www.googleapis.com/auth/youtube.upload",
    "https://www.googleapis.com/auth/youtube.readonly",
    "https://www.googleapis.com/auth/youtube.force-ssl",
];

/// Any client is known, unless its id or secret starts with `wrong-`; one that starts with `foreign-` is known and not
/// the one that the refresh token was made for.
pub(super) fn token(call: &Call<'_>) -> Reply {
    let Ok(fields) = call.fields() else {
        return refused(400, "invalid_request", "Invalid request body").into();
    };
    if call.content_type() != "application/x-www-form-urlencoded" || !call.query.is_empty() {
        return refused(400, "invalid_request", "The parameters must be in a form").into();
    }
    match fields.filled("grant_type") {
        Some("refresh_token") => {}
        Some(other) => {
            let message = format!("Invalid grant_type: {other}");
            return refused(400, "unsupported_grant_type", &message).into();
        }
        None => {
            let message = "Required parameter is missing: grant_type";
            return refused(400, "invalid_request", message).into();
        }
    }
    let (Some(id), Some(secret)) = (fields.filled("client_id"), fields.filled("client_secret"))
    else {
        return refused(400, "invalid_request", "client_secret is missing.").into();
    };
    if id.starts_with("wrong-") {
        return refused(401, "invalid_client", "The OAuth client was not found.").into();
    }
    if secret.starts_with("wrong-") {
        let message = "The provided client secret is invalid.";
        return refused(401, "invalid_client", message).into();
    }
    if id.starts_with("foreign-") {
        return refused(401, "unauthorized_client", "Unauthorized").into();
    }
    let refresh_token = fields.get("refresh_token").unwrap_or_default().to_owned();
    let mut world = call.flight.twin.world();
    world.step(Platform::Youtube, Step::Token, faulty, |world| {
        let minted = world
            .tokens
            .refresh(Platform::Youtube, &refresh_token, false);
        let minted = match minted {
            Ok(minted) => minted,
            Err(refusal) => return refusal_of(refusal),
        };
        let own = refresh_token.strip_prefix("scopes(");
        let own = own.and_then(|rest| rest.split_once(')'));
        let scope = own.map_or_else(
            || ALL_SCOPES.join(" "),
            |(list, _)| list.split(',').collect::<Vec<_>>().join(" "),
        );
        let access_token = minted.access_token;
        let origins = &mut world.youtube.origins;
        origins.insert(access_token.clone(), refresh_token.clone());
        let token = json!({
            "access_token": access_token,
            "expires_in": minted.expires_in.as_secs(),
            "scope": scope,
            "token_type": "Bearer",
        });
        wire::json(StatusCode::OK, token)
    })
}

fn refusal_of(refusal: TokenRefusal) -> Response {
    match refusal {
        TokenRefusal::Missing => refused(
            400,
            "invalid_request",
            "Missing required parameter: refresh_token",
        ),
        TokenRefusal::Revoked | TokenRefusal::Spent => {
            refused(400, "invalid_grant", "Token has been expired or revoked.")
        }
        TokenRefusal::Unavailable => refused(503, "internal_failure", "Try again later."),
    }
}

fn faulty(refusal: Refusal) -> Response {
    match refusal {
        Refusal::RateLimited { .. } => refused(429, "rate_limit_exceeded", "Rate limit exceeded"),
        Refusal::Internal => refused(500, "internal_failure", "Backend Error"),
        _ => refused(400, "invalid_grant", "Bad Request"),
    }
}

fn refused(status: u16, error: &str, description: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    wire::json(
        status,
        json!({"error": error, "error_description": description}),
    )
}
