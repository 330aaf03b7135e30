//! Failures of cells, tasks and requests, as structured data.
//!
//! The only place that renders a [`Failure`] for users is the kernel's `report/error.rs`.

use crate::exit::RuntimeExit;
use crate::id::{EngineId, MsgId};
use crate::release::ReleaseMismatch;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The number of engines' failures that are shown in full (ipyparallel's
/// `CompositeError.tb_limit`).
pub const TRACEBACK_LIMIT: usize = 4;

/// A failure, with all details that a user needs: its cause, its location, and a remedy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// The source does not compile.
    Compile {
        /// Every error rustc reported.
        diagnostics: Vec<Diagnostic>,
    },
    /// The cell panicked.
    Panic(Panic),
    /// An error left the cell through `?`.
    Error {
        /// The error as `:efmt` formats it.
        message: String,
        /// The location of the `?`, in the format of a panic's, if known.
        #[serde(default)]
        location: Option<String>,
    },
    /// The types of variables no longer exist; the cell did not run.
    VariablesLost {
        /// Their names.
        names: Vec<String>,
    },
    /// The runtime ended while the cell ran; its variables are lost.
    RuntimeDied {
        /// The end of its process.
        status: RuntimeExit,
        /// The variables that are lost with it.
        lost: Vec<String>,
    },
    /// The user interrupted the cell.
    Interrupted {
        /// The variables that are lost with it.
        lost: Vec<String>,
    },
    /// The user interrupted a cell that engines ran.
    EnginesInterrupted {
        /// The failures of the engines that were stopped, or that had not begun.
        stopped: Vec<RemoteFailure>,
        /// Engines that had completed the cell before.
        finished: Vec<EngineId>,
        /// Engines that still run it, as far as known.
        running: Vec<EngineId>,
    },
    /// A request that is invalid as typed: unknown magic, bad option, malformed targets.
    Usage {
        /// A description of the error.
        message: String,
        /// The text to type instead.
        hint: Option<String>,
    },
    /// Connected to a controller without engines.
    NoEngines,
    /// An engine and the kernel are of incompatible versions of Phalanx.
    OtherRelease(ReleaseMismatch),
    /// A failure raised on, or on behalf of, one engine.
    Remote(Box<RemoteFailure>),
    /// The failures of several engines.
    Composite {
        /// The name of the function or magic that was run: `%px`, `execute`, …
        message: String,
        /// One per engine, in engine order.
        failures: Vec<RemoteFailure>,
    },
    /// A timeout.
    Timeout {
        /// A description of what was waited for.
        message: String,
    },
    /// A failure of the environment: a process that does not start, a port in use, a missing
    /// toolchain.
    Environment {
        /// A description of the failure, with the path, port or program.
        message: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// A bug in Phalanx.
    Internal {
        /// A description of the error.
        message: String,
    },
    /// An error of the library that left a cell through `?`.
    Raised {
        /// The error.
        failure: Box<Failure>,
        /// The location of the `?`, in the format of a panic's.
        location: String,
    },
}

/// The kinds of failure that consist of a message, and of a hint for those a user can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// [`Failure::Usage`].
    Usage,
    /// [`Failure::Environment`].
    Environment,
    /// [`Failure::Timeout`], which has no hint of its own.
    Timeout,
    /// [`Failure::Internal`], which has no hint of its own.
    Internal,
}

impl Failure {
    /// Makes a failure that consists of a message. Each crate and folder does so from its own error
    /// type, in whose file the texts are.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl fmt::Display, hint: Option<String>) -> Self {
        let message = message.to_string();
        match kind {
            FailureKind::Usage => Self::Usage { message, hint },
            FailureKind::Environment => Self::Environment { message, hint },
            FailureKind::Timeout => Self::Timeout { message },
            FailureKind::Internal => Self::Internal { message },
        }
    }

    /// Returns the failure without the location at which it left a cell.
    #[must_use]
    pub fn unplaced(&self) -> &Self {
        match self {
            Self::Raised { failure, .. } => failure.unplaced(),
            failure => failure,
        }
    }

    /// Combines the failures of several tasks: a single one is returned by itself, several as a
    /// [`Composite`](Self::Composite), none as `None`. `name` is the name of the function or magic
    /// that was run.
    pub fn composite(name: &str, mut failures: Vec<RemoteFailure>) -> Option<Self> {
        match failures.len() {
            0 => None,
            1 => failures.pop().map(Box::new).map(Self::Remote),
            _ => Some(Self::Composite {
                message: name.to_owned(),
                failures,
            }),
        }
    }
}

