//! The files of dead runs: read, recorded, removed.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Chain, DRAFT_EXTENSION, EXTENSION, FORMAT, Head, Line, Place, this_boot};
use crate::commit;
use crate::exit::{Exit, Failed};
use crate::post::PostId;
use crate::run;
use crate::store::{Outcomes, Row, Store, instant};
use crate::summary::Summary;
use crate::text::one_line;
use crate::trust;

/// What dead runs had left unrecorded.
#[derive(Debug, Default)]
pub struct Replayed {
    /// The posts' rows, as they are in the database now.
    pub rows: Vec<Value>,
    /// The same in figures.
    pub summary: Summary,
}

/// Records what dead runs left, and removes their journals. What is not this database's, or can't be read, stays.
pub async fn replay(store: &mut Store, place: &Place) -> Result<Replayed, Failed> {
    let mut replayed = Replayed::default();
    let mut left = Vec::new();
    for path in files(&place.directory).unwrap_or_else(|error| {
        left.push(format!("{}: {error}", place.directory.display()));
        Vec::new()
    }) {
        let dead = Dead::open(&path).and_then(|dead| match dead {
            Some(dead) if dead.told.database != place.database => {
                Err(format!("it is of another database, {}", dead.told.database))
            }
            dead => Ok(dead),
        });
        match dead {
            Ok(None) => {}
            Ok(Some(dead)) => {
                let (rows, is_done) = dead.record(store).await?;
                replayed.rows.extend(rows);
                if !is_done {
                    left.push(format!(
                        "{}: the database refuses some of it; the next runs try again, until the lease of its posts ends",
                        path.display()
                    ));
                    continue;
                }
                // While it is locked. If that fails, the next run finds that all of it is recorded.
                std::fs::remove_file(&path).unwrap_or_else(|error| {
                    tracing::warn!("{} can't be removed: {error}", path.display());
                });
            }
            Err(why) => left.push(format!("{}: {why}", path.display())),
        }
    }
    if !left.is_empty() {
        tracing::warn!("journals of other runs are left alone: {}", left.join("; "));
    }
    replayed.summary = count(&replayed.rows);
    Ok(replayed)
}

/// The journals in the directory. Drafts of dead runs, which never sent anything, are removed.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // Nothing was ever written there; if nothing can be, a run that has something to write says so.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut journals = Vec::new();
    for entry in entries {
        let path = entry?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(EXTENSION) => journals.push(path),
            // One that can't be removed today is tomorrow's.
            Some(DRAFT_EXTENSION)
                if trust::open(&path, OpenOptions::new().read(true))
                    .is_ok_and(|file| file.try_lock().is_ok()) =>
            {
                std::fs::remove_file(&path).ok();
            }
            _ => {}
        }
    }
    journals.sort();
    Ok(journals)
}

/// What a journal says.
struct Told {
    run: Uuid,
    database: String,
    host: String,
    boot: String,
    began: DateTime<Utc>,
    /// When the run was last heard of.
    ended: DateTime<Utc>,
    /// Each post's last line.
    posts: BTreeMap<PostId, Line>,
}

/// A journal whose run is dead, locked until it is dropped.
struct Dead {
    told: Told,
    _lock: File,
}

