//! Records of tasks for clients' queries: in memory or in SQLite, with the same queries.

mod memory;
mod query;
mod record;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use memory::MemoryRecords;
pub use query::{BadQuery, Filter};
pub use record::{
    MessageParts, PublishedOutput, Queue, RecordKey, StoredParts, SubmittedTask, TaskRecord,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, Sqlite};

use chrono::{DateTime, Utc};
use phalanx_protocol::id::{EngineUuid, MsgId};

/// The maximum size in bytes of the records in one answer; for more, a client sends several
/// queries.
const MAX_ANSWER: usize = 256 << 20;

/// A change of the records.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordChange {
    /// A task was submitted.
    Submitted(MsgId, SubmittedTask),
    /// It was assigned to an engine.
    Assigned(MsgId, EngineUuid),
    /// It was answered, by an engine or on its behalf.
    Replied {
        /// The task.
        id: MsgId,
        /// The engine; `None` if it was not assigned.
        engine: Option<EngineUuid>,
        /// The reply.
        reply: StoredParts,
        /// The time at which the reply was received.
        received: DateTime<Utc>,
    },
    /// Output was published for it.
    Published(MsgId, PublishedOutput),
    /// It was resubmitted, with the second id.
    Resubmitted(MsgId, MsgId),
}

/// A query of the records.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordQuery {
    /// The matching records, oldest first.
    Find {
        /// The selection.
        filter: Filter,
        /// True to include the buffers.
        buffers: bool,
    },
    /// All tasks, oldest first.
    History,
    /// Deletes records that match any of these.
    Purge(Vec<Filter>),
}

/// The answer to a [`RecordQuery`].
#[derive(Clone, Debug, PartialEq)]
pub enum RecordAnswer {
    /// The answer to `Find`.
    Records(Vec<(MsgId, TaskRecord)>),
    /// The answer to `History`.
    History(Vec<MsgId>),
    /// The answer to `Purge`.
    Purged,
    /// The query failed, with the reason.
    Failed(String),
}

/// Identifies a query whose answer comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryTicket(pub u64);

/// A store of records.
#[derive(Debug)]
pub enum RecordStore {
    /// In memory; the oldest records are dropped.
    Memory(MemoryRecords),
    /// In a file, until they are purged.
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
}

impl RecordStore {
    /// The maximum size in bytes of the buffers kept of a message.
    pub fn max_buffers(&self) -> usize {
        match self {
            Self::Memory(memory) => memory.max_buffers(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => sqlite::MAX_BUFFER_BYTES,
        }
    }

    /// Applies a change.
    pub fn change(&mut self, change: RecordChange) {
        match self {
            Self::Memory(memory) => memory.change(change),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.change(change),
        }
    }

    /// Answers a query, after all earlier changes; `None` if [`next`](Self::next) will return the
    /// answer.
    pub fn ask(&mut self, ticket: QueryTicket, query: RecordQuery) -> Option<RecordAnswer> {
        match self {
            Self::Memory(memory) => {
                let _ = ticket;
                Some(memory.ask(query))
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => {
                sqlite.ask(ticket, query);
                None
            }
        }
    }

    /// Waits for the next deferred answer; `None` when there may be room again. Cancel safe.
    pub async fn next(&mut self) -> Option<(QueryTicket, RecordAnswer)> {
        match self {
            Self::Memory(_) => std::future::pending().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.next().await,
        }
    }

    /// Returns true while the store keeps up; otherwise no new changes should be accepted.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.has_room(),
        }
    }

    /// Waits until all changes are stored.
    pub async fn close(self) {
        match self {
            Self::Memory(_) => {}
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

/// The records of an answer, up to the size limit.
#[derive(Debug, Default)]
struct FoundRecords {
    records: Vec<(MsgId, TaskRecord)>,
    bytes: usize,
}

impl FoundRecords {
    /// Adds a record; returns false if there was no room.
    fn push(&mut self, id: MsgId, record: TaskRecord) -> bool {
        self.bytes += record.size();
        self.records.push((id, record));
        self.bytes <= MAX_ANSWER
    }

    fn answer(self) -> RecordAnswer {
        if self.bytes > MAX_ANSWER {
            let most = MAX_ANSWER >> 20;
            return RecordAnswer::Failed(format!(
                "the records have more than {most} MiB; ask for fewer tasks, or for fewer keys"
            ));
        }
        RecordAnswer::Records(self.records)
    }
}
