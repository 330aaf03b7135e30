//! Between the kernel and an evaluator process, over a Unix socket.
//!
//! An evaluator serves one of two kinds of namespace. *Local*: cells run as they are compiled, and
//! evcxr hears how each ended ([`EvaluatorEvent::Run`], answered by [`EvaluatorRequest::Ran`]).
//! *Engines*: cells are compiled from any known [`StateId`] to a new one and run elsewhere.

use crate::failure::Failure;
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

/// Names one request, so that its answer finds it; counts up from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u64);

/// Kernel to evaluator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum EvaluatorRequest {
    /// Local: evaluates Rust and `:` commands; the compiled cell comes back as `Run` events.
    Evaluate {
        /// Names the answer.
        id: RequestId,
        /// The source.
        source: String,
    },
    /// Local: the answer to a `Run` event.
    Ran {
        /// The outcome.
        outcome: Outcome,
    },
    /// Engines: compiles a cell from `base`; afterwards `next` is the state of an engine on which
    /// the cell ended in `outcome`.
    Compile {
        /// Names the answer.
        id: RequestId,
        /// The source.
        source: String,
        /// The state to compile from.
        base: StateId,
        /// The name of the state that results.
        next: StateId,
        /// The assumed outcome of the run. `VariablesLost` means: these are lost, compile again
        /// without them and assume completed. `Died` gives `base` without any variable.
        outcome: Outcome,
        /// Crates that are not what they were when an engine came to `next`: variables whose types
        /// reach them are dropped by the next cell.
        #[serde(default)]
        rebuilt: Vec<String>,
        /// The types of the variables that the cell declares without writing them, if it has been compiled
        /// before: [`Compiled::types`] of then.
        #[serde(default)]
        types: Option<Vec<(String, String)>>,
    },
    /// Engines: adds a dependency for all states from now on (`:dep` applies everywhere).
    AddDependency {
        /// Names the answer.
        id: RequestId,
        /// The text after `:dep`.
        spec: String,
    },
    /// Ends cargo and rustc; the request that is compiling is answered [`Failure::Interrupted`].
    Interrupt,
}

/// Evaluator to kernel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum EvaluatorEvent {
    /// Started, prelude in place; requests are answered from now on.
    Ready(Toolchain),
    /// Could not start; the process ends.
    StartFailed {
        /// The reason, and the remedy.
        failure: Failure,
    },
    /// Local: a cell is compiled and waits to be run; answer with `Ran`.
    Run(CompiledCell),
    /// The answer to the request of that id.
    Answer {
        /// The id of the request.
        id: RequestId,
        /// The result.
        result: Result<EvaluatorReply, Failure>,
    },
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum EvaluatorReply {
    /// The local cell is done.
    Evaluated(Evaluated),
    /// The cell is compiled; `None` when it had nothing to run.
    Compiled(Box<Compiled>),
    /// The dependency is in place.
    Added,
}

/// A local cell that was evaluated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The output of `:` commands, by MIME type.
    pub command_output: crate::output::MimeBundle,
    /// The namespace's variables afterwards: name and type.
    pub variables: Vec<(String, String)>,
    /// Variables the cell has moved, so that they are gone.
    #[serde(default)]
    pub moved: Vec<String>,
    /// The toolchain cells are compiled with from now on, where that has changed: the runtime has
    /// to begin anew.
    #[serde(default)]
    pub toolchain: Option<Toolchain>,
}

/// A cell compiled for engines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compiled {
    /// The code to run, if any.
    pub cell: Option<CompiledCell>,
    /// The variables of `next`: name and type.
    pub variables: Vec<(String, String)>,
    /// Variables of `base` that the cell moves, so that `next` lacks them.
    #[serde(default)]
    pub moved: Vec<String>,
    /// The types of the variables that the cell declares without writing them, and that are kept: name and
    /// type.
    #[serde(default)]
    pub types: Vec<(String, String)>,
    /// True if `next` is `base` but for the values of its variables.
    #[serde(default)]
    pub unchanged: bool,
    /// The packages that cells depend on, if they are not those of the last answer.
    #[serde(default)]
    pub packages: Option<Vec<Package>>,
}

/// A cell as machine code.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CompiledCell {
    /// The library; the file stays as it is for the evaluator's life.
    pub artifact: PathBuf,
    /// The function to call.
    pub entry: String,
    /// True if the cell ends in an expression whose value is shown.
    pub has_result: bool,
    /// The lines of the compiled file and of the cell that correspond (both from 1), for panics.
    #[serde(default)]
    pub lines: Vec<(u32, u32)>,
    /// The variables that are dropped before it runs.
    #[serde(default)]
    pub dropped: DroppedVariables,
    /// The variables that it declares and later cells do not have.
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
    /// It borrows from another value, which is gone with the cell.
    Borrowed,
    /// It is a closure, whose type has no name.
    Closure,
    /// It may have no value at the cell's end.
    Uninitialized,
    /// Its type could not be inferred.
    Unknown,
    /// Its type cannot be written.
    Unnameable {
        /// The type, as rustc would show it.
        ty: String,
    },
}

/// Variables whose types are not what they were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedVariables {
    /// Their names.
    pub names: Vec<String>,
    /// The crates that were built anew and have types among theirs; empty if a cell defines types anew.
    pub rebuilt: Vec<String>,
}

/// The requirements of compiled cells on the machine that runs them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Toolchain {
    /// `rustc --version`, which is also the ABI.
    pub rustc: String,
    /// The target triple.
    pub target: String,
    /// The shared standard library the cells link to.
    pub libstd: PathBuf,
}
