//! The code one task runs, and the engine that runs it.

use phalanx_protocol::id::{ArtifactHash, AsyncResultId, EngineId};
use phalanx_protocol::parallel::{CallMetadata, CellMetadata, Dependency};
use phalanx_protocol::payload::{Payload, Segment};
use std::path::PathBuf;
use std::sync::Arc;

/// Names one task over all resends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TaskKey {
    pub result: AsyncResultId,
    pub task: usize,
}

/// The code one task runs.
#[derive(Clone, Debug)]
pub enum EngineTask {
    /// A compiled cell, on its engine.
    Cell(EngineCell),
    /// A function.
    Call(EngineCall),
}

/// A compiled cell for one engine.
#[derive(Clone, Debug)]
pub struct EngineCell {
    /// The engine.
    pub engine: EngineId,
    /// The source, which is what the engine publishes as `execute_input`.
    pub source: String,
    /// The description of the cell for the engine; the client fills in `paths` and `buffers`.
    pub metadata: CellMetadata,
    /// The paths on this machine of the artifacts named in the metadata.
    pub artifacts: Vec<(ArtifactHash, PathBuf)>,
}

/// A function to call with arguments. Calls that share what they point to may travel together.
#[derive(Clone, Debug)]
pub struct EngineCall {
    /// The engine that calls it, or the scheduler's conditions.
    pub placement: Placement,
    /// The description of the call for the engine; the client fills in `paths` and `buffers`.
    pub metadata: Arc<CallMetadata>,
    /// The paths on this machine of the artifacts named in the metadata.
    pub artifacts: Arc<[(ArtifactHash, PathBuf)]>,
    /// The arguments, as the function reads them.
    pub args: Payload,
    /// The user's name for the task.
    pub label: Option<Arc<str>>,
}

/// The engine that gets a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Placement {
    /// This one.
    Engine(EngineId),
    /// The one the scheduler chooses.
    Balanced(Arc<SchedulingOptions>),
}

/// The conditions for the scheduler.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchedulingOptions {
    /// The engines it may choose among; none means all.
    pub targets: Vec<EngineId>,
    /// Tasks that must have ended before.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// Seconds it may wait for these; 0 for any.
    pub timeout: f64,
    /// The number of times it is tried again after a failure.
    pub retries: u32,
    /// True if it is to run even if this client has gone before it began.
    pub detached: bool,
}

impl EngineCall {
    /// Returns true if the scheduler may be given both at once: they differ in their arguments
    /// alone.
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
    /// The engine it is for, unless the scheduler chooses.
    pub fn engine(&self) -> Option<EngineId> {
        match self {
            Self::Cell(cell) => Some(cell.engine),
            Self::Call(call) => match call.placement {
                Placement::Engine(engine) => Some(engine),
                Placement::Balanced(_) => None,
            },
        }
    }

    /// A reference to the arguments of a function, where they are in a file.
    pub(crate) fn far_args(&self) -> Option<&Segment> {
        match self {
            Self::Cell(_) => None,
            Self::Call(call) => call.args.segment(),
        }
    }

    /// The source of a cell.
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

    /// The user's name for it.
    pub(crate) fn label(&self) -> Option<&str> {
        match self {
            Self::Cell(_) => None,
            Self::Call(call) => call.label.as_deref(),
        }
    }

    /// The tasks it waits for, and those it follows.
    pub(crate) fn dependencies(&self) -> Option<&SchedulingOptions> {
        match self {
            Self::Call(EngineCall {
                placement: Placement::Balanced(balanced),
                ..
            }) => Some(balanced),
            _ => None,
        }
    }

    /// As ipyparallel names it in errors.
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
