//! Posts: made, found, read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::little::{self, Shown};
use super::super::post::{Draft, Family};
use super::super::steps::Step;
use super::super::wire::{self, Call, Refusal, Refused, Reply};
use super::super::world::{Platform, World};
use super::{
    EITHER, assets, check_author, check_headers, check_known, error, invalid, is_urn, object,
    one_of, refuse, required, required_at,
};

const MAX_COMMENTARY_CHARS: usize = 3000;
const MAX_TITLE_CHARS: usize = 400;
const MAX_ALT_CHARS: usize = 4086;

/// How long the same content counts as a duplicate. The real window is not documented.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(10);

/// What was shared.
#[derive(Default)]
pub(in crate::sandbox) struct Shares {
    /// When each author's content was shared, and as what.
    recent: HashMap<[u8; 32], (Instant, String)>,
    /// The posts as LinkedIn hands them out.
    resources: HashMap<String, Value>,
}

impl Shares {
    /// The post that the same content made less than ten minutes before `now`.
    fn duplicate(&self, key: &[u8; 32], now: Instant) -> Option<&str> {
        let (shared, urn) = self.recent.get(key)?;
        (now.duration_since(*shared) < DUPLICATE_WINDOW).then_some(urn)
    }

    /// Everybody who has shared anything.
    pub(super) fn authors(&self) -> impl Iterator<Item = &str> {
        let resources = self.resources.values();
        resources.filter_map(|resource| resource["author"].as_str())
    }
}

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Refused> {
    check_headers(call, EITHER)?;
    let body = object(call)?;
    check_author(call, "author", required(&body, "author")?)?;
    let mut world = call.flight.twin.world();
    let draft = draft(&body, &world)?;
    if wire::is_rejected(&draft.text) {
        return Err(refuse(Refusal::Rejected).into());
    }
    let key = content_key(&body);
    let now = Instant::now();
    if let Some(urn) = world.shares.duplicate(&key, now) {
        return Err(duplicate(urn));
    }
    Ok(
        world.step(Platform::Linkedin, Step::Publish, refuse, |world| {
            let urn = format!("urn:li:share:{}", 7_100_000_000_000_000_000 + world.mint());
            world.shares.recent.insert(key, (now, urn.clone()));
            let permalink = format!("https://www.linkedin.com/feed/update/{urn}/");
            let post = world.publish(Platform::Linkedin, draft, urn.clone(), permalink);
            let at = post.published_at.timestamp_millis();
            let resource = resource(body, &urn, at);
            let id = HeaderValue::from_str(&urn).expect("a URN with a number is a valid header");
            world.shares.resources.insert(urn, resource);
            let name = HeaderName::from_static("x-restli-id");
            (StatusCode::CREATED, [(name, id)]).into_response()
        }),
    )
}

/// The refusal of what was shared already. Its code is that of an input error, and not the whole's.
fn duplicate(urn: &str) -> Refused {
    let message = format!("Content is a duplicate of {urn}");
    let body = json!({
        "errorDetailType": "com.linkedin.common.error.UnprocessableEntity",
        "message": message,
        "errorDetails": {"inputErrors": [{"code": "DUPLICATE_POST", "description": message}]},
        "status": 422,
    });
    wire::json(StatusCode::UNPROCESSABLE_ENTITY, body).into()
}

/// A post as it is handed out: as it came, with what LinkedIn adds.
fn resource(mut body: Map<String, Value>, urn: &str, at: i64) -> Value {
    body.insert("id".to_owned(), urn.into());
    for name in ["createdAt", "publishedAt", "lastModifiedAt"] {
        body.insert(name.to_owned(), at.into());
    }
    body.insert(
        "lifecycleStateInfo".to_owned(),
        json!({"isEditedByAuthor": false}),
    );
    Value::Object(body)
}

