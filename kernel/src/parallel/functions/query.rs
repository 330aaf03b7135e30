//! The library's requests about the cluster, other than calls of functions.

use super::error::FunctionsError;
use super::{Functions, bind_pushed, client, none_selected, rust_engines};
use crate::context::CellContext;
use crate::context::time_limit;
use crate::magic::MAX_ENGINES;
use crate::parallel::Parallel;
use crate::parallel::cluster::ClusterError;
use crate::parallel::fanout::{EngineSource, FanoutError};
use crate::parallel::results::StoredResult;
use crate::report::with_rendered_text;
use phalanx_client::render::Labels;
use phalanx_client::{Client, Purge, SelectedTasks, TaskSelection};
use phalanx_launcher::StartRequest;
use phalanx_protocol::apply::ClientRequest;
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{HostReply, TaskRange};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use phalanx_protocol::parallel::Signal;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Default time limit for engines to register.
const ENGINES_TIMEOUT: Duration = Duration::from_secs(60);

/// Time limit for engines to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a request.
///
/// # Errors
/// Returns an error if no cluster is running or the request fails.
pub async fn serve(
    parallel: &Parallel,
    context: &CellContext,
    request: ClientRequest,
) -> Result<HostReply, Failure> {
    let reply = match request {
        ClientRequest::Start { engines } => {
            HostReply::Engines(start(parallel, context.interrupted(), engines).await?)
        }
        ClientRequest::Stop => {
            parallel.cluster().stop().await?;
            HostReply::Done
        }
        ClientRequest::Engines => HostReply::Engines(rust_engines(&client(parallel).await?)),
        ClientRequest::RequireEngines => HostReply::Engines(required_engines(parallel).await?),
        ClientRequest::WaitForEngines { engines, timeout } => {
            HostReply::Engines(wait_for_engines(parallel, engines, timeout).await?)
        }
        ClientRequest::Signal { signal, .. } if Signal::Number(signal).number().is_none() => {
            return Err(FunctionsError::Signal(signal).into());
        }
        ClientRequest::Signal { signal, engines } => {
            let client = client(parallel).await?;
            let signalled = client.signal_engines(&engines, signal).await;
            signalled.map_err(ClusterError::from)?;
            HostReply::Done
        }
        ClientRequest::Clear { engines } => {
            clear(parallel, &engines).await?;
            HostReply::Done
        }
        ClientRequest::Shutdown { engines, hub } => {
            shutdown(parallel, &engines, hub).await?;
            HostReply::Done
        }
        ClientRequest::Execute { source, engines } => {
            let client = client(parallel).await?;
            let result = execute(parallel, context, &client, &source, &engines).await?;
            HostReply::AsyncResult(result.id)
        }
        ClientRequest::History => HostReply::MsgIds(task_ids(parallel, |_| true)),
        ClientRequest::Outstanding => HostReply::MsgIds(task_ids(parallel, |ended| !ended)),
        ClientRequest::Wait { tasks, timeout } => {
            let waited = selected(parallel, |id, _, _| tasks.is_empty() || tasks.contains(id));
            HostReply::Ready(waited.wait(time_limit(timeout)).await)
        }
        ClientRequest::Abort { tasks, engines } => {
            abort(parallel, &tasks, &engines).await;
            HostReply::Done
        }
        ClientRequest::GetResult { tasks } => HostReply::Tasks(get_result(parallel, tasks).await?),
        ClientRequest::Resubmit { tasks } => {
            let client = client(parallel).await?;
            let again = client.resubmit(&tasks).await;
            let again = again.map_err(FunctionsError::from)?;
            HostReply::AsyncResult(store_hub_result(parallel, &client, again))
        }
        ClientRequest::PurgeLocal { results } => {
            parallel.results().purge(&results);
            HostReply::Done
        }
        ClientRequest::QueueStatus { engines, verbose } => {
            let client = client(parallel).await?;
            let status = client.queue_status(&engines, verbose).await;
            HostReply::QueueStatus(status.map_err(FunctionsError::from)?)
        }
        ClientRequest::ResultStatus { tasks } => {
            let status = client(parallel).await?.result_status(&tasks).await;
            HostReply::ResultStatus(status.map_err(FunctionsError::from)?)
        }
        ClientRequest::HubHistory => {
            let history = client(parallel).await?.hub_history().await;
            HostReply::MsgIds(history.map_err(FunctionsError::from)?)
        }
        ClientRequest::DbQuery { query, keys } => {
            let records = client(parallel).await?.db_query(query, keys).await;
            let records = records.map_err(FunctionsError::from)?;
            let fields = records.into_iter().map(|record| record.fields);
            HostReply::Records(fields.collect())
        }
        ClientRequest::Purge { tasks, engines } => {
            purge_hub(parallel, tasks, engines).await?;
            HostReply::Done
        }
    };
    Ok(reply)
}

async fn start(
    parallel: &Parallel,
    interrupted: &CancellationToken,
    engines: Option<usize>,
) -> Result<Vec<EngineId>, Failure> {
    if let Some(count) = engines
        && !(1..=MAX_ENGINES).contains(&count)
    {
        return Err(FunctionsError::EngineCount(count).into());
    }
    parallel.fanout().compiler.warm();
    let request = StartRequest {
        engines,
        ..StartRequest::default()
    };
    parallel
        .cluster()
        .start(request, interrupted.clone())
        .await?;
    Ok(rust_engines(&client(parallel).await?))
}

async fn required_engines(parallel: &Parallel) -> Result<Vec<EngineId>, Failure> {
    let client = client(parallel).await?;
    match rust_engines(&client) {
        engines if engines.is_empty() => Err(FanoutError::no_engine(&client.engines())),
        engines => Ok(engines),
    }
}

