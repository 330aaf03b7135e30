//! Support for end-to-end tests: places to work in, bounded runs of other programs, and what
//! `cargo xtask test` prepared.
//!
//! | module | what it holds |
//! |---|---|
//! | [`harness`] | cases that name what they need, and are skipped without it |
//! | [`prepared`] | what they may need: our programs, Python, a browser, other programs |
//! | [`place`] | a folder of a test's own, whose processes end with it |
//! | [`script`] | a Python script that plays a client |
//! | [`bounded`] | running a program, but not for ever |
//! | [`processes`] | finding processes by a mark in their environment |
//! | [`notebook`] | making notebooks and reading executed ones |
//!
//! A test fails by panicking, so these functions do too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod bounded;
pub mod harness;
pub mod notebook;
pub mod prepared;
pub mod processes;
pub mod sandbox;
pub mod script;
