//! The versions selected for a set of dependencies, kept between sessions.
//!
//! evcxr frequently changes the manifest (without dependencies, with one to be tried, with all of
//! them), and each time cargo removes the other packages from the lock file. Cargo would therefore
//! query the index in every session, which needs a network, and rebuild every package that has a
//! new release. Instead, the versions of every set of dependencies are restored. A set that is new
//! gets the versions that other sets have, as far as it allows them: they have been built.

use super::known_versions;
use super::library::LOCK_FILE;
use crate::environment::BUILD_FOLDER_VAR;
use crate::folder_check::cache_folder;
use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// The folder of the lock files within the cache folder.
const FOLDER: &str = "locks";

/// The maximum number of lock files kept.
const MAX_LOCKS: usize = 256;

/// The environment variable with which rust-analyzer makes cargo use a copy of the lock file.
const COPY_VAR: &str = "CARGO_RESOLVER_LOCKFILE_PATH";

/// The text with which cargo reports versions that cannot be combined.
const CONFLICT: &str = "failed to select a version for";

/// The placeholder package with which evcxr tries out a dependency.
const TRIAL: &str = "name = \"evcxr_dummy_validate_dep\"";

/// The dependency on the `phalanx` library in a manifest.
const LIBRARY: &str = "phalanx = { path = ";

/// The lock file of one call of cargo.
pub(super) struct Lock {
    /// The file that cargo uses.
    active: PathBuf,
    /// The file that is kept between sessions.
    stored: PathBuf,
    /// If this is a trial, the contents to be restored when it is over.
    restore_to: Option<Option<Vec<u8>>>,
    /// The lines of the manifest with the dependencies.
    dependencies: Vec<String>,
    /// If the file has versions of other sets, the contents without them.
    without_others: Option<String>,
}

impl Lock {
    /// Restores the versions found before for the manifest of this call; `None` if the manifest is
    /// not evcxr's.
    pub(super) fn restore(arguments: &[OsString]) -> Option<Self> {
        let folder = PathBuf::from(env::var_os(BUILD_FOLDER_VAR)?);
        let path = manifest_path(arguments).unwrap_or(env::current_dir().ok()?.join("Cargo.toml"));
        if path.parent()?.canonicalize().ok()? != folder.canonicalize().ok()? {
            return None;
        }
        let manifest = fs::read_to_string(path).ok()?;
        let active = env::var_os(COPY_VAR).map_or(folder.join("Cargo.lock"), PathBuf::from);
        Some(Self::begin(
            &manifest,
            active,
            &cache_folder().ok()?.join(FOLDER),
        ))
    }

    fn begin(manifest: &str, active: PathBuf, locks: &Path) -> Self {
        let stored = locks.join(format!("{:016x}.lock", key(manifest)));
        let found = fs::read(&active).ok();
        let dependencies = dependencies(manifest);
        let stored_versions = fs::read_to_string(&stored).ok();
        let stored_versions = stored_versions.map(|text| known_versions::lock(&text).to_owned());
        let mut without_others = None;
        let known = stored_versions.map(String::into_bytes).or_else(|| {
            // A session keeps its versions; the first set starts with those of the library.
            let has_library = found.as_deref().is_some_and(names_library);
            let base = match has_library {
                true => found.clone(),
                false => library_lock(manifest),
            };
            let base = String::from_utf8(base?).ok()?;
            let with_others = known_versions::add(&base, &dependencies, locks);
            without_others = (with_others != base).then_some(base);
            Some(with_others.into_bytes())
        });
        if let Some(known) = known
            && found.as_ref() != Some(&known)
        {
            // Otherwise cargo queries the index, as for unknown packages.
            let _ = fs::write(&active, known);
        }
        let restore_to = manifest.contains(TRIAL).then_some(found);
        Self {
            active,
            stored,
            restore_to,
            dependencies: dependencies.into_iter().map(str::to_owned).collect(),
            without_others,
        }
    }

