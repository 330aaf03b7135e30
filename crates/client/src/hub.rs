//! The hub's records of tasks of all clients: ipyparallel's `queue_status`, `result_status`,
//! `hub_history`, `db_query`, `purge_hub_results`, `resubmit`.

use crate::client::Client;
use crate::record::HubResult;
use crate::request::{Request, Requests};
use bytes::Bytes;
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::TaskStatus;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::{
    Content, DbReply, DbRequest, EngineQueue, EngineReport, EngineSelector, EnginesReply,
    EnginesRequest, ErrorContent, HistoryReply, HistoryRequest, LoadRequest, PurgeRequest, Purged,
    QueueReply, QueueRequest, ResubmitReply, ResubmitRequest, ResultReply, ResultRequest,
    ShutdownRequest, TaskResult, Tasks,
};
use phalanx_transport::Envelope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The time limit for the controller's reply to a query.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The time between two requests for results of other clients' tasks, as in ipyparallel.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

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
    NoAnswer,
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

/// The completed and pending tasks of all engines.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueStatus {
    /// The tasks by engine id.
    pub engines: BTreeMap<EngineId, EngineQueue>,
    /// Load-balanced tasks that are not assigned to an engine.
    pub unassigned: Tasks,
}

/// The pending and completed ones of several tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultStatus {
    /// The pending tasks.
    pub pending: Vec<MsgId>,
    /// The completed tasks.
    pub completed: Vec<MsgId>,
}

/// The tasks whose results are deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Every task that has ended.
    All,
    /// These tasks, and the completed tasks of these engines.
    Some {
        /// The tasks; a pending one is an error.
        tasks: Vec<MsgId>,
        /// The engines.
        engines: Vec<EngineId>,
    },
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

impl Client {
    /// Returns the completed and pending tasks of engines (all if empty): their number, or with
    /// `verbose` their ids.
    ///
    /// # Errors
    /// `HubError::Refused` if an engine does not exist, `HubError::NoAnswer` if the controller does
    /// not reply.
    pub async fn queue_status(
        &self,
        engines: &[EngineId],
        verbose: bool,
    ) -> Result<QueueStatus, HubError> {
        queue_status(&self.requests(), engines, verbose).await
    }

    /// Returns the number of pending tasks of engines (all if empty).
    ///
    /// # Errors
    /// `HubError::Refused` if an engine does not exist, `HubError::NoAnswer` if the controller does
    /// not reply.
    pub async fn loads(&self, engines: &[EngineId]) -> Result<BTreeMap<EngineId, usize>, HubError> {
        let targets = engines
            .iter()
            .copied()
            .map(EngineSelector::Id)
            .collect::<Vec<_>>();
        let request = LoadRequest {
            targets: Some(targets).filter(|targets| !targets.is_empty()),
        };
        let reply: Map<String, Value> = self.ask(&request).await?.content()?;
        let load = |(id, load): (String, Value)| {
            Some((EngineId(id.parse().ok()?), load.as_u64()?.try_into().ok()?))
        };
        Ok(reply.into_iter().filter_map(load).collect())
    }

    /// Returns the state of all engines, and the number of load-balanced tasks without an engine. A
    /// stock controller reports only the numbers of tasks.
    ///
    /// # Errors
    /// `HubError::NoAnswer` if the controller does not reply.
    pub async fn engine_status(&self) -> Result<EnginesReply, HubError> {
        match self.ask(&EnginesRequest {}).await {
            Err(HubError::Refused { .. }) => {}
            answer => return answer?.content(),
        }
        let queues = self.queue_status(&[], false).await?;
        let known = self.engines();
        let engines = known.into_iter().filter_map(|engine| {
            let queue = queues.engines.get(&engine.id)?;
            let tasks = [&queue.queue, &queue.tasks];
            let status = EngineReport::of_queue(engine.uuid, tasks, &queue.completed);
            Some((engine.id, status))
        });
        Ok(EnginesReply {
            status: "ok".to_owned(),
            unassigned: queues.unassigned.count(),
            engines: engines.collect(),
        })
    }

    /// Returns which of these tasks, of any client, have ended.
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them, `HubError::NoAnswer` if it does
    /// not reply.
    pub async fn result_status(&self, tasks: &[MsgId]) -> Result<ResultStatus, HubError> {
        let reply: ResultReply = self.ask(&result_request(tasks, true)).await?.content()?;
        Ok(ResultStatus {
            pending: reply.pending,
            completed: reply.completed,
        })
    }

