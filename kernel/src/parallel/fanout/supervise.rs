//! Supervision of submissions: records the states to which tasks lead, and resends refused tasks.

use super::error::FanoutError;
use super::submit::{Fanout, SentTasks, engine_cell};
use crate::parallel::compile::{Compilation, CompileTask};
use crate::report::report;
use phalanx_client::{AsyncResult, Client, RefusedTask, TaskEvent, TaskEventKind};
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::id::{EngineId, StateId};
use phalanx_protocol::parallel::RefusalReason;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The largest number of refusals of a task: one for each preceding cell under way, which may
/// change the state.
const MAX_REFUSALS: usize = 32;

/// A submission to supervise.
pub(super) struct SupervisedFanout {
    pub(super) fanout: Fanout,
    pub(super) client: Client,
    pub(super) result: AsyncResult,
    pub(super) refused: mpsc::UnboundedReceiver<RefusedTask>,
    pub(super) source: Arc<str>,
    /// The execution count of the cell.
    pub(super) execution_count: usize,
    /// The pushed value that it binds to a variable.
    pub(super) binds: Option<String>,
    /// The sent tasks, by index.
    pub(super) sent: SentTasks,
}

/// The state and the lost variables for which a cell was compiled again.
type RecompileCause = (StateId, Vec<String>);

/// Supervises a submission until its last task is done.
pub(super) async fn supervise(mut watched: SupervisedFanout) {
    let mut events = watched.result.events();
    let mut again: HashMap<RecompileCause, Result<Compilation, Failure>> = HashMap::new();
    let mut refusals: HashMap<usize, usize> = HashMap::new();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => learn(&watched, event),
                None => return,
            },
            Some(task) = watched.refused.recv() => {
                let count = refusals.entry(task.task).or_default();
                *count += 1;
                if *count > MAX_REFUSALS {
                    let engine = task.engine;
                    let error = FanoutError::RefusedTooOften {
                        engine,
                        refusals: MAX_REFUSALS,
                    };
                    task.fail(remote_failure(engine, error.into()));
                } else {
                    serve(&mut watched, &mut again, task).await;
                }
            }
        }
    }
}

fn learn(watched: &SupervisedFanout, event: TaskEvent) {
    if let TaskEventKind::Done {
        state: Some(state), ..
    } = event.kind
        && let Some((engine, expected)) = watched.sent.get(event.task)
    {
        watched.fanout.states.learn(engine, expected, state);
    }
}

/// Compiles a refused cell for the engine's state, once for all engines in that state, and resends
/// it.
async fn serve(
    watched: &mut SupervisedFanout,
    again: &mut HashMap<RecompileCause, Result<Compilation, Failure>>,
    task: RefusedTask,
) {
    let lost = match &task.reason {
        RefusalReason::VariablesLost { names } => names.clone(),
        // The client replies to requests for artifacts itself.
        RefusalReason::StateMismatch | RefusalReason::NeedArtifacts { .. } => Vec::new(),
    };
    let needed = (task.state.clone(), lost);
    if !again.contains_key(&needed) {
        let compiled = compile(watched, &task, &needed).await;
        again.insert(needed.clone(), compiled);
    }
    match &again[&needed] {
        Ok(compilation) => {
            let mut cell = engine_cell(task.engine, &watched.source, compilation);
            if let Some((engine, next)) = watched.sent.get_mut(task.task) {
                *next = compilation.next.clone();
                watched.fanout.states.expect(engine, next.clone());
                cell.metadata.record.described =
                    watched.fanout.states.describe(engine, compilation);
            }
            cell.metadata.record.binds.clone_from(&watched.binds);
            task.resend(cell);
        }
        Err(failure) => {
            if let Some((engine, next)) = watched.sent.get(task.task) {
                watched.fanout.states.learn(engine, next, needed.0.clone());
            }
            let failure = remote_failure(task.engine, failure.clone());
            task.fail(failure);
        }
    }
}

/// Compiles the cell for the state of the engine that refused it; another client may have created
/// that state.
async fn compile(
    watched: &SupervisedFanout,
    task: &RefusedTask,
    (state, lost): &RecompileCause,
) -> Result<Compilation, Failure> {
    let compiler = &watched.fanout.compiler;
    if !compiler.has_state(state.clone()).await
        && let Some((uuid, _)) = watched.sent.get(task.task)
    {
        let adopted = watched
            .fanout
            .adopt_of(&watched.client, task.engine, uuid, None);
        adopted.await?;
    }
    let task = CompileTask {
        base: state.clone(),
        source: Arc::clone(&watched.source),
        lost: lost.clone(),
        execution_count: watched.execution_count,
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