    /// Locks the build of these dependencies, once no other evaluator is building them; closing the
    /// returned file unlocks it. The builds of one evaluator are then reused by the next.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(super) fn lock_build(&self) -> io::Result<fs::File> {
        let path = self.stored.with_extension("turn");
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let file = fs::File::create(path)?;
        file.lock()?;
        Ok(file)
    }

    /// Removes the versions of other sets, if cargo's errors say that it cannot combine them, which
    /// it takes for locked; returns true if cargo is to be called again.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(super) fn give_way(&mut self, errors: &str) -> io::Result<bool> {
        match self.without_others.take() {
            Some(base) if errors.contains(CONFLICT) => {
                fs::write(&self.active, base)?;
                Ok(true)
            }
            other => {
                self.without_others = other;
                Ok(false)
            }
        }
    }

    /// Ends the call of cargo, successful or not.
    ///
    /// # Errors
    /// Returns an error if the lock file from before a trial cannot be restored.
    pub(super) fn end(self, is_success: bool) -> io::Result<()> {
        if is_success {
            // If the versions cannot be kept, they are queried again.
            let _ = self.keep();
        }
        match self.restore_to {
            Some(Some(content)) => fs::write(&self.active, content),
            Some(None) if self.active.exists() => fs::remove_file(&self.active),
            _ => Ok(()),
        }
    }

    fn keep(&self) -> io::Result<()> {
        let found = fs::read_to_string(&self.active)?;
        let found = known_versions::with_dependencies(&found, &self.dependencies);
        if fs::read_to_string(&self.stored).is_ok_and(|stored| stored == found) {
            return Ok(());
        }
        let folder = self.stored.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        forget_oldest(folder)?;
        // Written to a temporary file and renamed, since other sessions read it.
        let temporary = tempfile::NamedTempFile::new_in(folder)?;
        fs::write(temporary.path(), found)?;
        temporary.persist(&self.stored)?;
        Ok(())
    }
}

/// Returns true if a lock file contains the `phalanx` library.
fn names_library(lock: &[u8]) -> bool {
    String::from_utf8_lossy(lock).contains("name = \"phalanx\"")
}

/// Returns the versions with which the `phalanx` library was tested, if a manifest depends on it.
fn library_lock(manifest: &str) -> Option<Vec<u8>> {
    let line = manifest.lines().find(|line| line.starts_with(LIBRARY))?;
    let (_, path) = line.split_once('"')?;
    let (path, _) = path.rsplit_once('"')?;
    fs::read(Path::new(path).parent()?.join(LOCK_FILE)).ok()
}

