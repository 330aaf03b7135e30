//! The failures that an engine reports, with their texts and hints.

use super::event::{BrokenArtifact, EngineIdentity};
use super::work::WorkKind;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::{Failure, FailureKind, Panic};
use phalanx_protocol::host::{CellRequest, KernelRequest, MAGIC_FAILED};
use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::native::CallFailure;
use phalanx_protocol::parallel::{ErrorContent, NotRunnable, RefusalReason, Signal};
use phalanx_protocol::release::{Release, ReleaseMismatch};
use std::borrow::Cow;

/// The refusal of a request that the library in a cell sends to the kernel, which an engine cannot
/// reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RefusedHostCall {
    /// A magic, or a request about an AsyncResult or the cluster.
    #[error("magics and AsyncResults do not work on an engine")]
    NoKernel,
    /// A request for input.
    #[error("an engine takes no input: it has no user")]
    NoUser,
}

impl RefusedHostCall {
    /// The refusal of this request.
    pub fn of(request: &KernelRequest) -> Self {
        match request {
            KernelRequest::Cell(CellRequest::Input { .. } | CellRequest::ReadLine) => Self::NoUser,
            _ => Self::NoKernel,
        }
    }

    /// The text for a cell that reads stdin, whose code only notices that it is empty.
    pub fn on_stdin(self) -> String {
        format!("stdin is empty: {self}\n")
    }

    fn hint(self) -> &'static str {
        match self {
            Self::NoKernel => "use them in the notebook's own cells, without %%px",
            Self::NoUser => {
                "ask in the notebook, and pass the answer to the engines: as an argument, or by `push`"
            }
        }
    }
}

impl From<RefusedHostCall> for Failure {
    fn from(refused: RefusedHostCall) -> Self {
        Self::new(FailureKind::Usage, refused, Some(refused.hint().to_owned()))
    }
}

/// The error name for which ipyparallel's scheduler tries another engine.
const UNMET: &str = "UnmetDependency";

/// A failure, as sent in replies and `error` messages; its text is the `evalue`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum EngineFailure {
    /// The code panicked.
    #[error("{}", .0.message)]
    Panicked(Panic),
    /// A host call of the cell was refused, which ended it.
    #[error(transparent)]
    RefusedHostCall(RefusedHostCall),
    /// An error left a cell through `?`.
    #[error("{message}")]
    Errored {
        message: String,
        /// The location of the `?`, if known.
        location: Option<String>,
    },
    /// An error of the library left a cell through `?`: it was used in the wrong way.
    #[error("{message}")]
    Misused {
        message: String,
        hint: Option<String>,
        /// The location of the `?`, if known.
        location: Option<String>,
    },
    /// A function raised a failure itself.
    #[error("{}", .0.evalue)]
    Raised(CallFailure),
    /// The failure that a function raised has another form than ours.
    #[error("a failure is unreadable: {0}")]
    Unreadable(String),
    /// A function ended without a value.
    #[error("the function gave back nothing, or more than fits in a message")]
    NothingReturned,
    /// The work ended the runtime process.
    #[error("the {work} ended the runtime of engine {engine} ({exit}); {}", .left.describe(*.work))]
    Died {
        engine: EngineId,
        work: WorkKind,
        exit: RuntimeExit,
        left: LeftVariables,
    },
    /// The user interrupted the work, which ended its process.
    #[error("the {work} was interrupted on engine {engine}; {}", .left.describe(*.work))]
    Interrupted {
        engine: EngineId,
        work: WorkKind,
        left: LeftVariables,
    },
    /// The user interrupted a cell while its artifacts were being found.
    #[error("the cell was interrupted before it ran")]
    InterruptedBefore,
    /// The engine cannot run such a request.
    #[error("engine {engine} is a Rust engine and runs compiled cells: {}", unsuitable(*.work, .reason))]
    NotRunnable {
        engine: EngineId,
        work: WorkKind,
        reason: NotRunnable,
    },
    /// The request is from an incompatible release.
    #[error("{0}")]
    OtherRelease(Box<ReleaseMismatch>),
    /// The code was compiled by another compiler than the code that is loaded.
    #[error("engine {engine} has loaded code of `{loaded}`, this cell was built by `{wanted}`")]
    OtherAbi {
        engine: EngineId,
        loaded: String,
        wanted: String,
    },
    /// There is no such signal, or it cannot be sent.
    #[error("{} is not a signal that can be sent", signal_name(.0))]
    UnknownSignal(Signal),
    /// Engines do not serve requests of this type.
    #[error("engines do not answer `{0}`")]
    UnknownRequest(String),
    /// The runtime does not start.
    #[error("engine {engine} cannot start a runtime: {reason}")]
    NoRuntime { engine: EngineId, reason: String },
    /// An artifact that was sent cannot be used.
    #[error(transparent)]
    BrokenArtifact(BrokenArtifact),
    /// The request does not include the library of its entry function.
    #[error("there is a function to run and no artifact that has it")]
    NoArtifact,
    /// The cell was compiled from another state than this one, which the engine is in.
    #[error("the cell was not compiled from state {0}")]
    OtherState(StateId),
    /// The engine lacks this number of artifacts.
    #[error("{0} artifacts are not here")]
    MissingArtifacts(usize),
    /// The types of these variables no longer exist.
    #[error("the types of {} have changed", .0.join(", "))]
    VariablesLost(Vec<String>),
}

