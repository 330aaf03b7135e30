//! Compilation of cells for engines, once for all engines in the same state.
//!
//! | file | contents |
//! |---|---|
//! | `state/` | the evaluator and the job that it is doing; pure |
//! | `lineage.rs` | the states of engines and the cells that led to them; pure |
//! | `dependencies.rs` | the dependencies with which cells are compiled; pure |
//! | `leave_out.rs` | cells of other clients without the statements that do not compile here; pure |
//! | `actor.rs` | the actor around the state |
//! | `error.rs` | all that can fail, with its texts |

mod actor;
mod dependencies;
mod error;
mod leave_out;
mod lineage;
mod state;

use super::artifacts::Artifacts;
use crate::actor::RequestSender;
use crate::context::{CellContext, Programs};
use crate::report::Notice;
use phalanx_protocol::evaluator::{CompiledCell, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::id::{ArtifactHash, DependenciesId, StateId};
use phalanx_protocol::parallel::{Dependencies, Lineage};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A handle on the evaluator for engines. Clones share it; the process ends with the last one.
#[derive(Clone, Debug)]
pub struct Compiler {
    requests: RequestSender<CompilerRequest>,
}

/// A cell compiled from one state.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// The state from which it was compiled.
    pub base: StateId,
    /// The state it leads to.
    pub next: StateId,
    /// The code to run; `None` if the cell only adds items.
    pub cell: Option<CompiledCell>,
    /// The toolchain, which the engines' machines must match.
    pub toolchain: Toolchain,
    /// The artifacts, in load order; the cell's own is last.
    pub artifacts: Vec<(ArtifactHash, PathBuf)>,
    /// The execution count of the cell.
    pub execution_count: usize,
    /// Variables of `base` omitted at compilation, since the engine has lost them.
    pub lost: Vec<String>,
    /// The types of variables that the cell declares without type annotations.
    pub types: Vec<(String, String)>,
    /// True if `next` differs from `base` only in the values of variables.
    pub unchanged: bool,
    /// The dependencies with which it was compiled.
    pub dependencies: Arc<(DependenciesId, Dependencies)>,
    /// The items of earlier cells that no longer compile, since it redefines types.
    pub misfits: Vec<Notice>,
}

/// A cell to compile.
#[derive(Clone, Debug)]
pub struct CompileTask {
    /// The state from which to compile.
    pub base: StateId,
    /// The source.
    pub source: Arc<str>,
    /// Variables that the engine has lost because their types have changed.
    pub lost: Vec<String>,
    /// The execution count of the cell.
    pub execution_count: usize,
}

#[derive(Debug)]
enum CompilerRequest {
    /// Start the evaluator in advance.
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
    HasState {
        state: StateId,
        reply: oneshot::Sender<bool>,
    },
    Variables {
        state: StateId,
        reply: oneshot::Sender<Vec<String>>,
    },
    Defines {
        states: Vec<StateId>,
        name: String,
        reply: oneshot::Sender<bool>,
    },
    Sources {
        state: StateId,
        reply: oneshot::Sender<Vec<Arc<str>>>,
    },
}

impl Compiler {
    /// Creates a compiler; its process is started when it is first needed.
    pub(crate) fn start(programs: Programs, artifacts: Artifacts) -> (Self, JoinHandle<()>) {
        let (requests, received) = RequestSender::new();
        // Ends with the last handle.
        let task = tokio::spawn(actor::run(programs, artifacts, received));
        (Self { requests }, task)
    }

    /// Starts the process in the background.
    pub fn warm(&self) {
        self.requests.send(CompilerRequest::Warm);
    }

    /// Compiles a cell. Cargo's progress is shown in the cell of `context`, if given. Dropping the
    /// future interrupts the compilation.
    ///
    /// # Errors
    /// Returns an error if the cell does not compile or the cells that led to the state are not
    /// known.
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

    /// Adds a dependency for all later cells.
    ///
    /// # Errors
    /// Returns an error if the dependency cannot be resolved or built.
    pub async fn add_dependency(&self, spec: String, context: CellContext) -> Result<(), Failure> {
        self.requests
            .attempt(|reply| CompilerRequest::AddDependency {
                spec,
                context,
                reply,
            })
            .await
    }

    /// Compiles the cells that led to a state created by another client, without running them.
    /// Statements that do not compile here are left out. Dropping the future interrupts it.
    ///
    /// # Errors
    /// Returns an error if they were compiled by another rustc or with another build of the
    /// notebooks' library.
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
    pub async fn has_state(&self, state: StateId) -> bool {
        self.requests
            .ask(|reply| CompilerRequest::HasState { state, reply })
            .await
            .unwrap_or_default()
    }

    /// Returns the names of the variables in a state, as far as they are known.
    pub async fn variables(&self, state: StateId) -> Vec<String> {
        self.requests
            .ask(|reply| CompilerRequest::Variables { state, reply })
            .await
            .unwrap_or_default()
    }

    /// Returns true if a name exists in one of these states, as far as they are known.
    pub async fn any_defines(&self, states: Vec<StateId>, name: String) -> bool {
        self.requests
            .ask(|reply| CompilerRequest::Defines {
                states,
                name,
                reply,
            })
            .await
            .unwrap_or_default()
    }

    /// Returns the sources of the cells that led to a state, oldest first, as far as they are
    /// known.
    pub async fn sources(&self, state: StateId) -> Vec<Arc<str>> {
        self.requests
            .ask(|reply| CompilerRequest::Sources { state, reply })
            .await
            .unwrap_or_default()
    }
}

/// Compilations for tests.
#[cfg(test)]
pub mod tests {
    use super::*;

    /// Returns the compilation of a cell without code that leads from state `base` to `next`.
    pub fn compilation(base: &str, next: &str) -> Compilation {
        let dependencies = Dependencies::default();
        Compilation {
            base: StateId::new(base),
            next: StateId::new(next),
            cell: None,
            toolchain: Toolchain::default(),
            artifacts: Vec::new(),
            execution_count: 1,
            lost: Vec::new(),
            types: Vec::new(),
            unchanged: false,
            dependencies: Arc::new((dependencies.id(), dependencies)),
            misfits: Vec::new(),
        }
    }
}
