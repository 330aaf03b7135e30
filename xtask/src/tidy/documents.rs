//! Checks that files, folders and types named in documents exist.

use super::tree::File;
use super::{Finding, Tree};
use std::collections::HashSet;

/// Reports missing paths in documents, and types that are not in the files of their table's row.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let index = Index::of(tree);
    let documents = tree.files.iter().filter(|file| is_document(&file.path));
    documents
        .flat_map(|file| check_document(file, tree, &index))
        .collect()
}

/// Returns true for Markdown files in the checkout's root and in `docs`.
fn is_document(path: &str) -> bool {
    let name = path.strip_prefix("docs/").unwrap_or(path);
    name.ends_with(".md") && !name.contains('/')
}

/// The paths of the checkout.
struct Index<'a> {
    files: HashSet<&'a str>,
    folders: HashSet<&'a str>,
}

impl<'a> Index<'a> {
    fn of(tree: &'a Tree) -> Self {
        let files: HashSet<&str> = tree.paths.iter().map(String::as_str).collect();
        let parents = |path: &'a str| {
            path.match_indices('/')
                .map(|(index, _)| &path[..index])
                .collect::<Vec<_>>()
        };
        let folders = files.iter().flat_map(|path| parents(path)).collect();
        Self { files, folders }
    }

    fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains(path) || self.folders.contains(path)
    }

    /// Returns true for text that must be a path of the checkout: it starts with a top folder, or
    /// ends like a source file.
    fn is_path(&self, text: &str) -> bool {
        let Some((top, _)) = text.split_once('/') else {
            return false;
        };
        let source = [".rs", ".py", ".ipynb", ".toml"];
        !text.contains([' ', '*', '<', '{', '$', '…', '~'])
            && (self.folders.contains(top) || source.iter().any(|end| text.ends_with(end)))
    }
}

fn check_document(file: &File, tree: &Tree, index: &Index<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let spans: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let links = links(line).filter(|target| !target.contains("://"));
        let paths: Vec<&str> = spans
            .iter()
            .copied()
            .filter(|text| index.is_path(text))
            .collect();
        for path in paths.iter().copied().chain(links) {
            if !index.exists(path) {
                findings.push(file.finding(number, format!("there is no `{path}`")));
            }
        }
        if line.starts_with('|') && !paths.is_empty() {
            let is_in_row = |source: &File| paths.iter().any(|path| is_below(&source.path, path));
            let sources: Vec<&File> = tree.rust().filter(|file| is_in_row(file)).collect();
            for name in spans.into_iter().flat_map(type_names) {
                if !sources.iter().any(|source| names(source, name)) {
                    let message = format!("no file of this row has `{name}`");
                    findings.push(file.finding(number, message));
                }
            }
        }
    }
    findings
}

/// Returns the paths in a line's Markdown links, without the part after `#`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let after = line.split("](").skip(1);
    let targets = after.filter_map(|rest| rest.split_once(')'));
    targets
        .filter_map(|(target, _)| target.split('#').next())
        .filter(|target| !target.is_empty())
}

fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the names in a path of types, such as `Event::Requested`; none for other text.
fn type_names(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split("::").collect();
    let is_type = |part: &&str| {
        part.starts_with(|c: char| c.is_ascii_uppercase())
            && part.contains(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    if parts.iter().all(is_type) {
        parts
    } else {
        Vec::new()
    }
}

fn names(file: &File, name: &str) -> bool {
    let mut tokens = file.tokens.iter();
    tokens.any(|token| token.is_name && token.text == name)
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn missing_paths_are_reported() {
        let found = messages(
            check,
            &[
                (
                    "ARCHITECTURE.md",
                    "`kernel/src/a.rs` in `kernel/src/` then `kernel/src/gone.rs`, `kernel/old/`,\n\
                 `a/{b}.rs`, `and/or`, `~/.local`, `~/.config/a.toml`, `gone/c.rs`",
                ),
                ("docs/a.md", "![a](docs/a.png) and [b](https://b.c/d)"),
                ("kernel/README.md", "`kernel/src/gone.rs`"),
                ("kernel/src/a.rs", ""),
            ],
        );
        assert_eq!(
            found,
            [
                "ARCHITECTURE.md:1: there is no `kernel/src/gone.rs`",
                "ARCHITECTURE.md:1: there is no `kernel/old/`",
                "ARCHITECTURE.md:2: there is no `gone/c.rs`",
                "docs/a.md:1: there is no `docs/a.png`",
            ]
        );
    }

    #[test]
    fn code_blocks_are_ignored() {
        let text = "```console\n$ cat kernel/src/gone.rs `kernel/src/gone.rs`\n```\n`kernel/src`";
        assert_eq!(
            messages(check, &[("README.md", text), ("kernel/src/a.rs", "")]),
            [""; 0]
        );
    }

    #[test]
    fn types_must_be_in_the_files_of_their_row() {
        let text = "| 1 | `Event::Asked`, `Gone`, `MOST`, `rustc` | `kernel/src/` |\n\
                    | 2 | `Gone` | nothing |";
        let found = messages(
            check,
            &[
                ("ARCHITECTURE.md", text),
                (
                    "kernel/src/a.rs",
                    "enum Event { Asked } // Gone is a comment",
                ),
                ("crates/b.rs", "struct Gone;"),
            ],
        );
        assert_eq!(found, ["ARCHITECTURE.md:1: no file of this row has `Gone`"]);
    }
}
