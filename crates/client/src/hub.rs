//! The hub's records of tasks, whoever submitted them: ipyparallel's `queue_status`,
//! `result_status`, `hub_history`, `db_query`, `purge_hub_results`, `resubmit`.

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

/// Time limit for the controller's reply to a query.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two requests for results of others' tasks; ipyparallel's.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A query was not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// The controller says why: no such task, a malformed query, …
    #[error("{ename}: {evalue}")]
    Refused {
        /// The error's name: `KeyError`, …
        ename: String,
        /// The message of the error.
        evalue: String,
    },
    /// The controller gave no answer in [`QUERY_TIMEOUT`].
    #[error("no answer from the controller within {} seconds", QUERY_TIMEOUT.as_secs())]
    NoAnswer,
    /// The answer is none that we know.
    #[error("the controller's answer to {query} cannot be read: {reason}")]
    Malformed {
        /// The query: `db_request`, …
        query: &'static str,
        /// The fault in the reply.
        reason: String,
    },
    /// The controller is gone.
    #[error("the connection to the controller is lost")]
    Disconnected,
}

/// The tasks that engines have done and have to do.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueStatus {
    /// By engine.
    pub engines: BTreeMap<EngineId, EngineQueue>,
    /// Load-balanced tasks that wait for an engine.
    pub unassigned: Tasks,
}

/// Tasks by whether they have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultStatus {
    /// Those that have not.
    pub pending: Vec<MsgId>,
    /// Those that have.
    pub completed: Vec<MsgId>,
}

/// Tasks whose results to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Every task that has ended.
    All,
    /// These tasks, and those that these engines have answered.
    Some {
        /// Tasks; an unfinished one is an error.
        tasks: Vec<MsgId>,
        /// Engines.
        engines: Vec<EngineId>,
    },
}

/// The record of a task, with the keys that were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HubRecord {
    /// By ipyparallel's keys: `msg_id`, `submitted`, `engine_uuid`, … (`hub.py`, `empty_record`).
    pub fields: Map<String, Value>,
    /// The request's buffers, if asked for.
    pub buffers: Vec<Bytes>,
    /// The result's buffers, if asked for.
    pub result_buffers: Vec<Bytes>,
}

impl Client {
    /// Asks for the tasks that engines (all if none are named) have done and have to do, counted,
    /// or with `verbose` by their ids.
    ///
    /// # Errors
    /// When an engine is not there, or the controller does not answer.
    pub async fn queue_status(
        &self,
        engines: &[EngineId],
        verbose: bool,
    ) -> Result<QueueStatus, HubError> {
        queue_status(&self.requests(), engines, verbose).await
    }

    /// Asks for the number of tasks that engines (all if none are named) have.
    ///
    /// # Errors
    /// When an engine is not there, or the controller does not answer.
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

    /// Asks for the state of all engines, and the number of load-balanced tasks that wait for one. A stock
    /// controller knows the numbers of their tasks alone.
    ///
    /// # Errors
    /// When the controller does not answer.
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

    /// Asks which of these tasks, anybody's, have ended.
    ///
    /// # Errors
    /// When the hub does not know one of them, or does not answer.
    pub async fn result_status(&self, tasks: &[MsgId]) -> Result<ResultStatus, HubError> {
        let reply: ResultReply = self.ask(&result_request(tasks, true)).await?.content()?;
        Ok(ResultStatus {
            pending: reply.pending,
            completed: reply.completed,
        })
    }

    /// Asks for the outcomes of these tasks, anybody's, in their order; `None` for those that have
    /// not ended.
    ///
    /// # Errors
    /// When the hub does not know one of them, or does not answer.
    pub async fn hub_results(&self, tasks: &[MsgId]) -> Result<Vec<Option<HubResult>>, HubError> {
        hub_results(&self.requests(), tasks).await
    }

