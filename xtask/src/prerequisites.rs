//! The requirements of the build and of cells: checked before anything is built, and installed if
//! possible.

use crate::{debian, exec, workspace::Workspace};
use anyhow::{Context, Result, bail};
use phalanx_toolchain::{ActiveToolchain, ToolchainError, linker, rustup};
use std::path::{Path, PathBuf};

/// Checks for the oldest Python supported by the packages of `requirements.txt`.
const PYTHON_CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// The use for which the requirements are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Notebooks in the checkout's folder, as for `lab`.
    Notebooks,
    /// Checks of the sources, and notebooks in any folder, as for `test`.
    Tests,
}

/// Installs the requirements, or returns the command that does.
///
/// # Errors
/// Returns an error if a requirement is missing and cannot be installed.
pub fn ensure(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    linker().map_err(with_remedy)?;
    for folder in folders(workspace, purpose) {
        ensure_toolchain(&folder)?;
    }
    if purpose == Purpose::Tests {
        for (program, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
            ensure_component(workspace, program, component)?;
        }
    }
    ensure_python()
}

/// Returns the folders in which kernels are started: the checkout's toolchain file applies to the
/// first only, and the tests' kernels use the toolchain of users' kernels elsewhere.
fn folders(workspace: &Workspace, purpose: Purpose) -> Vec<PathBuf> {
    match purpose {
        Purpose::Notebooks => vec![workspace.path("notebooks")],
        Purpose::Tests => vec![workspace.path("notebooks"), std::env::temp_dir()],
    }
}

/// Checks the toolchain that compiles cells in a folder, and adds the standard library's source.
fn ensure_toolchain(folder: &Path) -> Result<()> {
    let toolchain = ActiveToolchain::find_by(folder, &|program| exec::command(program));
    let result = toolchain.and_then(|toolchain| {
        toolchain.check_release()?;
        toolchain.ensure_library_source(|line| eprintln!("{line}"))?;
        toolchain.check()
    });
    result
        .map_err(with_remedy)
        .with_context(|| format!("cells cannot be compiled in {}", folder.display()))
}

/// Checks a tool of the toolchain that builds the workspace, and adds it.
fn ensure_component(workspace: &Workspace, program: &str, component: &'static str) -> Result<()> {
    let is_installed = |program: &str| {
        let version = exec::cargo(workspace).args([program, "--version"]).output();
        version.is_ok_and(|output| output.status.success())
    };
    if is_installed(program) {
        return Ok(());
    }
    let Some(choice) = rustup::choice(&workspace.path("")) else {
        bail!(
            "no `cargo {program}`: install your distribution's package of {component}, or Rust with rustup: https://rustup.rs"
        );
    };
    eprintln!(
        "Installing {component} for {} (rustup component add {component})",
        choice.name
    );
    rustup::add_component(component, &choice.name).map_err(with_remedy)
}

fn ensure_python() -> Result<()> {
    let check = || {
        let output = exec::command("python3").args(["-c", PYTHON_CHECK]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if check() {
        return Ok(());
    }
    if let Err(error) = debian::install(&["python3", "python3-venv"]) {
        bail!("Python 3.10 or newer with its venv module is needed: {error:#}");
    }
    if check() {
        return Ok(());
    }
    bail!("Python 3.10 or newer with its venv module is needed, and Debian's is older")
}

fn with_remedy(error: ToolchainError) -> anyhow::Error {
    anyhow::anyhow!("{error}\nto mend it: {}", error.remedy())
}
