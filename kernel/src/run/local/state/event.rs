//! Events and commands of the local namespace.

use crate::report::Notice;
use phalanx_evaluator::EvaluatorNotice;
use phalanx_protocol::evaluator::{CompiledCell, EvaluatorReply, EvaluatorRequest};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::path::PathBuf;

/// One thing asked of the namespace; counts up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::run::local) struct JobId(pub u64);

/// An event of the namespace.
#[derive(Debug)]
pub(in crate::run::local) enum LocalEvent {
    /// A cell, of this execution count, is to be evaluated.
    Evaluate {
        job: JobId,
        cell: usize,
        source: String,
    },
    /// The code is to hear what frontends have done.
    Hear { hearing: JobId },
    /// The user wants the running cell to stop.
    Interrupt,
    /// The evaluator process could not be started.
    EvaluatorNotStarted(Failure),
    /// The evaluator process says something.
    Notice(EvaluatorNotice),
    /// The runtime process is up.
    RuntimeStarted,
    /// The runtime process could not be started.
    RuntimeNotStarted(Failure),
    /// A run is over.
    Ended { run: RunId, outcome: Outcome },
    /// The runtime process is gone.
    Exited { status: String },
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
    /// Let the code hear what frontends have done.
    Hear {
        hearing: JobId,
        run: RunId,
    },
    /// The frontend that waits may go on; the code may handle it later.
    Heard {
        hearing: JobId,
    },
    /// The code has heard, or will not.
    HearingOver {
        hearing: JobId,
        failure: Option<Failure>,
    },
    /// A line of cargo's that belongs to a job.
    Progress {
        job: JobId,
        line: String,
    },
    /// Something happened on the way; the job goes on.
    Tell {
        job: JobId,
        notice: Notice,
    },
    Answer {
        job: JobId,
        result: Result<EvaluatorReply, Failure>,
    },
}

/// The cells and variables that a cell being written may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisibleNames {
    /// The cells that were evaluated, in order.
    pub sources: Vec<String>,
    /// The cell that is being evaluated.
    pub running: Option<String>,
    /// The variables of those before it: name and type.
    pub variables: Vec<(String, String)>,
}
