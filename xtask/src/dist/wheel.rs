//! A wheel with both programs as scripts and the kernelspec as data, so that `pip install` into
//! Jupyter's environment is a complete installation.

use super::stage::Stage;
use super::{VERSION, programs};
use crate::{exec, python::Python, workspace::Workspace};
use anyhow::{Result, ensure};
use std::env::consts;
use std::path::{Path, PathBuf};

/// The platform of a wheel.
#[derive(Clone, Copy, Debug)]
pub enum Platform {
    /// Every Linux with the release's glibc or a newer one.
    Manylinux,
    /// Machines like this one; package indexes reject such a wheel.
    ThisMachine,
}

impl Platform {
    fn tag(self) -> String {
        match self {
            Self::Manylinux => programs::MANYLINUX.to_owned(),
            Self::ThisMachine => format!("{}_{}", consts::OS, consts::ARCH),
        }
    }
}

/// Packs the wheel of a stage into a folder; returns its path.
///
/// # Errors
/// Returns an error if hatchling fails.
pub fn pack(python: &Python, stage: &Stage, platform: Platform, to: &Path) -> Result<PathBuf> {
    exec::run(
        python
            .command("python")
            .args([
                "-m",
                "hatchling",
                "build",
                "--target",
                "wheel",
                "--directory",
            ])
            .arg(to)
            .current_dir(stage.folder())
            .env("PHALANX_WHEEL_VERSION", VERSION)
            .env("PHALANX_WHEEL_PLATFORM", platform.tag()),
    )?;
    let wheel = to.join(format!(
        "phalanx_kernel-{VERSION}-py3-none-{}.whl",
        platform.tag()
    ));
    ensure!(wheel.is_file(), "hatchling made no {}", wheel.display());
    Ok(wheel)
}

/// Packs a wheel from the programs that tests run, for the test that installs it.
///
/// # Errors
/// Returns an error if they are not built or hatchling fails.
pub fn pack_for_tests(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    let stage = Stage::make(
        workspace,
        &workspace.binaries(),
        &workspace.build("test-wheel/stage"),
    )?;
    pack(
        python,
        &stage,
        Platform::ThisMachine,
        &workspace.build("test-wheel"),
    )
}
