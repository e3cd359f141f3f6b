//! The file of this run: made whole, locked while the run lives.

use std::cell::RefCell;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{DRAFT_EXTENSION, EXTENSION};

/// Appends lines.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: RefCell<File>,
    fate: RefCell<Fate>,
}

/// Whether the file can be relied on.
#[derive(Clone, Debug)]
enum Fate {
    Kept,
    /// It could not be written and was removed: the run goes on as if there had been none.
    Removed,
    /// It could not be removed either. It would tell a later run that posts were never sent, so none is sent now.
    Stuck(String),
}

/// Makes the journal with its first line.
pub(super) fn create(directory: &Path, run: Uuid, head: &[u8]) -> io::Result<Writer> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let path = directory.join(format!("{run}.{EXTENSION}"));
    let file = draft(&path, head).or_else(|error| match error.kind() {
        // Another run took it for a dead one's, in the instant before it was locked.
        ErrorKind::NotFound => draft(&path, head),
        _ => Err(error),
    })?;
    Ok(Writer {
        path,
        file: RefCell::new(file),
        fate: RefCell::new(Fate::Kept),
    })
}

fn draft(path: &Path, head: &[u8]) -> io::Result<File> {
    let draft = path.with_extension(DRAFT_EXTENSION);
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&draft)?;
    let made = file
        .try_lock()
        .map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => ErrorKind::NotFound.into(),
        })
        .and_then(|()| file.write_all(head))
        .and_then(|()| std::fs::rename(&draft, path));
    if made.is_err() {
        // What can't be written can perhaps not be removed either; a later run does it.
        std::fs::remove_file(&draft).ok();
    }
    made.map(|()| file)
}

impl Writer {
    /// Hands a line to the system, which keeps it whatever becomes of this process. An error means that nothing may be
    /// sent on the strength of it.
    pub(super) fn write(&self, line: &[u8]) -> Result<(), String> {
        let mut fate = self.fate.borrow_mut();
        if matches!(*fate, Fate::Kept)
            && let Err(error) = self.file.borrow_mut().write_all(line)
        {
            *fate = give_up(&self.path, &error);
        }
        match &*fate {
            Fate::Kept | Fate::Removed => Ok(()),
            Fate::Stuck(why) => Err(why.clone()),
        }
    }

    /// Whether the file is there.
    pub(super) fn is_kept(&self) -> bool {
        self.path.exists()
    }

    /// Removes the file while it is still locked.
    pub(super) fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            // The next run finds that all of it is recorded, and tries again.
            tracing::warn!("{} can't be removed: {error}", self.path.display());
        }
    }
}

fn give_up(path: &Path, error: &io::Error) -> Fate {
    let shown = path.display();
    match std::fs::remove_file(path) {
        Err(stuck) if stuck.kind() != ErrorKind::NotFound => {
            tracing::warn!("{shown} can neither be written ({error}) nor removed ({stuck})");
            Fate::Stuck(error.to_string())
        }
        _ => {
            tracing::warn!("{shown} can't be written ({error}); this run goes on without it");
            Fate::Removed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer whose file takes no byte.
    fn broken(file: &Path, path: &Path) -> Writer {
        std::fs::write(file, "").unwrap();
        Writer {
            path: path.to_owned(),
            file: RefCell::new(File::open(file).unwrap()),
            fate: RefCell::new(Fate::Kept),
        }
    }

    #[test]
    fn one_that_can_not_be_written_is_removed_and_one_that_stays_lets_nothing_be_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let writer = broken(&path, &path);
        assert_eq!(writer.write(b"a line\n"), Ok(()));
        assert!(!path.exists() && !writer.is_kept());

        // A directory can't be removed like a file.
        let writer = broken(&path, directory.path());
        assert!(writer.write(b"a line\n").is_err());
        assert!(writer.write(b"another\n").is_err());
    }
}
