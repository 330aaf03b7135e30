//! Build folders, kept between sessions, so that dependencies are built once.

use rustix::fs::{FlockOperation, Mode};
use std::ffi::OsString;
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

/// The folder cargo builds in, within a folder.
const TARGET: &str = "target";

/// The folder of cargo's fingerprints, within the folder of a profile.
const FINGERPRINTS: &str = ".fingerprint";

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
        copy(&lock, &new.join("Cargo.lock"))?;
    }
    take_built(&from, new)
}

/// Copies missing builds from other folders, so that no dependency is built separately for a
/// kernel's cells and for its engines'.
///
/// # Errors
/// If a file cannot be read or written.
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

/// Copies builds that one folder has and another lacks.
///
/// The first may be in use. Cargo writes a fingerprint once its unit is complete; so the
/// fingerprints are read first, and the files of their units are complete when they are copied.
fn take_built(from: &Path, to: &Path) -> io::Result<()> {
    for profile in profiles(&from.join(TARGET))? {
        let below = profile.strip_prefix(from).map_err(io::Error::other)?;
        let own = to.join(below);
        let complete = complete_fingerprints(&profile.join(FINGERPRINTS), &own.join(FINGERPRINTS));
        if complete.is_empty() {
            continue;
        }
        for part in ["build", "deps"] {
            copy_missing(&profile.join(part), &own.join(part))?;
        }
        for fingerprint in complete {
            let (from, to) = (profile.join(FINGERPRINTS), own.join(FINGERPRINTS));
            copy_missing(&from.join(&fingerprint), &to.join(&fingerprint))?;
        }
    }
    Ok(())
}

/// The fingerprints of complete units that are in one folder and not in another.
fn complete_fingerprints(from: &Path, to: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(from).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let wanted = names.filter(|name| !to.join(name).exists());
    let is_complete = |name: &OsString| {
        let files = std::fs::read_dir(from.join(name))
            .into_iter()
            .flatten()
            .flatten();
        // The hash, next to a description of the hashed data.
        let mut files = files.map(|file| file.path());
        files.any(|file| {
            file.extension()
                .is_some_and(|extension| extension == "json")
        })
    };
    wanted.filter(is_complete).collect()
}

/// Removes rustc's incremental state of cells compiled in a folder, which a killed session may have
/// left incomplete: rustc would then assume functions exist that do not.
pub(crate) fn forget_cells(build: &Path) -> io::Result<()> {
    for profile in profiles(&build.join(TARGET))? {
        let kept = match std::fs::read_dir(profile.join("incremental")) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in kept.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"ctx-") {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
    }
    Ok(())
}

/// The folders of profiles in a target folder: the host's, and those of each target.
fn profiles(target: &Path) -> io::Result<Vec<PathBuf>> {
    let mut profiles = vec![target.join("debug")];
    for entry in std::fs::read_dir(target)?.flatten() {
        profiles.push(entry.path().join("debug"));
    }
    profiles.retain(|profile| profile.is_dir());
    Ok(profiles)
}

/// Copies the files that another folder lacks.
fn copy_missing(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_missing(&from, &to)?;
        } else if !is_cell(&from) && !to.exists() {
            share(&from, &to)?;
        }
    }
    Ok(())
}

/// Hard-links files that are replaced rather than modified, and copies others.
fn share(from: &Path, to: &Path) -> io::Result<()> {
    let extension = from.extension().and_then(|extension| extension.to_str());
    let is_replaced = matches!(extension, Some("rlib" | "rmeta" | "so"));
    if is_replaced && std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)
}

/// Returns true for a compiled cell, which is not shared.
fn is_cell(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("libcode_") || name.starts_with("libctx"))
}

/// Copies a file with its modification time, which cargo checks; a file that was removed or
/// replaced meanwhile is omitted.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(modified) = from.metadata().and_then(|metadata| metadata.modified()) else {
        return Ok(());
    };
    match std::fs::copy(from, to) {
        Ok(_) => File::options().write(true).open(to)?.set_modified(modified),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
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

    #[test]
    fn what_rustc_keeps_of_cells_can_be_forgotten() {
        let cache = tempfile::tempdir().unwrap();
        let folder = BuildFolder::acquire(cache.path(), "local").unwrap();
        forget_cells(folder.path()).unwrap_err();
        let profile = folder.path().join("target/triple/debug");
        std::fs::create_dir_all(profile.join("deps")).unwrap();
        forget_cells(folder.path()).unwrap();
        for kept in ["ctx-1/s-1", "serde-1/s-1"] {
            std::fs::create_dir_all(profile.join("incremental").join(kept)).unwrap();
        }
        forget_cells(folder.path()).unwrap();
        assert!(!profile.join("incremental/ctx-1").exists());
        assert!(profile.join("incremental/serde-1").exists());
    }

    #[test]
    fn a_new_folder_gets_what_another_has_built() {
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
            std::fs::write(folder.join(file), "1").unwrap();
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
