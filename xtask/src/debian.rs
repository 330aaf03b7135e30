//! Debian's packages, installed where that changes nobody's own machine.

use crate::exec;
use anyhow::{Result, bail};
use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Installs packages, as root on a machine that is thrown away afterwards.
///
/// # Errors
/// On any other machine, with the command to type, and when they cannot be had.
pub fn install(packages: &[&str]) -> Result<()> {
    if !(is_root() && is_throw_away()) {
        bail!("sudo apt-get install {}", packages.join(" "));
    }
    let apt = || {
        let mut apt = exec::command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .arg("--quiet=2");
        apt
    };
    exec::run(apt().arg("update"))?;
    exec::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

/// Returns true for root, the owner of `/proc/self`.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|us| us.uid() == 0)
}

/// Continuous integration sets `CI`, and a container is made to be thrown away.
fn is_throw_away() -> bool {
    env::var_os("CI").is_some()
        || ["/.dockerenv", "/run/.containerenv"]
            .iter()
            .any(|marker| Path::new(marker).exists())
}
