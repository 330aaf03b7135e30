//! Messages between the analysis process and its clients, the kernel and its evaluators, over a
//! Unix socket: every request except [`AnalysisRequest::Load`] has one reply, in order.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A cell that has not run, and the namespace it would run in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnalyzedCell {
    /// Sources whose items are in scope, the oldest first; their statements are ignored.
    pub items: Vec<String>,
    /// Sources whose statements precede the cell's, so that their variables are in scope; their
    /// items are ignored.
    #[serde(default)]
    pub statements: Vec<String>,
    /// The variables: name and type.
    pub variables: Vec<(String, String)>,
    /// The cell itself.
    pub source: String,
}

/// A request to the analysis process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AnalysisRequest {
    /// Adds the dependencies of the crate in a folder. There is no reply; later requests wait until
    /// they are loaded.
    Load {
        /// A folder with a `Cargo.toml` and a `Cargo.lock`.
        folder: PathBuf,
        /// True to reload the files of all dependencies, even if they are known.
        again: bool,
    },
    /// Requests the types of the variables that a cell declares.
    Types {
        /// The cell.
        cell: AnalyzedCell,
        /// False for the reply [`AnalysisReply::Loading`] while dependencies are being loaded.
        wait: bool,
    },
    /// Requests the completions at a position of a cell.
    Complete {
        /// The cell.
        cell: AnalyzedCell,
        /// Offset in bytes.
        offset: usize,
    },
    /// Requests the documentation of the name at a position of a cell.
    Inspect {
        /// The cell.
        cell: AnalyzedCell,
        /// Offset in bytes.
        offset: usize,
    },
}

/// The reply to an [`AnalysisRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AnalysisReply {
    /// The variables, in the order of the source.
    Types(Vec<VariableType>),
    /// Completions.
    Completions(Completions),
    /// The documentation of the name at the position, if it has any.
    Inspected(Option<Documentation>),
    /// No result: dependencies are being loaded, and the request does not wait.
    Loading,
    /// No result: the dependencies could not be loaded, or the analysis failed.
    Unknown,
}

/// A variable that a cell declares at its top level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableType {
    /// The name.
    pub name: String,
    /// Offset in bytes of the name in the cell.
    pub offset: usize,
    /// The type.
    pub ty: InferredType,
}

/// The type of a variable, as far as it could be inferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InferredType {
    /// A type, written as a path from the root of the cell's crate.
    Known(String),
    /// A closure; its type has no name.
    Closure,
    /// The type could not be inferred.
    Unknown,
}

/// Completions at a position of a source; offsets are in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Completions {
    /// Start of the text to replace.
    pub start: usize,
    /// End of the text to replace.
    pub end: usize,
    /// The candidates, the most likely first.
    pub items: Vec<Completion>,
}

/// One completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The text to insert.
    pub code: String,
    /// `function`, `class`, `module`, `instance`, `keyword` or `magic`.
    pub kind: String,
    /// The text to show for it.
    pub label: String,
}

/// Documentation of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Documentation {
    /// As text.
    pub plain: String,
    /// As Markdown.
    pub markdown: String,
}
