//! The actor of a submission: passes the ends and refusals of its tasks to the supervision, and
//! performs its commands.

use super::states::SubmissionOrder;
use super::submit::{Fanout, engine_cell};
use super::supervision::{RecompileCause, Supervision, SupervisionCommand, SupervisionEvent};
use crate::parallel::compile::{Compilation, CompileTask};
use crate::report::report;
use phalanx_client::{AsyncResult, Client, RefusedTask, TaskEvent, TaskEventKind};
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::id::{EngineId, EngineUuid, StateId};
use phalanx_protocol::parallel::RefusalReason;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// A submission to supervise.
pub(super) struct SupervisedFanout {
    pub(super) fanout: Fanout,
    pub(super) client: Client,
    pub(super) result: AsyncResult,
    pub(super) refused: mpsc::UnboundedReceiver<RefusedTask>,
    pub(super) source: Arc<str>,
    /// The execution count of the cell.
    pub(super) execution_count: usize,
    /// The number of lines of the cell before its source.
    pub(super) lines_before: usize,
    /// The pushed value that it binds to a variable.
    pub(super) binds: Option<String>,
    /// The name of its text.
    pub(super) text: Option<String>,
    /// Its order among the submissions.
    pub(super) order: SubmissionOrder,
    /// The engines of its tasks, by index.
    pub(super) engines: Vec<EngineUuid>,
}

/// A submission and what is done for its refused tasks.
struct Supervisor {
    supervised: SupervisedFanout,
    supervision: Supervision,
    /// The refused tasks that are neither resent nor ended.
    refused: HashMap<usize, RefusedTask>,
    /// The cells before refused tasks that are waited for, and compilations.
    jobs: JoinSet<SupervisionEvent>,
    compiling: HashMap<RecompileCause, AbortHandle>,
}

/// Supervises a submission until its last task is done.
pub(super) async fn supervise(supervised: SupervisedFanout) {
    let supervisor = Supervisor {
        supervised,
        supervision: Supervision::default(),
        refused: HashMap::new(),
        jobs: JoinSet::new(),
        compiling: HashMap::new(),
    };
    supervisor.run().await;
}

impl Supervisor {
    async fn run(mut self) {
        let mut events = self.supervised.result.events();
        loop {
            tokio::select! {
                // A refusal precedes the end of its task.
                biased;
                Some(task) = self.supervised.refused.recv() => self.task_refused(task),
                event = events.recv() => match event {
                    Some(event) => self.task_event(event),
                    None => return,
                },
                Some(job) = self.jobs.join_next() => match job {
                    Ok(event) => self.handle(event),
                    Err(error) if error.is_cancelled() => {}
                    // Its tasks fail with the supervisor.
                    Err(error) => {
                        tracing::error!(%error, "preparing a refused cell");
                        return;
                    }
                },
            }
        }
    }

    fn task_event(&mut self, event: TaskEvent) {
        if let TaskEventKind::Done { state, .. } = event.kind {
            self.ended(event.task, state);
            self.refused.remove(&event.task);
            self.handle(SupervisionEvent::Done { task: event.task });
        }
    }

    fn ended(&self, task: usize, state: Option<StateId>) {
        let SupervisedFanout {
            fanout,
            order,
            engines,
            ..
        } = &self.supervised;
        if let Some(engine) = engines.get(task) {
            fanout.states.ended(engine, *order, state);
        }
    }

    /// Handles a refusal once the cells before the task have ended.
    fn task_refused(&mut self, refused: RefusedTask) {
        let (task, engine) = (refused.task, refused.engine);
        let Some(uuid) = self.supervised.engines.get(task).cloned() else {
            return;
        };
        let (states, order) = (self.supervised.fanout.states.clone(), self.supervised.order);
        states.refused(&uuid, order, refused.state.clone());
        let lost = match &refused.reason {
            RefusalReason::VariablesLost { names } => names.clone(),
            // The client replies to requests for artifacts itself.
            RefusalReason::StateMismatch | RefusalReason::NeedArtifacts { .. } => Vec::new(),
        };
        self.refused.insert(task, refused);
        self.jobs.spawn(async move {
            let state = states.base(&uuid, order).await;
            let cause = RecompileCause { state, lost };
            SupervisionEvent::Refused {
                task,
                engine,
                cause,
            }
        });
    }

