//! Between a runtime process and its owner, over the runtime's control socket.

use crate::failure::{Failure, Panic};
use crate::id::RunId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The beginning of the names of the crates that hold the dependencies of cells.
pub const SHARED_LIBRARY_PREFIX: &str = "phalanx_set_";

/// The beginning of the symbols under which cells share their statics.
pub const STATIC_PREFIX: &str = "phalanx_static_";

/// Exported by the library of a cell that shares statics: the loader has to let all later ones see them.
pub const SHARED_STATICS_SYMBOL: &str = "phalanx_cell_statics";

/// The section of a library of dependencies that names the crates whose statics know of threads, which a
/// snapshot does not have; separated by spaces.
pub const KNOWING_THREADS_SECTION: &str = ".phalanx.threads";

/// Owner to runtime.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RuntimeRequest {
    /// Takes over a setting; not answered.
    Set(Setting),
    /// Loads a library that cells need (libstd) before any of them, globally.
    Load {
        /// The file.
        library: PathBuf,
    },
    /// Loads a compiled cell and runs it.
    Run {
        /// Names this run in markers and answers.
        run: RunId,
        /// The compiled cell.
        artifact: PathBuf,
        /// Its entry function.
        entry: String,
    },
    /// Lets the code hear what frontends have done with its comms: it asks its owner.
    Hear {
        /// Names this run in markers and answers.
        run: RunId,
    },
    /// To a snapshot: take over. Answered with [`RuntimeReply::Ready`].
    Wake,
    /// The owner has opened the references returned by the first of the calls that returned any.
    Taken,
    /// Takes snapshots from now on, or does without.
    Snapshots {
        /// True to keep one.
        on: bool,
    },
    /// Loads a library and calls a function of it; a raw frame follows, its arguments.
    Call {
        /// Names this run in markers and answers.
        run: RunId,
        /// The library.
        artifact: PathBuf,
        /// Bytes from the library's base to the function, a [`Trampoline`](crate::native::Trampoline).
        offset: u64,
    },
}

/// Something of the process that cells see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Setting {
    /// The working folder.
    Folder(PathBuf),
    /// An environment variable.
    Variable {
        /// Its name: not empty, without `=` and NUL.
        name: String,
        /// Its value: without NUL.
        value: String,
    },
}

/// Runtime to owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RuntimeReply {
    /// The process is up, or a snapshot has taken over.
    Ready {
        /// Its process id.
        pid: u32,
    },
    /// The first word on a connection of its own: a snapshot sleeps at its other end, which holds
    /// everything as it is now. It replaces the one before.
    Asleep {
        /// Its process id.
        pid: u32,
        /// The number of snapshots the runtime's processes had taken with it. One with a higher
        /// number is newer.
        number: u32,
        /// The last run whose effects it has.
        after: Option<RunId>,
        /// The processes that cells had started.
        children: Vec<u32>,
        /// Threads that were there and waited; a snapshot does not have them.
        threads: Vec<String>,
    },
    /// No snapshot could be taken; the one before is out of date.
    Unprotected {
        /// The last run.
        after: Option<RunId>,
        /// The reason.
        why: NoSnapshot,
    },
    /// A library was loaded.
    Loaded,
    /// A library could not be loaded; nothing ran.
    LoadFailed {
        /// The run it was for, if any.
        run: Option<RunId>,
        /// The loader's message.
        message: String,
    },
    /// The function returned, and its run is over; a raw frame follows, what it gave back.
    Called {
        /// The run.
        run: RunId,
        /// True if it has changed the engine's namespace. A snapshot follows then; otherwise the
        /// present one remains valid.
        changed: bool,
        /// Bytes that had been written to stdout and stderr by then, modulo 2³².
        written: [u32; 2],
    },
    /// A call was taken back before it had begun.
    Recalled {
        /// The run.
        run: RunId,
    },
    /// The entry function returned, and its output is flushed to both pipes.
    Ended {
        /// The run.
        run: RunId,
    },
}

/// The reason why a runtime has no snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NoSnapshot {
    /// The user does not want one.
    Off,
    /// These threads were at work; a copy of a process has but the one that copies.
    Threads(Vec<String>),
    /// The system refused.
    Failed(String),
}

/// Owner to the process above the runtime.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SupervisorRequest {
    /// Ends a runtime process.
    Kill {
        /// The process.
        pid: u32,
    },
    /// Ends what a runtime process that is gone has started since its snapshot was taken.
    Settle {
        /// The snapshot.
        snapshot: u32,
        /// The processes that had been started before.
        spared: Vec<u32>,
    },
}

/// The process above the runtime to its owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum SupervisorReply {
    /// A child has ended.
    Ended {
        /// The process.
        pid: u32,
        /// Its wait status.
        status: i32,
    },
    /// [`SupervisorRequest::Settle`] is done.
    Settled,
}

/// The outcome of a run of a compiled cell, as the owner learns it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Ran to its end; new variables are stored.
    Completed,
    /// Panicked; variables from before the cell that it had not moved are kept.
    Panicked(Panic),
    /// An error left it through `?`; new variables are dropped.
    Errored {
        /// The error's text.
        message: String,
        /// The error's structure, if it is the library's.
        failure: Option<Box<Failure>>,
        /// The place of the `?`, where it is known.
        location: Option<String>,
    },
    /// It returned before its end; new variables are dropped.
    Returned,
    /// These variables had changed type; the cell did not run.
    VariablesLost(Vec<String>),
    /// The process ended, and a snapshot took over: everything is as it was before the cell.
    Abandoned {
        /// `signal 11 (SIGSEGV)`, `exit status 3`, …
        status: String,
    },
    /// The process ended; all variables are gone.
    Died {
        /// `signal 11 (SIGSEGV)`, `exit status 3`, …
        status: String,
    },
}

impl crate::id::StateId {
    /// The state of an engine in which a cell compiled towards `next` ended in `outcome`.
    ///
    /// Both sides derive it alike, so no names need to be exchanged. Lost variables mean that the
    /// cell did not run, an abandoned cell has left nothing behind: there is no such state then, and
    /// the engine keeps the one it had.
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
