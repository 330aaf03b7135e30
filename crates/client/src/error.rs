//! Failures of tasks that the client finds itself, in place of an engine.

use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{ArtifactHash, EngineId, MsgId};
use phalanx_protocol::release::ReleaseMismatch;
use std::path::PathBuf;

/// The reason why a task failed, if no engine reported it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum TaskError {
    /// The task was aborted before it began.
    #[error("task{} was aborted before it began", quoted(.0.as_ref()))]
    Aborted(Option<MsgId>),
    /// There is no such engine.
    #[error("Engine {0} is not registered")]
    Unregistered(EngineId),
    /// The engine runs another language than Rust.
    #[error("engine {0} is not a Rust engine, which alone runs Rust code")]
    Foreign(EngineId),
    /// The engine has not described itself.
    #[error("engine {0} does not answer")]
    Silent(EngineId),
    /// The engine is of an incompatible version.
    #[error("{0}; {remedy}", remedy = ReleaseMismatch::REMEDY)]
    OtherRelease(ReleaseMismatch),
    /// None of the engines that the scheduler may choose for the task is registered.
    #[error("none of the engines it is for is registered")]
    NoneRegistered,
    /// None of the engines that the scheduler may choose for the task runs Rust.
    #[error("none of the engines it is for is a Rust engine, which alone runs Rust code")]
    NoneIsRust,
    /// The engine left while the task was with it.
    #[error("Engine {} died while running task '{msg_id}'", engine.map_or("?".to_owned(), |id| id.to_string()))]
    EngineDied {
        engine: Option<EngineId>,
        msg_id: MsgId,
    },
    /// The value of a function, in shared memory of the engine, could not be opened in time.
    #[error("the engine ended before its value was taken over: {reason}")]
    ValueLost { reason: String },
    /// The engine still lacks the artifacts after they have been sent again.
    #[error("the engine does not keep the artifacts it is sent")]
    ArtifactsNotKept,
    /// The submitter made no decision about a refusal.
    #[error("engine {0} refused the cell and nothing else was sent")]
    RefusalUndecided(EngineId),
    /// An engine that the controller has not reported refused the task.
    #[error("an engine that is not registered refused the task")]
    RefusedByUnknown,
    /// The client has ended.
    #[error("the connection to the controller is lost")]
    ClientEnded,
    /// The connection was given up.
    #[error("the connection to the controller is lost: {reason}")]
    Disconnected { reason: String },
    /// The connection was restored, and the controller does not know the task.
    #[error("the connection to the controller broke, and the task is lost with it")]
    LostWithConnection,
    /// The message is to include an artifact, by its position, that the task does not have.
    #[error("artifact {0} is none of the task's")]
    NoArtifact(usize),
    /// An artifact cannot be read.
    #[error("artifact {} ({hash}): {reason}", path.display())]
    Artifact {
        path: PathBuf,
        hash: ArtifactHash,
        reason: String,
    },
    /// The arguments cannot be read.
    #[error("its data: {reason}")]
    Arguments { reason: String },
    /// The message cannot be created or sent.
    #[error("{reason}")]
    Unsent { reason: String },
    /// The hub could not be asked about the task, which another client submitted.
    #[error("{reason}")]
    Unreported { reason: String },
}

impl TaskError {
    /// ipyparallel's name of the error, or our own.
    fn ename(&self) -> &'static str {
        match self {
            Self::Aborted(_) => "TaskAborted",
            Self::ArtifactsNotKept | Self::RefusalUndecided(_) => "InternalError",
            _ => "EngineError",
        }
    }
}

impl From<TaskError> for RemoteFailure {
    fn from(error: TaskError) -> Self {
        Self {
            ename: error.ename().to_owned(),
            evalue: error.to_string(),
            traceback: Vec::new(),
            engine: match error {
                TaskError::RefusalUndecided(engine) => Some(engine),
                _ => None,
            },
            msg_id: None,
            // Replaced by the method of the task.
            method: String::new(),
        }
    }
}

/// Formats the id of a task after the word `task`; empty without an id.
fn quoted(task: Option<&MsgId>) -> String {
    task.map(|id| format!(" '{id}'")).unwrap_or_default()
}
