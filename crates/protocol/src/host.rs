//! Messages between the `phalanx` library in a cell and the process that owns its runtime.
//!
//! The library connects to the Unix socket named by [`HOST_SOCKET_VAR`], sends one [`HostRequest`]
//! and reads one [`HostReply`]; then another call, of any thread, may use the connection. After a
//! reply that refers to files, the connection is closed once they are open.
//!
//! A display must keep its position in the text printed around it, which is sent through a pipe.
//! The owner therefore replies with [`HostReply::Place`], and the library prints [`place_marker`]
//! to stdout at that position.

use crate::apply::{Apply, ClientRequest, QueueStatus, ResultStatus, Tasks};
use crate::comm::{Buffer, CommEvent, CommRequest};
use crate::failure::{Failure, RemoteFailure};
use crate::id::{AsyncResultId, EngineId, EngineUuid, MsgId};
use crate::output::{Display, MimeBundle, Output};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub use crate::execute_reply::ExecuteReply;

/// The environment variable with the path of the owner's host socket.
pub const HOST_SOCKET_VAR: &str = "PHALANX_HOST_SOCKET";

/// The environment variable with the id of an engine, for its cells.
pub const ENGINE_ID_VAR: &str = "PHALANX_ENGINE_ID";

/// The start of every marker in the output of a cell: an OSC escape sequence, which terminals do
/// not show.
pub const MARKER_START: &str = "\x1b]phalanx;";
/// The end of every marker.
pub const MARKER_END: char = '\x07';

/// The marker that the library prints to stdout at the position of an output.
pub fn place_marker(place: u64) -> String {
    format!("{MARKER_START}place;{place}{MARKER_END}")
}

/// The JSON that the library prints to stderr, between `error` markers, for an error that may be
/// leaving the cell through `?`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorText {
    /// The error as it is formatted.
    pub text: String,
    /// The error's structure, if it is the library's own.
    pub failure: Option<Box<Failure>>,
    /// The location of the `?`, in the format of a panic's, if known.
    #[serde(default)]
    pub location: Option<String>,
}

/// A request from the library to the owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum HostRequest {
    /// Shows or clears outputs; the reply is [`HostReply::Place`].
    Output(Output),
    /// A request to the kernel, which the cells of an engine cannot reach.
    Kernel(KernelRequest),
}

/// A request that only the kernel can answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum KernelRequest {
    /// A request about comms, for the session.
    Comm(CommRequest),
    /// A request on behalf of the cell that runs.
    Cell(CellRequest),
}

/// A request on behalf of a cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum CellRequest {
    /// Runs a line magic within Rust code.
    Magic {
        /// The line, starting with its `%`.
        line: String,
    },
    /// Prompts the user for a line; the reply is [`HostReply::Input`].
    Input {
        /// The prompt.
        prompt: String,
        /// True if the input is not echoed.
        password: bool,
    },
    /// A read of stdin; sent by the runtime's owner, not by the library. The reply is
    /// [`HostReply::Input`].
    ReadLine,
    /// Calls a function on engines; the reply is [`HostReply::AsyncResult`], or
    /// [`HostReply::Values`] with `wait`.
    Apply(Box<Apply>),
    /// A request about the cluster; [`ClientRequest`] names the replies.
    Client(Box<ClientRequest>),
    /// Reports that no variable names these AsyncResults any more; the reply is
    /// [`HostReply::Done`].
    Released {
        /// Their ids.
        results: Vec<AsyncResultId>,
    },
    /// A query about AsyncResults held by the kernel; [`AsyncResultQuery`] names the replies.
    AsyncResult {
        /// The ranges of tasks, treated as one: counted from 0, range by range.
        of: Vec<TaskRange>,
        /// The query.
        query: AsyncResultQuery,
    },
}

impl HostRequest {
    /// The number of raw frames that follow.
    pub fn raw_frames(&self) -> usize {
        match self {
            Self::Kernel(KernelRequest::Cell(CellRequest::Apply(apply))) => apply.args,
            _ => 0,
        }
    }
}

impl From<CellRequest> for HostRequest {
    fn from(request: CellRequest) -> Self {
        Self::Kernel(KernelRequest::Cell(request))
    }
}

impl From<CommRequest> for HostRequest {
    fn from(request: CommRequest) -> Self {
        Self::Kernel(KernelRequest::Comm(request))
    }
}

/// A query about an AsyncResult; the names are those of ipyparallel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AsyncResultQuery {
    /// Requests the current state, without waiting; the reply is [`HostReply::Snapshot`].
    Snapshot,
    /// Requests the progress; the reply is [`HostReply::Progress`].
    Progress,
    /// Requests the ranges of its tasks; the reply is [`HostReply::Tasks`], with the ends of all
    /// ranges resolved.
    Ranges,
    /// Requests the outcomes of these tasks; the reply is [`HostReply::Values`].
    Values {
        /// The first task.
        from: usize,
        /// One past the last task.
        to: usize,
        /// True to wait until every task is done, false for the current outcomes.
        wait: bool,
    },
    /// Waits until more than `seen` tasks are done; the reply is [`HostReply::Ended`] with the
    /// additional ones, in the order in which they ended, or empty after the timeout.
    Next {
        /// The number of tasks of each range known to be done.
        seen: Vec<usize>,
        /// The timeout in seconds; `None` for no limit.
        timeout: Option<f64>,
    },
    /// Shows outputs as they arrive, until all have arrived; the reply is [`HostReply::Done`].
    StreamOutput,
    /// Waits until every task is done; the reply is [`HostReply::Ready`].
    Wait {
        /// The timeout in seconds; `None` for no limit.
        timeout: Option<f64>,
    },
    /// Waits until every task's output has arrived as well; the reply is [`HostReply::Ready`].
    WaitForOutput {
        /// The timeout in seconds; `None` for no limit.
        timeout: Option<f64>,
    },
    /// Waits with a progress bar that is updated in place; the reply is [`HostReply::Ready`].
    WaitInteractive {
        /// The time between updates, in seconds.
        interval: f64,
        /// The timeout in seconds; `None` for no limit.
        timeout: Option<f64>,
    },
    /// Aborts the tasks that have not started; the reply is [`HostReply::Done`].
    Abort,
    /// Republishes all outputs under the current cell; the reply is [`HostReply::Done`].
    DisplayOutputs {
        /// The grouping.
        group_by: GroupBy,
        /// True to omit everything except results.
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
    /// All outputs of one engine, then those of the next.
    Engine,
    /// The first display of every engine, then the second, …
    Order,
}

