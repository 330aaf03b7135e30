//! `cargo xtask suite`: ipyparallel's own tests with our controller, and a table of the results.

use crate::{binaries, exec, python::Python, sites, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;
use std::process::ExitCode;

/// Runs the modules whose names contain `only`, or all, and those with failures again with
/// ipyparallel's controller.
///
/// # Errors
/// Returns an error if a requirement cannot be set up.
pub fn suite(workspace: &Workspace, only: Option<&str>) -> Result<ExitCode> {
    binaries::build(workspace)?;
    sites::install();
    let python = Python::prepare_suite(workspace)?;
    let logs = workspace.build("suite-logs");
    if logs.exists() {
        fs::remove_dir_all(&logs).with_context(|| format!("cannot remove {}", logs.display()))?;
    }
    let mut command = python.command("python");
    command
        .arg(workspace.path("tests/python/suite.py"))
        .arg(workspace.binaries().join("phalanx"))
        .arg(&logs);
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    exec::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}
