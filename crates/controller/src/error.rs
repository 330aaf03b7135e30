//! The errors in starting a controller.

use phalanx_transport::connection::ConnectionFileError;
use phalanx_transport::socket::{BindError, EndpointError};
use phalanx_transport::wire::KeyError;

/// The reason why a controller could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configured interface is invalid.
    #[error(transparent)]
    Interface(#[from] EndpointError),
    /// It cannot listen on the interface.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A connection file cannot be written.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
    /// A connection file to be reused has an invalid key.
    #[error("cannot use the connection files again: {0}")]
    Reuse(#[source] KeyError),
    /// The folder for the connection files cannot be created.
    #[error("cannot make a folder for the connection files: {0}")]
    Folder(std::io::Error),
    /// The database of tasks cannot be used.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Database(#[from] crate::records::OpenError),
}
