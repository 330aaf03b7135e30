//! Carries out what a cell asks for.
//!
//! | file | what |
//! |---|---|
//! | `local/` | the local namespace: evaluator, runtime, replay |
//! | `cell.rs` | the directives of a cell, one after the other |
//! | `shell.rs` | `!` lines |
//! | `commands.rs`, `dependency.rs` | `:` commands |
//! | `environment.rs` | the folder and the environment variables of cells |
//! | `magics/`, `body.rs` | magics, and the code of a `%px` |
//! | `help.rs` | pages of help |
//! | `logging.rs` | the default logger of cells |
//! | `host.rs` | what the `phalanx` library asks while a cell runs |
//! | `analyse.rs`, `paths.rs`, `crates.rs` | completion and inspection |
//! | `analysis/` | the process that knows about Rust for them |
//! | `services.rs` | all of it as one handle |

pub mod analyse;
mod analysis;
mod body;
mod cell;
mod commands;
mod crates;
mod dependency;
mod environment;
mod help;
pub mod host;
mod local;
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
pub use local::{CellCall, Local};
pub use services::{ProcessOwners, Services};
