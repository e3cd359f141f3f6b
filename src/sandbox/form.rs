//! Forms with a file: `multipart/form-data`.

use axum::body::{Body, Bytes};

use super::media::Received;
use super::wire::Call;

/// The file of a form.
pub(super) struct File {
    pub(super) field: String,
    pub(super) bytes: Bytes,
}

impl File {
    /// Whether it is called as Meta's documentation calls a medium, or numbered as its own clients do.
    pub(super) fn is_source(&self) -> bool {
        let number = self.field.strip_prefix("source");
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    pub(super) fn received(&self) -> Received {
        Received::whole(&self.bytes)
    }
}

/// A `multipart/form-data` body.
#[derive(Default)]
pub(super) struct Form {
    pub(super) texts: Vec<(String, String)>,
    pub(super) file: Option<File>,
}

pub(super) fn is_form(call: &Call<'_>) -> bool {
    call.content_type() == "multipart/form-data"
}

/// Reads a form with at most one file, whole, up to so many bytes. The error says what is wrong with it.
pub(super) async fn read(call: &Call<'_>, body: Body, limit: usize) -> Result<Form, &'static str> {
    let boundary = call
        .header("content-type")
        .and_then(|value| value.split_once("boundary="))
        .map(|(_, rest)| rest.split(';').next().unwrap_or(rest).trim_matches('"'));
    let boundary = boundary.ok_or("it has no boundary")?;
    let body = axum::body::to_bytes(body, limit).await;
    let body = body.map_err(|_| "it ends too early, or is too large")?;
    let mut form = Form::default();
    for (head, range) in parts(&body, boundary).ok_or("it has no end")? {
        let content = body.slice(range);
        let name = parameter(&head, "name").ok_or("a part has no name")?;
        if parameter(&head, "filename").is_none() {
            let text = String::from_utf8_lossy(&content).into_owned();
            form.texts.push((name, text));
        } else if form.file.is_some() {
            return Err("it has two files");
        } else {
            form.file = Some(File {
                field: name,
                bytes: content,
            });
        }
    }
    Ok(form)
}

/// The parts' heads and where their contents are.
fn parts(body: &[u8], boundary: &str) -> Option<Vec<(String, std::ops::Range<usize>)>> {
    let delimiter = format!("\r\n--{boundary}");
    // The first one may stand at the very beginning.
    let mut at = delimiter.len() - 2;
    if !body.starts_with(&delimiter.as_bytes()[2..]) {
        return None;
    }
    let mut parts = Vec::new();
    while !body[at..].starts_with(b"--") {
        let start = at + find(&body[at..], b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&body[at..start]).into_owned();
        let end = start + find(&body[start..], delimiter.as_bytes())?;
        parts.push((head, start..end));
        at = end + delimiter.len();
    }
    Some(parts)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let places = bytes.iter().enumerate();
    let mut places = places.filter(|(_, byte)| **byte == first);
    places
        .find(|(at, _)| bytes[*at..].starts_with(wanted))
        .map(|(at, _)| at)
}

/// A parameter of `Content-Disposition: form-data; name="source"; filename="photo"`.
fn parameter(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines();
    let line = lines.find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    let mut parameters = line.split(';').map(str::trim);
    let value = parameters.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_split_at_its_boundary() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\n\
            content-disposition: form-data; name=\"f\"; filename=\"p\"\r\nContent-Type: image/png\r\n\r\n\r\n--\r\n--x--\r\n";
        let parts = parts(body, "x").unwrap();
        let parts: Vec<_> = parts
            .iter()
            .map(|(head, range)| {
                let file = parameter(head, "filename").is_some();
                (parameter(head, "name").unwrap(), file, &body[range.clone()])
            })
            .collect();
        let expected = [
            ("a".to_owned(), false, &b"1"[..]),
            ("f".to_owned(), true, &b"\r\n--"[..]),
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_form_without_an_end_is_none() {
        for body in ["", "--y\r\n", "--x\r\n", "--x\r\nname\r\n\r\n1", "--x"] {
            assert!(parts(body.as_bytes(), "x").is_none(), "{body:?}");
        }
    }
}
