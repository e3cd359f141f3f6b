//! The file of this run: made whole, locked while the run lives, written in groups by a thread of its own.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::{DRAFT_EXTENSION, EXTENSION};

/// A disk that takes longer than this is as good as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be written, and who waits until it is on the disk.
struct Entry {
    bytes: Vec<u8>,
    waiter: Option<oneshot::Sender<Result<(), String>>>,
}

/// Hands lines to the thread that writes them, in their order.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    entries: Sender<Entry>,
}

/// Makes the journal with its first line, on the disk.
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
    File::open(directory)?.sync_all()?;
    let (entries, received) = mpsc::channel();
    let written = path.clone();
    std::thread::Builder::new()
        .name("journal".to_owned())
        .spawn(move || write(file, &written, &received))?;
    Ok(Writer { path, entries })
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
        .and_then(|()| file.sync_data())
        .and_then(|()| std::fs::rename(&draft, path));
    if made.is_err() {
        // What can't be written can perhaps not be removed either; a later run does it.
        std::fs::remove_file(&draft).ok();
    }
    made.map(|()| file)
}

impl Writer {
    /// Writes without waiting.
    pub(super) fn write(&self, bytes: Vec<u8>) {
        let entry = Entry {
            bytes,
            waiter: None,
        };
        // The thread ends with this sender; if it panicked, whoever waits next hears of it.
        self.entries.send(entry).ok();
    }

    /// Writes, and waits until this and all before it is on the disk.
    pub(super) async fn write_through(&self, bytes: Vec<u8>) -> Result<(), String> {
        let (waiter, written) = oneshot::channel();
        let entry = Entry {
            bytes,
            waiter: Some(waiter),
        };
        self.entries.send(entry).ok();
        match tokio::time::timeout(PATIENCE, written).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err("its thread has ended".to_owned()),
            Err(_) => Err(format!("the disk did not answer within {PATIENCE:?}")),
        }
    }

    /// Whether the file is there.
    pub(super) fn is_kept(&self) -> bool {
        self.path.exists()
    }

    /// Removes the file while it is still locked.
    pub(super) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            // The next run finds that all of it is recorded, and tries again.
            tracing::warn!("{} can't be removed: {error}", self.path.display());
        }
    }
}

/// Whether the file can be relied on.
enum Fate {
    Kept,
    /// It could not be written and was removed: the run goes on as if there had been none.
    Removed,
    /// It could not be removed either. It would tell a later run that posts were never sent, so none is sent now.
    Stuck(String),
}

/// Writes what comes: whatever has gathered meanwhile at once, and through to the disk if somebody waits for it.
fn write(mut file: File, path: &Path, entries: &Receiver<Entry>) {
    let mut fate = Fate::Kept;
    while let Ok(first) = entries.recv() {
        let group: Vec<Entry> = std::iter::once(first).chain(entries.try_iter()).collect();
        if matches!(fate, Fate::Kept)
            && let Err(error) = append(&mut file, &group)
        {
            fate = give_up(path, &error);
        }
        for waiter in group.into_iter().filter_map(|entry| entry.waiter) {
            let result = match &fate {
                Fate::Kept | Fate::Removed => Ok(()),
                Fate::Stuck(why) => Err(why.clone()),
            };
            // A post that was cut off meanwhile waits no longer.
            waiter.send(result).ok();
        }
    }
}

fn append(file: &mut File, group: &[Entry]) -> io::Result<()> {
    let bytes: Vec<u8> = group
        .iter()
        .flat_map(|entry| &entry.bytes)
        .copied()
        .collect();
    file.write_all(&bytes)?;
    if group.iter().any(|entry| entry.waiter.is_some()) {
        file.sync_data()?;
    }
    Ok(())
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

    /// A file that takes no byte.
    fn read_only(path: &Path) -> File {
        std::fs::write(path, "").unwrap();
        File::open(path).unwrap()
    }

    fn answer(file: File, path: &Path) -> Result<(), String> {
        let (entries, received) = mpsc::channel();
        let (waiter, mut written) = oneshot::channel();
        let entry = Entry {
            bytes: b"a line\n".to_vec(),
            waiter: Some(waiter),
        };
        entries.send(entry).unwrap();
        drop(entries);
        write(file, path, &received);
        written.try_recv().unwrap()
    }

    #[test]
    fn one_that_can_not_be_written_is_removed_and_one_that_stays_lets_nothing_be_sent() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        assert_eq!(answer(read_only(&path), &path), Ok(()));
        assert!(!path.exists());

        // A directory can't be removed like a file.
        assert!(answer(read_only(&path), directory.path()).is_err());
    }
}
