//! The hub's record of a task that has ended.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskStatus;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::TaskOutput;
use serde_json::{Map, Value};

/// The outcome of a task, from the hub's records.
#[derive(Clone, Debug, PartialEq)]
pub struct HubResult {
    /// The task.
    pub msg_id: MsgId,
    /// Its request's type: `apply_request`, `execute_request`.
    pub msg_type: String,
    /// The engine that ran it.
    pub engine: Option<EngineUuid>,
    /// The user's name for it.
    pub label: Option<String>,
    /// The time it was sent (its client's clock).
    pub submitted: Option<DateTime<Utc>>,
    /// The time it began (the engine's clock).
    pub started: Option<DateTime<Utc>>,
    /// The time it was done (the engine's clock).
    pub completed: Option<DateTime<Utc>>,
    /// The time the controller received the reply (its clock).
    pub received: Option<DateTime<Utc>>,
    /// The status it ended with.
    pub status: TaskStatus,
    /// The reply's content.
    pub content: Value,
    /// The reply's metadata.
    pub metadata: Map<String, Value>,
    /// The failure, unless it ran to its end.
    pub failure: Option<RemoteFailure>,
    /// Its publications, as far as the hub keeps them.
    pub output: TaskOutput,
    /// The result's buffers.
    pub buffers: Vec<Bytes>,
}
