//! The parts of the local namespace's state.

use super::JobId;
use phalanx_protocol::evaluator::{CompiledCell, RequestId, UnkeptVariable};
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) enum EvaluatorState {
    Starting,
    /// Learns what the session did; the next entry of the log, and the next of its outcomes.
    Replaying {
        entry: usize,
        outcome: usize,
    },
    Ready,
    /// Did not start. The next cell tries again.
    Failed,
}

#[derive(Debug, PartialEq)]
pub(super) enum RuntimeState {
    Starting,
    Up {
        loaded: bool,
    },
    /// Did not start. The next run tries again.
    Failed,
}

/// A cell the evaluator has worked on, with the outcomes of its runs.
#[derive(Debug)]
pub(super) struct LoggedCell {
    pub(super) source: String,
    pub(super) outcomes: Vec<Outcome>,
}

/// A cell that waits for the evaluator.
#[derive(Debug)]
pub(super) struct WaitingCell {
    pub(super) job: JobId,
    /// Its execution count.
    pub(super) cell: usize,
    pub(super) source: String,
    pub(super) attempt: Attempt,
}

/// The number of the attempt: on the second, an evaluator has already died over the cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Attempt {
    First,
    Second,
}

/// The cell that is being evaluated.
#[derive(Debug)]
pub(super) struct CurrentCell {
    pub(super) attempt: Attempt,
    pub(super) job: JobId,
    /// Its execution count.
    pub(super) cell: usize,
    pub(super) request: RequestId,
    pub(super) source: String,
    pub(super) phase: Phase,
    pub(super) outcomes: Vec<Outcome>,
    /// The library that ran last.
    pub(super) library: Option<PathBuf>,
    /// The variables that it does not leave if it completes.
    pub(super) leaves_out: Vec<UnkeptVariable>,
    /// The names of those that it has not left.
    pub(super) unkept: Vec<String>,
    pub(super) interrupted: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    Compiling,
    /// Compiled, but the runtime is not up.
    Held(CompiledCell),
    Running(RunId),
    /// Running, while the evaluator that compiled it is gone.
    Orphaned(RunId),
}
