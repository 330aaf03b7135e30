//! Between the analysis process and those who ask it, the kernel and its evaluators, over a Unix
//! socket: each request but [`AnalysisRequest::Load`] has one reply, in order.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A cell that has not run, and the namespace it would run in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnalyzedCell {
    /// Sources whose items are in scope, the oldest first; of their statements nothing is used.
    pub items: Vec<String>,
    /// Sources whose statements come before the cell's, so that their variables are there; of their
    /// items nothing is used.
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
        /// Look at the files of all dependencies again, though these are known.
        again: bool,
    },
    /// Asks for the types of the variables a cell declares.
    Types {
        /// The cell.
        cell: AnalyzedCell,
    },
    /// Asks for the completions at a position of a cell.
    Complete {
        /// The cell.
        cell: AnalyzedCell,
        /// Offset in bytes.
        offset: usize,
    },
    /// Asks about the name at a place of a cell.
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
    /// Documentation, if the place has any.
    Inspected(Option<Documentation>),
    /// Nothing is known: nothing could be loaded, or the analysis failed.
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

/// The type of a variable, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InferredType {
    /// A type as it is written at the root of the cell's crate.
    Known(String),
    /// A closure, whose type has no name.
    Closure,
    /// Not known.
    Unknown,
}

/// Completions for a place in a source; offsets in bytes.
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
