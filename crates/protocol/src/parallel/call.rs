//! The metadata of a function call.

use crate::apply::PushedName;
use crate::id::ArtifactHash;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `metadata.phalanx` of an `apply_request` for a Rust engine. The last buffer contains the
/// arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallMetadata {
    /// The output of `rustc --version` of the artifacts' compiler; the engine refuses any other
    /// than its own.
    pub abi: String,
    /// The host name of the client, for the paths in `paths`.
    pub host: String,
    /// The offset of the function in the library; `None` if the artifacts are only to be kept for
    /// later calls.
    pub offset: Option<u64>,
    /// The artifacts the call needs, in load order, the function's library last.
    pub artifacts: Vec<ArtifactHash>,
    /// The paths of the artifacts, for engines on the client's host; by position, possibly shorter.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// The artifacts sent as buffers before the arguments, by position as in
    /// [`CellMetadata`](super::CellMetadata).
    #[serde(default)]
    pub buffers: Vec<usize>,
    /// True if the client treats [`ReplyExtension::settled`](super::ReplyExtension::settled) as the
    /// end of the call, so that a call without output needs no `busy` and no `idle`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    /// True if this engine keeps the arguments for other engines of its machine: it publishes their
    /// location ([`KEPT`](super::KEPT)) and keeps them until they are [`TAKEN`](super::TAKEN).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// The names that the call defines in the engine's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushes: Vec<PushedName>,
}
