//! Requests to the kernel about the session's cluster.

use crate::error::{Error, LibraryError};
use crate::host;
use phalanx_protocol::apply::{ClientRequest, QueueStatus};
use phalanx_protocol::host::{CellRequest, HostReply};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use serde::de::DeserializeOwned;
use std::time::Duration;

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

pub(crate) fn json<T: DeserializeOwned>(request: ClientRequest) -> Result<T, Error> {
    match ask(request)? {
        HostReply::Json(value) => serde_json::from_value(value)
            .map_err(|error| LibraryError::UnreadableReply(&error).into()),
        other => Err(host::unexpected(&other)),
    }
}
