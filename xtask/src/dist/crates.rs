//! The library's packages: those that somebody's own crate may depend on.

use crate::{exec, workspace::Workspace};
use anyhow::Result;

/// The library, and before it what it needs.
const PACKAGES: [&str; 3] = ["phalanx-protocol", "phalanx-segment", "phalanx"];

/// The extent to which a package is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Depth {
    /// Its metadata, its files, and the versions of what it needs.
    Metadata,
    /// And that it builds out of its archive.
    Build,
}

/// Packs the library and what it needs, as for a registry.
///
/// # Errors
/// When cargo would not take them.
pub fn check(workspace: &Workspace, depth: Depth) -> Result<()> {
    let mut command = exec::cargo(workspace);
    // What is being worked on is checked too. All that is needed was fetched for the build.
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
