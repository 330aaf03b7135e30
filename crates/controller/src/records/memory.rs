//! Task records in memory, the default store.

use super::{Filter, FoundRecords, RecordAnswer, RecordChange, RecordQuery, TaskRecord};
use crate::hash::HashMap;
use phalanx_protocol::id::MsgId;
use std::collections::VecDeque;

/// Records of the latest tasks, up to a limit in bytes. Pure.
#[derive(Debug)]
pub struct MemoryRecords {
    /// The records with their accounted sizes in bytes.
    by_id: HashMap<MsgId, (Box<TaskRecord>, usize)>,
    order: VecDeque<MsgId>,
    bytes: usize,
    limit: usize,
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
    pub fn most(&self) -> usize {
        self.limit / 4
    }

    /// Applies a change.
    pub fn change(&mut self, change: RecordChange) {
        match change {
            RecordChange::Submitted(id, record) => self.insert(id, record),
            RecordChange::Assigned(id, engine) => {
                // This does not change its size.
                if let Some((record, _)) = self.by_id.get_mut(&id) {
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
                self.update(&old, |record| record.resubmitted = Some(new));
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
            if let Some((record, _)) = self.by_id.get(&id) {
                let mut record = TaskRecord::clone(record);
                if !buffers {
                    record.request.buffers = None;
                    record
                        .reply
                        .iter_mut()
                        .for_each(|reply| reply.buffers = None);
                }
                if !found.push(id, record) {
                    break;
                }
            }
        }
        found.answer()
    }

    fn matching(&self, filter: &Filter) -> Vec<MsgId> {
        let matches = |id: &MsgId| {
            let entry = self.by_id.get(id);
            entry.is_some_and(|(record, _)| filter.matches(id, record))
        };
        match filter.named() {
            Some(mut ids) => {
                ids.retain(matches);
                ids
            }
            None => self
                .order
                .iter()
                .filter(|id| matches(id))
                .cloned()
                .collect(),
        }
    }

    fn insert(&mut self, id: MsgId, record: Box<TaskRecord>) {
        let size = record.size();
        self.bytes += size;
        match self.by_id.insert(id.clone(), (record, size)) {
            Some((_, before)) => self.bytes -= before,
            None => self.order.push_back(id),
        }
        self.shrink();
    }

    fn update(&mut self, id: &MsgId, change: impl FnOnce(&mut TaskRecord)) {
        let Some((record, counted)) = self.by_id.get_mut(id) else {
            return;
        };
        change(record);
        let size = record.size();
        self.bytes = self.bytes - *counted + size;
        *counted = size;
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
        if let Some((_, counted)) = self.by_id.remove(id) {
            self.bytes -= counted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MessageParts, PublishedOutput, Queue};
    use super::*;
    use bytes::Bytes;
    use chrono::Utc;

    const LIMIT: usize = 100_000;

    fn memory(tasks: usize) -> (MemoryRecords, Vec<MsgId>) {
        let mut memory = MemoryRecords::new(LIMIT);
        let ids: Vec<_> = (0..tasks).map(|n| MsgId::new(n.to_string())).collect();
        for id in &ids {
            let record = TaskRecord::new(MessageParts::default(), None, Queue::Task);
            memory.change(RecordChange::Submitted(id.clone(), Box::new(record)));
        }
        (memory, ids)
    }

    fn replied(id: &MsgId, size: usize) -> RecordChange {
        RecordChange::Replied {
            id: id.clone(),
            engine: None,
            reply: MessageParts {
                header: Bytes::from_static(b"{}"),
                buffers: Some(vec![Bytes::from(vec![0; size])]),
                ..MessageParts::default()
            },
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
    fn the_oldest_give_way_and_nothing_is_counted_twice() {
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
    fn what_is_published_counts() {
        let (mut memory, ids) = memory(2);
        let text = "x".repeat(LIMIT);
        memory.change(RecordChange::Published(
            ids[1].clone(),
            PublishedOutput::Stdout(text),
        ));
        assert_eq!((history(&mut memory), memory.bytes), (vec![], 0));
    }

    #[test]
    fn buffers_come_only_when_wanted() {
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
    fn purged_tasks_are_gone_and_their_bytes_free() {
        let (mut memory, ids) = memory(3);
        memory.change(replied(&ids[0], 5));
        memory.ask(RecordQuery::Purge(vec![Filter::ended()]));
        assert_eq!(history(&mut memory), &ids[1..]);
        memory.ask(RecordQuery::Purge(vec![Filter::default()]));
        assert_eq!(memory.bytes, 0);
    }
}
