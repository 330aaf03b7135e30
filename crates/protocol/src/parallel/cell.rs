//! Metadata on ipyparallel's messages by which a Rust engine can run a compiled cell.

use super::lineage::Dependencies;
use crate::id::{ArtifactHash, DependenciesId, StateId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The key of our metadata.
pub const PHALANX: &str = "phalanx";

/// `metadata.phalanx` of an `execute_request` for a Rust engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellMetadata {
    /// `rustc --version` the artifacts were built with; the engine refuses another.
    pub abi: String,
    /// Host name of the client, to whose paths `paths` refer.
    pub host: String,
    /// The state the cell was compiled from.
    pub base: StateId,
    /// The state an engine is in once the cell has completed.
    pub next: StateId,
    /// The function to call; `None` when the cell only adds items and has nothing to run.
    pub entry: Option<String>,
    /// True if the cell ends in an expression whose value is shown.
    pub has_result: bool,
    /// The lines of the compiled file and of the cell that correspond (both from 1), for panics.
    #[serde(default)]
    pub lines: Vec<(u32, u32)>,
    /// The artifacts the cell needs, in load order, the cell itself last: libstd, libraries built
    /// with it, the cell.
    pub artifacts: Vec<ArtifactHash>,
    /// The paths of the artifacts, for engines on the client's host; by position, may be shorter.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// The artifacts sent as buffers, by position: the i-th buffer is `artifacts[buffers[i]]`. Each
    /// is checked against its hash, so the signed metadata covers the code.
    #[serde(default)]
    pub buffers: Vec<usize>,
    /// The parts that the engine keeps for other clients.
    pub record: Box<CellRecord>,
}

/// The parts of a cell that its engine keeps, so that clients which did not send it can compile from the state
/// it leads to ([`StateRecord`](super::StateRecord)).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The execution count of the cell.
    pub cell: usize,
    /// The variables of `base` that the engine has lost, without which the cell was compiled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// The types of the variables that it declares without writing them: name and type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<(String, String)>,
    /// True if the cell leaves the namespace as it was, once it has completed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// The pushed value that it makes a variable, if it is one of ours that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binds: Option<String>,
    /// The dependencies it was compiled with.
    pub dependencies: DependenciesId,
    /// Those dependencies, where the engine may not know them yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Dependencies>,
}

/// The description of a Rust engine: `phalanx` in the content of its `kernel_info_reply`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineHandshake {
    /// Version of the engine program.
    pub version: String,
    /// Name of the machine it runs on.
    pub host: String,
    /// Target triple it was built for.
    pub target: String,
    /// `gnu <version>` of the C library it runs with.
    pub libc: String,
    /// The ABI it has already loaded (`rustc --version`), if any.
    pub rustc: Option<String>,
    /// Artifacts it already has.
    pub artifacts: Vec<ArtifactHash>,
    /// The state of its namespace.
    pub state: StateId,
}