/// Removes the oldest files to make room for one more.
fn forget_oldest(folder: &Path) -> io::Result<()> {
    let locks = fs::read_dir(folder)?.flatten();
    let mut locks = locks
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect::<Vec<_>>();
    locks.sort();
    let excess = (locks.len() + 1).saturating_sub(MAX_LOCKS);
    for (_, path) in locks.into_iter().take(excess) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Returns a hash of the package and its dependencies, independent of their order; nothing else in
/// a manifest affects versions.
fn key(manifest: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (manifest.contains(TRIAL), dependencies(manifest)).hash(&mut hasher);
    hasher.finish()
}

/// Returns the lines of a manifest with the dependencies, sorted.
fn dependencies(manifest: &str) -> Vec<&str> {
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap_or_default();
    let lines = dependencies.lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>();
    lines.sort_unstable();
    lines
}

/// Returns the manifest path in the arguments.
fn manifest_path(arguments: &[OsString]) -> Option<PathBuf> {
    let index = arguments
        .iter()
        .position(|argument| argument == OsStr::new("--manifest-path"))?;
    arguments.get(index + 1).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{dependencies}\n")
    }

    #[test]
    fn versions_of_a_set_of_dependencies_are_restored() {
        let folder = tempfile::tempdir().unwrap();
        let (active, locks) = (folder.path().join("Cargo.lock"), folder.path().join("l"));
        let begin = |manifest: &str| Lock::begin(manifest, active.clone(), &locks);
        let read = || fs::read_to_string(&active).unwrap_or_default();

        let one = manifest("ctx", "a = \"1\"\nb = \"1\"");
        let lock = begin(&one);
        fs::write(&active, "a and b").unwrap();
        lock.end(true).unwrap();
        // evcxr starts each session without a lock file.
        fs::write(&active, "nothing").unwrap();
        begin(&manifest("ctx", "")).end(true).unwrap();
        assert_eq!(read(), "nothing");
        begin(&manifest("ctx", "b = \"1\"\na = \"1\""))
            .end(true)
            .unwrap();
        assert_eq!(read(), "a and b");

        let trial = manifest("evcxr_dummy_validate_dep", "c = \"1\"");
        let lock = begin(&trial);
        fs::write(&active, "c").unwrap();
        lock.end(true).unwrap();
        assert_eq!(
            read(),
            "a and b",
            "what was there before a trial is there again"
        );
        let lock = begin(&trial);
        assert_eq!(read(), "c");
        lock.end(false).unwrap();
        assert_eq!(read(), "a and b");

        let failed = manifest("ctx", "d = \"1\"");
        let lock = begin(&failed);
        fs::write(&active, "half").unwrap();
        lock.end(false).unwrap();
        begin(&one).end(true).unwrap();
        fs::write(&active, "other").unwrap();
        begin(&failed);
        assert_eq!(read(), "other");
    }

    #[test]
    fn library_is_built_with_its_tested_versions() {
        let folder = tempfile::tempdir().unwrap();
        let (active, locks) = (folder.path().join("Cargo.lock"), folder.path().join("l"));
        let library = folder.path().join("library");
        fs::create_dir_all(library.join("phalanx")).unwrap();
        fs::write(library.join(LOCK_FILE), "tested").unwrap();
        let path = library.join("phalanx");
        let library_dependency = format!("phalanx = {{ path = {path:?} }}");
        fs::write(&active, "name = \"ctx\"").unwrap();
        let lock = Lock::begin(
            &manifest("ctx", &library_dependency),
            active.clone(),
            &locks,
        );
        assert_eq!(fs::read_to_string(&active).unwrap(), "tested");
        let resolved = "name = \"phalanx\", and what cargo made of it";
        fs::write(&active, resolved).unwrap();
        lock.end(true).unwrap();
        let more = manifest("ctx", &format!("{library_dependency}\nrand = \"0.9\""));
        Lock::begin(&more, active.clone(), &locks);
        let versions = fs::read_to_string(&active).unwrap();
        assert_eq!(
            versions, resolved,
            "a session goes on with the versions it has"
        );
    }

    #[test]
    fn new_set_gets_versions_built_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let (active, locks) = (folder.path().join("Cargo.lock"), folder.path().join("l"));
        let package = |name: &str, version: &str| {
            format!(
                "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry+x\"\nchecksum = \"1\"\ndependencies = [\n \"libc\",\n]\n"
            )
        };
        let base = "version = 4\n\n[[package]]\nname = \"phalanx\"\n".to_owned();
        let resolve = |dependencies: &str, packages: &[(&str, &str)]| {
            let lock = Lock::begin(&manifest("ctx", dependencies), active.clone(), &locks);
            let packages = packages
                .iter()
                .map(|(name, version)| package(name, version));
            fs::write(&active, base.clone() + &packages.collect::<String>()).unwrap();
            lock.end(true).unwrap();
        };
        resolve("frames = \"*\"", &[("frames", "0.5.1"), ("libc", "0.2.1")]);
        resolve("old = \"=1.0.0\"", &[("old", "1.0.0"), ("libc", "0.2.0")]);

        // Another session.
        fs::write(&active, &base).unwrap();
        Lock::begin(
            &manifest("ctx", "frames = \"*\"\nold = \"*\""),
            active.clone(),
            &locks,
        );
        let seeded = fs::read_to_string(&active).unwrap();
        assert!(seeded.starts_with(&base), "{seeded}");
        for (name, version, is_present) in [
            // The version of the same requirement, and what was built with it.
            ("frames", "0.5.1", true),
            ("libc", "0.2.1", true),
            ("libc", "0.2.0", false),
            // Another notebook has asked for an old version.
            ("old", "1.0.0", false),
        ] {
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert_eq!(
                seeded.contains(&entry),
                is_present,
                "{name} {version}: {seeded}"
            );
        }
        assert!(
            !seeded.contains("dependencies = ["),
            "cargo resolves these: {seeded}"
        );
        // The same set again has the lock as cargo wrote it.
        Lock::begin(&manifest("ctx", "frames = \"*\""), active.clone(), &locks);
        let repeated = fs::read_to_string(&active).unwrap();
        assert_eq!(
            repeated,
            base.clone() + &package("frames", "0.5.1") + &package("libc", "0.2.1")
        );
    }

    #[test]
    fn versions_of_other_sets_give_way() {
        let folder = tempfile::tempdir().unwrap();
        let (used, locks) = (folder.path().join("Cargo.lock"), folder.path().join("l"));
        let base = "version = 4\n\n[[package]]\nname = \"phalanx\"\n";
        let package =
            "\n[[package]]\nname = \"libc\"\nversion = \"0.2.1\"\nsource = \"registry+x\"\n";
        let begin = |lines: &str| Lock::begin(&manifest("ctx", lines), used.clone(), &locks);
        let lock = begin("a = \"1\"");
        fs::write(&used, format!("{base}{package}")).unwrap();
        lock.end(true).unwrap();

        fs::write(&used, base).unwrap();
        let mut lock = begin("b = \"1\"");
        assert_eq!(
            fs::read_to_string(&used).unwrap(),
            format!("{base}{package}")
        );
        assert!(!lock.give_way("error: no matching package found").unwrap());
        let conflict = "error: failed to select a version for `libc`.";
        assert!(lock.give_way(conflict).unwrap());
        assert_eq!(fs::read_to_string(&used).unwrap(), base);
        assert!(!lock.give_way(conflict).unwrap(), "it is the set's own");
        // The versions to which a set was resolved stay.
        fs::write(&used, base).unwrap();
        assert!(!begin("a = \"1\"").give_way(conflict).unwrap());
    }

    #[test]
    fn the_oldest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MAX_LOCKS {
            fs::write(folder.path().join(format!("{number}.lock")), "").unwrap();
        }
        forget_oldest(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), MAX_LOCKS - 1);
    }
}
