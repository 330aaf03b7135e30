//! System calls that no library offers in the form needed here, behind safe functions.
//!
//! | module | contents |
//! |---|---|
//! | [`file_identity`] | distinction of a file from a later one at the same path |
//! | [`fork`] | forks of this process, one kind of which shares its file descriptors |
//! | [`descriptors`] | the open files of a process, and their restoration |
//! | [`children`] | the descendants of this process |
//! | [`signals`] | signals read from a descriptor |
//! | [`threads`] | the other threads of this process |
//! | [`heap`] | return of free memory |
//! | [`limits`] | the limit on open files |
//! | [`machine`] | the host name |
//! | [`segment`] | large data in unnamed files, shared between processes |
//! | [`page`] | a page of memory shared by several processes |
//! | [`terminal`] | a stderr that looks like a terminal |
//! | [`throttle`] | rate limits of messages |
//! | [`temporary`] | temporary folders that are removed even after their owner was killed |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod children;
pub mod descriptors;
pub mod file_identity;
pub mod fork;
pub mod heap;
pub mod limits;
pub mod machine;
pub mod page;
pub mod segment;
pub mod signals;
pub mod temporary;
pub mod terminal;
pub mod threads;
pub mod throttle;
