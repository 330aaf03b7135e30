use super::BatchedEnd;
use super::error::EngineInfo;
use super::message::MessageRef;
pub use crate::apply::Dependency;
use crate::id::{EngineUuid, MsgId};
use chrono::{DateTime, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// Metadata of a request: what the task scheduler and the user's records need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// Tasks that must be done before.
    #[serde(default, deserialize_with = "dependency")]
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    #[serde(default, deserialize_with = "dependency")]
    pub follow: Dependency,
    /// Seconds its dependencies may take; 0 for any.
    #[serde(default, deserialize_with = "or_default")]
    pub timeout: f64,
    /// The engines it may run on; none means any.
    #[serde(default, deserialize_with = "or_default")]
    pub targets: Vec<EngineUuid>,
    /// The number of times it is tried again after a failure.
    #[serde(default, deserialize_with = "or_default")]
    pub retries: u32,
    /// The user's name for it.
    #[serde(default)]
    pub label: Option<String>,
    /// Present if the task is for Rust engines, to which its value tells what to run.
    #[serde(default, skip_serializing)]
    pub phalanx: Option<IgnoredAny>,
    /// True if it is to run even if its client has gone before it began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub phalanx_detached: bool,
    /// The tasks the message stands for, where there are several ([`BATCH`](super::BATCH)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phalanx_batch: Vec<MsgId>,
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// ipyparallel sends nothing, a list of ids, or all of it.
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

/// Metadata of a reply; ipyparallel's clients and schedulers need `status` and `engine`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyMetadata {
    /// The time at which the task began.
    #[serde(default, with = "crate::date::optional")]
    pub started: Option<DateTime<Utc>>,
    /// `false` makes the scheduler try another engine.
    #[serde(default = "met")]
    pub dependencies_met: bool,
    /// The engine that ran it.
    #[serde(default)]
    pub engine: Option<EngineUuid>,
    /// `ok`, `error` or `aborted`.
    #[serde(default)]
    pub status: String,
    /// Echoed from the request: it came through the broadcast scheduler.
    #[serde(default)]
    pub is_broadcast: bool,
    /// Echoed from the request: the replies become one.
    #[serde(default)]
    pub is_coalescing: bool,
    /// Echoed from the request: the client's msg_id for a broadcast.
    #[serde(default)]
    pub original_msg_id: String,
    /// Echoed from the request.
    #[serde(default)]
    pub label: Option<String>,
    /// On errors: which engine raised it, doing what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_info: Option<EngineInfo>,
    /// The ends of several tasks of a batch ([`BATCH`](super::BATCH)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phalanx_batch: Vec<BatchedEnd>,
}

fn met() -> bool {
    true
}

/// The metadata of a request that its reply repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EchoedMetadata {
    /// It came through the broadcast scheduler.
    pub is_broadcast: bool,
    /// The replies become one.
    pub is_coalescing: bool,
    /// The client's msg_id for a broadcast.
    pub original_msg_id: String,
    /// The user's name for it.
    pub label: Option<String>,
}

impl EchoedMetadata {
    /// Reads what is there of it.
    pub fn decode(message: MessageRef<'_>) -> Self {
        Self {
            is_broadcast: message.known("is_broadcast").unwrap_or_default(),
            is_coalescing: message.known("is_coalescing").unwrap_or_default(),
            original_msg_id: message.known("original_msg_id").unwrap_or_default(),
            label: message.known("label"),
        }
    }
}

/// Metadata of a direct request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectMetadata {
    /// The user's name for it.
    pub label: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn dependencies_come_as_lists_objects_or_nothing() {
        let metadata = |after| {
            from_value::<TaskMetadata>(json!({"after": after}))
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
        let task: TaskMetadata = from_value(json!({"after": [], "follow": [], "timeout": 0.0,
            "targets": ["86b03f2d97574a4b94f676b48bb2fa1c"], "retries": 0, "label": null}))
        .unwrap();
        assert_eq!(task.targets.len(), 1);
        assert_eq!(
            from_value::<TaskMetadata>(json!({"label": "x"}))
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