impl Dead {
    /// `None` if its run, or another one's replay, has it.
    fn open(path: &Path) -> Result<Option<Self>, String> {
        let opened = trust::open(path, OpenOptions::new().read(true).append(true));
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.to_string()),
        }
        // Whoever had the lock until now may have removed the file.
        if file.metadata().is_ok_and(|metadata| metadata.nlink() == 0) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        Ok(Some(Self {
            told: read(&bytes)?,
            _lock: file,
        }))
    }

    /// Records it through the commit's two UPDATEs, fenced by its own claim; returns the rows that were written, and
    /// whether the database refused none.
    async fn record(&self, store: &mut Store) -> Result<(Vec<Value>, bool), Failed> {
        let told = &self.told;
        let boot = this_boot();
        let entries = told.entries(&boot);
        let entries: Vec<(Value, Option<Value>)> = entries
            .map(|line| (line.row.clone(), line.account.clone()))
            .collect();
        let mut rows: Vec<Value> = entries.iter().map(|(row, _)| row.clone()).collect();
        rows.sort_by_key(|row| row["id"].as_i64());
        let read = |(row, account)| Ok((Row::try_from(row)?, account));
        let entries: Result<Vec<_>, serde_json::Error> = entries.into_iter().map(read).collect();
        let outcomes = commit::bulk(entries.expect("each was read before"));
        let summary = Summary {
            run_id: told.run.to_string(),
            started_at: instant(told.began),
            finished_at: instant(told.ended),
            ..count(&rows)
        };
        let summary = summary.exiting(Exit::Unrecorded);
        let outcomes = Outcomes {
            run: Some(run::record(told.run, &summary, &told.host)),
            ..outcomes
        };
        let report = commit::record(store, told.run, &outcomes, Duration::ZERO).await?;
        if let Some(why) = report.unrecorded {
            return Err(Failed::new(Exit::Unavailable, why));
        }
        let id = |row: &Value| row["id"].as_i64();
        let refused: HashSet<PostId> = report.refused.iter().map(|(id, _)| *id).collect();
        let missed = |row: &&Value| {
            id(row).is_some_and(|id| refused.contains(&id) || report.lost.contains(&id))
        };
        for row in rows.iter().filter(missed) {
            if row["status"] != "pending" {
                tracing::warn!(
                    "a run that ended early left this in its journal, but the post was changed since, or the database \
                     refuses it: {}",
                    one_line(&row.to_string(), 2000)
                );
            }
        }
        let recorded: HashSet<PostId> = report.recorded.iter().copied().collect();
        let written = rows
            .into_iter()
            .filter(|row| id(row).is_some_and(|id| recorded.contains(&id)));
        Ok((written.collect(), refused.is_empty()))
    }
}

/// The journal in these bytes, up to where they were torn.
fn read(bytes: &[u8]) -> Result<Told, String> {
    #[derive(Deserialize)]
    struct Version {
        journal: u32,
    }
    let damaged = |line: usize| {
        format!(
            "its line {line} is damaged: its posts come back when their lease ends, and the file can be removed then"
        )
    };
    // What follows the last line's end was never finished.
    let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let mut chain = Chain::default();
    let mut lines = bytes[..end].split(|byte| *byte == b'\n').zip(1..);
    let mut lines = std::iter::from_fn(|| {
        let (line, number) = lines.next()?;
        Some(chain.checked(line).ok_or_else(|| damaged(number)))
    });
    let json = lines.next().unwrap_or_else(|| Err(damaged(1)))?;
    let version: Version = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    if version.journal != FORMAT {
        let version = version.journal;
        return Err(format!(
            "it is of another version ({version}, not {FORMAT})"
        ));
    }
    let head: Head = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let mut told = Told {
        run: head.run,
        database: head.database,
        host: head.host,
        boot: head.boot,
        began: head.at,
        ended: head.at,
        posts: BTreeMap::new(),
    };
    for line in head.posts {
        told.tell(line)?;
    }
    for line in lines {
        told.tell(serde_json::from_slice(line?).map_err(|e| e.to_string())?)?;
    }
    Ok(told)
}

impl Told {
    /// What is to be recorded. If the machine went down meanwhile, its last lines may be lost: a post that seems never
    /// to have been sent may have been, and is left to its lease.
    fn entries(&self, boot: &str) -> impl Iterator<Item = &Line> {
        let is_whole = !boot.is_empty() && self.boot == boot;
        let concluded =
            |line: &&Line| line.row["status"] != "pending" || !line.row["entry"].is_null();
        self.posts
            .values()
            .filter(move |line| is_whole || concluded(line))
    }

    /// The line replaces what was said of its post.
    fn tell(&mut self, line: Line) -> Result<(), String> {
        let row = Row::try_from(line.row.clone()).map_err(|e| e.to_string())?;
        let id = row.id().ok_or("a row has no id")?;
        self.ended = line.at;
        self.posts.insert(id, line);
        Ok(())
    }
}

/// How many rows there are of each kind.
fn count<'a>(rows: impl IntoIterator<Item = &'a Value>) -> Summary {
    let mut summary = Summary::default();
    for row in rows {
        summary.due += 1;
        let kind = match row["status"].as_str() {
            Some("published") => &mut summary.published,
            Some("failed") => &mut summary.failed,
            Some("expired") => &mut summary.expired,
            Some("unconfirmed") => &mut summary.unconfirmed,
            _ if row["entry"].is_null() => &mut summary.released,
            _ => &mut summary.retry,
        };
        *kind += 1;
    }
    summary
}

#[cfg(test)]
mod tests;
