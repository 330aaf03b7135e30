//! The private Python environment: JupyterLab and the clients that tests and benchmarks use.

use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is installed, in the checkout.
const REQUIREMENTS: &str = "xtask/python/requirements.txt";

/// A virtual environment with everything of [`REQUIREMENTS`].
#[derive(Clone, Debug)]
pub struct Python {
    folder: PathBuf,
    path: PathBuf,
}

impl Python {
    /// Makes the environment, unless it is there already.
    ///
    /// # Errors
    /// When Python or pip fails.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        let python = Self {
            folder: workspace.build("python"),
            path: workspace.binaries(),
        };
        let wanted = fs::read_to_string(workspace.path(REQUIREMENTS))
            .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
        let done = python.folder.join("requirements-installed.txt");
        if fs::read_to_string(&done).is_ok_and(|have| have == wanted) && python.works() {
            return Ok(python);
        }
        eprintln!("Setting up a private Python environment with JupyterLab.");
        exec::run(
            exec::command("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&python.folder),
        )?;
        exec::run(
            python
                .command("python")
                .args(["-m", "pip", "install", "--quiet", "--no-input"])
                .args(["--disable-pip-version-check", "--requirement"])
                .arg(workspace.path(REQUIREMENTS)),
        )?;
        let home = python.folder.join("home");
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // Written last, so that an installation cut short is begun anew.
        fs::write(&done, wanted).with_context(|| format!("cannot write {}", done.display()))?;
        Ok(python)
    }

    /// The environment's own folder, `sys.prefix` inside it.
    pub fn prefix(&self) -> &Path {
        &self.folder
    }

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// A command in the environment: our programs and its own first on the PATH, and all that
    /// Jupyter writes inside the environment rather than in the user's home.
    pub fn command(&self, name: &str) -> Command {
        let mut command = exec::command(self.program(name));
        command
            .env("VIRTUAL_ENV", &self.folder)
            .env_remove("PYTHONHOME")
            .env_remove("PYTHONPATH")
            .env("JUPYTER_CONFIG_DIR", self.folder.join("home/config"))
            .env("JUPYTER_DATA_DIR", self.folder.join("home/data"))
            .env("JUPYTER_RUNTIME_DIR", self.folder.join("home/runtime"))
            .env("IPYTHONDIR", self.folder.join("home/ipython"));
        if let Ok(path) = exec::path_with(&[self.path.clone(), self.folder.join("bin")]) {
            command.env("PATH", path);
        }
        command
    }

    /// An environment whose folder was moved, or whose Python is gone, does not.
    fn works(&self) -> bool {
        exec::command(self.program("python"))
            .args([
                "-c",
                "import jupyterlab, nbclient, sys; sys.exit(sys.prefix == sys.base_prefix)",
            ])
            .output()
            .is_ok_and(|output| output.status.success())
    }
}
