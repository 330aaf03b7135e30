//! The crates that cargo has built for cells, by its own account.

use cargo_metadata::Message;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The extension of a Rust library that others are linked of.
const EXTENSION: &str = "rlib";

/// A crate that cells can be linked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuiltCrate {
    pub(crate) name: String,
    /// The package that it belongs to, as cargo identifies it.
    pub(crate) package: String,
    pub(crate) features: Vec<String>,
    pub(crate) file: LibraryFile,
}

/// A library, as it was when cargo had built it. Another file at its path is another library, even if
/// rustc would take its types for the same: the source of a path dependency may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct LibraryFile {
    pub(crate) path: PathBuf,
    modified: SystemTime,
    size: u64,
}

impl LibraryFile {
    /// Reads what identifies the library at a path.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            modified: metadata.modified()?,
            size: metadata.len(),
        })
    }

    /// Returns true if the library is still at its path.
    pub(crate) fn is_current(&self) -> bool {
        Self::read(&self.path).is_ok_and(|now| now == *self)
    }

    /// The identity of the library, which is the same in every folder that it is copied to.
    pub(crate) fn identity(&self) -> impl std::hash::Hash + use<'_> {
        (self.path.file_name(), self.modified, self.size)
    }
}

/// Reads what cargo prints with `--message-format=json`: returns the crates built for `target`, and
/// passes everything that is not about crates on to `other`.
///
/// # Errors
/// When a line cannot be read or passed on.
pub(crate) fn read_artifacts(
    output: impl BufRead,
    target: &str,
    mut other: impl Write,
) -> io::Result<Vec<BuiltCrate>> {
    let mut crates = Vec::new();
    for line in output.lines() {
        let line = line?;
        match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(artifact)) => {
                let mut files = artifact.filenames.iter();
                let library = files.find(|file| {
                    let is_for_target = file.components().any(|part| part.as_str() == target);
                    is_for_target && file.extension() == Some(EXTENSION)
                });
                if let Some(library) = library {
                    crates.push(BuiltCrate {
                        name: artifact.target.name.replace('-', "_"),
                        package: artifact.package_id.repr,
                        features: artifact.features,
                        file: LibraryFile::read(library.as_std_path())?,
                    });
                }
            }
            Ok(Message::BuildScriptExecuted(_) | Message::BuildFinished(_)) => {}
            _ => writeln!(other, "{line}")?,
        }
    }
    // Cargo's order is that in which builds happened to end.
    crates.sort_by(|a: &BuiltCrate, b| a.file.path.cmp(&b.file.path));
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str, file: &Path) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"registry+https://x#{name}@1.0.0","manifest_path":"/x/Cargo.toml","target":{{"kind":["lib"],"crate_types":["lib"],"name":"{name}","src_path":"/x/lib.rs","edition":"2021","doc":true,"doctest":true,"test":true}},"profile":{{"opt_level":"2","debuginfo":0,"debug_assertions":true,"overflow_checks":true,"test":false}},"features":["std"],"filenames":[{file:?},"/x/lib.rmeta"],"executable":null,"fresh":true}}"#
        )
    }

    #[test]
    fn the_crates_of_a_target_are_read_and_the_rest_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let deps = folder.path().join("some-target/debug/deps");
        std::fs::create_dir_all(&deps).unwrap();
        let (ours, hosts) = (deps.join("libgröße-1.rlib"), folder.path().join("h.rlib"));
        std::fs::write(&ours, "code").unwrap();
        std::fs::write(&hosts, "code").unwrap();
        let message = r#"{"reason":"compiler-message","message":"größer"}"#;
        let output = [
            &artifact("a-größe", &ours),
            message,
            &artifact("host", &hosts),
            "no json",
        ];
        let mut other = Vec::new();
        let crates = read_artifacts(output.join("\n").as_bytes(), "some-target", &mut other);
        let [found] = &crates.unwrap()[..] else {
            panic!("one crate is for the target");
        };
        assert_eq!(found.name, "a_größe");
        assert_eq!(found.features, ["std"]);
        assert!(found.file.is_current());
        assert_eq!(
            String::from_utf8(other).unwrap(),
            format!("{message}\nno json\n")
        );
        std::fs::write(&ours, "other code").unwrap();
        assert!(!found.file.is_current());
    }
}
