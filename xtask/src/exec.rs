//! Execution of other programs, without the variables added by `cargo run`.

use anyhow::{Context, Result, bail};
use phalanx_toolchain::rustup::TOOLCHAIN_VAR;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns a command with a clean environment.
///
/// `cargo run` sets variables about its package and the toolchain's library folder. A kernel must
/// not inherit them: it would find a libstd that a user's machine does not have.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_set_by_cargo) {
            command.env_remove(name);
        }
    }
    if let Some(paths) = env::var_os("LD_LIBRARY_PATH") {
        match without_cargo_folders(&paths) {
            Some(rest) => command.env("LD_LIBRARY_PATH", rest),
            None => command.env_remove("LD_LIBRARY_PATH"),
        };
    }
    command
}

/// Returns a command for cargo, with the toolchain that built this program, and the workspace's
/// build folder.
pub fn cargo(workspace: &crate::workspace::Workspace) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(program);
    if let Some(toolchain) = env::var_os(TOOLCHAIN_VAR) {
        command.env(TOOLCHAIN_VAR, toolchain);
    }
    command
        .current_dir(workspace.path(""))
        .env("CARGO_TARGET_DIR", workspace.build(""))
        // rust-analyzer is recompiled, which takes minutes, whenever this variable changes.
        .env_remove("CI");
    command
}

/// Runs a command to its end, with its output on ours.
///
/// # Errors
/// Returns an error if it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", command_line(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", command_line(command));
    }
    Ok(())
}

/// Prints the command that is about to run on stderr.
pub fn announce(command: &Command) {
    let line = command_line(command);
    match std::io::stderr().is_terminal() {
        true => eprintln!("\x1b[2m$ {line}\x1b[0m"),
        false => eprintln!("$ {line}"),
    }
}

fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the first of these programs on the PATH.
pub fn which(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<_> = env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// Returns the PATH with folders before all others.
///
/// # Errors
/// Returns an error if a folder's name cannot be part of a PATH.
pub fn path_with(first: &[PathBuf]) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = first.iter().cloned().chain(env::split_paths(&path));
    env::join_paths(all).context("a folder with a colon in its name cannot be on the PATH")
}

fn is_set_by_cargo(name: &str) -> bool {
    let prefixes = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_DIR",
        "OUT_DIR",
        // rustup sets it to the checkout's toolchain, whereas cells should use the user's.
        "RUSTUP_TOOLCHAIN",
        "RUST_RECURSION_COUNT",
    ];
    name == "CARGO" || prefixes.iter().any(|start| name.starts_with(start))
}

/// Removes cargo's folders from a PATH; `None` if nothing is left.
fn without_cargo_folders(paths: &OsStr) -> Option<OsString> {
    let is_cargo_folder = |folder: &Path| {
        folder.ends_with("deps")
            || folder.ends_with("debug")
            || folder.ends_with("release")
            || folder
                .components()
                .any(|part| part.as_os_str() == "rustlib")
            || (folder.ends_with("lib") && folder.join("rustlib").is_dir())
    };
    let rest: Vec<_> = env::split_paths(paths)
        .filter(|folder| !folder.as_os_str().is_empty() && !is_cargo_folder(folder))
        .collect();
    if rest.is_empty() {
        return None;
    }
    env::join_paths(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_folders_of_cargo_are_removed() {
        let sysroot = "/rust/lib/rustlib/x86_64-unknown-linux-gnu/lib";
        let path = format!("/checkout/target/debug/deps:{sysroot}:/opt/mpi/lib");
        assert_eq!(
            without_cargo_folders(OsStr::new(&path)).as_deref(),
            Some(OsStr::new("/opt/mpi/lib"))
        );
        assert_eq!(without_cargo_folders(OsStr::new(sysroot)), None);
    }

    #[test]
    fn error_names_the_failed_program() {
        let error = run(command("false").arg("--why")).unwrap_err();
        assert!(
            error.to_string().contains("`false --why` failed"),
            "{error}"
        );
        let error = run(&mut command("/nowhere/at-all")).unwrap_err();
        assert!(
            error.to_string().contains("cannot start `at-all`"),
            "{error}"
        );
    }
}
