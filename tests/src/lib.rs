//! Support for end-to-end tests: sandboxes, time limits for programs, and access to the
//! preparations of `cargo xtask test`.
//!
//! | module | contents |
//! |---|---|
//! | [`harness`] | cases that declare their requirements, and are skipped without them |
//! | [`prepared`] | requirements: our programs, Python, a browser, other programs |
//! | [`environment`] | a Python environment with the wheel |
//! | [`sandbox`] | a folder of a test's own, whose processes end with it |
//! | [`script`] | a Python script that acts as a client |
//! | [`bounded`] | programs run with a time limit |
//! | [`processes`] | a search for processes by a mark in their environment |
//! | [`notebook`] | creating notebooks and reading executed ones |
//!
//! These functions panic on errors, which fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod bounded;
pub mod environment;
pub mod harness;
pub mod notebook;
pub mod prepared;
pub mod processes;
pub mod sandbox;
pub mod script;
