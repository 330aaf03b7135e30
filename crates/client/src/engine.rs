//! Engines as known to a client.

use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{EngineHandshake, EngineKind};
use std::sync::Arc;
use std::time::Duration;

/// An engine that has joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// The engine's id.
    pub id: EngineId,
    /// Its routing identity.
    pub uuid: EngineUuid,
    /// The kind of engine, from its own description.
    pub kind: EngineKind,
}

impl Engine {
    /// The engine's handshake; `None` unless it is a Rust engine of a compatible version.
    pub fn handshake(&self) -> Option<&Arc<EngineHandshake>> {
        self.kind.handshake()
    }
}

/// A change of the engines or of the connection.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// An engine has joined, and its messages arrive on all channels; repeated when its description
    /// changes.
    EngineJoined(Engine),
    /// An engine has left.
    EngineLeft(EngineId),
    /// Output of an engine for one of our finished tasks, from a thread that is still running.
    LateOutput(EngineId, Output),
    /// The connection to the controller was lost; reconnection is attempted for this time.
    ConnectionLost(Duration),
    /// The connection was restored.
    ConnectionBack,
    /// The controller cannot be reached any more; every task has ended.
    Disconnected {
        /// The reason.
        reason: String,
    },
}
