//! The hub's records of tasks of all clients: ipyparallel's `queue_status`, `result_status`,
//! `hub_history`, `db_query`, `purge_hub_results`, `resubmit`.

use crate::client::Client;
use crate::query::{self, HubReply};
use crate::record::HubResult;
use phalanx_protocol::apply::{QueueStatus, ResultStatus};
use phalanx_protocol::id::{EngineId, MsgId};
use phalanx_protocol::parallel::{
    Content, DbRequest, EngineReport, EngineSelector, EnginesReply, HistoryReply, HubRequest,
    LoadReply, LoadRequest, PurgeRequest, Purged, ResubmitReply, ResubmitRequest, ResultReply,
    Tasks,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

pub use crate::query::{HubError, HubRecord, QUERY_TIMEOUT};

/// The time between two requests for results of other clients' tasks, as in ipyparallel.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

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

impl Client {
    /// Returns the completed and pending tasks of engines (all if empty): their number, or with
    /// `verbose` their ids.
    ///
    /// # Errors
    /// `HubError::Refused` if an engine does not exist, `HubError::NoReply` if the controller does
    /// not reply.
    pub async fn queue_status(
        &self,
        engines: &[EngineId],
        verbose: bool,
    ) -> Result<QueueStatus<Tasks>, HubError> {
        query::queue_status(&self.requests(), engines, verbose).await
    }

    /// Returns the number of pending tasks of engines (all if empty).
    ///
    /// # Errors
    /// `HubError::Refused` if an engine does not exist, `HubError::NoReply` if the controller does
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
        let reply: LoadReply = self.ask(HubRequest::Load(request)).await?.content()?;
        let load = |(id, load): (String, usize)| Some((EngineId(id.parse().ok()?), load));
        Ok(reply.engines.into_iter().filter_map(load).collect())
    }

    /// Returns the state of all engines, and the number of load-balanced tasks without an engine. A
    /// stock controller reports only the numbers of tasks.
    ///
    /// # Errors
    /// `HubError::NoReply` if the controller does not reply.
    pub async fn engine_status(&self) -> Result<EnginesReply, HubError> {
        match self.ask(HubRequest::Engines).await {
            Err(HubError::Refused { .. }) => {}
            reply => return reply?.content(),
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
            refused: 0,
            engines: engines.collect(),
        })
    }

    /// Returns which of these tasks, of any client, have ended.
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them, `HubError::NoReply` if it does
    /// not reply.
    pub async fn result_status(&self, tasks: &[MsgId]) -> Result<ResultStatus, HubError> {
        let reply: ResultReply = self
            .ask(query::result_request(tasks, true))
            .await?
            .content()?;
        Ok(ResultStatus {
            pending: reply.pending,
            completed: reply.completed,
        })
    }

    /// Returns the outcomes of these tasks, of any client, in order; `None` for pending tasks.
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them, `HubError::NoReply` if it does
    /// not reply.
    pub async fn hub_results(&self, tasks: &[MsgId]) -> Result<Vec<Option<HubResult>>, HubError> {
        query::hub_results(&self.requests(), tasks).await
    }

    /// Waits until these tasks, of any client, have ended, at most for `timeout`; polls the hub
    /// every [`POLL_INTERVAL`]. Returns `None` after the timeout.
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them, `HubError::NoReply` if it does
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
    /// `HubError::NoReply` if the hub does not reply.
    pub async fn hub_history(&self) -> Result<Vec<MsgId>, HubError> {
        let reply: HistoryReply = self.ask(HubRequest::History).await?.content()?;
        Ok(reply.history)
    }

    /// Returns the records that match a query in MongoDB's syntax: `$lt`, `$gt`, `$lte`, `$gte`,
    /// `$eq`, `$ne`, `$in`, `$nin`, `$all`, `$mod`, `$exists`, `$glob`. `keys` are the requested
    /// keys, `None` for all but the buffers; `msg_id` is always included.
    ///
    /// # Errors
    /// `HubError::Refused` if the query contains an unknown key or operator, `HubError::NoReply`
    /// if the hub does not reply.
    pub async fn db_query(
        &self,
        query: Map<String, Value>,
        keys: Option<Vec<String>>,
    ) -> Result<Vec<HubRecord>, HubError> {
        query::db_query(&self.requests(), DbRequest { query, keys }).await
    }

    /// Deletes results from the hub.
    ///
    /// # Errors
    /// `HubError::Refused` if a task is pending or an engine does not exist, `HubError::NoReply`
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
        self.ask(HubRequest::Purge(request)).await.map(drop)
    }

    /// Resubmits recorded tasks, load-balanced; returns the new tasks in order. Their results are
    /// kept by the hub: see [`wait_for_hub_results`](Self::wait_for_hub_results).
    ///
    /// # Errors
    /// `HubError::Refused` if the hub has no record of one of them any more, `HubError::NoReply`
    /// if it does not reply.
    pub async fn resubmit(&self, tasks: &[MsgId]) -> Result<Vec<MsgId>, HubError> {
        let request = ResubmitRequest {
            msg_ids: tasks.to_vec(),
        };
        let reply: ResubmitReply = self.ask(HubRequest::Resubmit(request)).await?.content()?;
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
    /// `HubError::NoReply` if it does not reply.
    pub async fn shutdown_hub(&self) -> Result<(), HubError> {
        self.ask(HubRequest::Shutdown).await.map(drop)
    }

    async fn ask(&self, request: HubRequest) -> Result<HubReply, HubError> {
        query::ask(&self.requests(), request).await
    }
}
