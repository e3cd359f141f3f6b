//! Tokens at rest: sealed with XChaCha20-Poly1305 under one key, bound to the account they belong to.
//!
//! A sealed value reads `v1.<key id>.<base64url(nonce ‖ ciphertext)>`. The key id says which key is wanted when a
//! database meets the wrong one. Platform and external id are part of what is authenticated, so that a value copied to
//! another account's row does not open there.

use std::path::Path;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::account::{Account, Credentials};
use crate::config::Config;
use crate::exit::Failed;
use crate::post::PostId;
use crate::store::Database;

mod key_file;
mod redact;

pub(crate) use redact::{SHORTEST, redacted};

const VERSION: &str = "v1";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const HOW_TO_MAKE_ONE: &str = "make one with `openssl rand -hex 32`";

/// The key that seals credentials. Wiped from memory when dropped; `Debug` shows its id only.
pub struct Key {
    bytes: SecretBox<[u8; KEY_BYTES]>,
    id: String,
    /// Why nobody should seal anything with it, if that is so.
    weakness: Option<&'static str>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

impl Key {
    /// Reads 64 hex digits, base64 of 32 bytes (standard or URL-safe, padded or not), or 32 raw bytes. The error says
    /// what was found, never the value.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Raw bytes first: of those a space at the end is part.
        if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(text.as_bytes()) {
            let is_text = raw.iter().all(|byte| (b' '..=b'~').contains(byte));
            let weakness = is_text
                .then_some("it is 32 characters of text, which has far less than 32 random bytes");
            return Ok(Self {
                weakness,
                ..Self::new(raw)
            });
        }
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY_BYTES {
            from_hex(text)
        } else {
            from_base64(text)
        };
        bytes.map(Self::new).ok_or_else(|| {
            format!(
                "found {}; a key is 64 hex digits, or base64 of 32 bytes, or 32 raw bytes: {HOW_TO_MAKE_ONE}",
                description(text)
            )
        })
    }

    /// The key in a file, which is made if it is not there. Only its owner may be able to read it. Two processes that
    /// do this at once end with the same key.
    pub fn load_or_create(path: &Path) -> Result<Self, Failed> {
        if !path.exists() {
            key_file::create(path, &Self::random()?)?;
        }
        key_file::load(path)
    }

    /// Eight hex digits that tell keys apart and say nothing about them.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"publisher key id\0")
            .chain_update(bytes)
            .finalize();
        let is_blank = [[0; KEY_BYTES], [0xff; KEY_BYTES]].contains(&bytes);
        Self {
            bytes: SecretBox::new(Box::new(bytes)),
            id: to_hex(&digest[..4]),
            weakness: is_blank.then_some("nothing was ever put into it"),
        }
    }

    fn random() -> Result<Self, Failed> {
        let mut bytes = [0; KEY_BYTES];
        fill(&mut bytes)?;
        Ok(Self::new(bytes))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }
}

/// The key to seal with: `ENCRYPTION_KEY`, else (SQLite only) the key file, which is made if it is not there. One that
/// can be guessed is refused; what was sealed with it is still opened.
pub fn key(config: &Config) -> Result<Key, Failed> {
    let key = any_key(config)?;
    match key.weakness {
        Some(why) => Err(Failed::configuration(format!(
            "the key is too weak to keep tokens with: {why}; {HOW_TO_MAKE_ONE}"
        ))),
        None => Ok(key),
    }
}

fn any_key(config: &Config) -> Result<Key, Failed> {
    match (&config.encryption_key, &config.database) {
        (Some(text), _) => from_environment(text.expose_secret()),
        (None, Database::Sqlite(_)) => Key::load_or_create(&config.key_file()),
        // Other hosts share a PostgreSQL database, and none of them has this one's files.
        (None, Database::Postgres(_)) => Err(Failed::configuration(format!(
            "ENCRYPTION_KEY is not set; with PostgreSQL it must be, to the same key on every host: {HOW_TO_MAKE_ONE}"
        ))),
    }
}

