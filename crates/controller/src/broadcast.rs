//! Broadcasts: one request for many engines; a single flat leaf of ipyparallel's broadcast
//! scheduler. Pure.

use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{BroadcastCopyMetadata, BroadcastTarget, CoalescedMetadata};
use phalanx_transport::warn_rarely;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Replies to be combined into one.
#[derive(Debug)]
struct Collection {
    targets: Vec<BroadcastTarget>,
    /// The buffers of the replies received.
    replies: HashMap<EngineUuid, Vec<Bytes>>,
    /// The content of the first reply that is an error, which the last reply would otherwise hide;
    /// of any engine's form.
    error: Option<Value>,
}

/// The broadcasts whose replies are being collected.
#[derive(Debug, Default)]
pub struct Broadcast {
    collections: HashMap<MsgId, Collection>,
}

/// The combined reply of a coalescing broadcast.
#[derive(Debug, PartialEq)]
pub struct Coalesced {
    /// The metadata that replaces that of the last reply.
    pub metadata: CoalescedMetadata,
    /// The engines' buffers, in the order of the targets.
    pub buffers: Vec<Bytes>,
    /// The content that replaces that of the last reply, if an engine has failed.
    pub error: Option<Value>,
}

/// Parses the targets in a broadcast's metadata; omits those of another form than `[uuid, id]`, and
/// repeated ones.
pub fn targets(metadata: &Map<String, Value>) -> Vec<BroadcastTarget> {
    let listed = metadata.get("targets").and_then(Value::as_array);
    let mut targets: Vec<BroadcastTarget> = Vec::new();
    for pair in listed.into_iter().flatten() {
        match BroadcastTarget::deserialize(pair) {
            Ok(target) if targets.iter().any(|known| known.0 == target.0) => {}
            Ok(target) => targets.push(target),
            Err(error) => warn_rarely!(%error, "a target of a broadcast is left out"),
        }
    }
    targets
}

/// Returns true if the replies to a broadcast are to be combined into one.
pub fn is_coalescing(metadata: &Map<String, Value>) -> bool {
    metadata.get("is_coalescing") == Some(&Value::Bool(true))
}

/// Returns the metadata of the copy of a broadcast for one engine.
pub fn copy_metadata(original: &MsgId, target: BroadcastTarget) -> BroadcastCopyMetadata {
    BroadcastCopyMetadata {
        is_broadcast: true,
        original_msg_id: original.clone(),
        targets: [target],
    }
}

/// Replaces fields of a message's metadata, and keeps the others.
pub fn replace(metadata: &mut Map<String, Value>, fields: &impl Serialize) {
    if let Ok(Value::Object(fields)) = serde_json::to_value(fields) {
        metadata.extend(fields);
    }
}

/// The msg_id with which an engine receives a broadcast, and with which the client expects its
/// reply.
pub fn engine_msg_id(original: &MsgId, engine: &EngineUuid) -> MsgId {
    MsgId::new(format!("{original}_{engine}"))
}

impl Broadcast {
    /// Starts collecting the replies of these engines.
    pub fn collect(&mut self, original: MsgId, targets: Vec<BroadcastTarget>) {
        let collection = Collection {
            targets,
            replies: HashMap::new(),
            error: None,
        };
        self.collections.insert(original, collection);
    }

    /// Returns true if the replies to that request are combined into one.
    pub fn collects(&self, original: &MsgId) -> bool {
        self.collections.contains_key(original)
    }

    /// Records a reply of an engine, or one made on its behalf; returns the combined reply once all
    /// have replied.
    pub fn replied(
        &mut self,
        original: &MsgId,
        engine: EngineUuid,
        content: &Value,
        buffers: Vec<Bytes>,
    ) -> Option<Coalesced> {
        let collection = self.collections.get_mut(original)?;
        if content["status"] != "ok" && collection.error.is_none() {
            collection.error = Some(content.clone());
        }
        collection.replies.insert(engine, buffers);
        if collection.replies.len() < collection.targets.len() {
            return None;
        }
        let mut collection = self.collections.remove(original)?;
        let mut all = Vec::new();
        for BroadcastTarget(engine, _) in &collection.targets {
            all.extend(collection.replies.remove(engine).unwrap_or_default());
        }
        let error = collection.error;
        Some(Coalesced {
            metadata: CoalescedMetadata {
                is_broadcast: true,
                is_coalescing: true,
                original_msg_id: original.clone(),
                broadcast_targets: collection.targets,
                status: error.as_ref().map(|_| "error".to_owned()),
            },
            buffers: match error {
                Some(_) => Vec::new(),
                None => all,
            },
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A name without an id is not among them, and none is twice.
    fn two() -> Vec<BroadcastTarget> {
        let metadata = json!({"targets": [["a", 0], "c", ["b", 1], ["a", 0]]});
        targets(metadata.as_object().unwrap())
    }

    #[test]
    fn replies_become_one_in_the_order_of_the_targets() {
        let (mut broadcast, id) = (Broadcast::default(), MsgId::new("1"));
        broadcast.collect(id.clone(), two());
        let (a, b) = (EngineUuid::new("a"), EngineUuid::new("b"));
        let ok = json!({"status": "ok"});
        let first = broadcast.replied(&id, b, &ok, vec![Bytes::from_static(b"b")]);
        assert_eq!(first, None);
        let both = broadcast.replied(&id, a, &ok, vec![Bytes::from_static(b"a")]);
        let both = both.unwrap();
        assert_eq!(
            both.buffers,
            [Bytes::from_static(b"a"), Bytes::from_static(b"b")]
        );
        assert_eq!(
            json!(both.metadata),
            json!({"is_broadcast": true, "is_coalescing": true, "original_msg_id": "1",
                "broadcast_targets": [["a", 0], ["b", 1]]})
        );
        assert_eq!(both.error, None);
        assert!(broadcast.collections.is_empty());
    }

    #[test]
    fn an_error_is_not_replaced_by_a_later_reply() {
        let (mut broadcast, id) = (Broadcast::default(), MsgId::new("1"));
        broadcast.collect(id.clone(), two());
        let failed = json!({"status": "error", "ename": "E"});
        broadcast.replied(&id, EngineUuid::new("a"), &failed, vec![]);
        let ok = json!({"status": "ok"});
        let both = broadcast.replied(&id, EngineUuid::new("b"), &ok, vec![Bytes::new()]);
        let both = both.unwrap();
        assert_eq!(both.metadata.status.as_deref(), Some("error"));
        assert_eq!((both.error, both.buffers.len()), (Some(failed), 0));
    }
}
