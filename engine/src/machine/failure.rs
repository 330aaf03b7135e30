//! The failures that an engine reports.

use super::event::{BrokenArtifact, EngineIdentity};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::{Failure, FailureKind, Panic};
use phalanx_protocol::host::{CellRequest, KernelRequest, MAGIC_FAILED};
use phalanx_protocol::id::StateId;
use phalanx_protocol::native::CallFailure;
use phalanx_protocol::parallel::{ErrorContent, NotRunnable, RefusalReason, Signal};
use phalanx_protocol::release::{Release, ReleaseMismatch};
use std::borrow::Cow;

/// The error of a host call in a cell on an engine, and the remedy.
const NOT_ON_ENGINES: (&str, &str) = (
    "magics and AsyncResults do not work on an engine",
    "use them in the notebook's own cells, without %%px",
);

/// The error of an input request in a cell on an engine, and the remedy.
const NOBODY_TO_ASK: (&str, &str) = (
    "an engine takes no input: it has no user",
    "ask in the notebook, and pass the answer to the engines: as an argument, or by `push`",
);

/// The failure of a request that the library in a cell sends to the kernel, which an engine cannot reach.
pub(crate) fn not_on_engines(request: &KernelRequest) -> Failure {
    let (message, hint) = match request {
        KernelRequest::Cell(CellRequest::Input { .. } | CellRequest::ReadLine) => NOBODY_TO_ASK,
        _ => NOT_ON_ENGINES,
    };
    Failure::new(FailureKind::Usage, message, Some(hint.to_owned()))
}

/// The text for a cell that reads stdin, whose code only notices that it is empty.
pub(crate) fn no_stdin() -> String {
    format!("stdin is empty: {}\n", NOBODY_TO_ASK.0)
}

/// The error name for which ipyparallel's scheduler tries another engine.
const UNMET: &str = "UnmetDependency";

/// A failure, as sent in replies and `error` messages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EngineFailure {
    pub ename: Cow<'static, str>,
    pub evalue: String,
    pub hint: Option<String>,
}

