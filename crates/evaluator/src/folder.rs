//! Build folders, kept between sessions, so that dependencies are built once.

use crate::built_units::{TARGET, profiles, take_built};
use rustix::fs::{FlockOperation, Mode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder of build folders, in the cache folder.
pub(crate) const BUILD: &str = "build";

/// The folder of the versions of the notebooks' library, in the cache folder.
pub(crate) const LIBRARY: &str = "library";

/// The extension of a build folder's lock file, which is next to the folder.
pub(crate) const LOCK_EXTENSION: &str = "lock";

/// The prefix of the folders with rustc's incremental state of cells.
const CELL_STATE: &str = "notebook-";

/// The maximum number of evaluators of one kind that use kept folders at the same time.
const FOLDERS: u32 = 64;

/// A locked build folder.
#[derive(Debug)]
pub(crate) struct BuildFolder {
    path: PathBuf,
    /// Locked while it is open.
    _lock: File,
}

impl BuildFolder {
    /// Locks the first unused folder of a kind, or creates one.
    ///
    /// Folders are tried in order, so that consecutive sessions find the builds of the previous
    /// one.
    pub(crate) fn acquire(cache: &Path, kind: &str) -> io::Result<Self> {
        let folders = cache.join(BUILD);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folders)?;
        for number in 0..FOLDERS {
            let name = format!("{kind}-{number}");
            let lock = open_lock(&folders.join(format!("{name}.{LOCK_EXTENSION}")))?;
            if rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                // The time of the last use, which determines the order of removal.
                lock.set_modified(SystemTime::now())?;
                let path = folders.join(name);
                if !path.join(TARGET).is_dir() {
                    seed(&folders, &path)?;
                }
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

    /// Takes the lock of a folder, if it is not in use.
    pub(crate) fn try_lock(lock: &Path) -> Option<File> {
        let lock = open_lock(lock).ok()?;
        let locked = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive);
        locked.is_ok().then_some(lock)
    }
}

/// Returns true while the folder of a lock is in use.
pub(crate) fn is_locked(lock: &Path) -> bool {
    lock.is_file() && BuildFolder::try_lock(lock).is_none()
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(Mode::RUSR.union(Mode::WUSR).bits())
        .open(path)
}

/// Copies the builds of another folder to a new one, so that no dependency is built twice.
fn seed(folders: &Path, new: &Path) -> io::Result<()> {
    std::fs::create_dir_all(new)?;
    let newest = std::fs::read_dir(folders)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path != new)
        .filter_map(|path| Some((path.join(TARGET).metadata().ok()?.modified().ok()?, path)))
        .max();
    let Some((_, from)) = newest else {
        return Ok(());
    };
    // An incomplete copy does no harm: cargo builds what is missing.
    let lock = from.join("Cargo.lock");
    if lock.is_file() {
        std::fs::copy(&lock, new.join("Cargo.lock"))?;
    }
    take_built(&from, new)
}

/// Copies missing builds from other folders, so that no dependency is built separately for a
/// kernel's cells and for its engines'.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
#[cfg(feature = "evcxr")]
pub(crate) fn take_from_others(own: &Path) -> io::Result<()> {
    let folders = own.parent().unwrap_or(own);
    for entry in std::fs::read_dir(folders)?.flatten() {
        let other = entry.path();
        if other.join(TARGET).is_dir() && entry.file_name() != own.file_name().unwrap_or_default() {
            take_built(&other, own)?;
        }
    }
    Ok(())
}

/// Removes rustc's incremental state of cells compiled in a folder, which a killed session may have
/// left incomplete: rustc would then assume functions exist that do not.
pub(crate) fn forget_cells(build: &Path) -> io::Result<()> {
    for profile in profiles(build)? {
        let entries = match std::fs::read_dir(build.join(profile).join("incremental")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(CELL_STATE.as_bytes())
            {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_has_one_user_and_is_reused() {
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

    #[test]
    fn incremental_state_of_cells_is_removed() {
        let cache = tempfile::tempdir().unwrap();
        let folder = BuildFolder::acquire(cache.path(), "local").unwrap();
        forget_cells(folder.path()).unwrap_err();
        let profile = folder.path().join("target/triple/debug");
        std::fs::create_dir_all(profile.join("deps")).unwrap();
        forget_cells(folder.path()).unwrap();
        for crate_folder in ["notebook-1/s-1", "serde-1/s-1"] {
            std::fs::create_dir_all(profile.join("incremental").join(crate_folder)).unwrap();
        }
        forget_cells(folder.path()).unwrap();
        assert!(!profile.join("incremental/notebook-1").exists());
        assert!(profile.join("incremental/serde-1").exists());
    }

    #[test]
    fn new_folder_is_seeded_with_complete_builds() {
        let cache = tempfile::tempdir().unwrap();
        let local = BuildFolder::acquire(cache.path(), "local").unwrap();
        let built = local.path().join("target/triple/debug/deps");
        std::fs::create_dir_all(&built).unwrap();
        std::fs::write(built.join("libserde.rlib"), "code").unwrap();
        std::fs::write(built.join("libcode_1.so"), "a cell").unwrap();
        let fingerprint = |name: &str, file: &str| {
            let folder = local
                .path()
                .join("target/triple/debug/.fingerprint")
                .join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(file), r#"{"deps":[]}"#).unwrap();
            let hash = file.strip_suffix(".json").map(|hash| folder.join(hash));
            if let Some(hash) = hash {
                std::fs::write(hash, "0123456789abcdef").unwrap();
            }
        };
        fingerprint("serde-1", "lib-serde.json");
        fingerprint("half-1", "invoked.timestamp");
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7);
        let file = File::options()
            .write(true)
            .open(built.join("libserde.rlib"))
            .unwrap();
        file.set_modified(time).unwrap();

        let engines = BuildFolder::acquire(cache.path(), "engines").unwrap();
        let seeded = engines.path().join("target/triple/debug/deps");
        let metadata = seeded.join("libserde.rlib").metadata().unwrap();
        assert_eq!(metadata.modified().unwrap(), time);
        assert!(!seeded.join("libcode_1.so").exists());
        let fingerprints = engines.path().join("target/triple/debug/.fingerprint");
        assert!(fingerprints.join("serde-1").exists());
        assert!(!fingerprints.join("half-1").exists(), "it is being built");

        std::fs::write(built.join("librand.rlib"), "more code").unwrap();
        fingerprint("rand-1", "lib-rand.json");
        take_from_others(engines.path()).unwrap();
        assert!(seeded.join("librand.rlib").exists());
        assert!(fingerprints.join("rand-1").exists());
    }
}
