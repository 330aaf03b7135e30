//! Events and commands of the local namespace.

use crate::report::Notice;
use phalanx_evaluator::EvaluatorMessage;
use phalanx_protocol::evaluator::{CompiledCell, EvaluatorReply, EvaluatorRequest};
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::path::PathBuf;

/// Identifies a request to the namespace; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::run::local) struct JobId(pub u64);

/// An event of the namespace.
#[derive(Debug)]
pub(in crate::run::local) enum LocalEvent {
    /// Evaluate a cell with this execution count.
    Evaluate {
        job: JobId,
        cell: usize,
        source: String,
    },
    /// Run the callbacks for frontends' actions.
    RunCallbacks { job: JobId },
    /// Interrupt the running cell.
    Interrupt,
    /// The evaluator process could not be started.
    EvaluatorNotStarted(Failure),
    /// A message of the evaluator process.
    Message(EvaluatorMessage),
    /// The runtime process has started.
    RuntimeStarted,
    /// The runtime process could not be started.
    RuntimeNotStarted { reason: String },
    /// A run has ended.
    Ended { run: RunId, outcome: Outcome },
    /// The runtime process has ended.
    Exited { status: RuntimeExit },
}

/// A command of the namespace.
#[derive(Debug)]
pub(in crate::run::local) enum LocalCommand {
    StartEvaluator,
    KillEvaluator,
    InterruptEvaluator,
    Send(EvaluatorRequest),
    StartRuntime,
    InterruptRuntime,
    Load(PathBuf),
    Run {
        job: JobId,
        run: RunId,
        cell: CompiledCell,
    },
    /// Run the callbacks for frontends' actions.
    RunCallbacks {
        job: JobId,
        run: RunId,
    },
    /// Release the waiting frontend; the callbacks may run later.
    CallbacksCalled {
        job: JobId,
    },
    /// The callbacks have run or will not run.
    CallbacksEnded {
        job: JobId,
        failure: Option<Failure>,
    },
    /// Show a line of cargo's output.
    Progress {
        job: JobId,
        line: String,
    },
    /// Show a notice; the evaluation continues.
    ShowNotice {
        job: JobId,
        notice: Notice,
    },
    Reply {
        job: JobId,
        result: Result<EvaluatorReply, Failure>,
    },
}

/// The cells and variables visible to an edited cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisibleNames {
    /// The cells evaluated so far, in order.
    pub sources: Vec<String>,
    /// The running cell.
    pub running: Option<String>,
    /// The names and types of the variables before it.
    pub variables: Vec<(String, String)>,
}
