//! The interface between the evaluator process and what evaluates in it.

use phalanx_protocol::evaluator::{EvaluatorReply, EvaluatorRequest, NamespaceKind, Toolchain};
use phalanx_protocol::failure::Failure;

/// The evaluator that a process is built around.
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
    /// The arguments that select it in `phalanx evaluator`.
    pub(crate) fn args(self, kind: NamespaceKind) -> Vec<&'static str> {
        let kind = match kind {
            NamespaceKind::Local => "local",
            NamespaceKind::Engines => "engines",
        };
        let words = ["evaluator", "--kind", kind];
        let echo = match self {
            #[cfg(feature = "evcxr")]
            Self::Evcxr => None,
            #[cfg(feature = "echo")]
            Self::Echo => Some("--echo"),
        };
        words.into_iter().chain(echo).collect()
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

/// Something that evaluates: evcxr, or its twin.
pub(crate) trait Evaluate {
    /// The toolchain that compiled cells need on the machine that runs them.
    fn toolchain(&self) -> Toolchain;

    /// Works on one request; what has to be run meanwhile goes over the link.
    fn answer(&mut self, work: SlowRequest) -> Result<EvaluatorReply, Failure>;
}

/// A request that takes its time, without its id.
pub(crate) type SlowRequest = EvaluatorRequest;
