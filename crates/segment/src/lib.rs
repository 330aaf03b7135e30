//! Sealed files in memory, and their mappings: the data behind a
//! [`SegmentRef`](phalanx_protocol::segment::SegmentRef).
//!
//! | file | what |
//! |---|---|
//! | `file.rs` | files: created, sealed, referred to, opened by reference |
//! | `mapping.rs` | the bytes of a reference, mapped |
//! | `system.rs` | the system calls of both |
//!
//! The library of every notebook is built with this crate, so the four system calls are declared here
//! instead of adding libc, whose features further dependencies would change and build anew.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod file;
mod mapping;
mod system;

pub use file::{create, open, reference, seal};
pub use mapping::Mapping;
