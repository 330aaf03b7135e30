//! The kernel: speaks Jupyter to a frontend, runs cells here and on engines.
//!
//! | module | what |
//! |---|---|
//! | [`session`] | which request is served when; the loop around it |
//! | [`channel`] | the five channels |
//! | [`comm`] | widgets and other conversations between code and frontends |
//! | [`actor`] | requests to a task that owns something |
//! | [`context`] | what all parts of a running cell share: outputs, interrupts, time, progress |
//! | [`source_map`] | from places in evaluated text back to places in the cell |
//! | [`completion`] | what may follow a half-typed line |
//! | [`cell`] | a cell as an ordered list of directives |
//! | [`command`] | `:` commands: what there is, what was typed |
//! | [`magic`] | magics: what was typed, what it means |
//! | [`run`] | what a cell asks for, carried out |
//! | [`parallel`] | engines, and what is done on them |
//! | [`report`] | outputs and failures as messages |
//! | [`cli`] | the commands of `phalanx` |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod actor;
pub mod cell;
pub mod channel;
pub mod cli;
pub mod comm;
pub mod command;
pub mod completion;
pub mod context;
pub mod magic;
pub mod parallel;
pub mod report;
pub mod run;
pub mod session;
pub mod source_map;