/// The name of a grouping that does not exist.
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

/// A reply from the owner to the library.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum HostReply {
    /// Success, without a value.
    Done,
    /// The tasks that are done.
    Ended(Vec<usize>),
    /// The progress of an AsyncResult.
    Progress(TaskProgress),
    /// The outcomes of tasks; a raw frame follows for each, empty if there is no value.
    Values(Vec<Option<Result<EngineOf, RemoteFailure>>>),
    /// The ids of the engines.
    Engines(Vec<EngineId>),
    /// The ids of tasks, in the order of submission.
    MsgIds(Vec<MsgId>),
    /// The completed and pending tasks of engines.
    QueueStatus(QueueStatus<Tasks>),
    /// The pending and completed ones of the tasks in question.
    ResultStatus(ResultStatus),
    /// The hub's records, with ipyparallel's keys; their values are any client's.
    Records(Vec<Map<String, Value>>),
    /// Requests the library to print [`place_marker`] with this number.
    Place(u64),
    /// True if all tasks are done.
    Ready(bool),
    /// The line the user typed; `None` at the end of the input.
    Input(Option<String>),
    /// The AsyncResult of what was submitted: by a magic, a call, source or a resubmission.
    AsyncResult(AsyncResultId),
    /// The requested tasks, in order.
    Tasks(Vec<TaskRange>),
    /// The state of an AsyncResult.
    Snapshot(Box<AsyncResultSnapshot>),
    /// An event of a comm; `None` if no event is pending.
    CommEvent(Option<CommEvent>),
    /// The state of a widget; `None` if it is closed.
    CommState(Option<Map<String, Value>>),
    /// Binary values, each with its path in the state (keys and indices).
    CommBuffers(Vec<(Vec<Value>, Buffer)>),
    /// A display of a widget.
    CommDisplay(Display),
    /// The request failed. For a magic, whose caller ends the cell with [`MAGIC_FAILED`], the owner
    /// reports this failure in place of that panic.
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

/// A range of tasks of one AsyncResult.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRange {
    /// The AsyncResult.
    pub id: AsyncResultId,
    /// The first of the tasks.
    pub from: usize,
    /// One past the last; `usize::MAX` for all tasks from `from` on.
    pub to: usize,
}

/// The progress of an AsyncResult.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// The name of the function or magic that was run.
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
    /// The time since submission, or the wall time once ready, in seconds.
    pub elapsed: f64,
    /// The sum of the engines' computing times, in seconds.
    pub serial: f64,
}

/// The message of the panic by which a failed magic ends a cell; the owner reports the magic's
/// failure instead.
pub const MAGIC_FAILED: &str = "phalanx: a magic failed";

/// The state of an AsyncResult at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AsyncResultSnapshot {
    /// The name of the function or magic that was run: `%px`, `execute`, …
    pub name: String,
    /// One per task, in the order of targets.
    pub tasks: Vec<TaskSnapshot>,
    /// The time since submission, or `wall_time` once ready, in seconds.
    pub elapsed: f64,
}

/// One task of an AsyncResult.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSnapshot {
    /// The metadata record, with ipyparallel's keys.
    pub metadata: TaskMetadata,
    /// Its outcome; `None` while pending.
    pub result: Option<Result<(), RemoteFailure>>,
}

/// Metadata of one task; the keys are those of ipyparallel's `client.py`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskMetadata {
    /// The msg_id of the request.
    pub msg_id: Option<MsgId>,
    /// The time the client sent it (client's clock).
    pub submitted: Option<DateTime<Utc>>,
    /// The time the engine started it (engine's clock).
    pub started: Option<DateTime<Utc>>,
    /// The time the engine completed it (engine's clock).
    pub completed: Option<DateTime<Utc>>,
    /// The time the client received the reply (client's clock).
    pub received: Option<DateTime<Utc>>,
    /// The engine's routing identity.
    pub engine_uuid: Option<EngineUuid>,
    /// The engine's id.
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
    /// The execution count of the cell on its engine.
    pub execution_count: Option<u32>,
    /// The failure the engine published.
    pub error: Option<RemoteFailure>,
    /// Text on stdout, with `\r` applied.
    pub stdout: String,
    /// Text on stderr, with `\r` applied.
    pub stderr: String,
    /// Displays, in order.
    pub outputs: Vec<Display>,
    /// The user's label of the task.
    pub label: Option<String>,
    /// The latest values it has published, by name.
    #[serde(default)]
    pub data: BTreeMap<String, Value>,
}

/// The status a task ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// It completed.
    Ok,
    /// It failed.
    Error,
    /// It was aborted before it started.
    Aborted,
}
