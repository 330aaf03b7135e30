//! The errors in starting a controller, and those in replies on behalf of engines.

use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_transport::connection::ConnectionFileError;
use phalanx_transport::socket::{BindError, EndpointError};
use phalanx_transport::wire::KeyError;

/// The reason why a controller could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configured interface is invalid.
    #[error(transparent)]
    Interface(#[from] EndpointError),
    /// It cannot listen on the interface.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A connection file cannot be written.
    #[error(transparent)]
    File(#[from] ConnectionFileError),
    /// A connection file to be reused has an invalid key.
    #[error("cannot use the connection files again: {0}")]
    Reuse(#[source] KeyError),
    /// The folder for the connection files cannot be created.
    #[error("cannot make a folder for the connection files: {0}")]
    Folder(std::io::Error),
    /// The database of tasks cannot be used.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Database(#[from] crate::records::OpenError),
}

/// The reason why the controller replies to a request in place of an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReplyFailure {
    /// The queue of requests to the engine is full.
    #[error("engine {0} does not read its requests")]
    NotRead(EngineId),
    /// No engine with this uuid is registered.
    #[error("there is no engine '{0}'")]
    NoEngine(EngineUuid),
    /// The engine exited while running the task.
    #[error("Engine {engine} died while running task '{task}'")]
    EngineDied { engine: EngineId, task: MsgId },
    /// The engine exited while running the task, so long ago that its id is forgotten.
    #[error("Engine '{engine}' died while running task '{task}'")]
    ForgottenEngineDied { engine: EngineUuid, task: MsgId },
    /// The task did not start in time.
    #[error("task '{0}' was not begun in time")]
    Timeout(MsgId),
    /// No engine meets the function's requirement.
    #[error("no engine has what task '{task}' requires: {reason}")]
    Unmet { task: MsgId, reason: String },
    /// A task has ended with an outcome that this task does not accept.
    #[error("task '{0}' can never run: a task that it depends on has ended otherwise than it asks")]
    DependencyEnded(MsgId),
    /// There are no Rust engines for a Rust function.
    #[error("task '{0}' can never run: it is a Rust function, and there are only Python engines")]
    NoRustEngine(MsgId),
    /// There are no Python engines for a Python function.
    #[error("task '{0}' can never run: it is a Python function, and there are only Rust engines")]
    NoPythonEngine(MsgId),
    /// None of the task's target engines exists.
    #[error("task '{0}' can never run: no engine that it may run on is there")]
    NoTarget(MsgId),
    /// The task depends on an unknown task, or on itself.
    #[error("task '{0}' depends on a task that is unknown, or on itself")]
    InvalidDependency(MsgId),
    /// All engines have left, and none has joined since.
    #[error("no engine is left to run task '{0}': start engines and send it again")]
    NoEngines(MsgId),
}

impl ReplyFailure {
    /// ipyparallel's name of the error.
    pub fn ename(&self) -> &'static str {
        match self {
            Self::NotRead(_)
            | Self::NoEngine(_)
            | Self::EngineDied { .. }
            | Self::ForgottenEngineDied { .. } => "EngineError",
            Self::Timeout(_) => "TaskTimeout",
            Self::Unmet { .. }
            | Self::DependencyEnded(_)
            | Self::NoRustEngine(_)
            | Self::NoPythonEngine(_)
            | Self::NoTarget(_) => "ImpossibleDependency",
            Self::InvalidDependency(_) => "InvalidDependency",
            Self::NoEngines(_) => "NoEngines",
        }
    }
}
