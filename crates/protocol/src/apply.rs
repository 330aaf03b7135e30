//! Requests of the `phalanx` library to its owner about functions, engines and the hub.

use crate::id::{AsyncResultId, EngineId, MsgId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Calls a function on engines: answered with the AsyncResult, or with what came of the tasks once all
/// have ended. Raw frames follow, the arguments.
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
    /// The user's name for the tasks.
    pub label: Option<String>,
    /// The names or expressions in the engines' namespaces to which the arguments refer.
    pub references: Vec<String>,
    /// The names the call defines in the engines' namespaces.
    pub pushes: Vec<PushedName>,
    /// True if the outcomes of the tasks are awaited.
    pub wait: bool,
}

/// A name put into the engines' namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedName {
    /// The name.
    pub name: String,
    /// Its type, as `std::any::type_name` has it.
    pub type_name: String,
}

/// The engines that call a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ApplyPlacement {
    /// These, one task each.
    Engines(Vec<EngineId>),
    /// Those the scheduler chooses.
    Balanced {
        /// The number of tasks.
        tasks: usize,
        /// The conditions for the scheduler.
        conditions: PlacementConditions,
    },
}

/// The conditions under which the scheduler places a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlacementConditions {
    /// The engines it may choose among; none means all.
    pub targets: Vec<EngineId>,
    /// Tasks that must have ended before.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// Seconds it may wait for these; 0 for any.
    pub timeout: f64,
    /// The number of times it is tried again after a failure.
    pub retries: u32,
    /// True if it is to run even if its client has gone before it began.
    pub detached: bool,
}

/// On other tasks; the fields and their meanings are ipyparallel's (`dependency.py`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// The tasks it depends on.
    pub dependencies: Vec<MsgId>,
    /// True if all of them count, false if any one does.
    pub all: bool,
    /// True if a success counts.
    pub success: bool,
    /// True if a failure counts.
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

/// A request to the client of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientRequest {
    /// The engines' ids: answered with [`HostReply::Engines`](crate::host::HostReply::Engines).
    Engines,
    /// Starts engines on this machine: answered with the ids.
    Start {
        /// The number of engines; one per core if not given.
        engines: Option<usize>,
    },
    /// Ends the cluster.
    Stop,
    /// Waits for engines: answered with the ids.
    WaitForEngines {
        /// The number of engines.
        engines: usize,
        /// Seconds; `None` waits a minute.
        timeout: Option<f64>,
    },
    /// Runs source on engines, as `%px --noblock` does: answered with the AsyncResult.
    Execute {
        /// The source.
        source: String,
        /// The engines.
        engines: Vec<EngineId>,
    },
    /// Sends engines a signal, by number.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// The engines.
        engines: Vec<EngineId>,
    },
    /// Makes engines forget everything.
    Clear {
        /// The engines.
        engines: Vec<EngineId>,
    },
    /// Ends engines.
    Shutdown {
        /// The engines.
        engines: Vec<EngineId>,
        /// True if the controller ends too.
        hub: bool,
    },
    /// Asks for the tasks engines have to do: answered with JSON.
    QueueStatus {
        /// The engines; empty for all.
        engines: Vec<EngineId>,
        /// True for ids instead of counts.
        verbose: bool,
    },
    /// Asks which tasks have ended: answered with JSON.
    ResultStatus {
        /// The tasks.
        tasks: Vec<MsgId>,
    },
    /// The tasks of all clients: answered with JSON.
    HubHistory,
    /// Records of tasks: answered with JSON.
    DbQuery {
        /// A query of MongoDB's kind.
        query: Map<String, Value>,
        /// The keys; `None` for all but the buffers.
        keys: Option<Vec<String>>,
    },
    /// The results of tasks, this session's or anybody's: answered with the AsyncResult.
    GetResult {
        /// The tasks.
        tasks: Vec<MsgId>,
    },
    /// Runs tasks again: answered with the AsyncResult.
    Resubmit {
        /// The tasks.
        tasks: Vec<MsgId>,
    },
    /// Makes the hub forget results.
    Purge {
        /// The tasks; empty, without engines, for all.
        tasks: Vec<MsgId>,
        /// Of which engines.
        engines: Vec<EngineId>,
    },
    /// Makes the kernel forget the results it holds.
    PurgeLocal {
        /// The results; empty for all that are ready.
        results: Vec<AsyncResultId>,
    },
    /// The tasks this session has submitted, in order: answered with JSON.
    History,
    /// Those of them that have not ended: answered with JSON.
    Outstanding,
    /// Drops tasks that have not begun.
    Abort {
        /// The tasks; empty for all.
        tasks: Vec<MsgId>,
        /// On which engines; none means on any.
        #[serde(default)]
        engines: Vec<EngineId>,
    },
    /// Waits until tasks have ended: answered with [`HostReply::Ready`](crate::host::HostReply::Ready).
    Wait {
        /// The tasks; empty for all of this session.
        tasks: Vec<MsgId>,
        /// Seconds; `None` waits for ever.
        timeout: Option<f64>,
    },
}
