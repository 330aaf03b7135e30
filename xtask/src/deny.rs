//! cargo-deny: licences, sources, versions and advisories of dependencies, by the rules of
//! `deny.toml`.

use crate::{exec, workspace::Workspace};
use anyhow::Result;
use std::process::Command;

/// The checks that need only the lock file and the packages' manifests.
const LOCAL: [&str; 3] = ["bans", "licenses", "sources"];

/// The outcome of a check.
#[derive(Debug)]
pub enum Check {
    /// It was made.
    Done(Result<()>),
    /// It could not be made on this machine, for this reason.
    Skipped(&'static str),
}

const NOT_INSTALLED: Check =
    Check::Skipped("no cargo-deny on the PATH: cargo install --locked cargo-deny");

/// Checks licences, sources and versions.
pub fn check(workspace: &Workspace) -> Check {
    if !is_installed() {
        return NOT_INSTALLED;
    }
    // Includes packages for other systems, which the build does not need.
    if exec::run(exec::cargo(workspace).args(["fetch", "--locked"])).is_err() {
        return Check::Skipped("the packages it reads cannot be fetched from here");
    }
    Check::Done(exec::run(offline(workspace).arg("check").args(LOCAL)))
}

/// Checks dependencies for advisories.
pub fn advisories(workspace: &Workspace) -> Check {
    if !is_installed() {
        return NOT_INSTALLED;
    }
    if exec::run(deny(workspace).args(["fetch", "db"])).is_err() {
        return Check::Skipped("the database of advisories cannot be fetched from here");
    }
    Check::Done(exec::run(offline(workspace).args(["check", "advisories"])))
}

fn is_installed() -> bool {
    exec::which(&["cargo-deny"]).is_some()
}

fn deny(workspace: &Workspace) -> Command {
    let mut command = exec::cargo(workspace);
    command.args(["deny", "--all-features", "--locked"]);
    command
}

fn offline(workspace: &Workspace) -> Command {
    let mut command = deny(workspace);
    command.arg("--offline");
    command
}
