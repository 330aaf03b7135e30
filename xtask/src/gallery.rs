//! `cargo xtask gallery`: the notebooks with their outputs, as pages under `docs/gallery`.

use crate::{chromium, exec, lab, workspace::Workspace};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// The folder of the pages, in the checkout.
const PAGES: &str = "docs/gallery";

/// The options of the gallery.
#[derive(Debug, Default, PartialEq)]
pub struct GalleryOptions {
    /// The notebooks to execute, by name without `.ipynb`; all if empty.
    pub only: Vec<String>,
    /// The folder for pictures of each page, in both themes, and for a contact sheet of them.
    pub pictures: Option<PathBuf>,
    /// True if there are to be pictures of JupyterLab, too.
    pub lab: bool,
}

/// Executes the notebooks and writes their pages.
///
/// # Errors
/// Returns an error if a requirement cannot be set up.
pub fn gallery(workspace: &Workspace, options: &GalleryOptions) -> Result<ExitCode> {
    let chromium = match &options.pictures {
        Some(_) => Some(chromium::find_or_install().context("pictures need Chromium")?),
        None => None,
    };
    let python = lab::prepare(workspace)?;
    let mut command = python.command("python");
    command
        .env("PYTHONPATH", workspace.path("tests/python"))
        .arg(workspace.path("xtask/python/gallery.py"))
        .arg(workspace.path("notebooks"))
        .arg(workspace.path(PAGES));
    if !options.only.is_empty() {
        command.arg("--only").args(&options.only);
    }
    if let (Some(pictures), Some(chromium)) = (&options.pictures, chromium) {
        command
            .arg("--pictures")
            .arg(pictures)
            .arg("--chromium")
            .arg(chromium);
        if options.lab {
            command.arg("--lab");
        }
    }
    exec::announce(&command);
    let status = command.status().context("cannot start Python")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
