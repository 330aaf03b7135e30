//! Sessions: the identity and the key with which messages are made.

use super::{Envelope, Header, SigningKey};
use phalanx_protocol::date;
use phalanx_protocol::id::{MsgId, SessionId};
use phalanx_protocol::parallel::{Content, Message};
use serde_json::{Map, Value};

/// The version of Jupyter's messaging protocol in outgoing headers.
pub const VERSION: &str = "5.5";

/// The identity in outgoing headers, and the key that signs the messages.
#[derive(Clone, Debug)]
pub struct Session {
    id: SessionId,
    username: String,
    key: SigningKey,
}

impl Session {
    /// Creates a session with a new id.
    pub fn new(username: impl Into<String>, key: SigningKey) -> Self {
        Self::with_id(SessionId::fresh(), username, key)
    }

    /// Creates a session with this id; an engine's is its uuid.
    pub fn with_id(id: SessionId, username: impl Into<String>, key: SigningKey) -> Self {
        Self {
            id,
            username: username.into(),
            key,
        }
    }

    /// Returns the session id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Returns the key that signs messages.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Returns a header with a new `msg_id`.
    pub fn header(&self, msg_type: &str) -> Header {
        Header {
            msg_id: uuid::Uuid::new_v4().to_string(),
            username: self.username.clone(),
            session: self.id.as_str().to_owned(),
            date: date::now(),
            msg_type: msg_type.to_owned(),
            version: VERSION.to_owned(),
            subshell_id: None,
        }
    }

    /// Creates a message; one with a parent has the parent's routing identities.
    pub fn envelope(&self, msg_type: &str, content: Value, parent: Option<&Envelope>) -> Envelope {
        Envelope {
            identities: parent.map_or_else(Vec::new, |parent| parent.identities.clone()),
            header: self.header(msg_type),
            parent_header: parent.map(|parent| parent.header.clone()),
            metadata: Map::new(),
            content,
            buffers: Vec::new(),
        }
    }

    /// Creates the envelope of a message encoded by a codec.
    pub fn compose(&self, message: Message) -> Envelope {
        Envelope {
            identities: Vec::new(),
            header: self.header(&message.msg_type),
            parent_header: None,
            metadata: message.metadata,
            content: message.content,
            buffers: message.buffers,
        }
    }

    /// Creates a message with typed content.
    pub fn message<T: Content>(&self, content: &T, parent: Option<&Envelope>) -> Envelope {
        // Serialization fails only for maps with keys that are not text; no content has any.
        let content = serde_json::to_value(content).unwrap_or(Value::Null);
        self.envelope(T::MSG_TYPE, content, parent)
    }
}

impl Envelope {
    /// Returns the `msg_id` of the message.
    pub fn msg_id(&self) -> MsgId {
        MsgId::new(self.header.msg_id.clone())
    }
}
