//! The outcome of a task.

use super::EventTime;
use super::message::Reply;
use crate::error::TaskError;
use crate::result::RecordedOutcome;
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskStatus;
use phalanx_protocol::id::{EngineId, MsgId};
use phalanx_protocol::payload::Payload;

/// The outcome of a task as its reply says, or as the state decides without one; [`RecordedOutcome`] is the
/// form that is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum UnrecordedOutcome {
    Ok {
        execution_count: Option<u32>,
        value: Option<Payload>,
    },
    Failed(RemoteFailure),
    Aborted,
}

impl From<TaskError> for UnrecordedOutcome {
    fn from(error: TaskError) -> Self {
        Self::Failed(error.into())
    }
}

impl UnrecordedOutcome {
    /// Converts it into the recorded form; a failure without an engine is attributed to `engine`.
    pub fn record(
        self,
        task: Option<(&MsgId, &str)>,
        engine: Option<EngineId>,
        reply: Option<Reply>,
        now: EventTime,
    ) -> RecordedOutcome {
        let msg_id = task.map(|(msg_id, _)| msg_id);
        let (status, execution_count, value, failure) = match self {
            Self::Ok {
                execution_count,
                value,
            } => (TaskStatus::Ok, execution_count, value, None),
            Self::Failed(failure) => (TaskStatus::Error, None, None, Some(failure)),
            Self::Aborted => {
                let aborted = TaskError::Aborted(msg_id.cloned()).into();
                (TaskStatus::Aborted, None, None, Some(aborted))
            }
        };
        let failure = failure.map(|mut failure: RemoteFailure| {
            failure.engine = failure.engine.or(engine);
            failure.msg_id = failure.msg_id.or_else(|| msg_id.cloned());
            if let (Some((_, method)), true) = (task, failure.method.is_empty()) {
                failure.method = method.to_owned();
            }
            failure
        });
        let (started, completed, state) = match reply {
            Some(reply) => (reply.started, reply.completed, reply.state),
            None => (None, None, None),
        };
        RecordedOutcome {
            status,
            failure,
            execution_count,
            value,
            started,
            completed,
            received: now.utc,
            state,
        }
    }
}
