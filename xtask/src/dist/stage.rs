//! The files of an installation, as they lie under its prefix.

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The programs, in `bin`.
pub const PROGRAMS: [&str; 2] = ["phalanx", "phalanx-engine"];
/// Files of the checkout that everybody gets, beside `bin` and `share`.
pub const DOCUMENTS: [&str; 3] = ["README.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// The kernelspec's folder.
const KERNELSPEC: &str = "share/jupyter/kernels/phalanx";

/// A folder with an installation's files.
#[derive(Debug)]
pub struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Fills the folder, which is emptied first, with the programs that are in `programs`.
    ///
    /// # Errors
    /// When a file is missing or cannot be copied.
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
        stage.add_all(&workspace.path("kernelspec"), KERNELSPEC)?;
        // Not part of an installation: how a wheel is packed of it.
        stage.add_all(&workspace.path("xtask/python/wheel"), "")?;
        Ok(stage)
    }

    /// The folder with `bin` and `share`.
    pub fn folder(&self) -> &Path {
        &self.folder
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
