//! LinkedIn, versions 202508 to 202611: posts with links and media, uploads, comments, look-ups, tokens.
//!
//! <https://learn.microsoft.com/en-us/linkedin/marketing/community-management/shares/posts-api>.
//! No idempotency key, but the same post sent again within a while is refused with the id of the
//! first one.
//!
//! A token is good for any author unless it says otherwise: one that holds `member(ID)` is that
//! member's, and with `organizations(ID,ID)` its member has a role on these pages alone.

mod accounts;
mod assets;
mod comments;
mod posts;
mod uploads;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::wire::{self, Call, Refusal, Refused, Reply};

pub(super) use assets::Assets;
pub(super) use posts::Shares;

/// Versions in service, as `YYYYMM`.
const VERSIONS: std::ops::RangeInclusive<u32> = 202_508..=202_611;

/// What writing as a member, and as an organization, needs.
const MEMBER: &str = "w_member_social";
const ORGANIZATION: &str = "w_organization_social";
const EITHER: &str = "w_organization_social|w_member_social";
/// What comments take.
const COMMENTS: &str = "w_organization_social_feed|w_member_social_feed";

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    if uploads::is_upload(&call) {
        return uploads::answer(&call, body).await;
    }
    match call.read(body).await {
        Ok(()) => route(&call).unwrap_or_else(Reply::from),
        Err(refusal) => refuse(refusal).into(),
    }
}

fn route(call: &Call<'_>) -> Result<Reply, Refused> {
    let segments = call.segments();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match (call.method.as_str(), segments.as_slice()) {
        ("POST", ["rest", "posts"]) => posts::create(call),
        ("GET", ["rest", "posts"]) => posts::find(call),
        ("GET", ["rest", "posts", urn]) => posts::read(call, urn),
        ("POST", ["rest", collection @ ("images" | "videos" | "documents")]) => {
            assets::act(call, collection)
        }
        (
            "GET",
            [
                "rest",
                collection @ ("images" | "videos" | "documents"),
                urn,
            ],
        ) => assets::status(call, collection, urn),
        ("POST", ["rest", "socialActions", urn, "comments"]) => comments::create(call, urn),
        ("GET", ["v2", "userinfo"]) => accounts::userinfo(call),
        ("GET", ["rest", "organizationAcls"]) => accounts::roles(call),
        ("GET", ["rest", "organizations", id]) => accounts::organization(call, id),
        ("POST", ["oauth", "v2", "accessToken"]) => accounts::access_token(call),
        ("POST", ["oauth", "v2", "introspectToken"]) => accounts::introspect(call),
        _ => Err(refuse(Refusal::NotFound).into()),
    }
}

pub(super) fn refuse(refusal: Refusal) -> Response {
    let (status, service, code, message) = match refusal {
        Refusal::NoToken => (
            401,
            Some(65604),
            "EMPTY_ACCESS_TOKEN",
            "Empty oauth2 access token",
        ),
        Refusal::Expired => (
            401,
            Some(65602),
            "EXPIRED_ACCESS_TOKEN",
            "The token used in the request has expired",
        ),
        Refusal::Revoked => (
            401,
            Some(65601),
            "REVOKED_ACCESS_TOKEN",
            "The token used in the request has been revoked by the user",
        ),
        Refusal::NoScope { .. } => (
            403,
            Some(100),
            "ACCESS_DENIED",
            "Not enough permissions to access: partnerApiPostsExternal.CREATE",
        ),
        Refusal::RateLimited { .. } => (
            429,
            None,
            "TOO_MANY_REQUESTS",
            "Resource level throttle limit for calls to this resource is reached.",
        ),
        Refusal::Internal => (500, None, "INTERNAL_SERVER_ERROR", "Internal Server Error"),
        Refusal::Rejected => (
            422,
            None,
            "UNPROCESSABLE_ENTITY",
            "The post violates LinkedIn's professional community policies",
        ),
        Refusal::NotFound => (404, None, "RESOURCE_NOT_FOUND", "No virtual resource found"),
        Refusal::TooLarge => (
            413,
            None,
            "REQUEST_ENTITY_TOO_LARGE",
            "The request is too large",
        ),
        Refusal::Truncated => (
            400,
            None,
            "ILLEGAL_ARGUMENT",
            "The request body is incomplete",
        ),
    };
    error(status, service, Some(code), message).response()
}

