//! Types, completion and documentation for cells, by rust-analyzer.
//!
//! evcxr's own use of rust-analyzer treats every file of the standard library and of all
//! dependencies as one that may change with each cell, and so analyzes all of them for each. Here
//! everything but the cell is a library, whose results are cached: the types of a cell take a few
//! milliseconds. One process serves a kernel and its evaluators.
//!
//! | module | contents |
//! |---|---|
//! | [`process`] | the analysis process: threads for connections, and a worker |
//! | [`handle`] | the kernel's handle on the process |
//! | [`client`] | a blocking client, for evaluators |
//! | `analysis` | the loaded crate, time limits, and recovery from panics of rust-analyzer |
//! | `project`, `manifest` | the files of a crate and its dependencies, from cargo and the disk |
//! | `scaffold` | the file generated for a cell |
//! | `source` | a cell in its file, as queries receive it |
//! | `types`, `completion`, `inspection`, `imports` | queries |
//! | `call` | the call around a position |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod client;
pub mod handle;
pub mod process;

#[cfg(feature = "rust-analyzer")]
mod analysis;
#[cfg(feature = "rust-analyzer")]
mod call;
#[cfg(feature = "rust-analyzer")]
mod completion;
#[cfg(feature = "rust-analyzer")]
mod error;
#[cfg(feature = "rust-analyzer")]
mod imports;
#[cfg(feature = "rust-analyzer")]
mod inspection;
#[cfg(feature = "rust-analyzer")]
mod manifest;
#[cfg(feature = "rust-analyzer")]
mod project;
#[cfg(feature = "rust-analyzer")]
mod scaffold;
#[cfg(feature = "rust-analyzer")]
mod source;
#[cfg(feature = "rust-analyzer")]
mod types;

#[cfg(feature = "rust-analyzer")]
pub use analysis::AnalyzedCrate;
#[cfg(feature = "rust-analyzer")]
pub use error::AnalysisError;
#[cfg(feature = "rust-analyzer")]
pub use scaffold::Scaffold;
#[cfg(feature = "rust-analyzer")]
pub use scaffold::item_name;

/// The environment variable with the path of the analysis process's socket, for evaluators.
pub const SOCKET_VAR: &str = "PHALANX_ANALYSIS_SOCKET";
