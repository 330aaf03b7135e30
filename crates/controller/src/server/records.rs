//! Queries that are answered from the records of tasks.

use super::incoming::ServerSocket;
use super::query::{error, json};
use super::state::{NOBODY, ServerCommand, ServerState};
use crate::records::{
    Filter, MessageParts, QueryTicket, Queue, RecordAnswer, RecordChange, RecordKey, RecordQuery,
    StoredParts, SubmittedTask, TaskRecord,
};
use crate::scheduler::BalancedTask;
use crate::stored::StoredMessage;
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::{
    DbReply, EngineQueue, HistoryReply, QueueReply, ResubmitReply, ResultReply, SchedulingMetadata,
    TaskResult, Tasks,
};
use phalanx_transport::warn_rarely;
use phalanx_transport::wire::Header;
use phalanx_transport::{Envelope, RawMessage};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// The records, and the queries that wait for them.
pub(super) struct Records {
    /// The maximum size in bytes of the buffers kept of a message.
    pub max_buffers: usize,
    /// The number of completed tasks of each engine.
    completed: HashMap<EngineUuid, usize>,
    asked: HashMap<QueryTicket, (Envelope, RecordRequest)>,
    issued: u64,
}

/// A query that is answered from records.
#[derive(Debug)]
pub(super) enum RecordRequest {
    /// Build a `result_reply` from the records of these tasks.
    Results { ids: Vec<MsgId>, status_only: bool },
    /// Build a `history_reply` from all ids.
    History,
    /// Build a `db_reply` with these keys.
    Db(Option<Vec<RecordKey>>),
    /// Delete the selected records, if all of the tasks found have ended.
    Purge(Vec<Filter>),
    /// Reply that the records are deleted.
    Purged,
    /// Resubmit these tasks.
    Resubmit(Vec<MsgId>),
    /// Add the completed tasks of these engines to the reply.
    Queue {
        reply: QueueReply,
        engines: Vec<(EngineId, EngineUuid)>,
    },
}

impl Records {
    pub fn new(max_buffers: usize) -> Self {
        Self {
            max_buffers,
            completed: HashMap::new(),
            asked: HashMap::new(),
            issued: 0,
        }
    }

    /// The number of completed tasks of an engine.
    pub fn completed_by(&self, engine: &EngineUuid) -> usize {
        self.completed.get(engine).copied().unwrap_or_default()
    }

    /// Counts a task that an engine has completed.
    pub fn completes(&mut self, engine: &EngineUuid) {
        match self.completed.get_mut(engine) {
            Some(count) => *count += 1,
            None => drop(self.completed.insert(engine.clone(), 1)),
        }
    }

    /// Removes an engine that has left for good.
    pub fn left(&mut self, engine: &EngineUuid) {
        self.completed.remove(engine);
    }
}

impl ServerState {
    /// Queries records on behalf of a client.
    pub(super) fn ask(&mut self, request: Envelope, asked: RecordRequest, query: RecordQuery) {
        self.records.issued += 1;
        let ticket = QueryTicket(self.records.issued);
        self.records.asked.insert(ticket, (request, asked));
        self.out.push(ServerCommand::Query(ticket, query));
    }

    /// Copies a message for its record.
    pub(super) fn copied(&self, message: &RawMessage) -> StoredParts {
        StoredParts::copy(message, self.records.max_buffers)
    }

    pub(super) fn submitted(
        &mut self,
        id: MsgId,
        request: StoredParts,
        engine: Option<EngineUuid>,
        queue: Queue,
    ) {
        let task = SubmittedTask {
            request,
            engine,
            queue,
        };
        self.keep(RecordChange::Submitted(id, task));
    }

    /// Stores a message for the scheduler, as a copy if its record shares it: the memory that it was
    /// received into is the sender's, if both are in one process.
    pub(super) fn stored(&self, message: RawMessage) -> StoredMessage {
        let buffers: usize = message.buffers.iter().map(Bytes::len).sum();
        match buffers <= self.records.max_buffers {
            true => StoredMessage::copy(&message),
            false => StoredMessage::new(message),
        }
    }

    /// Records a load-balanced task.
    pub(super) fn task_submitted(&mut self, task: &BalancedTask) {
        let request = StoredParts::of(&task.request, self.records.max_buffers);
        self.submitted(task.id.clone(), request, None, Queue::Task);
    }

    pub(super) fn assigned(&mut self, id: MsgId, engine: EngineUuid) {
        self.keep(RecordChange::Assigned(id, engine));
    }

    pub(super) fn replied(&mut self, id: MsgId, engine: Option<&EngineUuid>, reply: StoredParts) {
        self.keep(RecordChange::Replied {
            id,
            engine: engine.cloned(),
            reply,
            received: chrono::Utc::now(),
        });
    }

