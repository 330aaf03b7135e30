//! The end of a process, as reported by the system.

use phalanx_protocol::exit::RuntimeExit;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Converts the result of waiting for a process.
pub(super) fn of_wait(status: io::Result<ExitStatus>) -> RuntimeExit {
    status.map_or(RuntimeExit::Unknown, of_status)
}

/// Converts the raw wait status of a process that has ended.
pub(super) fn of_raw(status: i32) -> RuntimeExit {
    of_status(ExitStatus::from_raw(status))
}

fn of_status(status: ExitStatus) -> RuntimeExit {
    match (status.signal(), status.code()) {
        (Some(signal), _) => RuntimeExit::Signal(signal),
        (None, Some(code)) => RuntimeExit::Status(code),
        (None, None) => RuntimeExit::Unknown,
    }
}
