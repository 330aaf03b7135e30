//! Task records in memory, the default store.

use super::record::output_size;
use super::{
    Filter, FoundRecords, PublishedOutput, Queue, RecordAnswer, RecordChange, RecordQuery,
    StoredParts, SubmittedTask, TaskRecord,
};
use crate::hash::HashMap;
use chrono::{DateTime, Utc};
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::TaskOutput;
use std::collections::VecDeque;

/// The memory of a record in addition to its contents, in bytes: ids, allocations, the index.
const OVERHEAD: usize = 384;

/// Records of the latest tasks, up to a limit in bytes. Pure.
#[derive(Debug)]
pub struct MemoryRecords {
    by_id: HashMap<MsgId, Box<MemoryRecord>>,
    order: VecDeque<MsgId>,
    bytes: usize,
    limit: usize,
}

/// The record of a task, in little memory.
#[derive(Debug)]
struct MemoryRecord {
    request: StoredParts,
    reply: Option<StoredParts>,
    engine: Option<EngineUuid>,
    received: Option<DateTime<Utc>>,
    queue: Queue,
    /// Output and a resubmission, which few tasks have.
    rest: Option<Box<RareFields>>,
    /// Its accounted size, in bytes.
    size: usize,
}

#[derive(Debug, Default)]
struct RareFields {
    resubmitted: Option<MsgId>,
    output: TaskOutput,
}

impl MemoryRecord {
    fn new(task: SubmittedTask) -> Self {
        Self {
            size: OVERHEAD + task.request.size(),
            request: task.request,
            reply: None,
            engine: task.engine,
            received: None,
            queue: task.queue,
            rest: None,
        }
    }

    fn publish(&mut self, published: PublishedOutput) {
        published.add_to(&mut self.rest.get_or_insert_default().output);
    }

    /// The record, without the buffers unless they are wanted.
    fn record(&self, buffers: bool) -> TaskRecord {
        let parts = |parts: &StoredParts| parts.parts(buffers);
        let rest = self.rest.as_deref();
        TaskRecord {
            request: parts(&self.request),
            engine: self.engine.clone(),
            queue: Some(self.queue),
            resubmitted: rest.and_then(|rest| rest.resubmitted.clone()),
            reply: self.reply.as_ref().map(parts),
            received: self.received,
            output: rest.map(|rest| rest.output.clone()).unwrap_or_default(),
        }
    }

    fn measure(&self) -> usize {
        let rest = |rest: &RareFields| size_of::<RareFields>() + output_size(&rest.output);
        OVERHEAD
            + self.request.size()
            + self.reply.as_ref().map_or(0, StoredParts::size)
            + self.rest.as_deref().map_or(0, rest)
    }
}

