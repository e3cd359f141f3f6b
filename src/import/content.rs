//! What a post says, from the columns in which a person wrote it.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::Cell;
use super::check::Row;
use crate::post::{Content, Kind};

/// Reads the content; whatever is wrong is noted in the row.
pub(super) fn read(row: &mut Row<'_>, directory: &Path) -> Content {
    let content = Content {
        kind: kind(row),
        body: body(row),
        link: row.text("link"),
        media: media(row, directory),
        options: options(row),
    };
    if let Err(message) = content.media() {
        row.problem("media", message);
    }
    content
}

fn kind(row: &mut Row<'_>) -> Kind {
    let Some(name) = row.text("kind") else {
        return Kind::default();
    };
    Kind::from_str(&name, false).unwrap_or_else(|_| {
        row.problem(
            "kind",
            format!("`{name}` is none of post, story, reel, reply"),
        );
        Kind::default()
    })
}

/// The one text that keeps the space around it.
fn body(row: &mut Row<'_>) -> String {
    match row.field("body").map(|field| &field.cell) {
        None => String::new(),
        Some(Cell::Text(text)) => text.clone().into_owned(),
        Some(Cell::Json(Value::String(text))) => text.clone(),
        Some(Cell::Json(_)) => {
            row.problem("body", "must be text");
            String::new()
        }
    }
}

fn media(row: &mut Row<'_>, directory: &Path) -> Vec<Value> {
    let Some(items) = list(row, "media") else {
        return Vec::new();
    };
    let mut media: Vec<Value> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        match medium(item, directory) {
            Ok(medium) => media.push(medium),
            Err(message) => row.problem("media", format!("media {}: {message}", index + 1)),
        }
    }
    describe(row, &mut media);
    media
}

/// One item: a URL, a path, or the object that the database holds.
fn medium(item: Value, directory: &Path) -> Result<Value, String> {
    match item {
        Value::String(text) if text.trim().is_empty() => Err("is empty".to_owned()),
        Value::String(text) => named(text.trim(), directory),
        Value::Object(mut members) => {
            if let Some(Value::String(path)) = members.get("path") {
                let path = absolute(path, directory)?;
                members.insert("path".to_owned(), path.into());
            }
            Ok(Value::Object(members))
        }
        _ => Err("must be a URL, a path or an object".to_owned()),
    }
}

fn named(text: &str, directory: &Path) -> Result<Value, String> {
    let scheme = text
        .split_once("://")
        .map(|(scheme, _)| scheme.to_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "s3") => Ok(json!({"url": text})),
        Some(scheme) => Err(format!(
            "`{scheme}://` is not supported; use https://, s3:// or a path"
        )),
        None => Ok(json!({"path": absolute(text, directory)?})),
    }
}

/// A later run may start in another directory.
fn absolute(path: &str, directory: &Path) -> Result<String, String> {
    let path: PathBuf = directory.join(path).components().collect();
    let path = path.into_os_string().into_string();
    path.map_err(|_| "the current directory's name is not UTF-8".to_owned())
}

/// Gives each medium its description from `alt`.
fn describe(row: &mut Row<'_>, media: &mut [Value]) {
    let alts = list(row, "alt").unwrap_or_default();
    if alts.len() > media.len() {
        let message = format!("describes {} media, there are {}", alts.len(), media.len());
        return row.problem("alt", message);
    }
    for (medium, alt) in media.iter_mut().zip(alts) {
        match (alt, medium) {
            (Value::String(alt), _) if alt.trim().is_empty() => {}
            (Value::Null, _) => {}
            (Value::String(alt), Value::Object(members)) if !members.contains_key("alt") => {
                members.insert("alt".to_owned(), alt.trim().into());
            }
            (Value::String(_), _) => row.problem("alt", "a medium has its own \"alt\" already"),
            _ => row.problem("alt", "must be text"),
        }
    }
}

/// The items of a list: JSON, or text with `|` between them.
fn list(row: &mut Row<'_>, name: &str) -> Option<Vec<Value>> {
    let value = match &row.field(name)?.cell {
        Cell::Text(text) if text.trim_start().starts_with('[') => {
            let value = json_of(text);
            row.keep(name, value)?
        }
        Cell::Text(text) => return Some(split(text)),
        Cell::Json(Value::String(text)) => return Some(split(text)),
        Cell::Json(value) => value.clone(),
    };
    if let Value::Array(items) = value {
        return Some(items);
    }
    row.problem(name, "must be a list");
    None
}

