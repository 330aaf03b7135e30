//! Installation of the kernel into the private environment.

use crate::{exec, python::Python, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;

/// Disables JupyterLab's announcements, which need the network at every start.
const PAGE_CONFIG: &str = r#"{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}
"#;

/// Installs the kernelspec `phalanx` into the environment, by `phalanx install`, which also builds
/// the library that every cell uses.
///
/// # Errors
/// Returns an error if `phalanx install` fails.
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
