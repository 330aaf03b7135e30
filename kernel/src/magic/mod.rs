//! Magics: parsed as typed ([`low`]), then planned with defaults and engines ([`plan`]).
//!
//! | file | contents |
//! |---|---|
//! | `name.rs` | the names of magics, and suffixes |
//! | `options.rs`, `targets.rs` | the parsers of options and targets |
//! | `low.rs`, `cluster.rs`, `tools.rs` | the parser of lines |
//! | `ipython.rs` | hints for magics of IPython |
//! | `plan.rs` | the plan of a `%px`, with defaults and engines |
//! | `sets.rs` | the state of each set of magics |
//! | `help.rs`, `complete.rs` | help and completion, made from the parser's tables |

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
pub use ipython::installs;
pub use low::{LineMagic, PxOptions, TypedMagic, parse};
pub use name::{MagicName, MagicSuffix};
pub use plan::{Blocking, PlanError, PxDefaults, PxPlan, Streaming};
pub use sets::MagicSets;
pub use targets::{TargetError, Targets};
pub use tools::{Profile, TimeIt, Tool};

use crate::report::{Fault, FaultSource};
use phalanx_protocol::failure::{Failure, FailureKind};
use std::ops::Range;

/// The error of a magic: its message, its location and a hint.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct MagicError {
    /// The message.
    pub message: String,
    /// The faulty range, in bytes of the line.
    pub span: Range<usize>,
    /// The correction.
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

    /// Converts it to a fault; the line starts at byte `start` of the text of `place`.
    pub fn into_fault(self, mut place: FaultSource, start: usize) -> Fault {
        place.span = Some(start + self.span.start..start + self.span.end);
        Fault::at(self, place)
    }
}

impl From<MagicError> for Failure {
    fn from(error: MagicError) -> Self {
        Self::new(FailureKind::Usage, error.message, error.hint)
    }
}
