//! Comms: bidirectional channels between code and its counterpart in a frontend.
//!
//! The process that owns a runtime keeps the state of each comm (above all that of widgets), so
//! that it survives a reload of the page and a crash of the runtime. Sources: Jupyter's messaging
//! specification, "Custom messages"; ipywidgets, `packages/schema/messages.md`.

use crate::id::CommId;
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// The target of ipywidgets' models.
pub const WIDGET_TARGET: &str = "jupyter.widget";

/// A raw frame attached to a message.
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

/// A message of a comm, in either direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommMessage {
    /// The comm.
    pub comm_id: CommId,
    /// Open by protocol: defined by the two sides of the comm.
    pub data: Map<String, Value>,
    /// Open by protocol; ipywidgets adds its version here.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Raw frames.
    #[serde(default)]
    pub buffers: Vec<Buffer>,
}

/// A request of the library about the comms of the owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CommRequest {
    /// Opens comms in this order; the reply is `Done`.
    Open {
        /// The target, such as `jupyter.widget`.
        target: String,
        /// The initial message of each comm.
        comms: Vec<CommMessage>,
    },
    /// Sends a message to the frontends; the reply is `Done`.
    Send(CommMessage),
    /// Closes comms, in the frontends as well; the reply is `Done`.
    Close(Vec<CommId>),
    /// Requests the state of a widget, including changes by frontends; the reply is `CommState`.
    State(CommId),
    /// Requests the binary values of a widget's state; the reply is `CommBuffers`.
    Buffers(CommId),
    /// Requests a display of a widget, which is updated from then on when the widget changes; the
    /// reply is `CommDisplay`, or `Done` for a widget without a model.
    Display(CommId),
    /// Subscribes to the frontends' messages of a comm; the reply is `Done`.
    Observe(CommId),
    /// Allows frontends to open comms of this target; the reply is `Done`.
    Accept(String),
    /// Takes the oldest pending event; the reply is `CommEvent`.
    NextEvent,
    /// Starts or stops capturing the output of the running cell in an Output widget; the reply is
    /// `Done`.
    Capture {
        /// The Output widget.
        comm_id: CommId,
        /// True to begin, false to end.
        on: bool,
    },
}

/// An action of a frontend on a comm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CommEvent {
    /// Opened a comm of an accepted target.
    Opened {
        /// The target.
        target: String,
        /// The initial message.
        message: CommMessage,
    },
    /// Sent a message.
    Message(CommMessage),
    /// Closed a comm.
    Closed(CommId),
}
