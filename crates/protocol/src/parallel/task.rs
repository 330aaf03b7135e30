//! The metadata of tasks, in requests and replies.

use super::BatchedReply;
use super::error::EngineInfo;
use super::message::MessageRef;
pub use crate::apply::Dependency;
use crate::id::{EngineId, EngineUuid, MsgId};
use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// The metadata of a request that the task scheduler and the hub's records use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchedulingMetadata {
    /// Tasks that must have ended before it starts.
    #[serde(default, deserialize_with = "dependency")]
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    #[serde(default, deserialize_with = "dependency")]
    pub follow: Dependency,
    /// The time it may wait for its dependencies, in seconds; 0 for no limit.
    #[serde(default, deserialize_with = "or_default")]
    pub timeout: f64,
    /// The engines it may run on; empty for any.
    #[serde(default, deserialize_with = "or_default")]
    pub targets: Vec<EngineUuid>,
    /// The number of retries after a failure.
    #[serde(default, deserialize_with = "or_default")]
    pub retries: u32,
    /// The user's label of the task.
    #[serde(default)]
    pub label: Option<String>,
    /// Present if the task is for Rust engines, for which its value describes the work.
    #[serde(default, skip_serializing)]
    pub phalanx: Option<IgnoredAny>,
    /// True to run it even if its client disconnects before it has started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phalanx_detached: bool,
    /// The ids of the message's tasks, if it is a batch ([`BATCH`](super::BATCH)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phalanx_batch: Vec<MsgId>,
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Accepts ipyparallel's forms: an empty value, a list of ids, or an object.
fn dependency<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Dependency, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wire {
        Nothing(()),
        List(Vec<MsgId>),
        Full(Dependency),
    }
    Ok(match Wire::deserialize(deserializer)? {
        Wire::Nothing(()) => Dependency::default(),
        Wire::List(dependencies) => Dependency {
            dependencies,
            ..Dependency::default()
        },
        Wire::Full(dependency) => dependency,
    })
}

/// The metadata of a reply; ipyparallel's clients and schedulers require `status` and `engine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyMetadata {
    /// The time at which the task started.
    #[serde(default, with = "crate::date::optional")]
    pub started: Option<DateTime<Utc>>,
    /// With `false`, the scheduler tries another engine.
    #[serde(default = "met")]
    pub dependencies_met: bool,
    /// The engine that ran it.
    #[serde(default)]
    pub engine: Option<EngineUuid>,
    /// `ok`, `error` or `aborted`.
    #[serde(default)]
    pub status: String,
    /// Echoed from the request: it was sent through the broadcast scheduler.
    #[serde(default)]
    pub is_broadcast: bool,
    /// Echoed from the request: the replies are combined into one.
    #[serde(default)]
    pub is_coalescing: bool,
    /// Echoed from the request: the client's msg_id for a broadcast.
    #[serde(default)]
    pub original_msg_id: String,
    /// Echoed from the request.
    #[serde(default)]
    pub label: Option<String>,
    /// On errors: the engine and the method that raised it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_info: Option<EngineInfo>,
    /// The ends of several tasks of a batch ([`BATCH`](super::BATCH)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phalanx_batch: Vec<BatchedReply>,
}

fn met() -> bool {
    true
}

/// The metadata of a request that its reply repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoedMetadata {
    /// It was sent through the broadcast scheduler.
    pub is_broadcast: bool,
    /// The replies are combined into one.
    pub is_coalescing: bool,
    /// The client's msg_id for a broadcast.
    pub original_msg_id: String,
    /// The user's label of the task.
    pub label: Option<String>,
}

impl EchoedMetadata {
    /// Reads the fields that are present.
    pub fn decode(message: MessageRef<'_>) -> Self {
        Self {
            is_broadcast: message.known("is_broadcast").unwrap_or_default(),
            is_coalescing: message.known("is_coalescing").unwrap_or_default(),
            original_msg_id: message.known("original_msg_id").unwrap_or_default(),
            label: message.known("label"),
        }
    }
}

/// A target of a broadcast: `[uuid, id]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastTarget(pub EngineUuid, pub EngineId);

/// The metadata that the broadcast scheduler replaces in the copy of a request for one engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastCopyMetadata {
    /// Always true.
    pub is_broadcast: bool,
    /// The client's msg_id for the broadcast.
    pub original_msg_id: MsgId,
    /// The engine that receives the copy.
    pub targets: [BroadcastTarget; 1],
}

/// The metadata that the broadcast scheduler replaces in a reply that it combines from those of all
/// engines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoalescedMetadata {
    /// Always true.
    pub is_broadcast: bool,
    /// Always true.
    pub is_coalescing: bool,
    /// The client's msg_id for the broadcast.
    pub original_msg_id: MsgId,
    /// All engines, in the order of their buffers.
    pub broadcast_targets: Vec<BroadcastTarget>,
    /// `error` if an engine has failed, else absent: the status is that of the last reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// The metadata of a direct request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectMetadata {
    /// The user's label of the task.
    pub label: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn dependencies_come_as_lists_objects_or_nothing() {
        let metadata = |after| {
            from_value::<SchedulingMetadata>(json!({"after": after}))
                .unwrap()
                .after
        };
        assert_eq!(metadata(json!(null)), Dependency::default());
        assert_eq!(metadata(json!(["a"])).dependencies, [MsgId::new("a")]);
        let full = metadata(json!({"dependencies": ["a"], "all": false, "failure": true}));
        assert_eq!((full.all, full.success, full.failure), (false, true, true));
    }

    #[test]
    fn recorded_metadata_is_read() {
        let task: SchedulingMetadata =
            from_value(json!({"after": [], "follow": [], "timeout": 0.0,
            "targets": ["86b03f2d97574a4b94f676b48bb2fa1c"], "retries": 0, "label": null}))
            .unwrap();
        assert_eq!(task.targets.len(), 1);
        assert_eq!(
            from_value::<SchedulingMetadata>(json!({"label": "x"}))
                .unwrap()
                .retries,
            0
        );
        let reply: ReplyMetadata = from_value(json!({"started": "2026-11-20T20:40:42.316885+00:00",
            "dependencies_met": true, "engine": "86b03f2d97574a4b94f676b48bb2fa1c", "status": "ok"}))
        .unwrap();
        assert_eq!(reply.status, "ok");
    }
}
