//! Between a runtime process and its owner, over the runtime's control socket.

use crate::failure::Panic;
use crate::id::RunId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Owner to runtime.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RuntimeRequest {
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
}

/// Runtime to owner.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum RuntimeReply {
    /// The process is up.
    Ready,
    /// A library was loaded.
    Loaded,
    /// A library could not be loaded; nothing ran.
    LoadFailed {
        /// The run it was for, if any.
        run: Option<RunId>,
        /// What the loader said.
        message: String,
    },
    /// The entry function returned, and its output is flushed to both pipes.
    Ended {
        /// Which run.
        run: RunId,
    },
}

/// How a run of a compiled cell ended, as the owner learns it.
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
    },
    /// These variables had changed type; the cell did not run.
    VariablesLost(Vec<String>),
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
    /// cell did not run, so there is no such state and the engine keeps the one it had.
    pub fn after(next: &Self, outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Completed => Some(next.clone()),
            Outcome::Panicked(_) => Some(Self::new(format!("{next}~panicked"))),
            Outcome::Errored { .. } => Some(Self::new(format!("{next}~error"))),
            Outcome::Died { .. } => Some(Self::new(format!("{next}~died"))),
            Outcome::VariablesLost(_) => None,
        }
    }
}
