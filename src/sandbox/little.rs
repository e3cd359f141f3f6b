//! "Little text", the format of a LinkedIn commentary.
//!
//! <https://learn.microsoft.com/en-us/linkedin/marketing/community-management/shares/little-text-format>

use std::iter::Peekable;
use std::str::Chars;

use serde::Serialize;
use unicode_normalization::char::is_combining_mark;

use super::linkedin::is_urn;

/// Characters that mean something in a commentary unless a backslash precedes them.
const RESERVED: &str = "\\|{}@[]()<>#*_~";

/// A commentary as readers see it.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Its text, without any markup.
    pub(super) text: String,
    /// What of it can be clicked.
    pub(super) marks: Vec<Mark>,
}

/// A hashtag or a mention within a text.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    /// Where it begins, in UTF-16 units, as browsers count.
    at: usize,
    /// What it looks like.
    text: String,
    /// `hashtag`, or the URN of who is mentioned.
    to: String,
}

impl Shown {
    fn mark(&mut self, text: String, to: String) {
        let at = self.text.encode_utf16().count();
        self.text.push_str(&text);
        self.marks.push(Mark { at, text, to });
    }
}

/// Renders a commentary. From an unescaped reserved character on, LinkedIn drops the rest without a word; so does this,
/// for a test to notice. An escaped `#` makes no hashtag.
pub(super) fn render(commentary: &str) -> Shown {
    let mut shown = Shown::default();
    let mut rest = commentary.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some(escaped) if RESERVED.contains(escaped) => shown.text.push(escaped),
                _ => break,
            },
            '#' => match word(&mut rest) {
                Some(word) => shown.mark(format!("#{word}"), "hashtag".to_owned()),
                None => break,
            },
            '{' => match template(&mut rest) {
                Some(word) => shown.mark(format!("#{word}"), "hashtag".to_owned()),
                None => break,
            },
            '@' => match mention(&mut rest) {
                Some((name, urn)) => shown.mark(name, urn),
                None => break,
            },
            reserved if RESERVED.contains(reserved) => break,
            plain => shown.text.push(plain),
        }
    }
    shown
}

/// The word that follows a `#`.
fn word(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut word = String::new();
    while let Some(c) = rest.next_if(|c| c.is_alphanumeric() || is_combining_mark(*c)) {
        word.push(c);
    }
    (!word.is_empty()).then_some(word)
}

/// The word in `hashtag|\#|word}`, which follows a `{`.
fn template(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let inside: String = rest.by_ref().take_while(|c| *c != '}').collect();
    let word = inside.strip_prefix("hashtag|\\#|")?;
    let is_word = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    (!word.is_empty() && word.chars().all(is_word)).then(|| word.to_owned())
}

/// Name and URN in `[Name](urn:li:organization:1)`, which follows an `@`. In the name reserved characters are escaped.
fn mention(rest: &mut Peekable<Chars<'_>>) -> Option<(String, String)> {
    rest.next_if_eq(&'[')?;
    let mut name = String::new();
    loop {
        match rest.next()? {
            ']' => break,
            '\\' => name.push(rest.next().filter(|c| RESERVED.contains(*c))?),
            c if RESERVED.contains(c) => return None,
            c => name.push(c),
        }
    }
    rest.next_if_eq(&'(')?;
    let urn: String = rest.by_ref().take_while(|c| *c != ')').collect();
    is_urn(&urn, &["person", "organization"]).then_some((name, urn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_text(commentary: &str) -> String {
        render(commentary).text
    }

    #[test]
    fn escaped_text_is_shown_without_its_backslashes() {
        assert_eq!(
            plain_text(r"a \(b\) \[c\] 50\_% \#x \\ \@me"),
            r"a (b) [c] 50_% #x \ @me"
        );
    }

    #[test]
    fn text_is_cut_at_the_first_unescaped_reserved_character() {
        for (commentary, shown) in [
            ("see (below)", "see "),
            ("a_b", "a"),
            (r"C:\dir", "C:"),
            ("mail me@example.com", "mail me"),
            ("C# is", "C"),
            (r"ends with \", "ends with "),
        ] {
            assert_eq!(plain_text(commentary), shown);
        }
    }

    #[test]
    fn hashtags_and_mentions_need_no_escape() {
        for (commentary, text, marks) in [
            (
                "go #rust now",
                "go #rust now",
                &[(3, "#rust", "hashtag")][..],
            ),
            (
                r"🙂 {hashtag|\#|jobs}!",
                "🙂 #jobs!",
                &[(3, "#jobs", "hashtag")],
            ),
            (
                r"by @[Dev \(Co\)](urn:li:organization:1)!",
                "by Dev (Co)!",
                &[(3, "Dev (Co)", "urn:li:organization:1")],
            ),
            // Dead: plain text.
            (
                r"go \#rust \@\[x\]\(urn:li:person:a\)",
                "go #rust @[x](urn:li:person:a)",
                &[],
            ),
            ("a {hashtag|rust} b", "a ", &[]),
            ("a @[x](urn:li:share:1) b", "a ", &[]),
        ] {
            let shown = render(commentary);
            assert_eq!(shown.text, text);
            let found: Vec<_> = shown
                .marks
                .iter()
                .map(|mark| (mark.at, &*mark.text, &*mark.to))
                .collect();
            assert_eq!(found, marks, "{commentary}");
        }
    }
}
