use super::Content;
use super::registration::content;
use crate::id::{EngineId, EngineUuid, MsgId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An engine by id or by uuid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// `0`.
    Id(EngineId),
    /// `"9ff7…"`.
    Uuid(EngineUuid),
}

/// How much each engine has to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueRequest {
    /// Which engines; none means all.
    #[serde(default)]
    pub targets: Option<Vec<Target>>,
    /// Whether msg_ids are wanted instead of counts.
    #[serde(default)]
    pub verbose: bool,
}

/// The answer to [`QueueRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueReply {
    /// `ok`.
    pub status: String,
    /// Tasks that wait for an engine.
    pub unassigned: Tasks,
    /// By engine id.
    #[serde(flatten)]
    pub engines: BTreeMap<String, EngineQueue>,
}

/// What one engine has done and has to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineQueue {
    /// Direct requests it has not answered.
    pub queue: Tasks,
    /// Requests it has answered.
    pub completed: Tasks,
    /// Load-balanced tasks it has not answered.
    pub tasks: Tasks,
}

/// Counted, or named when `verbose` was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tasks {
    /// How many.
    Count(usize),
    /// Which.
    Ids(Vec<MsgId>),
}

/// The msg_ids of all tasks the controller remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistoryRequest {}

/// The answer to [`HistoryRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryReply {
    /// `ok`.
    pub status: String,
    /// In the order they were submitted.
    pub history: Vec<MsgId>,
}

/// Results of tasks, whoever submitted them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRequest {
    /// Which.
    pub msg_ids: Vec<MsgId>,
    /// Whether only pending and completed are wanted.
    #[serde(default)]
    pub status_only: bool,
}

/// Forgets results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PurgeRequest {
    /// Which tasks.
    #[serde(default)]
    pub msg_ids: Option<Purged>,
    /// All tasks of these engines.
    #[serde(default)]
    pub engine_ids: Option<Vec<Target>>,
}

/// What to purge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Purged {
    /// These.
    Ids(Vec<MsgId>),
    /// `"all"`.
    All(String),
}

content! {
    QueueRequest = "queue_request";
    QueueReply = "queue_reply";
    HistoryRequest = "history_request";
    HistoryReply = "history_reply";
    ResultRequest = "result_request";
    PurgeRequest = "purge_request";
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    /// As recorded from ipyparallel 9.2.
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
            [Target::Id(EngineId(0)), Target::Uuid(EngineUuid::new("u"))]
        );
        let all: PurgeRequest = from_value(json!({"engine_ids": [], "msg_ids": "all"})).unwrap();
        assert_eq!(all.msg_ids, Some(Purged::All("all".into())));
    }
}
