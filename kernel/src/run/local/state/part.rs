//! The parts of the local namespace's state.

use super::JobId;
use phalanx_protocol::evaluator::{CompiledCell, DroppedVariables, RequestId, UnkeptVariable};
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::path::PathBuf;

#[derive(Debug)]
pub(super) enum EvaluatorState {
    Starting,
    /// The log is being replayed; the current entry, and the next of its outcomes.
    Replaying {
        entry: usize,
        outcome: usize,
    },
    Ready,
    /// It did not start. The next cell attempts another start.
    Failed,
}

#[derive(Debug, PartialEq)]
pub(super) enum RuntimeState {
    Starting,
    Up {
        loaded: bool,
    },
    /// It did not start. The next run attempts another start.
    Failed,
}

/// An evaluated cell, with the outcomes of its runs.
#[derive(Debug)]
pub(super) struct LoggedCell {
    /// The execution count.
    pub(super) cell: usize,
    pub(super) source: String,
    pub(super) outcomes: Vec<Outcome>,
}

/// A cell that waits for the evaluator.
#[derive(Debug)]
pub(super) struct WaitingCell {
    pub(super) job: JobId,
    /// The execution count.
    pub(super) cell: usize,
    pub(super) source: String,
    pub(super) attempt: Attempt,
}

/// The number of the attempt; before the second one, the evaluator has died during the cell.
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
    /// The execution count.
    pub(super) cell: usize,
    pub(super) request: RequestId,
    pub(super) source: String,
    pub(super) phase: Phase,
    pub(super) outcomes: Vec<Outcome>,
    /// The library of the last run.
    pub(super) library: Option<PathBuf>,
    /// The variables that were dropped before it ran.
    pub(super) dropped: DroppedVariables,
    /// The variables that are not kept if the cell completes.
    pub(super) leaves_out: Vec<UnkeptVariable>,
    /// The variables that were not kept.
    pub(super) unkept: Vec<UnkeptVariable>,
    pub(super) interrupted: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    Compiling,
    /// Compiled, but the runtime has not started.
    Compiled(CompiledCell),
    Running(RunId),
    /// Running, but the evaluator that compiled it has died.
    Orphaned(RunId),
}
