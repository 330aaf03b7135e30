//! Magics: first what was typed ([`low`]), then what it means here and now ([`plan`]).
//!
//! | file | what |
//! |---|---|
//! | `name.rs` | which magics there are, and those made by suffixes |
//! | `options.rs`, `targets.rs` | what can be typed after them |
//! | `low.rs`, `cluster.rs`, `tools.rs` | a line as it was typed |
//! | `ipython.rs` | magics of IPython that have another name here |
//! | `plan.rs` | what it means, with defaults and engines |
//! | `sets.rs` | what each set of magics remembers |
//! | `help.rs`, `complete.rs` | help and completion, made of the tables the parser reads |

mod cluster;
pub mod complete;
pub mod help;
mod ipython;
pub mod low;
pub mod name;
mod options;
pub mod plan;
pub mod sets;
pub mod targets;
mod tools;

pub use cluster::ClusterCommand;
pub use low::{LineMagic, PxOptions, TypedMagic, parse};
pub use name::{MagicName, MagicSuffix};
pub use plan::{Blocking, PlanError, PxDefaults, PxPlan, Streaming};
pub use sets::MagicSets;
pub use targets::Targets;
pub use tools::{Profile, TimeIt, Tool};

use crate::report::{Fault, FaultSource};
use phalanx_protocol::failure::Failure;
use std::ops::Range;

/// A magic that cannot be obeyed as it was typed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct MagicError {
    /// The fault.
    pub message: String,
    /// The faulty part of the line, in bytes from its `%`.
    pub span: Range<usize>,
    /// The text to type instead.
    pub hint: Option<String>,
}

impl MagicError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
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

    /// The failure of a magic whose line begins at byte `start` of the place's text.
    pub fn into_fault(self, mut place: FaultSource, start: usize) -> Fault {
        place.span = Some(start + self.span.start..start + self.span.end);
        Fault::at(self, place)
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
