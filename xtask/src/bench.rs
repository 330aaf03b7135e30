//! `cargo xtask bench`: measures Phalanx and its peers in one run.

use crate::{binaries, exec, lab, workspace::Workspace};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The peer that is compiled here, and its version.
const PEER: (&str, &str) = ("evcxr_jupyter", "0.22.0");

/// The options of a measurement.
#[derive(Debug, Default, PartialEq)]
pub struct BenchOptions {
    /// Install evcxr_jupyter first, unless it is installed.
    pub peers: bool,
    /// Few repetitions, to check that everything works.
    pub quick: bool,
    /// Measure growing notebooks in a quick run too.
    pub growth: bool,
    /// Measure only a cluster of 1,000 engines.
    pub scale: bool,
}

/// Builds, measures, and prints a table.
///
/// # Errors
/// Returns an error if a requirement cannot be set up or a measurement fails.
pub fn bench(workspace: &Workspace, options: &BenchOptions) -> Result<ExitCode> {
    if options.scale {
        return scale(workspace, options);
    }
    let python = lab::prepare(workspace)?;
    let peer = match find_peer(workspace) {
        None if options.peers => Some(install_peer(workspace)?),
        installed => installed,
    };
    let mut command = python.command("python");
    command.arg(workspace.path("xtask/python/bench.py"));
    match peer {
        Some(peer) => {
            command.arg("--evcxr-jupyter").arg(peer);
        }
        None => eprintln!(
            "evcxr_jupyter is not installed; `cargo xtask bench --peers` installs and measures it."
        ),
    }
    for (is_set, flag) in [(options.quick, "--quick"), (options.growth, "--growth")] {
        if is_set {
            command.arg(flag);
        }
    }
    exec::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// Measures a large cluster on this machine, without compiled code.
fn scale(workspace: &Workspace, options: &BenchOptions) -> Result<ExitCode> {
    exec::run(
        exec::cargo(workspace)
            .arg("build")
            .args(binaries::SELECTION)
            .args(["--example", "scale"]),
    )?;
    let program = workspace.binaries().join("examples/scale");
    let (engines, tasks) = match options.quick {
        true => ("50", "1000"),
        false => ("1000", "100000"),
    };
    exec::run(Command::new(program).args([engines, tasks]))?;
    Ok(ExitCode::SUCCESS)
}

fn find_peer(workspace: &Workspace) -> Option<PathBuf> {
    let installed = workspace.build("peers/bin").join(PEER.0);
    installed
        .is_file()
        .then_some(installed)
        .or_else(|| exec::which(&[PEER.0]))
}

fn install_peer(workspace: &Workspace) -> Result<PathBuf> {
    let (name, version) = PEER;
    exec::run(
        exec::cargo(workspace)
            .args(["install", "--locked", name, "--version", version, "--root"])
            .arg(workspace.build("peers"))
            // The peer is built as its users build it, without our profile and lock file.
            .env("CARGO_TARGET_DIR", workspace.build("peers/target")),
    )
    .with_context(|| format!("cannot install {name}"))?;
    match find_peer(workspace) {
        Some(peer) => Ok(peer),
        None => bail!("{name} was installed, but its program is not there"),
    }
}
