//! The programs of a release: linked by zig for every Linux with glibc 2.28 or newer.

use crate::{exec, python::Python, workspace::Workspace};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The target of a release.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The oldest supported glibc, which is also the target's suffix for cargo-zigbuild.
const GLIBC: &str = "2.28";
/// The platform tag of its wheels.
pub const MANYLINUX: &str = "manylinux_2_28_x86_64";

/// Builds `phalanx` and `phalanx-engine`; returns their folder.
///
/// It is separate from other builds: evcxr is compiled once more for it.
///
/// # Errors
/// Returns an error if cargo or zig fails.
pub fn build(workspace: &Workspace, tools: &Python) -> Result<PathBuf> {
    let built = workspace.build("zig");
    if !built.exists() {
        eprintln!("Building evcxr and rust-analyzer for a release, which takes minutes once.");
    }
    exec::run(
        tools
            .command("cargo-zigbuild")
            .args(["zigbuild", "--release", "--locked"])
            .args(["--package", "phalanx-kernel", "--package", "phalanx-engine"])
            .args(["--target", &format!("{TARGET}.{GLIBC}")])
            .current_dir(workspace.path(""))
            .env("CARGO_TARGET_DIR", &built)
            // The default is the user's cache folder.
            .env("CARGO_ZIGBUILD_CACHE_DIR", built.join("zigbuild-cache"))
            .env("ZIG_GLOBAL_CACHE_DIR", built.join("zig-cache"))
            .env_remove("CI"),
    )?;
    Ok(built.join(TARGET).join("release"))
}

/// Checks that the programs in a wheel only need libraries that its platform guarantees.
///
/// # Errors
/// Returns an error if they need others or auditwheel fails.
pub fn audit(tools: &Python, wheel: &Path) -> Result<()> {
    let mut command = tools.command("auditwheel");
    command.arg("show").arg(wheel).stderr(Stdio::inherit());
    exec::announce(&command);
    let output = command.output().context("cannot start auditwheel")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "auditwheel failed: {stdout}");
    // The output is wrapped.
    let words = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((_, tag)) = words.split_once("following platform tag: \"") else {
        bail!("auditwheel does not say which platform the wheel is for: {words}");
    };
    let tag = tag.split('"').next().unwrap_or_default();
    ensure!(
        glibc(tag)
            .zip(glibc(MANYLINUX))
            .is_some_and(|(needs, promised)| needs <= promised),
        "the programs need {tag}, and the wheel promises {MANYLINUX}"
    );
    Ok(())
}

/// Returns the version of glibc in a tag such as `manylinux_2_28_x86_64`.
fn glibc(tag: &str) -> Option<(u32, u32)> {
    let mut numbers = tag.strip_prefix("manylinux_")?.split('_');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_by_their_glibc() {
        assert_eq!(glibc("manylinux_2_28_x86_64"), Some((2, 28)));
        assert!(glibc("manylinux_2_5_x86_64") < glibc(MANYLINUX));
        assert_eq!(glibc("linux_x86_64"), None);
    }

    #[test]
    fn wheel_tag_is_the_linked_glibc() {
        let glibc = GLIBC.replace('.', "_");
        assert_eq!(MANYLINUX, format!("manylinux_{glibc}_x86_64"));
    }
}
