//! Batches: several small tasks in one message, between peers that support them.
//!
//! Every task keeps its own id and its own metadata; common parts are sent once. A controller
//! announces support in its `connection_reply`, an engine in its `registration_request`; stock
//! peers receive one message per task.

use crate::id::MsgId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The metadata key of batches.
///
/// In an `apply_request`: the ids of its tasks. The last buffers, one per task, are the arguments;
/// the header of a task is that of the message, with the task's id. In an `apply_reply`: a
/// [`BatchedReply`] for each successful task, with as many buffers for their values.
pub const BATCH: &str = "phalanx_batch";

/// The reply to one task of a batch, without its value. Times have a precision of one microsecond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub struct BatchedReply {
    /// The id of the task.
    pub msg_id: MsgId,
    /// The time it started.
    pub started: DateTime<Utc>,
    /// The time it completed.
    pub completed: DateTime<Utc>,
    /// True if output was published for it; an `idle` follows on iopub after the output.
    pub output: bool,
}

/// The serialized form, with times in microseconds since 1970. Serializing field names and dates
/// would take most of the time for a small task.
type Row = (MsgId, i64, i64, bool);

impl From<BatchedReply> for Row {
    fn from(reply: BatchedReply) -> Self {
        let times = [reply.started, reply.completed].map(|at| at.timestamp_micros());
        (reply.msg_id, times[0], times[1], reply.output)
    }
}

impl TryFrom<Row> for BatchedReply {
    type Error = &'static str;

    fn try_from((msg_id, started, completed, output): Row) -> Result<Self, Self::Error> {
        let time = |at| DateTime::from_timestamp_micros(at).ok_or("a time that no calendar has");
        Ok(Self {
            msg_id,
            started: time(started)?,
            completed: time(completed)?,
            output,
        })
    }
}
