//! Events of tasks, for subscribers.

use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::output::Output;

/// An event of one task; the events of a task arrive in order.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEvent {
    /// The task's position in the submission.
    pub task: usize,
    /// The engine it is on.
    pub engine: EngineId,
    /// The event.
    pub kind: TaskEventKind,
}

/// An event of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskEventKind {
    /// The engine has started it.
    Started {
        /// The execution count of the cell on its engine.
        execution_count: u32,
    },
    /// An output.
    Output(Output),
    /// The task has completed, failed or been aborted; output may still arrive.
    Done {
        /// The engine's state, if it is a Rust engine and reported it.
        state: Option<StateId>,
        /// True if it completed.
        ok: bool,
    },
    /// All its output has arrived.
    OutputDone,
}
