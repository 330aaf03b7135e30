//! Tasks that engines refuse, and the submitter's decision.

use super::{HandleRequest, Requests};
use crate::error::TaskError;
use crate::task::{EngineTask, TaskKey};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::parallel::RefusalReason;

/// A task that its engine refused to run. The submitter calls [`resend`](Self::resend) or
/// [`fail`](Self::fail); if it drops the value instead, the task fails with `InternalError`.
#[derive(Debug)]
pub struct RefusedTask {
    /// The task's position in the submission.
    pub task: usize,
    /// The engine.
    pub engine: EngineId,
    /// The reason; never `NeedArtifacts`, which the client handles itself.
    pub reason: RefusalReason,
    /// The engine's state.
    pub state: StateId,
    /// The refused task.
    pub work: EngineTask,
    pub(crate) decision: RefusalDecision,
}

impl RefusedTask {
    /// Submits another task in place of the refused one.
    pub fn resend(mut self, work: impl Into<EngineTask>) {
        let work = work.into();
        self.decision
            .decide(|key| HandleRequest::Resend { key, work });
    }

    /// Ends the task in failure.
    pub fn fail(mut self, failure: RemoteFailure) {
        self.decision
            .decide(|key| HandleRequest::Fail { key, failure });
    }
}

/// Ensures that exactly one decision is made about a refusal.
#[derive(Debug)]
pub(crate) struct RefusalDecision {
    key: Option<TaskKey>,
    engine: EngineId,
    requests: Requests,
}

impl RefusalDecision {
    pub fn new(key: TaskKey, engine: EngineId, requests: Requests) -> Self {
        Self {
            key: Some(key),
            engine,
            requests,
        }
    }

    fn decide(&mut self, request: impl FnOnce(TaskKey) -> HandleRequest) {
        if let Some(key) = self.key.take() {
            // If the client has ended, so have all its tasks.
            let _ = self.requests.send(request(key));
        }
    }
}

impl Drop for RefusalDecision {
    fn drop(&mut self) {
        let engine = self.engine;
        self.decide(|key| HandleRequest::Fail {
            key,
            failure: RemoteFailure {
                method: "execute".to_owned(),
                ..TaskError::RefusalUndecided(engine).into()
            },
        });
    }
}
