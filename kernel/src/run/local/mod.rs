//! The local namespace: cells evaluated by an evaluator process and a runtime process.

mod actor;
mod state;

pub use state::VisibleNames;

use super::Environment;
use crate::actor::RequestSender;
use crate::context::{CellContext, MissingVariables, Programs};
use phalanx_protocol::evaluator::{Evaluated, EvaluatorReply, Toolchain};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::runtime::Setting;
use phalanx_runtime::HostCall;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// A handle on the local namespace. Clones share it; the processes end with the last one.
#[derive(Clone, Debug)]
pub struct Local {
    requests: RequestSender<LocalRequest>,
    variables: watch::Receiver<Vec<String>>,
    missing_variables: watch::Receiver<MissingVariables>,
    toolchain: watch::Receiver<Option<Toolchain>>,
}

/// A call of the `phalanx` library, with the cell that made it.
#[derive(Debug)]
pub struct CellCall {
    /// The cell.
    pub context: CellContext,
    /// The call.
    pub call: HostCall,
}

#[derive(Debug)]
enum LocalRequest {
    Evaluate {
        context: CellContext,
        source: String,
        reply: oneshot::Sender<Result<EvaluatorReply, Failure>>,
    },
    RunCallbacks {
        context: CellContext,
        called: oneshot::Sender<()>,
    },
    Set(Setting),
    Scope(oneshot::Sender<VisibleNames>),
    Interrupt,
    Snapshots {
        on: bool,
    },
}

impl Local {
    /// Starts the namespace's processes in the background.
    ///
    /// `calls` receives the cells' calls; unbounded because the code of each call waits for its
    /// reply.
    pub fn start(
        programs: Programs,
        environment: Environment,
        calls: mpsc::UnboundedSender<CellCall>,
    ) -> (Self, JoinHandle<()>) {
        let (requests, received) = RequestSender::new();
        let (names, variables) = watch::channel(Vec::new());
        let (gone, missing_variables) = watch::channel(MissingVariables::default());
        let (ready, toolchain) = watch::channel(None);
        // Ends with the last handle.
        let task = tokio::spawn(actor::run(
            programs,
            environment,
            received,
            calls,
            (names, gone, ready),
        ));
        let local = Self {
            requests,
            variables,
            missing_variables,
            toolchain,
        };
        (local, task)
    }

    /// Evaluates Rust or a `:` command; publishes its outputs to the cell's sink.
    ///
    /// # Errors
    /// Returns the failure of the cell.
    pub async fn evaluate(
        &self,
        context: &CellContext,
        source: String,
    ) -> Result<Evaluated, Failure> {
        let context = context.clone();
        let evaluate = |reply| LocalRequest::Evaluate {
            context,
            source,
            reply,
        };
        Ok(match self.requests.attempt(evaluate).await? {
            EvaluatorReply::Evaluated(evaluated) => evaluated,
            // The cell continued after its evaluator had died.
            _ => Evaluated::default(),
        })
    }

    /// Runs the code's callbacks for frontends' actions, on behalf of a request, which is the
    /// parent of outputs and of a failure. Returns once they have run, or at once while a cell is
    /// running.
    pub async fn run_callbacks(&self, context: CellContext) {
        // Without a reply, the runtime has ended and has no callbacks.
        let _ = self
            .requests
            .ask(|called| LocalRequest::RunCallbacks { context, called })
            .await;
    }

    /// Returns the sources evaluated so far, in order, including the running cell's.
    pub async fn sources(&self) -> Vec<String> {
        let VisibleNames {
            mut sources,
            running,
            ..
        } = self.scope().await;
        sources.extend(running);
        sources
    }

    /// Returns the names visible to an edited cell.
    pub async fn scope(&self) -> VisibleNames {
        self.requests
            .ask(LocalRequest::Scope)
            .await
            .unwrap_or_default()
    }

    /// Returns the toolchain that compiles cells, once the evaluator has started.
    pub fn toolchain(&self) -> Option<Toolchain> {
        self.toolchain.borrow().clone()
    }

    /// Returns a receiver of the toolchain that compiles cells, whenever it changes.
    pub fn toolchain_changes(&self) -> watch::Receiver<Option<Toolchain>> {
        self.toolchain.clone()
    }

    /// Returns the names of the variables after the last cell.
    pub fn variables(&self) -> Vec<String> {
        self.variables.borrow().clone()
    }

    /// Returns the missing variables after the last cell, with their causes.
    pub fn missing_variables(&self) -> MissingVariables {
        self.missing_variables.borrow().clone()
    }

    /// Applies a setting to the runtime; new runtimes read it from the environment.
    pub fn set(&self, setting: Setting) {
        self.requests.send(LocalRequest::Set(setting));
    }

    /// Turns snapshots of the process that runs cells on or off.
    pub fn set_snapshots(&self, on: bool) {
        self.requests.send(LocalRequest::Snapshots { on });
    }

    /// Interrupts the running cell, if any.
    pub fn interrupt(&self) {
        self.requests.send(LocalRequest::Interrupt);
    }
}
