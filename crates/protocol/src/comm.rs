//! Comms: conversations between code and its counterpart in a frontend.
//!
//! The process that owns a runtime keeps what is known of each (the state of a widget above all), so
//! that it outlives a page that is reloaded and a runtime that dies. Sources: Jupyter's messaging
//! specification, "Custom messages"; ipywidgets, `packages/schema/messages.md`.

use crate::id::CommId;
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The target by which ipywidgets' models are opened.
pub const WIDGET_TARGET: &str = "jupyter.widget";

/// A raw frame that goes along with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer(pub Vec<u8>);

impl Serialize for Buffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Buffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

/// One message of a comm, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommMessage {
    /// The comm.
    pub comm_id: CommId,
    /// Open by protocol: what the two sides agree on.
    pub data: Map<String, Value>,
    /// Open by protocol, too; ipywidgets puts its version here.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Raw frames.
    #[serde(default)]
    pub buffers: Vec<Buffer>,
}

/// A request of the library about the owner's comms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CommRequest {
    /// Opens comms in this order: answered with `Done`.
    Open {
        /// Their target, such as `jupyter.widget`.
        target: String,
        /// The first message of each.
        comms: Vec<CommMessage>,
    },
    /// Sends a message to the frontends: answered with `Done`.
    Send(CommMessage),
    /// Closes comms, in the frontends too: answered with `Done`.
    Close(Vec<CommId>),
    /// Asks for the state of a widget, as frontends have last changed it: answered with `CommState`.
    State(CommId),
    /// Asks for the binary values of a widget's state: answered with `CommBuffers`.
    Buffers(CommId),
    /// From now on the code wants to hear what frontends send: answered with `Done`.
    Observe(CommId),
    /// From now on frontends may open comms of this target: answered with `Done`.
    Accept(String),
    /// Takes the oldest message nobody has heard yet: answered with `CommEvent`.
    NextEvent,
    /// Makes an Output widget take over what the running cell puts out, or no longer: answered with
    /// `Done`.
    Capture {
        /// The Output widget.
        comm_id: CommId,
        /// True to begin, false to end.
        on: bool,
    },
}

/// A frontend's action on a comm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CommEvent {
    /// It has opened one of a target that was accepted.
    Opened {
        /// The target.
        target: String,
        /// Its first message.
        message: CommMessage,
    },
    /// It has sent something.
    Message(CommMessage),
    /// It has closed one.
    Closed(CommId),
}
