//! `cargo xtask lab`: opens the tour in JupyterLab, from a fresh clone.

use crate::prerequisites::{self, Purpose};
use crate::{binaries, debian, exec, kernelspec, python::Python, workspace::Workspace};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

/// The notebook that is opened.
pub const TOUR: &str = "notebooks/tour.ipynb";

/// The options of JupyterLab.
#[derive(Debug, PartialEq)]
pub struct LabOptions {
    /// True to open a browser, false to only print the address.
    pub browser: bool,
    /// The port; by default, JupyterLab chooses one.
    pub port: Option<u16>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            browser: true,
            port: None,
        }
    }
}

/// Prepares everything and replaces this process by JupyterLab.
///
/// # Errors
/// Returns an error if a requirement cannot be set up.
pub fn lab(workspace: &Workspace, options: &LabOptions) -> Result<ExitCode> {
    let python = prepare(workspace)?;
    let mut jupyter = python.command("jupyter");
    jupyter
        .current_dir(workspace.path(""))
        .args(["lab", "--ip=127.0.0.1"])
        .arg("--LabApp.extension_manager=readonly");
    if let Some(port) = options.port {
        jupyter.arg(format!("--port={port}"));
    }
    if !options.browser {
        jupyter.arg("--no-browser");
    }
    if debian::is_root() {
        jupyter.arg("--allow-root");
    }
    jupyter.arg(TOUR);
    exec::announce(&jupyter);
    // Replaced, so that JupyterLab handles Ctrl-C itself.
    Err(jupyter.exec()).context("cannot start JupyterLab")
}

/// Builds the programs, and prepares the private environment with the kernelspec.
///
/// # Errors
/// Returns an error if one of the steps fails.
pub fn prepare(workspace: &Workspace) -> Result<Python> {
    prerequisites::ensure(workspace, Purpose::Notebooks)?;
    binaries::build(workspace)?;
    let python = Python::prepare(workspace)?;
    kernelspec::install(workspace, &python)?;
    Ok(python)
}
