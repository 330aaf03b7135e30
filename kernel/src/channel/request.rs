//! Requests of a frontend.

use super::RequestChannel;
use bytes::Bytes;
use phalanx_protocol::comm::{Buffer, CommEvent, CommMessage};
use phalanx_protocol::id::CommId;
use phalanx_protocol::jupyter::{
    CompleteRequest, ExecuteRequest, HistoryRequest, InspectRequest, IsCompleteRequest,
    JupyterMessageContent, ShutdownRequest,
};
use phalanx_transport::{Envelope, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;

/// The origin of a request: the channel, identities and parent header of its reply and outputs.
#[derive(Clone, Debug)]
pub struct Requester {
    pub(super) channel: RequestChannel,
    /// The envelope of the request, without its content.
    request: Arc<Envelope>,
    subshell: Option<SubshellId>,
}

/// The id of a subshell (JEP 91).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubshellId(String);

impl SubshellId {
    /// Creates an unused id.
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// Creates an id from its text.
    #[cfg(test)]
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for SubshellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request on shell or control.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its origin.
    pub from: Requester,
    /// The content.
    pub content: RequestContent,
}

/// The content of a request on shell or control.
#[derive(Clone, Debug)]
pub enum RequestContent {
    /// `kernel_info_request`.
    KernelInfo,
    /// `execute_request`.
    Execute(ExecuteRequest),
    /// `complete_request`.
    Complete(CompleteRequest),
    /// `inspect_request`.
    Inspect(InspectRequest),
    /// `is_complete_request`.
    IsComplete(IsCompleteRequest),
    /// `history_request`.
    History(HistoryRequest),
    /// `comm_info_request`.
    CommInfo {
        /// List only comms of this target.
        target: Option<String>,
    },
    /// `connect_request`.
    Connect,
    /// `interrupt_request`.
    Interrupt,
    /// `shutdown_request`.
    Shutdown {
        /// True if a new kernel will replace it.
        restart: bool,
    },
    /// `create_subshell_request`.
    CreateSubshell,
    /// `delete_subshell_request`.
    DeleteSubshell {
        /// The subshell.
        id: SubshellId,
    },
    /// `list_subshell_request`.
    ListSubshells,
    /// `usage_request`, of the extension jupyter-resource-usage.
    Usage,
    /// `comm_open`, `comm_msg`, `comm_close`; none has a reply.
    Comm(CommEvent),
    /// A message of unknown type.
    Unknown {
        /// The message type.
        msg_type: String,
    },
    /// A message of known type whose content is malformed.
    Malformed {
        /// The message type.
        msg_type: String,
        /// The parser's error.
        reason: String,
    },
}

/// The type of the reply to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyType {
    /// `execute_reply`.
    Execute,
    /// The reply to any other `…_request`, by message type.
    Other(String),
    /// No reply, as for the messages of comms.
    Nothing,
}

impl Request {
    pub(super) fn new(channel: RequestChannel, mut envelope: Envelope) -> Self {
        let content = envelope.content.take();
        let subshell = envelope.header.subshell_id.clone().map(SubshellId);
        let metadata = std::mem::take(&mut envelope.metadata);
        let buffers = std::mem::take(&mut envelope.buffers);
        let content = parse_content(&envelope.header.msg_type, content, metadata, buffers);
        let from = Requester {
            channel,
            request: Arc::new(envelope),
            subshell,
        };
        Self { from, content }
    }
}

fn parse_content(
    msg_type: &str,
    mut content: Value,
    metadata: Map<String, Value>,
    buffers: Vec<Bytes>,
) -> RequestContent {
    match msg_type {
        "connect_request" => return RequestContent::Connect,
        "create_subshell_request" => return RequestContent::CreateSubshell,
        "list_subshell_request" => return RequestContent::ListSubshells,
        "usage_request" => return RequestContent::Usage,
        "delete_subshell_request" => {
            return match SubshellId::deserialize(&content["subshell_id"]) {
                Ok(id) => RequestContent::DeleteSubshell { id },
                Err(error) => RequestContent::Malformed {
                    msg_type: msg_type.to_owned(),
                    reason: format!("subshell_id: {error}"),
                },
            };
        }
        _ => {}
    }
    fill_in(msg_type, &mut content);
    let content = match JupyterMessageContent::from_type_and_content(msg_type, content) {
        Ok(content) => content,
        Err(error) => {
            return RequestContent::Malformed {
                msg_type: msg_type.to_owned(),
                reason: error.to_string(),
            };
        }
    };
    let message = |comm_id, data| CommMessage {
        comm_id: CommId::new(String::from(comm_id)),
        data,
        metadata,
        buffers: buffers.iter().map(|b| Buffer(b.to_vec())).collect(),
    };
    match content {
        JupyterMessageContent::KernelInfoRequest(_) => RequestContent::KernelInfo,
        JupyterMessageContent::ExecuteRequest(request) => RequestContent::Execute(request),
        JupyterMessageContent::CompleteRequest(request) => RequestContent::Complete(request),
        JupyterMessageContent::InspectRequest(request) => RequestContent::Inspect(request),
        JupyterMessageContent::IsCompleteRequest(request) => RequestContent::IsComplete(request),
        JupyterMessageContent::HistoryRequest(request) => RequestContent::History(request),
        JupyterMessageContent::CommInfoRequest(request) => RequestContent::CommInfo {
            target: request.target_name,
        },
        JupyterMessageContent::InterruptRequest(_) => RequestContent::Interrupt,
        JupyterMessageContent::ShutdownRequest(ShutdownRequest { restart }) => {
            RequestContent::Shutdown { restart }
        }
        JupyterMessageContent::CommOpen(open) => RequestContent::Comm(CommEvent::Opened {
            target: open.target_name,
            message: message(open.comm_id, open.data),
        }),
        JupyterMessageContent::CommMsg(sent) => {
            RequestContent::Comm(CommEvent::Message(message(sent.comm_id, sent.data)))
        }
        JupyterMessageContent::CommClose(closed) => {
            RequestContent::Comm(CommEvent::Closed(CommId::new(String::from(closed.comm_id))))
        }
        _ => RequestContent::Unknown {
            msg_type: msg_type.to_owned(),
        },
    }
}

