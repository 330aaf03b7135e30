//! The kernel: speaks Jupyter to a frontend, runs cells here and on engines.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod cell;
pub mod magic;
