//! The few system calls that no library has in the form needed here, behind safe functions.
//!
//! | module | what |
//! |---|---|
//! | [`file_identity`] | telling a file from another at the same path |
//! | [`fork`] | children that are copies of this process, one kind of which shares its open files |
//! | [`descriptors`] | which files are open, and putting that back as it was |
//! | [`children`] | the processes below this one: who they are, ending them |
//! | [`signals`] | signals as something to be read |
//! | [`threads`] | the other threads of this process |
//! | [`heap`] | giving free memory back |
//! | [`limits`] | how many files may be open |
//! | [`machine`] | the name of this machine |
//! | [`segment`] | large data in files without names, which processes hand each other |
//! | [`page`] | a page of memory that several processes share |
//! | [`terminal`] | a stderr that looks like a terminal |
//! | [`throttle`] | saying the same thing not too often |
//! | [`temporary`] | folders that the next process removes if their owner was killed |

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
