//! The hub's record of a task that has ended.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskStatus;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::TaskOutput;
use serde_json::{Map, Value};

/// The outcome of a task in the hub's records.
#[derive(Clone, Debug, PartialEq)]
pub struct HubResult {
    /// The task.
    pub msg_id: MsgId,
    /// The type of its request: `apply_request`, `execute_request`.
    pub msg_type: String,
    /// The engine that ran it.
    pub engine: Option<EngineUuid>,
    /// The user's label of the task.
    pub label: Option<String>,
    /// The time it was submitted (its client's clock).
    pub submitted: Option<DateTime<Utc>>,
    /// The time it started (the engine's clock).
    pub started: Option<DateTime<Utc>>,
    /// The time it completed (the engine's clock).
    pub completed: Option<DateTime<Utc>>,
    /// The time the controller received the reply (its clock).
    pub received: Option<DateTime<Utc>>,
    /// The status it ended with.
    pub status: TaskStatus,
    /// The reply's content.
    pub content: Value,
    /// The reply's metadata.
    pub metadata: Map<String, Value>,
    /// The failure, unless it completed.
    pub failure: Option<RemoteFailure>,
    /// Its publications, as far as recorded by the hub.
    pub output: TaskOutput,
    /// The result's buffers.
    pub buffers: Vec<Bytes>,
}
