//! Files that other processes make and remove meanwhile.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What is in a directory; nothing if there is none.
pub fn listed(directory: &Path) -> Vec<PathBuf> {
    use ErrorKind::{NotADirectory, NotFound};
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => return Vec::new(),
        Err(error) => panic!("{}: {error}", directory.display()),
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// A file's content; none if it went meanwhile.
pub fn content(path: &Path) -> Option<Vec<u8>> {
    match std::fs::read(path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// Each regular file in a directory and those below it, and what is in it.
pub fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let each = |path: PathBuf| {
        if path.is_dir() {
            return contents(&path);
        }
        let content = path.is_file().then(|| content(&path)).flatten();
        content.map(|content| (path, content)).into_iter().collect()
    };
    listed(directory).into_iter().flat_map(each).collect()
}
