//! Errors of the compiler for engines, with their texts.

use super::lineage::UnknownState;
use crate::context::CellName;
use crate::report::last_lines;
use phalanx_evaluator::StartError;
use phalanx_protocol::evaluator::EvaluatorReply;
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::parallel::Package;

/// A cell that could not be compiled for engines, through no fault of its source.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompilerError {
    /// The evaluator did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The evaluator ended.
    #[error(
        "the process that compiles cells for engines ended ({status}){}",
        last_lines(last_output)
    )]
    Ended {
        /// The system's description.
        status: String,
        /// The last lines it printed.
        last_output: String,
    },
    /// The evaluator sent the reply to another request.
    #[error("the evaluator answered {0:?}")]
    WrongReply(Box<EvaluatorReply>),
    /// An engine is in a state that is unknown here.
    #[error("an engine has run cells of another client ({0})")]
    State(#[from] UnknownState),
    /// Cells of another client were compiled by another rustc.
    #[error(
        "the engines have run cells that {theirs} compiled for another notebook; {ours} compiles this one's, \
         and the code of one compiler cannot use the variables of another"
    )]
    OtherRustc {
        /// The version of the other client's.
        theirs: String,
        /// The version of this kernel's.
        ours: String,
    },
    /// Cells of another client were compiled with another build of a library that holds variables.
    #[error(
        "the engines have run cells of another notebook with another build of the library `{}` ({}), \
         which holds their variables",
        theirs.name, difference(theirs, ours.as_ref())
    )]
    OtherLibrary {
        /// The other client's.
        theirs: Package,
        /// This kernel's, if it has one of that name.
        ours: Option<Package>,
    },
    /// A cell that the engines have run does not compile any more, or not here.
    #[error("{cell}, which the engines have run, does not compile here: {why}")]
    NotRepeated {
        /// The cell.
        cell: CellName,
        /// The first error of rustc.
        why: String,
    },
}

impl CompilerError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::State(_) => FailureKind::Usage,
            Self::WrongReply(_) => FailureKind::Internal,
            Self::Start(_)
            | Self::Ended { .. }
            | Self::OtherRustc { .. }
            | Self::OtherLibrary { .. }
            | Self::NotRepeated { .. } => FailureKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        const RESTART_HINT: &str =
            "`%cluster restart` empties the engines' namespaces, also for other clients";
        Some(match self {
            Self::Start(error) => error.remedy(),
            Self::Ended { .. } => "nothing is lost; run the cell again".to_owned(),
            Self::State(_) => "`%cluster restart` empties the engines' namespaces".to_owned(),
            Self::OtherRustc { .. } => format!(
                "select the other notebook's toolchain (RUSTUP_TOOLCHAIN, or `rustup override set` in this folder) and \
                 restart the kernel; or {RESTART_HINT}"
            ),
            Self::OtherLibrary { .. } => format!(
                "use the same Phalanx, the same cache folder (PHALANX_CACHE_DIR) and the same dependencies in both \
                 notebooks; or {RESTART_HINT}"
            ),
            Self::NotRepeated { .. } => format!(
                "its dependencies differ from those of that notebook: crates, files, environment variables; {RESTART_HINT}"
            ),
            Self::WrongReply(_) => return None,
        })
    }
}

impl From<CompilerError> for Failure {
    fn from(error: CompilerError) -> Self {
        Self::new(error.kind(), &error, error.hint())
    }
}

fn difference(theirs: &Package, ours: Option<&Package>) -> String {
    match ours {
        Some(ours) if ours.version != theirs.version => {
            format!("version {} there, {} here", theirs.version, ours.version)
        }
        Some(_) => {
            "built from other sources, or with other features of its dependencies".to_owned()
        }
        None => format!("version {} there, none here", theirs.version),
    }
}
