//! The interface between the evaluator process and its evaluator.

use phalanx_protocol::evaluator::{EvaluatorReply, EvaluatorRequest, NamespaceKind, Toolchain};
use phalanx_protocol::failure::Failure;

/// The evaluator in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// rustc, through evcxr.
    #[cfg(feature = "evcxr")]
    Evcxr,
    /// The twin for tests.
    #[cfg(feature = "echo")]
    Echo,
}

impl Backend {
    /// Returns the arguments of `phalanx evaluator` that select it.
    pub(crate) fn args(self, kind: NamespaceKind) -> Vec<&'static str> {
        let kind = match kind {
            NamespaceKind::Local => "local",
            NamespaceKind::Engines => "engines",
        };
        let args = ["evaluator", "--kind", kind];
        let echo = match self {
            #[cfg(feature = "evcxr")]
            Self::Evcxr => None,
            #[cfg(feature = "echo")]
            Self::Echo => Some("--echo"),
        };
        args.into_iter().chain(echo).collect()
    }

    /// Returns true if it needs a build folder.
    pub(crate) fn builds(self) -> bool {
        match self {
            #[cfg(feature = "evcxr")]
            Self::Evcxr => true,
            #[cfg(feature = "echo")]
            Self::Echo => false,
        }
    }
}

/// An evaluator: evcxr, or its twin.
pub(crate) trait Evaluate {
    /// Returns the requirements of compiled cells on the machine that runs them.
    fn toolchain(&self) -> Toolchain;

    /// Handles one request; cells that must run meanwhile are sent over the link.
    fn handle(&mut self, request: EvaluatorRequest) -> Result<EvaluatorReply, Failure>;
}
