//! cargo-deny: licences, sources, versions and advisories of what is built, by the rules of `deny.toml`.

use crate::{exec, workspace::Workspace};
use anyhow::Result;
use std::process::Command;

/// The rules that need nothing but the lock file and the packages' manifests.
const LOCAL: [&str; 3] = ["bans", "licenses", "sources"];

/// A check that was made, or the reason why it was not.
#[derive(Debug)]
pub enum Check {
    /// Made.
    Done(Result<()>),
    /// Not possible on this machine.
    Skipped(&'static str),
}

const NOT_INSTALLED: Check =
    Check::Skipped("no cargo-deny on the PATH: cargo install --locked cargo-deny");

/// Checks licences, sources and versions.
pub fn check(workspace: &Workspace) -> Check {
    if !is_installed() {
        return NOT_INSTALLED;
    }
    // Those of other systems too, which nothing here is built of.
    if exec::run(exec::cargo(workspace).args(["fetch", "--locked"])).is_err() {
        return Check::Skipped("the packages it reads cannot be fetched from here");
    }
    Check::Done(exec::run(offline(workspace).arg("check").args(LOCAL)))
}

/// Checks for advisories against anything that is built.
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
