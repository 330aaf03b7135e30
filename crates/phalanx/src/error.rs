//! Errors of the library, as `?` in a cell shows them.

use crate::last_error;
use crate::opaque::opaque;
use crate::type_names::plain;
use phalanx_protocol::failure::{Failure, FailureKind, RemoteFailure, TRACEBACK_LIMIT};
use phalanx_protocol::host::{HostReply, UnknownGrouping};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::release::ReleaseMismatch;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::convert::Infallible;
use std::path::Path;
use std::{fmt, io};

/// A failure of a task, of several, or of the call itself.
///
/// [`ename`](Self::ename) distinguishes them. The failure of one task has the name it had on the
/// engine (`Panic`, `EngineError`, …); failures of several are a `CompositeError`. `TimeoutError`,
/// `UsageError`, `NoEngines`, `EnvironmentError` and `Interrupted` concern the call itself;
/// `InternalError` is a bug in Phalanx. In a cell, `?` ends the cell with the error. It is
/// serializable, so a function that engines call may return `Result<f64, phalanx::Error>`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let error = rc.view(0).apply_sync(|| -> u32 { panic!("no luck") }).unwrap_err();
/// assert_eq!((error.ename(), error.failures().len()), ("Panic", 1));
/// println!("{error}");
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Error(OpaqueFailure);

opaque! {
    struct OpaqueFailure of Failure
}
opaque!(@clone OpaqueFailure);

impl PartialEq for OpaqueFailure {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Error {
    #[inline(never)]
    pub(crate) fn new(failure: Failure) -> Self {
        Self(OpaqueFailure::wrap(failure))
    }

    pub(crate) fn into_failure(self) -> Failure {
        self.0.into_content()
    }

    #[inline(never)]
    fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(&*self.0).map_err(|error| error.to_string())
    }

    #[inline(never)]
    fn from_json(text: &str) -> Result<Self, String> {
        let failure = serde_json::from_str(text);
        failure.map(Self::new).map_err(|error| error.to_string())
    }

    /// Returns the stable name: `TimeoutError`, `CompositeError`, …, as in ipyparallel's
    /// `error.py`. The failure of a single task has the name it had on the engine: `Panic`,
    /// `EngineError`, …
    pub fn ename(&self) -> &str {
        match self.0.unplaced() {
            Failure::Compile { .. } => "CompileError",
            Failure::Panic(_) => "Panic",
            Failure::Error { .. } => "Error",
            Failure::VariablesLost { .. } => "VariablesLost",
            Failure::RuntimeDied { .. } => "RuntimeDied",
            Failure::Interrupted { .. } | Failure::EnginesInterrupted { .. } => "Interrupted",
            Failure::Usage { .. } => "UsageError",
            Failure::NoEngines => "NoEngines",
            Failure::Remote(failure) => &failure.ename,
            Failure::Composite { .. } => "CompositeError",
            Failure::Timeout { .. } => "TimeoutError",
            Failure::Environment { .. } | Failure::OtherRelease(_) => "EnvironmentError",
            Failure::Internal { .. } | Failure::Raised { .. } => "InternalError",
        }
    }

    /// Returns the failures of the engines, in order; empty if no engine was involved.
    pub fn failures(&self) -> &[RemoteFailure] {
        match self.0.unplaced() {
            Failure::Remote(failure) => std::slice::from_ref(failure),
            Failure::Composite { failures, .. } => failures,
            Failure::EnginesInterrupted { stopped, .. } => stopped,
            _ => &[],
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Text(&self.0).to_string();
        last_error::record(&text, &self.0);
        f.write_str(&text)
    }
}

struct Text<'a>(&'a Failure);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Failure::Raised { failure, .. } => Text(failure).fmt(f),
            Failure::Remote(failure) => failure.fmt(f),
            Failure::Composite { message, failures } => {
                write!(f, "one or more exceptions raised in: {message}")?;
                for failure in failures.iter().take(TRACEBACK_LIMIT) {
                    write!(f, "\n{failure}")?;
                }
                match failures.len().saturating_sub(TRACEBACK_LIMIT) {
                    0 => Ok(()),
                    more => write!(f, "\n.... {more} more exceptions ..."),
                }
            }
            Failure::Usage { message, hint } | Failure::Environment { message, hint } => {
                f.write_str(message)?;
                hint.iter().try_for_each(|hint| write!(f, "\n{hint}"))
            }
            Failure::Timeout { message }
            | Failure::Internal { message }
            | Failure::Error { message, .. } => f.write_str(message),
            Failure::NoEngines => {
                f.write_str("there are no engines: start some with %cluster start -n 4")
            }
            Failure::OtherRelease(mismatch) => {
                write!(f, "{mismatch}\n{}", ReleaseMismatch::REMEDY)
            }
            Failure::EnginesInterrupted { stopped, .. } => {
                f.write_str("the cell was interrupted")?;
                stopped
                    .iter()
                    .try_for_each(|stopped| write!(f, "\n{stopped}"))
            }
            Failure::Interrupted { .. } => f.write_str("the cell was interrupted"),
            Failure::Compile { diagnostics } => {
                f.write_str("the code does not compile")?;
                let mut each = diagnostics.iter();
                each.try_for_each(|one| write!(f, "\n{}", one.message))
            }
            Failure::Panic(panic) => f.write_str(&panic.message),
            Failure::VariablesLost { names } => {
                write!(f, "the types of {} have changed", names.join(", "))
            }
            Failure::RuntimeDied { status, .. } => write!(f, "its process has ended ({status})"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.ename())
    }
}