/// `GET /rest/posts?q=author`: an author's posts, newest first.
pub(super) fn find(call: &Call<'_>) -> Result<Reply, Refused> {
    check_headers(call, READING)?;
    let method = call.header("x-restli-method").unwrap_or_default();
    if !method.eq_ignore_ascii_case("finder") {
        let message = "The header X-RestLi-Method must be FINDER";
        return Err(error(400, None, Some("ILLEGAL_ARGUMENT"), message));
    }
    let query = call.query();
    let known = [
        "q",
        "author",
        "count",
        "start",
        "sortBy",
        "isDsc",
        "viewContext",
    ];
    if let Some(name) = query.unknown(&known) {
        return Err(invalid(
            name,
            "QUERY_PARAM_NOT_ALLOWED",
            "Unknown parameter",
        ));
    }
    if query.get("q") != Some("author") {
        return Err(invalid("q", "INVALID_VALUE_FOR_FIELD", "Must be author"));
    }
    let author = query.filled("author");
    let author =
        author.ok_or_else(|| invalid("author", "MISSING_FIELD", "The field is required"))?;
    check_reader(call, author)?;
    let number = |name: &str, usual: usize| match query.get(name) {
        None => Ok(usual),
        Some(text) => text
            .parse()
            .map_err(|_| invalid(name, "INVALID_VALUE_FOR_FIELD", "Must be a number")),
    };
    let (count, start) = (number("count", 10)?, number("start", 0)?);
    if !(1..=100).contains(&count) {
        return Err(invalid(
            "count",
            "INVALID_VALUE_FOR_FIELD",
            "Must be 1 to 100",
        ));
    }
    if !matches!(
        query.get("sortBy"),
        None | Some("LAST_MODIFIED" | "CREATED")
    ) {
        let description = "Must be LAST_MODIFIED or CREATED";
        return Err(invalid("sortBy", "INVALID_VALUE_FOR_FIELD", description));
    }
    if !matches!(query.get("viewContext"), None | Some("READER" | "AUTHOR")) {
        let description = "Must be READER or AUTHOR";
        return Err(invalid(
            "viewContext",
            "INVALID_VALUE_FOR_FIELD",
            description,
        ));
    }
    let mut world = call.flight.twin.world();
    Ok(
        world.step(Platform::Linkedin, Step::Status, refuse, |world| {
            let posts = world.posts_of(Platform::Linkedin, author);
            let resources = posts.filter_map(|post| world.shares.resources.get(&post.id));
            let elements: Vec<&Value> = resources.skip(start).take(count).collect();
            let body = json!({
                "paging": {"start": start, "count": count, "links": []}, "elements": elements,
            });
            wire::json(StatusCode::OK, body)
        }),
    )
}

pub(super) fn read(call: &Call<'_>, urn: &str) -> Result<Reply, Refused> {
    check_headers(call, READING)?;
    let mut world = call.flight.twin.world();
    let resource = world.shares.resources.get(urn).cloned();
    let resource = resource.ok_or_else(|| refuse(Refusal::NotFound))?;
    let author = resource["author"].as_str().unwrap_or_default();
    check_reading(world.tokens.check(call.bearer(), reading(author)))?;
    Ok(world.step(Platform::Linkedin, Step::Status, refuse, |_| {
        wire::json(StatusCode::OK, resource)
    }))
}

const READING: &str = "r_organization_social|r_member_social";

/// What reading an author's posts needs. New applications do not get the one for members.
fn reading(author: &str) -> &'static str {
    if is_urn(author, &["person"]) {
        "r_member_social"
    } else {
        "r_organization_social"
    }
}

fn check_reader(call: &Call<'_>, author: &str) -> Result<(), Refused> {
    if !is_urn(author, &["person", "organization"]) {
        let description = "Must be urn:li:person:… or urn:li:organization:…";
        return Err(invalid("author", "INVALID_URN_TYPE", description));
    }
    check_reading(call.check_token(call.bearer(), reading(author)))
}

