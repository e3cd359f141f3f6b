//! Addresses of objects whose keys are no paths: `a//b`, `a/../b`.
//!
//! A key is any text, but who writes addresses takes `//` and `..` for parts of a path. So an address is made for a key
//! that is safe, and this one is put in its place, with its own signature (version 4 of AWS: presigned, unsigned payload).
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use hmac::{Hmac, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use url::Url;

/// What stands for itself in a signed address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The same with what parts a key.
const PARTED: &AsciiSet = &PLAIN.remove(b'/');

/// The key for which the address is made first.
pub(super) const SAFE: &str = "key";

/// The address of this key, by that of the safe one: the same bucket, time, lifetime and credentials.
pub(super) fn address(safe: &Url, key: &str, secret: &str) -> Option<Url> {
    let directory = safe.path().strip_suffix(SAFE)?;
    let path = format!("{directory}{}", utf8_percent_encode(key, PARTED));
    let mut pairs: Vec<(String, String)> = safe
        .query_pairs()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encoded(&name), encoded(&value)))
        .collect();
    pairs.sort();
    let query: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let query = query.join("&");

    let value = |name: &str| {
        let mut pairs = safe.query_pairs();
        pairs.find_map(|(own, value)| (own == name).then(|| value.into_owned()))
    };
    let host = safe.host_str()?;
    let host = safe
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let request = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let (date, credential) = (value("X-Amz-Date")?, value("X-Amz-Credential")?);
    // KEY/20260901/eu-central-1/s3/aws4_request
    let (_, scope) = credential.split_once('/')?;
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{:x}",
        Sha256::digest(request)
    );
    let mut signing = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        signing = hmac(&signing, part.as_bytes()).to_vec();
    }
    let signature = hmac(&signing, to_sign.as_bytes());

    // An address with `..` would lead elsewhere; a store reads `%2F` as the `/` that was signed.
    let is_dotted = key.split('/').any(|part| matches!(part, "." | ".."));
    let sent = if is_dotted {
        format!("{directory}{}", encoded(key))
    } else {
        path
    };
    let mut url = safe.clone();
    url.set_path(&sent);
    url.set_query(Some(&format!("{query}&X-Amz-Signature={signature:x}")));
    (url.path() == sent).then_some(url)
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn hmac(key: &[u8], text: &[u8]) -> Output<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length does");
    mac.chain_update(text).finalize().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(key: &str) -> Url {
        let safe = "https://examplebucket.s3.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256\
                    &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
                    &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=0";
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        address(&safe.parse().unwrap(), key, secret).unwrap()
    }

    /// The documentation's own example.
    #[test]
    fn a_signature_is_that_of_the_documentation() {
        let url = signed("test.txt");
        assert_eq!(url.path(), "/test.txt");
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(
            url.query()
                .unwrap()
                .ends_with(&format!("&X-Amz-Signature={signature}")),
            "{url}"
        );
    }

    #[test]
    fn a_key_is_any_text() {
        for (key, path) in [
            ("a//b.jpg", "/a//b.jpg"),
            ("/a", "//a"),
            ("a/../b.jpg", "/a%2F..%2Fb.jpg"),
            ("./a", "/.%2Fa"),
            ("a..b/c.jpg", "/a..b/c.jpg"),
            ("a b+c%.mp4", "/a%20b%2Bc%25.mp4"),
            ("\u{e4}?#", "/%C3%A4%3F%23"),
        ] {
            assert_eq!(signed(key).path(), path);
        }
    }
}
