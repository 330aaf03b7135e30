use super::{Envelope, Header, SigningKey};
use phalanx_protocol::date;
use phalanx_protocol::id::{MsgId, SessionId};
use phalanx_protocol::parallel::{Content, Message};
use serde_json::{Map, Value};

/// The version of Jupyter's messaging protocol in the headers we make.
pub const VERSION: &str = "5.5";

/// The identity in the headers of the messages we make, and the key that signs them.
#[derive(Clone, Debug)]
pub struct Session {
    id: SessionId,
    username: String,
    key: SigningKey,
}

impl Session {
    /// A session nobody else has.
    pub fn new(username: impl Into<String>, key: SigningKey) -> Self {
        Self::with_id(SessionId::fresh(), username, key)
    }

    /// A session of a given id; an engine's is its uuid.
    pub fn with_id(id: SessionId, username: impl Into<String>, key: SigningKey) -> Self {
        Self {
            id,
            username: username.into(),
            key,
        }
    }

    /// Its id.
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// The key that signs its messages.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A header with a msg_id nobody else has.
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

    /// A message. One with a parent goes where the parent came from.
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

    /// A message that a codec has written.
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

    /// A message of typed content.
    pub fn message<T: Content>(&self, content: &T, parent: Option<&Envelope>) -> Envelope {
        // Only maps with keys that are not text do not serialise, and no content has any.
        let content = serde_json::to_value(content).unwrap_or(Value::Null);
        self.envelope(T::MSG_TYPE, content, parent)
    }
}

impl Envelope {
    /// The id of this message.
    pub fn msg_id(&self) -> MsgId {
        MsgId::new(self.header.msg_id.clone())
    }
}
