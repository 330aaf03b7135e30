use crate::apply::PushedName;
use crate::id::ArtifactHash;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `metadata.phalanx` of an `apply_request` for a Rust engine. The last buffer is the arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallMetadata {
    /// `rustc --version` the artifacts were built with; the engine refuses another.
    pub abi: String,
    /// Host name of the client, to whose paths `paths` refer.
    pub host: String,
    /// Bytes from the library's base to the function; `None` when the artifacts are only to be kept
    /// for later calls.
    pub offset: Option<u64>,
    /// The artifacts the call needs, in load order, the function's library last.
    pub artifacts: Vec<ArtifactHash>,
    /// The paths of the artifacts, for engines on the client's host; by position, may be shorter.
    #[serde(default)]
    pub paths: Vec<PathBuf>,
    /// The artifacts sent as buffers before the arguments, as in
    /// [`CellMetadata`](super::CellMetadata).
    #[serde(default)]
    pub buffers: Vec<usize>,
    /// The client takes [`ReplyExtension::settled`](super::ReplyExtension::settled) for the end of the call, so that
    /// one that puts nothing out needs no `busy` and no `idle`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
    /// True if other engines of the machine are to find the arguments at this one, which publishes
    /// where ([`KEPT`](super::KEPT)) and keeps them until they are [`TAKEN`](super::TAKEN).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// The names that the call defines in the engine's namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushes: Vec<PushedName>,
}
