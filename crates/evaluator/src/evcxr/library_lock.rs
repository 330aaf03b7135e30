//! The versions of the crates that the `phalanx` library depends on: those with which it was
//! tested, from the workspace's lock file.

use super::library::{PHALANX_DEPENDENCIES, PROTOCOL_DEPENDENCIES};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const WORKSPACE_LOCK: &str = include_str!("../../../../Cargo.lock");

/// The parts of a lock file that are used here.
#[derive(Serialize, Deserialize)]
struct LockFile {
    version: u32,
    package: Vec<Package>,
}

#[derive(Serialize, Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
    /// `NAME`, or `NAME VERSION` if there are several versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
}

/// Returns the lock file of the library's dependencies; cargo drops unused entries.
pub(super) fn contents() -> String {
    // A test ensures that the built-in file can be parsed.
    reduced(WORKSPACE_LOCK, &roots()).unwrap_or_default()
}

/// Returns the crates named in the library's manifests.
fn roots() -> Vec<&'static str> {
    let manifests = [PHALANX_DEPENDENCIES, PROTOCOL_DEPENDENCIES];
    let lines = manifests.iter().flat_map(|manifest| manifest.lines());
    let names = lines.filter_map(|line| Some(line.split_once(" = ")?.0));
    names.filter(|name| !name.starts_with("phalanx")).collect()
}

/// Reduces a lock file to the packages that are reachable from `roots`.
fn reduced(lock: &str, roots: &[&str]) -> Option<String> {
    let mut lock: LockFile = toml::from_str(lock).ok()?;
    let mut reached = BTreeSet::new();
    let mut pending: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    while let Some(dependency) = pending.pop() {
        let (name, version) = dependency.split_once(' ').unwrap_or((&dependency, ""));
        for (index, package) in lock.package.iter().enumerate() {
            let matches =
                package.name == name && (version.is_empty() || package.version == version);
            if matches && reached.insert(index) {
                pending.extend(package.dependencies.iter().cloned());
            }
        }
    }
    let packages = std::mem::take(&mut lock.package).into_iter().enumerate();
    lock.package = packages
        .filter(|(index, _)| reached.contains(index))
        .map(|(_, package)| package)
        .collect();
    toml::to_string(&lock).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_workspace() {
        let lock: LockFile = toml::from_str(&contents()).unwrap();
        let version = |name: &str| {
            let mut packages = lock.package.iter().filter(|package| package.name == name);
            packages.next().map(|package| package.version.clone())
        };
        for name in ["serde_json", "serde_core", "chrono", "data-encoding"] {
            let all = format!(
                "name = \"{name}\"\nversion = \"{}\"",
                version(name).unwrap()
            );
            assert!(WORKSPACE_LOCK.contains(&all), "{all}");
        }
        assert_eq!(version("evcxr"), None);
        assert_eq!(version("jupyter-protocol"), None);
    }

    #[test]
    fn unreachable_versions_are_removed() {
        let lock = r#"
            version = 4
            [[package]]
            name = "a"
            version = "1.0.0"
            dependencies = ["b 2.0.0"]
            [[package]]
            name = "b"
            version = "1.0.0"
            [[package]]
            name = "b"
            version = "2.0.0"
            [[package]]
            name = "c"
            version = "1.0.0"
        "#;
        let packages: LockFile = toml::from_str(&reduced(lock, &["a"]).unwrap()).unwrap();
        let packages: Vec<_> = packages
            .package
            .iter()
            .map(|p| (&*p.name, &*p.version))
            .collect();
        assert_eq!(packages, [("a", "1.0.0"), ("b", "2.0.0")]);
    }
}