fn split(text: &str) -> Vec<Value> {
    text.split('|').map(|part| part.trim().into()).collect()
}

/// `options`, and every `option.NAME`.
fn options(row: &mut Row<'_>) -> Map<String, Value> {
    let value = match row.field("options").map(|field| &field.cell) {
        None => Some(json!({})),
        Some(Cell::Text(text)) => row.keep("options", json_of(text)),
        Some(Cell::Json(value)) => Some(value.clone()),
    };
    let mut options = match value {
        Some(Value::Object(options)) => options,
        Some(_) => {
            row.problem(
                "options",
                "must be a JSON object, such as {\"title\": \"…\"}",
            );
            Map::new()
        }
        None => Map::new(),
    };
    let record = row.record;
    for field in &record.fields {
        let Some(name) = field.name.strip_prefix("option.") else {
            continue;
        };
        let Some(field) = row.field(&field.name) else {
            continue;
        };
        if options
            .insert(name.to_owned(), option(&field.cell))
            .is_some()
        {
            row.problem(&field.name, "is in options, too");
        }
    }
    options
}

fn option(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Json(value) => value.clone(),
        Cell::Text(text) => typed(text),
    }
}

/// The value of `NAME=VALUE`: text, except that `true`, `false` and what reads as a JSON list or object are that.
pub fn typed(text: &str) -> Value {
    match text.trim() {
        "true" => true.into(),
        "false" => false.into(),
        text if text.starts_with(['[', '{']) => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        text => text.into(),
    }
}

fn json_of(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("is not JSON: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::{Field, Place, Record};

    /// The media and what is wrong with them, from cells of a CSV.
    fn media_of(media: &str, alt: &str) -> (Value, Vec<String>) {
        let place = Place { line: 1, column: 1 };
        let field = |(name, text): (&'static str, &str)| Field {
            name: name.into(),
            place,
            cell: Cell::Text(text.to_owned().into()),
        };
        let fields = [("media", media), ("alt", alt)].map(field).into();
        let record = Record { place, fields };
        let mut row = Row::new(&record);
        let content = read(&mut row, Path::new("/srv"));
        let problems = row.problems.into_iter().map(|problem| problem.message);
        (content.media.into(), problems.collect())
    }

    #[test]
    fn each_medium_gets_its_description() {
        let (media, problems) = media_of("a.jpg | https://x.example/b.jpg|c.jpg", "A||C c");
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(
            media,
            json!([
                {"path": "/srv/a.jpg", "alt": "A"},
                {"url": "https://x.example/b.jpg"},
                {"path": "/srv/c.jpg", "alt": "C c"},
            ])
        );
        let (media, _) = media_of(r#"["a|b.jpg", {"url": "https://x.example"}]"#, "");
        assert_eq!(
            media,
            json!([{"path": "/srv/a|b.jpg"}, {"url": "https://x.example"}])
        );
        let (_, problems) = media_of(r#"[{"path": "a.jpg", "alt": "A"}]"#, "B");
        assert_eq!(problems, ["a medium has its own \"alt\" already"]);
    }

    #[test]
    fn a_path_is_stored_so_that_any_directory_will_do() {
        let directory = Path::new("/srv/posts");
        for (text, path) in [
            ("a.jpg", "/srv/posts/a.jpg"),
            ("./img/a b.jpg", "/srv/posts/img/a b.jpg"),
            ("/tmp/a.jpg", "/tmp/a.jpg"),
        ] {
            assert_eq!(medium(text.into(), directory), Ok(json!({"path": path})));
            let object = json!({"path": text, "alt": "x"});
            assert_eq!(
                medium(object, directory),
                Ok(json!({"path": path, "alt": "x"}))
            );
        }
        let url = "HTTPS://example.com/a.jpg";
        assert_eq!(medium(url.into(), directory), Ok(json!({"url": url})));
        assert!(medium(7.into(), directory).is_err());
    }
}
