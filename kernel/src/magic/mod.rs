//! Magics: parsed as typed ([`parse()`]), then planned with defaults and engines ([`plan`]).
//!
//! | file | contents |
//! |---|---|
//! | `name.rs` | the names of magics, and suffixes |
//! | `options.rs`, `targets.rs` | the parsers of options and targets |
//! | `parse.rs`, `cluster.rs`, `tools.rs` | the parser of lines |
//! | `ipython.rs` | hints for magics of IPython |
//! | `error.rs` | errors, with their texts and hints |
//! | `plan.rs` | the plan of a `%px`, with defaults and engines |
//! | `sets.rs` | the state of each set of magics |
//! | `help.rs`, `complete.rs` | help and completion, made from the parser's tables |

mod cluster;
pub mod complete;
mod error;
pub mod help;
mod ipython;
pub mod name;
mod options;
mod parse;
pub mod plan;
pub mod sets;
pub mod targets;
mod tools;

pub use cluster::ClusterCommand;
pub(crate) use cluster::MAX_ENGINES;
pub use error::{MagicError, MagicProblem};
pub use ipython::installs;
pub use name::{MagicName, MagicSuffix};
pub use parse::{Magic, ParsedMagic, PxOptions, parse};
pub use plan::{Blocking, PlanError, PxDefaults, PxPlan, Streaming};
pub use sets::MagicSets;
pub use targets::{TargetError, Targets};
pub use tools::{Profile, TimeIt, Tool};
