//! Copies of what cargo has built, from one build folder to another.
//!
//! Cargo builds in units: a library, a procedural macro, a build script, a run of one. Two folders
//! may both have built a unit, such as a crate that two notebooks have added at the same time. So a
//! unit that is copied may meet, in its new folder, another build of what it depends on. Cargo takes
//! a unit for outdated if it is older than what it depends on, and rustc refuses one whose
//! dependency is not the one it was compiled with. Neither happens to a copy: it is made newer if
//! necessary, and not made at all if the two builds of a dependency differ.

use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder cargo builds in, within a build folder.
pub(crate) const TARGET: &str = "target";

/// The library compiled from a cell's crate.
pub(crate) const CELL_LIBRARY: &str = "libnotebook.so";

/// The folder of cargo's fingerprints, within the folder of a profile.
const FINGERPRINTS: &str = ".fingerprint";

/// The folders of the files of units, within the folder of a profile.
const PARTS: [&str; 2] = ["build", "deps"];

/// The prefix of the units of evcxr's crate, which every folder compiles itself.
const CELLS: &str = "ctx-";

/// The file with the output of a run of a build script.
const SCRIPT_OUTPUT: &str = "output";

/// The number of digits of a hash.
const DIGITS: usize = 16;

/// A unit by the folder of its profile, relative to the build folder, and the name of its
/// fingerprint, which ends in a hash of the unit.
type UnitName = (PathBuf, OsString);

/// A complete unit.
#[derive(Debug, Default)]
struct Unit {
    /// The hashes by which other units refer to it.
    hashes: Vec<u64>,
    /// The hashes of the units it depends on.
    dependencies: Vec<u64>,
}

/// The part of a fingerprint that describes the unit's dependencies, each a list of its package, its
/// name, its visibility and its hash.
#[derive(Deserialize)]
struct Fingerprint {
    deps: Vec<(u64, String, bool, u64)>,
}

/// Copies the complete units that one folder has and another lacks.
///
/// The first may be in use. Cargo writes a fingerprint once its unit is complete; so the
/// fingerprints are read first, and the files of their units are complete when they are copied.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub(crate) fn take_built(from: &Path, to: &Path) -> io::Result<()> {
    let own = complete_units(to)?;
    if complete_units(from)?.is_subset(&own) {
        return Ok(());
    }
    let units = units(from)?;
    take_others(from, to)?;
    let by_hash = units.iter().flat_map(|(name, unit)| {
        let hashes = unit.hashes.iter();
        hashes.map(move |hash| (*hash, name))
    });
    let mut copies = UnitCopies {
        from,
        to,
        by_hash: by_hash.collect(),
        files: files(from, &units)?,
        units: &units,
        own,
        decided: HashMap::new(),
    };
    for name in units.keys() {
        copies.take(name)?;
    }
    Ok(())
}

/// Returns the folders of profiles in a target folder, relative to the build folder: the host's,
/// and those of each target.
pub(crate) fn profiles(build: &Path) -> io::Result<Vec<PathBuf>> {
    let target = Path::new(TARGET);
    let mut profiles = vec![target.join("debug")];
    for entry in fs::read_dir(build.join(target))?.flatten() {
        profiles.push(target.join(entry.file_name()).join("debug"));
    }
    profiles.retain(|profile| build.join(profile).is_dir());
    Ok(profiles)
}

fn fingerprint(build: &Path, profile: &Path, name: &OsStr) -> PathBuf {
    build.join(profile).join(FINGERPRINTS).join(name)
}

/// Returns the names of the complete units of a folder, without the cells'.
fn complete_units(build: &Path) -> io::Result<HashSet<UnitName>> {
    let mut units = HashSet::new();
    if !build.join(TARGET).is_dir() {
        return Ok(units);
    }
    for profile in profiles(build)? {
        let entries = fs::read_dir(build.join(&profile).join(FINGERPRINTS));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.as_encoded_bytes().starts_with(CELLS.as_bytes()) && is_complete(&entry.path())
            {
                units.insert((profile.clone(), name));
            }
        }
    }
    Ok(units)
}

