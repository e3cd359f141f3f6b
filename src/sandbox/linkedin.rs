//! LinkedIn Posts API, versions 202508 to 202611: text, article and media posts.
//!
//! <https://learn.microsoft.com/en-us/linkedin/marketing/community-management/shares/posts-api>.
//! No idempotency key, but the same post sent again within a while is refused with the id of the
//! first one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::little;
use super::post::{Draft, Family, Medium};
use super::steps::Step;
use super::wire::{self, Call, Refusal, Refused, Reply};
use super::world::Platform;

/// Versions in service, as `YYYYMM`.
const VERSIONS: std::ops::RangeInclusive<u32> = 202_508..=202_611;

/// Either is enough here: which of them a post needs depends on its author.
const SCOPES: &str = "w_organization_social|w_member_social";

const MAX_COMMENTARY_CHARS: usize = 3000;
const MAX_TITLE_CHARS: usize = 400;

/// How long the same content counts as a duplicate. The real window is not documented.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(10);

/// What was shared lately, by author and content.
#[derive(Default)]
pub(super) struct Shares(HashMap<[u8; 32], (Instant, String)>);

impl Shares {
    /// The post that the same content made less than ten minutes before `now`.
    fn duplicate(&self, key: &[u8; 32], now: Instant) -> Option<&str> {
        let (shared, urn) = self.0.get(key)?;
        (now.duration_since(*shared) < DUPLICATE_WINDOW).then_some(urn)
    }
}

pub(super) async fn answer(mut call: Call<'_>, body: Body) -> Reply {
    match call.read(body).await {
        Ok(()) => route(&call).unwrap_or_else(Reply::from),
        Err(refusal) => refuse(refusal).into(),
    }
}

