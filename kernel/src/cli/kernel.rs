//! `phalanx kernel`: what Jupyter starts.

use crate::context::Programs;
use crate::session::{self, Connection};
use anyhow::Context;
use phalanx_evaluator::Backend;
use phalanx_transport::connection::read_kernel_file;
use std::ffi::OsString;
use std::path::PathBuf;

/// Environment variable in which Jupyter's server gives its process id.
const PARENT: &str = "JPY_PARENT_PID";

/// Serves a frontend until it, or the process that started the kernel, is done; arguments that are
/// `ignored` are named in the log, as ipykernel does.
pub(super) fn run(
    connection_file: Option<PathBuf>,
    ignored: &[OsString],
    backend: Option<Backend>,
) -> anyhow::Result<()> {
    let connection = connection(connection_file)?;
    super::log();
    if !ignored.is_empty() {
        tracing::warn!(arguments = ?ignored, "unknown arguments are ignored");
    }
    let backend = backend.context("built without evcxr; only the twin for tests is here")?;
    let programs =
        Programs::current(backend).context("the system does not say which program this is")?;
    let runtime = super::serving()?;
    // Of kernels that were killed; nothing waits for it.
    drop(runtime.spawn_blocking(phalanx_sys::temporary::remove_abandoned));
    // As a task: to wake the future a runtime blocks on takes a system call each time.
    let serving = runtime.spawn(session::run(connection, programs, parent()));
    runtime.block_on(serving).context("the kernel broke off")?.context(
        "the kernel cannot serve; if a port is taken, another program has it: start the kernel again for new ports",
    )
}

/// The connection of a file that is there, or a new one that is to be written.
fn connection(file: Option<PathBuf>) -> anyhow::Result<Connection> {
    if let Some(file) = &file
        && file.exists()
    {
        let info = read_kernel_file(file).context(
            "give the connection file Jupyter writes; without one, the kernel writes it itself",
        )?;
        return Ok(Connection::Given(info));
    }
    let file = match file {
        Some(file) => file,
        None => runtime_folder()
            .context("there is no home folder; use --connection-file")?
            .join(format!("kernel-{}.json", std::process::id())),
    };
    Ok(Connection::Announced(file))
}

/// The folder in which Jupyter looks for connection files.
fn runtime_folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("JUPYTER_RUNTIME_DIR").or_else(|| {
        let data = variable("JUPYTER_DATA_DIR");
        let data = data.or_else(|| Some(dirs::data_dir()?.join("jupyter")))?;
        Some(data.join("runtime"))
    })
}

/// The process whose end is to end the kernel: what Jupyter says it is.
fn parent() -> Option<u32> {
    let parent: u32 = std::env::var(PARENT).ok()?.parse().ok()?;
    // Kernels of a server that was started by init itself are told 1, which never ends.
    (parent > 1).then_some(parent)
}
