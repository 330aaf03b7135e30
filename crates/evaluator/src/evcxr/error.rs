//! Errors of the evaluator around evcxr, with their texts. Those of cells are rustc's: see `diagnostics`.

use crate::folder_check::FolderError;
use evcxr::Error;
use phalanx_protocol::evaluator::EvaluatorRequest;
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::StateId;
use phalanx_toolchain::ToolchainError;
use std::io;
use std::path::PathBuf;

/// A request that cannot be carried out, or an evaluator that does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum EvcxrError {
    /// The toolchain lacks something.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The library of the notebook cannot be unpacked.
    #[error("the phalanx library cannot be written below {}: {error}", cache.display())]
    Library {
        /// The cache folder.
        cache: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The relay cannot be started.
    #[error("no relay: {0}")]
    Relay(#[source] io::Error),
    /// The build folder cannot be prepared.
    #[error("the build folder: {0}")]
    BuildFolder(#[source] io::Error),
    /// The build folder cannot be written to any more.
    #[error("the build folder cannot be written to: {0}")]
    NotWritable(#[source] io::Error),
    /// evcxr did not start.
    #[error("the evaluator could not be started: {}", rendered(.0))]
    Start(Box<Error>),
    /// evcxr's context was lost when a command failed.
    #[error("evcxr's context is missing")]
    NoContext,
    /// The kernel does not answer.
    #[error("the connection to the kernel is closed: {0}")]
    Kernel(#[source] io::Error),
    /// evcxr has lost its relay.
    #[error("the relay ended: {0}")]
    RelayEnded(String),
    /// A cell starts from a state that is unknown here.
    #[error("no namespace is known in state {0}")]
    State(StateId),
    /// A request for the other kind of namespace.
    #[error("the {evaluator} does not handle {request:?}")]
    Request {
        /// The kind of evaluator.
        evaluator: &'static str,
        /// The request.
        request: Box<EvaluatorRequest>,
    },
    /// `:lean` with another value.
    #[error("`:lean` takes 0 or 1, not `{0}`")]
    Lean(String),
    /// An option that the stable rustc does not have.
    #[error("`{0}` needs a nightly toolchain")]
    Nightly(String),
    /// `:fmt` with a format that no value has.
    #[error("values cannot be formatted by `{0}`")]
    Format(String),
}

impl EvcxrError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Toolchain(ToolchainError::NotFound { .. })
            | Self::Lean(_)
            | Self::Nightly(_)
            | Self::Format(_) => FailureKind::Usage,
            Self::Toolchain(_)
            | Self::Folder(_)
            | Self::Library { .. }
            | Self::Relay(_)
            | Self::BuildFolder(_)
            | Self::NotWritable(_)
            | Self::Start(_) => FailureKind::Environment,
            Self::NoContext
            | Self::Kernel(_)
            | Self::RelayEnded(_)
            | Self::State(_)
            | Self::Request { .. } => FailureKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Toolchain(error) => return non_empty(error.remedy().to_string()),
            Self::Folder(error) => return non_empty(error.remedy()),
            Self::Library { .. } => "make room there, or set PHALANX_CACHE_DIR to another folder",
            Self::Start(_) => "`phalanx doctor` finds out what is missing",
            Self::Lean(_) => "alone, it shows how the last cell was compiled",
            Self::Nightly(_) => "select one first: `:toolchain nightly`",
            Self::Format(_) => "a format has one placeholder, such as `{:?}` or `{:.3}`",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<EvcxrError> for Failure {
    fn from(error: EvcxrError) -> Self {
        Self::new(error.kind(), &error, error.hint())
    }
}

fn non_empty(hint: String) -> Option<String> {
    Some(hint).filter(|hint| !hint.is_empty())
}

/// Returns the text of evcxr's error, with that of rustc.
fn rendered(error: &Error) -> String {
    match error {
        Error::CompilationErrors(errors) => {
            let rendered = errors.iter().map(|error| error.rendered());
            rendered.collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}
