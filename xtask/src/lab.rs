//! `cargo xtask lab`: from a fresh clone to the tour in JupyterLab.

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
    /// True to open a browser, false to print the address only.
    pub browser: bool,
    /// Its port; JupyterLab's own choice if none is named.
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

/// Sets everything up and becomes JupyterLab.
///
/// # Errors
/// When something it needs could not be set up.
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
    // Ours is no process between the terminal and JupyterLab: Ctrl-C is asked about by JupyterLab.
    Err(jupyter.exec()).context("cannot start JupyterLab")
}

/// The build, the private environment and the kernelspec in it.
///
/// # Errors
/// When one of them fails.
pub fn prepare(workspace: &Workspace) -> Result<Python> {
    prerequisites::ensure(workspace, Purpose::Notebooks)?;
    binaries::build(workspace)?;
    let python = Python::prepare(workspace)?;
    kernelspec::install(workspace, &python)?;
    Ok(python)
}
