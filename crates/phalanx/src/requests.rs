//! Requests to the kernel about the session's cluster.

use crate::error::{Error, LibraryError};
use crate::host;
use phalanx_protocol::apply::ClientRequest;
use phalanx_protocol::host::{CellRequest, HostReply};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The completed and pending tasks of all engines: their number, from
/// [`Client::queue_status`](crate::Client::queue_status), or their ids, from
/// [`Client::queue_status_verbose`](crate::Client::queue_status_verbose).
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let status = rc.queue_status()?;
/// assert_eq!(status.engines.len(), rc.len());
/// println!("{} tasks wait for an engine", status.unassigned);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus<Tasks = usize> {
    /// The tasks by engine.
    pub engines: BTreeMap<EngineId, EngineQueue<Tasks>>,
    /// Load-balanced tasks that are not yet assigned to an engine.
    pub unassigned: Tasks,
}

/// The completed and pending tasks of one engine: their number, or their ids.
///
/// ```no_run
/// use phalanx::prelude::*;
/// for (engine, tasks) in Client::connect()?.queue_status()?.engines {
///     println!("engine {engine}: {} to do, {} done", tasks.queue + tasks.tasks, tasks.completed);
/// }
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineQueue<Tasks = usize> {
    /// Pending direct tasks.
    pub queue: Tasks,
    /// Completed tasks.
    pub completed: Tasks,
    /// Pending load-balanced tasks.
    pub tasks: Tasks,
}

/// The pending and completed ones of several tasks, from
/// [`Client::result_status`](crate::Client::result_status).
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let ar = rc.all().apply_async(|| 1u8)?;
/// let status = rc.result_status(&ar.msg_ids())?;
/// assert_eq!(status.pending.len() + status.completed.len(), ar.tasks());
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultStatus {
    /// The tasks that have not ended.
    pub pending: Vec<MsgId>,
    /// The tasks that have ended.
    pub completed: Vec<MsgId>,
}

/// Returns the ids of the live engines, in order.
///
/// # Errors
/// `UsageError` if no cluster is running.
pub(crate) fn live_engines() -> Result<Vec<EngineId>, Error> {
    engines(ClientRequest::Engines)
}

/// Waits until these tasks (all of this session if empty) have ended, at most for `timeout`;
/// returns true if they have.
pub(crate) fn wait(tasks: &[MsgId], timeout: Option<Duration>) -> Result<bool, Error> {
    let request = ClientRequest::Wait {
        tasks: tasks.to_vec(),
        timeout: timeout.map(|timeout| timeout.as_secs_f64()),
    };
    match ask(request)? {
        HostReply::Ready(ready) => Ok(ready),
        other => Err(host::unexpected(&other)),
    }
}

/// Returns the number of completed and pending tasks of these engines (all if empty).
pub(crate) fn queue_status(engines: &[EngineId]) -> Result<QueueStatus, Error> {
    json(ClientRequest::QueueStatus {
        engines: engines.to_vec(),
        verbose: false,
    })
}

pub(crate) fn ask(request: ClientRequest) -> Result<HostReply, Error> {
    host::call(&CellRequest::Client(Box::new(request)).into())
}

pub(crate) fn done(request: ClientRequest) -> Result<(), Error> {
    match ask(request)? {
        HostReply::Done => Ok(()),
        other => Err(host::unexpected(&other)),
    }
}

pub(crate) fn async_result(request: ClientRequest) -> Result<AsyncResultId, Error> {
    match ask(request)? {
        HostReply::AsyncResult(id) => Ok(id),
        other => Err(host::unexpected(&other)),
    }
}

pub(crate) fn engines(request: ClientRequest) -> Result<Vec<EngineId>, Error> {
    match ask(request)? {
        HostReply::Engines(ids) => Ok(ids),
        other => Err(host::unexpected(&other)),
    }
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(request: ClientRequest) -> Result<T, Error> {
    match ask(request)? {
        HostReply::Json(value) => serde_json::from_value(value)
            .map_err(|error| LibraryError::UnreadableReply(&error).into()),
        other => Err(host::unexpected(&other)),
    }
}