/// Returns true for the fingerprint of a complete unit: there is a hash next to a description of the
/// hashed data. While a unit is being built, the hash is missing or empty.
fn is_complete(fingerprint: &Path) -> bool {
    let files = fs::read_dir(fingerprint).into_iter().flatten().flatten();
    let mut described = files
        .map(|file| file.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .peekable();
    let has_hash = |path: PathBuf| {
        let hash = path.with_extension("").metadata();
        hash.is_ok_and(|hash| hash.len() == DIGITS as u64)
    };
    described.peek().is_some() && described.all(has_hash)
}

/// Reads the complete units of a folder.
fn units(build: &Path) -> io::Result<HashMap<UnitName, Unit>> {
    let mut units = HashMap::new();
    for (profile, name) in complete_units(build)? {
        if let Some(unit) = read_unit(&fingerprint(build, &profile, &name)) {
            units.insert((profile, name), unit);
        }
    }
    Ok(units)
}

/// Reads a unit from its fingerprint.
fn read_unit(fingerprint: &Path) -> Option<Unit> {
    let mut unit = Unit::default();
    for entry in fs::read_dir(fingerprint).ok()?.flatten() {
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let hash = fs::read_to_string(path.with_extension("")).ok()?;
            unit.hashes.push(hash_of(&hash)?);
            let described: Option<Fingerprint> =
                serde_json::from_slice(&fs::read(&path).ok()?).ok();
            // Another version of cargo may describe them otherwise; then it decides by itself.
            let dependencies = described
                .map(|described| described.deps)
                .unwrap_or_default();
            unit.dependencies
                .extend(dependencies.into_iter().map(|(.., hash)| hash));
        }
    }
    (!unit.hashes.is_empty()).then_some(unit)
}

/// Parses a hash as cargo writes it: its bytes in hexadecimal digits.
fn hash_of(text: &str) -> Option<u64> {
    let digits = text.trim();
    let value = u64::from_str_radix(digits, 16).ok()?;
    (digits.len() == DIGITS).then(|| value.swap_bytes())
}

/// Returns the hash at the end of the name of a unit or of one of its files, such as
/// `libserde-0a1b.rlib`.
fn hash_in(name: &OsStr) -> Option<&str> {
    let stem = name.to_str()?.split('.').next()?;
    let (_, hash) = stem.rsplit_once('-')?;
    (hash.len() == DIGITS).then_some(hash)
}

/// Returns the files of each unit, relative to the build folder: libraries, and the folder of a
/// build script.
fn files(
    build: &Path,
    units: &HashMap<UnitName, Unit>,
) -> io::Result<HashMap<UnitName, Vec<PathBuf>>> {
    let mut names: HashMap<(&Path, &str), &UnitName> = HashMap::new();
    for unit in units.keys() {
        if let Some(hash) = hash_in(&unit.1) {
            names.insert((&unit.0, hash), unit);
        }
    }
    let mut files: HashMap<UnitName, Vec<PathBuf>> = HashMap::new();
    for profile in profiles(build)? {
        for part in PARTS {
            let folder = profile.join(part);
            let entries = fs::read_dir(build.join(&folder)).into_iter().flatten();
            for entry in entries.flatten() {
                let name = entry.file_name();
                let unit = hash_in(&name).and_then(|hash| names.get(&(profile.as_path(), hash)));
                if let Some(unit) = unit {
                    let files = files.entry((*unit).clone()).or_default();
                    files.push(folder.join(&name));
                }
            }
        }
    }
    Ok(files)
}

/// The units of one folder on their way to another.
struct UnitCopies<'a> {
    from: &'a Path,
    to: &'a Path,
    units: &'a HashMap<UnitName, Unit>,
    by_hash: HashMap<u64, &'a UnitName>,
    files: HashMap<UnitName, Vec<PathBuf>>,
    /// The units that the second folder has built or copied before.
    own: HashSet<UnitName>,
    /// The units seen so far: the time of the second folder's, if it can replace the first's.
    decided: HashMap<UnitName, Option<SystemTime>>,
}

