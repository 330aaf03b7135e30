//! The versions in the lock files of all sets of dependencies, for a set that is new.
//!
//! Cargo prefers the packages in a lock file to newer ones, even if nothing in it depends on them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// The beginning of the lines of a kept lock file that list the dependencies it was made for.
const DEPENDENCY: &str = "#: ";

/// The line that begins a package in a lock file.
const PACKAGE: &str = "[[package]]\n";

/// The extension of kept lock files.
const EXTENSION: &str = "lock";

/// Marks of a requirement that excludes newer compatible versions.
const RESTRICTIONS: [&str; 4] = ["\"=", "\"~", "<", "\"*."];

/// A kept lock file.
struct KnownLock {
    dependencies: Vec<String>,
    packages: Vec<LockedPackage>,
    modified: SystemTime,
}

/// A package of a registry in a lock file.
struct LockedPackage {
    name: String,
    version: String,
    /// Its entry, without dependencies: their versions are chosen by cargo.
    entry: String,
}

/// Returns a kept lock file without the list of dependencies.
pub(super) fn lock(kept: &str) -> &str {
    let mut rest = kept;
    while let Some((line, after)) = rest.split_once('\n')
        && line.starts_with(DEPENDENCY)
    {
        rest = after;
    }
    rest
}

/// Returns a lock file with the dependencies it was made for, as it is kept.
pub(super) fn with_dependencies(lock: &str, dependencies: &[String]) -> String {
    let lines = dependencies.iter();
    let lines = lines.map(|line| format!("{DEPENDENCY}{line}\n"));
    lines.collect::<String>() + lock
}

/// Adds the packages of all kept lock files to the one for a new set of dependencies: those of the
/// sets that have most in common with it first, and of these the newest.
pub(super) fn add(base: &str, dependencies: &[&str], locks: &Path) -> String {
    let mut known: Vec<KnownLock> = read_all(locks);
    let common = |lock: &KnownLock| {
        let lines = lock.dependencies.iter();
        lines
            .filter(|line| dependencies.contains(&line.as_str()))
            .count()
    };
    known.sort_by_cached_key(|lock| std::cmp::Reverse((common(lock), lock.modified)));
    let mut there: HashSet<(String, String)> = packages(base)
        .map(|package| compatible(&package.name, &package.version))
        .collect();
    let mut text = base.to_owned();
    for lock in known {
        for package in &lock.packages {
            if is_wanted(package, &lock, dependencies)
                && there.insert(compatible(&package.name, &package.version))
            {
                text.push('\n');
                text.push_str(&package.entry);
            }
        }
    }
    text
}

/// Returns true for a package whose version does not depend on requirements of other notebooks.
fn is_wanted(package: &LockedPackage, lock: &KnownLock, dependencies: &[&str]) -> bool {
    let mut known = lock.dependencies.iter().map(String::as_str);
    let known = known.find(|line| depends_on(line, &package.name));
    let mut required = dependencies.iter();
    match required.find(|line| depends_on(line, &package.name)) {
        Some(required) => known == Some(*required),
        None => !known.is_some_and(|line| RESTRICTIONS.iter().any(|mark| line.contains(mark))),
    }
}

/// Returns true if a line of a manifest is the dependency on a package, under whatever name.
fn depends_on(line: &str, package: &str) -> bool {
    let (name, config) = line.split_once('=').unwrap_or((line, ""));
    match config.split_once("package = \"") {
        Some((_, renamed)) => renamed.split('"').next() == Some(package),
        None => name.trim() == package,
    }
}

/// Packages of a name of which cargo uses only one.
fn compatible(name: &str, version: &str) -> (String, String) {
    let mut parts = version.split('.');
    let mut series = String::new();
    for part in parts.by_ref() {
        series.push_str(part);
        series.push('.');
        if part != "0" {
            break;
        }
    }
    (name.to_owned(), series)
}

fn read_all(locks: &Path) -> Vec<KnownLock> {
    let entries = fs::read_dir(locks).into_iter().flatten().flatten();
    let read = |path: &Path| {
        let kept = fs::read_to_string(path).ok()?;
        let lines = kept.lines().map_while(|line| line.strip_prefix(DEPENDENCY));
        Some(KnownLock {
            dependencies: lines.map(str::to_owned).collect(),
            packages: packages(&kept).collect(),
            modified: path.metadata().ok()?.modified().ok()?,
        })
    };
    let paths = entries.map(|entry| entry.path());
    let paths = paths.filter(|path| path.extension().is_some_and(|part| part == EXTENSION));
    paths.filter_map(|path| read(&path)).collect()
}

/// Returns the packages of registries in a lock file.
fn packages(lock: &str) -> impl Iterator<Item = LockedPackage> {
    let entries = lock.split(PACKAGE).skip(1);
    entries.filter_map(|entry| {
        let value = |key: &str| {
            let line = entry.lines().find_map(|line| line.strip_prefix(key))?;
            line.strip_prefix(" = \"")?.strip_suffix('"')
        };
        let source = value("source")?;
        let is_of_registry = source.starts_with("registry+") || source.starts_with("sparse+");
        let end = entry.find("\ndependencies = [");
        let fields = entry[..end.unwrap_or(entry.len())].trim_end();
        is_of_registry.then(|| {
            Some(LockedPackage {
                name: value("name")?.to_owned(),
                version: value("version")?.to_owned(),
                entry: format!("{PACKAGE}{fields}\n"),
            })
        })?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_file_lists_its_dependencies() {
        let lines = ["a = \"1\"".to_owned(), "b = \"2\"".to_owned()];
        let kept = with_dependencies("# cargo\nversion = 4\n", &lines);
        assert_eq!(kept, "#: a = \"1\"\n#: b = \"2\"\n# cargo\nversion = 4\n");
        assert_eq!(lock(&kept), "# cargo\nversion = 4\n");
        assert_eq!(lock("version = 4\n"), "version = 4\n");
    }

    #[test]
    fn one_of_compatible_versions_is_used() {
        let series = |version| compatible("a", version).1;
        assert_eq!(series("1.2.3"), series("1.9.0"));
        assert_ne!(series("1.2.3"), series("2.0.0"));
        assert_eq!(series("0.5.1"), series("0.5.9"));
        assert_ne!(series("0.5.1"), series("0.6.0"));
        assert_ne!(series("0.0.1"), series("0.0.2"));
    }

    #[test]
    fn renamed_dependencies_are_recognized() {
        assert!(depends_on("csv = \"1\"", "csv"));
        assert!(depends_on(
            "frames = { package = \"polars\", version = \"1\" }",
            "polars"
        ));
        assert!(!depends_on(
            "frames = { package = \"polars\", version = \"1\" }",
            "frames"
        ));
        assert!(!depends_on("csv-core = \"1\"", "csv"));
    }
}
