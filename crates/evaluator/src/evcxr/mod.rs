//! The real evaluator: evcxr's contexts, driven over a relay that stands where their runtime would.

mod commands;
mod definitions;
mod diagnostics;
mod emitted;
mod engines;
mod lean;
mod library;
mod library_lock;
mod limits;
mod linker;
mod local;
mod locks;
mod macros;
mod ours;
mod places;
mod prelude;
mod pretence;
mod relay;
mod rustc_call;
mod shape;
mod shared;
mod small;
mod source;
mod start;
mod store;
mod tools;
mod variables;

pub(crate) use start::{hook, start};
