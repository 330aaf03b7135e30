//! Temporary folders that other processes recognize as abandoned.
//!
//! A killed process cannot remove its folder. The owner holds a lock on a file in the folder, which
//! is released however it ends; a process that starts later removes the folders whose lock is free.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// The prefix of the names of all folders.
const PREFIX: &str = "phalanx-";

/// The file locked by the owner.
const OWNER: &str = "owner.lock";

/// The name of that file before it is locked.
const UNLOCKED: &str = "owner.new";

/// A folder of mode 0700 that is removed on drop, or by a later process if its owner was killed.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    /// Open, and thus locked, as long as the value exists.
    _owner: File,
}

impl TemporaryFolder {
    /// Creates a folder in the system's folder of temporary files; `kind` becomes part of its name.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn new(kind: &str) -> io::Result<Self> {
        Self::new_in(kind, &std::env::temp_dir())
    }

    /// Creates a folder in another one.
    ///
    /// # Errors
    /// Returns an error if it cannot be created.
    pub fn new_in(kind: &str, parent: &Path) -> io::Result<Self> {
        let prefix = match kind {
            "" => PREFIX.to_owned(),
            kind => format!("{PREFIX}{kind}-"),
        };
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(parent)?;
        // Renamed once it is locked: a cleanup would take a free lock for that of a killed owner.
        let unnamed = folder.path().join(UNLOCKED);
        let owner = File::create_new(&unnamed)?;
        flock(&owner, FlockOperation::NonBlockingLockExclusive)?;
        std::fs::rename(unnamed, folder.path().join(OWNER))?;
        Ok(Self {
            folder,
            _owner: owner,
        })
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Returns true if a folder's owner was killed; false for a folder without the file.
pub fn is_abandoned(folder: &Path) -> bool {
    let owner = File::open(folder.join(OWNER));
    // The lock is released with the file.
    owner.is_ok_and(|owner| flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok())
}

/// Removes abandoned folders from the system's folder of temporary files; returns their number.
pub fn remove_abandoned() -> usize {
    remove_abandoned_in(&std::env::temp_dir())
}

fn remove_abandoned_in(parent: &Path) -> usize {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
    });
    let removed = ours.filter(|entry| {
        // Without the file, it is being created, or belongs to another version.
        let Ok(owner) = File::open(entry.path().join(OWNER)) else {
            return false;
        };
        // A concurrent cleanup holds the lock or has removed it.
        flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok()
            && std::fs::remove_dir_all(entry.path()).is_ok()
    });
    removed.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_being_created_is_not_removed() {
        let parent = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let removed = std::thread::scope(|scope| {
            let cleaning = scope.spawn(|| {
                let mut removed = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    removed += remove_abandoned_in(parent.path());
                }
                removed
            });
            let made = (0..2000).map(|_| TemporaryFolder::new_in("made", parent.path()));
            let is_whole = |folder: TemporaryFolder| folder.path().join(OWNER).is_file();
            let lost = made.map(|folder| folder.is_ok_and(is_whole));
            let lost = lost.filter(|is_there| !is_there).count();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            cleaning.join().unwrap() + lost
        });
        assert_eq!(removed, 0);
    }

    #[test]
    fn a_folder_is_removed_once_its_owner_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let used = TemporaryFolder::new_in("runtime", parent.path()).unwrap();
        std::fs::write(used.path().join("socket"), "").unwrap();
        let foreign = parent.path().join("phalanx-other");
        std::fs::create_dir(&foreign).unwrap();
        assert_eq!(remove_abandoned_in(parent.path()), 0);
        assert!(used.path().is_dir() && foreign.is_dir());
        assert!(!is_abandoned(used.path()) && !is_abandoned(&foreign));
        // The state left by a killed process: the lock is free, and the folder exists.
        let TemporaryFolder { folder, _owner } = used;
        let path = folder.keep();
        drop(_owner);
        assert!(is_abandoned(&path));
        assert_eq!(remove_abandoned_in(parent.path()), 1);
        assert!(!path.exists() && foreign.is_dir());
        let ended = TemporaryFolder::new_in("", parent.path()).unwrap();
        let path = ended.path().to_owned();
        drop(ended);
        assert!(!path.exists());
    }
}
