//! The manifest of the cells' crate, merged from those of the evaluators.

use crate::error::AnalysisError;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// The name of the crate; that of evcxr's crate, so that their lock files match.
pub(crate) const PACKAGE: &str = "ctx";

const MANIFEST: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";

/// The dependencies of all added crates, each with its latest configuration.
#[derive(Debug, Default)]
pub(crate) struct DependencyTable(BTreeMap<String, Value>);

impl DependencyTable {
    /// Adds the dependencies of the crate in a folder; returns true if this changed any.
    pub(crate) fn add(&mut self, folder: &Path) -> Result<bool, AnalysisError> {
        let text = fs::read_to_string(folder.join(MANIFEST)).map_err(AnalysisError::Folder)?;
        let table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| AnalysisError::Manifest(error.to_string()))?;
        let mut has_changed = false;
        if let Some(Value::Table(dependencies)) = table.get("dependencies") {
            for (name, config) in dependencies {
                let before = self.0.insert(name.clone(), config.clone());
                has_changed |= before.as_ref() != Some(config);
            }
        }
        Ok(has_changed)
    }

    /// Writes a crate with these dependencies, and with the lock file of another one.
    pub(crate) fn write(&self, folder: &Path, lock_from: &Path) -> Result<(), AnalysisError> {
        let mut text = format!(
            "[package]\nname = \"{PACKAGE}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n[lib]\n\n[workspace]\n\n[dependencies]\n"
        );
        for (name, config) in &self.0 {
            text += &format!("{name} = {config}\n");
        }
        fs::create_dir_all(folder).map_err(AnalysisError::Folder)?;
        fs::write(folder.join(MANIFEST), text).map_err(AnalysisError::Folder)?;
        if let Ok(lock) = fs::read(lock_from.join(LOCK)) {
            fs::write(folder.join(LOCK), lock).map_err(AnalysisError::Folder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_several_crates_are_merged() {
        let (first, second, own) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        let manifest = |dependencies: &str| format!("[package]\n[dependencies]\n{dependencies}");
        fs::write(
            first.path().join(MANIFEST),
            manifest("a = \"1\"\nb = { path = \"/b\" }"),
        )
        .unwrap();
        fs::write(
            second.path().join(MANIFEST),
            manifest("b = { path = \"/b\" }\n"),
        )
        .unwrap();
        fs::write(second.path().join(LOCK), "version = 4").unwrap();
        let mut dependencies = DependencyTable::default();
        assert!(dependencies.add(first.path()).unwrap());
        assert!(!dependencies.add(second.path()).unwrap(), "nothing is new");
        dependencies.write(own.path(), second.path()).unwrap();
        let written = fs::read_to_string(own.path().join(MANIFEST)).unwrap();
        let written: Table = written.parse().unwrap();
        assert_eq!(written["dependencies"]["a"].as_str(), Some("1"));
        assert_eq!(written["dependencies"]["b"]["path"].as_str(), Some("/b"));
        assert_eq!(
            fs::read_to_string(own.path().join(LOCK)).unwrap(),
            "version = 4"
        );
        fs::write(first.path().join(MANIFEST), "no manifest").unwrap();
        assert!(dependencies.add(first.path()).is_err());
    }
}
