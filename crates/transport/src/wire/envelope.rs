//! Messages with their parts parsed.

use super::{RawMessage, SigningKey, WireError};
use crate::socket::Frames;
use bytes::Bytes;
use phalanx_protocol::date;
use phalanx_protocol::jupyter::{self, JupyterMessage, JupyterMessageContent};
use phalanx_protocol::parallel::{Content, MessageRef};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The header of a message, as in jupyter-protocol; comparable.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// Unique among all messages.
    pub msg_id: String,
    /// The sender's user name.
    #[serde(default)]
    pub username: String,
    /// The sender's session; an engine's is its uuid.
    pub session: String,
    /// The time at which the message was created.
    #[serde(default = "chrono::Utc::now", with = "date::required")]
    pub date: chrono::DateTime<chrono::Utc>,
    /// The message type: `execute_request`, …
    pub msg_type: String,
    /// The protocol version; without it jupyter_client assumes an old one.
    #[serde(default)]
    pub version: String,
    /// The subshell of the request (JEP 91).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subshell_id: Option<String>,
}

impl From<jupyter::Header> for Header {
    fn from(header: jupyter::Header) -> Self {
        Self {
            msg_id: header.msg_id,
            username: header.username,
            session: header.session,
            date: header.date,
            msg_type: header.msg_type,
            version: header.version,
            subshell_id: None,
        }
    }
}

impl From<Header> for jupyter::Header {
    fn from(header: Header) -> Self {
        Self {
            msg_id: header.msg_id,
            username: header.username,
            session: header.session,
            date: header.date,
            msg_type: header.msg_type,
            version: header.version,
        }
    }
}

/// A message with its parts parsed as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// The routing identities.
    pub identities: Vec<Bytes>,
    /// The header.
    pub header: Header,
    /// The header of the message that caused it.
    pub parent_header: Option<Header>,
    /// The metadata, which the protocol leaves open.
    pub metadata: Map<String, Value>,
    /// The content, according to `header.msg_type`.
    pub content: Value,
    /// The binary buffers; not covered by the signature.
    pub buffers: Vec<Bytes>,
}

impl Envelope {
    /// Verifies and parses a message.
    ///
    /// # Errors
    /// Returns an error if the frames are not a message, the signature is wrong, or a part is not
    /// JSON.
    pub fn open(frames: Frames, key: &SigningKey) -> Result<Self, WireError> {
        Self::parse(RawMessage::verify(frames, key)?)
    }

    /// Parses a message whose signature was verified.
    ///
    /// # Errors
    /// Returns an error if a part is not JSON or the header lacks a field.
    pub fn parse(raw: RawMessage) -> Result<Self, WireError> {
        let parent: Value = json("parent_header", &raw.parent_header)?;
        let parent_header = match &parent {
            Value::Null => None,
            Value::Object(fields) if fields.is_empty() => None,
            _ => Some(json("parent_header", &raw.parent_header)?),
        };
        Ok(Self {
            header: json("header", &raw.header)?,
            parent_header,
            metadata: json("metadata", &raw.metadata)?,
            content: json("content", &raw.content)?,
            identities: raw.identities,
            buffers: raw.buffers,
        })
    }

    /// Encodes and signs the message.
    ///
    /// # Errors
    /// Returns an error if a part cannot be serialized, which does not occur for JSON values.
    pub fn seal(self, key: &SigningKey) -> Result<Frames, WireError> {
        let header = encode("header", &self.header)?;
        let parent_header = match &self.parent_header {
            Some(parent) => encode("parent_header", parent)?,
            None => Bytes::from_static(b"{}"),
        };
        let metadata = encode("metadata", &self.metadata)?;
        let content = encode("content", &self.content)?;
        let parts = [header, parent_header, metadata, content];
        Ok(RawMessage::sign(self.identities, parts, self.buffers, key).into_frames())
    }

