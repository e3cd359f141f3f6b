//! What Facebook and Instagram share: Meta's Graph API.
//!
//! Nearly every refusal is an HTTP 400 of type `OAuthException`; the code and the subcode carry the
//! meaning. <https://developers.facebook.com/docs/graph-api/guides/error-handling>

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use url::form_urlencoded;

use super::post::Post;
use super::wire::{self, BadBody, Call, Fields, Refusal};

/// Major versions in service; every minor version so far is 0.
const VERSIONS: std::ops::RangeInclusive<u32> = 20..=26;

/// The first version whose videos tell `bytes_transferred`.
const SPELT_RIGHT: u32 = 25;

/// What every request may have: a digest of the token by the app's secret.
const PROOF: &str = "appsecret_proof";

/// Numbers the trace ids. They mean nothing but must differ.
static TRACES: AtomicU64 = AtomicU64::new(0);

/// An error envelope in the making.
#[derive(Debug)]
pub(super) struct GraphError {
    status: StatusCode,
    code: i32,
    subcode: Option<u32>,
    message: Cow<'static, str>,
    is_transient: bool,
    explanation: Option<&'static str>,
    usage: Option<(&'static str, Duration)>,
    data: Value,
}

impl GraphError {
    pub(super) fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            subcode: None,
            message: message.into(),
            is_transient: false,
            explanation: None,
            usage: None,
            data: Value::Null,
        }
    }

    pub(super) fn sub(mut self, subcode: u32) -> Self {
        self.subcode = Some(subcode);
        self
    }

    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn transient(mut self) -> Self {
        self.is_transient = true;
        self
    }

    /// The words meant for the person who wrote the post.
    pub(super) fn explained(mut self, message: &'static str) -> Self {
        self.explanation = Some(message);
        self
    }

    /// What the error says for programs.
    pub(super) fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// A used-up quota of this type, open again after `wait`. Meta counts that in whole minutes.
    pub(super) fn used_up(mut self, kind: &'static str, wait: Option<Duration>) -> Self {
        self.usage = Some((kind, wait.unwrap_or(Duration::from_mins(1))));
        self
    }

    pub(super) fn unknown_path(path: &str) -> Self {
        let message = format!("Unknown path components: /{path}");
        Self::new(2500, message).status(StatusCode::NOT_FOUND)
    }

    pub(super) fn no_such_object(id: &str) -> Self {
        let message = format!(
            "Unsupported get request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation"
        );
        Self::new(100, message).sub(33)
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let trace = TRACES.fetch_add(1, Ordering::Relaxed);
        let mut error = json!({
            "message": self.message,
            "type": "OAuthException",
            "code": self.code,
            "is_transient": self.is_transient,
            "fbtrace_id": format!("A{trace:022}"),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = subcode.into();
        }
        if let Some(explanation) = self.explanation {
            error["error_user_title"] = "This post could not be published".into();
            error["error_user_msg"] = explanation.into();
        }
        if !self.data.is_null() {
            error["error_data"] = self.data;
        }
        let mut response = wire::json(self.status, json!({ "error": error }));
        if let Some((kind, wait)) = self.usage {
            let minutes = wait.as_secs().div_ceil(60).max(1);
            let usage = json!({"0": [{
                "type": kind, "call_count": 100, "total_cputime": 25, "total_time": 25,
                "estimated_time_to_regain_access": minutes,
            }]});
            let value = HeaderValue::from_str(&usage.to_string());
            response.headers_mut().insert(
                HeaderName::from_static("x-business-use-case-usage"),
                value.expect("compact ASCII JSON is a valid header value"),
            );
        }
        response
    }
}

