//! The libraries required by compiled code, by content hash.

use object::endian::Endianness;
use object::read::elf::{Dyn, FileHeader};
use object::{elf, read};
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::ArtifactHash;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A library and the libraries it depends on, in load order; the library itself is last.
pub(crate) type NeededLibraries = Arc<[(ArtifactHash, PathBuf)]>;

/// A library that cannot be read or hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    /// The file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The thread that hashed it has ended.
    #[error("hashing {}: {error}", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// The end of the thread.
        error: tokio::task::JoinError,
    },
}

impl ArtifactError {
    fn read(path: &Path, error: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            error,
        }
    }
}

impl From<ArtifactError> for Failure {
    fn from(error: ArtifactError) -> Self {
        let kind = match error {
            ArtifactError::Read { .. } => FailureKind::Environment,
            ArtifactError::Hash { .. } => FailureKind::Internal,
        };
        Self::new(kind, &error, None)
    }
}

/// A cell of another notebook: its execution count there, and its source.
type ForeignCell = (usize, Arc<str>);

/// A cache of libraries' hashes and dependencies. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Artifacts {
    /// Locked for a lookup.
    libraries: Arc<Mutex<HashMap<PathBuf, ReadLibrary>>>,
    /// The artifacts of each library, valid while its modification time is unchanged. Locked for a
    /// lookup.
    needed: Arc<Mutex<HashMap<PathBuf, (SystemTime, NeededLibraries)>>>,
    /// The cells of other notebooks from which libraries were compiled. Locked for a lookup or a change.
    foreign_cells: Arc<Mutex<Vec<ForeignCell>>>,
}

/// The contents of a library when it was last read.
#[derive(Clone, Debug)]
struct ReadLibrary {
    modified: SystemTime,
    hash: ArtifactHash,
    /// The names of the libraries it depends on.
    needed: Vec<String>,
}

/// A step of the search: a library is added after its dependencies.
enum LibraryVisit {
    Look,
    Take,
}

impl Artifacts {
    /// Returns the libraries of a cell in load order: the standard library, libraries built with
    /// the cell and stored beside it, the cell's own.
    ///
    /// # Errors
    /// Returns an error if one of them cannot be read.
    pub(crate) async fn of(
        &self,
        libstd: &Path,
        library: &Path,
    ) -> Result<NeededLibraries, ArtifactError> {
        let modified = modified(library)?;
        let known = locked(&self.needed).get(library).cloned();
        if let Some((_, needed)) = known.filter(|(then, _)| *then == modified) {
            return Ok(needed);
        }
        let needed: NeededLibraries = self.find(libstd, library).await?.into();
        locked(&self.needed).insert(library.to_owned(), (modified, Arc::clone(&needed)));
        Ok(needed)
    }

    /// Returns the library with this hash, if it has been read.
    pub(crate) fn library(&self, hash: &ArtifactHash) -> Option<PathBuf> {
        let libraries = locked(&self.libraries);
        let mut found = libraries.iter().filter(|(_, known)| known.hash == *hash);
        found.next().map(|(path, _)| path.clone())
    }

    /// Records a cell of another notebook, with its execution count there.
    pub(crate) fn record_foreign_cell(&self, count: usize, source: Arc<str>) {
        let mut cells = locked(&self.foreign_cells);
        if !cells.iter().any(|(_, known)| *known == source) {
            cells.push((count, source));
        }
    }

    /// Returns the cells of other notebooks in the order in which they were compiled.
    pub(crate) fn foreign_cells(&self) -> Vec<(usize, Arc<str>)> {
        locked(&self.foreign_cells).clone()
    }

    async fn find(
        &self,
        libstd: &Path,
        library: &Path,
    ) -> Result<Vec<(ArtifactHash, PathBuf)>, ArtifactError> {
        let mut artifacts = vec![(self.known(libstd).await?.hash, libstd.to_owned())];
        let mut seen = HashSet::new();
        let mut wanted = vec![(library.to_owned(), LibraryVisit::Look)];
        while let Some((path, visit)) = wanted.pop() {
            match visit {
                LibraryVisit::Take => artifacts.push((self.known(&path).await?.hash, path)),
                LibraryVisit::Look if seen.insert(path.clone()) => {
                    let needed = self.known(&path).await?.needed.into_iter();
                    let beside = needed.map(|name| library.with_file_name(name));
                    wanted.push((path, LibraryVisit::Take));
                    let beside = beside.filter(|beside| beside.is_file());
                    wanted.extend(beside.map(|beside| (beside, LibraryVisit::Look)));
                }
                LibraryVisit::Look => {}
            }
        }
        Ok(artifacts)
    }

    async fn known(&self, path: &Path) -> Result<ReadLibrary, ArtifactError> {
        let modified = modified(path)?;
        let known = locked(&self.libraries).get(path).cloned();
        if let Some(known) = known.filter(|known| known.modified == modified) {
            return Ok(known);
        }
        let bytes = tokio::fs::read(path).await;
        let bytes = bytes.map_err(|error| ArtifactError::read(path, error))?;
        // Hashing several megabytes would block the threads that serve requests.
        let look = tokio::task::spawn_blocking(move || ReadLibrary {
            modified,
            hash: ArtifactHash::of(&bytes),
            // A file that is not a library has no dependencies.
            needed: needed(&bytes).unwrap_or_default(),
        });
        let look = look.await.map_err(|error| ArtifactError::Hash {
            path: path.to_owned(),
            error,
        })?;
        locked(&self.libraries).insert(path.to_owned(), look.clone());
        Ok(look)
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn modified(path: &Path) -> Result<SystemTime, ArtifactError> {
    let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.map_err(|error| ArtifactError::read(path, error))
}

/// Returns the names of the libraries that a library depends on (`DT_NEEDED`).
fn needed(library: &[u8]) -> read::Result<Vec<String>> {
    let header = elf::FileHeader64::<Endianness>::parse(library)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, library)?;
    let Some((entries, strings)) = sections.dynamic(endian, library)? else {
        return Ok(Vec::new());
    };
    let strings = sections.strings(endian, library, strings)?;
    entries
        .iter()
        .filter(|entry| entry.tag(endian) == elf::DT_NEEDED)
        .map(|entry| {
            let name = entry.string(endian, strings)?;
            Ok(String::from_utf8_lossy(name).into_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needed_libraries_are_read_from_a_library() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needed = needed(&program).unwrap();
        assert!(needed.iter().any(|name| name.starts_with("libc.so")));
    }

    #[tokio::test]
    async fn a_file_is_read_again_once_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (std, cell) = (folder.path().join("std"), folder.path().join("cell"));
        std::fs::write(&std, "std").unwrap();
        std::fs::write(&cell, "1").unwrap();
        let artifacts = Artifacts::default();
        let first = artifacts.of(&std, &cell).await.unwrap();
        assert_eq!(first[0], (ArtifactHash::of(b"std"), std.clone()));
        assert_eq!(first[1], (ArtifactHash::of(b"1"), cell.clone()));
        std::fs::write(&cell, "2").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(1);
        let file = std::fs::File::open(&cell).unwrap();
        file.set_modified(later).unwrap();
        let second = artifacts.of(&std, &cell).await.unwrap();
        assert_eq!(second[1].0, ArtifactHash::of(b"2"));
        std::fs::remove_file(&cell).unwrap();
        assert!(artifacts.of(&std, &cell).await.is_err());
    }
}
