//! The error of the analysis.

use std::io;
use std::path::PathBuf;

/// The error of loading a crate or of a query.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The crate's folder cannot be read or written.
    #[error("the folder of the analysis cannot be used: {0}")]
    Folder(io::Error),
    /// The path is not UTF-8, which rust-analyzer requires.
    #[error("the path {} is not UTF-8", _0.display())]
    Path(PathBuf),
    /// The manifest does not have the format written by evcxr.
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    /// cargo or rustc failed.
    #[error("cargo cannot describe the crate: {0}")]
    Cargo(String),
    /// The cells' file is not among the files that were read.
    #[error("the file of the cells is not part of the crate")]
    NoSource,
    /// rust-analyzer panicked; the crate must be loaded anew.
    #[error("rust-analyzer panicked")]
    Panicked,
    /// The time limit is exceeded.
    #[error("rust-analyzer takes too long")]
    TooLate,
}