    /// Returns the content as the given type.
    ///
    /// # Errors
    /// Returns an error if the content does not have that type.
    pub fn content<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        T::deserialize(&self.content).map_err(|error| WireError::Malformed {
            part: "content",
            error,
        })
    }

    /// Returns the parts that codecs decode.
    pub fn message(&self) -> MessageRef<'_> {
        MessageRef {
            msg_type: &self.header.msg_type,
            metadata: &self.metadata,
            content: &self.content,
            buffers: &self.buffers,
        }
    }

    /// Returns the content if the message has the type of `T`.
    ///
    /// # Errors
    /// Returns an error if it has that type but is malformed.
    pub fn content_of<T: Content>(&self) -> Result<Option<T>, WireError> {
        if self.header.msg_type == T::MSG_TYPE {
            self.content().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Converts to jupyter-protocol's message; unknown content becomes `UnknownMessage`.
    ///
    /// # Errors
    /// Returns an error if content of a known type is malformed.
    pub fn into_jupyter(self) -> Result<JupyterMessage, WireError> {
        let content =
            JupyterMessageContent::from_type_and_content(&self.header.msg_type, self.content)
                .map_err(|error| WireError::Malformed {
                    part: "content",
                    error,
                })?;
        Ok(JupyterMessage {
            zmq_identities: self.identities,
            header: self.header.into(),
            parent_header: self.parent_header.map(Into::into),
            metadata: Value::Object(self.metadata),
            content,
            buffers: self.buffers,
            channel: None,
        })
    }

    /// Converts from jupyter-protocol's message.
    ///
    /// # Errors
    /// Returns an error if the content cannot be serialized.
    pub fn from_jupyter(message: JupyterMessage) -> Result<Self, WireError> {
        let content = match message.content {
            JupyterMessageContent::UnknownMessage(unknown) => unknown.content,
            known => serde_json::to_value(known).map_err(|error| WireError::Malformed {
                part: "content",
                error,
            })?,
        };
        let metadata = match message.metadata {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Ok(Self {
            identities: message.zmq_identities,
            header: message.header.into(),
            parent_header: message.parent_header.map(Into::into),
            metadata,
            content,
            buffers: message.buffers,
        })
    }
}

fn json<T: DeserializeOwned>(part: &'static str, bytes: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(bytes).map_err(|error| WireError::Malformed { part, error })
}

fn encode<T: serde::Serialize>(part: &'static str, value: &T) -> Result<Bytes, WireError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| WireError::Malformed { part, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{DELIMITER, Session};
    use serde_json::json;

    #[test]
    fn dates_have_the_precision_that_python_reads() {
        let session = Session::new("user", SigningKey::sha256("key"));
        let mut message = session.envelope("status", json!({}), None);
        message.header.date = chrono::DateTime::from_timestamp(1, 123_456_789).unwrap();
        message.parent_header = Some(message.header.clone());
        let sealed = RawMessage::verify(message.seal(session.key()).unwrap(), session.key());
        let sealed = sealed.unwrap();
        for header in [sealed.header, sealed.parent_header] {
            let header: Value = serde_json::from_slice(&header).unwrap();
            assert_eq!(header["date"], "1970-01-01T00:00:01.123456Z");
        }
    }

    /// Returns frames recorded between ipyparallel 9.2 and its engine.
    fn recorded() -> (SigningKey, Frames) {
        let frames = [
            &b"9ff71e4a-bb7af82f8a3b2f02b53739d4"[..],
            DELIMITER,
            b"8f7f10a4482ce330bcc35bc0f0d12e9fa69223bdafca49f5943d25ef0e536c47",
            br#"{"msg_id": "9ff71e4a-bb7af82f8a3b2f02b53739d4_28324_8", "msg_type": "execute_reply", "username": "username", "session": "9ff71e4a-bb7af82f8a3b2f02b53739d4", "date": "2026-11-20T20:40:39.239285Z", "version": "5.4"}"#,
            br#"{"msg_id": "aaa8eb32db694d2d80b0e08eb4dc13b2_6", "username": "raw", "session": "aaa8eb32db694d2d80b0e08eb4dc13b2", "msg_type": "execute_request", "version": "5.3", "date": "2026-11-20T20:40:39.231171Z"}"#,
            br#"{"started": "2026-11-20T20:40:39.232509Z", "dependencies_met": true, "engine": "9ff71e4a-bb7af82f8a3b2f02b53739d4", "is_broadcast": false, "is_coalescing": false, "original_msg_id": "", "label": null, "status": "ok"}"#,
            br#"{"status": "ok", "execution_count": 1, "user_expressions": {}, "payload": []}"#,
        ];
        (
            SigningKey::sha256("c1fe7ca2-68640906d21e05f8a6c46ab3"),
            frames.map(Bytes::from_static).to_vec(),
        )
    }

    #[test]
    fn a_recorded_reply_of_a_stock_engine_verifies_and_parses() {
        let (key, frames) = recorded();
        let reply = Envelope::open(frames, &key).unwrap();
        assert_eq!(reply.header.msg_type, "execute_reply");
        assert_eq!(reply.metadata["status"], "ok");
        let parent = reply.parent_header.as_ref().unwrap();
        assert_eq!(parent.msg_id, "aaa8eb32db694d2d80b0e08eb4dc13b2_6");
        assert!(matches!(
            reply.into_jupyter().unwrap().content,
            JupyterMessageContent::ExecuteReply(_)
        ));
    }

    #[test]
    fn a_changed_byte_fails_verification() {
        let (key, mut frames) = recorded();
        frames[6] = Bytes::from_static(
            br#"{"status": "ok", "execution_count": 2, "user_expressions": {}, "payload": []}"#,
        );
        assert!(matches!(
            Envelope::open(frames, &key),
            Err(WireError::WrongSignature)
        ));
    }

    #[test]
    fn jupyter_messages_round_trip() {
        let session = Session::new("user", SigningKey::sha256("secret"));
        let request = session.envelope(
            "execute_request",
            json!({
                "code": "1", "silent": false, "store_history": true, "user_expressions": {},
                "allow_stdin": true, "stop_on_error": true,
            }),
            None,
        );
        for content in [
            json!({"code": "1", "execution_count": 3}),
            json!({"own": [1]}),
        ] {
            let msg_type = if content["own"].is_null() {
                "execute_input"
            } else {
                "ours"
            };
            let mut sent = session.envelope(msg_type, content, Some(&request));
            sent.buffers = vec![Bytes::from_static(b"\0\xff")];
            let frames = sent.clone().seal(session.key()).unwrap();
            let jupyter = Envelope::open(frames, session.key())
                .unwrap()
                .into_jupyter()
                .unwrap();
            assert_eq!(Envelope::from_jupyter(jupyter).unwrap(), sent);
        }
    }

    #[test]
    fn malformed_parts_are_reported() {
        let key = SigningKey::sha256("");
        let parts = ["{}", "{}", "{}", "{}"].map(|part| Bytes::from_static(part.as_bytes()));
        let headless = RawMessage::sign(vec![], parts, vec![], &key).into_frames();
        let error = Envelope::open(headless, &key).unwrap_err();
        assert!(matches!(error, WireError::Malformed { part: "header", .. }));
    }
}
