//! Folders that are kept from session to session, so that dependencies are built once.

use rustix::fs::{FlockOperation, Mode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Names the folder that everything kept stands below; else `phalanx` in the user's cache folder.
const CACHE_VAR: &str = "PHALANX_CACHE_DIR";

/// Most evaluators of one kind that find a kept folder at the same time.
const FOLDERS: u32 = 64;

/// Where what is kept from session to session stands.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os(CACHE_VAR) {
        Some(folder) if !folder.is_empty() => Some(PathBuf::from(folder)),
        _ => Some(dirs::cache_dir()?.join("phalanx")),
    }
}

/// A build folder that nobody else is using.
#[derive(Debug)]
pub(crate) struct BuildFolder {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl BuildFolder {
    /// Takes the first folder of a kind that is free, or makes one.
    ///
    /// The first ones are taken first, so sessions one after another find what the last has built.
    pub(crate) fn acquire(cache: &Path, kind: &str) -> io::Result<Self> {
        let folders = cache.join("build");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folders)?;
        for number in 0..FOLDERS {
            let name = format!("{kind}-{number}");
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(Mode::RUSR.union(Mode::WUSR).bits())
                .open(folders.join(format!("{name}.lock")))?;
            if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let path = folders.join(name);
                std::fs::create_dir_all(&path)?;
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::Error::other(format!(
            "all {FOLDERS} build folders in {} are in use",
            folders.display()
        )))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_and_is_found_again() {
        let cache = tempfile::tempdir().unwrap();
        let first = BuildFolder::acquire(cache.path(), "local").unwrap();
        let second = BuildFolder::acquire(cache.path(), "local").unwrap();
        assert_ne!(first.path(), second.path());
        let path = first.path().to_owned();
        drop(first);
        assert_eq!(
            BuildFolder::acquire(cache.path(), "local").unwrap().path(),
            path
        );
    }
}
