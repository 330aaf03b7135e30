//! Sealed files in memory, and their mappings: the data behind a
//! [`SegmentRef`](phalanx_protocol::segment::SegmentRef).
//!
//! | file | contents |
//! |---|---|
//! | `file.rs` | files: created, sealed, referred to, opened by reference |
//! | `mapping.rs` | the bytes of a reference, mapped |
//! | `system.rs` | the system calls of both |
//!
//! The library of every notebook is built with this crate, so it declares the four system calls
//! itself: with libc, a `:dep` that enables another of libc's features would rebuild the library.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod file;
mod mapping;
mod system;

pub use file::{create, open, reference, seal};
pub use mapping::Mapping;
