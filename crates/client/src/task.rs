//! The code of a task, and its placement.

use phalanx_protocol::apply::SchedulingOptions;
use phalanx_protocol::id::{ArtifactHash, EngineId};
use phalanx_protocol::parallel::{CallMetadata, CellMetadata};
use phalanx_protocol::payload::{Payload, Segment};
use std::path::PathBuf;
use std::sync::Arc;

/// Identifies the tasks of one AsyncResult within its client; counts up from 1.
///
/// The kernel, which may have had several clients, stores AsyncResults by an `AsyncResultId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubmissionId(pub u64);

/// Identifies a task, across resends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskKey {
    pub submission: SubmissionId,
    pub task: usize,
}

/// The code of a task.
#[derive(Clone, Debug)]
pub enum EngineTask {
    /// A compiled cell.
    Cell(EngineCell),
    /// A function call.
    Call(EngineCall),
}

/// A compiled cell for one engine.
#[derive(Clone, Debug)]
pub struct EngineCell {
    /// The engine.
    pub engine: EngineId,
    /// The source, published by the engine as `execute_input`.
    pub source: String,
    /// The description of the cell for the engine; the client fills in `paths` and `buffers`.
    pub metadata: CellMetadata,
    /// The paths on this machine of the artifacts named in the metadata.
    pub artifacts: Vec<(ArtifactHash, PathBuf)>,
}

/// A function call. Calls that share their `Arc`s may be sent in one message.
#[derive(Clone, Debug)]
pub struct EngineCall {
    /// The engine that calls it, or the scheduler's conditions.
    pub placement: Placement,
    /// The description of the call for the engine; the client fills in `paths` and `buffers`.
    pub metadata: Arc<CallMetadata>,
    /// The paths on this machine of the artifacts named in the metadata.
    pub artifacts: Arc<[(ArtifactHash, PathBuf)]>,
    /// The serialized arguments.
    pub args: Payload,
    /// The user's label of the task.
    pub label: Option<Arc<str>>,
}

/// The placement of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// On this engine.
    Engine(EngineId),
    /// On an engine chosen by the scheduler.
    Balanced(Arc<SchedulingOptions>),
}

impl EngineCall {
    /// Returns true if both can be sent to the scheduler in one message: they differ only in their
    /// arguments.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let placed = match (&self.placement, &other.placement) {
            (Placement::Balanced(ours), Placement::Balanced(theirs)) => Arc::ptr_eq(ours, theirs),
            _ => false,
        };
        placed
            && Arc::ptr_eq(&self.metadata, &other.metadata)
            && Arc::ptr_eq(&self.artifacts, &other.artifacts)
            && self.label == other.label
    }
}

impl EngineTask {
    /// The engine; `None` if the scheduler chooses.
    pub fn engine(&self) -> Option<EngineId> {
        match self {
            Self::Cell(cell) => Some(cell.engine),
            Self::Call(call) => match call.placement {
                Placement::Engine(engine) => Some(engine),
                Placement::Balanced(_) => None,
            },
        }
    }

    /// The reference to the arguments of a function, if they are in a file.
    pub(crate) fn segment_args(&self) -> Option<&Segment> {
        match self {
            Self::Cell(_) => None,
            Self::Call(call) => call.args.segment(),
        }
    }

    /// The source, of a cell.
    pub(crate) fn source(&self) -> Option<&str> {
        match self {
            Self::Cell(cell) => Some(&cell.source),
            Self::Call(_) => None,
        }
    }

    /// The artifacts it needs, in load order, with their paths on this machine.
    pub(crate) fn artifacts(&self) -> &[(ArtifactHash, PathBuf)] {
        match self {
            Self::Cell(cell) => &cell.artifacts,
            Self::Call(call) => &call.artifacts,
        }
    }

    /// The hashes of the artifacts it needs, in load order.
    pub(crate) fn hashes(&self) -> &[ArtifactHash] {
        match self {
            Self::Cell(cell) => &cell.metadata.artifacts,
            Self::Call(call) => &call.metadata.artifacts,
        }
    }

    /// The user's label of the task.
    pub(crate) fn label(&self) -> Option<&str> {
        match self {
            Self::Cell(_) => None,
            Self::Call(call) => call.label.as_deref(),
        }
    }

    /// The conditions of a load-balanced task.
    pub(crate) fn scheduling(&self) -> Option<&SchedulingOptions> {
        match self {
            Self::Call(EngineCall {
                placement: Placement::Balanced(balanced),
                ..
            }) => Some(balanced),
            _ => None,
        }
    }

    /// The name of the method in ipyparallel's errors.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::Cell(_) => "execute",
            Self::Call(_) => "apply",
        }
    }
}

impl From<EngineCell> for EngineTask {
    fn from(cell: EngineCell) -> Self {
        Self::Cell(cell)
    }
}

impl From<EngineCall> for EngineTask {
    fn from(call: EngineCall) -> Self {
        Self::Call(call)
    }
}
