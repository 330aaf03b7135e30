//! Text that does not belong into a repository, and documents that name files which are not there.

use super::tree::File;
use super::{Finding, Tree};

/// Written in halves so that this file does not find itself.
const UNWANTED: [(&str, &str); 11] = [
    (
        concat!("crates", ".io"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("py", "pi.org"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("python", "hosted.org"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("npm", "js.org"),
        "a registry's host: name packages, not hosts",
    ),
    (
        concat!("deb", ".debian.org"),
        "a registry's host: name packages, not hosts",
    ),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/tm", "p/t/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("issues ", "show"), "how the work is organised"),
    (concat!("contract", ".md"), "how the work is organised"),
];

/// Cargo writes a registry's address into every package of it.
const EXEMPT: [&str; 1] = ["Cargo.lock"];

/// Reports unwanted words, and dead names in the documents.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !file.is_in(&EXEMPT)) {
        for (number, line) in (1..).zip(file.text.lines()) {
            for (word, why) in UNWANTED {
                if line.contains(word) {
                    findings.push(file.finding(number, format!("`{word}`: {why}")));
                }
            }
        }
        if file.path.ends_with(".md") && !file.path.contains('/') {
            findings.extend(dead_names(file, tree));
        }
    }
    findings
}

/// Names in backticks that are paths of source files must be those of files.
fn dead_names(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for name in line.split('`').skip(1).step_by(2) {
            let is_path = name.contains('/')
                && [".rs", ".py", ".ipynb", ".toml"]
                    .iter()
                    .any(|end| name.ends_with(end))
                && !name.contains([' ', '*', '<', '{', '$']);
            if is_path && !tree.files.iter().any(|other| other.path == name) {
                findings.push(file.finding(number, format!("there is no file `{name}`")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        let findings = check(&Tree::of(files));
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn every_unwanted_word_is_found() {
        for (word, _) in UNWANTED {
            let text = format!("fine\nsee {word}x");
            let found = messages(&[("docs/a.md", &text)]);
            assert!(found[0].starts_with("docs/a.md:2"), "{word}: {found:?}");
        }
        assert_eq!(
            messages(&[("Cargo.lock", concat!("crates", ".io"))]),
            [""; 0]
        );
    }

    #[test]
    fn documents_name_files_that_exist() {
        let found = messages(&[
            (
                "ARCHITECTURE.md",
                "`kernel/src/a.rs` then `kernel/src/gone.rs`, `a/{b}.rs`",
            ),
            ("kernel/src/a.rs", ""),
        ]);
        assert_eq!(
            found,
            ["ARCHITECTURE.md:1: there is no file `kernel/src/gone.rs`"]
        );
    }
}
