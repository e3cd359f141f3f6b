//! What others say of an account, without its secrets: a platform may quote them back, in whichever spelling.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret;

use crate::account::{App, Credentials};

/// No platform's tokens and secrets are shorter. Only a sandbox takes such.
pub(crate) const SHORTEST: usize = 8;
const MARK: &str = "[redacted]";
/// How a text ends that was cut.
const CUT: char = '…';
/// A piece of a secret that a cut left is taken for one from so many characters on.
const SHORTEST_PIECE: usize = 4;

/// The text without the secrets of the account and the application: as they are, as in a URL, a form, JSON, HTML or
/// base64, and where a cut left the beginning of one.
pub(crate) fn redacted(text: &str, credentials: &Credentials, app: &App) -> String {
    let mut text = text.to_owned();
    let secrets = credentials.secrets().chain(&app.client_secret);
    for secret in secrets.map(ExposeSecret::expose_secret) {
        if secret.is_empty() {
            continue;
        }
        text = without(&text, secret);
        if secret.len() >= SHORTEST {
            for code in base64_of(secret) {
                text = without(&text, &code);
            }
        }
    }
    text
}

/// The text without the secret in any spelling. A short one is found only where it stands alone: as a part of other words
/// it is everywhere.
fn without(text: &str, secret: &str) -> String {
    let is_short = secret.len() < SHORTEST;
    let mut found = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let stands_alone = |length: usize| {
            !found.ends_with(char::is_alphanumeric)
                && !rest[length..].starts_with(char::is_alphanumeric)
        };
        let length = spelled(rest, secret).filter(|length| !is_short || stands_alone(*length));
        if let Some(length) = length {
            found.push_str(MARK);
            rest = &rest[length..];
        } else {
            found.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// How much of the text is the secret that it begins with, or a piece of it before a cut.
fn spelled(text: &str, secret: &str) -> Option<usize> {
    let mut end = 0;
    for (matched, c) in secret.chars().enumerate() {
        match spelling(&text[end..], c) {
            Some(length) => end += length,
            None if matched >= SHORTEST_PIECE && text[end..].starts_with(CUT) => return Some(end),
            None => return None,
        }
    }
    Some(end)
}

/// How much of the text is this character, in one of its spellings.
fn spelling(text: &str, c: char) -> Option<usize> {
    let named = match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&apos;",
        '/' => "\\/",
        ' ' => "+",
        _ => "",
    };
    if !named.is_empty() && text.starts_with(named) {
        return Some(named.len());
    }
    let encoded = match text.as_bytes().first() {
        Some(b'%') => percent_encoded(text, c),
        Some(b'\\') => json_escaped(text, c),
        Some(b'&') => html_escaped(text, c),
        _ => None,
    };
    encoded.or_else(|| text.starts_with(c).then_some(c.len_utf8()))
}

fn percent_encoded(text: &str, c: char) -> Option<usize> {
    let mut bytes = [0; 4];
    let mut end = 0;
    for byte in c.encode_utf8(&mut bytes).bytes() {
        let digits = text[end..].strip_prefix('%')?.get(..2)?;
        if u8::from_str_radix(digits, 16).ok()? != byte {
            return None;
        }
        end += 3;
    }
    Some(end)
}

fn json_escaped(text: &str, c: char) -> Option<usize> {
    let mut units = [0; 2];
    let mut end = 0;
    for unit in c.encode_utf16(&mut units) {
        let digits = text[end..].strip_prefix("\\u")?.get(..4)?;
        if u16::from_str_radix(digits, 16).ok()? != *unit {
            return None;
        }
        end += 6;
    }
    Some(end)
}

fn html_escaped(text: &str, c: char) -> Option<usize> {
    let (number, _) = text.strip_prefix("&#")?.split_once(';')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    (code.ok()? == u32::from(c)).then_some(number.len() + 3)
}

/// What the secret is in base64, wherever in other bytes it begins: without what those bytes have a part in.
fn base64_of(secret: &str) -> Vec<String> {
    let mut codes = Vec::new();
    for before in 0..3 {
        let bytes = [&vec![0; before], secret.as_bytes()].concat();
        let first = (before * 4).div_ceil(3);
        let last = bytes.len() * 4 / 3;
        codes.extend(
            [
                STANDARD_NO_PAD.encode(&bytes),
                URL_SAFE_NO_PAD.encode(&bytes),
            ]
            .map(|code| code[first..last].to_owned()),
        );
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(token: &str, secret: &str) -> (Credentials, App) {
        let credentials = Credentials {
            access_token: token.to_owned().into(),
            ..Credentials::default()
        };
        let app = App {
            client_secret: Some(secret.to_owned().into()),
            ..App::default()
        };
        (credentials, app)
    }

    #[test]
    fn a_short_secret_is_no_part_of_other_words() {
        let (credentials, app) = of("tok", "");
        for (text, expected) in [
            ("the token tok is bad", "the token [redacted] is bad"),
            (
                "tok,tok-tok=tok",
                "[redacted],[redacted]-[redacted]=[redacted]",
            ),
            ("stock tokens", "stock tokens"),
        ] {
            assert_eq!(redacted(text, &credentials, &app), expected);
        }
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_and_cut() {
        let (credentials, app) = of("1//abc-d<&", "häuserzeile");
        for (text, expected) in [
            ("nothing", "nothing"),
            ("a 1//abc-d<&, 1//abc-d<&", "a [redacted], [redacted]"),
            (r#"{"t": "1\/\/abc-d<&"}"#, r#"{"t": "[redacted]"}"#),
            (
                r#"{"t": "1\u002f\u002Fabc-d\u003c\u0026"}"#,
                r#"{"t": "[redacted]"}"#,
            ),
            ("?t=1%2F%2Fabc%2Dd%3C%26&", "?t=[redacted]&"),
            ("?t=1%2f%2fabc-d%3c%26&", "?t=[redacted]&"),
            ("<b>1//abc-d&lt;&amp;</b>", "<b>[redacted]</b>"),
            ("<b>1&#47;&#x2F;abc-d&#60;&#x26;</b>", "<b>[redacted]</b>"),
            ("bad 1//ab… (last try)", "bad [redacted]… (last try)"),
            ("bad 1%2F%2Fab… (last try)", "bad [redacted]… (last try)"),
            ("no piece: 1//…", "no piece: 1//…"),
            ("häus…, h%c3%a4userzeile…", "[redacted]…, [redacted]…"),
        ] {
            assert_eq!(redacted(text, &credentials, &app), expected);
        }
    }

    #[test]
    fn a_secret_is_found_in_base64() {
        let (credentials, app) = of("EAAB-token_of?mine>", "");
        for before in ["", "a", "ab", "user:"] {
            for after in ["", "x", "yz", ":rest"] {
                let text = format!("{before}EAAB-token_of?mine>{after}");
                for code in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                    let shown = redacted(&format!("Basic {code} was sent"), &credentials, &app);
                    assert!(shown.contains(MARK), "{text}: {shown}");
                    // What is left are a few characters at its ends.
                    let left = shown.len() - "Basic  was sent".len() - MARK.len();
                    assert!(left <= 16, "{shown}");
                }
            }
        }
    }
}
