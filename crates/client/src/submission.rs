//! Tasks for engines.

use crate::request::RefusedTask;
use crate::task::EngineTask;
use tokio::sync::mpsc;

/// The tasks of one AsyncResult.
#[derive(Debug)]
pub struct Submission {
    /// The name of the AsyncResult: `%px`, `execute`, …
    pub name: String,
    /// The tasks; usually at most one per engine, which is not required.
    pub tasks: Vec<EngineTask>,
    /// The channel for tasks that an engine refuses; unbounded, since each task is refused at most
    /// once at a time.
    pub refused: mpsc::UnboundedSender<RefusedTask>,
}
