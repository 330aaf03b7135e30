//! Records of tasks, for the queries of clients: in memory or in SQLite, the same queries.

mod memory;
mod query;
mod record;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use memory::MemoryRecords;
pub use query::{BadQuery, Filter};
pub use record::{MessageParts, PublishedOutput, Queue, RecordKey, TaskRecord};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, Sqlite};

use chrono::{DateTime, Utc};
use phalanx_protocol::id::{EngineUuid, MsgId};

/// Bytes of records one answer may have; a client that wants more asks in parts.
const MAX_ANSWER: usize = 256 << 20;

/// Something to remember.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordChange {
    /// A task was submitted.
    Submitted(MsgId, Box<TaskRecord>),
    /// It was given to an engine.
    Assigned(MsgId, EngineUuid),
    /// It was answered, by an engine or in its place.
    Replied {
        /// The task.
        id: MsgId,
        /// By whom; `None` when none had it.
        engine: Option<EngineUuid>,
        /// The reply.
        reply: MessageParts,
        /// The time at which it came.
        received: DateTime<Utc>,
    },
    /// Something was published for it.
    Published(MsgId, PublishedOutput),
    /// It was submitted again, as another.
    Resubmitted(MsgId, MsgId),
}

/// A question about what is remembered.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordQuery {
    /// The records that match, oldest first.
    Find {
        /// The records meant.
        filter: Filter,
        /// True if their buffers are wanted.
        buffers: bool,
    },
    /// All tasks, oldest first.
    History,
    /// Forgets those that match any of these.
    Purge(Vec<Filter>),
}

/// The answer to a [`RecordQuery`].
#[derive(Clone, Debug, PartialEq)]
pub enum RecordAnswer {
    /// To `Find`.
    Records(Vec<(MsgId, TaskRecord)>),
    /// To `History`.
    History(Vec<MsgId>),
    /// To `Purge`.
    Purged,
    /// It cannot be answered; why.
    Failed(String),
}

/// Names a question whose answer comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QueryTicket(pub u64);

/// A store of records.
#[derive(Debug)]
pub enum RecordStore {
    /// In memory, the oldest forgotten.
    Memory(MemoryRecords),
    /// In a file, until they are purged.
    #[cfg(feature = "sqlite")]
    Sqlite(Sqlite),
}

impl RecordStore {
    /// The bytes of a message's buffers that are kept.
    pub fn most(&self) -> usize {
        match self {
            Self::Memory(memory) => memory.most(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => sqlite::MAX_BUFFER_BYTES,
        }
    }

    /// Remembers.
    pub fn change(&mut self, change: RecordChange) {
        match self {
            Self::Memory(memory) => memory.change(change),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.change(change),
        }
    }

    /// Asks, after everything that was remembered before; `None` when [`next`](Self::next)
    /// will have the answer.
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

    /// The next answer that comes later, or `None` when there may be room again. Cancel-safe.
    pub async fn next(&mut self) -> Option<(QueryTicket, RecordAnswer)> {
        match self {
            Self::Memory(_) => std::future::pending().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.next().await,
        }
    }

    /// Returns true while it keeps up; while it does not, nothing new should be taken.
    pub fn has_room(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.has_room(),
        }
    }

    /// Returns once everything is kept.
    pub async fn close(self) {
        match self {
            Self::Memory(_) => {}
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.close().await,
        }
    }
}

/// Records on their way into an answer, up to what one may have.
#[derive(Debug, Default)]
struct FoundRecords {
    records: Vec<(MsgId, TaskRecord)>,
    bytes: usize,
}

impl FoundRecords {
    /// Adds a record; returns true if there was room for it.
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
