//! Requests of the `phalanx` library to its owner about functions, engines and the hub.

use crate::id::{AsyncResultId, EngineId, MsgId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Calls a function on engines. The reply is the AsyncResult, or with `wait` the outcomes of the
/// tasks once all have ended. The arguments follow as raw frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// The name of the AsyncResult: the function's name.
    pub name: String,
    /// The library of the function.
    pub artifact: PathBuf,
    /// The function's offset in the library.
    pub offset: u64,
    /// The engines that call it.
    pub placement: ApplyPlacement,
    /// The number of raw frames that follow: one for all tasks, or one for each.
    pub args: usize,
    /// The number of items of each task; empty if each is one.
    pub sizes: Vec<usize>,
    /// The user's label of the tasks.
    pub label: Option<String>,
    /// The names or expressions in the engines' namespaces to which the arguments refer.
    pub references: Vec<String>,
    /// The names the call defines in the engines' namespaces.
    pub pushes: Vec<PushedName>,
    /// True to wait for the outcomes of the tasks.
    pub wait: bool,
}

/// A name stored in the engines' namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedName {
    /// The name.
    pub name: String,
    /// The name of its type, as returned by `std::any::type_name`.
    pub type_name: String,
}

/// The placement of a function call on engines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ApplyPlacement {
    /// One task on each of these engines.
    Engines(Vec<EngineId>),
    /// On engines chosen by the scheduler.
    Balanced {
        /// The number of tasks.
        tasks: usize,
        /// The conditions that the scheduler observes.
        conditions: SchedulingOptions,
    },
}

/// The conditions under which the scheduler places a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchedulingOptions {
    /// The engines it may choose among; empty for all.
    pub targets: Vec<EngineId>,
    /// Tasks that must have ended before it starts.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// The time it may wait for its dependencies, in seconds; 0 for no limit.
    pub timeout: f64,
    /// The number of retries after a failure.
    pub retries: u32,
    /// True to run it even if its client disconnects before it has started.
    pub detached: bool,
}

/// A dependency on other tasks; the fields have the meanings of ipyparallel's (`dependency.py`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// The tasks it depends on.
    pub dependencies: Vec<MsgId>,
    /// True if all of them must have ended, false if any one suffices.
    pub all: bool,
    /// True if a successful task satisfies the dependency.
    pub success: bool,
    /// True if a failed task satisfies the dependency.
    pub failure: bool,
}

impl Default for Dependency {
    fn default() -> Self {
        Self {
            dependencies: Vec::new(),
            all: true,
            success: true,
            failure: false,
        }
    }
}

