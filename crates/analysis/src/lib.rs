//! Types, completion and documentation for cells, by rust-analyzer.
//!
//! evcxr has a rust-analyzer of its own, which takes every file of the standard library and of all
//! dependencies for one that may change with each cell, and so looks at all of them for each. Here
//! everything but the cell is a library, whose results are kept: the types of a cell take a few
//! milliseconds. One process serves a kernel and its evaluators.
//!
//! | module | what |
//! |---|---|
//! | [`process`] | the analysis process: a socket, a worker |
//! | [`handle`] | the kernel's end of it |
//! | [`client`] | a connection that asks it, for evaluators |
//! | `analysis` | what is loaded, and how a panic of rust-analyzer is survived |
//! | `project` | a crate and its dependencies, from cargo and the disk |
//! | `scaffold` | the file that a cell becomes |
//! | `types`, `completion`, `inspection` | the answers |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod client;
pub mod handle;
pub mod process;

#[cfg(feature = "rust-analyzer")]
mod analysis;
#[cfg(feature = "rust-analyzer")]
mod completion;
#[cfg(feature = "rust-analyzer")]
mod inspection;
#[cfg(feature = "rust-analyzer")]
mod manifest;
#[cfg(feature = "rust-analyzer")]
mod project;
#[cfg(feature = "rust-analyzer")]
mod scaffold;
#[cfg(feature = "rust-analyzer")]
mod types;

#[cfg(feature = "rust-analyzer")]
pub use analysis::{Analysis, AnalysisError};
#[cfg(feature = "rust-analyzer")]
pub use scaffold::Scaffold;

/// Environment variable that holds the path of the analysis process's socket for an evaluator.
pub const SOCKET_VAR: &str = "PHALANX_ANALYSIS_SOCKET";