/// The key to open with, or why there is none and what to do. Makes no file.
pub fn existing_key(config: &Config) -> Result<Result<Key, String>, Failed> {
    if config.encryption_key.is_some() {
        return any_key(config).map(Ok);
    }
    let missing = match &config.database {
        Database::Sqlite(_) if config.key_file().exists() => return any_key(config).map(Ok),
        Database::Sqlite(_) => format!(
            "there is no key: {} is not there, and ENCRYPTION_KEY is not set; name the state directory with which the \
             accounts were added (--state-dir or PUBLISHER_STATE_DIR), or set ENCRYPTION_KEY to their key",
            config.key_file().display()
        ),
        Database::Postgres(_) => {
            "there is no key: ENCRYPTION_KEY is not set; set it to the key with which the accounts were added".to_owned()
        }
    };
    Ok(Err(missing))
}

fn from_environment(text: &str) -> Result<Key, Failed> {
    Key::parse(text).map_err(|e| Failed::configuration(format!("ENCRYPTION_KEY is not a key: {e}")))
}

/// Seals credentials for one account.
pub fn seal(
    key: &Key,
    platform: &str,
    external_id: &str,
    credentials: &Credentials,
) -> Result<String, Failed> {
    seal_bytes(
        key,
        &plaintext(credentials),
        &binding(&[VERSION, platform, external_id]),
    )
}

fn seal_bytes(key: &Key, bytes: &[u8], binding: &[u8]) -> Result<String, Failed> {
    let mut sealed = vec![0; NONCE_BYTES];
    fill(&mut sealed)?;
    let nonce = XNonce::try_from(sealed.as_slice()).expect("it has the length of a nonce");
    let message = Payload {
        msg: bytes,
        aad: binding,
    };
    let ciphertext = key
        .cipher()
        .encrypt(&nonce, message)
        .expect("encryption fails only beyond 256 GiB");
    sealed.extend(ciphertext);
    let encoded = URL_SAFE_NO_PAD.encode(sealed);
    Ok(format!("{VERSION}.{}.{encoded}", key.id))
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Another key sealed it.
    #[error(
        "the credentials were sealed with key {wanted}, this is key {present}; set ENCRYPTION_KEY to key {wanted}, or store the token again with `publisher accounts add`"
    )]
    AnotherKey {
        /// The key id in the sealed value.
        wanted: String,
        /// The key id at hand.
        present: String,
    },
    /// The key is right, the rest is not.
    #[error(
        "the sealed credentials are damaged, or were copied from another account; store the token again with `publisher accounts add`"
    )]
    Damaged,
    /// It opened, and what it holds is from another version of this program.
    #[error(
        "the sealed credentials are in a form this version does not know; store the token again with `publisher accounts add`"
    )]
    Contents,
    /// It was never sealed: an application wrote a bare token, perhaps.
    #[error(
        "the credentials are not a sealed value (v1.<key>.<data>); store the token with `publisher accounts add`"
    )]
    NotSealed,
}

/// Opens what [`seal`] sealed for this account.
pub fn open(
    key: &Key,
    platform: &str,
    external_id: &str,
    sealed: &str,
) -> Result<Credentials, OpenError> {
    let plaintext = open_bytes(key, sealed, &binding(&[VERSION, platform, external_id]))?;
    // serde's message may quote the value: it is dropped.
    serde_json::from_slice(&plaintext).map_err(|_| OpenError::Contents)
}

/// Seals where an unfinished upload of a post stands: addresses that take its bytes are secrets, and one that was
/// changed could spend the account's token elsewhere. `None` if this machine gives no random numbers.
pub(crate) fn seal_checkpoint(
    key: &Key,
    account: &Account,
    post: PostId,
    checkpoint: &Value,
) -> Option<Value> {
    let sealed = seal_bytes(
        key,
        checkpoint.to_string().as_bytes(),
        &bound_to(account, post),
    );
    sealed.ok().map(|sealed| json!({"sealed": sealed}))
}

