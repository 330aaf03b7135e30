//! Our own programs, built.

use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;

/// The selection that is built, the whole workspace with the lock file's versions: one selection of
/// packages and one profile for tour, tests and benchmarks, so that evcxr is built once. All
/// features: the echo evaluator, which most tests use, is one.
pub const SELECTION: [&str; 4] = ["--release", "--locked", "--workspace", "--all-features"];

/// Builds `phalanx` and `phalanx-engine`.
///
/// # Errors
/// When cargo fails.
pub fn build(workspace: &Workspace) -> Result<()> {
    if !workspace.binaries().join("phalanx").exists() {
        eprintln!("Building evcxr and rust-analyzer too, which takes minutes the first time.");
    }
    forget_other_checkouts(workspace)?;
    exec::run(
        exec::cargo(workspace)
            .arg("build")
            .args(SELECTION)
            .arg("--bins"),
    )
}

/// Removes what another checkout built of the workspace's own packages; evcxr and all other
/// dependencies stay.
///
/// Cargo tells by the files' times whether a package is to be built again, and takes another
/// checkout's package, built later into the same folder, for ours.
fn forget_other_checkouts(workspace: &Workspace) -> Result<()> {
    let marker = workspace.build("checkout.txt");
    let here = workspace.path("").display().to_string();
    if fs::read_to_string(&marker).is_ok_and(|last| last == here) {
        return Ok(());
    }
    if workspace.binaries().exists() {
        exec::run(exec::cargo(workspace).args(["clean", "--release", "--locked", "--workspace"]))?;
    }
    fs::create_dir_all(workspace.build(""))
        .and_then(|()| fs::write(&marker, here))
        .with_context(|| format!("cannot write {}", marker.display()))
}