/// The refusals that Facebook and Instagram word alike.
pub(super) fn refuse(refusal: Refusal) -> GraphError {
    match refusal {
        Refusal::NoToken => {
            GraphError::new(104, "An access token is required to request this resource.")
        }
        Refusal::Expired => GraphError::new(
            190,
            "Error validating access token: Session has expired. The current time is later.",
        )
        .sub(463),
        Refusal::Revoked => GraphError::new(
            190,
            "Error validating access token: The user has not authorized application.",
        )
        .sub(458),
        Refusal::NoScope { .. } => {
            GraphError::new(200, "(#200) Permissions error").status(StatusCode::FORBIDDEN)
        }
        Refusal::RateLimited { .. } => GraphError::new(4, "(#4) Application request limit reached"),
        Refusal::Internal => GraphError::new(1, "An unknown error occurred")
            .status(StatusCode::INTERNAL_SERVER_ERROR)
            .transient(),
        Refusal::Rejected => GraphError::new(100, "Invalid parameter"),
        Refusal::NotFound => GraphError::unknown_path(""),
        Refusal::TooLarge => GraphError::new(
            1,
            "Please reduce the amount of data you're sending, then retry your request",
        )
        .status(StatusCode::PAYLOAD_TOO_LARGE),
        Refusal::Truncated => GraphError::new(100, "(#100) The request body is incomplete"),
    }
}

/// A request's path after the version, and all its fields.
pub(super) type Opened<'a> = (Vec<Cow<'a, str>>, Fields);

/// Checks what every Graph request has: a version in service and a readable body.
pub(super) fn open<'a>(call: &Call<'a>) -> Result<Opened<'a>, GraphError> {
    let mut segments = call.segments();
    let version = segments.remove(0);
    if !is_version(&version) {
        // The real API answers 400 here, not 404, though the text speaks of the path.
        let error = GraphError::unknown_path(&version);
        return Err(error.status(StatusCode::BAD_REQUEST));
    }
    // A slash at the end means nothing; some of Meta's own clients send one.
    segments.pop_if(|last| last.is_empty());
    let fields = call.fields().map_err(|problem| match problem {
        BadBody::Type => GraphError::new(100, "(#100) Unsupported content type"),
        BadBody::Json | BadBody::NotObject => {
            GraphError::new(100, "(#100) The request body is not a JSON object")
        }
    })?;
    Ok((segments, fields))
}

pub(super) fn is_version(segment: &str) -> bool {
    major(segment).is_some()
}

/// The number of a version in service.
fn major(segment: &str) -> Option<u32> {
    let (major, minor) = segment.strip_prefix('v')?.split_once('.')?;
    let major = major.parse().ok()?;
    (minor == "0" && VERSIONS.contains(&major)).then_some(major)
}

/// What a video's status calls the bytes that are there. The documentation had one letter less for years; today's is
/// that of the versions since it was mended. No answer has both: readers that know both as one field would refuse it.
pub(super) fn bytes_name(call: &Call<'_>) -> &'static str {
    let version = call.path.split('/').next().and_then(major);
    if version.is_some_and(|major| major < SPELT_RIGHT) {
        "bytes_transfered"
    } else {
        "bytes_transferred"
    }
}

/// The token is in the header or among the parameters, and has the scope `needed`.
pub(super) fn authorize(
    call: &Call<'_>,
    fields: &Fields,
    needed: &'static str,
) -> Result<(), Refusal> {
    let token = call.bearer().or_else(|| fields.get("access_token"));
    call.check_token(token, needed)?;
    Ok(())
}

/// Whether the request has the proof that the app of this token wants: one that names the app's secret, as
/// `proof(SECRET)`, wants it with every call.
pub(super) fn check_proof(call: &Call<'_>, fields: &Fields) -> Result<(), GraphError> {
    let token = call.bearer().or_else(|| fields.get("access_token"));
    let token = token.unwrap_or_default();
    let secret = token
        .split_once("proof(")
        .and_then(|(_, rest)| rest.split_once(')'));
    let Some((secret, _)) = secret else {
        return Ok(());
    };
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length does");
    let proof = format!("{:x}", mac.chain_update(token).finalize().into_bytes());
    let message = match fields.get(PROOF) {
        Some(given) if given == proof => return Ok(()),
        Some(_) => "Invalid appsecret_proof provided in the API argument",
        None => "API calls from the server require an appsecret_proof argument",
    };
    Err(GraphError::new(100, message))
}

pub(super) fn check_known(fields: &Fields, known: &[&str]) -> Result<(), GraphError> {
    check_known_or(fields, known, |_| false)
}

/// The same where names can be known by their form.
pub(super) fn check_known_or(
    fields: &Fields,
    known: &[&str],
    is_known: impl Fn(&str) -> bool,
) -> Result<(), GraphError> {
    let mut unknown = fields
        .names()
        .filter(|name| !known.contains(name) && *name != PROOF);
    match unknown.find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("(#100) Param {name} is not a known parameter of this edge");
            Err(GraphError::new(100, message))
        }
    }
}

