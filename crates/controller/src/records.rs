//! What became of tasks, for the queries of clients. Pure; bounded in number and bytes.

use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_transport::RawMessage;
use std::collections::{HashMap, VecDeque};

/// Tasks that are remembered; ipyparallel's DictDB keeps as many.
const MAX_RECORDS: usize = 1024;
/// Bytes of replies that are remembered.
const MAX_BYTES: usize = 64 << 20;

/// One task.
#[derive(Clone, Debug)]
pub struct Record {
    /// The request's header.
    pub header: bytes::Bytes,
    /// Who ran it, or is to run it.
    pub engine: Option<EngineUuid>,
    /// The reply and when it came; without its buffers where they were too large to keep.
    pub result: Option<(RawMessage, chrono::DateTime<chrono::Utc>)>,
    bytes: usize,
}

/// The latest tasks.
#[derive(Debug, Default)]
pub struct Records {
    by_id: HashMap<MsgId, Record>,
    order: VecDeque<MsgId>,
    completed: HashMap<EngineUuid, usize>,
    bytes: usize,
}

impl Records {
    /// A task was submitted.
    pub fn submitted(&mut self, id: MsgId, header: bytes::Bytes, engine: Option<EngineUuid>) {
        let record = Record {
            header,
            engine,
            result: None,
            bytes: 0,
        };
        if self.by_id.insert(id.clone(), record).is_none() {
            self.order.push_back(id);
        }
        self.shrink();
    }

    /// A task was answered, by an engine or in its place.
    pub fn replied(&mut self, id: &MsgId, engine: Option<&EngineUuid>, mut reply: RawMessage) {
        if let Some(engine) = engine {
            *self.completed.entry(engine.clone()).or_default() += 1;
        }
        let Some(record) = self.by_id.get_mut(id) else {
            return;
        };
        // Copies, so that what is remembered does not keep the buffers it was read into.
        reply.identities.clear();
        let copy = |bytes: &mut bytes::Bytes| *bytes = bytes::Bytes::copy_from_slice(bytes);
        for part in [&mut reply.header, &mut reply.metadata, &mut reply.content] {
            copy(part);
        }
        reply.buffers.iter_mut().for_each(copy);
        record.engine = engine.cloned().or(record.engine.take());
        record.bytes = reply.content.len() + reply.buffers.iter().map(|b| b.len()).sum::<usize>();
        self.bytes += record.bytes;
        record.result = Some((reply, chrono::Utc::now()));
        self.shrink();
    }

    /// The remembered tasks, oldest first.
    pub fn history(&self) -> Vec<MsgId> {
        self.order.iter().cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: &MsgId) -> Option<&Record> {
        self.by_id.get(id)
    }

    /// How many tasks an engine has answered.
    pub fn completed_by(&self, engine: &EngineUuid) -> usize {
        self.completed.get(engine).copied().unwrap_or_default()
    }

    /// The remembered tasks an engine has answered.
    pub fn ids_of(&self, engine: &EngineUuid) -> Vec<MsgId> {
        let of = |id: &&MsgId| {
            let record = self.by_id.get(*id);
            record.is_some_and(|r| r.engine.as_ref() == Some(engine) && r.result.is_some())
        };
        self.order.iter().filter(of).cloned().collect()
    }

    /// Forgets tasks; those that are not answered yet are kept.
    pub fn purge(&mut self, wanted: impl Fn(&MsgId, &Record) -> bool) {
        let purged = |(id, record): (&MsgId, &Record)| {
            (record.result.is_some() && wanted(id, record)).then(|| id.clone())
        };
        let purged: Vec<_> = self.by_id.iter().filter_map(purged).collect();
        for id in purged {
            self.forget(&id);
        }
        self.order.retain(|id| self.by_id.contains_key(id));
    }

    /// An engine has gone for good.
    pub fn left(&mut self, engine: &EngineUuid) {
        self.completed.remove(engine);
    }

    fn shrink(&mut self) {
        while self.order.len() > MAX_RECORDS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, id: &MsgId) {
        if let Some(record) = self.by_id.remove(id) {
            self.bytes -= record.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use phalanx_transport::SigningKey;

    fn reply(size: usize) -> RawMessage {
        let parts = [Bytes::new(), Bytes::new(), Bytes::new(), Bytes::new()];
        let buffers = vec![Bytes::from(vec![0; size])];
        RawMessage::sign(vec![], parts, buffers, &SigningKey::sha256(""))
    }

    #[test]
    fn old_tasks_are_forgotten_by_number_and_by_bytes() {
        let mut records = Records::default();
        let ids: Vec<_> = (0..MAX_RECORDS + 3)
            .map(|n| MsgId::new(n.to_string()))
            .collect();
        for id in &ids {
            records.submitted(id.clone(), Bytes::new(), None);
        }
        assert_eq!(records.history(), &ids[3..]);
        let engine = EngineUuid::new("a");
        for id in &ids[3..6] {
            records.replied(id, Some(&engine), reply(MAX_BYTES / 2));
        }
        assert_eq!(records.history(), &ids[4..]);
        assert_eq!(records.completed_by(&engine), 3);
        records.replied(&ids[6], Some(&engine), reply(2 * MAX_BYTES));
        assert_eq!(records.bytes, 0);
        assert_eq!(records.history(), &ids[7..]);
    }

    #[test]
    fn only_answered_tasks_are_purged() {
        let mut records = Records::default();
        for id in ["1", "2"] {
            records.submitted(MsgId::new(id), Bytes::new(), None);
        }
        records.replied(&MsgId::new("1"), None, reply(5));
        records.purge(|_, _| true);
        assert_eq!(records.history(), [MsgId::new("2")]);
        assert_eq!(records.bytes, 0);
    }
}
