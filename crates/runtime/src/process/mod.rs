//! The runtime's processes: the one that runs cells, its snapshot, and the supervisor of both.
//!
//! ```text
//! owner ── supervisor ──┬── runner: has the variables, runs cells, one thread
//!                       ├── snapshot: a fork of the runner from before the cell, waiting
//!                       └── what cells have started and left behind
//! ```

mod byte_counter;
mod call;
mod control;
mod library;
mod listeners;
mod load_error;
mod oom;
mod own_data;
mod profiler;
mod runner;
mod setting;
mod snapshot;
mod stack;
mod supervisor;
mod symbols;
mod thread_data;

#[cfg(feature = "echo")]
mod echo;

use crate::CONTROL_SOCKET_VAR;
use phalanx_protocol::frame;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// The main function of a runtime process; called by `phalanx runtime` and `phalanx-engine
/// runtime`.
///
/// Returns successfully once the owner closes its connection or exits; all processes started by
/// cells are killed.
pub fn process_main() -> ExitCode {
    let Some(path) = std::env::var_os(CONTROL_SOCKET_VAR) else {
        return ended(Err(ProcessError::NoOwner));
    };
    stack::ensure();
    // Frontends interpret the carriage returns of progress bars.
    phalanx_sys::terminal::imitate_on_stderr();
    ended(supervisor::run(&PathBuf::from(path)))
}

fn ended(result: Result<(), ProcessError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runtime: {error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ProcessError {
    #[error("{CONTROL_SOCKET_VAR} is not set: a runtime is started by a kernel or an engine")]
    NoOwner,
    #[error("a system call failed: {0}")]
    System(#[from] io::Error),
    #[error("the owner sent a malformed request: {0}")]
    Frame(#[from] frame::FrameError),
}
