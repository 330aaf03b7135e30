//! Metadata in ipyparallel's messages with which a Rust engine can run a compiled cell.

use super::lineage::Dependencies;
use crate::id::{ArtifactHash, DependenciesId, StateId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The key of our metadata.
pub const PHALANX: &str = "phalanx";

/// `metadata.phalanx` of an `execute_request` for a Rust engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellMetadata {
    /// The output of `rustc --version` of the artifacts' compiler; the engine refuses any other
    /// than its own.
    pub abi: String,
    /// The host name of the client, for the paths in `paths`.
    pub host: String,
    /// The state the cell was compiled from.
    pub base: StateId,
    /// The state of an engine once the cell has completed.
    pub next: StateId,
    /// The function to call; `None` if the cell only adds items.
    pub entry: Option<String>,
    /// True if the cell ends in an expression whose value is shown.
    pub has_result: bool,
    /// Pairs of corresponding lines of the compiled file and of the cell (both from 1), for panics.
    #[serde(default)]
    pub lines: Vec<(u32, u32)>,
    /// The artifacts the cell needs, in load order: libstd, the libraries built with it, and last
    /// the cell itself.
    pub artifacts: Vec<ArtifactHash>,
    /// The paths of the artifacts, for engines on the client's host; by position, possibly shorter.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// The artifacts sent as buffers, by position: the i-th buffer is `artifacts[buffers[i]]`. Each
    /// is checked against its hash, so that the signed metadata covers the code.
    #[serde(default)]
    pub buffers: Vec<usize>,
    /// The part that the engine keeps for other clients.
    pub record: Box<CellRecord>,
}

/// The part of a cell that its engine keeps, so that clients that did not send it can compile from
/// the resulting state ([`StateRecord`](super::StateRecord)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The execution count of the cell.
    pub cell: usize,
    /// The name of the text that it is from, in locations of failures: `In[7]` or a file's. `None` if
    /// the user has not written it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The variables of `base` that the engine has lost; the cell was compiled without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// The types of the variables that it declares without type annotations: name and type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<(String, String)>,
    /// True if the cell, once completed, changes the namespace only in the values of variables.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// The pushed value that it binds to a variable, if this is a hidden cell that does so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binds: Option<String>,
    /// The id of the dependencies it was compiled with.
    pub dependencies: DependenciesId,
    /// The description of those dependencies, unless the engine has it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Dependencies>,
}

/// The description of a Rust engine: `phalanx` in the content of its `kernel_info_reply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineHandshake {
    /// The version of the engine program.
    pub version: String,
    /// The name of its machine.
    pub host: String,
    /// The target triple it was built for.
    pub target: String,
    /// The version of the C library it uses: `gnu <version>`.
    pub libc: String,
    /// The ABI that it has loaded (`rustc --version`), if any.
    pub rustc: Option<String>,
    /// The artifacts that it has.
    pub artifacts: Vec<ArtifactHash>,
    /// The state of its namespace.
    pub state: StateId,
}
