//! What others say of an account, without its secrets: a platform may quote them back.

use std::borrow::Cow;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;

use crate::account::{App, Credentials};

/// No platform's tokens and secrets are shorter. Only a sandbox takes such.
pub(crate) const SHORTEST: usize = 8;
const MARK: &str = "[redacted]";
/// How a text ends that was cut.
const CUT: char = '…';
/// A piece of a secret that a cut left is taken for one from so many bytes on.
const SHORTEST_PIECE: usize = 4;

/// The text without the secrets of the account and the application, also where they are encoded as in a URL or in JSON,
/// and where a cut left the beginning of one.
pub(crate) fn redacted(text: &str, credentials: &Credentials, app: &App) -> String {
    let mut text = Cow::Borrowed(text);
    let secrets = credentials.secrets().chain(&app.client_secret);
    for secret in secrets.map(ExposeSecret::expose_secret) {
        if secret.is_empty() {
            continue;
        }
        let spellings = [
            Cow::Borrowed(secret),
            secret.replace('/', "\\/").into(),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).into(),
        ];
        let is_short = secret.len() < SHORTEST;
        for spelling in &spellings {
            if is_short {
                text = without_word(&text, spelling).into();
                continue;
            }
            if text.contains(&**spelling) {
                text = text.replace(&**spelling, MARK).into();
            }
            if text.contains(CUT) {
                text = without_pieces(&text, spelling).into();
            }
        }
    }
    text.into_owned()
}

/// The text without the secret where it stands alone: as a part of other words it is found everywhere.
fn without_word(text: &str, secret: &str) -> String {
    let mut found = String::with_capacity(text.len());
    let mut end = 0;
    for (at, _) in text.match_indices(secret) {
        let stands_alone = !text[..at].ends_with(char::is_alphanumeric)
            && !text[at + secret.len()..].starts_with(char::is_alphanumeric);
        if stands_alone {
            found.push_str(&text[end..at]);
            found.push_str(MARK);
            end = at + secret.len();
        }
    }
    found.push_str(&text[end..]);
    found
}

/// The text without beginnings of the secret right before a cut.
fn without_pieces(text: &str, secret: &str) -> String {
    let pieces = text.split(CUT).map(|part| {
        let longest = secret.len().min(part.len());
        let cut = (SHORTEST_PIECE..=longest)
            .rev()
            .find(|length| secret.is_char_boundary(*length) && part.ends_with(&secret[..*length]));
        match cut {
            Some(length) => format!("{}{MARK}", &part[..part.len() - length]).into(),
            None => Cow::Borrowed(part),
        }
    });
    pieces.collect::<Vec<_>>().join(&CUT.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_no_part_of_other_words() {
        let credentials = Credentials {
            access_token: "tok".to_owned().into(),
            ..Credentials::default()
        };
        for (text, expected) in [
            ("the token tok is bad", "the token [redacted] is bad"),
            (
                "tok,tok-tok=tok",
                "[redacted],[redacted]-[redacted]=[redacted]",
            ),
            ("stock tokens", "stock tokens"),
        ] {
            assert_eq!(redacted(text, &credentials, &App::default()), expected);
        }
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_and_cut() {
        let credentials = Credentials {
            access_token: "1//abc-d".to_owned().into(),
            ..Credentials::default()
        };
        let app = App {
            client_secret: Some("häuserzeile".to_owned().into()),
            ..App::default()
        };
        for (text, expected) in [
            ("nothing", "nothing"),
            ("a 1//abc-d, 1//abc-d", "a [redacted], [redacted]"),
            (r#"{"t": "1\/\/abc-d"}"#, r#"{"t": "[redacted]"}"#),
            ("?t=1%2F%2Fabc%2Dd&", "?t=[redacted]&"),
            ("bad 1//ab… (last try)", "bad [redacted]… (last try)"),
            ("no piece: 1//…", "no piece: 1//…"),
            ("häus…, häuserzeile…", "[redacted]…, [redacted]…"),
        ] {
            assert_eq!(redacted(text, &credentials, &app), expected);
        }
    }
}
