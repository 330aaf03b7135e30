//! Temporary folders that other processes can recognize as abandoned.
//!
//! A process that is killed cannot remove its folder. The owner holds a lock on a file in it, which ends
//! with the process however it ends; whoever starts next removes the folders whose lock is free.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// The beginning of the names of all folders.
const PREFIX: &str = "phalanx-";

/// The file that the owner has locked.
const OWNER: &str = "owner.lock";

/// The same file before it is locked.
const UNLOCKED: &str = "owner.new";

/// A folder, of mode 0700, that is removed with its owner, or by the next one if that was killed.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    /// Locked as long as it is open.
    _owner: File,
}

impl TemporaryFolder {
    /// Makes a folder among the system's temporary files; `kind` becomes part of its name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(kind: &str) -> io::Result<Self> {
        Self::new_in(kind, &std::env::temp_dir())
    }

    /// Makes a folder in another one.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new_in(kind: &str, parent: &Path) -> io::Result<Self> {
        let prefix = match kind {
            "" => PREFIX.to_owned(),
            kind => format!("{PREFIX}{kind}-"),
        };
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(parent)?;
        // Named once it is locked: whoever cleans up takes a free lock for a killed owner's.
        let unnamed = folder.path().join(UNLOCKED);
        let owner = File::create_new(&unnamed)?;
        flock(&owner, FlockOperation::NonBlockingLockExclusive)?;
        std::fs::rename(unnamed, folder.path().join(OWNER))?;
        Ok(Self {
            folder,
            _owner: owner,
        })
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Returns true if a folder's owner was killed. A folder without an owner is nobody's to judge.
pub fn is_abandoned(folder: &Path) -> bool {
    let owner = File::open(folder.join(OWNER));
    // The lock goes with the file.
    owner.is_ok_and(|owner| flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok())
}

/// Removes the folders among the system's temporary files whose owners were killed, and returns how many
/// there were.
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
        // One without the file is just being made, or of another version.
        let Ok(owner) = File::open(entry.path().join(OWNER)) else {
            return false;
        };
        // Whoever else removes it meanwhile has the lock, or has removed it.
        flock(&owner, FlockOperation::NonBlockingLockExclusive).is_ok()
            && std::fs::remove_dir_all(entry.path()).is_ok()
    });
    removed.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_being_made_is_left_alone() {
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
        // As a killed process leaves it: the lock is free, the folder is there.
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
