//! Opening the store of records, and storing changes in it.

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

/// Stores a change, with a copy of the data that its message refers to, since later readers of the
/// record cannot open the reference.
pub(super) fn keep_change(store: &mut RecordStore, mut change: RecordChange) {
    let max_buffers = store.max_buffers();
    match &mut change {
        RecordChange::Submitted(_, task) => task
            .request
            .resolve(segment::resolve_arguments, max_buffers),
        RecordChange::Replied { reply, .. } => reply.resolve(segment::resolve, max_buffers),
        RecordChange::Assigned(..)
        | RecordChange::Published(..)
        | RecordChange::Resubmitted(..) => {}
    }
    store.change(change);
}

/// Opens the store.
///
/// # Errors
/// [`StartError::Database`] if the database cannot be opened.
pub fn store(database: &TaskDatabase, session: &Session) -> Result<RecordStore, StartError> {
    match database {
        TaskDatabase::Memory { bytes } => {
            // Only used for records in a file.
            let _ = session;
            Ok(RecordStore::Memory(MemoryRecords::new(*bytes)))
        }
        #[cfg(feature = "sqlite")]
        TaskDatabase::Sqlite(path) => {
            let store = Sqlite::open(path, |id| lost_reply(session, id))?;
            Ok(RecordStore::Sqlite(store))
        }
    }
}

/// The reply to a pending task of an earlier controller.
#[cfg(feature = "sqlite")]
fn lost_reply(session: &Session, id: &MsgId) -> MessageParts {
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
