//! Our own programs, built.

use crate::{exec, workspace::Workspace};
use anyhow::Result;

/// What is built is the whole workspace, with the lock file's versions: one selection of packages
/// and one profile for tour, tests and benchmarks, so that evcxr is built once. All features: the
/// echo evaluator, which most tests use, is one.
pub const SELECTION: [&str; 4] = ["--release", "--locked", "--workspace", "--all-features"];

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
