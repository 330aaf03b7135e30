//! The real evaluator: evcxr's contexts, driven over a relay that stands where their runtime would.

mod analyzer;
mod blind;
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
mod types;
mod untyped;
mod variables;

pub(crate) use analyzer::analyzer;
pub(crate) use start::{hook, start};