    pub(super) fn keep(&mut self, change: RecordChange) {
        self.out.push(ServerCommand::Record(change));
    }

    /// Handles the answer to a query of records.
    pub(super) fn answered(&mut self, ticket: QueryTicket, answer: RecordAnswer) {
        let Some((request, asked)) = self.records.asked.remove(&ticket) else {
            return;
        };
        let reply_type = reply_type(&request);
        let answer = match (asked, answer) {
            (_, RecordAnswer::Failed(why)) => (error("RuntimeError", why), vec![]),
            (RecordRequest::Results { ids, status_only }, RecordAnswer::Records(records)) => {
                results(ids, status_only, records)
            }
            (RecordRequest::Db(keys), RecordAnswer::Records(records)) => found(keys, records),
            (RecordRequest::History, RecordAnswer::History(history)) => {
                let status = "ok".to_owned();
                (json(HistoryReply { status, history }), vec![])
            }
            (RecordRequest::Purge(filters), RecordAnswer::Records(records)) => {
                match pending(&records) {
                    Some(id) => (error("IndexError", format!("msg pending: '{id}'")), vec![]),
                    None => {
                        let query = RecordQuery::Purge(filters);
                        return self.ask(request, RecordRequest::Purged, query);
                    }
                }
            }
            (RecordRequest::Purged, RecordAnswer::Purged) => (json!({"status": "ok"}), vec![]),
            (RecordRequest::Resubmit(ids), RecordAnswer::Records(records)) => {
                (self.resubmit(&request, &ids, records), vec![])
            }
            (RecordRequest::Queue { reply, engines }, RecordAnswer::Records(records)) => {
                (completed(reply, &engines, &records), vec![])
            }
            (asked, _) => return tracing::error!(?asked, "the answer does not fit the query"),
        };
        let (content, buffers) = answer;
        let mut reply = self.session.envelope(&reply_type, content, Some(&request));
        reply.buffers = buffers;
        match reply.seal(self.session.key()) {
            Ok(frames) => self.post(ServerSocket::Registration, frames),
            Err(error) => warn_rarely!(%error, "a reply is dropped"),
        }
    }

    /// Resubmits tasks with new ids; their targets are unchanged.
    fn resubmit(
        &mut self,
        request: &Envelope,
        ids: &[MsgId],
        records: Vec<(MsgId, TaskRecord)>,
    ) -> Value {
        let records: BTreeMap<_, _> = records.into_iter().collect();
        let missing: Vec<_> = ids.iter().filter(|id| !records.contains_key(id)).collect();
        if !missing.is_empty() {
            let missing: Vec<_> = missing.iter().map(|id| id.as_str()).collect();
            return error("KeyError", format!("No such msg(s): {missing:?}"));
        }
        let mut again = Vec::new();
        for (old, record) in records {
            match self.again(&record) {
                Ok(task) => again.push((old, task)),
                Err(why) => return error("ValueError", format!("task '{old}' {why}")),
            }
        }
        let mut resubmitted = BTreeMap::new();
        for (old, task) in again {
            tracing::info!(client = %request.header.session, %old, new = %task.id, "resubmitted");
            self.task_submitted(&task);
            self.keep(RecordChange::Resubmitted(old.clone(), task.id.clone()));
            resubmitted.insert(old, task.id.clone());
            let commands = self.scheduler.submit(task, self.now);
            self.perform(commands);
        }
        let mut content = json(ResubmitReply { resubmitted });
        content["status"] = json!("ok");
        content
    }

    /// Creates a new task from a record; fails with the reason if that is not possible.
    fn again(&self, record: &TaskRecord) -> Result<BalancedTask, String> {
        let Some(buffers) = record.request.buffers.clone() else {
            let most = self.records.max_buffers >> 20;
            return Err(format!(
                "is not kept, since its arguments are more than {most} MiB: submit it anew"
            ));
        };
        let broken = |error: serde_json::Error| format!("cannot be read: {error}");
        let mut header: Header = serde_json::from_slice(&record.request.header).map_err(broken)?;
        let fresh = self.session.header(&header.msg_type);
        header.msg_id = fresh.msg_id;
        header.date = fresh.date;
        let mut metadata: Map<String, Value> =
            serde_json::from_slice(&record.request.metadata).map_err(broken)?;
        // They were satisfied, or can no longer be.
        metadata.remove("after");
        metadata.remove("follow");
        let bytes = |json: serde_json::Result<Vec<u8>>| json.map(Bytes::from).map_err(broken);
        let parts = [
            bytes(serde_json::to_vec(&header))?,
            Bytes::from_static(b"{}"),
            bytes(serde_json::to_vec(&metadata))?,
            record.request.content.clone(),
        ];
        let metadata: SchedulingMetadata =
            serde_json::from_value(Value::Object(metadata)).map_err(broken)?;
        let nobody = vec![Bytes::from_static(NOBODY)];
        let message = RawMessage::sign(nobody, parts, buffers, self.session.key());
        Ok(BalancedTask::new(
            MsgId::new(header.msg_id),
            StoredMessage::new(message),
            metadata,
        ))
    }
}