fn route(call: &Call<'_>) -> Result<Reply, Refused> {
    match (call.method, call.path) {
        (&Method::POST, "rest/posts") => {
            check_headers(call)?;
            create(call)
        }
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

fn check_headers(call: &Call<'_>) -> Result<(), Refused> {
    call.check_token(call.bearer(), SCOPES).map_err(refuse)?;
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
    if call.content_type() != "application/json" {
        let message = "The Content-Type must be application/json";
        return Err(error(415, None, None, message));
    }
    Ok(())
}

fn create(call: &Call<'_>) -> Result<Reply, Refused> {
    let Ok(Value::Object(body)) = serde_json::from_slice(&call.body) else {
        let message = "Request body could not be converted to data map";
        return Err(error(400, None, Some("ILLEGAL_ARGUMENT"), message));
    };
    let draft = draft(&body)?;
    call.flight.of_account(&draft.account);
    if wire::is_rejected(&draft.text) {
        return Err(refuse(Refusal::Rejected).into());
    }
    let key = content_key(&body);
    let now = Instant::now();
    let mut world = call.flight.twin.world();
    if let Some(urn) = world.shares.duplicate(&key, now) {
        let message = format!("Content is a duplicate of {urn}");
        return Err(error(422, None, Some("DUPLICATE_POST"), &message));
    }
    Ok(
        world.step(Platform::Linkedin, Step::Publish, refuse, |world| {
            let urn = format!("urn:li:share:{}", 7_100_000_000_000_000_000 + world.mint());
            world.shares.0.insert(key, (now, urn.clone()));
            let permalink = format!("https://www.linkedin.com/feed/update/{urn}/");
            let post = world.publish(Platform::Linkedin, draft, urn, permalink);
            let id =
                HeaderValue::from_str(&post.id).expect("a URN with a number is a valid header");
            let name = HeaderName::from_static("x-restli-id");
            (StatusCode::CREATED, [(name, id)]).into_response()
        }),
    )
}

/// What LinkedIn compares to find duplicates.
fn content_key(body: &Map<String, Value>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for name in ["author", "commentary", "content"] {
        // As JSON a text is quoted, so that two fields cannot run into each other.
        hash.update(body.get(name).unwrap_or(&Value::Null).to_string());
    }
    hash.finalize().into()
}

fn draft(body: &Map<String, Value>) -> Result<Draft, Refused> {
    check_known(
        body,
        "",
        &[
            "author",
            "commentary",
            "visibility",
            "distribution",
            "lifecycleState",
            "isReshareDisabledByAuthor",
            "content",
        ],
    )?;
    let author = required(body, "author")?;
    if !is_urn(author, &["person", "organization"]) {
        let description = "The author must be urn:li:person:… or urn:li:organization:…";
        return Err(invalid("author", "INVALID_URN_TYPE", description));
    }
    let commentary = required(body, "commentary")?;
    let text = little::plain_text(commentary);
    if text.chars().count() > MAX_COMMENTARY_CHARS {
        let description = "The commentary must be at most 3000 characters long";
        return Err(invalid("commentary", "FIELD_LENGTH_TOO_LONG", description));
    }
    one_of(body, "visibility", &["PUBLIC", "CONNECTIONS", "LOGGED_IN"])?;
    one_of(body, "lifecycleState", &["PUBLISHED"])?;
    check_distribution(body)?;
    if body
        .get("isReshareDisabledByAuthor")
        .is_some_and(|flag| !flag.is_boolean())
    {
        let description = "Must be true or false";
        return Err(invalid(
            "isReshareDisabledByAuthor",
            "INVALID_VALUE_FOR_FIELD",
            description,
        ));
    }
    let mut draft = Draft {
        account: author.to_owned(),
        text,
        ..Draft::default()
    };
    match body.get("content") {
        None => {}
        Some(Value::Object(content)) => read_content(content, &mut draft)?,
        Some(_) => {
            return Err(invalid(
                "content",
                "INVALID_VALUE_FOR_FIELD",
                "Must be an object",
            ));
        }
    }
    Ok(draft)
}

fn check_distribution(body: &Map<String, Value>) -> Result<(), Refused> {
    let Some(distribution) = body.get("distribution").and_then(Value::as_object) else {
        return Err(invalid(
            "distribution",
            "MISSING_FIELD",
            "The field is required",
        ));
    };
    let known = [
        "feedDistribution",
        "targetEntities",
        "thirdPartyDistributionChannels",
    ];
    check_known(distribution, "distribution/", &known)?;
    match distribution.get("feedDistribution").and_then(Value::as_str) {
        Some("MAIN_FEED" | "NONE") => Ok(()),
        _ => Err(invalid(
            "distribution/feedDistribution",
            "INVALID_VALUE_FOR_FIELD",
            "Must be MAIN_FEED or NONE",
        )),
    }
}

fn read_content(content: &Map<String, Value>, draft: &mut Draft) -> Result<(), Refused> {
    check_known(content, "content/", &["article", "media", "multiImage"])?;
    let mut kinds = content.iter();
    let (Some((kind, Value::Object(inner))), None) = (kinds.next(), kinds.next()) else {
        let description = "Must hold exactly one of article, media or multiImage";
        return Err(invalid("content", "INVALID_VALUE_FOR_FIELD", description));
    };
    match kind.as_str() {
        "article" => read_article(inner, draft),
        "media" => read_media(inner, "content/media/", draft),
        _ => {
            check_known(inner, "content/multiImage/", &["images"])?;
            let images = inner.get("images").and_then(Value::as_array);
            let images = images.filter(|images| (2..=20).contains(&images.len()));
            let images = images.ok_or_else(|| {
                let description = "Must be a list of 2 to 20 images";
                invalid(
                    "content/multiImage/images",
                    "INVALID_VALUE_FOR_FIELD",
                    description,
                )
            })?;
            let path = "content/multiImage/images/";
            images.iter().try_for_each(|image| match image {
                Value::Object(image) => read_media(image, path, draft),
                _ => Err(invalid(path, "INVALID_VALUE_FOR_FIELD", "Must be objects")),
            })
        }
    }
}

fn read_article(article: &Map<String, Value>, draft: &mut Draft) -> Result<(), Refused> {
    let known = ["source", "title", "description", "thumbnail"];
    check_known(article, "content/article/", &known)?;
    let source = required_at(article, "content/article/", "source")?;
    if !wire::is_web_url(source) {
        let description = "Must be an http or https URL";
        return Err(invalid(
            "content/article/source",
            "INVALID_URL",
            description,
        ));
    }
    let title = required_at(article, "content/article/", "title")?;
    if title.chars().count() > MAX_TITLE_CHARS {
        let description = "The title must be at most 400 characters long";
        return Err(invalid(
            "content/article/title",
            "FIELD_LENGTH_TOO_LONG",
            description,
        ));
    }
    draft.link = Some(source.to_owned());
    draft.title = Some(title.to_owned());
    Ok(())
}

/// The media's URN is taken on trust: the sandbox has no asset uploads.
fn read_media(media: &Map<String, Value>, path: &str, draft: &mut Draft) -> Result<(), Refused> {
    check_known(media, path, &["id", "altText", "title"])?;
    let id = required_at(media, path, "id")?;
    if !is_urn(id, &["image", "video", "document"]) {
        let description = "Must be urn:li:image:…, urn:li:video:… or urn:li:document:…";
        return Err(invalid(
            &format!("{path}id"),
            "INVALID_URN_TYPE",
            description,
        ));
    }
    let family = match id.split(':').nth(2) {
        Some("video") => Family::Video,
        Some("document") => Family::Document,
        _ => Family::Image,
    };
    let mut medium = Medium::at(family, id);
    if media.contains_key("altText") {
        medium.alt = Some(required_at(media, path, "altText")?.to_owned());
    }
    draft.media.push(medium);
    if let Some(title) = media.get("title").and_then(Value::as_str) {
        draft.title = Some(title.to_owned());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_a_duplicate_for_ten_minutes() {
        let start = Instant::now();
        let mut shares = Shares::default();
        shares
            .0
            .insert([1; 32], (start, "urn:li:share:1".to_owned()));
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            shares.duplicate(&[1; 32], after(599)),
            Some("urn:li:share:1")
        );
        assert_eq!(shares.duplicate(&[1; 32], after(600)), None);
        assert_eq!(shares.duplicate(&[2; 32], start), None);
    }
}
