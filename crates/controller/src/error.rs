//! The errors of a start.

use phalanx_transport::connection::ConnectionFileError;
use phalanx_transport::socket::{BindError, EndpointError};
use phalanx_transport::wire::KeyError;

/// A controller could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configured interface is none.
    #[error(transparent)]
    Interface(#[from] EndpointError),
    /// It cannot listen there.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A connection file cannot be written.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
    /// A connection file that is to be used again cannot be.
    #[error("cannot use the connection files again: {0}")]
    Reuse(#[source] KeyError),
    /// There is no folder for them.
    #[error("cannot make a folder for the connection files: {0}")]
    Folder(std::io::Error),
    /// The database of tasks cannot be used.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Database(#[from] crate::records::OpenError),
}
