//! A post on paper: one row of a list, or the whole page.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::http::one_line;
use crate::schedule::minute;

/// A row of `posts list`.
pub(super) fn row(post: &Value) -> Vec<String> {
    vec![
        post["id"].to_string(),
        text(post, "account"),
        instant(post, "scheduled_at")
            .map(minute)
            .unwrap_or_default(),
        text(post, "status"),
        format!("{}/{}", post["attempts"], post["max_attempts"]),
        one_line(&text(post, "body"), 60),
    ]
}

/// `posts show`: whatever there is to say, in the order in which it is asked for.
pub(super) fn page(post: &Value, zone: Option<Tz>) -> String {
    let mut page = format!("post {}: {}\n", post["id"], text(post, "status"));
    let time = |name: &str| instant(post, name).map(|at| in_both(at, zone));
    let retried = post["due_at"] != post["scheduled_at"] && post["status"] == "pending";
    let lines = [
        (
            "account",
            Some(format!(
                "{} (owner {})",
                text(post, "account"),
                text(post, "owner")
            )),
        ),
        ("kind", said(post, "kind").filter(|kind| kind != "post")),
        ("scheduled", time("scheduled_at")),
        (
            "asked for",
            said(post, "local_time").map(|t| t.replace('T', " ")),
        ),
        ("next try", time("due_at").filter(|_| retried)),
        ("expires", time("expires_at")),
        (
            "priority",
            said(post, "priority").filter(|number| number != "0"),
        ),
        (
            "attempts",
            Some(format!("{} of {}", post["attempts"], post["max_attempts"])),
        ),
        (
            "claimed by",
            said(post, "claim").map(|run| format!("run {run}")),
        ),
        ("lease until", time("lease_until")),
        ("published", time("published_at")),
        ("permalink", said(post, "permalink")),
        ("platform id", said(post, "platform_post_id")),
        ("error", error(post)),
        ("link", said(post, "link")),
        ("media", media(post)),
        (
            "options",
            said(post, "options").filter(|options| options != "{}"),
        ),
        ("upload", said(post, "checkpoint")),
        ("group", said(post, "group_id")),
        ("your id", said(post, "external_ref")),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            let value = visible(&value).replace('\n', "\n             ");
            writeln!(page, "{name:<12} {value}").expect("a String takes everything");
        }
    }
    section(&mut page, "text", &text(post, "body"));
    section(&mut page, "history", &history(post));
    page.trim_end().to_owned()
}

fn section(page: &mut String, name: &str, content: &str) {
    if content.is_empty() {
        return;
    }
    let content = visible(content).replace('\n', "\n  ");
    write!(page, "\n{name}:\n  {content}\n").expect("a String takes everything");
}

fn text(post: &Value, name: &str) -> String {
    post[name].as_str().unwrap_or_default().to_owned()
}

/// The value in words, if there is one.
fn said(post: &Value, name: &str) -> Option<String> {
    match &post[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        value => Some(value.to_string()),
    }
}

fn instant(post: &Value, name: &str) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(post[name].as_str()?).ok()?;
    Some(at.to_utc())
}

fn in_both(at: DateTime<Utc>, zone: Option<Tz>) -> String {
    match zone.filter(|zone| *zone != Tz::UTC) {
        Some(zone) => {
            let local = at.with_timezone(&zone).format("%Y-%m-%d %H:%M");
            format!("{} ({local} {zone})", minute(at))
        }
        None => minute(at),
    }
}

fn error(post: &Value) -> Option<String> {
    let class = said(post, "error_class");
    let code = said(post, "error_code").map(|code| format!("code {code}"));
    let parts: Vec<String> = [class, code, said(post, "error")]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| parts.join(": "))
}

fn media(post: &Value) -> Option<String> {
    let line = |medium: &Value| {
        let place = said(medium, "url").or_else(|| said(medium, "path"));
        let place = place.unwrap_or_else(|| medium.to_string());
        match said(medium, "alt") {
            Some(alt) => format!("{place} ({alt})"),
            None => place,
        }
    };
    let lines: Vec<String> = post["media"].as_array()?.iter().map(line).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// One line per attempt: its members as they are.
fn history(post: &Value) -> String {
    let line = |entry: &Value| {
        let Some(members) = entry.as_object() else {
            return entry.to_string();
        };
        let words = members
            .keys()
            .filter_map(|name| Some(format!("{name} {}", said(entry, name)?)));
        words.collect::<Vec<_>>().join(", ")
    };
    let entries = post["history"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a stranger wrote must not command the terminal.
fn visible(text: &str) -> String {
    text.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failed_post_tells_its_whole_story() {
        let post = json!({
            "id": 7, "status": "failed", "account": "facebook:1001", "owner": "acme", "kind": "post",
            "scheduled_at": "2026-07-01T07:00:00.000Z", "due_at": "2026-07-01T07:00:00.000Z",
            "local_time": "2026-07-01T09:00:00", "timezone": "Europe/Berlin", "expires_at": null,
            "priority": 0, "attempts": 1, "max_attempts": 5, "claim": null, "lease_until": null,
            "published_at": null, "permalink": null, "platform_post_id": null,
            "error_class": "rejected", "error_code": "100", "error": "Two\nlines",
            "link": "https://example.com", "media": [{"path": "/a.jpg", "alt": "A cat"}],
            "options": {}, "checkpoint": null, "group_id": null, "external_ref": "x-1",
            "body": "Hello\n\u{1b}[2Jworld", "history": [{"attempt": 1, "outcome": "rejected", "code": null}],
        });
        let expected = "\
post 7: failed
account      facebook:1001 (owner acme)
scheduled    2026-07-01 07:00Z (2026-07-01 09:00 Europe/Berlin)
asked for    2026-07-01 09:00:00
attempts     1 of 5
error        rejected: code 100: Two
             lines
link         https://example.com
media        /a.jpg (A cat)
your id      x-1

text:
  Hello
  [2Jworld

history:
  attempt 1, outcome rejected";
        assert_eq!(page(&post, Some(Tz::Europe__Berlin)), expected);
        assert_eq!(
            row(&post),
            [
                "7",
                "facebook:1001",
                "2026-07-01 07:00Z",
                "failed",
                "1/5",
                "Hello [2Jworld"
            ]
        );
    }
}
