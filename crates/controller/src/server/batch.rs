//! Batches: split for the scheduler, and merged for engines.

use crate::stored::{SplitBatch, StoredMessage};
use bytes::Bytes;
use phalanx_protocol::date;
use phalanx_protocol::id::MsgId;
use phalanx_protocol::parallel::{BATCH, ReplyMetadata};
use phalanx_transport::{RawMessage, SigningKey, WireError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::ops::Range;

/// Splits a client's message into tasks, each with an unsigned request of its own, in newly
/// allocated memory.
///
/// # Errors
/// Returns an error if a part of the message is malformed.
pub(super) fn split(
    message: &RawMessage,
    ids: Vec<MsgId>,
) -> Result<Vec<(MsgId, StoredMessage)>, WireError> {
    // Not parsed as `Header`, so that the date is unchanged.
    let mut header: Map<String, Value> = read("header", &message.header)?;
    let mut metadata: Map<String, Value> = read("metadata", &message.metadata)?;
    metadata.remove(BATCH);
    let artifacts = message.buffers.len().saturating_sub(ids.len());
    let (artifacts, args) = message.buffers.split_at(artifacts);

    let common = RawMessage {
        identities: message.identities.clone(),
        signature: Bytes::new(),
        header: Bytes::new(),
        parent_header: message.parent_header.clone(),
        metadata: written("metadata", &metadata)?,
        content: message.content.clone(),
        buffers: artifacts.to_vec(),
    };
    header.remove("msg_id");
    let others = OtherMembers::of("header", &header)?;
    let mut memory = PartsBuffer::default();
    let mut ends = Vec::with_capacity(args.len());
    for (id, args) in ids.iter().zip(args) {
        let header = memory.object("msg_id", id.as_str(), &others);
        ends.push([header.end, memory.copy(args).end]);
    }
    let batch = SplitBatch {
        common: common.compact(),
        memory: memory.into_bytes(),
        ends,
    };
    Ok(ids.into_iter().zip(batch.tasks()).collect())
}

/// Merges tasks of one batch into a message for an engine that supports batches; `None` if there
/// are none.
pub(super) fn merge(
    tasks: &[(MsgId, StoredMessage)],
    key: &SigningKey,
) -> Option<Result<RawMessage, WireError>> {
    let ids: Vec<&MsgId> = tasks.iter().map(|(id, _)| id).collect();
    let ((_, first), others) = tasks.split_first()?;
    let mut message = first.to_raw();
    let args = others.iter().filter_map(|(_, request)| request.arguments());
    message.buffers.extend(args);
    let marked = read("metadata", &message.metadata).and_then(|mut metadata: Map<_, _>| {
        metadata.insert(BATCH.to_owned(), json!(ids));
        written("metadata", &metadata)
    });
    Some(marked.map(|metadata| {
        message.metadata = metadata;
        signed(message, key)
    }))
}

/// Signs a request that is not signed yet.
pub(super) fn signed(message: RawMessage, key: &SigningKey) -> RawMessage {
    let RawMessage {
        identities,
        header,
        parent_header,
        metadata,
        content,
        buffers,
        ..
    } = message;
    let parts = [header, parent_header, metadata, content];
    RawMessage::sign(identities, parts, buffers, key)
}

/// Splits the reply to tasks of a batch for their records; the parts are unsigned and share newly
/// allocated memory.
///
/// # Errors
/// Returns an error if a part of the message is malformed.
pub(super) fn replies(
    message: &RawMessage,
    metadata: &ReplyMetadata,
) -> Result<Vec<(MsgId, RawMessage)>, WireError> {
    let mut header: Map<String, Value> = read("header", &message.header)?;
    header.remove("date");
    let of_one = ReplyMetadata {
        started: None,
        dependencies_met: true,
        engine: metadata.engine.clone(),
        status: metadata.status.clone(),
        is_broadcast: false,
        is_coalescing: false,
        original_msg_id: String::new(),
        label: metadata.label.clone(),
        engine_info: None,
        phalanx_batch: Vec::new(),
    };
    let of_all = written("metadata", &of_one)?;
    let mut of_all: Map<String, Value> = read("metadata", &of_all)?;
    of_all.remove("started");
    let other_header = OtherMembers::of("header", &header)?;
    let other_metadata = OtherMembers::of("metadata", &of_all)?;
    let mut memory = PartsBuffer::default();
    let content = memory.copy(&message.content);
    let mut parts = Vec::with_capacity(message.buffers.len());
    for (ended, value) in metadata.phalanx_batch.iter().zip(&message.buffers) {
        let header = memory.object("date", &date::to_text(&ended.completed), &other_header);
        let metadata = memory.object("started", &date::to_text(&ended.started), &other_metadata);
        parts.push((ended, header, metadata, memory.copy(value)));
    }
    let memory = memory.into_bytes();
    let replies = parts.into_iter().map(|(ended, header, metadata, value)| {
        let reply = RawMessage {
            identities: Vec::new(),
            signature: Bytes::new(),
            header: memory.slice(header),
            parent_header: Bytes::from_static(b"{}"),
            metadata: memory.slice(metadata),
            content: memory.slice(content.clone()),
            buffers: vec![memory.slice(value)],
        };
        (ended.msg_id.clone(), reply)
    });
    Ok(replies.collect())
}

/// A buffer for the parts of many messages, stored behind each other.
#[derive(Default)]
struct PartsBuffer(Vec<u8>);

impl PartsBuffer {
    fn into_bytes(self) -> Bytes {
        Bytes::from(self.0.into_boxed_slice())
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.0.len();
        self.0.extend_from_slice(bytes);
        start..self.0.len()
    }

    /// Writes an object as JSON: a member with a text, then the others.
    fn object(&mut self, name: &str, text: &str, others: &OtherMembers) -> Range<usize> {
        let start = self.0.len();
        self.0.push(b'{');
        self.string(name);
        self.0.push(b':');
        self.string(text);
        self.0.extend_from_slice(&others.0);
        self.0.push(b'}');
        start..self.0.len()
    }

    fn string(&mut self, text: &str) {
        // Serializing a text to memory does not fail.
        let _ = serde_json::to_writer(&mut self.0, text);
    }
}

/// The members that many objects have in common, as JSON, each with a comma before it. They are
/// serialized once for all tasks of a batch.
struct OtherMembers(Vec<u8>);

impl OtherMembers {
    /// Serializes the members of an object.
    fn of(part: &'static str, members: &Map<String, Value>) -> Result<Self, WireError> {
        let object = written(part, members)?;
        let inner = &object[1..object.len() - 1];
        let comma: &[u8] = if inner.is_empty() { b"" } else { b"," };
        Ok(Self([comma, inner].concat()))
    }
}

fn read<T: DeserializeOwned>(part: &'static str, bytes: &[u8]) -> Result<T, WireError> {
    serde_json::from_slice(bytes).map_err(|error| WireError::Malformed { part, error })
}

fn written<T: Serialize>(part: &'static str, value: &T) -> Result<Bytes, WireError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| WireError::Malformed { part, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_transport::Session;
    use phalanx_transport::wire::Header;

    #[test]
    fn batches_are_split_and_rebuilt_for_the_engine() {
        let key = SigningKey::sha256("secret");
        let session = Session::new("client", key.clone());
        let ids = ["a", "b", "c"].map(MsgId::new);
        let mut sent = session.envelope("apply_request", json!({}), None);
        sent.identities = vec![Bytes::from_static(b"client")];
        sent.metadata.insert(BATCH.to_owned(), json!(ids));
        sent.metadata.insert("label".to_owned(), json!("mine"));
        sent.buffers = vec![Bytes::from_static(b"code")];
        sent.buffers.extend(["1", "2", "3"].map(Bytes::from));
        let sent = RawMessage::verify(sent.seal(&key).unwrap(), &key).unwrap();

        let tasks = split(&sent, ids.to_vec()).unwrap();
        for ((id, request), args) in tasks.iter().zip(["1", "2", "3"]) {
            let request = request.to_raw();
            let header: Header = read("header", &request.header).unwrap();
            assert_eq!(header.msg_id, id.as_str());
            assert_eq!(request.buffers, ["code", args].map(Bytes::from));
            let metadata: Value = read("metadata", &request.metadata).unwrap();
            assert_eq!(metadata, json!({"label": "mine"}));
            assert!(key.verifies(&signed(request, &key)));
        }
        let two = merge(&tasks[1..], &key).unwrap().unwrap();
        assert!(key.verifies(&two));
        assert_eq!(two.buffers, ["code", "2", "3"].map(Bytes::from));
        let metadata: Value = read("metadata", &two.metadata).unwrap();
        assert_eq!(metadata, json!({"label": "mine", BATCH: ["b", "c"]}));
        assert!(merge(&[], &key).is_none());
    }

    #[test]
    fn tasks_without_arguments_are_left_out_of_a_batch() {
        let key = SigningKey::sha256("");
        let session = Session::new("client", key.clone());
        let mut sent = session.envelope("apply_request", json!({}), None);
        sent.buffers = vec![Bytes::from_static(b"1")];
        let sent = RawMessage::verify(sent.seal(&key).unwrap(), &key).unwrap();
        let tasks = split(&sent, vec![MsgId::new("a"), MsgId::new("b")]).unwrap();
        assert_eq!(tasks.len(), 1);
    }
}
