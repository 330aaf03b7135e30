//! `phalanx kernel`: what Jupyter starts.

use crate::run::Programs;
use crate::session;
use anyhow::Context;
use phalanx_evaluator::Backend;
use phalanx_transport::connection::read_kernel_file;
use rustix::process::{Pid, Signal};
use std::path::Path;

/// Environment variable in which Jupyter's server gives its process id.
const PARENT: &str = "JPY_PARENT_PID";

/// Serves a frontend until it, or the process that started the kernel, is done.
pub(super) fn run(connection_file: &Path, backend: Option<Backend>) -> anyhow::Result<()> {
    let connection = read_kernel_file(connection_file).context(
        "give the connection file Jupyter writes; `jupyter kernel --kernel phalanx` starts a kernel with one",
    )?;
    end_with_parent()?;
    super::log();
    let backend = backend.context("built without evcxr; only the twin for tests is here")?;
    let programs =
        Programs::current(backend).context("the system does not say which program this is")?;
    let runtime = super::threads()?;
    runtime.block_on(session::run(connection, programs)).context(
        "the kernel cannot serve; if a port is taken, another program has it: start the kernel again for new ports",
    )
}

/// Has the system end this process when the one that started it ends.
fn end_with_parent() -> anyhow::Result<()> {
    let expected = std::env::var(PARENT).ok().and_then(|pid| pid.parse().ok());
    if expected.is_none() {
        return Ok(());
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .context("the system cannot tell of the parent's end")?;
    // It may have ended before the signal was asked for.
    let parent = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if parent.map(|pid| pid.get()) == expected || parent.is_some_and(|pid| pid.get() != 1) {
        return Ok(());
    }
    anyhow::bail!("the process that started the kernel is gone")
}