fn error(status: u16, service: Option<u32>, code: Option<&str>, message: &str) -> Refused {
    let mut body = json!({"status": status, "message": message});
    if let Some(service) = service {
        body["serviceErrorCode"] = service.into();
    }
    if let Some(code) = code {
        body["code"] = code.into();
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    wire::json(status, body).into()
}

/// One thing that is wrong with a field, by its path.
fn invalid(path: &str, code: &str, description: &str) -> Refused {
    let body = json!({
        "errorDetailType": "com.linkedin.common.error.BadRequest",
        "message": format!("Invalid value for field {path}: {description}"),
        "errorDetails": {"inputErrors": [{
            "code": code,
            "description": description,
            "input": {"inputPath": {"fieldPath": path}},
        }]},
        "status": 400,
    });
    wire::json(StatusCode::BAD_REQUEST, body).into()
}

/// The token and the headers of the versioned API. Returns the token.
fn check_headers<'a>(call: &Call<'a>, needed: &'static str) -> Result<&'a str, Refused> {
    let token = call.check_token(call.bearer(), needed).map_err(refuse)?;
    let Some(version) = call.header("linkedin-version") else {
        let message = "A version must be present. Please specify a version by adding the LinkedIn-Version header.";
        return Err(error(400, None, Some("VERSION_MISSING"), message));
    };
    if !version
        .parse()
        .is_ok_and(|version| VERSIONS.contains(&version))
    {
        let message = format!("Requested version {version} is not active");
        return Err(error(426, None, Some("NONEXISTENT_VERSION"), &message));
    }
    if call.header("x-restli-protocol-version") != Some("2.0.0") {
        let message = "The header X-Restli-Protocol-Version must be 2.0.0";
        return Err(error(400, None, None, message));
    }
    // With protocol 2.0.0 a colon is syntax.
    if call.path.contains(':') {
        let message = "Syntax exception in path variables: URNs must be encoded";
        return Err(error(400, None, Some("ILLEGAL_ARGUMENT"), message));
    }
    Ok(token)
}

/// The JSON object of a request to the versioned API.
fn object(call: &Call<'_>) -> Result<Map<String, Value>, Refused> {
    if call.content_type() != "application/json" {
        let message = "The Content-Type must be application/json";
        return Err(error(415, None, None, message));
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&call.body) else {
        let message = "Request body could not be converted to data map";
        return Err(error(400, None, Some("ILLEGAL_ARGUMENT"), message));
    };
    Ok(body)
}

/// Whether the token may write as this author, named in this field.
fn check_author(call: &Call<'_>, field: &str, author: &str) -> Result<(), Refused> {
    if !is_urn(author, &["person", "organization"]) {
        let description = "Must be urn:li:person:… or urn:li:organization:…";
        return Err(invalid(field, "INVALID_URN_TYPE", description));
    }
    let needed = if is_urn(author, &["person"]) {
        MEMBER
    } else {
        ORGANIZATION
    };
    let token = call.check_token(call.bearer(), needed).map_err(refuse)?;
    if !accounts::may_write_as(token, author) {
        return Err(refuse(Refusal::NoScope { needed }).into());
    }
    call.flight.of_account(author);
    Ok(())
}

fn check_known(object: &Map<String, Value>, path: &str, known: &[&str]) -> Result<(), Refused> {
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(invalid(
            &format!("{path}{name}"),
            "INVALID_VALUE_FOR_FIELD",
            "Unpermitted field",
        )),
    }
}

fn required<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refused> {
    required_at(object, "", name)
}

fn required_at<'a>(
    object: &'a Map<String, Value>,
    path: &str,
    name: &str,
) -> Result<&'a str, Refused> {
    let field = format!("{path}{name}");
    match object.get(name) {
        None | Some(Value::Null) => Err(invalid(&field, "MISSING_FIELD", "The field is required")),
        Some(Value::String(text)) if text.trim().is_empty() => Err(invalid(
            &field,
            "INVALID_VALUE_BLANK_FIELD",
            "The field must not be blank",
        )),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(invalid(&field, "INVALID_VALUE_FOR_FIELD", "Must be a text")),
    }
}

fn one_of(body: &Map<String, Value>, name: &str, values: &[&str]) -> Result<(), Refused> {
    if values.contains(&required(body, name)?) {
        return Ok(());
    }
    let description = format!("Must be one of {}", values.join(", "));
    Err(invalid(name, "INVALID_VALUE_FOR_FIELD", &description))
}

pub(super) fn is_urn(text: &str, kinds: &[&str]) -> bool {
    let parts = text
        .strip_prefix("urn:li:")
        .and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(kind, id)| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        kinds.contains(&kind) && !id.is_empty() && id.chars().all(allowed)
    })
}
