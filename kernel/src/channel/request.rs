//! What a frontend asks.

use super::Channel;
use phalanx_protocol::jupyter::{
    CompleteRequest, ExecuteRequest, HistoryRequest, InspectRequest, IsCompleteRequest,
    JupyterMessageContent, ShutdownRequest,
};
use phalanx_transport::{Envelope, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// Who asked, by which message: what a reply and every output needs to find its way.
#[derive(Clone, Debug)]
pub struct Requester {
    pub(super) channel: Channel,
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
    /// Who asks.
    pub from: Requester,
    /// What.
    pub asked: Asked,
}

/// What may be asked on shell and control.
#[derive(Clone, Debug)]
pub enum Asked {
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
    CommInfo,
    /// `connect_request`.
    Connect,
    /// `interrupt_request`.
    Interrupt,
    /// `shutdown_request`.
    Shutdown {
        /// Whether another kernel will be started.
        restart: bool,
    },
    /// `create_subshell_request`.
    CreateSubshell,
    /// `delete_subshell_request`.
    DeleteSubshell {
        /// Which.
        id: SubshellId,
    },
    /// `list_subshell_request`.
    ListSubshells,
    /// `usage_request`, of the extension jupyter-resource-usage.
    Usage,
    /// A comm the kernel does not have: the frontend is told that it is closed.
    CommOpen {
        /// Which.
        comm_id: phalanx_protocol::jupyter::CommId,
    },
    /// A message that wants no reply.
    Notice,
    /// Something we do not know.
    Unknown {
        /// What it calls itself.
        msg_type: String,
    },
    /// Something we know, but malformed.
    Malformed {
        /// What it calls itself.
        msg_type: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Request {
    pub(super) fn new(channel: Channel, mut envelope: Envelope) -> Self {
        let content = envelope.content.take();
        let asked = asked(&envelope.header.msg_type, content);
        let subshell = envelope.header.subshell_id.clone().map(SubshellId);
        let from = Requester {
            channel,
            request: Arc::new(envelope),
            subshell,
        };
        Self { from, asked }
    }
}

fn asked(msg_type: &str, mut content: Value) -> Asked {
    match msg_type {
        "connect_request" => return Asked::Connect,
        "create_subshell_request" => return Asked::CreateSubshell,
        "list_subshell_request" => return Asked::ListSubshells,
        "usage_request" => return Asked::Usage,
        "delete_subshell_request" => {
            return match SubshellId::deserialize(&content["subshell_id"]) {
                Ok(id) => Asked::DeleteSubshell { id },
                Err(error) => Asked::Malformed {
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
            return Asked::Malformed {
                msg_type: msg_type.to_owned(),
                reason: error.to_string(),
            };
        }
    };
    match content {
        JupyterMessageContent::KernelInfoRequest(_) => Asked::KernelInfo,
        JupyterMessageContent::ExecuteRequest(request) => Asked::Execute(request),
        JupyterMessageContent::CompleteRequest(request) => Asked::Complete(request),
        JupyterMessageContent::InspectRequest(request) => Asked::Inspect(request),
        JupyterMessageContent::IsCompleteRequest(request) => Asked::IsComplete(request),
        JupyterMessageContent::HistoryRequest(request) => Asked::History(request),
        JupyterMessageContent::CommInfoRequest(_) => Asked::CommInfo,
        JupyterMessageContent::InterruptRequest(_) => Asked::Interrupt,
        JupyterMessageContent::ShutdownRequest(ShutdownRequest { restart }) => {
            Asked::Shutdown { restart }
        }
        JupyterMessageContent::CommOpen(open) => Asked::CommOpen {
            comm_id: open.comm_id,
        },
        JupyterMessageContent::CommMsg(_) | JupyterMessageContent::CommClose(_) => Asked::Notice,
        _ => Asked::Unknown {
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

    /// What the request calls itself.
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
            channel: Channel::Shell,
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
