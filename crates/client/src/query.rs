//! Queries to the controller, and their replies.

use crate::error::TaskError;
use crate::record::HubResult;
use crate::request::{HandleRequest, Requests};
use bytes::Bytes;
use phalanx_protocol::apply::{EngineQueue, QueueStatus};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskStatus;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::{
    Content, DbReply, DbRequest, EngineSelector, ErrorContent, HubRequest, QueueReply,
    QueueRequest, ResultReply, ResultRequest, TaskResult, Tasks,
};
use phalanx_transport::Envelope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;

/// The time limit for the controller's reply to a query.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The error of a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// The controller refused it: no such task, a malformed query, …
    #[error("{ename}: {evalue}")]
    Refused {
        /// The error's name: `KeyError`, …
        ename: String,
        /// The message of the error.
        evalue: String,
    },
    /// The controller did not reply in [`QUERY_TIMEOUT`].
    #[error("no answer from the controller within {} seconds", QUERY_TIMEOUT.as_secs())]
    NoReply,
    /// The reply could not be decoded.
    #[error("the controller's answer to {query} cannot be read: {reason}")]
    Malformed {
        /// The query: `db_request`, …
        query: &'static str,
        /// The error in the reply.
        reason: String,
    },
    /// The connection to the controller is lost.
    #[error("the connection to the controller is lost")]
    Disconnected,
}

impl From<HubError> for RemoteFailure {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Refused { ename, evalue } => ErrorContent {
                ename,
                evalue,
                ..ErrorContent::default()
            }
            .into(),
            other => TaskError::Unreported {
                reason: other.to_string(),
            }
            .into(),
        }
    }
}

/// The record of a task, with the requested keys.
#[derive(Clone, Debug, PartialEq)]
pub struct HubRecord {
    /// The fields by ipyparallel's keys: `msg_id`, `submitted`, `engine_uuid`, … (`hub.py`,
    /// `empty_record`).
    pub fields: Map<String, Value>,
    /// The request's buffers, if requested.
    pub buffers: Vec<Bytes>,
    /// The result's buffers, if requested.
    pub result_buffers: Vec<Bytes>,
}

impl HubRecord {
    /// The id of the task, which every record includes.
    pub(crate) fn msg_id(&self) -> Option<MsgId> {
        let id = self.fields.get("msg_id").and_then(Value::as_str);
        id.map(MsgId::new)
    }
}

/// See `Client::queue_status`.
pub(crate) async fn queue_status(
    requests: &Requests,
    engines: &[EngineId],
    verbose: bool,
) -> Result<QueueStatus<Tasks>, HubError> {
    let targets = engines
        .iter()
        .copied()
        .map(EngineSelector::Id)
        .collect::<Vec<_>>();
    let request = QueueRequest {
        targets: Some(targets).filter(|targets| !targets.is_empty()),
        verbose,
    };
    let reply: QueueReply = ask(requests, HubRequest::Queue(request)).await?.content()?;
    let by_id =
        |(id, queue): (String, EngineQueue<Tasks>)| Some((EngineId(id.parse().ok()?), queue));
    Ok(QueueStatus {
        engines: reply.engines.into_iter().filter_map(by_id).collect(),
        unassigned: reply.unassigned,
    })
}

/// See `Client::hub_results`.
pub(crate) async fn hub_results(
    requests: &Requests,
    tasks: &[MsgId],
) -> Result<Vec<Option<HubResult>>, HubError> {
    let hub = ask(requests, result_request(tasks, false)).await?;
    let reply: ResultReply = hub.content()?;
    let mut results = results(reply, hub.envelope.buffers);
    Ok(tasks.iter().map(|task| results.remove(task)).collect())
}

/// See `Client::db_query`.
pub(crate) async fn db_query(
    requests: &Requests,
    request: DbRequest,
) -> Result<Vec<HubRecord>, HubError> {
    let hub = ask(requests, HubRequest::Db(request)).await?;
    let reply: DbReply = hub.content()?;
    let mut buffers = hub.envelope.buffers.into_iter();
    let mut take = |lens: &Option<Vec<usize>>, place: usize| -> Vec<Bytes> {
        let count = lens.as_ref().and_then(|lens| lens.get(place).copied());
        buffers.by_ref().take(count.unwrap_or_default()).collect()
    };
    let records = reply.records.into_iter().enumerate();
    Ok(records
        .map(|(place, fields)| HubRecord {
            fields,
            buffers: take(&reply.buffer_lens, place),
            result_buffers: take(&reply.result_buffer_lens, place),
        })
        .collect())
}

/// Sends a request to the hub, and returns its reply unless it is an error.
pub(crate) async fn ask(requests: &Requests, request: HubRequest) -> Result<HubReply, HubError> {
    let query = request.msg_type();
    let (done, replied) = oneshot::channel();
    let request = HandleRequest::Hub { request, done };
    requests.send(request).map_err(|_| HubError::Disconnected)?;
    let envelope = match tokio::time::timeout(QUERY_TIMEOUT, replied).await {
        Ok(Ok(envelope)) => envelope,
        Ok(Err(_)) => return Err(HubError::Disconnected),
        Err(_) => return Err(HubError::NoReply),
    };
    if envelope.content["status"] == "error" {
        let error = ErrorContent::deserialize(&envelope.content).unwrap_or_default();
        return Err(HubError::Refused {
            ename: error.ename,
            evalue: error.evalue,
        });
    }
    Ok(HubReply { query, envelope })
}

/// The controller's reply to a query.
pub(crate) struct HubReply {
    query: &'static str,
    envelope: Envelope,
}

