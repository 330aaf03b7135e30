//! Connection files: read leniently, written strictly.

mod file;
mod parallel;
mod tunnel;

pub use file::ConnectionFileError;
pub use parallel::{
    ClientConnectionFile, ENGINE_ENVIRONMENT, EngineConnectionFile, LocalSockets,
    UNREACHABLE_ENVIRONMENT,
};
pub use tunnel::{Tunnel, TunnelError};

use phalanx_protocol::jupyter::ConnectionInfo;
use std::path::Path;

/// Reads the connection file of a kernel, as written by Jupyter.
///
/// # Errors
/// Returns an error if the file cannot be read or is malformed.
pub fn read_kernel_file(path: &Path) -> Result<ConnectionInfo, ConnectionFileError> {
    file::read(path)
}

/// Writes a kernel's connection file.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn write_kernel_file(path: &Path, info: &ConnectionInfo) -> Result<(), ConnectionFileError> {
    file::write(path, info)
}