impl EngineFailure {
    /// The failure of a panic.
    pub fn panicked(panic: Panic) -> Self {
        // The library ends a cell with this panic if its host call is refused; engines refuse all
        // of them.
        match panic.message == MAGIC_FAILED {
            true => Self::RefusedHostCall(RefusedHostCall::NoKernel),
            false => Self::Panicked(panic),
        }
    }

    /// The failure of an error that left a cell through the `?` at `location`; `known` is its
    /// structure if the error is the library's.
    pub fn errored(message: String, known: Option<&Failure>, location: Option<String>) -> Self {
        match known {
            Some(Failure::Usage { message, hint }) => Self::Misused {
                message: message.clone(),
                hint: hint.clone(),
                location,
            },
            _ => Self::Errored { message, location },
        }
    }

    /// The failure of a request that this engine cannot run.
    pub fn not_runnable(engine: EngineId, work: WorkKind, reason: NotRunnable) -> Self {
        match reason {
            NotRunnable::OtherRelease(theirs) => Self::OtherRelease(Box::new(ReleaseMismatch {
                engine,
                of_engine: Release::ours(),
                of_kernel: theirs,
            })),
            reason => Self::NotRunnable {
                engine,
                work,
                reason,
            },
        }
    }

    /// The failure of a request that this engine, which is in `state`, refuses.
    pub fn refused(reason: &RefusalReason, state: &StateId) -> Self {
        match reason {
            RefusalReason::StateMismatch => Self::OtherState(state.clone()),
            RefusalReason::NeedArtifacts { artifacts } => Self::MissingArtifacts(artifacts.len()),
            RefusalReason::VariablesLost { names } => Self::VariablesLost(names.clone()),
        }
    }

    /// Returns true if another engine may be able to run the task.
    pub fn is_unmet(&self) -> bool {
        self.ename() == UNMET
    }

    /// Returns the content of an error reply and of an `error` message.
    pub fn content(&self, identity: &EngineIdentity, method: &str) -> ErrorContent {
        let mut content = ErrorContent::new(self.ename(), self.to_string());
        let location = self.location().map(|location| format!("  at {location}"));
        let hint = self.hint().map(|hint| format!("  help: {hint}"));
        content.traceback.extend(location.into_iter().chain(hint));
        content.engine_info = identity.info(method);
        content
    }

    /// The stable error name.
    fn ename(&self) -> &str {
        match self {
            Self::Panicked(_) => "Panic",
            Self::Errored { .. } => "Error",
            Self::Raised(raised) => &raised.ename,
            Self::Died { .. } => "RuntimeDied",
            Self::Interrupted { .. } | Self::InterruptedBefore => "Interrupted",
            Self::RefusedHostCall(_)
            | Self::Misused { .. }
            | Self::NotRunnable { .. }
            | Self::OtherAbi { .. }
            | Self::UnknownSignal(_)
            | Self::UnknownRequest(_) => "UsageError",
            Self::OtherRelease(_) => "EnvironmentError",
            Self::NothingReturned
            | Self::NoRuntime { .. }
            | Self::BrokenArtifact(_)
            | Self::OtherState(_) => "EngineError",
            Self::Unreadable(_) | Self::NoArtifact => "InternalError",
            Self::MissingArtifacts(_) => UNMET,
            Self::VariablesLost(_) => "VariablesLost",
        }
    }

    /// The location of the panic or the `?`, if known.
    fn location(&self) -> Option<&str> {
        match self {
            Self::Panicked(Panic { location, .. })
            | Self::Errored { location, .. }
            | Self::Misused { location, .. } => location.as_deref(),
            _ => None,
        }
    }

