//! Several small tasks in one message, between peers of ours.
//!
//! Each keeps its id, and everything that goes with it; what is the same for all is sent once. A
//! controller takes batches where it says so in its `connection_reply`, an engine where it says so in
//! its `registration_request`; stock peers get a message for each task.

use crate::id::MsgId;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The metadata key of batches.
///
/// In an `apply_request`: the ids of its tasks. Its last buffers, as many, are their arguments; a
/// task's header is that of the message with its id. In an `apply_reply`: an [`BatchedEnd`] for each of
/// tasks that ended well. As many buffers are what they gave back.
pub const BATCH: &str = "phalanx_batch";

/// The end of one task of a batch. Times are precise to a microsecond.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub struct BatchedEnd {
    /// The id of the task.
    pub msg_id: MsgId,
    /// The time it began.
    pub started: DateTime<Utc>,
    /// The time it was done.
    pub completed: DateTime<Utc>,
    /// True if something was published for it, so that an `idle` follows on iopub once all of that
    /// is sent.
    pub output: bool,
}

/// The serialized form: times in microseconds since 1970. Writing and reading names and dates would
/// be most of the work for a small task.
type Row = (MsgId, i64, i64, bool);

impl From<BatchedEnd> for Row {
    fn from(ended: BatchedEnd) -> Self {
        let times = [ended.started, ended.completed].map(|at| at.timestamp_micros());
        (ended.msg_id, times[0], times[1], ended.output)
    }
}

impl TryFrom<Row> for BatchedEnd {
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
