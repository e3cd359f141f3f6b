//! Local files: which may be opened, and their bytes as they are sent.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::stream;
use reqwest::Body;
use tokio::io::AsyncReadExt;

use super::facts::{self, Facts};
use super::{ANY_TYPE, Broken, Policy, Source, Wanted, declared_type};
use crate::outcome::{Failure, Reason};
use crate::post::Media;
use crate::trust;

/// How much of a file is in memory at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the file is, or why it can't be sent.
pub(super) fn inspect(
    path: &Path,
    policy: &Policy,
    declared: Option<&str>,
) -> Result<Facts, String> {
    let (file, metadata) = checked(path, policy)?;
    if metadata.len() == 0 {
        return Err(format!("the file {} is empty", path.display()));
    }
    Ok(facts::of_file(file, metadata.len(), declared))
}

/// The same without holding up other posts.
pub(super) async fn look(
    path: &Path,
    policy: &Policy,
    declared: Option<&str>,
) -> Result<Facts, Failure> {
    let (path, policy) = (path.to_owned(), policy.clone());
    let declared = declared.map(str::to_owned);
    aside(move || inspect(&path, &policy, declared.as_deref()).map_err(Failure::rejected)).await
}

/// Runs what may wait for a disk on a thread of its own.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Failure::Rejected {
                reason: Reason::new("bug", format!("the media file can't be read: {error}")),
            })
        })
}

pub(super) async fn open(
    path: &Path,
    media: &Media,
    policy: &Policy,
    wanted: Wanted,
) -> Result<Source, Failure> {
    let (path, policy) = (path.to_owned(), policy.clone());
    let declared = declared_type(media).map(str::to_owned);
    let opening = aside(move || {
        let (file, metadata) = checked(&path, &policy).map_err(Failure::rejected)?;
        let range = wanted.of(metadata.len())?;
        begin(file, &metadata, range, declared)
            .map_err(|error| Failure::rejected(unreadable(&path, &error)))
    });
    opening.await
}

/// Stands at the range's start, having looked at the file's first bytes for its type.
fn begin(
    mut file: File,
    metadata: &Metadata,
    range: Range<u64>,
    declared: Option<String>,
) -> std::io::Result<Source> {
    let mut head = Vec::new();
    file.by_ref()
        .take(facts::MAGIC_BYTES)
        .read_to_end(&mut head)?;
    let mime = facts::magic(&head).map(str::to_owned).or(declared);
    file.seek(SeekFrom::Start(range.start))?;
    let version = (metadata.len(), metadata.modified().ok());
    let changed = version.1.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let reading = Reading {
        file: tokio::fs::File::from_std(file),
        version,
        left: range.end - range.start,
    };
    let chunks = stream::try_unfold(reading, |mut reading| async {
        Ok::<_, Broken>(reading.chunk().await?.map(|chunk| (chunk, reading)))
    });
    Ok(Source {
        total: metadata.len(),
        offset: range.start,
        length: range.end - range.start,
        mime: mime.unwrap_or_else(|| ANY_TYPE.to_owned()),
        version: changed.map(|since| since.as_nanos().to_string()),
        body: Body::wrap_stream(chunks),
    })
}

/// A file on its way.
struct Reading {
    file: tokio::fs::File,
    /// Its size and the time of its last change when it was opened.
    version: (u64, Option<SystemTime>),
    left: u64,
}

impl Reading {
    /// The next bytes. The last ones are kept back if the file changed meanwhile: a mixture must not arrive whole.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        if self.left == 0 {
            return Ok(None);
        }
        let failed = |error| Broken(format!("the media file can't be read: {error}"));
        let size = usize::try_from(self.left).unwrap_or(CHUNK_BYTES);
        let mut chunk = vec![0; size.min(CHUNK_BYTES)];
        let read = self.file.read(&mut chunk).await.map_err(failed)?;
        chunk.truncate(read);
        self.left -= read as u64;
        if read == 0 || self.left == 0 {
            let metadata = self.file.metadata().await.map_err(failed)?;
            if read == 0 || self.version != (metadata.len(), metadata.modified().ok()) {
                return Err(Broken(
                    "the media file changed while it was sent".to_owned(),
                ));
            }
        }
        Ok(Some(chunk))
    }
}

/// The file, opened, if it is one and may be.
fn checked(path: &Path, policy: &Policy) -> Result<(File, Metadata), String> {
    let shown = path.display();
    let directories = policy.directories.iter();
    let directories: Vec<PathBuf> = directories
        .filter_map(|at| fs::canonicalize(at).ok())
        .collect();
    let is_inside = |path: &Path| directories.iter().any(|at| path.starts_with(at));
    let unreadable = |error| unreadable(path, &error);
    let resolved = match fs::canonicalize(path) {
        Ok(resolved) if is_inside(&resolved) => resolved,
        // Whether a file outside exists is nobody's business.
        Err(error) if plainly_inside(path, &policy.directories) => return Err(unreadable(error)),
        _ => return Err(outside(path, policy)),
    };
    if fs::metadata(&resolved).map_err(unreadable)?.is_dir() {
        return Err(format!("{shown} is a directory; name a file"));
    }
    let file = match trust::open_regular(&resolved, OpenOptions::new().read(true)) {
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return Err(format!("{shown} is not a regular file"));
        }
        opened => opened.map_err(unreadable)?,
    };
    // What was asked for may have been exchanged before it was opened: a link in its place, or a directory on its way.
    let opened = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    if !opened.is_ok_and(|opened| is_inside(&opened)) {
        return Err(outside(path, policy));
    }
    let metadata = file.metadata().map_err(unreadable)?;
    Ok((file, metadata))
}

fn outside(path: &Path, policy: &Policy) -> String {
    let shown = path.display();
    if policy.directories.is_empty() {
        return format!(
            "the file {shown} is on this machine, and no media are taken from there: name their directories \
             (`directories` in [media], or PUBLISHER_MEDIA_DIRECTORIES)"
        );
    }
    let directories = policy.directories.iter();
    let directories: Vec<_> = directories.map(|at| at.display().to_string()).collect();
    let directories = directories.join(", ");
    format!(
        "the file {shown} is not in the media directories ({directories}; `directories` in [media])"
    )
}

fn plainly_inside(path: &Path, directories: &[PathBuf]) -> bool {
    let goes_up = path.components().any(|part| part == Component::ParentDir);
    !goes_up && directories.iter().any(|at| path.starts_with(at))
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("the file {} does not exist", path.display()),
        _ => format!("the file {} can't be read: {error}", path.display()),
    }
}
