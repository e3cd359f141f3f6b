//! A post on paper: one row of a list, or the whole page.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use crate::schedule::minute;
use crate::text::one_line;

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

/// A row of `posts list --status unconfirmed`: since when, and when it is looked up next.
pub(super) fn row_in_doubt(post: &Value) -> Vec<String> {
    let mut row = row(post);
    let next = next_look(post).map_or_else(|| "left to you".to_owned(), minute);
    let since = doubt_since(post).map(minute).unwrap_or_default();
    row.splice(3..4, [since, next]);
    row
}

/// Since when nobody knows whether the post is live: the first of the look-ups that end its history.
pub(super) fn doubt_since(post: &Value) -> Option<DateTime<Utc>> {
    let history = post["history"].as_array()?;
    let doubts = history.iter().rev();
    let first = doubts
        .take_while(|entry| entry["outcome"] == "unconfirmed")
        .last();
    first
        .and_then(|entry| instant(entry, "at"))
        .or_else(|| instant(post, "updated_at"))
}

/// When an unconfirmed post is looked up next; `None`: never, it is a person's.
fn next_look(post: &Value) -> Option<DateTime<Utc>> {
    instant(post, "due_at").filter(|at| !is_never(*at))
}

/// The day that stands for it.
fn is_never(at: DateTime<Utc>) -> bool {
    at.year() >= 9999
}

/// What becomes of a post in doubt, and what to type to settle it.
pub(in crate::cli) fn way_out(id: &str, next_look: Option<DateTime<Utc>>) -> String {
    let next = match next_look.filter(|at| !is_never(*at)) {
        Some(at) => format!("it is looked up again {}", minute(at)),
        None => "it is looked up no more".to_owned(),
    };
    format!(
        "{next}; to settle it: `publisher posts resolve {id} --published URL`, or --not-published to send it again"
    )
}

/// `posts show`: whatever there is to say, in the order in which it is asked for.
pub(super) fn page(post: &Value, zone: Option<Tz>) -> String {
    let mut page = format!("post {}: {}\n", post["id"], text(post, "status"));
    let time = |name: &str| instant(post, name).map(|at| in_both(at, zone));
    let retried = post["due_at"] != post["scheduled_at"] && post["status"] == "pending";
    let unsure = post["status"] == "unconfirmed";
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
        (
            "unsure since",
            doubt_since(post)
                .filter(|_| unsure)
                .map(|at| in_both(at, zone)),
        ),
        (
            "what to do",
            unsure.then(|| way_out(&post["id"].to_string(), next_look(post))),
        ),
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
        (
            "upload",
            said(post, "checkpoint").map(|_| "is under way".to_owned()),
        ),
        ("group", said(post, "group_id")),
        ("your id", said(post, "external_ref")),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            let value = value.replace('\n', "\n             ");
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
    let content = content.replace('\n', "\n  ");
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

pub(super) fn instant(post: &Value, name: &str) -> Option<DateTime<Utc>> {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_post_in_doubt_says_since_when_and_what_to_do() {
        let mut post = json!({
            "id": 7, "status": "unconfirmed", "account": "slack:C1", "owner": "acme",
            "scheduled_at": "2026-07-01T07:00:00.000Z", "due_at": "2026-07-01T07:30:00.000Z", "attempts": 1,
            "max_attempts": 5, "body": "Hello", "updated_at": "2026-07-01T07:20:00.000Z",
            "history": [
                {"at": "2026-07-01T07:01:00.000Z", "outcome": "unconfirmed"},
                {"at": "2026-07-01T07:02:00.000Z", "outcome": "retry"},
                {"at": "2026-07-01T07:05:00.000Z", "outcome": "unconfirmed"},
                {"at": "2026-07-01T07:20:00.000Z", "outcome": "unconfirmed"},
            ],
        });
        let shown = page(&post, None);
        for line in [
            "\nunsure since 2026-07-01 07:05Z\n",
            "\nwhat to do   it is looked up again 2026-07-01 07:30Z; to settle it: `publisher posts resolve 7 --pub",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        let row = row_in_doubt(&post);
        assert_eq!(
            row[2..5],
            [
                "2026-07-01 07:00Z",
                "2026-07-01 07:05Z",
                "2026-07-01 07:30Z"
            ]
        );

        post["due_at"] = json!("9999-12-31T00:00:00.000Z");
        // An application wrote the history.
        post["history"] = json!([{"at": 5, "outcome": "unconfirmed"}]);
        let row = row_in_doubt(&post);
        assert_eq!(
            row[2..5],
            ["2026-07-01 07:00Z", "2026-07-01 07:20Z", "left to you"]
        );
        assert!(page(&post, None).contains("looked up no more"));
    }

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
  \u{1b}[2Jworld

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
                r"Hello \u{1b}[2Jworld"
            ]
        );
    }
}
