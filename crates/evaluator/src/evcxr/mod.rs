//! The real evaluator: evcxr's contexts, driven over a relay that stands where their runtime would.

mod diagnostics;
mod engines;
mod library;
mod local;
mod prelude;
mod relay;
mod source;
mod start;
mod tools;
mod variables;

pub(crate) use start::{hook, start};
