//! `cargo xtask tidy`: checks the architecture's invariants in the committed files.
//!
//! | module | contents |
//! |---|---|
//! | [`layers`] | imports allowed for each part; the text of errors |
//! | [`code`] | `unsafe`, unfinished code, ignored tests, tasks without an owner |
//! | [`size`] | lengths of files |
//! | [`manifests`] | versions in one place |
//! | [`words`] | names of machines and registries |
//! | [`documents`] | files, folders and types named in documents |
//! | [`openings`] | doc comments and docstrings that open with a question word |
//! | [`type_names`] | public types of one name in a crate |
//! | [`circles`] | modules of a crate that import each other |
//! | [`notebooks`] | notebooks without outputs and paths |
//! | [`subjects`] | subjects of the last commits |
//! | [`tree`], [`source`] | the committed files and the commits, and Rust source as tokens, for all checks |
//!
//! Every check is a function from a [`Tree`] to its findings, tested with a failing sample.

mod circles;
mod code;
mod documents;
mod layers;
mod manifests;
mod notebooks;
mod openings;
mod size;
mod source;
mod subjects;
mod tree;
mod type_names;
mod words;

use crate::workspace::Workspace;
use anyhow::{Result, bail};
use std::process::ExitCode;
use tree::Tree;

/// A violation of an invariant.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    /// The path in the checkout.
    path: String,
    /// The line, from 1; 0 for the whole file.
    line: usize,
    /// The fault and the remedy.
    message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// Prints all findings.
///
/// # Errors
/// Returns an error if the sources cannot be read.
pub fn tidy(workspace: &Workspace) -> Result<ExitCode> {
    match check(workspace) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Succeeds if there are no findings.
///
/// # Errors
/// Returns an error that contains all findings, or if the sources cannot be read.
pub fn check(workspace: &Workspace) -> Result<()> {
    let tree = Tree::read(workspace)?;
    if tree.commits.is_none() {
        eprintln!("tidy: no commits here; their subjects are not checked");
    }
    let findings = findings(&tree);
    if findings.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
    bail!("{}\ntidy: {} to mend", lines.join("\n"), findings.len());
}

fn findings(tree: &Tree) -> Vec<Finding> {
    [
        layers::check(tree),
        code::check(tree),
        size::check(tree),
        manifests::check(tree),
        words::check(tree),
        documents::check(tree),
        openings::check(tree),
        type_names::check(tree),
        circles::check(tree),
        notebooks::check(tree),
        subjects::check(tree),
    ]
    .concat()
}

/// Returns the findings of a check in files of these contents.
#[cfg(test)]
fn messages(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let findings = check(&Tree::of(files));
    findings.iter().map(Finding::to_string).collect()
}
