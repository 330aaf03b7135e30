//! The history file, shared by all sessions of a user: one JSON record per line, appended under a
//! lock, cut to its newer half when it exceeds its limit.

use super::reply::RecordedCell;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The size limit of the file, in bytes.
const MOST_BYTES: u64 = 8 << 20;

/// The size limit of a source or result, in bytes; a longer result is cut.
const MAX_TEXT: usize = 256 << 10;

/// A line of the file: a cell, or the value of one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HistoryLine<'a> {
    session: usize,
    line: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Cow<'a, str>>,
}

impl<'a> HistoryLine<'a> {
    pub(super) fn source(session: usize, line: usize, source: &'a str) -> Self {
        Self {
            session,
            line,
            source: Some(source.into()),
            result: None,
        }
    }

    pub(super) fn result(session: usize, line: usize, result: &'a str) -> Self {
        let end = result.floor_char_boundary(MAX_TEXT);
        Self {
            session,
            line,
            source: None,
            result: Some(result[..end].into()),
        }
    }
}

#[derive(Debug)]
pub(super) struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Appends a record; a session without a number takes the next one.
    pub(super) fn append<'a>(
        &self,
        session: &mut Option<usize>,
        record: impl FnOnce(usize) -> HistoryLine<'a>,
    ) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        // Held until this function returns. Locks the folder, since the file may be replaced.
        let lock = File::open(folder)?;
        // On a file system without locks, a line may be lost, but not more.
        let _ = flock(&lock, FlockOperation::LockExclusive);
        let number = match *session {
            Some(number) => number,
            None => {
                self.read()
                    .iter()
                    .map(|entry| entry.session)
                    .max()
                    .unwrap_or(0)
                    + 1
            }
        };
        let record = record(number);
        *session = Some(number);
        if record
            .source
            .as_ref()
            .is_some_and(|source| source.len() > MAX_TEXT)
        {
            return Ok(());
        }
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        let mut file = open(&self.path)?;
        if file.metadata()?.len() + line.len() as u64 > MOST_BYTES {
            file = self.shorten(folder)?;
        }
        file.write_all(&line)
    }

    /// Returns the cells of all sessions in order of execution. Unreadable lines are skipped.
    pub(super) fn read(&self) -> Vec<RecordedCell> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "the history cannot be read");
                }
                return Vec::new();
            }
        };
        let mut entries: Vec<RecordedCell> = Vec::new();
        let mut indices = HashMap::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            // A full disk may leave a truncated line.
            let Ok(record) = serde_json::from_slice::<HistoryLine<'_>>(line) else {
                continue;
            };
            let key = (record.session, record.line);
            if let Some(source) = record.source {
                indices.insert(key, entries.len());
                entries.push(RecordedCell {
                    session: record.session,
                    line: record.line,
                    source: source.into_owned(),
                    result: None,
                });
            }
            if let (Some(result), Some(at)) = (record.result, indices.get(&key)) {
                entries[*at].result = Some(result.into_owned());
            }
        }
        entries
    }

    /// Replaces the file with its newer half.
    fn shorten(&self, folder: &Path) -> io::Result<File> {
        let bytes = std::fs::read(&self.path)?;
        let half = bytes.len() / 2;
        let start = bytes[half..].iter().position(|byte| *byte == b'\n');
        let kept = &bytes[start.map_or(bytes.len(), |at| half + at + 1)..];
        let new = folder.join(format!(".history-{}", std::process::id()));
        let mut file = open(&new)?;
        file.set_len(0)?;
        file.write_all(kept)?;
        std::fs::rename(&new, &self.path)?;
        Ok(file)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_shortened_and_a_truncated_line_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(
            &path,
            "{\"session\":7,\"line\":1,\"source\":\"old\"}\n{\"sess\n",
        )
        .unwrap();
        let file = HistoryFile::new(path.clone());
        let mut session = None;
        let source = "x".repeat(MAX_TEXT);
        let fits = MOST_BYTES as usize / MAX_TEXT;
        for line in 1..=2 * fits {
            file.append(&mut session, |session| {
                HistoryLine::source(session, line, &source)
            })
            .unwrap();
        }
        assert_eq!(session, Some(8));
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length <= MOST_BYTES, "{length}");
        let lines: Vec<usize> = file.read().iter().map(|entry| entry.line).collect();
        assert_eq!(lines.last(), Some(&(2 * fits)));
        assert!(
            lines.is_sorted() && lines.len() >= fits / 2 - 1,
            "{lines:?}"
        );
        let long = "y".repeat(MAX_TEXT + 1);
        file.append(&mut session, |session| {
            HistoryLine::source(session, 99, &long)
        })
        .unwrap();
        assert!(file.read().iter().all(|entry| entry.line != 99));
    }
}
