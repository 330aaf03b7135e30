//! The crates in cargo's local cache, for completion after `:dep`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The file extension of a cached crate: `NAME-VERSION.crate`.
const EXTENSION: &str = "crate";

/// Returns the names that start with the typed text.
pub(super) fn beginning_with(typed: &str) -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(dirs::home_dir()?.join(".cargo")));
    home.map_or_else(Vec::new, |home| fetched(&home, typed))
}

fn fetched(home: &Path, typed: &str) -> Vec<String> {
    let files = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let registries = files(home.join("registry").join("cache"));
    let crates = registries.flat_map(files);
    let crates = crates.filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
    let names = crates.filter_map(|path| {
        let stem = path.file_stem()?.to_str()?;
        name(stem).map(str::to_owned)
    });
    let names: BTreeSet<String> = names.filter(|name| name.starts_with(typed)).collect();
    names.into_iter().collect()
}

/// Returns the name in `NAME-VERSION`; a version starts with a digit and contains a dot.
fn name(stem: &str) -> Option<&str> {
    let mut dashes = stem.match_indices('-').map(|(at, _)| at);
    let at = dashes.find(|at| {
        let rest = &stem[at + 1..];
        let major = rest.split('.').next().unwrap_or_default();
        rest.contains('.') && !major.is_empty() && major.bytes().all(|byte| byte.is_ascii_digit())
    })?;
    Some(&stem[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fetched_crate_is_offered_once_whatever_its_versions() {
        let home = tempfile::tempdir().unwrap();
        let registry = home.path().join("registry/cache/index-1");
        std::fs::create_dir_all(&registry).unwrap();
        for file in [
            "serde-1.0.1.crate",
            "serde-1.0.2.crate",
            "serde_json-1.0.0-rc.1.crate",
            "sha-1-0.10.0.crate",
            "serde-1.0.3.txt",
        ] {
            std::fs::write(registry.join(file), "").unwrap();
        }
        assert_eq!(fetched(home.path(), "se"), ["serde", "serde_json"]);
        assert_eq!(fetched(home.path(), "sha"), ["sha-1"]);
        assert!(fetched(&home.path().join("nowhere"), "").is_empty());
    }
}
