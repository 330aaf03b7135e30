//! The committed files and the last commits, read once for all checks.

use super::source::{Token, tokens};
use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result, bail};
use std::fs;

/// The number of commits that are checked, as an argument of git: older ones stay as they are.
const COMMITS: &str = "-300";

/// The files that are committed or about to be.
#[derive(Debug, Default)]
pub struct Tree {
    /// The text files, by path.
    pub files: Vec<File>,
    /// The paths of all files, including pictures.
    pub paths: Vec<String>,
    /// The last commits; `None` if git knows none.
    pub commits: Option<Vec<Commit>>,
}

/// A commit.
#[derive(Debug)]
pub struct Commit {
    /// The abbreviated hash.
    pub id: String,
    /// The first line of the message.
    pub subject: String,
}

/// A text file.
#[derive(Debug)]
pub struct File {
    /// The path in the checkout, with `/`.
    pub path: String,
    /// The content.
    pub text: String,
    /// The Rust tokens, without whitespace and comments; empty for other files.
    pub tokens: Vec<Token>,
}

impl Tree {
    /// Reads the files that git tracks or would add.
    ///
    /// # Errors
    /// Returns an error if git fails or a file cannot be read.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let output = exec::command("git")
            .current_dir(workspace.path(""))
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .output()
            .context("cannot start git")?;
        if !output.status.success() {
            bail!(
                "git ls-files failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let mut tree = Self {
            commits: commits(workspace)?,
            ..Self::default()
        };
        for path in String::from_utf8_lossy(&output.stdout).split_terminator('\0') {
            let full = workspace.path(path);
            // Deleted but not committed yet, or a picture.
            if !full.exists() {
                continue;
            }
            let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            tree.paths.push(path.to_owned());
            if let Ok(text) = String::from_utf8(bytes) {
                tree.add(path, text);
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.files.dedup_by(|a, b| a.path == b.path);
        Ok(tree)
    }

    /// Adds a file.
    pub fn add(&mut self, path: &str, text: impl Into<String>) {
        let text = text.into();
        let tokens = if path.ends_with(".rs") {
            tokens(&text)
        } else {
            Vec::new()
        };
        self.files.push(File {
            path: path.to_owned(),
            text,
            tokens,
        });
    }

    /// Returns the Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// Creates a tree of samples.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.paths.push((*path).to_owned());
            tree.add(path, *text);
        }
        tree
    }
}

/// Reads the last commits; `None` if there is none.
fn commits(workspace: &Workspace) -> Result<Option<Vec<Commit>>> {
    let output = exec::command("git")
        .current_dir(workspace.path(""))
        .args(["log", COMMITS, "--no-merges", "--format=%h %s"])
        .output()
        .context("cannot start git")?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let commits = lines.lines().filter_map(|line| {
        let (id, subject) = line.split_once(' ')?;
        Some(Commit {
            id: id.to_owned(),
            subject: subject.to_owned(),
        })
    });
    Ok(output.status.success().then(|| commits.collect()))
}

impl File {
    /// Returns true if the file is in one of these folders, or is one of these files.
    pub fn is_in(&self, paths: &[&str]) -> bool {
        paths.iter().any(|path| match path.strip_suffix('/') {
            Some(_) => self.path.starts_with(path),
            None => self.path == *path,
        })
    }

    /// Creates a finding about this file.
    pub fn finding(&self, line: usize, message: impl Into<String>) -> super::Finding {
        super::Finding {
            path: self.path.clone(),
            line,
            message: message.into(),
        }
    }
}
