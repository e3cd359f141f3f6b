//! Comments below posts.

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::super::steps::Step;
use super::super::wire::{self, Call, Refusal, Refused, Reply};
use super::super::world::Platform;
use super::{
    COMMENTS, check_author, check_headers, check_known, invalid, is_urn, object, refuse, required,
    required_at,
};

const MAX_CHARS: usize = 1250;

/// `POST /rest/socialActions/{urn}/comments`.
pub(super) fn create(call: &Call<'_>, urn: &str) -> Result<Reply, Refused> {
    check_headers(call, COMMENTS)?;
    let body = object(call)?;
    check_known(&body, "", &["actor", "object", "message"])?;
    let actor = required(&body, "actor")?;
    check_author(call, "actor", actor)?;
    if !is_urn(urn, &["share", "ugcPost", "activity"]) {
        let description = "Must be urn:li:share:…, urn:li:ugcPost:… or urn:li:activity:…";
        return Err(invalid("threadUrn", "INVALID_URN_TYPE", description));
    }
    if required(&body, "object")? != urn {
        let description = "Must be the post of the path";
        return Err(invalid("object", "INVALID_VALUE_FOR_FIELD", description));
    }
    let Some(message) = body.get("message").and_then(Value::as_object) else {
        return Err(invalid("message", "MISSING_FIELD", "The field is required"));
    };
    check_known(message, "message/", &["text"])?;
    let text = required_at(message, "message/", "text")?;
    if text.chars().count() > MAX_CHARS {
        let description = "A comment has at most 1250 characters";
        return Err(invalid(
            "message/text",
            "FIELD_LENGTH_TOO_LONG",
            description,
        ));
    }
    let mut world = call.flight.twin.world();
    if world.post(Platform::Linkedin, urn).is_none() {
        return Err(refuse(Refusal::NotFound).into());
    }
    Ok(
        world.step(Platform::Linkedin, Step::Comment, refuse, |world| {
            let Some(id) = world.comment(Platform::Linkedin, urn, text) else {
                return refuse(Refusal::NotFound);
            };
            let body = json!({
                "id": id,
                "commentUrn": format!("urn:li:comment:({urn},{id})"),
                "actor": actor, "object": urn, "message": {"text": text},
            });
            let value = HeaderValue::from_str(&id).expect("a number is a valid header");
            let name = HeaderName::from_static("x-restli-id");
            let mut response = wire::json(StatusCode::CREATED, body);
            response.headers_mut().insert(name, value);
            response.into_response()
        }),
    )
}
