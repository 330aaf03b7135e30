//! `cargo xtask tour` and `cargo xtask run NOTEBOOK`: execute a notebook in the terminal.

use crate::lab::{self, TOUR};
use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Executes a notebook (the tour by default) and prints the output of its cells.
///
/// The exit code is 1 if a cell without the tag `raises-exception` failed, or one with it did not.
///
/// # Errors
/// Returns an error if a requirement cannot be set up.
pub fn run(workspace: &Workspace, notebook: Option<&Path>) -> Result<ExitCode> {
    let notebook = match notebook {
        None => workspace.path(TOUR),
        Some(path) => existing(path)?,
    };
    let python = lab::prepare(workspace)?;
    let mut command = python.command("python");
    command
        .arg(workspace.path("xtask/python/run_notebook.py"))
        .arg(&notebook);
    exec::announce(&command);
    let status = command.status().context("cannot start Python")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks that a notebook exists before the long build.
fn existing(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("no notebook at {}", path.display()))
}
