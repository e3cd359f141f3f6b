//! Blocks of a message: what they show, checked as strictly as Block Kit's reference.

use serde_json::Value;

use super::super::media::Received;
use super::super::post::{Family, Medium};
use super::super::wire::{self, Call, Refused};
use super::{invalid_blocks, refused, unescape};

const MAX_BLOCKS: usize = 50;
const MAX_SECTION_CHARS: usize = 3000;
const MAX_HEADER_CHARS: usize = 150;
const MAX_URL_CHARS: usize = 3000;
const MAX_ALT_CHARS: usize = 2000;
const MAX_TITLE_CHARS: usize = 2000;
const SHOWN: [&str; 3] = ["image/png", "image/jpeg", "image/gif"];

/// What a message's blocks show to its readers.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) media: Vec<Medium>,
    pub(super) title: Option<String>,
}

/// Where in the blocks something is wrong, and what.
struct At<'a>(&'a str, usize);

impl At<'_> {
    fn wrong(&self, words: &str) -> Refused {
        invalid_blocks(&format!(
            "{words} [json-pointer:/blocks/{}{}]",
            self.1, self.0
        ))
    }
}

pub(super) async fn read(call: &Call<'_>, blocks: &str) -> Result<Shown, Refused> {
    let Ok(Value::Array(blocks)) = serde_json::from_str(blocks) else {
        return Err(refused("invalid_blocks_format"));
    };
    if blocks.is_empty() || blocks.len() > MAX_BLOCKS {
        return Err(invalid_blocks(
            "no more than 50 items allowed [json-pointer:/blocks]",
        ));
    }
    let mut shown = Shown::default();
    let mut texts = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        let at = At("", place);
        match block["type"].as_str() {
            Some("image") => {
                check_names(
                    block,
                    &["image_url", "alt_text", "title", "slack_file"],
                    &at,
                )?;
                shown.media.push(image(call, block, place).await?);
                if let Some(title) = block.get("title") {
                    let title = text_object(title, &["plain_text"], MAX_TITLE_CHARS);
                    shown.title = Some(title.map_err(|words| At("/title", place).wrong(&words))?);
                }
            }
            Some(kind @ ("section" | "header")) => {
                check_names(block, &["text", "expand"], &at)?;
                let (kinds, limit): (&[&str], _) = match kind {
                    "section" => (&["mrkdwn", "plain_text"], MAX_SECTION_CHARS),
                    _ => (&["plain_text"], MAX_HEADER_CHARS),
                };
                let text = text_object(&block["text"], kinds, limit);
                texts.push(text.map_err(|words| At("/text", place).wrong(&words))?);
            }
            Some("divider") => check_names(block, &[], &at)?,
            _ => return Err(At("/type", place).wrong("unsupported type")),
        }
    }
    shown.text = unescape(&texts.join("\n"));
    Ok(shown)
}

fn check_names(block: &Value, known: &[&str], at: &At<'_>) -> Result<(), Refused> {
    let names = block.as_object().into_iter().flat_map(|block| block.keys());
    let mut unknown = names.filter(|name| {
        !["type", "block_id"].contains(&name.as_str()) && !known.contains(&name.as_str())
    });
    match unknown.next() {
        Some(name) => Err(at.wrong(&format!("invalid additional property: {name}"))),
        None => Ok(()),
    }
}

fn text_object(object: &Value, kinds: &[&str], limit: usize) -> Result<String, String> {
    let (Some(kind), Some(text)) = (object["type"].as_str(), object["text"].as_str()) else {
        return Err("missing required field: text".to_owned());
    };
    if !kinds.contains(&kind) {
        return Err(format!("must be one of: {}", kinds.join(", ")));
    }
    if text.is_empty() {
        return Err("must be more than 0 characters".to_owned());
    }
    if text.chars().count() > limit {
        return Err(format!("must be less than {} characters", limit + 1));
    }
    Ok(text.to_owned())
}

/// An image that Slack has fetched.
async fn image(call: &Call<'_>, block: &Value, place: usize) -> Result<Medium, Refused> {
    let text = |name: &str| block[name].as_str();
    let url = text("image_url").filter(|url| wire::is_web_url(url));
    let url = url.ok_or_else(|| At("/image_url", place).wrong("must be a valid URL"))?;
    if url.chars().count() > MAX_URL_CHARS {
        return Err(At("/image_url", place).wrong("must be less than 3001 characters"));
    }
    let alt = text("alt_text");
    let alt =
        alt.ok_or_else(|| At("/alt_text", place).wrong("missing required field: alt_text"))?;
    if alt.chars().count() > MAX_ALT_CHARS {
        return Err(At("/alt_text", place).wrong("must be less than 2001 characters"));
    }
    let failed = || At("/image_url", place).wrong("downloading image failed");
    let received: Received = call.fetch(url).await.map_err(|_| failed())?;
    if received.family() != Some(Family::Image)
        || !received.mime.is_some_and(|mime| SHOWN.contains(&mime))
    {
        return Err(failed());
    }
    Ok(Medium {
        url: Some(url.to_owned()),
        alt: Some(alt.to_owned()),
        ..Medium::of(&received)
    })
}