impl UnitCopies<'_> {
    /// Copies a unit and what it depends on, unless it is there. Returns the time of the files in
    /// the second folder; `None` if units that depend on the first folder's cannot use these.
    fn take(&mut self, name: &UnitName) -> io::Result<Option<SystemTime>> {
        if let Some(decided) = self.decided.get(name) {
            return Ok(*decided);
        }
        // Units have no circular dependencies; if a file contains one, nothing is copied.
        self.decided.insert(name.clone(), None);
        let files = self.files.get(name).cloned().unwrap_or_default();
        let time = if self.own.contains(name) {
            let is_same = files.iter().all(|file| self.is_same(file));
            is_same.then(|| time_of(self.to, &files))
        } else {
            let newest = self.newest_dependency(name)?;
            if let Some(newest) = newest {
                self.copy(name, &files, newest)?;
            }
            newest.map(|_| time_of(self.to, &files))
        };
        self.decided.insert(name.clone(), time);
        Ok(time)
    }

    /// Copies what a unit depends on; returns the time of the newest of these units, or `None` if
    /// the unit cannot use those of the second folder.
    fn newest_dependency(&mut self, name: &UnitName) -> io::Result<Option<SystemTime>> {
        let mut newest = SystemTime::UNIX_EPOCH;
        let units = self.units;
        let dependencies = units.get(name).map(|unit| unit.dependencies.as_slice());
        for hash in dependencies.unwrap_or_default() {
            // One that is not there is built by cargo, which then decides about this one too.
            let Some(dependency) = self.by_hash.get(hash).copied() else {
                continue;
            };
            match self.take(dependency)? {
                Some(time) => newest = newest.max(time),
                None => return Ok(None),
            }
        }
        Ok(Some(newest))
    }

    /// Returns true if a library of both folders is the same for what was compiled with it: if its
    /// metadata is, or that of a procedural macro, which is part of its code.
    fn is_same(&self, file: &Path) -> bool {
        let extension = file.extension().and_then(OsStr::to_str);
        if !matches!(extension, Some("rmeta" | "so")) {
            return true;
        }
        let (from, to) = (self.from.join(file), self.to.join(file));
        let inode = |path: &Path| {
            let metadata = path.metadata().ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        if inode(&from).is_some() && inode(&from) == inode(&to) {
            return true;
        }
        fs::read(from).is_ok_and(|one| fs::read(to).is_ok_and(|other| one == other))
    }

    /// Copies the files of a unit, which become as new as `newest` if they are older, and then its
    /// fingerprint.
    fn copy(&self, name: &UnitName, files: &[PathBuf], newest: SystemTime) -> io::Result<()> {
        for file in files {
            let (from, to) = (self.from.join(file), self.to.join(file));
            if from.is_dir() {
                copy_folder(&from, &to)?;
            } else {
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent)?;
                }
                replace(&from, &to, newest)?;
            }
        }
        for output in outputs(self.to, files) {
            if modified(&output).is_some_and(|time| time < newest) {
                File::options()
                    .write(true)
                    .open(output)?
                    .set_modified(newest)?;
            }
        }
        let (from, to) = (
            fingerprint(self.from, &name.0, &name.1),
            fingerprint(self.to, &name.0, &name.1),
        );
        copy_folder(&from, &to)
    }
}