fn reply_type(request: &Envelope) -> String {
    let msg_type = &request.header.msg_type;
    let kind = msg_type.strip_suffix("_request").unwrap_or(msg_type);
    format!("{kind}_reply")
}

/// The first task that is pending.
fn pending(records: &[(MsgId, TaskRecord)]) -> Option<&MsgId> {
    let pending = records.iter().find(|(_, record)| record.reply.is_none());
    pending.map(|(id, _)| id)
}

/// Builds the reply of ipyparallel's `get_results`: buffers in the order of ids.
fn results(
    mut ids: Vec<MsgId>,
    status_only: bool,
    records: Vec<(MsgId, TaskRecord)>,
) -> (Value, Vec<Bytes>) {
    let mut records: BTreeMap<_, _> = records.into_iter().collect();
    let mut reply = ResultReply::default();
    let mut buffers = Vec::new();
    ids.sort();
    ids.dedup();
    for id in ids {
        let Some(record) = records.remove(&id) else {
            let evalue = format!(
                "'No such message: {id} (unknown, purged, or too old: the oldest are forgotten)'"
            );
            return (error("KeyError", evalue), vec![]);
        };
        if record.reply.is_none() {
            reply.pending.push(id);
            continue;
        }
        if !status_only {
            let kept = record
                .reply
                .as_ref()
                .and_then(|reply| reply.buffers.clone());
            let Some(kept) = kept else {
                let evalue = format!(
                    "the result of {id} is not kept, since it exceeds the size limit: only the client that submitted it has it"
                );
                return (error("ValueError", evalue), vec![]);
            };
            let field = |key| record.field(&id, key);
            let result = TaskResult {
                header: field(RecordKey::Header),
                metadata: field(RecordKey::Metadata),
                result_metadata: field(RecordKey::ResultMetadata),
                result_header: field(RecordKey::ResultHeader),
                result_content: field(RecordKey::ResultContent),
                received: record.received,
                phalanx_buffers: Some(kept.len()),
                io: record.output.clone(),
            };
            buffers.extend(kept);
            reply.results.insert(id.clone(), result);
        }
        reply.completed.push(id);
    }
    let mut content = json(reply);
    content["status"] = json!("ok");
    (content, buffers)
}

/// Builds the reply of ipyparallel's `db_query`.
fn found(keys: Option<Vec<RecordKey>>, records: Vec<(MsgId, TaskRecord)>) -> (Value, Vec<Bytes>) {
    let wants = |key| keys.as_ref().is_some_and(|keys| keys.contains(&key));
    let mut reply = DbReply {
        buffer_lens: wants(RecordKey::Buffers).then(Vec::new),
        result_buffer_lens: wants(RecordKey::ResultBuffers).then(Vec::new),
        records: Vec::new(),
    };
    let mut buffers = Vec::new();
    let keys = match &keys {
        Some(keys) => keys.clone(),
        None => RecordKey::ALL.to_vec(),
    };
    for (id, mut record) in records {
        let keys = keys.iter().copied().chain([RecordKey::MsgId]);
        let keys = keys.filter(|key| !matches!(key, RecordKey::Buffers | RecordKey::ResultBuffers));
        let fields = keys.map(|key| (key.as_str().to_owned(), record.field(&id, key)));
        reply.records.push(fields.collect());
        let mut take = |lens: &mut Option<Vec<usize>>, parts: Option<&mut MessageParts>| {
            if let Some(lens) = lens {
                let taken = parts.and_then(|parts| parts.buffers.take());
                let taken = taken.unwrap_or_default();
                lens.push(taken.len());
                buffers.extend(taken);
            }
        };
        take(&mut reply.buffer_lens, Some(&mut record.request));
        take(&mut reply.result_buffer_lens, record.reply.as_mut());
    }
    let mut content = json(reply);
    content["status"] = json!("ok");
    (content, buffers)
}

/// Adds the completed tasks of each engine, by id.
fn completed(
    mut reply: QueueReply,
    engines: &[(EngineId, EngineUuid)],
    records: &[(MsgId, TaskRecord)],
) -> Value {
    for (id, uuid) in engines {
        let by = records
            .iter()
            .filter(|(_, record)| record.engine.as_ref() == Some(uuid));
        let by = by.map(|(task, _)| task.clone()).collect();
        if let Some(EngineQueue { completed, .. }) = reply.engines.get_mut(&id.to_string()) {
            *completed = Tasks::Ids(by);
        }
    }
    json(reply)
}
