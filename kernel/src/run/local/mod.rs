//! The local namespace: cells evaluated here, by an evaluator process and a runtime process.

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

/// The handle on the local namespace; clones share it. Its processes end with the last clone.
#[derive(Clone, Debug)]
pub struct Local {
    requests: RequestSender<LocalRequest>,
    variables: watch::Receiver<Vec<String>>,
    moved: watch::Receiver<MissingVariables>,
    toolchain: watch::Receiver<Option<Toolchain>>,
}

/// A call of the `phalanx` library, with the cell whose code made it.
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
    Hear {
        context: CellContext,
        heard: oneshot::Sender<()>,
    },
    Set(Setting),
    Scope(oneshot::Sender<VisibleNames>),
    Interrupt,
    Snapshots {
        on: bool,
    },
}

impl Local {
    /// Starts the namespace's processes behind the caller's back.
    ///
    /// `calls` takes what cells ask of the kernel; it is unbounded because each call's code waits for its answer.
    pub fn start(
        programs: Programs,
        environment: Environment,
        calls: mpsc::UnboundedSender<CellCall>,
    ) -> (Self, JoinHandle<()>) {
        let (requests, received) = RequestSender::new();
        let (names, variables) = watch::channel(Vec::new());
        let (gone, moved) = watch::channel(MissingVariables::default());
        let (ready, toolchain) = watch::channel(None);
        // Ends when the last handle is gone.
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
            moved,
            toolchain,
        };
        (local, task)
    }

    /// Evaluates Rust or a `:` command; outputs go to the cell's sink.
    ///
    /// # Errors
    /// However the cell failed.
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
            // The cell outlived its evaluator.
            _ => Evaluated::default(),
        })
    }

    /// Lets the code hear what frontends have done, on behalf of this request; its outputs, and a
    /// failure, are published under that. Returns once it has heard, at once while a cell is on.
    pub async fn run_callbacks(&self, context: CellContext) {
        // Not answered, the runtime is gone and hears nothing.
        let _ = self
            .requests
            .ask(|heard| LocalRequest::Hear { context, heard })
            .await;
    }

    /// The sources that were evaluated, in order, and the one that is being evaluated.
    pub async fn sources(&self) -> Vec<String> {
        let VisibleNames {
            mut sources,
            running,
            ..
        } = self.scope().await;
        sources.extend(running);
        sources
    }

    /// Returns what a cell that is being written may use.
    pub async fn scope(&self) -> VisibleNames {
        self.requests
            .ask(LocalRequest::Scope)
            .await
            .unwrap_or_default()
    }

    /// The toolchain that compiles cells, once the evaluator has started.
    pub fn toolchain(&self) -> Option<Toolchain> {
        self.toolchain.borrow().clone()
    }

    /// The names of the variables, as of the last cell.
    pub fn variables(&self) -> Vec<String> {
        self.variables.borrow().clone()
    }

    /// The cells that have moved the variables that are gone, as of the last cell.
    pub fn moved(&self) -> MissingVariables {
        self.moved.borrow().clone()
    }

    /// Has the runtime take over a setting; new runtimes learn it from the environment.
    pub fn set(&self, setting: Setting) {
        self.requests.send(LocalRequest::Set(setting));
    }

    /// Turns snapshots of the process that runs the cells on or off.
    pub fn set_snapshots(&self, on: bool) {
        self.requests.send(LocalRequest::Snapshots { on });
    }

    /// Stops the running cell; without one, nothing happens.
    pub fn interrupt(&self) {
        self.requests.send(LocalRequest::Interrupt);
    }
}
