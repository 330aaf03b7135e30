//! Our kernel, installed where the private environment's Jupyter finds it.

use crate::{exec, python::Python, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;

/// Turned off in the environment's JupyterLab, for it asks the network for news at every start.
const PAGE_CONFIG: &str = r#"{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}
"#;

/// Installs the kernelspec `phalanx` into the environment.
///
/// # Errors
/// When `phalanx install` fails.
pub fn install(workspace: &Workspace, python: &Python) -> Result<()> {
    exec::run(
        exec::command(workspace.binaries().join("phalanx"))
            .args(["install", "--force", "--prefix"])
            .arg(python.prefix()),
    )?;
    let folder = python.prefix().join("etc/jupyter/labconfig");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("page_config.json"), PAGE_CONFIG))
        .with_context(|| format!("cannot write {}", folder.display()))
}
