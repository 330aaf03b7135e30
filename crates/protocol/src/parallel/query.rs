//! Requests of clients to the hub, and its replies.

use super::Content;
use super::registration::content;
use crate::apply::{EngineQueue, Tasks};
use crate::id::{EngineId, EngineUuid, MsgId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An engine by id or by uuid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EngineSelector {
    /// The id, such as `0`.
    Id(EngineId),
    /// The uuid, such as `"9ff7…"`.
    Uuid(EngineUuid),
}

/// Requests the tasks of each engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueRequest {
    /// The engines; `None` for all.
    #[serde(default)]
    pub targets: Option<Vec<EngineSelector>>,
    /// True for msg_ids instead of counts.
    #[serde(default)]
    pub verbose: bool,
}

/// The reply to [`QueueRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueReply {
    /// `ok`.
    pub status: String,
    /// Tasks that are not assigned to an engine.
    pub unassigned: Tasks,
    /// The tasks by engine id.
    #[serde(flatten)]
    pub engines: BTreeMap<String, EngineQueue<Tasks>>,
}

/// Requests the msg_ids of all recorded tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryRequest {}

/// The reply to [`HistoryRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryReply {
    /// `ok`.
    pub status: String,
    /// The msg_ids, in the order of submission.
    pub history: Vec<MsgId>,
}

/// Requests the results of tasks of any client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRequest {
    /// The tasks.
    pub msg_ids: Vec<MsgId>,
    /// True to request only the ids of pending and completed tasks.
    #[serde(default)]
    pub status_only: bool,
}

/// The reply to [`ResultRequest`]: the buffers are those of all results, in the order of ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultReply {
    /// Pending tasks.
    pub pending: Vec<MsgId>,
    /// Completed tasks.
    pub completed: Vec<MsgId>,
    /// The outcomes of the completed tasks, by msg_id; empty if only their status was requested.
    #[serde(flatten)]
    pub results: BTreeMap<MsgId, TaskResult>,
}

/// The outcome of one task in a [`ResultReply`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The request's header.
    pub header: Value,
    /// The request's metadata.
    pub metadata: Value,
    /// The reply's metadata.
    pub result_metadata: Value,
    /// The reply's header.
    pub result_header: Value,
    /// The reply's content.
    pub result_content: Value,
    /// The time at which the controller received the reply.
    #[serde(default, with = "crate::date::optional")]
    pub received: Option<DateTime<Utc>>,
    /// The publications of the engine.
    pub io: TaskOutput,
    /// The number of buffers that belong to this task; stock hubs omit it (their clients read it
    /// from the pickles).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phalanx_buffers: Option<usize>,
}

/// The publications of an engine for a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// The source, of a cell.
    pub execute_input: Option<String>,
    /// The content of the `execute_result`.
    pub execute_result: Option<Value>,
    /// The content of the `error`.
    pub error: Option<Value>,
    /// Text on stdout.
    #[serde(default)]
    pub stdout: String,
    /// Text on stderr.
    #[serde(default)]
    pub stderr: String,
}

/// Requests the records of tasks that match a query. The syntax of queries is MongoDB's, and users
/// write their own, so it is parsed by the hub alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DbRequest {
    /// The query by key: a value to equal, or an object of operators (`$lt`, `$in`, `$glob`, …).
    #[serde(default, deserialize_with = "or_default")]
    pub query: Map<String, Value>,
    /// The requested keys; `None` for all but the buffers.
    #[serde(default)]
    pub keys: Option<Vec<String>>,
}

impl DbRequest {
    /// Requests the ids of those of these tasks that have ended.
    pub fn ended(tasks: &[MsgId]) -> Self {
        let query = [
            ("msg_id".to_owned(), json!({"$in": tasks})),
            ("completed".to_owned(), json!({"$ne": null})),
        ];
        Self {
            query: query.into_iter().collect(),
            keys: Some(vec!["msg_id".to_owned()]),
        }
    }
}

/// The reply to [`DbRequest`]. Requested buffers are those of the message: for each record those of
/// the request, then those of the result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DbReply {
    /// The records, with the requested keys and `msg_id`.
    pub records: Vec<Map<String, Value>>,
    /// The number of buffers of each record's request.
    #[serde(default)]
    pub buffer_lens: Option<Vec<usize>>,
    /// The number of buffers of each record's result.
    #[serde(default)]
    pub result_buffer_lens: Option<Vec<usize>>,
}

/// Resubmits tasks, as new ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResubmitRequest {
    /// The tasks.
    pub msg_ids: Vec<MsgId>,
}

/// The reply to [`ResubmitRequest`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResubmitReply {
    /// The new tasks' msg_ids, by the old ones.
    pub resubmitted: BTreeMap<MsgId, MsgId>,
}

/// Requests the number of tasks of each engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// The engines; `None` for all.
    #[serde(default)]
    pub targets: Option<Vec<EngineSelector>>,
}

/// The reply to [`LoadRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReply {
    /// `ok`.
    pub status: String,
    /// The number of pending tasks by engine id.
    #[serde(flatten)]
    pub engines: BTreeMap<String, usize>,
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Deletes results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurgeRequest {
    /// The tasks.
    #[serde(default)]
    pub msg_ids: Option<Purged>,
    /// All tasks of these engines.
    #[serde(default)]
    pub engine_ids: Option<Vec<EngineSelector>>,
}

/// The tasks to purge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Purged {
    /// These tasks.
    Ids(Vec<MsgId>),
    /// All tasks: `"all"`.
    All(String),
}

content! {
    QueueRequest = "queue_request";
    QueueReply = "queue_reply";
    HistoryRequest = "history_request";
    HistoryReply = "history_reply";
    ResultRequest = "result_request";
    PurgeRequest = "purge_request";
    DbRequest = "db_request";
    ResubmitRequest = "resubmit_request";
    LoadRequest = "load_request";
    LoadReply = "load_reply";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, to_value};

    /// Recorded from ipyparallel 9.2.
    #[test]
    fn the_queue_reply_has_the_engines_beside_the_rest() {
        let wire =
            json!({"status": "ok", "0": {"queue": 0, "completed": 5, "tasks": 0}, "unassigned": 0});
        let reply: QueueReply = from_value(wire.clone()).unwrap();
        assert_eq!(reply.engines["0"].completed, Tasks::Count(5));
        assert_eq!(to_value(reply).unwrap(), wire);
    }

    #[test]
    fn targets_and_purges_come_in_two_forms() {
        let request: QueueRequest =
            from_value(json!({"targets": [0, "u"], "verbose": false})).unwrap();
        let targets = request.targets.unwrap();
        assert_eq!(
            targets,
            [
                EngineSelector::Id(EngineId(0)),
                EngineSelector::Uuid(EngineUuid::new("u"))
            ]
        );
        let all: PurgeRequest = from_value(json!({"engine_ids": [], "msg_ids": "all"})).unwrap();
        assert_eq!(all.msg_ids, Some(Purged::All("all".into())));
    }
}
