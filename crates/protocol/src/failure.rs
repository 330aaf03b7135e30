//! Failures of cells, tasks and requests: structure, never rendered text.
//!
//! The one place that turns a [`Failure`] into what a user reads is the kernel's `report/error.rs`.

use crate::id::{EngineId, MsgId};
use crate::release::ReleaseMismatch;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of failures of several engines that are shown in full (`CompositeError.tb_limit`).
pub const TRACEBACK_LIMIT: usize = 4;

/// A failure, with everything a user needs to know: what failed, where, and the remedy.
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
        /// The place of the `?`, as a panic's, where it is known.
        #[serde(default)]
        location: Option<String>,
    },
    /// Variables had types that no longer exist; the cell did not run.
    VariablesLost {
        /// Their names.
        names: Vec<String>,
    },
    /// The runtime ended while the cell ran; its variables are gone.
    RuntimeDied {
        /// The system's description: `signal 11 (SIGSEGV)`, `exit status 3`.
        status: String,
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
        /// The failures of the engines that were stopped.
        stopped: Vec<RemoteFailure>,
        /// Those that were done before.
        finished: Vec<EngineId>,
        /// Those that still run it, as far as is known.
        running: Vec<EngineId>,
    },
    /// A request that cannot be carried out as typed: unknown magic, bad option, malformed targets.
    Usage {
        /// The fault.
        message: String,
        /// The text to type instead.
        hint: Option<String>,
    },
    /// Connected to a controller, but there are no engines.
    NoEngines,
    /// An engine and the kernel are of versions of Phalanx that do not understand each other.
    OtherRelease(ReleaseMismatch),
    /// A failure raised on, or in the name of, one engine.
    Remote(Box<RemoteFailure>),
    /// Failures of several engines as one.
    Composite {
        /// The name of what was run: `%px`, `execute`, …
        message: String,
        /// One per engine, in engine order.
        failures: Vec<RemoteFailure>,
    },
    /// Not ready in time.
    Timeout {
        /// The thing that was waited for.
        message: String,
    },
    /// Something outside failed: a process that does not start, a port in use, a missing toolchain.
    Environment {
        /// The failure, with the path, port or program.
        message: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// A fault of ours.
    Internal {
        /// The fault.
        message: String,
    },
}

impl Failure {
    /// The failures of several tasks as one: the only one by itself, several as a [`Composite`](Self::Composite);
    /// `None` without any. `name` is that of what was run.
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

/// A panic, located in the cell where that is possible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panic {
    /// The panic's message.
    pub message: String,
    /// `file:line:column` as the panic hook reports it.
    pub location: Option<String>,
}

/// The file in which all cells are compiled, as panics name it.
const COMPILED: &str = "src/lib.rs:";

/// The text between a location in that file and the library made of it.
const OF: &str = " of ";

impl Panic {
    /// Says which library's source a place is in, where it is in one and not in the cell that ran:
    /// `library` is a path or a hash.
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

    /// The line (from 1), and the library, that a location names which [`of_library`](Self::of_library)
    /// has made.
    pub fn in_library(location: &str) -> Option<(usize, &str)> {
        let (place, library) = location.strip_prefix(COMPILED)?.split_once(OF)?;
        let (line, _) = place.split_once(':')?;
        Some((line.parse().ok()?, library))
    }
}

/// A failure with the names that go on the wire, and the engine it belongs to.
///
/// `ename`s are those of ipyparallel's `error.py` and of design section 9.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RemoteFailure {
    /// The stable error name: `Panic`, `EngineError`, `TaskAborted`, …
    pub ename: String,
    /// The message.
    pub evalue: String,
    /// Lines for the reader, without colours.
    pub traceback: Vec<String>,
    /// The engine, where one was involved.
    pub engine: Option<EngineId>,
    /// The task.
    pub msg_id: Option<MsgId>,
    /// `execute` or `apply`.
    pub method: String,
}

impl fmt::Display for RemoteFailure {
    /// `[0:execute]Panic: message`, as ipyparallel labels it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.engine {
            Some(engine) => write!(f, "[{engine}:{}]", self.method)?,
            None => f.write_str("[Engine Exception]")?,
        }
        write!(f, "{}: {}", self.ename, self.evalue)
    }
}

/// One error of rustc, in the coordinates of the cell's source.
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
    /// rustc's own rendering, for errors that are not in the user's code.
    pub rendered: Option<String>,
}

/// A place in the cell's source; lines and columns count from 1, columns in characters.
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
    /// True if the error is here, false if the span is related to it.
    pub primary: bool,
}
