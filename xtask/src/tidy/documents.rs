//! Checks that files, folders, types and functions named in documents exist.

use super::source::Token;
use super::tree::File;
use super::{Finding, Tree};
use std::collections::HashSet;

/// The head of the last column of a table of stages: the files that define what a row names.
const STAGES: &str = "where";

/// The keywords before the name of a type.
const TYPE_KEYWORDS: [&str; 5] = ["struct", "enum", "union", "trait", "type"];

/// Reports missing paths in documents, types that the files of their table's row do not mention, and,
/// in tables of stages, types and functions that these do not define.
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
    let mut head: Option<Vec<&str>> = None;
    for (number, line) in (1..).zip(file.text.lines()) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let spans: Vec<&str> = code_spans(line).collect();
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
        if !line.starts_with('|') {
            head = None;
            continue;
        }
        let head = head.get_or_insert_with(|| cells(line));
        if paths.is_empty() {
            continue;
        }
        let is_in_row = |source: &File| paths.iter().any(|path| is_below(&source.path, path));
        let sources: Vec<&File> = tree.rust().filter(|file| is_in_row(file)).collect();
        let missing = if head.last() == Some(&STAGES) {
            undefined(&cells(line), head, &sources)
        } else {
            unmentioned(&spans, &sources)
        };
        findings.extend(
            missing
                .into_iter()
                .map(|message| file.finding(number, message)),
        );
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

/// Returns the text of a line that is marked as code.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Returns the cells of a table's row.
fn cells(row: &str) -> Vec<&str> {
    row.trim()
        .trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect()
}

/// Returns findings about the types of a row that none of its sources mentions.
fn unmentioned(spans: &[&str], sources: &[&File]) -> Vec<String> {
    let types = spans.iter().filter_map(|text| type_path(text)).flatten();
    types
        .filter(|name| !sources.iter().any(|source| mentions(source, name)))
        .map(|name| format!("no file of this row has `{name}`"))
        .collect()
}

/// Returns findings about the types and functions of a stage that none of its sources defines.
fn undefined(cells: &[&str], head: &[&str], sources: &[&File]) -> Vec<String> {
    let is_mentioned = |name: &str| sources.iter().any(|source| mentions(source, name));
    let is_type = |name: &str| sources.iter().any(|source| defines_type(source, name));
    let is_function = |name: &str| sources.iter().any(|source| defines_function(source, name));
    let mut missing: Vec<&str> = Vec::new();
    for (cell, head) in cells.iter().zip(head) {
        for text in code_spans(cell) {
            if let Some(names) = type_path(text) {
                let (first, members) = names.split_at(1);
                missing.extend(first.iter().copied().filter(|name| !is_type(name)));
                missing.extend(members.iter().copied().filter(|name| !is_mentioned(name)));
            } else if let Some(name) = function_name(text)
                // Other lower-case names are messages, commands and words of Rust.
                && (name != text
                    || head.contains("function")
                    || cell.contains(&format!("(`{name}`)")))
                && !is_function(name)
            {
                missing.push(text);
            }
        }
    }
    missing
        .into_iter()
        .map(|name| format!("no file of this row defines `{name}`"))
        .collect()
}

/// Returns the names in a path of types, such as `Event::Requested`; none for other text.
fn type_path(text: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = text.split("::").collect();
    parts.iter().all(|part| is_type_name(part)).then_some(parts)
}

/// Returns the name of the function in `name` or `Type::name`; none for other text.
fn function_name(text: &str) -> Option<&str> {
    let (owner, name) = match text.rsplit_once("::") {
        Some((owner, name)) => (Some(owner), name),
        None => (None, text),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    (is_name && owner.is_none_or(|owner| owner.split("::").all(is_type_name))).then_some(name)
}

fn is_type_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.contains(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn mentions(file: &File, name: &str) -> bool {
    let mut tokens = file.tokens.iter();
    tokens.any(|token| token.is_name && token.text == name)
}

/// Returns true if a file defines a type, by its keyword or as the argument of a macro (`text_id! { A }`).
fn defines_type(file: &File, name: &str) -> bool {
    defines(file, name, |before| match before {
        [.., last] if TYPE_KEYWORDS.contains(&last.text.as_str()) => true,
        [.., mark, brace] => mark.text == "!" && brace.text == "{",
        _ => false,
    })
}

fn defines_function(file: &File, name: &str) -> bool {
    defines(file, name, |before| {
        before.last().is_some_and(|last| last.text == "fn")
    })
}

/// Returns true if a name follows tokens for which `is_definition` is true.
fn defines(file: &File, name: &str, is_definition: impl Fn(&[Token]) -> bool) -> bool {
    let mut tokens = file.tokens.iter().enumerate();
    tokens.any(|(index, token)| token.text == name && is_definition(&file.tokens[..index]))
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

    #[test]
    fn stages_name_the_files_that_define_their_types_and_functions() {
        let text = "| # | stage | type or function | where |\n\
                    |---|---|---|---|\n\
                    | 1 | `idle` (`start`) | `Event::Asked`, `TaskId`, `Hub::next` | `kernel/src/` |\n\
                    | 2 | `busy` (`stop`) | `Used`, `Event::Lost`, `Hub::used`, `gone` | `kernel/src/` |";
        let source = "enum Event { Asked }\ntext_id! { TaskId }\nfn start() {}\n\
                      impl Hub { fn next(x: Used) { x.used(); stop() } }";
        let found = messages(
            check,
            &[("ARCHITECTURE.md", text), ("kernel/src/a.rs", source)],
        );
        let missing = ["stop", "Used", "Lost", "Hub::used", "gone"];
        let expected =
            missing.map(|name| format!("ARCHITECTURE.md:4: no file of this row defines `{name}`"));
        assert_eq!(found, expected);
    }
}
