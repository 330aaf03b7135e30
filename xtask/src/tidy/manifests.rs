//! Checks that only the root manifest contains versions, and that dependencies respect the layers.

use super::tree::File;
use super::{Finding, Tree};

/// Dependencies restricted to one package, and the manifest of that package.
const OWNED: [(&str, &str); 3] = [
    ("evcxr", "crates/evaluator/Cargo.toml"),
    ("salsa", "crates/evaluator/Cargo.toml"),
    ("zeromq", "crates/transport/Cargo.toml"),
];

/// Reports versions outside of the root manifest, and dependencies that violate a layer.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .flat_map(check_manifest)
        .collect()
}

fn check_manifest(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_dependencies = false;
    for (number, line) in (1..).zip(file.text.lines()) {
        let line = line.trim();
        if line.starts_with('[') {
            in_dependencies = line.trim_matches(['[', ']']).ends_with("dependencies");
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| in_dependencies) else {
            continue;
        };
        let name = key.trim().trim_end_matches(".workspace");
        if line.starts_with('#') {
            continue;
        }
        let inherits = value.contains("workspace = true") || key.trim().ends_with(".workspace");
        if !inherits {
            findings.push(file.finding(
                number,
                format!("`{name}` wants `workspace = true`: versions are in the root Cargo.toml"),
            ));
        }
        for (owned, owner) in OWNED {
            if name == owned && file.path != owner {
                findings.push(file.finding(number, format!("only {owner} depends on {name}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn versions_outside_of_the_root_are_reported() {
        let text = "[dependencies]\nserde = { workspace = true }\nbytes.workspace = true\nhex = \"0.4\"\n[lib]\nname = \"x\"";
        let found = messages(check, &[("engine/Cargo.toml", text)]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("engine/Cargo.toml:4: `hex`"),
            "{found:?}"
        );
        assert_eq!(
            messages(check, &[("Cargo.toml", "[dependencies]\nhex = \"0.4\"")]),
            [""; 0]
        );
    }

    #[test]
    fn restricted_dependencies_have_one_owner() {
        let text = "[dev-dependencies]\nzeromq = { workspace = true }";
        let found = messages(check, &[("kernel/Cargo.toml", text)]);
        assert!(found[0].contains("only crates/transport"), "{found:?}");
        assert_eq!(
            messages(check, &[("crates/transport/Cargo.toml", text)]),
            [""; 0]
        );
    }
}