fn check_reading(checked: Result<&str, Refusal>) -> Result<(), Refused> {
    checked
        .map(|_| ())
        .map_err(|refusal| refuse(refusal).into())
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

fn draft(body: &Map<String, Value>, world: &World) -> Result<Draft, Refused> {
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
    let commentary = required(body, "commentary")?;
    let Shown { text, marks } = little::render(commentary);
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
    if !marks.is_empty() {
        draft.details.insert("marks".to_owned(), json!(marks));
    }
    if let Some(visibility) = body.get("visibility") {
        draft
            .details
            .insert("visibility".to_owned(), visibility.clone());
    }
    match body.get("content") {
        None => {}
        Some(Value::Object(content)) => read_content(content, world, &mut draft)?,
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

fn read_content(
    content: &Map<String, Value>,
    world: &World,
    draft: &mut Draft,
) -> Result<(), Refused> {
    check_known(content, "content/", &["article", "media", "multiImage"])?;
    let mut kinds = content.iter();
    let (Some((kind, Value::Object(inner))), None) = (kinds.next(), kinds.next()) else {
        let description = "Must hold exactly one of article, media or multiImage";
        return Err(invalid("content", "INVALID_VALUE_FOR_FIELD", description));
    };
    match kind.as_str() {
        "article" => read_article(inner, world, draft),
        "media" => {
            let all = [Family::Image, Family::Video, Family::Document];
            read_media(inner, "content/media/", &all, world, draft)
        }
        _ => {
            check_known(inner, "content/multiImage/", &["images", "altText"])?;
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
                Value::Object(image) => read_media(image, path, &[Family::Image], world, draft),
                _ => Err(invalid(path, "INVALID_VALUE_FOR_FIELD", "Must be objects")),
            })
        }
    }
}

fn read_article(
    article: &Map<String, Value>,
    world: &World,
    draft: &mut Draft,
) -> Result<(), Refused> {
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
    draft.title = Some(title(article, "content/article/")?.to_owned());
    draft.link = Some(source.to_owned());
    if article.contains_key("description") {
        let description = required_at(article, "content/article/", "description")?;
        draft
            .details
            .insert("description".to_owned(), description.into());
    }
    if article.contains_key("thumbnail") {
        let path = "content/article/";
        let urn = required_at(article, path, "thumbnail")?;
        let place = "content/article/thumbnail";
        let thumbnail = assets::usable(world, urn, &[Family::Image], &draft.account, place)?;
        draft.details.insert("thumbnail".to_owned(), urn.into());
        draft.media.push(thumbnail);
    }
    Ok(())
}

fn title<'a>(object: &'a Map<String, Value>, path: &str) -> Result<&'a str, Refused> {
    let title = required_at(object, path, "title")?;
    check_length(title, MAX_TITLE_CHARS, &format!("{path}title"))?;
    Ok(title)
}

fn check_length(text: &str, limit: usize, field: &str) -> Result<(), Refused> {
    if text.chars().count() <= limit {
        return Ok(());
    }
    let description = format!("Must be at most {limit} characters long");
    Err(invalid(field, "FIELD_LENGTH_TOO_LONG", &description))
}

fn read_media(
    media: &Map<String, Value>,
    path: &str,
    families: &[Family],
    world: &World,
    draft: &mut Draft,
) -> Result<(), Refused> {
    check_known(media, path, &["id", "altText", "title"])?;
    let id = required_at(media, path, "id")?;
    let place = format!("{path}id");
    let mut medium = assets::usable(world, id, families, &draft.account, &place)?;
    if media.contains_key("altText") {
        let alt = required_at(media, path, "altText")?;
        check_length(alt, MAX_ALT_CHARS, &format!("{path}altText"))?;
        medium.alt = Some(alt.to_owned());
    }
    if media.contains_key("title") || medium.family == Family::Document {
        let title = title(media, path)?;
        medium.name = Some(title.to_owned());
        draft.title = Some(title.to_owned());
    }
    draft.media.push(medium);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_a_duplicate_for_ten_minutes() {
        let start = Instant::now();
        let mut shares = Shares::default();
        shares
            .recent
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
