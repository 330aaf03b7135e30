//! Between the `phalanx` library in a cell and the process that owns its runtime.
//!
//! The library connects to the Unix socket named by [`HOST_SOCKET_VAR`], sends one [`HostRequest`] and
//! reads one [`HostReply`]; then another call, of any thread, may use the connection. One whose reply
//! refers to files is closed once they are open.
//!
//! A display must keep its place among the text printed around it, which travels through a pipe. So
//! the owner answers [`HostReply::Place`], and the library prints [`place_marker`] on stdout there.

use crate::apply::{Apply, ClientRequest};
use crate::comm::{Buffer, CommEvent, CommRequest};
use crate::failure::{Failure, RemoteFailure};
use crate::id::{AsyncResultId, EngineId, EngineUuid, MsgId};
use crate::output::{Display, MimeBundle, Output};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub use crate::execute_reply::ExecuteReply;

/// Environment variable that holds the path of the owner's host socket.
pub const HOST_SOCKET_VAR: &str = "PHALANX_HOST_SOCKET";

/// Environment variable that gives an engine's number to its cells.
pub const ENGINE_ID_VAR: &str = "PHALANX_ENGINE_ID";

/// Starts every marker in the output of a cell: an OSC escape, invisible where nobody reads it.
pub const MARKER_START: &str = "\x1b]phalanx;";
/// Ends every marker.
pub const MARKER_END: char = '\x07';

/// The marker the library prints on stdout at the position of that output.
pub fn place_marker(place: u64) -> String {
    format!("{MARKER_START}place;{place}{MARKER_END}")
}

/// The text the library prints on stderr, between `error` markers and as JSON, for an error that
/// may be leaving the cell through `?`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorText {
    /// The error as it is formatted.
    pub text: String,
    /// The error's structure, if it is the library's own.
    pub failure: Option<Box<Failure>>,
    /// The place of the `?`, as a panic's, where it is known.
    #[serde(default)]
    pub location: Option<String>,
}

/// Library to owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum HostRequest {
    /// Shows something, or clears: answered with [`HostReply::Place`].
    Output(Output),
    /// Runs a line magic within Rust text.
    Magic {
        /// The line from its `%` on.
        line: String,
    },
    /// Asks something of the comms the owner keeps.
    Comm(CommRequest),
    /// Asks the user for a line: answered with [`HostReply::Input`].
    Input {
        /// The prompt.
        prompt: String,
        /// True if the answer is not to be shown.
        password: bool,
    },
    /// Somebody reads stdin; said by the runtime's owner, not by the library. Answered likewise.
    ReadLine,
    /// Calls a function on engines: answered with [`HostReply::AsyncResult`], or, where it waits,
    /// [`HostReply::Values`].
    Apply(Box<Apply>),
    /// Asks something of the cluster.
    Client(Box<ClientRequest>),
    /// No variable names these AsyncResults any more: answered with [`HostReply::Done`].
    Released {
        /// Their numbers.
        results: Vec<AsyncResultId>,
    },
    /// Asks something of AsyncResults the kernel holds.
    AsyncResult {
        /// The ranges of tasks, as one: counted from 0, range by range.
        of: Vec<TaskRange>,
        /// The query.
        query: AsyncResultQuery,
    },
}

impl HostRequest {
    /// The number of raw frames that follow.
    pub fn raw_frames(&self) -> usize {
        match self {
            Self::Apply(apply) => apply.args,
            _ => 0,
        }
    }
}

/// A query about an AsyncResult; the names are ipyparallel's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AsyncResultQuery {
    /// Everything known so far, without waiting: answered with [`HostReply::Snapshot`].
    Snapshot,
    /// Asks for the progress: answered with [`HostReply::Progress`].
    Progress,
    /// Asks for the ranges of its tasks: answered with [`HostReply::Tasks`], the ends of all ranges
    /// known.
    Ranges,
    /// Asks for the outcomes of these tasks so far: answered with [`HostReply::Values`].
    Values {
        /// The first.
        from: usize,
        /// One past the last.
        to: usize,
        /// True to wait until every task is done; false for the present ones.
        wait: bool,
    },
    /// Waits until more than `seen` tasks are done: answered with [`HostReply::Ended`] for those
    /// after them, in the order in which they ended, or none in time.
    Next {
        /// The number of tasks of each range known to be done.
        seen: Vec<usize>,
        /// Seconds; `None` waits for ever.
        timeout: Option<f64>,
    },
    /// Shows outputs as they arrive, until all are here or another call ends it.
    StreamOutput,
    /// Waits until every task is done: answered with [`HostReply::Ready`].
    Wait {
        /// Seconds; `None` waits for ever.
        timeout: Option<f64>,
    },
    /// Waits until every task's output has arrived too: answered with [`HostReply::Ready`].
    WaitForOutput {
        /// Seconds; `None` waits for ever.
        timeout: Option<f64>,
    },
    /// Waits with a bar that is updated in place: answered with [`HostReply::Ready`].
    WaitInteractive {
        /// Seconds between updates.
        interval: f64,
        /// Seconds; `None` waits for ever.
        timeout: Option<f64>,
    },
    /// Drops the tasks that have not started: answered with [`HostReply::Done`].
    Abort,
    /// Republishes all outputs under the current cell: answered with [`HostReply::Done`].
    DisplayOutputs {
        /// The grouping.
        group_by: GroupBy,
        /// Leave out everything but the results.
        result_only: bool,
    },
}

