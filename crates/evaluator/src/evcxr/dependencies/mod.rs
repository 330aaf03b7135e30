//! The dependencies of cells: what cargo has built, and the shared libraries that are linked of it.
//!
//! Every crate that cells depend on is in one shared library and no other, so that its statics exist
//! once: a runtime of tokio, a pool of rayon and a subscriber of tracing are there in the next cell,
//! and a cell is some kilobytes. When dependencies are added, the library of the larger set holds the
//! crates that are new or were built anew, and depends on the one before.

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
pub(super) use runtime::{TOKIO, awaits, tokio_for};
pub(super) use session::{Build, Externs, Session};
pub(super) use shadowing::{NAMES as STANDARD_NAMES, Shadowed};
pub(super) use shared::link_arguments;
