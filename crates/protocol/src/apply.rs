//! What the `phalanx` library asks of its owner about functions, engines and the hub.

use crate::id::{AsyncResultId, EngineId, MsgId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Calls a function on engines: answered with the AsyncResult, or with what came of the tasks once all
/// have ended. Raw frames follow, the arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// What the AsyncResult is called: the function's name.
    pub name: String,
    /// The library of the function.
    pub artifact: PathBuf,
    /// Where in the library it is.
    pub offset: u64,
    /// Who calls it.
    pub placement: ApplyPlacement,
    /// How many raw frames follow: one for all tasks, or one for each.
    pub args: usize,
    /// How many items each task stands for; empty where each is one.
    pub sizes: Vec<usize>,
    /// The user's name for the tasks.
    pub label: Option<String>,
    /// What of the engines' namespaces the arguments refer to: names or expressions.
    pub references: Vec<String>,
    /// What the call puts into the engines' namespaces.
    pub pushes: Vec<Pushed>,
    /// Whether what came of the tasks is waited for.
    pub wait: bool,
}

/// A name put into the engines' namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The name.
    pub name: String,
    /// Its type, as `std::any::type_name` has it.
    pub type_name: String,
}

/// Which engines call a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ApplyPlacement {
    /// These, one task each.
    Engines(Vec<EngineId>),
    /// Those the scheduler chooses.
    Balanced {
        /// How many tasks.
        tasks: usize,
        /// What the scheduler heeds.
        heeds: Heeds,
    },
}

/// What the scheduler heeds when it places a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heeds {
    /// The engines it may choose among; none means all.
    pub targets: Vec<EngineId>,
    /// Tasks that must have ended before.
    pub after: Dependency,
    /// Tasks on whose engine it must run.
    pub follow: Dependency,
    /// Seconds it may wait for these; 0 for any.
    pub timeout: f64,
    /// How often it is tried again after a failure.
    pub retries: u32,
}

/// On other tasks; the fields and their meanings are ipyparallel's (`dependency.py`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Which.
    pub dependencies: Vec<MsgId>,
    /// Whether all of them count, or any one.
    pub all: bool,
    /// Whether a success counts.
    pub success: bool,
    /// Whether a failure counts.
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

/// What is asked of the client of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientRequest {
    /// The engines' ids: answered with [`HostReply::Engines`](crate::host::HostReply::Engines).
    Engines,
    /// Starts engines on this machine: answered with the ids.
    Start {
        /// How many; one a core if not given.
        engines: Option<usize>,
    },
    /// Ends the cluster.
    Stop,
    /// Waits for engines: answered with the ids.
    WaitForEngines {
        /// How many.
        engines: usize,
        /// Seconds; `None` waits a minute.
        timeout: Option<f64>,
    },
    /// Runs source on engines, as `%px --noblock` does: answered with the AsyncResult.
    Execute {
        /// The source.
        source: String,
        /// Where.
        engines: Vec<EngineId>,
    },
    /// Sends engines a signal, by number.
    Signal {
        /// Which signal.
        signal: i32,
        /// Where.
        engines: Vec<EngineId>,
    },
    /// Makes engines forget everything.
    Clear {
        /// Which.
        engines: Vec<EngineId>,
    },
    /// Ends engines.
    Shutdown {
        /// Which.
        engines: Vec<EngineId>,
        /// Whether the controller ends too.
        hub: bool,
    },
    /// What engines have to do: answered with JSON.
    QueueStatus {
        /// Which; none means all.
        engines: Vec<EngineId>,
        /// Whether ids are wanted instead of counts.
        verbose: bool,
    },
    /// Which tasks have ended: answered with JSON.
    ResultStatus {
        /// Which tasks.
        tasks: Vec<MsgId>,
    },
    /// The tasks of all clients: answered with JSON.
    HubHistory,
    /// Records of tasks: answered with JSON.
    DbQuery {
        /// A query of MongoDB's kind.
        query: Map<String, Value>,
        /// Which keys; `None` for all but the buffers.
        keys: Option<Vec<String>>,
    },
    /// The results of tasks, this session's or anybody's: answered with the AsyncResult.
    GetResult {
        /// Which tasks.
        tasks: Vec<MsgId>,
    },
    /// Runs tasks again: answered with the AsyncResult.
    Resubmit {
        /// Which tasks.
        tasks: Vec<MsgId>,
    },
    /// Makes the hub forget results.
    Purge {
        /// Which tasks; none and no engines means all.
        tasks: Vec<MsgId>,
        /// Of which engines.
        engines: Vec<EngineId>,
    },
    /// Makes the kernel forget the results it holds.
    PurgeLocal {
        /// Which; none means all that are ready.
        results: Vec<AsyncResultId>,
    },
    /// The tasks this session has submitted, in order: answered with JSON.
    History,
    /// Those of them that have not ended: answered with JSON.
    Outstanding,
    /// Drops tasks that have not begun.
    Abort {
        /// Which; none means all.
        tasks: Vec<MsgId>,
        /// On which engines; none means on any.
        #[serde(default)]
        engines: Vec<EngineId>,
    },
    /// Waits until tasks have ended: answered with [`HostReply::Ready`](crate::host::HostReply::Ready).
    Wait {
        /// Which; none means all of this session.
        tasks: Vec<MsgId>,
        /// Seconds; `None` waits for ever.
        timeout: Option<f64>,
    },
}