/// The grouping of several engines' outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupBy {
    /// All stdout, all stderr, displays engine by engine, results.
    #[default]
    Type,
    /// Everything of one engine, then of the next.
    Engine,
    /// The first display of every engine, then the second, …
    Order,
}

/// A grouping that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("outputs cannot be grouped by `{0}`")]
pub struct UnknownGrouping(pub String);

impl TryFrom<&str> for GroupBy {
    type Error = UnknownGrouping;

    fn try_from(name: &str) -> Result<Self, UnknownGrouping> {
        match name {
            "type" => Ok(Self::Type),
            "engine" => Ok(Self::Engine),
            "order" => Ok(Self::Order),
            _ => Err(UnknownGrouping(name.to_owned())),
        }
    }
}

/// Owner to library.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum HostReply {
    /// Done, without a value.
    Done,
    /// These tasks are done.
    Ended(Vec<usize>),
    /// The progress of an AsyncResult.
    Progress(Progress),
    /// The outcomes of tasks; a raw frame follows for each, empty if there is no value.
    Values(Vec<Option<Result<EngineOf, RemoteFailure>>>),
    /// The engines there are.
    Engines(Vec<EngineId>),
    /// The answer of the hub.
    Json(serde_json::Value),
    /// Print [`place_marker`] of this number.
    Place(u64),
    /// True if all tasks are done.
    Ready(bool),
    /// The line the user typed; `None` at the end of the input.
    Input(Option<String>),
    /// The AsyncResult of a magic.
    AsyncResult(AsyncResultId),
    /// The tasks that were asked for, in order.
    Tasks(Vec<TaskRange>),
    /// The state of an AsyncResult.
    Snapshot(Box<AsyncResultSnapshot>),
    /// A frontend's action; `None` if there is none left.
    CommEvent(Option<CommEvent>),
    /// The state of a widget; `None` when it is closed.
    CommState(Option<Map<String, Value>>),
    /// Binary values, each with its path in the state: keys and indices.
    CommBuffers(Vec<(Vec<Value>, Buffer)>),
    /// It failed; the owner shows why when the cell ends by [`MAGIC_FAILED`].
    Failed(Failure),
}

/// The engine that ran a task.
pub type EngineOf = Option<EngineId>;

impl HostReply {
    /// The number of raw frames that follow.
    pub fn raw_frames(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            _ => 0,
        }
    }
}

/// Some tasks of one AsyncResult.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRange {
    /// The AsyncResult.
    pub id: AsyncResultId,
    /// The first of the tasks.
    pub from: usize,
    /// One past the last; all from `from` on where it is `usize::MAX`.
    pub to: usize,
}

/// The progress of an AsyncResult.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The name of what was run.
    pub name: String,
    /// The number of tasks.
    pub tasks: usize,
    /// The number of tasks that are done.
    pub ended: usize,
    /// The number of tasks that failed.
    pub failed: usize,
    /// The number of items in the tasks.
    pub items: usize,
    /// The number of items that are done.
    pub items_ended: usize,
    /// Seconds since submission, or the wall time once ready.
    pub elapsed: f64,
    /// Seconds the engines have spent, one after the other.
    pub serial: f64,
}

/// Message of the panic by which a failed magic ends a cell; the owner reports the failure instead.
pub const MAGIC_FAILED: &str = "phalanx: a magic failed";

/// Everything known of an AsyncResult at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AsyncResultSnapshot {
    /// The name of what was run: `%px`, `execute`, …
    pub name: String,
    /// One per task, in the order of targets.
    pub tasks: Vec<TaskSnapshot>,
    /// Seconds since submission, or `wall_time` once ready.
    pub elapsed: f64,
}

/// One task of an AsyncResult.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSnapshot {
    /// The metadata record, with ipyparallel's keys.
    pub metadata: TaskAttributes,
    /// Its outcome; `None` while pending.
    pub result: Option<Result<(), RemoteFailure>>,
}

/// Metadata of one task; the keys are those of ipyparallel's `client.py`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskAttributes {
    /// The request's id.
    pub msg_id: Option<MsgId>,
    /// The time the client sent it (client's clock).
    pub submitted: Option<DateTime<Utc>>,
    /// The time the engine began (engine's clock).
    pub started: Option<DateTime<Utc>>,
    /// The time the engine was done (engine's clock).
    pub completed: Option<DateTime<Utc>>,
    /// The time the client received the reply (client's clock).
    pub received: Option<DateTime<Utc>>,
    /// The engine's routing identity.
    pub engine_uuid: Option<EngineUuid>,
    /// The engine's number.
    pub engine_id: Option<EngineId>,
    /// Location dependencies.
    pub follow: Vec<MsgId>,
    /// Time dependencies.
    pub after: Vec<MsgId>,
    /// The status it ended with.
    pub status: Option<TaskStatus>,
    /// The source that was run.
    pub execute_input: Option<String>,
    /// The value of the last expression.
    pub execute_result: Option<MimeBundle>,
    /// Number of the cell on its engine.
    pub execution_count: Option<u32>,
    /// The failure the engine published.
    pub error: Option<RemoteFailure>,
    /// Text on stdout, `\r` applied.
    pub stdout: String,
    /// Text on stderr, `\r` applied.
    pub stderr: String,
    /// Displays, in order.
    pub outputs: Vec<Display>,
    /// The user's name for the task.
    pub label: Option<String>,
    /// The latest values it has published, by name.
    #[serde(default)]
    pub data: BTreeMap<String, Value>,
}

/// The status a task ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// It ran to its end.
    Ok,
    /// It failed.
    Error,
    /// It was dropped before it began.
    Aborted,
}
