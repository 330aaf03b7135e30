//! The execution of cells.
//!
//! | file | contents |
//! |---|---|
//! | `local/` | the local namespace: evaluator, runtime, replay |
//! | `cell.rs` | the directives of a cell, in order |
//! | `local_cells.rs` | Rust text in the local namespace |
//! | `shell.rs` | `!` lines |
//! | `commands.rs`, `dependency.rs` | `:` commands |
//! | `environment.rs` | the working folder and environment variables of cells |
//! | `magics/`, `body.rs` | magics, and the code of a `%px` |
//! | `help.rs` | help pages |
//! | `logging.rs` | the default loggers of cells |
//! | `host.rs` | replies to the `phalanx` library while a cell runs |
//! | `introspection.rs`, `paths.rs`, `crates.rs` | completion and inspection |
//! | `analysis/` | the handle on the analysis process, which serves them |
//! | `snapshots.rs` | `:snapshot` |
//! | `sources.rs` | locations in earlier cells |
//! | `services.rs`, `locked.rs` | the handle on all of this; values that handles share |
//! | `error.rs` | all that can fail, with its texts |

mod analysis;
mod body;
mod cell;
mod commands;
mod crates;
mod dependency;
mod environment;
mod error;
mod help;
pub mod host;
mod introspection;
mod local;
mod local_cells;
mod locked;
mod logging;
pub(crate) mod magics;
mod paths;
mod services;
mod shell;
mod snapshots;
mod sources;

pub use cell::{evaluate_expression, run_cell};
pub(crate) use dependency::dependency_spec;
pub use environment::Environment;
pub use introspection::Introspection;
pub use local::{CellCall, Local};
pub use services::{ProcessOwners, Services};
