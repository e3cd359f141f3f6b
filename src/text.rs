//! Text of strangers on its way to people: it stays on its line, commands no terminal, and hides nothing.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character would command a terminal or turn the direction of the text around it. What is sent to platforms
/// keeps it.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Bidi_Control.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line ends that are none to most programs, and a mark that nobody sees.
            | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
}

/// The text with its escapes spelled out, such as `\u{202e}`. Line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_kept = |c| matches!(c, '\n' | '\t') || !is_unseen(c);
    spelled_out(text, is_kept, |shown, c| shown.extend(c.escape_unicode()))
}

/// The same, but for changes of colour.
pub fn visible_colored(text: &str) -> Cow<'_, str> {
    let mut parts = text.split("\u{1b}[");
    let mut shown = visible(parts.next().unwrap_or_default()).into_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';');
        let is_color = end.is_some_and(|end| part[end..].starts_with('m'));
        shown.push_str(if is_color { "\u{1b}[" } else { "\\u{1b}[" });
        shown.push_str(&visible(part));
    }
    Cow::Owned(shown)
}

/// JSON that means the same, with the escapes of JSON for what is unseen in its strings.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // Between its tokens there are only line ends and blanks.
    let is_kept = |c| c == '\n' || !is_unseen(c);
    spelled_out(json, is_kept, |shown, c| {
        write!(shown, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
    })
}

/// The text with each character spelled that is not kept; most texts have none.
fn spelled_out(
    text: &str,
    is_kept: impl Fn(char) -> bool,
    spell: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if text.chars().all(&is_kept) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_kept(c) {
            shown.push(c);
        } else {
            spell(&mut shown, c);
        }
    }
    Cow::Owned(shown)
}

/// Text on one line with its escapes spelled out, at most so many characters.
pub fn one_line(text: &str, limit: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&visible(&words), limit)
}

/// Text on one line without control characters, at most so many characters with the mark that it was cut. For
/// platforms: nothing is spelled out.
pub fn shortened(text: &str, limit: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clean: String = words.chars().filter(|c| !c.is_control()).collect();
    if clean.chars().count() > limit {
        return cut(&clean, limit - 1);
    }
    clean
}

/// At most so many characters, and a mark if there were more.
fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_or_hides_is_spelled_out() {
        for (text, shown) in [
            ("plain\n\ttext", "plain\n\ttext"),
            ("a \u{1b}[31mred\u{7f}", r"a \u{1b}[31mred\u{7f}"),
            ("\u{9b}2J \r", r"\u{9b}2J \u{d}"),
            ("\u{202e}gnp.exe\u{202c}", r"\u{202e}gnp.exe\u{202c}"),
            ("\u{2066}a\u{2069}\u{200f}", r"\u{2066}a\u{2069}\u{200f}"),
            // Families of emoji are joined, and Persian words divided, by what nobody sees.
            (
                "👩\u{200d}👧 می\u{200c}خواهم",
                "👩\u{200d}👧 می\u{200c}خواهم",
            ),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn colours_stay_where_they_may() {
        let line = "\u{1b}[2mINFO\u{1b}[0;1m a \u{1b}[2J \u{1b}]0;x\u{7}";
        let shown = "\u{1b}[2mINFO\u{1b}[0;1m a \\u{1b}[2J \\u{1b}]0;x\\u{7}";
        assert_eq!(visible_colored(line), shown);
    }

    #[test]
    fn json_means_the_same() {
        let value = serde_json::json!({"a": "\u{1b}\u{7f}\u{202e}x\u{9b}\u{2028}\n"});
        for json in [value.to_string(), format!("{value:#}")] {
            let shown = visible_json(&json);
            assert!(shown.is_ascii(), "{shown}");
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, value);
        }
    }

    #[test]
    fn a_line_is_one_and_no_longer_than_asked() {
        assert_eq!(one_line(" a\r\n b\u{1b} ", 20), r"a b\u{1b}");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("abc", 3), "abc");
        assert_eq!(shortened("abcdef", 3), "ab…");
        assert_eq!(shortened("a\u{202e}\u{1b}b", 3), "a\u{202e}b");
    }
}
