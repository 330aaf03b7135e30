//! The library's packages, on which users' crates may depend.

use crate::{exec, workspace::Workspace};
use anyhow::Result;

/// The library, preceded by its dependencies in the workspace.
const PACKAGES: [&str; 3] = ["phalanx-protocol", "phalanx-segment", "phalanx"];

/// The depth of a check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth {
    /// Metadata, files, and versions of dependencies.
    Metadata,
    /// In addition, a build from the archive.
    Build,
}

/// Packs the library and its dependencies, as for a registry.
///
/// # Errors
/// Returns an error if cargo refuses to pack them.
pub fn check(workspace: &Workspace, depth: Depth) -> Result<()> {
    let mut command = exec::cargo(workspace);
    // Includes uncommitted changes. All dependencies were fetched for the build.
    command.args([
        "package",
        "--locked",
        "--offline",
        "--allow-dirty",
        "--quiet",
    ]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    if depth == Depth::Metadata {
        command.arg("--no-verify");
    }
    exec::run(&mut command)
}
