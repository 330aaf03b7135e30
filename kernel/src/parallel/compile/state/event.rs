//! Events and commands of the compiler for engines.

use super::super::{Compilation, CompileTask};
use crate::report::Notice;
use phalanx_protocol::evaluator::{EvaluatorEvent, EvaluatorRequest};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::ArtifactHash;
use phalanx_protocol::parallel::Lineage;
use std::path::PathBuf;
use std::sync::Arc;

/// Identifies a job; the first is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::parallel::compile) struct CompileJobId(pub u64);

/// A job of the compiler.
#[derive(Debug)]
pub(in crate::parallel::compile) enum CompileJob {
    /// Start the evaluator in advance.
    Warm,
    /// Compile a cell.
    Compile(CompileTask),
    /// Add a dependency for all later cells.
    AddDependency(String),
    /// Compile the cells of another client, without running them.
    Adopt(Box<Lineage>),
}

/// An event of the compiler.
#[derive(Debug)]
pub(in crate::parallel::compile) enum CompilerEvent {
    /// A job was requested.
    Job {
        id: CompileJobId,
        job: CompileJob,
        /// True if a cell waits for it, in which notices can be shown.
        has_cell: bool,
    },
    /// Interrupt the current job.
    Interrupt,
    /// The evaluator process could not be started.
    NotStarted(Failure),
    /// An event of the evaluator process.
    Evaluator(EvaluatorEvent),
    /// The evaluator process has exited.
    Exited { status: String, last_output: String },
    /// The libraries of the compiled cell were read, or could not be read.
    ArtifactsRead(Result<Vec<(ArtifactHash, PathBuf)>, Failure>),
}

/// A command of the compiler.
#[derive(Debug)]
pub(in crate::parallel::compile) enum CompilerCommand {
    /// Show the progress of builds in the cell of this job from now on.
    Begin(CompileJobId),
    /// Start the evaluator process; its first event is `Ready` or `StartFailed`, or `NotStarted`
    /// follows.
    StartEvaluator,
    /// Kill the evaluator process.
    KillEvaluator,
    /// Interrupt what the evaluator is doing.
    InterruptEvaluator,
    /// Send a request to the evaluator.
    Send(EvaluatorRequest),
    /// Read the libraries of a compiled cell; `ArtifactsRead` follows.
    ReadArtifacts { libstd: PathBuf, library: PathBuf },
    /// Record a cell of another client, with its execution count there.
    RecordForeignCell(usize, Arc<str>),
    /// Show the notices in the job's cell, and reply.
    Finish {
        job: CompileJobId,
        result: Result<CompileJobResult, Failure>,
        notices: Vec<Notice>,
    },
}

/// The result of a job.
#[derive(Clone, Debug)]
pub(in crate::parallel::compile) enum CompileJobResult {
    /// A cell was compiled.
    Compiled(Box<Compilation>),
    /// Any other job is done.
    Done,
}
