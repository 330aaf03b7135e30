//! Cells compiled for engines, once for all that are in the same state.

mod actor;
mod adopt;
mod lineage;

use super::artifacts::Artifacts;
use crate::actor::{RequestSender, ending};
use crate::context::{CellContext, MissingVariables, Programs};
use phalanx_protocol::evaluator::{CompiledCell, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{ArtifactHash, DependenciesId, StateId};
use phalanx_protocol::parallel::{Dependencies, Lineage};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The handle on the evaluator for engines; clones share it. Its process ends with the last clone.
#[derive(Clone, Debug)]
pub struct Compiler {
    requests: RequestSender<CompilerRequest>,
}

/// A cell compiled from one state.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// The state it was compiled from.
    pub base: StateId,
    /// The state it leads to.
    pub next: StateId,
    /// The code to run; `None` if the cell only adds items.
    pub cell: Option<CompiledCell>,
    /// Its requirements on the machine.
    pub toolchain: Toolchain,
    /// The artifacts it needs, in load order, itself last.
    pub artifacts: Vec<(ArtifactHash, PathBuf)>,
    /// The execution count of the cell.
    pub count: usize,
    /// Variables of `base` without which it was compiled, since the engine has lost them.
    pub lost: Vec<String>,
    /// The types of the variables that the cell declares without writing them.
    pub types: Vec<(String, String)>,
    /// True if `next` is `base` but for the values of its variables.
    pub unchanged: bool,
    /// The dependencies it was compiled with.
    pub dependencies: Arc<(DependenciesId, Dependencies)>,
}

/// A cell to compile.
#[derive(Clone, Debug)]
pub struct CompileTask {
    /// From which state.
    pub base: StateId,
    /// The source.
    pub source: Arc<str>,
    /// Variables the engine has lost because their types have changed.
    pub lost: Vec<String>,
    /// The execution count of the cell.
    pub cell: usize,
}

#[derive(Debug)]
enum CompilerRequest {
    /// Start the evaluator, since it will be wanted.
    Warm,
    Compile {
        task: CompileTask,
        context: Option<CellContext>,
        reply: oneshot::Sender<Result<Compilation, Failure>>,
    },
    AddDependency {
        spec: String,
        context: CellContext,
        reply: oneshot::Sender<Result<(), Failure>>,
    },
    Adopt {
        lineage: Box<Lineage>,
        context: Option<CellContext>,
        reply: oneshot::Sender<Result<(), Failure>>,
    },
    Knows {
        state: StateId,
        reply: oneshot::Sender<bool>,
    },
    Variables {
        state: StateId,
        reply: oneshot::Sender<Vec<String>>,
    },
    Moved {
        state: StateId,
        reply: oneshot::Sender<MissingVariables>,
    },
    Sources {
        state: StateId,
        reply: oneshot::Sender<Vec<Arc<str>>>,
    },
    Interrupt,
}

impl Compiler {
    /// A compiler whose process is started when it is first wanted.
    pub(crate) fn start(programs: Programs, artifacts: Artifacts) -> (Self, JoinHandle<()>) {
        let (requests, received) = RequestSender::new();
        // Ends when the last handle is gone.
        let task = tokio::spawn(actor::run(programs, artifacts, received));
        (Self { requests }, task)
    }

    /// Starts the process behind the caller's back.
    pub fn warm(&self) {
        self.requests.send(CompilerRequest::Warm);
    }

    /// Compiles a cell. Cargo's progress is shown in `context`'s cell, if there is one.
    ///
    /// # Errors
    /// When it does not compile, or nothing is known of the cells that led to the state.
    pub async fn compile(
        &self,
        task: CompileTask,
        context: Option<CellContext>,
    ) -> Result<Compilation, Failure> {
        self.requests
            .attempt(|reply| CompilerRequest::Compile {
                task,
                context,
                reply,
            })
            .await
    }

    /// Adds a dependency for all states from now on.
    ///
    /// # Errors
    /// When it cannot be resolved or built.
    pub async fn add_dependency(&self, spec: String, context: CellContext) -> Result<(), Failure> {
        self.requests
            .attempt(|reply| CompilerRequest::AddDependency {
                spec,
                context,
                reply,
            })
            .await
    }

    /// Compiles the cells that led to a state which another client has made, running none of them.
    ///
    /// # Errors
    /// When they were compiled by another rustc or with another copy of the notebooks' library, or do not
    /// compile here.
    pub async fn adopt(
        &self,
        lineage: Lineage,
        context: Option<CellContext>,
    ) -> Result<(), Failure> {
        self.requests
            .attempt(|reply| CompilerRequest::Adopt {
                lineage: Box::new(lineage),
                context,
                reply,
            })
            .await
    }

    /// Returns true if cells can be compiled from a state.
    pub async fn knows(&self, state: StateId) -> bool {
        self.requests
            .ask(|reply| CompilerRequest::Knows { state, reply })
            .await
            .unwrap_or_default()
    }

    /// The names of the variables in a state, as far as they are known.
    pub async fn variables(&self, state: StateId) -> Vec<String> {
        self.requests
            .ask(|reply| CompilerRequest::Variables { state, reply })
            .await
            .unwrap_or_default()
    }

    /// The cells that have moved the variables that are gone in a state.
    pub async fn moved(&self, state: StateId) -> MissingVariables {
        self.requests
            .ask(|reply| CompilerRequest::Moved { state, reply })
            .await
            .unwrap_or_default()
    }

    /// The cells that led to a state, the first one first, as far as they are known.
    pub async fn sources(&self, state: StateId) -> Vec<Arc<str>> {
        self.requests
            .ask(|reply| CompilerRequest::Sources { state, reply })
            .await
            .unwrap_or_default()
    }

    /// Stops what is being compiled, if anything is.
    pub fn interrupt(&self) {
        self.requests.send(CompilerRequest::Interrupt);
    }
}
