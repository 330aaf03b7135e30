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
/// task's header is that of the message with its id. In an `apply_reply`: an [`Ended`] for each of
/// tasks that ended well. As many buffers are what they gave back.
pub const BATCH: &str = "phalanx_batch";

/// The end of one task of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// Which.
    pub msg_id: MsgId,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When it was done.
    pub completed: DateTime<Utc>,
    /// Whether it has put something out, so that an `idle` comes over iopub when all of that is sent.
    #[serde(default)]
    pub output: bool,
}
