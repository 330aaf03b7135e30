//! The build of our programs.

use crate::{exec, workspace::Workspace};
use anyhow::{Context, Result};
use std::fs;

/// The build's selection, the whole workspace with locked versions: the same packages and profile
/// for tour, tests and benchmarks, so that evcxr is built once. All features, since most tests use
/// the echo backend.
pub const SELECTION: [&str; 4] = ["--release", "--locked", "--workspace", "--all-features"];

/// Builds `phalanx` and `phalanx-engine`.
///
/// # Errors
/// Returns an error if cargo fails.
pub fn build(workspace: &Workspace) -> Result<()> {
    if !workspace.binaries().join("phalanx").exists() {
        eprintln!("Building evcxr and rust-analyzer too, which takes minutes the first time.");
    }
    clean_after_other_checkout(workspace)?;
    exec::run(
        exec::cargo(workspace)
            .arg("build")
            .args(SELECTION)
            .arg("--bins"),
    )
}

/// Removes the workspace's own packages if another checkout has built them; evcxr and all other
/// dependencies are kept.
///
/// Cargo compares modification times, and would use another checkout's package that was built later
/// into the same folder.
fn clean_after_other_checkout(workspace: &Workspace) -> Result<()> {
    let marker = workspace.build("checkout.txt");
    let root = workspace.path("").display().to_string();
    if fs::read_to_string(&marker).is_ok_and(|last| last == root) {
        return Ok(());
    }
    if workspace.binaries().exists() {
        exec::run(exec::cargo(workspace).args(["clean", "--release", "--locked", "--workspace"]))?;
    }
    fs::create_dir_all(workspace.build(""))
        .and_then(|()| fs::write(&marker, root))
        .with_context(|| format!("cannot write {}", marker.display()))
}
