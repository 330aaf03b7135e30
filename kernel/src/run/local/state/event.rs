//! What happens to the local namespace, and what it wants done.

use crate::report::Notice;
use phalanx_evaluator::EvaluatorNotice;
use phalanx_protocol::evaluator::{Answer, CompiledCell, EvaluatorRequest, RequestId};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::Outcome;
use std::path::PathBuf;

/// One thing asked of the namespace; counts up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::run::local) struct JobId(pub u64);

/// What happens to the namespace.
#[derive(Debug)]
pub(in crate::run::local) enum Event {
    /// A cell, of this execution count, is to be evaluated.
    Evaluate {
        job: JobId,
        cell: usize,
        source: String,
    },
    /// Completions or documentation are wanted, if they can be had now.
    Analyse { job: JobId, analysis: Analysis },
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

/// What to do.
#[derive(Debug)]
pub(in crate::run::local) enum Command {
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
    /// The frontend that waits may go on; the code may hear of it later.
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
        result: Result<Answer, Failure>,
    },
}

impl Analysis {
    /// The request to an evaluator.
    pub fn request(self, id: RequestId) -> EvaluatorRequest {
        match self {
            Self::Complete { source, offset } => EvaluatorRequest::Complete { id, source, offset },
            Self::Inspect { source, offset } => EvaluatorRequest::Inspect { id, source, offset },
        }
    }

    /// The same question, with another text before it.
    pub fn behind(self, mut text: String) -> Self {
        let shift = text.len();
        match self {
            Self::Complete { source, offset } => {
                text.push_str(&source);
                Self::Complete {
                    source: text,
                    offset: shift + offset,
                }
            }
            Self::Inspect { source, offset } => {
                text.push_str(&source);
                Self::Inspect {
                    source: text,
                    offset: shift + offset,
                }
            }
        }
    }
}

/// A question about a place in a source, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Analysis {
    /// What may stand there.
    Complete {
        /// The source.
        source: String,
        /// The place.
        offset: usize,
    },
    /// What stands there.
    Inspect {
        /// The source.
        source: String,
        /// The place.
        offset: usize,
    },
}
