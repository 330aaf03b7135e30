//! `phalanx kernel`: the command of the kernelspec.

use crate::context::Programs;
use crate::session::{self, Connection};
use anyhow::Context;
use phalanx_evaluator::Backend;
use phalanx_transport::connection::read_kernel_file;
use std::ffi::OsString;
use std::path::PathBuf;

/// The environment variable that contains the process id of Jupyter's server.
const PARENT: &str = "JPY_PARENT_PID";

/// Serves a frontend until a shutdown, or until the process that started the kernel ends. Arguments
/// in `ignored` are logged, as ipykernel does.
pub(super) fn run(
    connection_file: Option<PathBuf>,
    ignored: &[OsString],
    backend: Option<Backend>,
) -> anyhow::Result<()> {
    let connection = connection(connection_file)?;
    phalanx_transport::log::to_stderr(None);
    if !ignored.is_empty() {
        tracing::warn!(arguments = ?ignored, "unknown arguments are ignored");
    }
    let backend = backend.context(super::NOT_BUILT)?;
    let programs = Programs::current(backend).context("the path of this program is unknown")?;
    let runtime = super::serving()?;
    // Left by killed kernels; nothing waits for their removal.
    drop(runtime.spawn_blocking(phalanx_sys::temporary::remove_abandoned));
    // Spawned as a task, since each wake-up of the future in `block_on` takes a system call.
    let serving = runtime.spawn(session::run(connection, programs, parent()));
    runtime.block_on(serving).context("the kernel panicked")?.context(
        "the kernel cannot serve; if a port is taken, another program has it: start the kernel again for new ports",
    )
}

/// Returns the connection of an existing file, or a new one to be written.
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

/// Returns the folder in which Jupyter stores connection files.
fn runtime_folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("JUPYTER_RUNTIME_DIR").or_else(|| {
        let data = variable("JUPYTER_DATA_DIR");
        let data = data.or_else(|| Some(dirs::data_dir()?.join("jupyter")))?;
        Some(data.join("runtime"))
    })
}

/// Returns the process whose end also ends the kernel, as reported by Jupyter.
fn parent() -> Option<u32> {
    let parent: u32 = std::env::var(PARENT).ok()?.parse().ok()?;
    // A server started by init reports 1, which never ends.
    (parent > 1).then_some(parent)
}