/// A request about the session's cluster, its engines and the hub, other than a call. Without a
/// reply named here, it is [`HostReply::Done`](crate::host::HostReply::Done).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientRequest {
    /// Requests the ids of the engines; the reply is
    /// [`HostReply::Engines`](crate::host::HostReply::Engines).
    Engines,
    /// Requests the ids of the engines, of which there must be one: without any, the reply is the
    /// failure that says why.
    RequireEngines,
    /// Starts engines on this machine; the reply contains their ids.
    Start {
        /// The number of engines; one per core if `None`.
        engines: Option<usize>,
    },
    /// Stops the cluster.
    Stop,
    /// Waits for engines; the reply contains their ids.
    WaitForEngines {
        /// The number of engines.
        engines: usize,
        /// The timeout in seconds; one minute if `None`.
        timeout: Option<f64>,
    },
    /// Runs source on engines, as `%px --noblock` does; the reply is the AsyncResult.
    Execute {
        /// The source.
        source: String,
        /// The engines.
        engines: Vec<EngineId>,
    },
    /// Sends a signal to engines.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// The engines.
        engines: Vec<EngineId>,
    },
    /// Clears the engines' namespaces.
    Clear {
        /// The engines.
        engines: Vec<EngineId>,
    },
    /// Shuts down engines.
    Shutdown {
        /// The engines.
        engines: Vec<EngineId>,
        /// True to shut down the controller as well.
        hub: bool,
    },
    /// Requests the completed and pending tasks of engines; the reply is
    /// [`HostReply::QueueStatus`](crate::host::HostReply::QueueStatus).
    QueueStatus {
        /// The engines; empty for all.
        engines: Vec<EngineId>,
        /// True for ids instead of counts.
        verbose: bool,
    },
    /// Requests the status of tasks; the reply is
    /// [`HostReply::ResultStatus`](crate::host::HostReply::ResultStatus).
    ResultStatus {
        /// The tasks.
        tasks: Vec<MsgId>,
    },
    /// Requests the tasks of all clients; the reply is
    /// [`HostReply::MsgIds`](crate::host::HostReply::MsgIds).
    HubHistory,
    /// Requests records of tasks; the reply is
    /// [`HostReply::Records`](crate::host::HostReply::Records).
    DbQuery {
        /// The query, in MongoDB's syntax: the user's own, which the hub alone parses.
        query: Map<String, Value>,
        /// The keys; `None` for all but the buffers.
        keys: Option<Vec<String>>,
    },
    /// Requests the results of tasks of any session; the reply is
    /// [`HostReply::Tasks`](crate::host::HostReply::Tasks).
    GetResult {
        /// The tasks.
        tasks: Vec<MsgId>,
    },
    /// Resubmits tasks; the reply is the AsyncResult.
    Resubmit {
        /// The tasks.
        tasks: Vec<MsgId>,
    },
    /// Deletes results from the hub.
    Purge {
        /// The tasks; all if both fields are empty.
        tasks: Vec<MsgId>,
        /// The engines whose tasks are purged.
        engines: Vec<EngineId>,
    },
    /// Deletes results held by the kernel.
    PurgeLocal {
        /// The results; empty for all finished ones.
        results: Vec<AsyncResultId>,
    },
    /// Requests the tasks submitted by this session, in order; the reply is
    /// [`HostReply::MsgIds`](crate::host::HostReply::MsgIds).
    History,
    /// Requests the pending tasks of this session; the reply is
    /// [`HostReply::MsgIds`](crate::host::HostReply::MsgIds).
    Outstanding,
    /// Aborts tasks that have not started.
    Abort {
        /// The tasks; empty for all.
        tasks: Vec<MsgId>,
        /// The engines they are on; empty for any.
        #[serde(default)]
        engines: Vec<EngineId>,
    },
    /// Waits until tasks have ended; the reply is
    /// [`HostReply::Ready`](crate::host::HostReply::Ready).
    Wait {
        /// The tasks; empty for all of this session.
        tasks: Vec<MsgId>,
        /// The timeout in seconds; `None` for no limit.
        timeout: Option<f64>,
    },
}

/// A number of tasks, or their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Tasks {
    /// Their number.
    Count(usize),
    /// Their ids.
    Ids(Vec<MsgId>),
}

impl Tasks {
    /// The number of tasks.
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::Ids(ids) => ids.len(),
        }
    }

    /// The ids of the tasks; `None` if only their number is known.
    pub fn into_ids(self) -> Option<Vec<MsgId>> {
        match self {
            Self::Count(_) => None,
            Self::Ids(ids) => Some(ids),
        }
    }
}

/// The completed and pending tasks of all engines: their number (`usize`), their ids
/// (`Vec<MsgId>`), or one of the two ([`Tasks`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus<T = usize> {
    /// The tasks by engine.
    pub engines: BTreeMap<EngineId, EngineQueue<T>>,
    /// Load-balanced tasks that are not yet assigned to an engine.
    pub unassigned: T,
}

/// The completed and pending tasks of one engine: their number, or their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineQueue<T = usize> {
    /// Pending direct tasks.
    pub queue: T,
    /// Completed tasks.
    pub completed: T,
    /// Pending load-balanced tasks.
    pub tasks: T,
}

impl QueueStatus<Tasks> {
    /// Converts every entry; `None` if one cannot be converted.
    pub fn convert<T>(self, entry: impl Fn(Tasks) -> Option<T>) -> Option<QueueStatus<T>> {
        let engine = |(id, queue): (EngineId, EngineQueue<Tasks>)| {
            let queue = EngineQueue {
                queue: entry(queue.queue)?,
                completed: entry(queue.completed)?,
                tasks: entry(queue.tasks)?,
            };
            Some((id, queue))
        };
        Some(QueueStatus {
            engines: self
                .engines
                .into_iter()
                .map(engine)
                .collect::<Option<_>>()?,
            unassigned: entry(self.unassigned)?,
        })
    }
}

/// The pending and completed ones of several tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultStatus {
    /// The tasks that have not ended.
    pub pending: Vec<MsgId>,
    /// The tasks that have ended.
    pub completed: Vec<MsgId>,
}