impl EngineFailure {
    fn new(ename: impl Into<Cow<'static, str>>, evalue: impl Into<String>) -> Self {
        Self {
            ename: ename.into(),
            evalue: evalue.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns true if another engine may be able to run the task.
    pub fn is_unmet(&self) -> bool {
        self.ename == UNMET
    }

    /// Returns the content of an error reply and of an `error` message.
    pub fn content(&self, identity: &EngineIdentity, method: &str) -> ErrorContent {
        let mut content = ErrorContent::new(self.ename.as_ref(), self.evalue.as_str());
        let hint = self.hint.iter().map(|hint| format!("  {hint}"));
        content.traceback.extend(hint);
        content.engine_info = identity.info(method);
        content
    }
}

pub(super) fn panicked(panic: Panic) -> EngineFailure {
    // The library ends a cell with this panic if its host call is refused; engines refuse all of
    // them.
    if panic.message == MAGIC_FAILED {
        return EngineFailure::new("UsageError", NOT_ON_ENGINES.0).hint(NOT_ON_ENGINES.1);
    }
    let failure = EngineFailure::new("Panic", panic.message);
    match panic.location {
        Some(location) => failure.hint(format!("at {location}")),
        None => failure,
    }
}

/// Returns the failure of an error that left a cell through a `?` at `location`; `known` is its
/// structure if the error is the library's.
pub(super) fn errored(
    message: String,
    known: Option<&Failure>,
    location: Option<String>,
) -> EngineFailure {
    match (known, location) {
        (Some(Failure::Usage { message, hint }), _) => EngineFailure {
            hint: hint.clone(),
            ..EngineFailure::new("UsageError", message.as_str())
        },
        (_, Some(location)) => EngineFailure::new("Error", message).hint(format!("at {location}")),
        (_, None) => EngineFailure::new("Error", message),
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
    fn with_variables(self, failure: EngineFailure) -> EngineFailure {
        match self {
            Self::All => failure,
            Self::Nothing => failure
                .hint("a new runtime is started: run the cells that define the variables again"),
        }
    }

    fn describe(self, what: &str) -> String {
        match self {
            Self::All => format!("every variable from before the {what} is kept"),
            Self::Nothing => "every variable it held is lost".to_owned(),
        }
    }
}

pub(super) fn died(
    identity: &EngineIdentity,
    what: &str,
    status: &RuntimeExit,
    left: LeftVariables,
) -> EngineFailure {
    let (id, words) = (identity.id, left.describe(what));
    let text = format!("the {what} ended the runtime of engine {id} ({status}); {words}");
    left.with_variables(EngineFailure::new("RuntimeDied", text))
}

pub(super) fn interrupted(
    identity: &EngineIdentity,
    what: &str,
    left: LeftVariables,
) -> EngineFailure {
    let (id, words) = (identity.id, left.describe(what));
    let text = format!("the {what} was interrupted on engine {id}; {words}");
    left.with_variables(EngineFailure::new("Interrupted", text))
}

/// Returns the failure of a request that this engine cannot run; `noun` is `cell` or `call`.
pub(super) fn not_runnable(
    identity: &EngineIdentity,
    noun: &str,
    why: &NotRunnable,
) -> EngineFailure {
    let id = identity.id;
    let why = match why {
        NotRunnable::OtherRelease(theirs) => return other_release(identity, theirs),
        NotRunnable::Foreign if noun == "call" => "this is a Python function".to_owned(),
        NotRunnable::Foreign => "this is source without an artifact".to_owned(),
        NotRunnable::NoArguments => "the call came without arguments".to_owned(),
        NotRunnable::Malformed(error) => {
            format!("the description of the {noun} cannot be read: {error}")
        }
    };
    let text = format!("engine {id} is a Rust engine and runs compiled cells: {why}");
    EngineFailure::new("UsageError", text).hint(
        "send the cell from a Phalanx notebook with %%px, or use Python engines for Python code",
    )
}

/// Returns the failure of a request of an incompatible release.
fn other_release(identity: &EngineIdentity, theirs: &Release) -> EngineFailure {
    let mismatch = ReleaseMismatch {
        engine: identity.id,
        of_engine: Release::ours(),
        of_kernel: theirs.clone(),
    };
    EngineFailure::new("EnvironmentError", mismatch.to_string()).hint(ReleaseMismatch::REMEDY)
}

pub(super) fn wrong_abi(identity: &EngineIdentity, loaded: &str, wanted: &str) -> EngineFailure {
    EngineFailure::new(
        "UsageError",
        format!(
            "engine {} has loaded code of `{loaded}`, this cell was built by `{wanted}`",
            identity.id
        ),
    )
    .hint("restart the engines to change the toolchain")
}

pub(super) fn unknown_signal(signal: &Signal) -> EngineFailure {
    let name = match signal {
        Signal::Number(number) => number.to_string(),
        Signal::Name(name) => name.clone(),
    };
    EngineFailure::new("UsageError", format!("there is no signal {name}"))
}

/// A request of a type that engines do not serve.
pub(super) fn unknown_request(msg_type: &str) -> EngineFailure {
    EngineFailure::new("UsageError", format!("engines do not answer `{msg_type}`"))
}

/// The failure that a function raised itself.
pub(super) fn raised(raised: CallFailure) -> EngineFailure {
    EngineFailure::new(raised.ename, raised.evalue)
}

/// A failure of a function came in another form than ours.
pub(super) fn unreadable(error: &serde_json::Error) -> EngineFailure {
    EngineFailure::new("InternalError", format!("a failure is unreadable: {error}"))
}

/// A function ended without a value.
pub(super) fn nothing_returned() -> EngineFailure {
    EngineFailure::new(
        "EngineError",
        "the function gave back nothing, or more than fits in a message",
    )
}

/// The runtime of this engine does not start.
pub(super) fn no_runtime(identity: &EngineIdentity, reason: &str) -> EngineFailure {
    let text = format!("engine {} cannot start a runtime: {reason}", identity.id);
    EngineFailure::new("EngineError", text)
}

pub(super) fn broken_artifact(error: &BrokenArtifact) -> EngineFailure {
    EngineFailure::new("EngineError", error.to_string())
}

/// A request without the library of its entry function.
pub(super) fn no_artifact() -> EngineFailure {
    let text = "there is a function to run and no artifact that has it";
    EngineFailure::new("InternalError", text)
}

/// The user interrupted a cell whose artifacts were still looked for.
pub(super) fn interrupted_before() -> EngineFailure {
    EngineFailure::new("Interrupted", "the cell was interrupted before it ran")
}

/// A request that this engine, which is in `state`, refuses.
pub(super) fn refused(reason: &RefusalReason, state: &StateId) -> EngineFailure {
    match reason {
        RefusalReason::StateMismatch => EngineFailure::new(
            "EngineError",
            format!("the cell was not compiled from state {state}"),
        ),
        RefusalReason::NeedArtifacts { artifacts } => {
            EngineFailure::new(UNMET, format!("{} artifacts are not here", artifacts.len()))
        }
        RefusalReason::VariablesLost { names } => EngineFailure::new(
            "VariablesLost",
            format!("the types of {} have changed", names.join(", ")),
        ),
    }
}
