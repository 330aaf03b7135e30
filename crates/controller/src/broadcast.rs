//! Broadcasts: one request for many engines; a single flat leaf of ipyparallel's broadcast
//! scheduler. Pure.

use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Replies to be combined into one.
#[derive(Debug)]
struct Collection {
    /// The targets as named by the client: uuid and id.
    targets: Vec<(EngineUuid, Value)>,
    replies: HashMap<EngineUuid, Vec<Bytes>>,
    /// The first error, which the last reply would otherwise hide.
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
    /// The `broadcast_targets` of its metadata.
    pub targets: Value,
    /// The engines' buffers, in the order of the targets.
    pub buffers: Vec<Bytes>,
    /// The content that replaces that of the last reply, if an engine failed.
    pub error: Option<Value>,
}

/// Parses the targets in a broadcast's metadata: `targets` is a list of `[uuid, id]`.
pub fn targets(metadata: &Map<String, Value>) -> Vec<(EngineUuid, Value)> {
    let listed = metadata.get("targets").and_then(Value::as_array);
    let target = |pair: &Value| {
        let uuid = pair.get(0)?.as_str()?;
        Some((
            EngineUuid::new(uuid),
            pair.get(1).cloned().unwrap_or_default(),
        ))
    };
    listed.map_or_else(Vec::new, |listed| {
        listed.iter().filter_map(target).collect()
    })
}

/// The msg_id with which an engine receives a broadcast, and with which the client expects its
/// reply.
pub fn engine_msg_id(original: &MsgId, engine: &EngineUuid) -> MsgId {
    MsgId::new(format!("{original}_{engine}"))
}

impl Broadcast {
    /// Starts collecting the replies of these engines.
    pub fn collect(&mut self, original: MsgId, targets: Vec<(EngineUuid, Value)>) {
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
        if content.get("status") != Some(&json!("ok")) && collection.error.is_none() {
            collection.error = Some(content.clone());
        }
        collection.replies.insert(engine, buffers);
        if collection.replies.len() < collection.targets.len() {
            return None;
        }
        let mut collection = self.collections.remove(original)?;
        let mut all = Vec::new();
        for (engine, _) in &collection.targets {
            all.extend(collection.replies.remove(engine).unwrap_or_default());
        }
        let targets = collection.targets.iter();
        let targets = targets.map(|(uuid, id)| json!([uuid, id])).collect();
        Some(Coalesced {
            targets: Value::Array(targets),
            buffers: if collection.error.is_some() {
                vec![]
            } else {
                all
            },
            error: collection.error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<(EngineUuid, Value)> {
        let metadata = json!({"targets": [["a", 0], ["b", 1]]});
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
        assert_eq!(both.targets, json!([["a", 0], ["b", 1]]));
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
        assert_eq!((both.error, both.buffers.len()), (Some(failed), 0));
    }
}
