//! A message without its route and its headers: the parts that codecs read and write.

use super::content::Content;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `header.msg_type`.
    pub msg_type: Cow<'static, str>,
    /// Open by protocol.
    pub metadata: Map<String, Value>,
    /// The content, of the type determined by `msg_type`.
    pub content: Value,
    /// Raw frames.
    pub buffers: Vec<Bytes>,
}

/// A received message.
#[derive(Clone, Copy, Debug)]
pub struct MessageRef<'a> {
    /// `header.msg_type`.
    pub msg_type: &'a str,
    /// Open by protocol.
    pub metadata: &'a Map<String, Value>,
    /// The content, of the type determined by `msg_type`.
    pub content: &'a Value,
    /// Raw frames.
    pub buffers: &'a [Bytes],
}

/// The reason why a message is malformed.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The content does not match the type.
    #[error("malformed content: {0}")]
    Content(#[source] serde_json::Error),
    /// A part of the metadata does not match its key.
    #[error("malformed metadata `{key}`: {error}")]
    Metadata {
        /// The key.
        key: &'static str,
        /// The fault.
        #[source]
        error: serde_json::Error,
    },
    /// The reference to the data is missing.
    #[error("it has no reference to data")]
    NoReference,
}

impl Message {
    /// Creates a message of a type, without metadata and buffers.
    pub fn new(msg_type: impl Into<Cow<'static, str>>, content: Value) -> Self {
        Self {
            msg_type: msg_type.into(),
            metadata: Map::new(),
            content,
            buffers: Vec::new(),
        }
    }

    /// Creates a message from typed content.
    pub fn of<T: Content>(content: &T) -> Self {
        Self::new(T::MSG_TYPE, value(content))
    }

    /// Adds every field of `metadata` to the metadata.
    pub fn add<T: Serialize>(&mut self, metadata: &T) {
        if let Value::Object(fields) = value(metadata) {
            self.metadata.extend(fields);
        }
    }

    /// Adds metadata under a key.
    pub fn set<T: Serialize>(&mut self, key: &str, metadata: &T) {
        self.metadata.insert(key.to_owned(), value(metadata));
    }

    /// Borrows the message in its receiver's form.
    pub fn as_ref(&self) -> MessageRef<'_> {
        MessageRef {
            msg_type: &self.msg_type,
            metadata: &self.metadata,
            content: &self.content,
            buffers: &self.buffers,
        }
    }
}

impl MessageRef<'_> {
    /// Deserializes the content.
    ///
    /// # Errors
    /// `MessageError::Content` if it is not of type `T`.
    pub(super) fn content<T: DeserializeOwned>(&self) -> Result<T, MessageError> {
        T::deserialize(self.content).map_err(MessageError::Content)
    }

    /// Deserializes a field of the content; `None` if it is missing or of another type.
    pub(super) fn field<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.content.get(name)?).ok()
    }

    /// Deserializes metadata under a key; `None` if it is missing or of another type.
    pub(super) fn known<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        T::deserialize(self.metadata.get(key)?).ok()
    }
}

/// Serializes our own content to JSON. Serialization fails only for maps with keys that are not
/// strings, of which there are none.
pub(super) fn value<T: Serialize>(content: &T) -> Value {
    serde_json::to_value(content).unwrap_or(Value::Null)
}
