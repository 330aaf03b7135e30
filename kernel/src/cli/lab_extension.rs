//! The extension of JupyterLab that colours magics, beside the kernelspec.

use super::install::KernelSpec;
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// The extension's files, by path in its folder.
const FILES: [(&str, &str); 2] = [
    (
        "package.json",
        include_str!("../../../labextension/package.json"),
    ),
    (
        "static/remoteEntry.js",
        include_str!("../../../labextension/static/remoteEntry.js"),
    ),
];

/// Writes the extension where the JupyterLab that finds this kernelspec looks for extensions.
pub(super) fn install(kernelspec: &Path) -> anyhow::Result<()> {
    let Some(folder) = folder(kernelspec) else {
        return Ok(());
    };
    for (name, text) in FILES {
        let file = folder.join(name);
        let parent = file.parent().unwrap_or(&folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Removes the extension, unless another kernelspec uses it.
pub(super) fn uninstall(kernelspec: &Path) -> anyhow::Result<()> {
    let is_used = kernelspec
        .parent()
        .and_then(|kernels| fs::read_dir(kernels).ok())
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| KernelSpec::read(&entry.path()).is_some_and(|spec| spec.is_ours()));
    match folder(kernelspec).filter(|folder| !is_used && folder.exists()) {
        Some(folder) => fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display())),
        None => Ok(()),
    }
}

/// Returns the extension's folder for a kernelspec in `share/jupyter/kernels/NAME`.
fn folder(kernelspec: &Path) -> Option<PathBuf> {
    let data = kernelspec.parent()?.parent()?;
    Some(data.join("labextensions/phalanx"))
}
