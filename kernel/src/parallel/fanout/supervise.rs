//! The actor of a submission: passes the ends and refusals of its tasks to the supervision, and
//! performs its commands.

use super::submit::{Fanout, engine_cell};
use super::supervision::{
    RecompileCause, SentTasks, Supervision, SupervisionCommand, SupervisionEvent,
};
use crate::parallel::compile::{Compilation, CompileTask};
use crate::report::report;
use phalanx_client::{AsyncResult, Client, RefusedTask, TaskEvent, TaskEventKind};
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::parallel::RefusalReason;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;

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
    /// The sent tasks, by index.
    pub(super) sent: SentTasks,
}

/// Supervises a submission until its last task is done.
pub(super) async fn supervise(mut supervised: SupervisedFanout) {
    let mut events = supervised.result.events();
    let mut supervision = Supervision::new(std::mem::take(&mut supervised.sent));
    // The refused tasks that are neither resent nor ended.
    let mut refused = HashMap::new();
    loop {
        let event = tokio::select! {
            event = events.recv() => match event {
                Some(event) => done(event),
                None => return,
            },
            Some(task) = supervised.refused.recv() => {
                let event = refusal(&task);
                refused.insert(task.task, task);
                Some(event)
            }
        };
        let Some(event) = event else {
            continue;
        };
        let mut commands = VecDeque::from(supervision.handle(event));
        while let Some(command) = commands.pop_front() {
            if let Some(event) = perform(&supervised, &mut refused, command).await {
                commands.extend(supervision.handle(event));
            }
        }
    }
}

fn done(event: TaskEvent) -> Option<SupervisionEvent> {
    match event.kind {
        TaskEventKind::Done {
            state: Some(state), ..
        } => Some(SupervisionEvent::Done {
            task: event.task,
            state,
        }),
        _ => None,
    }
}

fn refusal(task: &RefusedTask) -> SupervisionEvent {
    let lost = match &task.reason {
        RefusalReason::VariablesLost { names } => names.clone(),
        // The client replies to requests for artifacts itself.
        RefusalReason::StateMismatch | RefusalReason::NeedArtifacts { .. } => Vec::new(),
    };
    SupervisionEvent::Refused {
        task: task.task,
        engine: task.engine,
        cause: RecompileCause {
            state: task.state.clone(),
            lost,
        },
    }
}

async fn perform(
    supervised: &SupervisedFanout,
    refused: &mut HashMap<usize, RefusedTask>,
    command: SupervisionCommand,
) -> Option<SupervisionEvent> {
    let states = &supervised.fanout.states;
    match command {
        SupervisionCommand::Learn {
            engine,
            expected,
            state,
        } => states.learn(&engine, &expected, state),
        SupervisionCommand::Compile {
            engine,
            uuid,
            cause,
        } => {
            let result = compile(supervised, engine, &uuid, &cause).await;
            let result = result.map(Box::new);
            return Some(SupervisionEvent::Compiled { cause, result });
        }
        SupervisionCommand::Resend {
            task,
            engine,
            compilation,
        } => {
            if let Some(task) = refused.remove(&task) {
                states.expect(&engine, compilation.next.clone());
                let lines = supervised.lines_before;
                let mut cell = engine_cell(task.engine, &supervised.source, lines, &compilation);
                cell.metadata.record.described =
                    states.dependencies_to_describe(&engine, &compilation);
                cell.metadata.record.binds.clone_from(&supervised.binds);
                task.resend(cell);
            }
        }
        SupervisionCommand::Fail { task, failure } => {
            if let Some(task) = refused.remove(&task) {
                let failure = remote_failure(task.engine, failure);
                task.fail(failure);
            }
        }
    }
    None
}

/// Compiles the cell for the state of the engine that refused it; another client may have created
/// that state.
async fn compile(
    supervised: &SupervisedFanout,
    engine: EngineId,
    uuid: &EngineUuid,
    cause: &RecompileCause,
) -> Result<Compilation, Failure> {
    let compiler = &supervised.fanout.compiler;
    if !compiler.has_state(cause.state.clone()).await {
        let adopted = supervised
            .fanout
            .adopt_of(&supervised.client, engine, uuid, None);
        adopted.await?;
    }
    let task = CompileTask {
        base: cause.state.clone(),
        source: Arc::clone(&supervised.source),
        lost: cause.lost.clone(),
        execution_count: supervised.execution_count,
    };
    compiler.compile(task, None).await
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