    /// The remedy.
    fn hint(&self) -> Option<Cow<'_, str>> {
        let remedy = match self {
            Self::Misused { hint, .. } => return hint.as_deref().map(Cow::Borrowed),
            Self::RefusedHostCall(refused) => refused.hint(),
            Self::Died { left, .. } | Self::Interrupted { left, .. } => left.remedy()?,
            Self::NotRunnable { .. } => {
                "send the cell from a Phalanx notebook with %%px, or use Python engines for Python code"
            }
            Self::OtherRelease(_) => ReleaseMismatch::REMEDY,
            Self::OtherAbi { .. } => "restart the engines to change the toolchain",
            _ => return None,
        };
        Some(remedy.into())
    }
}

/// The variables left after the end of the process that held them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftVariables {
    /// A snapshot has replaced the process: all variables from before the cell.
    All,
    Nothing,
}

impl LeftVariables {
    fn describe(self, work: WorkKind) -> String {
        match self {
            Self::All => format!("every variable from before the {work} is kept"),
            Self::Nothing => "every variable it held is lost".to_owned(),
        }
    }

    fn remedy(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Nothing => {
                Some("a new runtime is started: run the cells that define the variables again")
            }
        }
    }
}

/// Describes why a request is not one for a Rust engine of this release.
fn unsuitable(work: WorkKind, reason: &NotRunnable) -> String {
    match (reason, work) {
        (NotRunnable::OtherRelease(theirs), _) => format!("the {work} is of {theirs}"),
        (NotRunnable::Foreign, WorkKind::Call) => "this is a Python function".to_owned(),
        (NotRunnable::Foreign, WorkKind::Cell) => "this is source without an artifact".to_owned(),
        (NotRunnable::NoArguments, _) => "the call came without arguments".to_owned(),
        (NotRunnable::Malformed(error), _) => {
            format!("the description of the {work} cannot be read: {error}")
        }
    }
}

fn signal_name(signal: &Signal) -> String {
    match signal {
        Signal::Number(number) => number.to_string(),
        Signal::Name(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineUuid;

    #[test]
    fn failures_have_their_name_text_and_hint() {
        let identity = EngineIdentity {
            id: EngineId(3),
            uuid: EngineUuid::new("u"),
        };
        let (engine, work) = (identity.id, WorkKind::Cell);
        let panic = |message: &str| Panic {
            message: message.to_owned(),
            location: Some("cell:1:2".to_owned()),
        };
        for (failure, traceback) in [
            (
                EngineFailure::panicked(panic("boom")),
                "Panic: boom\n  at cell:1:2",
            ),
            (
                EngineFailure::panicked(panic(MAGIC_FAILED)),
                "UsageError: magics and AsyncResults do not work on an engine\n  \
                 help: use them in the notebook's own cells, without %%px",
            ),
            (
                EngineFailure::errored("no file".to_owned(), None, None),
                "Error: no file",
            ),
            (
                EngineFailure::errored(
                    "no name".to_owned(),
                    Some(&Failure::Usage {
                        message: "no name".to_owned(),
                        hint: Some("push it".to_owned()),
                    }),
                    Some("cell:1:2".to_owned()),
                ),
                "UsageError: no name\n  at cell:1:2\n  help: push it",
            ),
            (
                EngineFailure::Died {
                    engine,
                    work,
                    exit: RuntimeExit::Signal(11),
                    left: LeftVariables::Nothing,
                },
                "RuntimeDied: the cell ended the runtime of engine 3 (signal 11 (SIGSEGV)); every \
                 variable it held is lost\n  help: a new runtime is started: run the cells that define \
                 the variables again",
            ),
            (
                EngineFailure::Interrupted {
                    engine,
                    work: WorkKind::Call,
                    left: LeftVariables::All,
                },
                "Interrupted: the call was interrupted on engine 3; every variable from before the \
                 call is kept",
            ),
            (
                EngineFailure::not_runnable(engine, work, NotRunnable::Foreign),
                "UsageError: engine 3 is a Rust engine and runs compiled cells: this is source \
                 without an artifact\n  help: send the cell from a Phalanx notebook with %%px, or use \
                 Python engines for Python code",
            ),
            (
                EngineFailure::UnknownSignal(Signal::Name("SIGNONE".to_owned())),
                "UsageError: SIGNONE is not a signal that can be sent",
            ),
        ] {
            let content = failure.content(&identity, "execute");
            assert_eq!(content.traceback.join("\n"), traceback);
        }
    }

    #[test]
    fn the_scheduler_tries_another_engine_for_unmet_dependencies() {
        let raised = |ename: &str| {
            EngineFailure::Raised(CallFailure {
                ename: ename.to_owned(),
                evalue: String::new(),
            })
        };
        assert!(raised(UNMET).is_unmet());
        assert!(EngineFailure::MissingArtifacts(1).is_unmet());
        assert!(!raised("Error").is_unmet());
    }
}