/// Opens what [`seal_checkpoint`] sealed for that post.
pub(crate) fn open_checkpoint(
    key: &Key,
    account: &Account,
    post: PostId,
    stored: &Value,
) -> Result<Value, OpenError> {
    let sealed = stored["sealed"].as_str().ok_or(OpenError::NotSealed)?;
    let plaintext = open_bytes(key, sealed, &bound_to(account, post))?;
    serde_json::from_slice(&plaintext).map_err(|_| OpenError::Contents)
}

fn bound_to(account: &Account, post: PostId) -> Vec<u8> {
    let post = post.to_string();
    binding(&[
        "checkpoint",
        VERSION,
        &account.platform,
        &account.external_id,
        &post,
    ])
}

fn open_bytes(key: &Key, sealed: &str, binding: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (wanted, encoded) = parts(sealed).ok_or(OpenError::NotSealed)?;
    if wanted != key.id {
        return Err(OpenError::AnotherKey {
            wanted: wanted.to_owned(),
            present: key.id.clone(),
        });
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(encoded)
        .map_err(|_| OpenError::Damaged)?;
    let (nonce, ciphertext) = bytes
        .split_at_checked(NONCE_BYTES)
        .ok_or(OpenError::Damaged)?;
    let nonce = XNonce::try_from(nonce).expect("it has the length of a nonce");
    let message = Payload {
        msg: ciphertext,
        aad: binding,
    };
    key.cipher()
        .decrypt(&nonce, message)
        .map_err(|_| OpenError::Damaged)
}

/// Key id and data of a sealed value.
fn parts(sealed: &str) -> Option<(&str, &str)> {
    let (id, encoded) = sealed
        .strip_prefix(VERSION)?
        .strip_prefix('.')?
        .split_once('.')?;
    let well_formed = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
    well_formed.then_some((id, encoded))
}

/// What the seal is bound to. Each part carries its length, so that no two accounts give the same bytes.
fn binding(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

/// The JSON of [`Credentials`], which itself can't be serialized: that keeps it out of everything else.
fn plaintext<'a>(credentials: &'a Credentials) -> Vec<u8> {
    #[derive(Serialize)]
    struct Plain<'a> {
        access_token: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        refresh_token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_secret: Option<&'a str>,
    }
    let exposed =
        |secret: &'a Option<SecretString>| secret.as_ref().map(ExposeSecret::expose_secret);
    let plain = Plain {
        access_token: credentials.access_token.expose_secret(),
        refresh_token: exposed(&credentials.refresh_token),
        client_id: credentials.client_id.as_deref(),
        client_secret: exposed(&credentials.client_secret),
    };
    serde_json::to_vec(&plain).expect("strings are always JSON")
}

fn fill(bytes: &mut [u8]) -> Result<(), Failed> {
    getrandom::fill(bytes)
        .map_err(|e| Failed::configuration(format!("this machine gives no random numbers: {e}")))
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

fn from_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |place: usize| char::from(digits[place]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).expect("two hex digits are a byte");
    }
    Some(bytes)
}

fn from_base64(text: &str) -> Option<[u8; KEY_BYTES]> {
    let lenient = |alphabet| {
        let config =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        GeneralPurpose::new(alphabet, config).decode(text).ok()
    };
    let bytes = lenient(&alphabet::STANDARD).or_else(|| lenient(&alphabet::URL_SAFE))?;
    bytes.try_into().ok()
}

fn description(text: &str) -> String {
    match text.chars().count() {
        0 => "nothing".to_owned(),
        64 => "64 characters that are not all hex digits".to_owned(),
        1 => "1 character".to_owned(),
        length => format!("{length} characters"),
    }
}

#[cfg(test)]
mod tests;
