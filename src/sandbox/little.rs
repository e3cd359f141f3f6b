//! "Little text", the format of a LinkedIn commentary.
//!
//! <https://learn.microsoft.com/en-us/linkedin/marketing/community-management/shares/little-text-format>

use std::iter::Peekable;
use std::str::Chars;

use super::linkedin::is_urn;

/// Characters that mean something in a commentary unless a backslash precedes them.
const RESERVED: &str = "\\|{}@[]()<>#*_~";

/// A commentary as readers see it. From an unescaped reserved character on, LinkedIn drops the rest
/// without a word; so does this, for a test to notice.
pub(super) fn plain_text(commentary: &str) -> String {
    let mut text = String::with_capacity(commentary.len());
    let mut rest = commentary.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => match rest.next() {
                Some(escaped) if RESERVED.contains(escaped) => text.push(escaped),
                _ => break,
            },
            '#' if rest.peek().is_some_and(|next| next.is_alphanumeric()) => text.push('#'),
            '@' => match mention(&mut rest) {
                Some(name) => text.push_str(&name),
                None => break,
            },
            reserved if RESERVED.contains(reserved) => break,
            plain => text.push(plain),
        }
    }
    text
}

/// The name in `[Name](urn:li:organization:1)`, which follows an `@`.
fn mention(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    rest.next_if_eq(&'[')?;
    let name = rest.by_ref().take_while(|c| *c != ']').collect();
    rest.next_if_eq(&'(')?;
    let urn: String = rest.by_ref().take_while(|c| *c != ')').collect();
    is_urn(&urn, &["person", "organization"]).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(plain_text("go #rust now"), "go #rust now");
        assert_eq!(
            plain_text("by @[Dev Co](urn:li:organization:1)!"),
            "by Dev Co!"
        );
    }
}
