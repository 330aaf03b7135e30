//! Messages between the kernel and an evaluator process, over a Unix socket.
//!
//! An evaluator serves one of two kinds of namespace. *Local*: cells run as they are compiled, and
//! evcxr receives the outcome of each ([`EvaluatorEvent::Run`], answered by
//! [`EvaluatorRequest::Ran`]). *Engines*: cells are compiled from any known [`StateId`] to a new
//! one and run elsewhere.

use crate::failure::{EarlierItem, Failure};
use crate::id::StateId;
use crate::parallel::Package;
use crate::runtime::Outcome;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The kind of namespace an evaluator compiles for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// The kernel's own namespace.
    Local,
    /// The engines' namespaces.
    Engines,
}

/// Identifies a request and its reply; counts up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// A message from the kernel to the evaluator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum EvaluatorRequest {
    /// Local: evaluates Rust and `:` commands; compiled cells are sent as `Run` events.
    Evaluate {
        /// Identifies the reply.
        id: RequestId,
        /// The source.
        source: String,
    },
    /// Local: the reply to a `Run` event.
    Ran {
        /// The outcome.
        outcome: Outcome,
    },
    /// Engines: compiles a cell from `base`. `next` identifies the state of an engine on which the
    /// cell has ended in `outcome`.
    Compile {
        /// Identifies the reply.
        id: RequestId,
        /// The source.
        source: String,
        /// The state to compile from.
        base: StateId,
        /// The id of the resulting state.
        next: StateId,
        /// The assumed outcome of the run. `VariablesLost`: compile again without these variables
        /// and assume completion. `Died`: `next` is `base` without any variables.
        outcome: Outcome,
        /// Crates whose version has changed since an engine reached `next`: the next cell drops
        /// variables whose types depend on them.
        #[serde(default)]
        replaced: Vec<String>,
        /// The types of the variables that the cell declares without type annotations, if it was
        /// compiled before: [`Compiled::types`] of that compilation.
        #[serde(default)]
        types: Option<Vec<(String, String)>>,
    },
    /// Engines: adds a dependency to all states (`:dep` applies everywhere).
    AddDependency {
        /// Identifies the reply.
        id: RequestId,
        /// The text after `:dep`.
        spec: String,
    },
    /// Kills cargo and rustc; the reply to the request being compiled is [`Failure::Interrupted`].
    Interrupt,
}

/// A message from the evaluator to the kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum EvaluatorEvent {
    /// The evaluator has started and loaded the prelude; it accepts requests.
    Ready(Toolchain),
    /// The evaluator could not start; its process exits.
    StartFailed {
        /// The reason, with a remedy.
        failure: Failure,
    },
    /// Local: a compiled cell to be run; the reply is `Ran`.
    Run(CompiledCell),
    /// The reply to the request with this id.
    Reply {
        /// The id of the request.
        id: RequestId,
        /// The result.
        result: Result<EvaluatorReply, Failure>,
    },
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EvaluatorReply {
    /// The local cell has been evaluated.
    Evaluated(Evaluated),
    /// The cell has been compiled; its code is `None` if there is nothing to run.
    Compiled(Box<Compiled>),
    /// The dependency has been added.
    Added,
}

/// A local cell that was evaluated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The output of `:` commands, by MIME type.
    pub command_output: crate::output::MimeBundle,
    /// The variables of the namespace after the cell: name and type.
    pub variables: Vec<(String, String)>,
    /// Variables that the cell has moved out of the namespace.
    #[serde(default)]
    pub moved: Vec<String>,
    /// The toolchain that compiles cells from now on, if it has changed; the runtime must be
    /// restarted then.
    #[serde(default)]
    pub toolchain: Option<Toolchain>,
    /// The items of earlier cells that no longer compile, since the cell has redefined types.
    #[serde(default)]
    pub misfits: Vec<EarlierItem>,
}

/// A cell compiled for engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compiled {
    /// The code to run, if any.
    pub cell: Option<CompiledCell>,
    /// The variables in `next`: name and type.
    pub variables: Vec<(String, String)>,
    /// Variables of `base` that the cell moves, so that `next` does not contain them.
    #[serde(default)]
    pub moved: Vec<String>,
    /// The types of the kept variables that the cell declares without type annotations: name and
    /// type.
    #[serde(default)]
    pub types: Vec<(String, String)>,
    /// True if `next` differs from `base` only in the values of variables.
    #[serde(default)]
    pub unchanged: bool,
    /// The packages that cells depend on, if they have changed since the last reply.
    #[serde(default)]
    pub packages: Option<Vec<Package>>,
    /// The items of earlier cells that no longer compile in `next`, since the cell has redefined
    /// types.
    #[serde(default)]
    pub misfits: Vec<EarlierItem>,
}

/// A compiled cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompiledCell {
    /// The path of the library; the file is not changed while the evaluator runs.
    pub artifact: PathBuf,
    /// The function to call.
    pub entry: String,
    /// True if the cell ends in an expression whose value is shown.
    pub has_result: bool,
    /// Pairs of corresponding lines of the compiled file and of the cell (both from 1), for panics.
    #[serde(default)]
    pub lines: Vec<(u32, u32)>,
    /// The variables dropped before the cell runs.
    #[serde(default)]
    pub dropped: DroppedVariables,
    /// The variables it declares that are not kept for later cells.
    #[serde(default)]
    pub unkept: Vec<UnkeptVariable>,
}

/// A variable that cannot be kept for later cells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnkeptVariable {
    /// Its name.
    pub name: String,
    /// The reason.
    pub reason: UnkeptReason,
}

/// The reason why a variable cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum UnkeptReason {
    /// It borrows from a value that is dropped at the end of the cell.
    Borrowed,
    /// It is a closure; its type has no name.
    Closure,
    /// It may be uninitialized at the end of the cell.
    Uninitialized,
    /// Its type could not be inferred.
    Unknown,
    /// Its type cannot be written in source.
    Unnameable {
        /// The type, as rustc would show it.
        ty: String,
    },
}

/// Variables whose types have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedVariables {
    /// Their names.
    pub names: Vec<String>,
    /// The crates that were rebuilt and define some of these types; empty if a cell redefines
    /// types.
    pub rebuilt: Vec<String>,
}

/// The requirements of compiled cells on the machine that runs them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Toolchain {
    /// The output of `rustc --version`, which also identifies the ABI.
    pub rustc: String,
    /// The target triple.
    pub target: String,
    /// The shared standard library the cells link to.
    pub libstd: PathBuf,
}

impl Toolchain {
    /// Returns true if its rustc takes unstable options.
    #[must_use]
    pub fn is_nightly(&self) -> bool {
        self.rustc.contains("-nightly") || self.rustc.contains("-dev")
    }

    /// Returns the version of its rustc, such as `1.95.0`; `None` if it prints another format.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let word = self.rustc.split_whitespace().nth(1)?;
        word.starts_with(|c: char| c.is_ascii_digit())
            .then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_the_output_of_rustc() {
        let version = |rustc: &str| {
            let rustc = rustc.to_owned();
            let toolchain = Toolchain {
                rustc,
                ..Toolchain::default()
            };
            toolchain.version().map(str::to_owned)
        };
        let stable = version("rustc 1.95.0 (59807616e 2026-04-14)");
        assert_eq!(stable.as_deref(), Some("1.95.0"));
        let nightly = version("rustc 1.97.0-nightly (a 2026-05-01)");
        assert_eq!(nightly.as_deref(), Some("1.97.0-nightly"));
        assert_eq!(version("my compiler"), None);
        assert_eq!(version(""), None);
    }
}