/// Returns the time that cargo compares: of the newest file that a unit has made.
fn time_of(build: &Path, files: &[PathBuf]) -> SystemTime {
    let times = outputs(build, files).filter_map(|file| modified(&file));
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns the files that a unit has made, as far as cargo compares their times.
fn outputs(build: &Path, files: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    files.iter().flat_map(move |file| {
        let path = build.join(file);
        if !path.is_dir() {
            return Vec::from_iter(is_library(&path).then_some(path));
        }
        let within = fs::read_dir(&path).into_iter().flatten().flatten();
        let is_output =
            |name: &OsStr| name == SCRIPT_OUTPUT || name.as_encoded_bytes().starts_with(b"build");
        let within = within.filter(|entry| is_output(&entry.file_name()));
        within.map(|entry| entry.path()).collect()
    })
}

/// Returns true for files of rustc's that are replaced rather than modified.
fn is_library(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    matches!(extension, Some("rlib" | "rmeta" | "so"))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// Copies the missing files that belong to no unit, such as shared libraries of dependencies.
fn take_others(from: &Path, to: &Path) -> io::Result<()> {
    for profile in profiles(from)? {
        let folder = profile.join("deps");
        let begun = fs::read_dir(from.join(&profile).join(FINGERPRINTS));
        let begun: HashSet<String> = begun
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| hash_in(&entry.file_name()).map(str::to_owned))
            .collect();
        fs::create_dir_all(to.join(&folder))?;
        for entry in fs::read_dir(from.join(&folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            let is_units = hash_in(&name).is_some_and(|hash| begun.contains(hash));
            let target = to.join(&folder).join(&name);
            if !is_units && !is_cell(&name) && !target.exists() && entry.path().is_file() {
                share(&entry.path(), &target)?;
            }
        }
    }
    Ok(())
}

/// Returns true for a compiled cell, which is not shared.
fn is_cell(name: &OsStr) -> bool {
    let name = name.to_str();
    name.is_some_and(|name| name.starts_with("libcode_") || name == CELL_LIBRARY)
}

/// Copies a folder, replacing files of an incomplete build.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Replaces a file of an incomplete build; the new one is a copy if its time has to differ.
fn replace(from: &Path, to: &Path, newest: SystemTime) -> io::Result<()> {
    remove(to)?;
    match modified(from) {
        Some(time) if time < newest => copy(from, to),
        _ => share(from, to),
    }
}

/// Hard-links files that are replaced rather than modified, and copies others.
fn share(from: &Path, to: &Path) -> io::Result<()> {
    if is_library(from) && fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Copies a file with its modification time, which cargo checks; a file that was removed or
/// replaced meanwhile is omitted.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Some(modified) = modified(from) else {
        return Ok(());
    };
    // It may be a file of another folder too.
    remove(to)?;
    match fs::copy(from, to) {
        Ok(_) => File::options().write(true).open(to)?.set_modified(modified),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const DEPS: &str = "target/triple/debug/deps";

    /// A build folder with units, each of which has a library.
    struct Build(tempfile::TempDir);

    impl Build {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join(DEPS)).unwrap();
            Self(folder)
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        /// Adds a unit that was built some seconds after a point in time.
        fn unit(&self, number: u64, content: &str, seconds: u64, dependencies: &[u64]) {
            let library = self.library(number);
            fs::write(&library, content).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let file = File::options().write(true).open(library).unwrap();
            file.set_modified(time).unwrap();
            let fingerprint = self.fingerprint(number);
            fs::create_dir_all(&fingerprint).unwrap();
            let dependencies: Vec<_> = dependencies
                .iter()
                .map(|number| (0_u64, "name", false, *number))
                .collect();
            let json = serde_json::json!({ "rustc": 1, "deps": dependencies });
            fs::write(fingerprint.join("lib-a.json"), json.to_string()).unwrap();
            let hash = format!("{:016x}", number.swap_bytes());
            fs::write(fingerprint.join("lib-a"), hash).unwrap();
        }

        fn library(&self, number: u64) -> PathBuf {
            self.path(DEPS).join(format!("liba-{number:016x}.rmeta"))
        }

        fn fingerprint(&self, number: u64) -> PathBuf {
            self.path("target/triple/debug/.fingerprint")
                .join(format!("a-{number:016x}"))
        }

        fn time(&self, number: u64) -> Option<u64> {
            let time = modified(&self.library(number))?;
            Some(
                time.duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap()
                    .as_secs(),
            )
        }
    }

    #[test]
    fn copies_are_not_older_than_their_dependencies() {
        let (one, other) = (Build::new(), Build::new());
        // Both folders have built the first unit, the second folder later than all of the other's.
        one.unit(1, "same", 10, &[]);
        one.unit(2, "two", 20, &[1]);
        one.unit(3, "three", 30, &[2]);
        one.unit(4, "four", 15, &[]);
        other.unit(1, "same", 40, &[]);
        take_built(one.0.path(), other.0.path()).unwrap();
        let times = [1, 2, 3, 4].map(|number| other.time(number).unwrap());
        assert_eq!(
            times,
            [40, 40, 40, 15],
            "cargo takes older ones for outdated"
        );
        let unchanged = [1, 2, 3, 4].map(|number| one.time(number).unwrap());
        assert_eq!(
            unchanged,
            [10, 20, 30, 15],
            "the other folder has its own times"
        );
        assert!(other.fingerprint(3).join("lib-a.json").is_file());
        let linked = other.library(4).metadata().unwrap().nlink();
        assert_eq!(linked, 2, "what needs no other time takes no space");
    }

    #[test]
    fn units_of_other_builds_are_not_copied() {
        let (one, other) = (Build::new(), Build::new());
        one.unit(1, "one", 10, &[]);
        one.unit(2, "two", 20, &[1]);
        one.unit(3, "three", 30, &[2]);
        one.unit(4, "four", 30, &[]);
        other.unit(1, "another", 5, &[]);
        take_built(one.0.path(), other.0.path()).unwrap();
        let copied = [2, 3, 4].map(|number| other.fingerprint(number).exists());
        assert_eq!(copied, [false, false, true]);
        assert_eq!(other.time(2), None);
        assert_eq!(fs::read_to_string(other.library(1)).unwrap(), "another");
    }

    #[test]
    fn interrupted_builds_are_replaced() {
        let (one, other) = (Build::new(), Build::new());
        one.unit(1, "complete", 10, &[]);
        one.unit(2, "incomplete", 10, &[]);
        other.unit(1, "half", 20, &[]);
        // While it builds a unit again, cargo leaves its hash empty.
        fs::write(other.fingerprint(1).join("lib-a"), "").unwrap();
        fs::write(one.fingerprint(2).join("lib-a"), "").unwrap();
        take_built(one.0.path(), other.0.path()).unwrap();
        assert_eq!(fs::read_to_string(other.library(1)).unwrap(), "complete");
        assert_eq!(other.time(1), Some(10));
        assert!(!other.fingerprint(2).exists(), "it is being built");
    }
}