impl HubReply {
    pub fn content<T: DeserializeOwned>(&self) -> Result<T, HubError> {
        let content = self.envelope.content.as_object().cloned();
        let mut content = content.unwrap_or_default();
        // This reply contains the results directly, next to fields of other types.
        if self.query == ResultRequest::MSG_TYPE {
            content.remove("status");
        }
        T::deserialize(Value::Object(content)).map_err(|error| HubError::Malformed {
            query: self.query,
            reason: error.to_string(),
        })
    }
}

pub(crate) fn result_request(tasks: &[MsgId], status_only: bool) -> HubRequest {
    HubRequest::Results(ResultRequest {
        msg_ids: tasks.to_vec(),
        status_only,
    })
}

/// Assigns the buffers to the results, which are in the order of ids.
fn results(reply: ResultReply, buffers: Vec<Bytes>) -> BTreeMap<MsgId, HubResult> {
    let mut buffers = buffers.into_iter();
    let only = reply.results.len() == 1;
    reply
        .results
        .into_iter()
        .map(|(msg_id, result)| {
            let count = result.phalanx_buffers;
            // A stock hub does not include the number of buffers; a single result owns all of them.
            let count = count.unwrap_or(if only { usize::MAX } else { 0 });
            let taken = buffers.by_ref().take(count).collect();
            (msg_id.clone(), hub_result(msg_id, result, taken))
        })
        .collect()
}

fn hub_result(msg_id: MsgId, result: TaskResult, buffers: Vec<Bytes>) -> HubResult {
    let text = |part: &Value, field: &str| part[field].as_str().map(str::to_owned);
    let date = |part: &Value, field: &str| part[field].as_str()?.parse().ok();
    let status = match result.result_content["status"].as_str() {
        Some("ok") => TaskStatus::Ok,
        Some("aborted") => TaskStatus::Aborted,
        _ => TaskStatus::Error,
    };
    let failure = (status != TaskStatus::Ok).then(|| {
        let error = ErrorContent::deserialize(&result.result_content);
        let mut failure = RemoteFailure::from(error.unwrap_or_default());
        if status == TaskStatus::Aborted {
            let aborted = RemoteFailure::from(TaskError::Aborted(Some(msg_id.clone())));
            (failure.ename, failure.evalue) = (aborted.ename, aborted.evalue);
        }
        failure.msg_id = Some(msg_id.clone());
        failure
    });
    HubResult {
        msg_type: text(&result.header, "msg_type").unwrap_or_default(),
        engine: text(&result.result_metadata, "engine").map(EngineUuid::new),
        label: text(&result.metadata, "label"),
        submitted: date(&result.header, "date"),
        started: date(&result.result_metadata, "started"),
        completed: date(&result.result_header, "date"),
        received: result.received,
        status,
        failure,
        msg_id,
        content: result.result_content,
        metadata: match result.result_metadata {
            Value::Object(metadata) => metadata,
            _ => Map::new(),
        },
        output: result.io,
        buffers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_transport::{Session, SigningKey};
    use serde_json::json;

    fn hub_reply(query: &'static str, content: Value) -> HubReply {
        let session = Session::new("hub", SigningKey::sha256("key"));
        let envelope = session.envelope("reply", content, None);
        HubReply { query, envelope }
    }

    fn result(status: &str, buffers: Option<usize>) -> Value {
        let mut result = json!({
            "header": {"msg_type": "apply_request", "date": "2026-11-20T20:40:39.231171Z"},
            "metadata": {"label": "mine"},
            "result_metadata": {"engine": "uuid", "started": "2026-11-20T20:40:39.232509Z"},
            "result_header": {"date": "2026-11-20T20:40:39.239285Z"},
            "result_content": {"status": status, "ename": "Panic", "evalue": "boom"},
            "received": "2026-11-20T20:40:39.240000+00:00",
            "io": {"execute_input": null, "execute_result": null, "error": null,
                "stdout": "said", "stderr": ""},
        });
        if let Some(buffers) = buffers {
            result["phalanx_buffers"] = json!(buffers);
        }
        result
    }

    #[test]
    fn results_get_their_own_buffers() {
        let content = json!({"status": "ok", "pending": ["c"], "completed": ["a", "b"],
            "a": result("ok", Some(1)), "b": result("error", Some(2))});
        let reply = hub_reply(ResultRequest::MSG_TYPE, content)
            .content()
            .unwrap();
        let buffers = vec![Bytes::new(); 3];
        let found = results(reply, buffers);
        let (a, b) = (&found[&MsgId::new("a")], &found[&MsgId::new("b")]);
        assert_eq!((a.status, a.failure.as_ref()), (TaskStatus::Ok, None));
        assert_eq!((a.buffers.len(), b.buffers.len()), (1, 2));
        assert_eq!(
            (a.label.as_deref(), a.output.stdout.as_str()),
            (Some("mine"), "said")
        );
        assert!(a.submitted < a.started && a.started < a.completed && a.completed < a.received);
        let failure = b.failure.as_ref().unwrap();
        assert_eq!(
            (failure.ename.as_str(), failure.evalue.as_str()),
            ("Panic", "boom")
        );
    }

    /// As recorded from a stock hub, which does not assign buffers to results.
    #[test]
    fn the_only_result_gets_all_buffers() {
        let content = json!({"status": "ok", "pending": [], "completed": ["a"],
            "a": result("ok", None)});
        let reply = hub_reply(ResultRequest::MSG_TYPE, content)
            .content()
            .unwrap();
        let buffers = vec![Bytes::new(); 3];
        assert_eq!(results(reply, buffers)[&MsgId::new("a")].buffers.len(), 3);
    }
}
