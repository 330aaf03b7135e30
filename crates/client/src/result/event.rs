//! Events of one task, as subscribers see them.

use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::output::Output;

/// One event of one task; the events of a task arrive in order.
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
    /// The engine began to run it.
    Started {
        /// Number of the cell on its engine.
        execution_count: u32,
    },
    /// It put something out.
    Output(Output),
    /// It has ended, in one of completed, failed and aborted; output may still arrive.
    Done {
        /// The engine's state now, where the engine is one of ours and said so.
        state: Option<StateId>,
        /// True if it ran to its end.
        ok: bool,
    },
    /// All its output has arrived.
    OutputDone,
}
