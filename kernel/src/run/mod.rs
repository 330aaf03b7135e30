//! What a cell asks for, carried out.
//!
//! | file | what |
//! |---|---|
//! | `context.rs` | what everything one cell causes needs to know of it |
//! | `programs.rs` | how the kernel's own processes are started |
//! | `local/` | the local namespace: evaluator, runtime, replay |
//! | `cell.rs` | the directives of a cell, one after the other |
//! | `shell.rs` | `!` lines |
//! | `analyse.rs` | completion and inspection |

pub mod analyse;
mod cell;
mod context;
mod local;
mod programs;
mod services;
mod shell;

pub use cell::run_cell;
pub use context::CellContext;
pub use local::{CellCall, Local};
pub use programs::Programs;
pub use services::Services;
