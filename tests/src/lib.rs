//! Support for end-to-end tests: places to work in, bounded runs of other programs, and what
//! `cargo xtask test` prepared.
//!
//! | module | what it holds |
//! |---|---|
//! | [`prepared`] | our programs, Python and a browser, or the reason why a test is skipped |
//! | [`place`] | a folder of a test's own, whose processes end with it |
//! | [`bounded`] | running a program, but not for ever |
//! | [`processes`] | finding processes by a mark in their environment |
//! | [`notebook`] | making notebooks and reading executed ones |
//!
//! A test fails by panicking, so these functions do too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod bounded;
pub mod notebook;
pub mod place;
pub mod prepared;
pub mod processes;
