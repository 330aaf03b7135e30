//! The cache folder: its contents, and its size limit.

use crate::folder::{self, BuildFolder};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The environment variable with the limit in MiB; the default is [`DEFAULT_LIMIT`].
const LIMIT_VAR: &str = "PHALANX_CACHE_LIMIT";

/// The default limit of the cache, in bytes.
const DEFAULT_LIMIT: u64 = 16 << 30;

/// A part of the cache that can be removed separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The folder.
    pub path: PathBuf,
    /// The size in bytes, without the files that a part used later has in common with it.
    pub size: u64,
    /// The time of the last use.
    pub used: SystemTime,
    /// True while a running kernel has it locked.
    pub in_use: bool,
}

/// Returns the limit of the cache, in bytes.
#[must_use]
pub fn cache_limit() -> u64 {
    let value = std::env::var(LIMIT_VAR).ok();
    let mebibytes = value.and_then(|text| text.trim().parse::<u64>().ok());
    mebibytes.map_or(DEFAULT_LIMIT, |mebibytes| mebibytes << 20)
}

/// Lists the build folders and the versions of the notebooks' library, the least recently used
/// first.
///
/// # Errors
/// Returns an error if the folder cannot be read; a missing folder is empty.
pub fn cache_entries(cache: &Path) -> io::Result<Vec<CacheEntry>> {
    let parts = parts(cache)?;
    let locked = |part: &CachePart| part.lock.as_deref().is_some_and(folder::is_locked);
    // A library may be in use by any kernel, whatever its build folder.
    let is_any_in_use = parts.iter().any(locked);
    let entry = |part: CachePart| CacheEntry {
        in_use: match part.lock {
            Some(_) => locked(&part),
            None => is_any_in_use,
        },
        path: part.path,
        size: part.size,
        used: part.used,
    };
    Ok(parts.into_iter().map(entry).collect())
}

/// Removes the least recently used parts that no kernel is using, until the cache takes at most
/// `limit` bytes; returns the removed parts.
///
/// # Errors
/// Returns an error if the folder cannot be read, or a part cannot be removed.
pub fn clean_cache(cache: &Path, limit: u64) -> io::Result<Vec<CacheEntry>> {
    let mut total: u64 = parts(cache)?.iter().map(|part| part.size).sum();
    // Checking whether parts are in use locks them for a moment, in which no kernel can.
    if total <= limit {
        return Ok(Vec::new());
    }
    let mut removed = Vec::new();
    for entry in cache_entries(cache)? {
        if total <= limit {
            break;
        }
        if entry.in_use || !remove(&entry.path)? {
            continue;
        }
        total = total.saturating_sub(entry.size);
        removed.push(entry);
    }
    Ok(removed)
}

/// A part of the cache, whose use has not been checked.
struct CachePart {
    path: PathBuf,
    size: u64,
    used: SystemTime,
    /// The lock of a build folder; a library has none.
    lock: Option<PathBuf>,
}

fn parts(cache: &Path) -> io::Result<Vec<CachePart>> {
    let mut parts = Vec::new();
    for (parent, has_lock) in [(folder::BUILD, true), (folder::LIBRARY, false)] {
        for path in folders(&cache.join(parent))? {
            let lock = has_lock.then(|| lock_of(&path));
            let used = lock.as_deref().and_then(modified);
            parts.push(CachePart {
                size: 0,
                used: used
                    .or_else(|| modified(&path))
                    .unwrap_or(SystemTime::UNIX_EPOCH),
                lock,
                path,
            });
        }
    }
    parts.sort_by_key(|part| part.used);
    // Folders share what they have built: to remove one of them frees only what it has alone.
    let mut counted = HashSet::new();
    for part in parts.iter_mut().rev() {
        part.size = size_of(&part.path, &mut counted);
    }
    Ok(parts)
}

/// Removes a part, unless a kernel has started to use it; returns true if it was removed.
fn remove(path: &Path) -> io::Result<bool> {
    let lock = lock_of(path);
    let held = lock.is_file().then(|| BuildFolder::try_lock(&lock));
    if matches!(held, Some(None)) {
        return Ok(false);
    }
    fs::remove_dir_all(path).map(|()| true)
}

fn lock_of(path: &Path) -> PathBuf {
    path.with_added_extension(folder::LOCK_EXTENSION)
}

fn folders(parent: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.is_dir()).collect())
}

/// Returns the size of a folder in bytes, without files with several links that were counted
/// before, each given by its device and its number; entries that disappear meanwhile are not
/// counted.
fn size_of(folder: &Path, counted: &mut HashSet<(u64, u64)>) -> u64 {
    let mut size = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size += size_of(&entry.path(), counted),
            Ok(metadata)
                if metadata.nlink() == 1 || counted.insert((metadata.dev(), metadata.ino())) =>
            {
                size += metadata.len();
            }
            _ => {}
        }
    }
    size
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn build(cache: &Path, kind: &str, bytes: usize) -> BuildFolder {
        let folder = BuildFolder::acquire(cache, kind).unwrap();
        fs::create_dir_all(folder.path().join("target")).unwrap();
        fs::write(folder.path().join("target/lib.rlib"), vec![0; bytes]).unwrap();
        folder
    }

    #[test]
    fn least_recently_used_folders_are_removed() {
        let cache = tempfile::tempdir().unwrap();
        let old = build(cache.path(), "old", 1000).path().to_owned();
        let used = build(cache.path(), "used", 1000);
        let new = build(cache.path(), "new", 1000).path().to_owned();
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        for (path, age) in [(&old, 2), (&used.path().to_owned(), 3)] {
            let lock = fs::File::options()
                .write(true)
                .open(path.with_extension("lock"));
            lock.unwrap()
                .set_modified(long_ago - Duration::from_secs(age))
                .unwrap();
        }
        let listed = cache_entries(cache.path()).unwrap();
        let in_use: Vec<_> = listed
            .iter()
            .map(|entry| (entry.size, entry.in_use))
            .collect();
        assert_eq!(in_use, [(1000, true), (1000, false), (1000, false)]);
        let removed = clean_cache(cache.path(), 2000).unwrap();
        assert_eq!(removed.len(), 1);
        assert!(!old.exists() && used.path().exists() && new.exists());
        assert!(clean_cache(cache.path(), 2000).unwrap().is_empty());
        assert_eq!(clean_cache(cache.path(), 0).unwrap().len(), 1);
        assert!(used.path().exists(), "a kernel is using it");
        assert_eq!(cache_entries(Path::new("/nowhere/at/all")).unwrap(), []);
    }

    #[test]
    fn files_that_folders_share_are_counted_once() {
        let cache = tempfile::tempdir().unwrap();
        let one = build(cache.path(), "one", 1000).path().to_owned();
        let other = build(cache.path(), "other", 10).path().to_owned();
        let (library, link) = ("target/lib.rlib", "target/shared.rlib");
        fs::hard_link(one.join(library), other.join(link)).unwrap();
        let sizes = cache_entries(cache.path()).unwrap();
        let sizes: Vec<u64> = sizes.iter().map(|entry| entry.size).collect();
        assert_eq!(sizes.iter().sum::<u64>(), 1010, "{sizes:?}");
        assert!(clean_cache(cache.path(), 1500).unwrap().is_empty());
        assert!(one.exists() && other.exists());
    }
}
