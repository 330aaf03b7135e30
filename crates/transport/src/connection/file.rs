//! Reading and writing of connection files, for their owner alone.

use serde::{Serialize, de::DeserializeOwned};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The error of reading or writing a connection file.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionFileError {
    /// The file cannot be read.
    #[error("cannot read connection file {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write connection file {path}: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// The file is not a connection file of the expected kind.
    #[error("{path} is not a connection file: {error}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The missing or malformed part.
        error: serde_json::Error,
    },
    /// The file requires a feature that is not supported.
    #[error("unsupported connection: {0}")]
    Unsupported(String),
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ConnectionFileError> {
    let bytes = std::fs::read(path).map_err(|error| ConnectionFileError::Read {
        path: path.to_owned(),
        error,
    })?;
    serde_json::from_slice(&bytes).map_err(|error| ConnectionFileError::Malformed {
        path: path.to_owned(),
        error,
    })
}

/// Writes a file of mode 0600 atomically, so that nobody reads a partial one.
pub(super) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ConnectionFileError> {
    let failed = |error: std::io::Error| ConnectionFileError::Write {
        path: path.to_owned(),
        error,
    };
    let text = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
