//! Private Python environments: JupyterLab with the clients of tests and benchmarks, and the tools
//! for linking a release.

use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment of `lab`, `tour`, `test` and `bench`, which also packs wheels.
const JUPYTER: Kind = Kind {
    folder: "python",
    requirements: "xtask/python/requirements.txt",
    probe: "import hatchling, jupyterlab, nbclient",
    contents: "JupyterLab",
};

/// The environment of `dist`. Separate, since zig is larger than the whole other environment.
const RELEASE_TOOLS: Kind = Kind {
    folder: "release-tools",
    requirements: "xtask/python/release-requirements.txt",
    probe: "import ziglang",
    contents: "zig",
};

/// The environment of `suite`: what ipyparallel's tests import.
const SUITE: Kind = Kind {
    folder: "suite",
    requirements: "xtask/python/suite-requirements.txt",
    probe: "import ipyparallel, pytest_asyncio, pandas",
    contents: "ipyparallel",
};

/// A kind of environment.
struct Kind {
    /// The folder in the build folder.
    folder: &'static str,
    /// The list of packages, in the checkout.
    requirements: &'static str,
    /// The imports that check that it works.
    probe: &'static str,
    /// The package that takes longest to install, for the message.
    contents: &'static str,
}

/// A virtual environment with every package of its list.
#[derive(Clone, Debug)]
pub struct Python {
    folder: PathBuf,
    path: PathBuf,
}

impl Python {
    /// Creates the environment with JupyterLab, unless it exists.
    ///
    /// # Errors
    /// Returns an error if Python or pip fails.
    pub fn prepare(workspace: &Workspace) -> Result<Self> {
        Self::make(workspace, &JUPYTER)
    }

    /// Creates the environment with the release tools, unless it exists.
    ///
    /// # Errors
    /// Returns an error if Python or pip fails.
    pub fn prepare_release_tools(workspace: &Workspace) -> Result<Self> {
        Self::make(workspace, &RELEASE_TOOLS)
    }

    /// Creates the environment for ipyparallel's tests, unless it exists.
    ///
    /// # Errors
    /// Returns an error if Python or pip fails.
    pub fn prepare_suite(workspace: &Workspace) -> Result<Self> {
        Self::make(workspace, &SUITE)
    }

    fn make(workspace: &Workspace, kind: &Kind) -> Result<Self> {
        let python = Self {
            folder: workspace.build(kind.folder),
            path: workspace.binaries(),
        };
        let requirements = fs::read_to_string(workspace.path(kind.requirements))
            .with_context(|| format!("cannot read {}", kind.requirements))?;
        let marker = python.folder.join("requirements-installed.txt");
        if fs::read_to_string(&marker).is_ok_and(|installed| installed == requirements)
            && python.works(kind)
        {
            return Ok(python);
        }
        eprintln!(
            "Setting up a private Python environment with {}.",
            kind.contents
        );
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
                .arg(workspace.path(kind.requirements)),
        )?;
        let home = python.folder.join("home");
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        // Written last, so that an interrupted installation is repeated.
        fs::write(&marker, requirements)
            .with_context(|| format!("cannot write {}", marker.display()))?;
        Ok(python)
    }

    /// Returns the environment's folder, its `sys.prefix`.
    pub fn prefix(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of a program in the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Returns a command in the environment: our programs and its own come first on the PATH, and
    /// Jupyter writes its files inside the environment instead of the user's home.
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

    /// Returns false if the environment was moved or its Python has been removed.
    fn works(&self, kind: &Kind) -> bool {
        let probe = format!(
            "{}; import sys; sys.exit(sys.prefix == sys.base_prefix)",
            kind.probe
        );
        exec::command(self.program("python"))
            .args(["-c", &probe])
            .output()
            .is_ok_and(|output| output.status.success())
    }
}