/// What `fields=` asks of a node; `id` is always part of the answer.
pub(super) fn select(
    node: &Map<String, Value>,
    fields: &Fields,
    default: &str,
) -> Result<Value, GraphError> {
    let mut answer = Map::new();
    let asked = fields.filled("fields").unwrap_or(default);
    for name in top_level(asked).chain(["id"]) {
        let value = node.get(name).ok_or_else(|| {
            GraphError::new(
                100,
                format!("(#100) Tried accessing nonexisting field ({name})"),
            )
        })?;
        if !value.is_null() {
            answer.insert(name.to_owned(), value.clone());
        }
    }
    Ok(answer.into())
}

/// The names in `id,attachments{media_type,target},message` that are not inside braces.
fn top_level(fields: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    let pieces = fields.split(move |character| {
        match character {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    });
    let names = pieces.map(|piece| piece.split(['{', '.', '(']).next().unwrap_or(piece).trim());
    names.filter(|name| !name.is_empty())
}

/// The list answer of an edge, newest first, from nodes made on demand. What does not fit is on a page of its own, whose
/// address the answer names.
pub(super) fn list<'a>(
    call: &Call<'_>,
    nodes: impl Iterator<Item = &'a Post>,
    fields: &Fields,
    default: &str,
    node: impl Fn(&Post) -> Map<String, Value>,
) -> Result<Value, GraphError> {
    let limit = match fields.get("limit") {
        None => 25,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| GraphError::new(100, "(#100) param limit must be between 1 and 100"))?,
    };
    let since: i64 = fields
        .get("since")
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let before = match fields.get("after") {
        None => usize::MAX,
        Some(cursor) => cursor
            .parse()
            .map_err(|_| GraphError::new(100, "(#100) Invalid cursors values"))?,
    };
    let nodes = nodes.filter(|post| post.published_at.timestamp() >= since);
    let mut nodes = nodes.filter(|post| post.sequence < before).peekable();
    let (mut data, mut last) = (Vec::new(), None);
    while let Some(post) = nodes.next_if(|_| data.len() < limit) {
        data.push(select(&node(post), fields, default)?);
        last = Some(post.sequence);
    }
    let mut body = json!({ "data": data });
    if let Some(last) = last {
        body["paging"] = json!({"cursors": {"after": last.to_string()}});
        if nodes.peek().is_some() {
            body["paging"]["next"] = next_page(call, fields, limit, last).into();
        }
    }
    Ok(body)
}

/// The address of the next page. As the real one it repeats the request, the token included.
fn next_page(call: &Call<'_>, fields: &Fields, limit: usize, last: usize) -> String {
    let repeated = ["access_token", "fields", "since"];
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in repeated {
        if let Some(value) = fields.get(name) {
            query.append_pair(name, value);
        }
    }
    query.append_pair("limit", &limit.to_string());
    query.append_pair("after", &last.to_string());
    let host = call.header("host").unwrap_or_default();
    let platform = call.flight.platform();
    format!("http://{host}/{platform}/{}?{}", call.path, query.finish())
}

/// An instant as the Graph API writes it.
pub(super) fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

pub(super) fn ok(body: Value) -> Response {
    wire::json(StatusCode::OK, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_v20_to_v26_are_in_service() {
        for version in ["v20.0", "v25.0", "v26.0"] {
            assert!(is_version(version), "{version}");
        }
        for version in ["v19.0", "v27.0", "v25.1", "v25", "25.0", "vx.0", ""] {
            assert!(!is_version(version), "{version}");
        }
    }

    #[test]
    fn nested_fields_do_not_count_as_fields() {
        let names: Vec<_> =
            top_level("id,attachments.limit(2){media_type,target},message").collect();
        assert_eq!(names, ["id", "attachments", "message"]);
    }
}
