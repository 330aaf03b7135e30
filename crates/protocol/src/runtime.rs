//! Messages between a runtime process and its owner, over the runtime's control socket.

use crate::exit::RuntimeExit;
use crate::failure::{Failure, Panic};
use crate::id::RunId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The prefix of the names of crates that contain the dependencies of cells.
pub const SHARED_LIBRARY_PREFIX: &str = "phalanx_set_";

/// The prefix of the symbols of statics that cells share.
pub const STATIC_PREFIX: &str = "phalanx_static_";

/// Exported by the library of a cell that shares statics; the loader must make them visible to all
/// later libraries.
pub const SHARED_STATICS_SYMBOL: &str = "phalanx_cell_statics";

/// The section in a library of dependencies that lists the crates whose statics depend on threads,
/// which a snapshot does not have; separated by spaces.
pub const KNOWING_THREADS_SECTION: &str = ".phalanx.threads";

/// A request from the owner to a snapshot, which takes [`RuntimeRequest`]s once it is awake.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum SnapshotRequest {
    /// Makes it take over. The reply is [`RuntimeReply::Ready`].
    Wake,
}

/// A request from the owner to the runtime.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RuntimeRequest {
    /// Applies a setting; there is no reply.
    Set(Setting),
    /// Loads a library that cells need (libstd) before any of them, with global symbols.
    Load {
        /// The file.
        library: PathBuf,
    },
    /// Loads a compiled cell and runs it.
    Run {
        /// Identifies this run in markers and replies.
        run: RunId,
        /// The compiled cell.
        artifact: PathBuf,
        /// Its entry function.
        entry: String,
    },
    /// Runs the callbacks for an event of a comm, which the code requests from its owner.
    RunCallbacks {
        /// Identifies this run in markers and replies.
        run: RunId,
    },
    /// Reports that the owner has opened the file that a reply referred to, so that the runtime
    /// closes it; such replies are reported in their order.
    ValueOpened,
    /// Enables or disables snapshots.
    Snapshots {
        /// True to keep a snapshot.
        on: bool,
    },
    /// Loads a library and calls a function of it; the arguments follow as a raw frame.
    Call {
        /// Identifies this run in markers and replies.
        run: RunId,
        /// The library.
        artifact: PathBuf,
        /// The offset in the library of the function, a [`Trampoline`](crate::native::Trampoline).
        offset: u64,
    },
}

/// A setting of the process that is visible to cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Setting {
    /// The working directory.
    Folder(PathBuf),
    /// An environment variable.
    Variable {
        /// The name: not empty, without `=` and NUL.
        name: String,
        /// The value: without NUL.
        value: String,
    },
}

/// A reply from the runtime to its owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RuntimeReply {
    /// The process has started, or a snapshot has taken over.
    Ready {
        /// The process id.
        pid: u32,
    },
    /// The first message on a connection of its own, sent by a new snapshot that holds the current
    /// state and waits at the other end. It replaces the previous snapshot.
    Asleep {
        /// The process id.
        pid: u32,
        /// The number of snapshots that the runtime's processes have taken, including this one. The
        /// snapshot with the highest number is the newest.
        number: u32,
        /// The last run whose effects it includes.
        after: Option<RunId>,
        /// The processes started by cells.
        children: Vec<u32>,
        /// Threads that existed and were waiting; a snapshot does not have them.
        threads: Vec<String>,
    },
    /// No snapshot could be taken, and the previous one is out of date.
    Unprotected {
        /// The last run.
        after: Option<RunId>,
        /// The reason.
        why: NoSnapshot,
    },
    /// A library has been loaded.
    Loaded,
    /// A library could not be loaded; nothing has run.
    LoadFailed {
        /// The run it was for, if any.
        run: Option<RunId>,
        /// The loader's message.
        message: String,
    },
    /// The function has returned, which ends its run; the value follows as a raw frame.
    Called {
        /// The run.
        run: RunId,
        /// True if the call has changed the engine's namespace. A new snapshot follows then;
        /// otherwise the present one remains valid.
        changed: bool,
        /// The number of bytes written to stdout and stderr by then, modulo 2³².
        written: [u32; 2],
    },
    /// A call was recalled before it started.
    Recalled {
        /// The run.
        run: RunId,
    },
    /// The entry function has returned, and its output has been flushed to both pipes.
    Ended {
        /// The run.
        run: RunId,
    },
}

/// The reason why a runtime has no snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NoSnapshot {
    /// The user has disabled snapshots.
    Off,
    /// These threads were running; a fork has only the thread that forks.
    Threads(Vec<String>),
    /// The system call failed.
    Failed(String),
}

/// A request from the owner to the supervisor of the runtime.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SupervisorRequest {
    /// Kills a runtime process.
    Kill {
        /// The process.
        pid: u32,
    },
    /// Kills the processes that an exited runtime process has started since its snapshot was taken.
    Settle {
        /// The snapshot.
        snapshot: u32,
        /// The processes that had been started before.
        spared: Vec<u32>,
    },
}

/// A message from the supervisor to the owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SupervisorReply {
    /// A child process has exited.
    Ended {
        /// The process.
        pid: u32,
        /// Its wait status.
        status: i32,
    },
    /// [`SupervisorRequest::Settle`] has been completed.
    Settled,
}

/// The outcome of a run of a compiled cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// The cell completed; new variables are stored.
    Completed,
    /// The cell panicked; earlier variables are kept, unless it had moved them.
    Panicked(Panic),
    /// An error left the cell through `?`; new variables are dropped.
    Errored {
        /// The error's text.
        message: String,
        /// The error's structure, if it is the library's.
        failure: Option<Box<Failure>>,
        /// The location of the `?`, if known.
        location: Option<String>,
    },
    /// The cell returned early; new variables are dropped.
    Returned,
    /// The types of these variables had changed; the cell did not run.
    VariablesLost(Vec<String>),
    /// The process ended, and a snapshot took over: the state is that before the cell.
    Abandoned {
        /// The end of the process.
        status: RuntimeExit,
    },
    /// The process ended; all variables are lost.
    Died {
        /// The end of the process.
        status: RuntimeExit,
    },
}

impl crate::id::StateId {
    /// The state of an engine after a cell that was compiled towards `next` has ended in `outcome`.
    ///
    /// Both sides derive the same id, so that it need not be exchanged. `None` if the engine keeps
    /// its previous state: a cell with lost variables did not run, and an abandoned one has no
    /// effects.
    pub fn after(next: &Self, outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Completed => Some(next.clone()),
            Outcome::Panicked(_) => Some(Self::new(format!("{next}~panicked"))),
            Outcome::Errored { .. } => Some(Self::new(format!("{next}~error"))),
            Outcome::Returned => Some(Self::new(format!("{next}~returned"))),
            Outcome::Died { .. } => Some(Self::new(format!("{next}~died"))),
            Outcome::VariablesLost(_) | Outcome::Abandoned { .. } => None,
        }
    }
}
