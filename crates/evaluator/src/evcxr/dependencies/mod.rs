//! The dependencies of cells: crates built by cargo, and the shared libraries linked from them.
//!
//! Every crate that cells depend on is in exactly one shared library, so that its statics exist
//! once: a tokio runtime, a rayon pool and a tracing subscriber persist between cells, and a cell
//! takes some kilobytes. When dependencies are added, a further library contains the crates that
//! are new or rebuilt, and depends on the previous one.

mod changes;
mod crates;
mod graph;
mod native;
mod runtime;
mod session;
mod shadowing;
mod shared;
mod threads;

pub(super) use changes::{RebuiltCrates, changes, packages, replace};
pub(super) use crates::{BuiltCrate, read_artifacts};
pub(super) use graph::Graph;
pub(super) use runtime::{TOKIO, awaits, explain_tokio, may_await, tokio_for};
pub(super) use session::{Build, Externs, Session};
pub(super) use shadowing::{NAMES as STANDARD_NAMES, Shadowed, shadowed_types};
pub(super) use shared::link_arguments;
