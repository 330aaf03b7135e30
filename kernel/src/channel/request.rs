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

/// The origin of a request: what a reply and every output needs to find its way.
#[derive(Clone, Debug)]
pub struct Requester {
    pub(super) channel: RequestChannel,
    /// The request without its content.
    request: Arc<Envelope>,
    subshell: Option<SubshellId>,
}

/// Names a subshell (JEP 91).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubshellId(String);

impl SubshellId {
    /// One nobody else has.
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// One of that name, for tests.
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

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The origin.
    pub from: Requester,
    /// The content.
    pub asked: RequestContent,
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
        /// Only comms of this target.
        target: Option<String>,
    },
    /// `connect_request`.
    Connect,
    /// `interrupt_request`.
    Interrupt,
    /// `shutdown_request`.
    Shutdown {
        /// True if another kernel will be started.
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
    /// `comm_open`, `comm_msg`, `comm_close`, none of which wants a reply.
    Comm(CommEvent),
    /// Something we do not know.
    Unknown {
        /// Its type, as given.
        msg_type: String,
    },
    /// Something we know, but malformed.
    Malformed {
        /// Its type, as given.
        msg_type: String,
        /// The fault.
        reason: String,
    },
}

impl Request {
    pub(super) fn new(channel: RequestChannel, mut envelope: Envelope) -> Self {
        let content = envelope.content.take();
        let subshell = envelope.header.subshell_id.clone().map(SubshellId);
        let metadata = std::mem::take(&mut envelope.metadata);
        let buffers = std::mem::take(&mut envelope.buffers);
        let asked = asked(&envelope.header.msg_type, content, metadata, buffers);
        let from = Requester {
            channel,
            request: Arc::new(envelope),
            subshell,
        };
        Self { from, asked }
    }
}

fn asked(
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
        JupyterMessageContent::CommMsg(said) => {
            RequestContent::Comm(CommEvent::Message(message(said.comm_id, said.data)))
        }
        JupyterMessageContent::CommClose(closed) => {
            RequestContent::Comm(CommEvent::Closed(CommId::new(String::from(closed.comm_id))))
        }
        _ => RequestContent::Unknown {
            msg_type: msg_type.to_owned(),
        },
    }
}

/// Adds what frontends leave out, with the values the specification or its older versions give.
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
    /// An answer to, or output of, the request; it goes back to where the request came from.
    pub(super) fn envelope(&self, session: &Session, content: &JupyterMessageContent) -> Envelope {
        envelope(session, content, Some(&self.request))
    }

    /// The `msg_id` of the request.
    pub fn msg_id(&self) -> &str {
        &self.request.header.msg_id
    }

    /// Returns true if the frontend is a console that can be asked for input: Python's client library
    /// is behind it, which numbers its messages, and not a page, which would give each an id of its own.
    ///
    /// A script that leaves `allow_stdin` on is taken for one: on the wire it does nothing that `jupyter run`
    /// does not, whose user reads what is printed. nbclient and all that use it turn it off.
    pub fn is_console(&self, allow_stdin: bool) -> bool {
        let header = &self.request.header;
        let number = header.msg_id.strip_prefix(header.session.as_str());
        allow_stdin && number.is_some_and(|number| number.starts_with('_'))
    }

    /// The type of the request, as given.
    pub fn msg_type(&self) -> &str {
        &self.request.header.msg_type
    }

    /// The subshell it is for; none is the main shell.
    pub fn subshell(&self) -> Option<&SubshellId> {
        self.subshell.as_ref()
    }

    /// A request that came from nowhere, for tests of what does not send.
    #[cfg(test)]
    pub fn nobody(msg_id: &str) -> Self {
        Self::asking(msg_id, "test_request")
    }

    /// One of that type, likewise.
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

    /// The same, for a subshell.
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
        // Only maps with keys that are not text do not serialise; contents have none.
        known => serde_json::to_value(known).unwrap_or(Value::Null),
    };
    session.envelope(content.message_type(), value, parent)
}
