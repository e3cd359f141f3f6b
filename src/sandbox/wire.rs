//! A request and a reply as plain values, and what all platforms read the same way.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::form_urlencoded;

use super::damage::Damage;
use super::media::{FetchError, Received};
use super::world::Flight;

/// The largest request body that is read into memory; videos are streamed instead.
const BODY_LIMIT: usize = 1024 * 1024;

/// How much of an oversized body is read and thrown away. A client that is still sending when the
/// connection closes never sees the refusal.
const DRAIN_LIMIT: usize = 64 * 1024 * 1024;

/// A text that holds this gets the platform's own content rejection.
const REJECT_MARK: &str = "[[reject]]";

/// One request to a platform, its body read unless a handler takes it in as it comes.
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    /// The path after `/<platform>`, still percent-encoded, without the leading slash.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
    pub(super) flight: &'a Flight,
}

impl<'a> Call<'a> {
    pub(super) fn new(parts: &'a Parts, path: &'a str, flight: &'a Flight) -> Self {
        Self {
            method: &parts.method,
            path,
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body: Bytes::new(),
            flight,
        }
    }

    /// Reads the body whole, for handlers that want it at once.
    pub(super) async fn read(&mut self, body: Body) -> Result<(), Refusal> {
        self.body = read(body).await?;
        Ok(())
    }

    /// Fetches a medium that the request names, and keeps it if it is an image. To be awaited before
    /// the world is locked.
    pub(super) async fn fetch(&self, url: &str) -> Result<Received, FetchError> {
        let received = self.flight.twin.fetcher.fetch(url).await?;
        self.flight.twin.world().keep(&received);
        Ok(received)
    }

    /// Whether a token is good for what needs the scope `needed` (see `Tokens::check`). Locks the
    /// world.
    pub(super) fn check_token<'t>(
        &self,
        token: Option<&'t str>,
        needed: &'static str,
    ) -> Result<&'t str, Refusal> {
        self.flight.twin.world().tokens.check(token, needed)
    }

    /// The size of the body, if the client told it.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header(header::CONTENT_LENGTH.as_str())?.parse().ok()
    }

    /// The path's segments, percent-decoded.
    pub(super) fn segments(&self) -> Vec<Cow<'a, str>> {
        self.path
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of an `Authorization: Bearer` header, which may be empty.
    pub(super) fn bearer(&self) -> Option<&'a str> {
        let value = self.header("authorization")?;
        // An empty token leaves the scheme alone: HTTP trims the space between them.
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }

    /// The media type of the body, without parameters.
    pub(super) fn content_type(&self) -> &'a str {
        let value = self.header(header::CONTENT_TYPE.as_str()).unwrap_or("");
        value.split(';').next().unwrap_or("").trim()
    }

    /// The query alone.
    pub(super) fn query(&self) -> Fields {
        let mut fields = Fields::default();
        fields.read_urlencoded(self.query.as_bytes());
        fields
    }

    /// The query and the body (form or JSON) as one set of fields.
    pub(super) fn fields(&self) -> Result<Fields, BadBody> {
        let mut fields = self.query();
        if self.body.is_empty() {
            return Ok(fields);
        }
        match self.content_type() {
            "application/x-www-form-urlencoded" => fields.read_urlencoded(&self.body),
            "application/json" => fields.read_json(&self.body)?,
            _ => return Err(BadBody::Type),
        }
        Ok(fields)
    }
}

/// Why a body is not a set of fields.
pub(super) enum BadBody {
    /// Neither a form nor JSON by its Content-Type.
    Type,
    /// Not JSON.
    Json,
    /// JSON, but no object.
    NotObject,
}

/// Named parameters, wherever they came from. A JSON value that is no string is kept as JSON text,
/// the form in which a urlencoded body carries it.
#[derive(Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    fn read_urlencoded(&mut self, text: &[u8]) {
        let pairs = form_urlencoded::parse(text);
        self.0
            .extend(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())));
    }

    fn read_json(&mut self, text: &[u8]) -> Result<(), BadBody> {
        let Value::Object(object) = serde_json::from_slice(text).map_err(|_| BadBody::Json)? else {
            return Err(BadBody::NotObject);
        };
        for (name, value) in object {
            match value {
                Value::Null => {}
                Value::String(text) => self.0.push((name, text)),
                other => self.0.push((name, other.to_string())),
            }
        }
        Ok(())
    }

    /// Adds a field that came in another way.
    pub(super) fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a field; the last one wins where a name is repeated.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a field, unless it is blank.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// A flag that is `true` or `1`.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    /// The first field whose name is not among `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Option<&str> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names.into_iter().find(|name| !known.contains(name))
    }
}

/// What becomes of a request.
pub(super) enum Reply {
    Now(Response),
    /// The answer is ready, and held back for this long.
    Late(Duration, Response),
    /// The answer gets damaged on its way.
    Damaged(Damage, Response),
    /// The connection is cut instead.
    Never,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

/// An answer that ends a request early. Boxed, for it is the rare one.
pub(super) struct Refused(Box<Response>);

impl Refused {
    pub(super) fn response(self) -> Response {
        *self.0
    }
}

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        Self::Now(refused.response())
    }
}

/// The refusals that every platform knows; each says them in its own envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NoToken,
    Expired,
    Revoked,
    /// The token is good, but lacks this permission.
    NoScope {
        needed: &'static str,
    },
    RateLimited {
        retry_after: Option<Duration>,
    },
    Internal,
    /// The content breaks the platform's rules.
    Rejected,
    NotFound,
    TooLarge,
    /// The body ended before its time.
    Truncated,
}

pub(super) fn is_rejected(text: &str) -> bool {
    text.contains(REJECT_MARK)
}

/// An absolute http or https URL.
pub(super) fn is_web_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

pub(super) fn json(status: StatusCode, body: Value) -> Response {
    (status, Json(body)).into_response()
}

/// Reads a body whole, up to the limit.
async fn read(body: Body) -> Result<Bytes, Refusal> {
    let mut chunks = body.into_data_stream();
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    let mut size = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::Truncated)?;
        size += chunk.len();
        if size > DRAIN_LIMIT {
            break;
        }
        if size > BODY_LIMIT {
            whole = Vec::new();
        } else if size == chunk.len() {
            // Nearly every body comes in one piece, which needs no copy.
            first = chunk;
        } else {
            whole.extend_from_slice(&std::mem::take(&mut first));
            whole.extend_from_slice(&chunk);
        }
    }
    if size > BODY_LIMIT {
        Err(Refusal::TooLarge)
    } else if whole.is_empty() {
        Ok(first)
    } else {
        Ok(whole.into())
    }
}
