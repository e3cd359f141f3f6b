//! The body of a post's request, built from its content and its media's URNs.

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::little;
use super::progress::{Asset, AssetKind};
use super::rules::Visibility;
use crate::outcome::Failure;
use crate::post::{ClaimedPost, Content, Media};
use crate::text::shortened;

/// Posts API, `content.article` (2026-09).
const TITLE_LIMIT: usize = 400;

/// The post as LinkedIn takes it. Its media have been uploaded.
pub(super) fn share(post: &ClaimedPost, assets: &[Asset]) -> Result<Value, Failure> {
    let media = post.content.media().map_err(Failure::rejected)?;
    let mut share = json!({
        "author": post.account.external_id,
        "commentary": little::written(&post.content.body),
        "visibility": Visibility::of(post),
        "distribution": {
            "feedDistribution": "MAIN_FEED",
            "targetEntities": [],
            "thirdPartyDistributionChannels": [],
        },
        "lifecycleState": "PUBLISHED",
        "isReshareDisabledByAuthor": false,
    });
    let content = match (&post.content.link, media.as_slice()) {
        (Some(link), _) => Some(json!({"article": article(&post.content, link, assets)})),
        (None, []) => None,
        (None, [medium]) => Some(json!({"media": single(&post.content, medium, assets)})),
        (None, media) => {
            let images = media.iter().zip(assets).map(|(medium, asset)| {
                let mut image = json!({"id": asset.urn()});
                describe(&mut image, medium);
                image
            });
            Some(json!({"multiImage": {"images": images.collect::<Vec<_>>()}}))
        }
    };
    if let Some(content) = content {
        share["content"] = content;
    }
    Ok(share)
}

fn article(content: &Content, link: &str, assets: &[Asset]) -> Value {
    let mut article = json!({"source": link, "title": title(content)});
    if let Some(description) = filled(content, "description") {
        article["description"] = description.into();
    }
    if let Some(thumbnail) = assets.first().and_then(Asset::urn) {
        article["thumbnail"] = thumbnail.into();
    }
    article
}

fn single(content: &Content, medium: &Media, assets: &[Asset]) -> Value {
    let asset = assets.first();
    let mut single = json!({"id": asset.and_then(Asset::urn)});
    let own = filled(content, "title").map(|title| shortened(title, TITLE_LIMIT));
    match asset.map(|asset| asset.kind) {
        Some(AssetKind::Video) => {
            if let Some(title) = own {
                single["title"] = title.into();
            }
        }
        Some(AssetKind::Document) => {
            single["title"] = own.unwrap_or_else(|| file_name(medium)).into();
        }
        _ => describe(&mut single, medium),
    }
    single
}

/// An empty description is refused, and so left away.
fn describe(image: &mut Value, medium: &Media) {
    let alt = medium.alt.as_deref().map(str::trim);
    if let Some(alt) = alt.filter(|alt| !alt.is_empty()) {
        image["altText"] = alt.into();
    }
}

/// The name of a medium's file, for a document without a title.
fn file_name(medium: &Media) -> String {
    let place = medium.location();
    let place = place.split(['?', '#']).next().unwrap_or(place);
    let name = place.rsplit('/').next().unwrap_or(place);
    let name = match medium.url {
        Some(_) => percent_decode_str(name).decode_utf8_lossy(),
        None => name.into(),
    };
    let name = shortened(&name, TITLE_LIMIT);
    if name.is_empty() {
        "Document".to_owned()
    } else {
        name
    }
}

/// The title of a post's link.
pub(super) fn title(content: &Content) -> String {
    let first_line = || content.body.lines().find(|line| !line.trim().is_empty());
    let title = filled(content, "title").or_else(first_line).unwrap_or("");
    shortened(&little::plain(title), TITLE_LIMIT)
}

/// An option that is a text, unless it is blank.
pub(super) fn filled<'a>(content: &'a Content, name: &str) -> Option<&'a str> {
    let text = content.option(name)?;
    (!text.trim().is_empty()).then_some(text)
}
