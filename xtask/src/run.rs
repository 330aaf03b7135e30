//! `cargo xtask tour` and `cargo xtask run NOTEBOOK`: a notebook in the terminal.

use crate::lab::{self, TOUR};
use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Executes a notebook (the tour if none is named) and prints what its cells printed.
///
/// The exit code is 1 if a cell failed that is not tagged `raises-exception`, or one that is did not.
///
/// # Errors
/// When something it needs could not be set up.
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

/// Before the long build, so that a typing error is told at once.
fn existing(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("no notebook at {}", path.display()))
}
