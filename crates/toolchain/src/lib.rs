//! The Rust toolchain that compiles cells: which one it is, what it lacks, and how that is added.
//!
//! | module | contents |
//! |---|---|
//! | [`active`] | the toolchain that is active in a folder, and the checks of its parts |
//! | [`error`] | the parts that can be missing, and what adds each |
//! | [`rustup`] | the rule by which a toolchain is chosen, and the installation of its parts |
//!
//! One rule, which is rustup's own: `RUSTUP_TOOLCHAIN`, else the directory override or the
//! `rust-toolchain.toml` of the folder in which the kernel was started (a notebook's own folder) or of
//! one above it, else the user's default. It is applied once, when a kernel starts, and everything the
//! kernel starts is given the answer by `RUSTUP_TOOLCHAIN`, so that no other folder's override applies.
//! Without rustup the toolchain is the one whose `rustc` is first on the PATH.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod active;
pub mod error;
pub mod rustup;

pub use active::{ActiveToolchain, Release, find_program, linker};
pub use error::{Remedy, ToolchainError};