/// Adds fields that frontends leave out, with the defaults of the specification or its older
/// versions.
fn fill_in(msg_type: &str, content: &mut Value) {
    let defaults = match msg_type {
        "execute_request" => json!({"silent": false, "store_history": true}),
        "history_request" => json!({
            "raw": true, "output": false, "unique": false, "n": 0, "session": 0, "start": 0,
            "stop": 0, "pattern": "*",
        }),
        "inspect_request" => json!({"detail_level": 0}),
        "shutdown_request" => json!({"restart": false}),
        "comm_open" | "comm_msg" | "comm_close" => json!({"data": {}}),
        _ => return,
    };
    if let (Value::Object(content), Value::Object(defaults)) = (content, defaults) {
        for (key, value) in defaults {
            let entry = content.entry(key).or_insert(Value::Null);
            if entry.is_null() {
                *entry = value;
            }
        }
    }
}

impl Requester {
    /// Returns the envelope of a reply to, or output of, this request.
    pub(super) fn envelope(&self, session: &Session, content: &JupyterMessageContent) -> Envelope {
        envelope(session, content, Some(&self.request))
    }

    /// Returns the `msg_id` of the request.
    pub fn msg_id(&self) -> &str {
        &self.request.header.msg_id
    }

    /// Returns true if the frontend is a console that accepts input requests. Python's client
    /// library numbers its messages, whereas a notebook page gives each a new id.
    ///
    /// A script that leaves `allow_stdin` on counts as a console: its messages do not differ from
    /// those of `jupyter run`, whose user reads the printed text. nbclient and everything built on
    /// it turn it off.
    pub fn is_console(&self, allow_stdin: bool) -> bool {
        let header = &self.request.header;
        let number = header.msg_id.strip_prefix(header.session.as_str());
        allow_stdin && number.is_some_and(|number| number.starts_with('_'))
    }

    /// Returns the type of the reply to the request.
    pub fn reply_type(&self) -> ReplyType {
        match self.request.header.msg_type.strip_suffix("_request") {
            Some("execute") => ReplyType::Execute,
            Some(kind) => ReplyType::Other(format!("{kind}_reply")),
            None => ReplyType::Nothing,
        }
    }

    /// Returns the subshell of the request; `None` is the main shell.
    pub fn subshell(&self) -> Option<&SubshellId> {
        self.subshell.as_ref()
    }

    /// Creates a requester without a peer, for tests that do not send.
    #[cfg(test)]
    pub fn nobody(msg_id: &str) -> Self {
        Self::asking(msg_id, "test_request")
    }

    /// Creates a requester without a peer, for a request of this type.
    #[cfg(test)]
    pub fn asking(msg_id: &str, msg_type: &str) -> Self {
        let key = phalanx_transport::SigningKey::sha256("");
        let mut request = Session::new("test", key).envelope(msg_type, Value::Null, None);
        request.header.msg_id = msg_id.to_owned();
        Self {
            channel: RequestChannel::Shell,
            request: Arc::new(request),
            subshell: None,
        }
    }

    /// Assigns the request to a subshell.
    #[cfg(test)]
    pub fn within(mut self, subshell: &SubshellId) -> Self {
        self.subshell = Some(subshell.clone());
        self
    }
}

pub(super) fn envelope(
    session: &Session,
    content: &JupyterMessageContent,
    parent: Option<&Envelope>,
) -> Envelope {
    let value = match content {
        JupyterMessageContent::UnknownMessage(unknown) => unknown.content.clone(),
        // Serialization fails only for maps with keys that are not text; contents have none.
        known => serde_json::to_value(known).unwrap_or(Value::Null),
    };
    session.envelope(content.message_type(), value, parent)
}