async fn wait_for_engines(
    parallel: &Parallel,
    count: usize,
    timeout: Option<f64>,
) -> Result<Vec<EngineId>, Failure> {
    let timeout = time_limit(timeout).unwrap_or(ENGINES_TIMEOUT);
    let client = client(parallel).await?;
    let engines = client.wait_for_engines(count, timeout).await;
    let engines = engines.map_err(ClusterError::from)?;
    Ok(engines.iter().map(|engine| engine.id).collect())
}

async fn clear(parallel: &Parallel, engines: &[EngineId]) -> Result<(), Failure> {
    let client = client(parallel).await?;
    let cleared = client.clear_engines(engines).await;
    cleared.map_err(ClusterError::from)?;
    parallel.functions().forget(&client, engines);
    Ok(())
}

async fn shutdown(parallel: &Parallel, engines: &[EngineId], hub: bool) -> Result<(), Failure> {
    let client = client(parallel).await?;
    let ended = client.shutdown_engines(engines, SHUTDOWN_TIMEOUT).await;
    ended.map_err(ClusterError::from)?;
    if hub {
        client.shutdown_hub().await.map_err(FunctionsError::from)?;
        // The cluster ends with its controller; another cell may have stopped it before.
        let _ = parallel.cluster().stop().await;
    }
    Ok(())
}

/// Returns the tasks of this session, in order, selected by whether they have ended.
fn task_ids(parallel: &Parallel, is_meant: impl Fn(bool) -> bool) -> Vec<MsgId> {
    let tasks = parallel.results().tasks().into_iter();
    tasks
        .filter(|(_, ended)| is_meant(*ended))
        .map(|(id, _)| id)
        .collect()
}

/// Aborts tasks by id and engine, where empty lists mean all.
async fn abort(parallel: &Parallel, tasks: &[MsgId], engines: &[EngineId]) {
    let meant = selected(parallel, |id, engine, ended| {
        let on = engine.is_some_and(|engine| engines.contains(&engine));
        !ended && (tasks.is_empty() || tasks.contains(id)) && (engines.is_empty() || on)
    });
    // Tasks that are done cannot be aborted.
    let _ = meant.abort().await;
}

/// Returns the results of tasks of any session. Those of other sessions are requested from the hub and
/// stored.
async fn get_result(parallel: &Parallel, tasks: Vec<MsgId>) -> Result<Vec<TaskRange>, Failure> {
    if tasks.is_empty() {
        return Err(FunctionsError::NoTasks.into());
    }
    let client = client(parallel).await?;
    if let Some(ranges) = parallel.results().ranges(&tasks) {
        return Ok(ranges);
    }
    // Fails at once for unknown tasks.
    let status = client.result_status(&tasks).await;
    status.map_err(FunctionsError::from)?;
    let to = tasks.len();
    let id = store_hub_result(parallel, &client, tasks);
    Ok(vec![TaskRange { id, from: 0, to }])
}

/// Deletes results from the hub, all of them if both lists are empty.
async fn purge_hub(
    parallel: &Parallel,
    tasks: Vec<MsgId>,
    engines: Vec<EngineId>,
) -> Result<(), Failure> {
    let purge = if tasks.is_empty() && engines.is_empty() {
        Purge::All
    } else {
        Purge::Some { tasks, engines }
    };
    let purged = client(parallel).await?.purge_hub_results(purge).await;
    Ok(purged.map_err(FunctionsError::from)?)
}

impl Functions {
    /// Removes the names of engines that were cleared.
    fn forget(&self, client: &Client, engines: &[EngineId]) {
        for engine in client.engines() {
            if engines.contains(&engine.id) {
                self.names().forget(&engine.uuid);
            }
        }
    }
}

/// Runs the text of an `execute` call on engines, and stores its AsyncResult.
async fn execute(
    parallel: &Parallel,
    context: &CellContext,
    client: &Client,
    source: &str,
    engines: &[EngineId],
) -> Result<StoredResult, Failure> {
    if engines.is_empty() {
        return Err(none_selected(client));
    }
    bind_pushed(parallel, context, client, engines, source).await?;
    let fanout = parallel.fanout();
    fanout.warn_of_silent(client, engines, context).await;
    let result = fanout
        .submit_source(
            client,
            EngineSource {
                name: "execute",
                source,
                lines_before: 0,
                binds: None,
                text: Some("execute"),
            },
            engines,
            context,
        )
        .await
        .map_err(|failure| with_rendered_text(failure, "execute", source))?;
    let labels = match engines {
        [_] => Labels::None,
        _ => Labels::Engines,
    };
    Ok(parallel.results().store(result, labels))
}

/// Stores an AsyncResult of tasks that another client may have submitted; returns its id.
fn store_hub_result(parallel: &Parallel, client: &Client, tasks: Vec<MsgId>) -> AsyncResultId {
    let result = client.async_hub_result(tasks);
    parallel.results().store(result, Labels::Engines).id
}

/// Returns tasks of this session, selected by id, engine, and whether they are done.
fn selected(
    parallel: &Parallel,
    meant: impl Fn(&MsgId, Option<EngineId>, bool) -> bool,
) -> TaskSelection {
    let mut parts = Vec::new();
    for stored in parallel.results().all() {
        let tasks = stored.result.tasks_where(&meant);
        for run in tasks.chunk_by(|(task, _), (next, _)| task + 1 == *next) {
            parts.extend(run.first().map(|(first, _)| SelectedTasks {
                result: stored.result.clone(),
                tasks: *first..first + run.len(),
            }));
        }
    }
    parts.into_iter().collect()
}
