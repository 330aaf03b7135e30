//! The store of records: opened, and given what it has to keep.

#[cfg(feature = "sqlite")]
use super::query::{error, json};
use crate::config::TaskDatabase;
use crate::error::StartError;
use crate::records::{MemoryRecords, RecordChange, RecordStore};
#[cfg(feature = "sqlite")]
use crate::records::{MessageParts, Sqlite};
#[cfg(feature = "sqlite")]
use bytes::Bytes;
#[cfg(feature = "sqlite")]
use phalanx_protocol::id::MsgId;
use phalanx_sys::segment;
use phalanx_transport::Session;
#[cfg(feature = "sqlite")]
use serde_json::Value;

/// Keeps a change, with the data its message refers to: whoever asks for the record later does not find
/// that any more.
pub(super) fn keep_change(store: &mut RecordStore, mut change: RecordChange) {
    let most = store.most();
    match &mut change {
        RecordChange::Submitted(_, record) => {
            record.request.resolve(segment::resolve_arguments, most)
        }
        RecordChange::Replied { reply, .. } => reply.resolve(segment::resolve, most),
        RecordChange::Assigned(..)
        | RecordChange::Published(..)
        | RecordChange::Resubmitted(..) => {}
    }
    store.change(change);
}

/// Opens what is remembered.
///
/// # Errors
/// When there is a database that cannot be used.
pub fn store(database: &TaskDatabase, session: &Session) -> Result<RecordStore, StartError> {
    match database {
        TaskDatabase::Memory { bytes } => {
            // Needed for what is in a file only.
            let _ = session;
            Ok(RecordStore::Memory(MemoryRecords::new(*bytes)))
        }
        #[cfg(feature = "sqlite")]
        TaskDatabase::Sqlite(path) => {
            let store = Sqlite::open(path, |id| unanswered(session, id))?;
            Ok(RecordStore::Sqlite(store))
        }
    }
}

/// The answer to a task of a controller that is gone.
#[cfg(feature = "sqlite")]
fn unanswered(session: &Session, id: &MsgId) -> MessageParts {
    let header = session.header("apply_reply");
    let evalue = format!("the controller ended before task '{id}' was answered");
    let bytes = |value: Value| Bytes::from(value.to_string());
    MessageParts {
        header: bytes(json(header)),
        metadata: bytes(serde_json::json!({"status": "error"})),
        content: bytes(error("EngineError", evalue)),
        buffers: Some(vec![]),
    }
}