impl std::error::Error for Error {}

impl From<UnknownGrouping> for Error {
    fn from(unknown: UnknownGrouping) -> Self {
        LibraryError::Grouping(unknown).into()
    }
}

/// The failures that the library itself finds, with their texts.
pub(crate) enum LibraryError<'a> {
    /// `successful()` of an AsyncResult that is not done.
    NotDone,
    /// An AsyncResult whose value or outputs were asked for before it was done.
    NotReady,
    /// There is nothing left to abort.
    AlreadyDone,
    /// No AsyncResults to join.
    NothingToJoin,
    /// The values of an AsyncResult by engines, of which one ran several tasks.
    SeveralTasks { engine: EngineId, tasks: usize },
    /// An AsyncResult without that task.
    NoTask { task: usize, tasks: usize },
    /// An AsyncResult without any task, though one was read.
    NoTasks,
    /// An unknown grouping of outputs.
    Grouping(UnknownGrouping),
    /// A query of the hub that is not JSON.
    Query(&'a serde_json::Error),
    /// A value for a display that is not JSON.
    Display {
        mime: &'a str,
        error: &'a serde_json::Error,
    },
    /// A notebook's parameter of another type than its default.
    Parameter {
        value: &'a str,
        type_name: &'a str,
        error: &'a serde_json::Error,
    },
    /// A single value instead of rows.
    NoRows,
    /// Data published elsewhere than on an engine.
    NotAnEngine,
    /// Data that JSON cannot express.
    Unpublished {
        name: &'a str,
        error: &'a serde_json::Error,
    },
    /// A value that cannot be written.
    Unwritten {
        type_name: &'a str,
        error: &'a EncodeError,
    },
    /// An outcome that is no value of the type.
    Unread { type_name: &'a str, why: &'a str },
    /// A value of the namespace that was not read.
    NothingRead,
    /// A value of the namespace that is not there, or of another type.
    Namespace(&'a str),
    /// No memory for what engines are to be sent.
    NoMemory(&'a io::Error),
    /// A function called with items that takes none, or the other way round.
    OtherCall,
    /// A function in a library that the loader does not know.
    Unlocated,
    /// A function that was not written in a cell.
    OutsideCells,
    /// A file of source that cannot be read.
    File {
        path: &'a Path,
        error: &'a io::Error,
    },
    /// A text that names no engines.
    Targets(&'a str),
    /// An engine that is not there.
    NoEngine {
        target: &'a dyn fmt::Display,
        ids: &'a [EngineId],
    },
    /// A view without engines, though there are some.
    NoneSelected { ids: &'a [EngineId] },
    /// The user was asked at the end of the input.
    InputEnded,
    /// The kernel does not reply.
    Silent(&'a io::Error),
    /// The kernel sent the reply to another request.
    OtherReply(&'a HostReply),
}

impl fmt::Display for LibraryError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone => f.write_str("Cannot check successful() if not done."),
            Self::NotReady => f.write_str("Result not ready."),
            Self::AlreadyDone => f.write_str("Can't abort, I am already done!"),
            Self::NothingToJoin => f.write_str("Must specify at least one AsyncResult to join"),
            Self::SeveralTasks { engine, tasks } => {
                write!(f, "Cannot build dict, {tasks} jobs ran on engine #{engine}")
            }
            Self::NoTask { task, tasks } => write!(f, "there is no task {task}: there are {tasks}"),
            Self::NoTasks => f.write_str("an AsyncResult has no task"),
            Self::Grouping(unknown) => unknown.fmt(f),
            Self::Query(error) => write!(f, "the query is not a JSON object: {error}"),
            Self::Display { mime, error } => write!(f, "{mime}: {error}"),
            Self::Parameter {
                value,
                type_name,
                error,
            } => write!(
                f,
                "the parameter {value} does not fit its default of type {}: {error}",
                plain(type_name)
            ),
            Self::NoRows => f.write_str("a single value has no rows to show as a table"),
            Self::NotAnEngine => f.write_str("data is published by functions that run on engines"),
            Self::Unpublished { name, error } => {
                write!(f, "'{name}' cannot be published: {error}")
            }
            Self::Unwritten { type_name, error } => {
                write!(
                    f,
                    "a value of type {} cannot be serialized: {error}",
                    plain(type_name)
                )
            }
            Self::Unread { type_name, why } => {
                write!(f, "a result cannot be read as {}: {why}", plain(type_name))
            }
            Self::NothingRead => f.write_str("nothing was read"),
            Self::Namespace(why) => f.write_str(why),
            Self::NoMemory(error) => {
                write!(
                    f,
                    "there is no memory to share this data with engines: {error}"
                )
            }
            Self::OtherCall => f.write_str(
                "this function was not compiled for this kind of call (single or for a list of items)",
            ),
            Self::Unlocated => f.write_str(
                "engines cannot be given this function: the loader does not know where it is",
            ),
            Self::OutsideCells => {
                f.write_str("engines cannot be given this function: it was not defined in a cell")
            }
            Self::File { path, error } => write!(f, "{} cannot be read: {error}", path.display()),
            Self::Targets(text) => write!(f, "\"{text}\" names no engines"),
            Self::NoEngine { target, .. } => write!(f, "No such engine: {target}"),
            Self::NoneSelected { .. } => f.write_str("the view selects no engine"),
            Self::InputEnded => f.write_str("the input ended"),
            Self::Silent(error) => write!(f, "the kernel does not answer: {error}"),
            Self::OtherReply(reply) => {
                write!(f, "unexpected reply from the kernel: {reply:?}")
            }
        }
    }
}

impl LibraryError<'_> {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotReady => FailureKind::Timeout,
            Self::NoMemory(_) | Self::File { .. } => FailureKind::Environment,
            Self::NoTasks | Self::Silent(_) | Self::OtherReply(_) => FailureKind::Internal,
            _ => FailureKind::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotDone => "`wait()` first",
            Self::Grouping(_) => "group them by \"type\", \"engine\" or \"order\"",
            Self::NoRows => "give a list: `phalanx::table(&rows)`",
            Self::Unwritten { .. } => {
                "lengths must be known, and `#[serde(…)]` attributes fit a format that does not describe itself"
            }
            Self::Unread { .. } => {
                "its function returned another type, or another definition of this one: name that type, as in `rc.get_result::<f64>(&ids)?`"
            }
            Self::NoMemory(_) => {
                "what engines hold of pushed data counts too; `dv.clear()` frees it"
            }
            Self::Unlocated | Self::OutsideCells => {
                "functions for engines are written in a notebook's cells"
            }
            Self::Targets(_) => "\"all\" does; others are numbers, ranges and lists",
            Self::NoEngine { ids, .. } | Self::NoneSelected { ids } => {
                return Some(format!("there are {ids:?}"));
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<LibraryError<'_>> for Error {
    #[cold]
    #[inline(never)]
    fn from(error: LibraryError<'_>) -> Self {
        Self::new(match error {
            LibraryError::InputEnded => Failure::Error {
                message: error.to_string(),
                location: None,
            },
            error => Failure::new(error.kind(), &error, error.hint()),
        })
    }
}

/// The error of an infallible conversion; it is never constructed.
impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

// Serialized as JSON text, since `Failure` requires a self-describing format.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.to_json().map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_json(&String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// The error of a value that cannot be serialized.
#[derive(Debug)]
pub enum EncodeError {
    /// The length of a list or map is not known in advance.
    Length,
    /// An error of the type's own implementation.
    Custom(Box<str>),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the length of a sequence must be known"),
            Self::Custom(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for EncodeError {}

impl ser::Error for EncodeError {
    fn custom<T: fmt::Display>(why: T) -> Self {
        encode_error(format_args!("{why}"))
    }
}

#[cold]
#[inline(never)]
fn encode_error(why: fmt::Arguments<'_>) -> EncodeError {
    EncodeError::Custom(why.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Parts, decode_parts};

    #[test]
    fn errors_can_be_returned_by_functions() {
        let error = Error::new(Failure::Usage {
            message: "größe".to_owned(),
            hint: None,
        });
        let result: Result<u8, Error> = Err(error);
        let parts = Parts::of(&result).unwrap();
        assert_eq!(decode_parts::<Result<u8, Error>>(&parts), Ok(result));
    }
}
