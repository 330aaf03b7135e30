//! The crates that cargo has built for cells, from its own messages.

use cargo_metadata::Message;
use phalanx_protocol::id::ArtifactHash;
use phalanx_protocol::parallel::Package;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The extension of a Rust library.
const EXTENSION: &str = "rlib";

/// A crate that cells can be linked to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuiltCrate {
    pub(crate) name: String,
    /// The package that it belongs to, by cargo's identifier.
    pub(crate) package: String,
    pub(crate) features: Vec<String>,
    pub(crate) file: LibraryFile,
}

/// A library, as built by cargo. A different file at its path is a different library, even if rustc
/// would consider its types the same: the source of a path dependency may have changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct LibraryFile {
    pub(crate) path: PathBuf,
    modified: SystemTime,
    size: u64,
}

/// The prefix of the identifiers of packages whose source can change without a new version.
const LOCAL: &str = "path+";

impl BuiltCrate {
    /// Returns the package, in the form used in messages.
    pub(crate) fn package(&self) -> Package {
        let stem = self.file.path.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy();
        // Cargo's hash of the package, its features, its dependencies and the compiler.
        let mut hash = stem.rsplit('-').next().unwrap_or_default().to_owned();
        if self.package.starts_with(LOCAL) {
            let sources = stem.strip_prefix("lib").unwrap_or(&stem);
            let sources = self.file.path.with_file_name(format!("{sources}.d"));
            hash += hash_of_sources(&sources).unwrap_or_default().as_str();
        }
        let version = self.package.rsplit(['#', '@']).next();
        Package {
            name: self.name.clone(),
            version: version.unwrap_or_default().to_owned(),
            hash,
        }
    }
}

/// Hashes the source files of a library, from rustc's list of them.
fn hash_of_sources(list: &Path) -> io::Result<String> {
    let list = std::fs::read_to_string(list)?;
    let (_, files) = list
        .lines()
        .next()
        .and_then(|line| line.split_once(": "))
        .unwrap_or_default();
    let mut contents = Vec::new();
    // A space within a name is escaped with a backslash.
    for file in files.replace("\\ ", "\0").split_whitespace() {
        contents.extend(std::fs::read(file.replace('\0', " "))?);
    }
    Ok(ArtifactHash::of(&contents).to_string())
}

impl LibraryFile {
    /// Returns a placeholder that differs from every library.
    pub(crate) fn placeholder() -> Self {
        Self {
            path: PathBuf::new(),
            modified: SystemTime::UNIX_EPOCH,
            size: 0,
        }
    }

    /// Reads the identity of the library at a path.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            path: path.to_owned(),
            modified: metadata.modified()?,
            size: metadata.len(),
        })
    }

    /// Returns true if the file at the path is still this library.
    pub(crate) fn is_current(&self) -> bool {
        Self::read(&self.path).is_ok_and(|now| now == *self)
    }

    /// Returns the identity of the library, which does not depend on its folder.
    pub(crate) fn identity(&self) -> impl std::hash::Hash + use<'_> {
        (self.path.file_name(), self.modified, self.size)
    }
}

/// Parses the output of cargo with `--message-format=json`: returns the crates built for `target`,
/// and passes lines that are not about crates to `other`.
///
/// # Errors
/// Returns an error if a line cannot be read or passed on.
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
    // Cargo's order is that in which builds finish.
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
    fn hash_of_a_local_package_depends_on_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("ein Ordner.rs");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let escaped = source.display().to_string().replace(' ', "\\ ");
        file(
            "größe-0a1b.d",
            &format!("/x/libgröße-0a1b.rlib: {escaped}\n"),
        );
        let library = file("libgröße-0a1b.rlib", "code");
        let built = |package: &str| BuiltCrate {
            name: "größe".to_owned(),
            package: package.to_owned(),
            features: Vec::new(),
            file: LibraryFile::read(&library).unwrap(),
        };
        let (registry, local) = ("registry+https://x#größe@1.0.2", "path+file:///größe#0.1.0");
        std::fs::write(&source, "fn f() {}").unwrap();
        let before = [built(registry).package(), built(local).package()];
        assert_eq!(
            (before[0].version.as_str(), before[0].hash.as_str()),
            ("1.0.2", "0a1b")
        );
        assert_eq!(before[1].version, "0.1.0");
        // Rebuilt from the same source, it is the same package.
        file("libgröße-0a1b.rlib", "other code");
        assert_eq!(built(local).package(), before[1]);
        std::fs::write(&source, "fn g() {}").unwrap();
        assert_eq!(built(registry).package(), before[0]);
        assert_ne!(built(local).package(), before[1]);
    }

    #[test]
    fn crates_of_the_target_are_read_and_other_lines_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let deps = folder.path().join("some-target/debug/deps");
        std::fs::create_dir_all(&deps).unwrap();
        let (for_target, for_host) = (deps.join("libgröße-1.rlib"), folder.path().join("h.rlib"));
        std::fs::write(&for_target, "code").unwrap();
        std::fs::write(&for_host, "code").unwrap();
        let message = r#"{"reason":"compiler-message","message":"größer"}"#;
        let output = [
            &artifact("a-größe", &for_target),
            message,
            &artifact("host", &for_host),
            "no json",
        ];
        let mut other = Vec::new();
        let crates = read_artifacts(output.join("\n").as_bytes(), "some-target", &mut other);
        let [built] = &crates.unwrap()[..] else {
            panic!("one crate is for the target");
        };
        assert_eq!(built.name, "a_größe");
        assert_eq!(built.features, ["std"]);
        assert!(built.file.is_current());
        assert_eq!(
            String::from_utf8(other).unwrap(),
            format!("{message}\nno json\n")
        );
        std::fs::write(&for_target, "other code").unwrap();
        assert!(!built.file.is_current());
    }
}
