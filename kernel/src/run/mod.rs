//! Carries out what a cell asks for.
//!
//! | file | what |
//! |---|---|
//! | `context.rs` | what everything one cell causes needs to know of it |
//! | `programs.rs` | how the kernel's own processes are started |
//! | `local/` | the local namespace: evaluator, runtime, replay |
//! | `cell.rs` | the directives of a cell, one after the other |
//! | `shell.rs` | `!` lines |
//! | `commands.rs`, `dependency.rs` | `:` commands |
//! | `surroundings.rs`, `timer.rs` | the folder and environment of cells; how long they take |
//! | `magics/`, `body.rs` | magics, and the code of a `%px` |
//! | `help.rs` | pages of help |
//! | `logging.rs` | the default logger of cells |
//! | `moved.rs` | which cell has moved a variable that is gone |
//! | `unresolved.rs` | names that engines do not have |
//! | `host.rs` | what the `phalanx` library asks while a cell runs |
//! | `progress.rs`, `build.rs` | bars, and what cargo says |
//! | `analyse.rs`, `paths.rs`, `crates.rs` | completion and inspection |
//! | `analyst/` | the process that knows about Rust for them |
//! | `services.rs` | all of it as one handle |

pub mod analyse;
mod analysis;
mod body;
pub(crate) mod build;
mod cell;
mod commands;
mod context;
mod crates;
mod dependency;
mod environment;
mod help;
pub mod host;
mod local;
mod logging;
pub(crate) mod magics;
mod missing_variables;
mod paths;
mod programs;
pub(crate) mod progress;
mod services;
mod shell;
mod snapshots;
mod sources;
mod timer;
pub(crate) mod unresolved;

pub use cell::{evaluate_expression, run_cell};
pub use context::CellContext;
pub(crate) use dependency::dependency_spec;
pub use environment::Environment;
pub use local::{CellCall, Local};
pub use missing_variables::MissingVariables;
pub use programs::Programs;
pub use services::{ProcessOwners, Services};
