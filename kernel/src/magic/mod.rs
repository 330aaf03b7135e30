//! Magics: first what was typed ([`low`]), then what it means here and now ([`plan`]).

pub mod help;
pub mod low;
mod options;
pub mod plan;
pub mod targets;

pub use low::{ClusterCommand, Low, PxOptions, parse};
pub use plan::{Blocking, PlanError, PxDefaults, PxPlan, Streaming};
pub use targets::Targets;

use phalanx_protocol::failure::Failure;
use std::ops::Range;

/// A magic that cannot be obeyed as it was typed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct MagicError {
    /// What is wrong.
    pub message: String,
    /// What of the line is wrong, in bytes from its `%`.
    pub span: Range<usize>,
    /// What to type instead.
    pub hint: Option<String>,
}

impl MagicError {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span,
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<MagicError> for Failure {
    fn from(error: MagicError) -> Self {
        Self::Usage {
            message: error.message,
            hint: error.hint,
        }
    }
}
