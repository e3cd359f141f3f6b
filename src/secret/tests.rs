use std::os::unix::fs::PermissionsExt;

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE};

use super::*;
use crate::exit::Exit;

const BYTES: [u8; 32] = [0xfb; 32];

fn credentials() -> Credentials {
    Credentials {
        access_token: "EAAB-token".into(),
        refresh_token: Some("refresh".into()),
        ..Credentials::default()
    }
}

fn sealed(key: &Key) -> String {
    seal(key, "facebook", "1001", &credentials()).unwrap()
}

fn config(database: &str, state_dir: &Path, key: Option<&str>) -> Config {
    Config {
        database: database.parse().unwrap(),
        database_is_default: false,
        state_dir: state_dir.to_owned(),
        encryption_key: key.map(Into::into),
        media: crate::media::Policy::default(),
        file: crate::config::File::default(),
    }
}

#[test]
fn what_is_sealed_opens_again() {
    let key = Key::new(BYTES);
    let sealed = sealed(&key);
    assert!(sealed.starts_with(&format!("v1.{}.", key.id())), "{sealed}");
    assert!(!sealed.contains("EAAB"));
    let opened = open(&key, "facebook", "1001", &sealed).unwrap();
    assert_eq!(opened.access_token.expose_secret(), "EAAB-token");
    assert_eq!(opened.refresh_token.unwrap().expose_secret(), "refresh");
}

#[test]
fn the_same_token_is_never_sealed_the_same() {
    let key = Key::new(BYTES);
    assert_ne!(sealed(&key), sealed(&key));
}

#[test]
fn another_key_is_named() {
    let (one, other) = (Key::new(BYTES), Key::new([1; 32]));
    let error = open(&other, "facebook", "1001", &sealed(&one)).unwrap_err();
    assert_eq!(
        error,
        OpenError::AnotherKey {
            wanted: one.id().to_owned(),
            present: other.id().to_owned()
        }
    );
    assert!(error.to_string().contains(one.id()) && error.to_string().contains(other.id()));
}

#[test]
fn a_value_moved_to_another_account_does_not_open() {
    let key = Key::new(BYTES);
    let sealed = sealed(&key);
    for (platform, external_id) in [
        ("facebook", "1002"),
        ("instagram", "1001"),
        ("facebook1", "001"),
        ("faceboo", "k1001"),
    ] {
        assert_eq!(
            open(&key, platform, external_id, &sealed).unwrap_err(),
            OpenError::Damaged
        );
    }
}

#[test]
fn a_change_of_any_byte_is_noticed() {
    let key = Key::new(BYTES);
    let sealed = sealed(&key);
    for place in 0..sealed.len() {
        let mut bytes = sealed.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(
            open(&key, "facebook", "1001", &changed).is_err(),
            "byte {place}"
        );
    }
    for length in 0..sealed.len() {
        assert!(open(&key, "facebook", "1001", &sealed[..length]).is_err());
    }
}

#[test]
fn what_was_never_sealed_is_said_so() {
    let key = Key::new(BYTES);
    for text in ["", "EAAB-token", "v1.", "v1.abc.AAAA", "v2.00000000.AAAA"] {
        assert_eq!(
            open(&key, "facebook", "1001", text).unwrap_err(),
            OpenError::NotSealed
        );
    }
}

#[test]
fn a_key_has_four_spellings() {
    let id = Key::new(BYTES).id().to_owned();
    for text in [
        to_hex(&BYTES),
        to_hex(&BYTES).to_uppercase(),
        format!("  {}\n", to_hex(&BYTES)),
        BASE64_STANDARD.encode(BYTES),
        BASE64_STANDARD_NO_PAD.encode(BYTES),
        BASE64_URL_SAFE.encode(BYTES),
        URL_SAFE_NO_PAD.encode(BYTES),
    ] {
        assert_eq!(Key::parse(&text).unwrap().id(), id, "{text}");
    }
    let raw = "a key of thirty-two characters. ";
    let bytes: [u8; 32] = raw.as_bytes().try_into().unwrap();
    assert_eq!(Key::parse(raw).unwrap().id(), Key::new(bytes).id());
}

#[test]
fn what_is_no_key_is_described_and_not_shown() {
    for (text, found) in [
        ("", "found nothing;"),
        ("hunter2hunter2", "found 14 characters;"),
        (&"zz".repeat(32), "found 64 characters that are not all"),
        (&BASE64_STANDARD.encode([1; 31]), "found 44 characters;"),
    ] {
        let error = Key::parse(text).unwrap_err();
        assert!(error.starts_with(found), "{error}");
        assert!(error.contains("openssl rand -hex 32"));
        assert!(text.is_empty() || !error.contains(text));
    }
    let key = Key::new(BYTES);
    assert_eq!(format!("{key:?}"), format!("Key({})", key.id()));
}

#[test]
fn processes_that_make_the_key_file_at_once_end_with_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/encryption.key");
    let start = std::sync::Barrier::new(8);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let make = || {
            start.wait();
            Key::load_or_create(&path).unwrap().id().to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    let left = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "drafts must not stay behind");
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("encryption.key");
    Key::load_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = Key::load_or_create(&path).unwrap_err();
        assert_eq!(error.exit, Exit::Configuration);
        assert!(error.message.contains("chmod 600"), "{error}");
    }
}

#[test]
fn the_environment_wins_and_postgres_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let hex = to_hex(&BYTES);
    let sqlite = |text| config("sqlite:posts.db", directory.path(), text);
    let postgres = |text| config("postgres://u@localhost/d", directory.path(), text);

    assert!(existing_key(&sqlite(None)).unwrap().is_err());
    assert!(!sqlite(None).key_file().exists(), "looking makes no file");
    assert_eq!(key(&sqlite(Some(&hex))).unwrap().id(), Key::new(BYTES).id());
    assert!(
        !sqlite(None).key_file().exists(),
        "the environment needs none"
    );
    let made = key(&sqlite(None)).unwrap();
    assert_eq!(
        existing_key(&sqlite(None)).unwrap().unwrap().id(),
        made.id()
    );

    assert!(key(&postgres(Some(&hex))).is_ok());
    assert!(existing_key(&postgres(None)).unwrap().is_err());
    for error in [
        key(&postgres(None)).unwrap_err(),
        key(&sqlite(Some("short"))).unwrap_err(),
    ] {
        assert_eq!(error.exit, Exit::Configuration);
        assert!(error.message.contains("ENCRYPTION_KEY"), "{error}");
        assert!(error.message.contains("openssl rand -hex 32"), "{error}");
    }
}

#[test]
fn a_key_that_can_be_guessed_seals_nothing_and_still_opens() {
    let directory = tempfile::tempdir().unwrap();
    let with = |text: &str| config("sqlite:posts.db", directory.path(), Some(text));
    for weak in [
        "0".repeat(64),
        "f".repeat(64),
        // `openssl rand -hex 16`, and what a person thinks of.
        "0123456789abcdef0123456789abcdef".to_owned(),
        "correct horse battery staple 123".to_owned(),
    ] {
        let error = key(&with(&weak)).unwrap_err();
        assert!(error.message.contains("openssl rand -hex 32"), "{error}");
        assert!(!error.message.contains(&weak), "{error}");
        assert!(existing_key(&with(&weak)).unwrap().is_ok());
    }
    assert!(key(&with(&to_hex(&BYTES))).is_ok());
}
