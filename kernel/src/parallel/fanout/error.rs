//! Errors of cells for engines, with their texts.

use crate::report::SILENT_HINT;
use phalanx_client::{Engine, WaitError};
use phalanx_protocol::failure::{Failure, FailureKind};
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::EngineKind;
use phalanx_protocol::release::{Release, ReleaseMismatch};

/// An engine that cannot run a cell.
#[derive(Debug, thiserror::Error)]
pub enum FanoutError {
    /// The engine has ended.
    #[error("engine {0} is gone")]
    Gone(EngineId),
    /// The engine does not run Rust.
    #[error("engine {0} is not a Rust engine")]
    Foreign(EngineId),
    /// The engine has not described itself.
    #[error("engine {0} does not answer")]
    Silent(EngineId),
    /// No engine runs Rust.
    #[error("none of the engines is a Rust engine")]
    AllForeign,
    /// The engine is of an incompatible release.
    #[error("{0}")]
    OtherRelease(Box<ReleaseMismatch>),
    /// The engine's machine cannot load code compiled here.
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
    /// The engine has refused a cell repeatedly, each time in another state.
    #[error("engine {engine} refused the cell {refusals} times")]
    RefusedTooOften {
        /// The engine.
        engine: EngineId,
        /// The number of times.
        refusals: usize,
    },
    /// The engine did not report the cells that led to its state.
    #[error("engine {engine} has run cells of another client, and does not report them: {error}")]
    NoLineage {
        /// The engine.
        engine: EngineId,
        /// The reason.
        error: WaitError,
    },
}

impl FanoutError {
    /// Returns the failure of a cell for which no engine is left; `engines` are those that are
    /// connected, and none of them runs Rust.
    pub fn no_engine(engines: &[Engine]) -> Failure {
        match engines {
            [] => Failure::NoEngines,
            engines => Self::no_rust_engine(engines).into(),
        }
    }

    /// Returns the error of a cell for engines none of which runs Rust.
    fn no_rust_engine(engines: &[Engine]) -> Self {
        for engine in engines {
            if let EngineKind::OtherRelease(theirs) = &engine.kind {
                return Self::other_release(engine.id, theirs);
            }
        }
        let mut engines = engines.iter();
        let silent = engines.find(|engine| engine.kind == EngineKind::Silent);
        silent.map_or(Self::AllForeign, |engine| Self::Silent(engine.id))
    }

    /// Returns the error of an engine of an incompatible release.
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
            Self::OtherRelease(_)
            | Self::OtherTarget { .. }
            | Self::NoLineage { .. }
            | Self::Silent(_) => FailureKind::Environment,
            Self::RefusedTooOften { .. } => FailureKind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Gone(_) => "`%cluster status` lists the engines",
            Self::Foreign(_) => "leave it out with `--targets`",
            Self::Silent(_) => SILENT_HINT,
            Self::AllForeign => {
                "start some with `phalanx-engine --file ipcontroller-engine.json`; `%cluster status` lists the engines"
            }
            Self::OtherRelease(_) => ReleaseMismatch::REMEDY,
            Self::OtherTarget { .. } => "run engines on machines of the kernel's target",
            Self::RefusedTooOften { .. } => return None,
            Self::NoLineage { .. } => {
                "engines of another version cannot report them; `%cluster restart` empties their namespaces"
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

/// Returns the hint on a name that these engines lack and others have.
pub(super) fn only_elsewhere(engines: &[EngineId]) -> String {
    let (noun, verb) = match engines.len() {
        1 => ("engine", "has"),
        _ => ("engines", "have"),
    };
    let ids: Vec<String> = engines.iter().map(EngineId::to_string).collect();
    let ids = ids.join(", ");
    format!(
        "so it is on {noun} {ids}, which {verb} run other cells than the rest; `%cluster sync` gives engines the definitions they lack (variables need their cells run there)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineUuid;

    #[test]
    fn engines_without_rust_are_not_said_to_be_missing() {
        assert_eq!(FanoutError::no_engine(&[]), Failure::NoEngines);
        let python = Engine {
            id: EngineId(0),
            uuid: EngineUuid::new("e"),
            kind: EngineKind::Foreign,
        };
        let Failure::Usage { message, .. } = FanoutError::no_engine(&[python]) else {
            panic!()
        };
        assert_eq!(message, "none of the engines is a Rust engine");
    }

    #[test]
    fn a_silent_engine_is_not_said_to_be_of_another_language() {
        let engine = |id: u32, kind: EngineKind| Engine {
            id: EngineId(id),
            uuid: EngineUuid::new("e"),
            kind,
        };
        let engines = [
            engine(0, EngineKind::Foreign),
            engine(1, EngineKind::Silent),
        ];
        let Failure::Environment { message, .. } = FanoutError::no_engine(&engines) else {
            panic!()
        };
        assert_eq!(message, "engine 1 does not answer");
    }
}
