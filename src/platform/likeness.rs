//! Whether a text that a platform lists is one that it was sent.
//!
//! Platforms trim texts, merge blanks and compose characters; they drop signs and the variants of emoji, cut texts off,
//! put names where accounts were mentioned and short links where long ones were. What such a change could have made of a
//! text is similar to it, and only what is not similar is surely another text.

use unicode_normalization::UnicodeNormalization;

/// Whether something listed is what is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Likeness {
    /// It is another one.
    Other,
    /// It may be it: platforms change texts so.
    Similar,
    /// It says the same.
    Same,
    /// An id or a mark proves it.
    Itself,
}

impl Likeness {
    /// Of a listed text with one that was sent.
    pub(super) fn of(sent: &str, listed: &str) -> Self {
        if plain(sent) == plain(listed) {
            Self::Same
        } else if is_cut_off(sent, listed) || shares_most_words(sent, listed) {
            Self::Similar
        } else {
            Self::Other
        }
    }

    /// The same where something beside the text differs, or can't be compared.
    pub(super) fn unsure(self) -> Self {
        self.min(Self::Similar)
    }
}

/// Signs that choose between the variants of an emoji or a letter, or join emoji.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// The text without what nobody reads as a difference: the form of its characters, the variants of emoji, blanks.
fn plain(text: &str) -> String {
    let composed: String = text.nfc().filter(|c| !is_selector(*c)).collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the listed text is the beginning of what was sent, but for signs.
fn is_cut_off(sent: &str, listed: &str) -> bool {
    let end = listed.rfind('\u{2026}').or_else(|| listed.rfind("..."));
    let [sent, whole, kept] = [sent, listed, &listed[..end.unwrap_or(listed.len())]].map(letters);
    if whole.is_empty() {
        return sent.is_empty();
    }
    let begins_with = |part: &str| {
        let rest = sent.strip_prefix(part).unwrap_or("x");
        // A number that goes on is another number.
        let is_in_number = part.ends_with(char::is_numeric) && rest.starts_with(char::is_numeric);
        sent.starts_with(part) && !is_in_number
    };
    begins_with(&whole) || !kept.is_empty() && begins_with(&kept)
}

fn letters(text: &str) -> String {
    let letters = text.nfkc().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether all words of the shorter one but few are in the other, links and mentions aside, and the longer one is not so
/// much longer that it must be about something else. No platform makes another number of one.
fn shares_most_words(sent: &str, listed: &str) -> bool {
    let (said, read) = (words(sent), words(listed));
    if read.is_empty() && !said.is_empty() {
        return false;
    }
    let has_all = |text: &str, words: &[String]| {
        let known = numbers(text);
        words
            .iter()
            .flat_map(|word| numbers(word))
            .all(|number| known.contains(&number))
    };
    if !has_all(sent, &read) || !has_all(listed, &said) {
        return false;
    }
    let (shorter, longer) = if said.len() <= read.len() {
        (said, read)
    } else {
        (read, said)
    };
    let mut left = longer.clone();
    let missing = shorter.iter().filter(|word| {
        let place = left.iter().position(|other| other == *word);
        place.map(|place| left.swap_remove(place)).is_none()
    });
    missing.count() <= shorter.len() / 6 && longer.len() <= shorter.len() * 2 + 4
}

fn numbers(text: &str) -> Vec<String> {
    let plain: String = text.nfkc().collect();
    let parts = plain.split(|c: char| !c.is_numeric());
    let numbers = parts.filter(|part| !part.is_empty());
    numbers.map(str::to_owned).collect()
}

/// Whether a part of a text is an address or a mention, however it is written.
fn is_reference(part: &str) -> bool {
    let plain = part.trim_matches(|c: char| !c.is_alphanumeric() && c != '@' && c != '/');
    let is_host = |text: &str| {
        let labels: Vec<&str> = text.split('.').collect();
        let is_label = |label: &&str| label.chars().all(|c| c.is_alphanumeric() || c == '-');
        labels.len() > 1 && labels.iter().all(is_label) && labels.iter().all(|l| !l.is_empty())
    };
    let host = plain.split(['/', '?', '#', ':']).next().unwrap_or_default();
    plain.starts_with('@')
        || plain.contains("://")
        || is_host(host) && !host.contains(char::is_numeric)
}

/// A text without signs that are written as numbers (`&#39;`).
fn without_entities(text: &str) -> String {
    let mut parts = text.split("&#");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(';') {
            Some((number, rest))
                if number.len() <= 7 && number.chars().all(char::is_alphanumeric) =>
            {
                plain.push(' ');
                plain.push_str(rest);
            }
            _ => {
                plain.push_str("&#");
                plain.push_str(part);
            }
        }
    }
    plain
}

/// What a text says beside its links and mentions, which come back as others.
fn words(text: &str) -> Vec<String> {
    let text = without_entities(text);
    let said = text.split_whitespace().filter(|part| !is_reference(part));
    let mut words = Vec::new();
    for part in said {
        let mut word = String::new();
        for c in part.nfkc().flat_map(char::to_lowercase) {
            if is_of_its_own(c) || !c.is_alphanumeric() {
                words.push(std::mem::take(&mut word));
            }
            if is_of_its_own(c) {
                words.push(c.to_string());
            } else if c.is_alphanumeric() {
                word.push(c);
            }
        }
        words.push(word);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether the script knows no blanks between words: there each letter is taken for one.
fn is_of_its_own(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
        && c.is_alphanumeric()
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
            ("with \u{2764}\u{fe0f}", "with \u{2764}"),
            ("\u{1f44d}\u{1f3fd} done", "\u{1f44d} done"),
            ("", " \n"),
        ] {
            assert_eq!(
                Likeness::of(sent, listed),
                Likeness::Same,
                "{sent} {listed}"
            );
        }
    }

    #[test]
    fn what_platforms_make_of_a_text_is_similar_to_it() {
        for (sent, listed) in [
            ("Hi <you> *there*", "hi you there"),
            ("Hi You", "Hi you"),
            ("Hi you there", "Hi you"),
            (
                "Our new product is here, and it is quick",
                "Our new product is\u{2026} See more",
            ),
            (
                "Our new product is here, and it is quick",
                "Our new prod...",
            ),
            (
                "Thanks @anna_k for the help",
                "Thanks Anna Karlsson for the help",
            ),
            (
                "Read https://example.com/a/very/long/path today",
                "Read https://lnkd.in/abc today",
            ),
            ("https://example.com/a", "https://lnkd.in/abc"),
            ("Rock & roll tonight", "Rock &amp; roll tonight"),
            ("\u{1f600}", "!"),
            ("@anna", "Anna Karlsson"),
            ("don't wait for me", "don\u{2019}t wait for me"),
            ("don't wait for me", "don&#39;t wait for me"),
            ("Shop at example.com/sale now", "Shop at lnkd.in/xyz now"),
            ("Hi @anna42, 20 new ones", "Hi Anna 42, 20 new ones"),
            (
                "What a damn fine day it is today",
                "What a **** fine day it is today",
            ),
            (
                "\u{65b0}\u{5546}\u{54c1}\u{304c}\u{51fa}\u{307e}\u{3057}\u{305f} @anna",
                "\u{65b0}\u{5546}\u{54c1}\u{304c}\u{51fa}\u{307e}\u{3057}\u{305f} Anna",
            ),
            ("\u{1f468}\u{200d}\u{1f469} family day", "family day"),
        ] {
            let likeness = Likeness::of(sent, listed);
            assert_eq!(likeness, Likeness::Similar, "{sent} | {listed}");
        }
    }

    #[test]
    fn what_says_something_else_is_another_text() {
        for (sent, listed) in [
            ("Hi you", "Ho there"),
            ("Hi you", ""),
            ("", "Hi you there, how are you doing"),
            (
                "New on the blog: pears and plums",
                "New on the blog: a winter in Rome",
            ),
            ("Good morning, Berlin!", "Good morning, Munich!"),
            ("Offer 17", "Offer 18"),
            ("Offer 17", "Offer 1"),
            (
                "Post 17 of 200, in all of its beauty and with all of its words",
                "Post 18 of 200, in all of its beauty and with all of its words",
            ),
            ("Deal of the day: shoes", "Deal of the day: boots"),
            (
                "Hello",
                "Hello everyone, today we show you what we have been at for all of the winter",
            ),
            (
                "\u{65b0}\u{5546}\u{54c1}\u{304c}\u{51fa}\u{307e}\u{3057}\u{305f}",
                "\u{4eca}\u{65e5}\u{306f}\u{4f11}\u{307f}\u{3067}\u{3059}",
            ),
        ] {
            assert_eq!(
                Likeness::of(sent, listed),
                Likeness::Other,
                "{sent} | {listed}"
            );
        }
    }
}
