//! Distinction of a file from one that was later written to the same path.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The identity of a file's contents: device, inode, size, and time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileIdentity(u64, u64, u64, i64, i64);

impl FileIdentity {
    /// Returns the identity of the file at a path, if it exists.
    pub fn of(path: &Path) -> Option<Self> {
        let file = path.metadata().ok()?;
        let (seconds, nanoseconds) = (file.mtime(), file.mtime_nsec());
        Some(Self(
            file.dev(),
            file.ino(),
            file.size(),
            seconds,
            nanoseconds,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_another_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.so");
        assert_eq!(FileIdentity::of(&path), None);
        std::fs::write(&path, "one").unwrap();
        let first = FileIdentity::of(&path);
        assert!(first.is_some());
        assert_eq!(FileIdentity::of(&path), first);
        let other = folder.path().join("other.so");
        std::fs::write(&other, "one").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(FileIdentity::of(&path), first);
    }
}
