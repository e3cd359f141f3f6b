//! Whether a text that a platform lists is one that it was sent. Platforms trim texts, merge blanks, compose
//! characters, and some drop signs or cut texts off.

use unicode_normalization::UnicodeNormalization;

/// They differ in blanks and in the form of their characters, if at all.
pub(super) fn is_same(sent: &str, listed: &str) -> bool {
    words(sent) == words(listed)
}

/// What is listed may have been made of what was sent: it has the same letters and digits, or the first of them.
pub(super) fn is_alike(sent: &str, listed: &str) -> bool {
    let (sent, listed) = (letters(sent), letters(listed));
    if listed.is_empty() {
        return sent.is_empty();
    }
    sent.starts_with(&listed)
}

fn words(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn letters(text: &str) -> String {
    let letters = text.nfkc().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_the_form_of_characters_make_no_other_text() {
        for (sent, listed) in [
            ("Hi  you\r\n", "Hi you"),
            ("Cafe\u{301}", "Caf\u{e9}"),
            ("a\u{a0}b\n\nc", "a b c"),
        ] {
            assert!(is_same(sent, listed), "{sent} {listed}");
            assert!(is_alike(sent, listed), "{sent} {listed}");
        }
        assert!(!is_same("Hi you", "Hi You"));
    }

    #[test]
    fn what_lost_its_signs_or_its_end_is_alike() {
        for (sent, listed, alike) in [
            ("Hi <you> *there*", "hi you there", true),
            ("Hi you there", "Hi you", true),
            ("Hi you", "Hi you there", false),
            ("Hi you", "", false),
            ("\u{1f600}", "!", true),
            ("Hi", "Ho", false),
        ] {
            assert_eq!(is_alike(sent, listed), alike, "{sent} {listed}");
        }
    }
}
