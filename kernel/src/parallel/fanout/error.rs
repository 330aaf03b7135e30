//! Errors of cells for engines, with their texts.

use phalanx_client::{Engine, WaitError};
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::EngineKind;
use phalanx_protocol::release::{Release, ReleaseMismatch};

/// An engine that cannot run a cell.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// The engine is not there any more.
    #[error("engine {0} is gone")]
    Gone(EngineId),
    /// The engine does not run Rust.
    #[error("engine {0} is not a Rust engine")]
    Foreign(EngineId),
    /// No engine runs Rust.
    #[error("none of the engines is a Rust engine")]
    AllForeign,
    /// The engine is of a release that this kernel does not understand.
    #[error("{0}")]
    OtherRelease(Box<ReleaseMismatch>),
    /// The engine's machine cannot load what is compiled here.
    #[error("engine {engine} on {host} is built for {theirs}, but cells are compiled for {ours}")]
    OtherTarget {
        /// The engine.
        engine: EngineId,
        /// Its machine.
        host: String,
        /// The target triple it was built for.
        theirs: String,
        /// The target triple of cells.
        ours: String,
    },
    /// The engine has refused a cell again and again, each time in another state.
    #[error("engine {engine} refused the cell {refusals} times")]
    RefusedTooOften {
        /// The engine.
        engine: EngineId,
        /// The number of times.
        refusals: usize,
    },
    /// The engine did not name the cells that led to its state.
    #[error("engine {engine} has run cells of another client, and does not name them: {error}")]
    NoLineage {
        /// The engine.
        engine: EngineId,
        /// The reason.
        error: WaitError,
    },
}

impl FanoutError {
    /// The error of work for these engines, none of which runs Rust that is sent from here.
    pub fn no_rust_engine(engines: &[Engine]) -> Self {
        for engine in engines {
            if let EngineKind::OtherRelease(theirs) = &engine.kind {
                return Self::other_release(engine.id, theirs);
            }
        }
        Self::AllForeign
    }

    /// The error of an engine of that release.
    pub(super) fn other_release(engine: EngineId, theirs: &Release) -> Self {
        Self::OtherRelease(Box::new(ReleaseMismatch {
            engine,
            of_engine: theirs.clone(),
            of_kernel: Release::ours(),
        }))
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::Gone(_) | Self::Foreign(_) | Self::AllForeign => FailureKind::Usage,
            Self::OtherRelease(_) | Self::OtherTarget { .. } | Self::NoLineage { .. } => {
                FailureKind::Environment
            }
            Self::RefusedTooOften { .. } => FailureKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Gone(_) => "`%cluster status` shows which are there",
            Self::Foreign(_) => "leave it out with `--targets`",
            Self::AllForeign => {
                "start some with `phalanx-engine --file ipcontroller-engine.json`; `%cluster status` shows what there is"
            }
            Self::OtherRelease(_) => ReleaseMismatch::REMEDY,
            Self::OtherTarget { .. } => "run engines on machines of the kernel's kind",
            Self::RefusedTooOften { .. } => return None,
            Self::NoLineage { .. } => {
                "engines of another version cannot; `%cluster restart` empties their namespaces"
            }
        };
        Some(hint.to_owned())
    }
}

impl From<FanoutError> for Failure {
    fn from(error: FanoutError) -> Self {
        match error {
            FanoutError::OtherRelease(mismatch) => Self::OtherRelease(*mismatch),
            error => Self::new(error.kind(), &error, error.hint()),
        }
    }
}