impl MemoryRecords {
    /// Creates a store for records of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            by_id: HashMap::default(),
            order: VecDeque::new(),
            bytes: 0,
            limit,
        }
    }

    /// The maximum size in bytes of the buffers kept of a message; several messages always fit.
    pub fn max_buffers(&self) -> usize {
        self.limit / 4
    }

    /// Applies a change.
    pub fn change(&mut self, change: RecordChange) {
        match change {
            RecordChange::Submitted(id, task) => self.insert(id, task),
            RecordChange::Assigned(id, engine) => {
                // This does not change its size.
                if let Some(record) = self.by_id.get_mut(&id) {
                    record.engine = Some(engine);
                }
            }
            RecordChange::Replied {
                id,
                engine,
                reply,
                received,
            } => self.update(&id, |record| {
                record.engine = engine.or(record.engine.take());
                record.reply = Some(reply);
                record.received = Some(received);
            }),
            RecordChange::Published(id, published) => {
                self.update(&id, |record| record.publish(published));
            }
            RecordChange::Resubmitted(old, new) => {
                self.update(&old, |record| {
                    record.rest.get_or_insert_default().resubmitted = Some(new);
                });
            }
        }
    }

    /// Answers a query.
    pub fn ask(&mut self, query: RecordQuery) -> RecordAnswer {
        match query {
            RecordQuery::History => RecordAnswer::History(self.order.iter().cloned().collect()),
            RecordQuery::Find { filter, buffers } => self.find(&filter, buffers),
            RecordQuery::Purge(filters) => {
                let meant = filters.iter().flat_map(|filter| self.matching(filter));
                for id in meant.collect::<Vec<_>>() {
                    self.forget(&id);
                }
                self.order.retain(|id| self.by_id.contains_key(id));
                RecordAnswer::Purged
            }
        }
    }

    fn find(&self, filter: &Filter, buffers: bool) -> RecordAnswer {
        let mut found = FoundRecords::default();
        for id in self.matching(filter) {
            if let Some(record) = self.by_id.get(&id)
                && !found.push(id, record.record(buffers))
            {
                break;
            }
        }
        found.answer()
    }

    fn matching(&self, filter: &Filter) -> Vec<MsgId> {
        let matches = |filter: &Filter, id: &MsgId| {
            let record = self.by_id.get(id);
            record.is_some_and(|record| filter.matches(id, &record.record(false)))
        };
        match filter.named() {
            Some((mut ids, others)) => {
                ids.retain(|id| matches(&others, id));
                ids
            }
            None => {
                let all = self.order.iter();
                all.filter(|id| matches(filter, id)).cloned().collect()
            }
        }
    }

    fn insert(&mut self, id: MsgId, task: SubmittedTask) {
        let record = Box::new(MemoryRecord::new(task));
        self.bytes += record.size;
        match self.by_id.insert(id.clone(), record) {
            Some(before) => self.bytes -= before.size,
            None => self.order.push_back(id),
        }
        self.shrink();
    }

    fn update(&mut self, id: &MsgId, change: impl FnOnce(&mut MemoryRecord)) {
        let Some(record) = self.by_id.get_mut(id) else {
            return;
        };
        change(record);
        let size = record.measure();
        self.bytes = self.bytes - record.size + size;
        record.size = size;
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > self.limit {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, id: &MsgId) {
        if let Some(record) = self.by_id.remove(id) {
            self.bytes -= record.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::MessageParts;
    use super::*;
    use bytes::Bytes;
    use chrono::Utc;

    const LIMIT: usize = 100_000;

    fn memory(tasks: usize) -> (MemoryRecords, Vec<MsgId>) {
        let mut memory = MemoryRecords::new(LIMIT);
        let ids: Vec<_> = (0..tasks).map(|n| MsgId::new(n.to_string())).collect();
        for id in &ids {
            let task = SubmittedTask {
                request: MessageParts::default().into(),
                engine: None,
                queue: Queue::Task,
            };
            memory.change(RecordChange::Submitted(id.clone(), task));
        }
        (memory, ids)
    }

    fn replied(id: &MsgId, size: usize) -> RecordChange {
        RecordChange::Replied {
            id: id.clone(),
            engine: None,
            reply: StoredParts::from(MessageParts {
                header: Bytes::from_static(b"{}"),
                buffers: Some(vec![Bytes::from(vec![0; size])]),
                ..MessageParts::default()
            }),
            received: Utc::now(),
        }
    }

    fn history(memory: &mut MemoryRecords) -> Vec<MsgId> {
        match memory.ask(RecordQuery::History) {
            RecordAnswer::History(ids) => ids,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_oldest_records_are_dropped_and_bytes_are_counted_once() {
        let (mut memory, ids) = memory(10);
        assert_eq!(history(&mut memory), ids);
        for id in &ids[3..6] {
            memory.change(replied(id, LIMIT / 4));
        }
        assert_eq!(history(&mut memory), ids);
        memory.change(replied(&ids[9], LIMIT / 4));
        assert_eq!(history(&mut memory), &ids[4..]);
        // A second reply replaces the first.
        for _ in 0..10 {
            memory.change(replied(&ids[9], LIMIT / 4));
        }
        assert_eq!(history(&mut memory), &ids[4..]);
        memory.change(replied(&ids[9], 2 * LIMIT));
        assert_eq!((history(&mut memory), memory.bytes), (vec![], 0));
    }

    #[test]
    fn published_outputs_count_towards_the_limit() {
        let (mut memory, ids) = memory(2);
        let text = "x".repeat(LIMIT);
        memory.change(RecordChange::Published(
            ids[1].clone(),
            PublishedOutput::Stdout(text),
        ));
        assert_eq!((history(&mut memory), memory.bytes), (vec![], 0));
    }

    #[test]
    fn buffers_are_returned_only_on_request() {
        let (mut memory, ids) = memory(1);
        memory.change(replied(&ids[0], 5));
        for buffers in [true, false] {
            let filter = Filter::tasks(&ids);
            let RecordAnswer::Records(found) = memory.ask(RecordQuery::Find { filter, buffers })
            else {
                panic!("no records");
            };
            let reply = found[0].1.reply.as_ref().unwrap();
            assert_eq!(reply.buffers.is_some(), buffers);
        }
    }

    #[test]
    fn purged_tasks_are_removed_and_their_bytes_released() {
        let (mut memory, ids) = memory(3);
        memory.change(replied(&ids[0], 5));
        memory.ask(RecordQuery::Purge(vec![Filter::ended()]));
        assert_eq!(history(&mut memory), &ids[1..]);
        memory.ask(RecordQuery::Purge(vec![Filter::default()]));
        assert_eq!(memory.bytes, 0);
    }
}
