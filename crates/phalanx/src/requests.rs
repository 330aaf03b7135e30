//! Requests to the kernel about the session's cluster.

use crate::error::{Error, LibraryError};
use crate::host;
use phalanx_protocol::apply::{ClientRequest, QueueStatus, ResultStatus, Tasks};
use phalanx_protocol::host::{CellRequest, HostReply};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use serde_json::{Map, Value};
use std::time::Duration;

/// Returns the ids of the live engines, in order.
///
/// # Errors
/// `UsageError` if no cluster is running.
pub(crate) fn live_engines() -> Result<Vec<EngineId>, Error> {
    engines(ClientRequest::Engines)
}

/// Returns the reason why a view has no engine: there are none, none of them runs Rust, or the view
/// selects none of those that there are.
#[cold]
#[inline(never)]
pub(crate) fn no_engine() -> Error {
    match engines(ClientRequest::RequireEngines) {
        Ok(ids) => LibraryError::NoneSelected { ids: &ids }.into(),
        Err(error) => error,
    }
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
    let request = ClientRequest::QueueStatus {
        engines: engines.to_vec(),
        verbose: false,
    };
    queue(request, |tasks| Some(tasks.count()))
}

/// Returns the ids of the completed and pending tasks of all engines.
pub(crate) fn queue_status_verbose() -> Result<QueueStatus<Vec<MsgId>>, Error> {
    let request = ClientRequest::QueueStatus {
        engines: Vec::new(),
        verbose: true,
    };
    queue(request, Tasks::into_ids)
}

fn queue<T>(
    request: ClientRequest,
    entry: impl Fn(Tasks) -> Option<T>,
) -> Result<QueueStatus<T>, Error> {
    let reply = ask(request)?;
    let status = match &reply {
        HostReply::QueueStatus(status) => status.clone().convert(entry),
        _ => None,
    };
    status.ok_or_else(|| host::unexpected(&reply))
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

pub(crate) fn msg_ids(request: ClientRequest) -> Result<Vec<MsgId>, Error> {
    match ask(request)? {
        HostReply::MsgIds(ids) => Ok(ids),
        other => Err(host::unexpected(&other)),
    }
}

pub(crate) fn result_status(tasks: Vec<MsgId>) -> Result<ResultStatus, Error> {
    match ask(ClientRequest::ResultStatus { tasks })? {
        HostReply::ResultStatus(status) => Ok(status),
        other => Err(host::unexpected(&other)),
    }
}

/// Returns the hub's records that match a query, with these keys (`None` for all but the buffers).
pub(crate) fn records(
    query: Map<String, Value>,
    keys: Option<Vec<String>>,
) -> Result<Vec<Map<String, Value>>, Error> {
    match ask(ClientRequest::DbQuery { query, keys })? {
        HostReply::Records(records) => Ok(records),
        other => Err(host::unexpected(&other)),
    }
}
