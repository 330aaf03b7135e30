//! Errors of the library, as `?` in a cell shows them.

use crate::__cell::formatted;
use crate::opaque::opaque;
use phalanx_protocol::failure::{Failure, RemoteFailure, TRACEBACK_LIMIT};
use phalanx_protocol::host::UnknownGrouping;
use phalanx_protocol::release::ReleaseMismatch;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::convert::Infallible;
use std::fmt;

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
pub struct Error(Held);

opaque! {
    struct Held of Failure
}
opaque!(@clone Held);

impl PartialEq for Held {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Error {
    #[inline(never)]
    pub(crate) fn new(failure: Failure) -> Self {
        Self(Held::hold(failure))
    }

    pub(crate) fn into_failure(self) -> Failure {
        self.0.release()
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

    /// The stable name: `TimeoutError`, `CompositeError`, …, as in ipyparallel's `error.py`. The
    /// failure of a single task has the name it had on the engine: `Panic`, `EngineError`, …
    pub fn ename(&self) -> &str {
        match &*self.0 {
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
            Failure::Internal { .. } => "InternalError",
        }
    }

    /// The failures of the engines, in order; empty if no engine was involved.
    pub fn failures(&self) -> &[RemoteFailure] {
        match &*self.0 {
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
        formatted(&text, &self.0);
        f.write_str(&text)
    }
}

struct Text<'a>(&'a Failure);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
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
        Self::new(Failure::Usage {
            message: unknown.to_string(),
            hint: Some("group them by \"type\", \"engine\" or \"order\"".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{Parts, decode_parts};

    #[test]
    fn an_error_is_what_a_function_gives_back() {
        let error = Error::new(Failure::Usage {
            message: "größe".to_owned(),
            hint: None,
        });
        let given: Result<u8, Error> = Err(error);
        let parts = Parts::of(&given).unwrap();
        assert_eq!(decode_parts::<Result<u8, Error>>(&parts), Ok(given));
    }
}
