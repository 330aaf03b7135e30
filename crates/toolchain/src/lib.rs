//! The Rust toolchain that compiles cells: its selection, its missing parts, and their
//! installation.
//!
//! | module | contents |
//! |---|---|
//! | [`active`] | the active toolchain of a folder, and the checks of its parts |
//! | [`error`] | the parts that may be missing, and the remedies |
//! | [`release`] | releases of Rust, and those that are supported |
//! | [`rustup`] | the rule by which rustup selects a toolchain, and the installation of parts |
//!
//! The rule is rustup's own: `RUSTUP_TOOLCHAIN`, else the directory override or the
//! `rust-toolchain.toml` of the folder in which the kernel was started (a notebook's own folder) or
//! of a parent folder, else the user's default. It is applied once, when a kernel starts; the
//! result is passed to all child processes in `RUSTUP_TOOLCHAIN`, so that overrides of other
//! folders do not apply. Without rustup, the toolchain is that of the first `rustc` on the PATH.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod active;
pub mod error;
pub mod release;
pub mod rustup;

pub use active::{ActiveToolchain, find_program, linker};
pub use error::{Remedy, ToolchainError};
pub use release::ToolchainRelease;
