//! Our own programs, built.

use crate::{exec, workspace::Workspace};
use anyhow::Result;

/// What is built is the whole workspace, with the lock file's versions: one selection of packages
/// and one profile for tour, tests and benchmarks, so that evcxr is built once.
pub const SELECTION: [&str; 3] = ["--release", "--locked", "--workspace"];

/// Builds `phalanx` and `phalanx-engine`.
///
/// # Errors
/// When cargo fails.
pub fn build(workspace: &Workspace) -> Result<()> {
    if !workspace.binaries().join("phalanx").exists() {
        eprintln!("Building evcxr and rust-analyzer too, which takes minutes the first time.");
    }
    exec::run(
        exec::cargo(workspace)
            .arg("build")
            .args(SELECTION)
            .arg("--bins"),
    )
}
