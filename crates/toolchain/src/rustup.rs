//! The rule by which rustup selects a toolchain, and the installation of a toolchain's parts.

use crate::error::ToolchainError;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The variable that passes a selected toolchain to other programs.
pub const TOOLCHAIN_VAR: &str = "RUSTUP_TOOLCHAIN";

/// The number of lines of rustup's output that an error contains.
const LAST_LINES: usize = 6;

/// The toolchain selected by rustup for a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RustupChoice {
    /// The name, such as `stable-x86_64-unknown-linux-gnu`.
    pub name: String,
    /// The reason: `default`, `overridden by '/notebooks/rust-toolchain.toml'`, ….
    pub reason: String,
}

impl RustupChoice {
    /// Returns true if the toolchain's folder is `sysroot`; either may be a symbolic link.
    pub(crate) fn is_at(&self, sysroot: &Path) -> bool {
        if self.is_installed_as(sysroot) {
            return true;
        }
        let Ok(rustc) = rustc_of(&self.name) else {
            return false;
        };
        rustc
            .ancestors()
            .nth(2)
            .is_some_and(|own| is_same(own, sysroot))
    }

    /// Returns true if rustup has installed the folder under this name.
    fn is_installed_as(&self, sysroot: &Path) -> bool {
        let installed = sysroot.parent().filter(|_| is_managed(sysroot));
        installed.is_some_and(|folder| is_same(&folder.join(&self.name), sysroot))
    }
}

/// Returns the selection by the environment, which overrides all others.
pub(crate) fn from_environment() -> Option<RustupChoice> {
    let name = std::env::var(TOOLCHAIN_VAR).ok();
    name.filter(|name| !name.is_empty())
        .map(|name| RustupChoice {
            name,
            reason: format!("overridden by environment variable {TOOLCHAIN_VAR}"),
        })
}

/// Returns true if rustup has installed the toolchain in a folder.
pub(crate) fn is_managed(sysroot: &Path) -> bool {
    let parent = sysroot.parent().and_then(Path::file_name);
    parent.is_some_and(|folder| folder == "toolchains")
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Returns the toolchain that rustup selects in a folder; `None` without rustup or without a
/// toolchain.
pub fn choice(folder: &Path) -> Option<RustupChoice> {
    choice_by(folder, Command::new("rustup"))
}

pub(crate) fn choice_by(folder: &Path, mut rustup: Command) -> Option<RustupChoice> {
    rustup
        .args(["show", "active-toolchain"])
        .current_dir(folder);
    let output = rustup
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    read_choice(&String::from_utf8_lossy(&output.stdout))
}

/// Parses `NAME (REASON)`; older versions of rustup omit the reason `default`.
fn read_choice(text: &str) -> Option<RustupChoice> {
    let line = text.lines().next()?.trim();
    let (name, reason) = line.split_once(' ').unwrap_or((line, "(default)"));
    let reason = reason.trim().trim_start_matches('(').trim_end_matches(')');
    (!name.is_empty()).then(|| RustupChoice {
        name: name.to_owned(),
        reason: reason.to_owned(),
    })
}

/// Returns the rustc of the toolchain with this name.
///
/// # Errors
/// Returns an error if rustup is not installed or has no toolchain of this name.
pub(crate) fn rustc_of(name: &str) -> Result<PathBuf, ToolchainError> {
    let output = Command::new("rustup")
        .args(["which", "rustc", "--toolchain", name])
        // With it, the message would be followed by rustup's own frames.
        .env_remove("RUST_BACKTRACE")
        .output();
    let message = match output {
        Ok(output) if output.status.success() => {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().into());
        }
        Ok(output) => last_lines(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => error.to_string(),
    };
    Err(ToolchainError::NotFound {
        name: name.to_owned(),
        message,
    })
}

/// Returns the folder of rustup's programs, if it contains cargo; terminals opened before rustup's
/// installation lack it on the PATH.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let variable = |name| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let home = variable("CARGO_HOME").or_else(|| Some(variable("HOME")?.join(".cargo")))?;
    let folder = home.join("bin");
    folder.join("cargo").is_file().then_some(folder)
}

/// Waits until no other Phalanx process installs a part of a toolchain.
pub(crate) fn lock(sysroot: &Path) -> io::Result<File> {
    let folder = File::open(sysroot)?;
    flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

/// Installs a component of a toolchain.
///
/// # Errors
/// Returns an error if rustup fails, as without a network.
pub fn add_component(component: &'static str, toolchain: &str) -> Result<(), ToolchainError> {
    let mut rustup = Command::new("rustup");
    rustup
        .args(["component", "add", component, "--toolchain", toolchain])
        .stdin(Stdio::null());
    let message = match rustup.output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => last_lines(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => error.to_string(),
    };
    Err(ToolchainError::NotInstalled {
        component,
        toolchain: toolchain.to_owned(),
        message,
    })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choice_is_parsed_with_its_reason() {
        let choice = read_choice("stable-x86_64-unknown-linux-gnu (default)\n").unwrap();
        assert_eq!(choice.name, "stable-x86_64-unknown-linux-gnu");
        assert_eq!(choice.reason, "default");
        let by_file = read_choice("1.95.0-x (overridden by '/a b/rust-toolchain.toml')").unwrap();
        assert_eq!(by_file.reason, "overridden by '/a b/rust-toolchain.toml'");
        assert!(!by_file.is_at(Path::new("/usr")));
        assert_eq!(read_choice("nightly").unwrap().reason, "default");
        assert_eq!(read_choice(""), None);
    }

    #[test]
    fn installed_toolchains_are_recognized_by_folder() {
        let home = tempfile::tempdir().unwrap();
        let stable = home.path().join("toolchains/stable-x");
        std::fs::create_dir_all(&stable).unwrap();
        std::os::unix::fs::symlink(&stable, home.path().join("toolchains/1.95.0-x")).unwrap();
        let named = |name: &str| RustupChoice {
            name: name.to_owned(),
            reason: String::new(),
        };
        assert!(named("stable-x").is_installed_as(&stable));
        assert!(named("1.95.0-x").is_installed_as(&stable));
        assert!(!named("nightly-x").is_installed_as(&stable));
        assert!(!named("stable-x").is_installed_as(home.path()));
    }

    #[test]
    fn last_lines_of_a_long_message_are_kept() {
        let text: String = (0..20).map(|line| format!("line {line}\n\n")).collect();
        assert!(last_lines(&text).starts_with("line 14\nline 15"));
        assert_eq!(last_lines("one"), "one");
    }
}