    /// Waits until these tasks, anybody's, have ended, at most for `timeout`; the hub is asked
    /// every [`POLL_INTERVAL`]. `None` when they have not ended in time.
    ///
    /// # Errors
    /// When the hub does not know one of them, or does not answer.
    pub async fn wait_for_hub_results(
        &self,
        tasks: &[MsgId],
        timeout: Option<Duration>,
    ) -> Result<Option<Vec<HubResult>>, HubError> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        loop {
            if self.result_status(tasks).await?.pending.is_empty() {
                let results = self.hub_results(tasks).await?;
                // One of them purged in between is refused as unknown the next time.
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

    /// The tasks of all clients that the hub remembers, in the order they were submitted.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub async fn hub_history(&self) -> Result<Vec<MsgId>, HubError> {
        let reply: HistoryReply = self.ask(&HistoryRequest {}).await?.content()?;
        Ok(reply.history)
    }

    /// The records that match a query of MongoDB's kind: `$lt`, `$gt`, `$lte`, `$gte`, `$eq`,
    /// `$ne`, `$in`, `$nin`, `$all`, `$mod`, `$exists`, `$glob`. `keys` are the keys wanted,
    /// `None` for all but the buffers; `msg_id` is always there.
    ///
    /// # Errors
    /// When the query names an unknown key or operator, or the hub does not answer.
    pub async fn db_query(
        &self,
        query: Map<String, Value>,
        keys: Option<Vec<String>>,
    ) -> Result<Vec<HubRecord>, HubError> {
        db_query(&self.requests(), query, keys).await
    }

    /// Makes the hub forget results.
    ///
    /// # Errors
    /// When a named task has not ended or a named engine is not there, or the hub does not answer.
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

    /// Runs tasks again, load-balanced, as the hub remembers them; the new tasks, in their order.
    /// Their results are the hub's: see [`wait_for_hub_results`](Self::wait_for_hub_results).
    ///
    /// # Errors
    /// When the hub no longer knows one of them, or does not answer.
    pub async fn resubmit(&self, tasks: &[MsgId]) -> Result<Vec<MsgId>, HubError> {
        let request = ResubmitRequest {
            msg_ids: tasks.to_vec(),
        };
        let reply: ResubmitReply = self.ask(&request).await?.content()?;
        let new = |task| {
            let new = reply.resubmitted.get(task).cloned();
            new.ok_or_else(|| HubError::Malformed {
                query: ResubmitRequest::MSG_TYPE,
                reason: format!("it does not say what '{task}' has become"),
            })
        };
        tasks.iter().map(new).collect()
    }

    /// Ends the controller; its engines end by themselves. Returns once it has said that it will.
    ///
    /// # Errors
    /// When it does not answer.
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

/// The controller's answer to a query.
struct HubAnswer {
    query: &'static str,
    envelope: Envelope,
}

impl HubAnswer {
    fn content<T: DeserializeOwned>(&self) -> Result<T, HubError> {
        let content = self.envelope.content.as_object().cloned();
        let mut content = content.unwrap_or_default();
        // Beside entries of other types, of which some replies consist.
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

/// The results by task; their buffers are in the order of ids.
fn results(reply: ResultReply, buffers: Vec<Bytes>) -> BTreeMap<MsgId, HubResult> {
    let mut buffers = buffers.into_iter();
    let only = reply.results.len() == 1;
    reply
        .results
        .into_iter()
        .map(|(msg_id, result)| {
            let count = result.phalanx_buffers;
            // A stock hub does not say how many are whose; there is no doubt about a single one.
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

    /// As recorded of a stock hub: nothing says whose the buffers are.
    #[test]
    fn the_only_result_gets_all_buffers() {
        let content = json!({"status": "ok", "pending": [], "completed": ["a"],
            "a": result("ok", None)});
        let reply = answer(ResultRequest::MSG_TYPE, content).content().unwrap();
        let buffers = vec![Bytes::new(); 3];
        assert_eq!(results(reply, buffers)[&MsgId::new("a")].buffers.len(), 3);
    }
}
