//! The files of an installation, relative to its prefix.

use super::third_party;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// The programs, in `bin`.
pub const PROGRAMS: [&str; 2] = ["phalanx", "phalanx-engine"];
/// Files of the checkout included in every installation, beside `bin` and `share`.
const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// The file with the licences of the programs' dependencies.
const THIRD_PARTY: &str = "LICENSE-THIRD-PARTY";
/// The kernelspec's folder.
const KERNELSPEC: &str = "share/jupyter/kernels/phalanx";
/// The folder of JupyterLab's extension.
const LAB_EXTENSION: &str = "share/jupyter/labextensions/phalanx";
/// The path of the program in its kernelspec, independent of Jupyter's PATH, which lacks the
/// environment's programs for pipx, JupyterHub and a `jupyter-lab` started by its path. Jupyter
/// substitutes the kernelspec's folder.
const PROGRAM: &str = "{resource_dir}/../../../../bin/phalanx";

/// A folder with an installation's files.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Clears the folder and fills it, with the programs from `programs`.
    ///
    /// # Errors
    /// Returns an error if a file is missing or cannot be copied.
    pub fn make(workspace: &Workspace, programs: &Path, folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let stage = Self {
            folder: folder.to_owned(),
        };
        for program in PROGRAMS {
            stage.add(&programs.join(program), &format!("bin/{program}"))?;
        }
        for document in DOCUMENTS {
            stage.add(&workspace.path(document), document)?;
        }
        fs::write(folder.join(THIRD_PARTY), third_party::licences(workspace)?)
            .with_context(|| format!("cannot write {THIRD_PARTY}"))?;
        stage.add_all(&workspace.path("kernelspec"), KERNELSPEC)?;
        stage.set_program()?;
        for folder in ["", "/static"] {
            let from = workspace.path(format!("labextension{folder}"));
            stage.add_all(&from, &format!("{LAB_EXTENSION}{folder}"))?;
        }
        // Not part of the archive: the configuration for packing a wheel, and its Python package.
        stage.add_all(&workspace.path("xtask/python/wheel"), "")?;
        stage.add_all(
            &workspace.path("xtask/python/wheel/phalanx_kernel"),
            "phalanx_kernel",
        )?;
        Ok(stage)
    }

    /// Returns the names of the files included in every installation.
    pub fn documents() -> impl Iterator<Item = &'static str> {
        DOCUMENTS.into_iter().chain([THIRD_PARTY])
    }

    /// Returns the folder that contains `bin` and `share`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sets the kernelspec's program to the one under the same prefix.
    fn set_program(&self) -> Result<()> {
        let file = self.folder.join(KERNELSPEC).join("kernel.json");
        let cannot = || format!("cannot adapt {}", file.display());
        let text = fs::read_to_string(&file).with_context(cannot)?;
        let mut spec: Value = serde_json::from_str(&text).with_context(cannot)?;
        spec["argv"][0] = PROGRAM.into();
        fs::write(&file, format!("{spec:#}\n")).with_context(cannot)
    }

    fn add_all(&self, from: &Path, to: &str) -> Result<()> {
        let cannot = || format!("cannot read {}", from.display());
        for entry in fs::read_dir(from).with_context(cannot)? {
            let path = entry.with_context(cannot)?.path();
            if let Some(name) = path.file_name().filter(|_| path.is_file()) {
                let to = Path::new(to).join(name);
                self.add(&path, &to.to_string_lossy())?;
            }
        }
        Ok(())
    }

    fn add(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.folder.join(to);
        let folder = to.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)
            .and_then(|()| fs::copy(from, &to))
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }
}
