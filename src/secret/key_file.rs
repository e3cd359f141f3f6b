//! The key in a file: made whole or not at all, readable by its owner only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::{Key, fill, to_hex};
use crate::exit::Failed;
use crate::trust;

/// Puts the key there unless another process was first: then that one's key stays.
pub(super) fn create(path: &Path, key: &Key) -> Result<(), Failed> {
    let fail = |what: &str, e: &std::io::Error| {
        Failed::configuration(format!("{}: {what}: {e}", path.display()))
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| fail("its directory can't be made", &e))?;
    let draft = draft_of(path)?;
    let placed = write(&draft, key).and_then(|()| {
        // A link, unlike a rename, never replaces the key that is there.
        match std::fs::hard_link(&draft, path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    });
    std::fs::remove_file(&draft).ok();
    placed
        // The name must survive a power cut as surely as the tokens that are sealed with the key.
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(|e| fail("the key can't be written", &e))
}

/// Reads the key, unless others may read it, too.
pub(super) fn load(path: &Path) -> Result<Key, Failed> {
    let shown = path.display();
    let unreadable =
        |e: std::io::Error| Failed::configuration(format!("{shown}: the key can't be read: {e}"));
    let mut file = trust::open(path, OpenOptions::new().read(true)).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(Failed::configuration(format!(
            "{shown}: others may read the key (mode {:o}); mend that with `chmod 600 '{shown}'`",
            metadata.mode() & 0o777
        )));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Key::parse(&text).map_err(|e| Failed::configuration(format!("{shown} is not a key: {e}")))
}

fn write(path: &Path, key: &Key) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{}", to_hex(key.bytes.expose_secret()))?;
    file.sync_all()
}

/// A name beside the file that no other process uses.
fn draft_of(path: &Path) -> Result<PathBuf, Failed> {
    let mut random = [0; 8];
    fill(&mut random)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", to_hex(&random)));
    Ok(path.with_file_name(name))
}
