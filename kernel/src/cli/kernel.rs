//! `phalanx kernel`: what Jupyter starts.

use crate::run::Programs;
use crate::session;
use anyhow::Context;
use phalanx_evaluator::Backend;
use phalanx_transport::connection::read_kernel_file;
use std::path::Path;

/// Environment variable in which Jupyter's server gives its process id.
const PARENT: &str = "JPY_PARENT_PID";

/// Serves a frontend until it, or the process that started the kernel, is done.
pub(super) fn run(connection_file: &Path, backend: Option<Backend>) -> anyhow::Result<()> {
    let connection = read_kernel_file(connection_file).context(
        "give the connection file Jupyter writes; `jupyter kernel --kernel phalanx` starts a kernel with one",
    )?;
    super::log();
    let backend = backend.context("built without evcxr; only the twin for tests is here")?;
    let programs =
        Programs::current(backend).context("the system does not say which program this is")?;
    let runtime = super::threads()?;
    runtime.block_on(session::run(connection, programs, parent())).context(
        "the kernel cannot serve; if a port is taken, another program has it: start the kernel again for new ports",
    )
}

/// The process whose end is to end the kernel: what Jupyter says it is.
fn parent() -> Option<u32> {
    let parent: u32 = std::env::var(PARENT).ok()?.parse().ok()?;
    // Kernels of a server that was started by init itself are told 1, which never ends.
    (parent > 1).then_some(parent)
}