    fn handle(&mut self, event: SupervisionEvent) {
        match &event {
            // It was aborted meanwhile.
            SupervisionEvent::Refused { task, .. } if !self.refused.contains_key(task) => return,
            SupervisionEvent::Compiled { cause, .. } => drop(self.compiling.remove(cause)),
            _ => {}
        }
        for command in self.supervision.handle(event) {
            self.perform(command);
        }
    }

    fn perform(&mut self, command: SupervisionCommand) {
        match command {
            SupervisionCommand::Compile { task, cause } => self.compile(task, cause),
            SupervisionCommand::Interrupt(cause) => {
                if let Some(compilation) = self.compiling.remove(&cause) {
                    compilation.abort();
                }
            }
            SupervisionCommand::Resend { task, compilation } => self.resend(task, &compilation),
            SupervisionCommand::Fail { task, failure } => {
                if let Some(task) = self.refused.remove(&task) {
                    let failure = remote_failure(task.engine, failure);
                    task.fail(failure);
                }
            }
        }
    }

    /// Compiles the cell for the state of the engine that refused a task; another client may have
    /// created that state.
    fn compile(&mut self, task: usize, cause: RecompileCause) {
        let SupervisedFanout {
            fanout,
            client,
            engines,
            ..
        } = &self.supervised;
        let (Some(refused), Some(uuid)) = (self.refused.get(&task), engines.get(task)) else {
            return;
        };
        let (fanout, client) = (fanout.clone(), client.clone());
        let (engine, uuid) = (refused.engine, uuid.clone());
        let task = CompileTask {
            base: cause.state.clone(),
            source: Arc::clone(&self.supervised.source),
            lost: cause.lost.clone(),
            execution_count: self.supervised.execution_count,
        };
        let of = cause.clone();
        let job = self.jobs.spawn(async move {
            let result = compile(&fanout, &client, engine, &uuid, task).await;
            let result = result.map(Box::new);
            SupervisionEvent::Compiled { cause: of, result }
        });
        self.compiling.insert(cause, job);
    }

    fn resend(&mut self, task: usize, compilation: &Compilation) {
        let SupervisedFanout {
            fanout,
            source,
            lines_before,
            binds,
            text,
            order,
            engines,
            ..
        } = &self.supervised;
        let (Some(task), Some(uuid)) = (self.refused.remove(&task), engines.get(task)) else {
            return;
        };
        let states = &fanout.states;
        states.sent(uuid, *order, compilation.next.clone());
        let mut cell = engine_cell(task.engine, source, *lines_before, compilation);
        cell.metadata.record.described = states.dependencies_to_describe(uuid, compilation);
        cell.metadata.record.binds.clone_from(binds);
        cell.metadata.record.text.clone_from(text);
        task.resend(cell);
    }
}

impl Drop for Supervisor {
    /// Ends tasks whose end was not reported, so that later cells do not wait for them.
    fn drop(&mut self) {
        for task in 0..self.supervised.engines.len() {
            self.ended(task, None);
        }
    }
}

/// Compiles a cell for the state of an engine.
async fn compile(
    fanout: &Fanout,
    client: &Client,
    engine: EngineId,
    uuid: &EngineUuid,
    task: CompileTask,
) -> Result<Compilation, Failure> {
    if !fanout.compiler.has_state(task.base.clone()).await {
        fanout.adopt_of(client, engine, uuid, None).await?;
    }
    fanout.compiler.compile(task, None).await
}

/// A failure of the kernel in place of an engine's.
fn remote_failure(engine: EngineId, failure: Failure) -> RemoteFailure {
    let report = report(&failure.into());
    RemoteFailure {
        ename: report.ename,
        evalue: report.evalue,
        traceback: report.traceback,
        engine: Some(engine),
        msg_id: None,
        method: "execute".to_owned(),
    }
}
