//! Installation of Debian packages on disposable machines.

use crate::exec;
use anyhow::{Result, bail};
use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Installs packages, as root on a disposable machine.
///
/// # Errors
/// Returns an error on any other machine, with the command to run, or if the installation fails.
pub fn install(packages: &[&str]) -> Result<()> {
    if !(is_root() && is_disposable()) {
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
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Returns true in continuous integration, which sets `CI`, and in a container.
fn is_disposable() -> bool {
    env::var_os("CI").is_some()
        || ["/.dockerenv", "/run/.containerenv"]
            .iter()
            .any(|marker| Path::new(marker).exists())
}