    /// Returns the outcomes of these tasks, of any client, in order; `None` for pending tasks.
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them, `HubError::NoAnswer` if it does
    /// not reply.
    pub async fn hub_results(&self, tasks: &[MsgId]) -> Result<Vec<Option<HubResult>>, HubError> {
        hub_results(&self.requests(), tasks).await
    }

    /// Waits until these tasks, of any client, have ended, at most for `timeout`; polls the hub
    /// every [`POLL_INTERVAL`]. Returns `None` after the timeout.
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them, `HubError::NoAnswer` if it does
    /// not reply.
    pub async fn wait_for_hub_results(
        &self,
        tasks: &[MsgId],
        timeout: Option<Duration>,
    ) -> Result<Option<Vec<HubResult>>, HubError> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if self.result_status(tasks).await?.pending.is_empty() {
                let results = self.hub_results(tasks).await?;
                // If one of them was purged in between, the next request is refused.
                if let Some(results) = results.into_iter().collect() {
                    return Ok(Some(results));
                }
            }
            let next = Instant::now() + POLL_INTERVAL;
            if until.is_some_and(|until| until <= next) {
                return Ok(None);
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Returns the tasks of all clients in the hub's records, in the order of submission.
    ///
    /// # Errors
    /// `HubError::NoAnswer` if the hub does not reply.
    pub async fn hub_history(&self) -> Result<Vec<MsgId>, HubError> {
        let reply: HistoryReply = self.ask(&HistoryRequest {}).await?.content()?;
        Ok(reply.history)
    }

    /// Returns the records that match a query in MongoDB's syntax: `$lt`, `$gt`, `$lte`, `$gte`,
    /// `$eq`, `$ne`, `$in`, `$nin`, `$all`, `$mod`, `$exists`, `$glob`. `keys` are the requested
    /// keys, `None` for all but the buffers; `msg_id` is always included.
    ///
    /// # Errors
    /// `HubError::Refused` if the query contains an unknown key or operator, `HubError::NoAnswer`
    /// if the hub does not reply.
    pub async fn db_query(
        &self,
        query: Map<String, Value>,
        keys: Option<Vec<String>>,
    ) -> Result<Vec<HubRecord>, HubError> {
        db_query(&self.requests(), query, keys).await
    }

    /// Deletes results from the hub.
    ///
    /// # Errors
    /// `HubError::Refused` if a task is pending or an engine does not exist, `HubError::NoAnswer`
    /// if the hub does not reply.
    pub async fn purge_hub_results(&self, purge: Purge) -> Result<(), HubError> {
        let request = match purge {
            Purge::All => PurgeRequest {
                msg_ids: Some(Purged::All("all".to_owned())),
                engine_ids: Some(Vec::new()),
            },
            Purge::Some { tasks, engines } => PurgeRequest {
                msg_ids: Some(Purged::Ids(tasks)),
                engine_ids: Some(engines.into_iter().map(EngineSelector::Id).collect()),
            },
        };
        self.ask(&request).await.map(drop)
    }

    /// Resubmits recorded tasks, load-balanced; returns the new tasks in order. Their results are
    /// kept by the hub: see [`wait_for_hub_results`](Self::wait_for_hub_results).
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them any more, `HubError::NoAnswer`
    /// if it does not reply.
    pub async fn resubmit(&self, tasks: &[MsgId]) -> Result<Vec<MsgId>, HubError> {
        let request = ResubmitRequest {
            msg_ids: tasks.to_vec(),
        };
        let reply: ResubmitReply = self.ask(&request).await?.content()?;
        let new = |task| {
            let new = reply.resubmitted.get(task).cloned();
            new.ok_or_else(|| HubError::Malformed {
                query: ResubmitRequest::MSG_TYPE,
                reason: format!("it does not contain the task that replaces '{task}'"),
            })
        };
        tasks.iter().map(new).collect()
    }

    /// Shuts down the controller, after which its engines exit. Returns once it has acknowledged.
    ///
    /// # Errors
    /// `HubError::NoAnswer` if it does not reply.
    pub async fn shutdown_hub(&self) -> Result<(), HubError> {
        self.ask(&ShutdownRequest::default()).await.map(drop)
    }

    async fn ask<T: Content>(&self, content: &T) -> Result<HubAnswer, HubError> {
        ask(&self.requests(), content).await
    }
}

/// See [`Client::queue_status`].
pub(crate) async fn queue_status(
    requests: &Requests,
    engines: &[EngineId],
    verbose: bool,
) -> Result<QueueStatus, HubError> {
    let targets = engines
        .iter()
        .copied()
        .map(EngineSelector::Id)
        .collect::<Vec<_>>();
    let request = QueueRequest {
        targets: Some(targets).filter(|targets| !targets.is_empty()),
        verbose,
    };
    let reply: QueueReply = ask(requests, &request).await?.content()?;
    let by_id = |(id, queue): (String, EngineQueue)| Some((EngineId(id.parse().ok()?), queue));
    Ok(QueueStatus {
        engines: reply.engines.into_iter().filter_map(by_id).collect(),
        unassigned: reply.unassigned,
    })
}

/// See [`Client::hub_results`].
pub(crate) async fn hub_results(
    requests: &Requests,
    tasks: &[MsgId],
) -> Result<Vec<Option<HubResult>>, HubError> {
    let answer = ask(requests, &result_request(tasks, false)).await?;
    let reply: ResultReply = answer.content()?;
    let mut results = results(reply, answer.envelope.buffers);
    Ok(tasks.iter().map(|task| results.remove(task)).collect())
}

/// See [`Client::db_query`].
pub(crate) async fn db_query(
    requests: &Requests,
    query: Map<String, Value>,
    keys: Option<Vec<String>>,
) -> Result<Vec<HubRecord>, HubError> {
    let answer = ask(requests, &DbRequest { query, keys }).await?;
    let reply: DbReply = answer.content()?;
    let mut buffers = answer.envelope.buffers.into_iter();
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

async fn ask<T: Content>(requests: &Requests, content: &T) -> Result<HubAnswer, HubError> {
    let query = T::MSG_TYPE;
    let content = serde_json::to_value(content).map_err(|error| HubError::Malformed {
        query,
        reason: error.to_string(),
    })?;
    let (done, answered) = oneshot::channel();
    let request = Request::Query {
        msg_type: query,
        content,
        done,
    };
    requests.send(request).map_err(|_| HubError::Disconnected)?;
    let envelope = match tokio::time::timeout(QUERY_TIMEOUT, answered).await {
        Ok(Ok(envelope)) => envelope,
        Ok(Err(_)) => return Err(HubError::Disconnected),
        Err(_) => return Err(HubError::NoAnswer),
    };
    if envelope.content["status"] == "error" {
        let error = ErrorContent::deserialize(&envelope.content).unwrap_or_default();
        return Err(HubError::Refused {
            ename: error.ename,
            evalue: error.evalue,
        });
    }
    Ok(HubAnswer { query, envelope })
}

/// The controller's reply to a query.
struct HubAnswer {
    query: &'static str,
    envelope: Envelope,
}

impl HubAnswer {
    fn content<T: DeserializeOwned>(&self) -> Result<T, HubError> {
        let content = self.envelope.content.as_object().cloned();
        let mut content = content.unwrap_or_default();
        // These replies contain the entries directly, next to fields of other types.
        if self.query == ResultRequest::MSG_TYPE || self.query == LoadRequest::MSG_TYPE {
            content.remove("status");
        }
        T::deserialize(Value::Object(content)).map_err(|error| HubError::Malformed {
            query: self.query,
            reason: error.to_string(),
        })
    }
}

fn result_request(tasks: &[MsgId], status_only: bool) -> ResultRequest {
    ResultRequest {
        msg_ids: tasks.to_vec(),
        status_only,
    }
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
            failure.ename = "TaskAborted".to_owned();
            failure.evalue = format!("task '{msg_id}' was aborted before it began");
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

    fn answer(query: &'static str, content: Value) -> HubAnswer {
        let session = Session::new("hub", SigningKey::sha256("key"));
        let envelope = session.envelope("reply", content, None);
        HubAnswer { query, envelope }
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
        let reply = answer(ResultRequest::MSG_TYPE, content).content().unwrap();
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
        let reply = answer(ResultRequest::MSG_TYPE, content).content().unwrap();
        let buffers = vec![Bytes::new(); 3];
        assert_eq!(results(reply, buffers)[&MsgId::new("a")].buffers.len(), 3);
    }
}
