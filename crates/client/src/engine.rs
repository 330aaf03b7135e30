//! Engines as a client knows them.

use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{EngineHandshake, EngineKind};
use std::sync::Arc;
use std::time::Duration;

/// An engine that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Its number.
    pub id: EngineId,
    /// Its routing identity.
    pub uuid: EngineUuid,
    /// The kind of engine, as it says.
    pub kind: EngineKind,
}

impl Engine {
    /// The engine's description of itself; `None` if it is no Rust engine that this client understands.
    pub fn handshake(&self) -> Option<&Arc<EngineHandshake>> {
        self.kind.handshake()
    }
}

/// A change a client learns of.
#[derive(Clone, Debug, PartialEq)]
pub enum ClientEvent {
    /// An engine is there and will be heard; once more when more is known of it.
    EngineJoined(Engine),
    /// An engine is gone.
    EngineLeft(EngineId),
    /// An engine has put something out for a task of ours that was over: a thread of it goes on.
    LateOutput(EngineId, Output),
    /// The connection to the controller broke, and is tried again for so long.
    ConnectionLost(Duration),
    /// It is there again.
    ConnectionBack,
    /// The controller cannot be reached any more; every task has ended.
    Disconnected {
        /// The reason.
        reason: String,
    },
}
