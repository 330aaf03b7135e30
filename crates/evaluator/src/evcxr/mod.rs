//! The real evaluator: evcxr's contexts, driven over a relay that stands where their runtime would.

mod analyzer;
mod blind;
mod cargo_wrapper;
mod codegen_units;
mod commands;
mod compile_cache;
mod definitions;
mod dependencies;
mod diagnostics;
mod dry_run;
mod engines;
mod error_hints;
mod generated_crate;
mod lean;
mod library;
mod library_errors;
mod library_lock;
mod linker;
mod local;
mod locks;
mod macros;
mod prelude;
mod relay;
mod rustc_call;
mod source;
mod spans;
mod start;
mod store;
mod syntax;
mod types;
mod untyped;
mod variables;

pub(crate) use analyzer::analyzer;
pub(crate) use start::{hook, start};
