//! The manifest of an exported project.

use super::program::Program;
use crate::run::{Environment, dependency_spec};
use anyhow::bail;
use phalanx_protocol::runtime::Setting;
use std::path::Path;

/// The `Cargo.toml` of a project.
#[derive(Debug)]
pub(super) struct Manifest {
    name: String,
    /// The lines of `[dependencies]`.
    dependencies: Vec<String>,
    needs_library: bool,
}

impl Manifest {
    /// Returns the manifest of a program; relative paths in it are resolved from `beside`.
    pub(super) fn of(folder: &Path, beside: &Path, program: &Program) -> anyhow::Result<Self> {
        let environment = Environment::default();
        if let Ok(beside) = beside.canonicalize() {
            environment.set(Setting::Folder(beside));
        }
        let mut manifest = Self {
            name: package(folder),
            dependencies: Vec::new(),
            needs_library: program.mentions("phalanx"),
        };
        for argument in &program.dependencies {
            match dependency_spec(argument, &environment) {
                Ok(spec) => manifest.add(&spec),
                Err(error) => bail!("`:dep {argument}`: {error}"),
            }
        }
        if manifest.needs_library {
            manifest.add("phalanx = { path = \"phalanx\" }");
        }
        // A notebook needs no `:dep` for serde and tokio.
        let words = ["serde", "Serialize", "Deserialize"];
        if words.iter().any(|word| program.mentions(word)) {
            manifest.add("serde = { version = \"1\", features = [\"derive\"] }");
        }
        if program.awaits() {
            manifest.add("tokio = { version = \"1\", features = [\"full\"] }");
        }
        Ok(manifest)
    }

    /// Adds a dependency unless the manifest has it.
    fn add(&mut self, spec: &str) {
        let name = spec.split('=').next().unwrap_or(spec).trim();
        let same = |line: &String| {
            line.split('=')
                .next()
                .is_some_and(|known| known.trim() == name)
        };
        if self.dependencies.iter().any(same) {
            return;
        }
        self.dependencies.push(match spec.contains('=') {
            true => spec.to_owned(),
            false => format!("{spec} = \"*\""),
        });
    }

    /// Returns true if the project needs the notebooks' library.
    pub(super) fn needs_library(&self) -> bool {
        self.needs_library
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "[package]\nname = \"{}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n",
            self.name
        );
        for line in &self.dependencies {
            text.push_str(line);
            text.push('\n');
        }
        // Cells are optimized as well. The `[workspace]` detaches the project from any enclosing
        // one.
        text.push_str("\n[profile.dev]\nopt-level = 2\n\n[workspace]\n");
        if self.needs_library {
            text.push_str("exclude = [\"phalanx\", \"protocol\"]\n");
        }
        text
    }
}

/// Returns a package name derived from the folder's name.
fn package(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let valid = |c: char| match c {
        c if c.is_ascii_alphanumeric() || c == '_' => c.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = name.chars().map(valid).collect();
    match name.trim_matches('-') {
        "" => "notebook".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("notebook-{name}"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::CodeCell;
    use super::*;

    #[test]
    fn dependencies_are_those_of_the_cells() {
        let cells = [
            ":dep rand = \"0.9\"\n:dep itertools\n:dep rand = \"0.9\"",
            "use phalanx::prelude::*;\n#[derive(Serialize)] struct A;\nf().await",
        ];
        let program = Program::of(&cells.map(CodeCell::from), Path::new(""));
        let folder = Path::new("/x/1 Größe");
        let manifest = Manifest::of(folder, Path::new(""), &program).unwrap();
        let text = manifest.text();
        for line in [
            "name = \"notebook-1-gr--e\"",
            "rand = \"0.9\"\nitertools = \"*\"\nphalanx = { path = \"phalanx\" }\n",
            "serde = { version",
            "tokio = { version",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(manifest.needs_library());
    }
}