/// A panic, located in the cell if possible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panic {
    /// The panic's message.
    pub message: String,
    /// `file:line:column`, as reported by the panic hook.
    pub location: Option<String>,
}

/// The file name of compiled cells in the locations of panics.
const COMPILED: &str = "src/lib.rs:";

/// The separator between a location in that file and the library compiled from it.
const OF: &str = " of ";

impl Panic {
    /// Adds the library to a location that is in its source and not in the cell that ran; `library`
    /// is a path or a hash.
    #[must_use]
    pub fn of_library(mut self, library: &str) -> Self {
        if let Some(location) = &mut self.location
            && location.starts_with(COMPILED)
        {
            location.push_str(OF);
            location.push_str(library);
        }
        self
    }

    /// The line (from 1) and the library of a location made by [`of_library`](Self::of_library).
    pub fn in_library(location: &str) -> Option<(usize, &str)> {
        let (place, library) = location.strip_prefix(COMPILED)?.split_once(OF)?;
        let (line, _) = place.split_once(':')?;
        Some((line.parse().ok()?, library))
    }
}

/// A failure in the form used in messages, with the engine it belongs to.
///
/// `ename`s are those of ipyparallel's `error.py`, and our own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteFailure {
    /// The stable error name: `Panic`, `EngineError`, `TaskAborted`, …
    pub ename: String,
    /// The message.
    pub evalue: String,
    /// The lines of the traceback, without colours.
    pub traceback: Vec<String>,
    /// The engine, if one was involved.
    pub engine: Option<EngineId>,
    /// The task.
    pub msg_id: Option<MsgId>,
    /// `execute` or `apply`.
    pub method: String,
}

impl fmt::Display for RemoteFailure {
    /// Formats as ipyparallel does: `[0:execute]Panic: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.engine {
            Some(engine) => write!(f, "[{engine}:{}]", self.method)?,
            None => f.write_str("[Engine Exception]")?,
        }
        write!(f, "{}: {}", self.ename, self.evalue)
    }
}

/// An error of rustc, in the coordinates of the cell's source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The message.
    pub message: String,
    /// rustc's code, such as `E0382`.
    pub code: Option<String>,
    /// The spans, the primary one first.
    pub spans: Vec<DiagnosticSpan>,
    /// Notes and suggestions.
    pub help: Vec<String>,
    /// rustc's own rendering, for errors that are not in the user's code. It contains
    /// [`EARLIER_ITEM`] in the place of the file, if it is in an item of an earlier cell.
    pub rendered: Option<String>,
    /// The item of an earlier cell that the error is in.
    #[serde(default)]
    pub earlier: Option<EarlierItem>,
}

/// The name of the file in errors in items of earlier cells, until their cell is known.
pub const EARLIER_ITEM: &str = "an item of an earlier cell";

/// An item of an earlier cell, with an error that it did not have before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EarlierItem {
    /// Its lines, as far as the one with the error.
    pub lines: String,
    /// The names in it.
    pub names: BTreeSet<String>,
}

/// A range in the cell's source; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DiagnosticSpan {
    /// First line.
    pub start_line: usize,
    /// First column.
    pub start_column: usize,
    /// Last line.
    pub end_line: usize,
    /// One past the last column.
    pub end_column: usize,
    /// The note at the span.
    pub label: String,
    /// True for the location of the error, false for a related span.
    pub primary: bool,
}
