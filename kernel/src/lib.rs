//! The kernel: serves a Jupyter frontend and runs cells locally and on engines.
//!
//! | module | contents |
//! |---|---|
//! | [`session`] | the order of requests, and the actor around it |
//! | [`channel`] | the five Jupyter channels |
//! | [`comm`] | widgets and other comms between code and frontends |
//! | [`actor`] | request channels of actors |
//! | [`context`] | what all parts of a running cell share: outputs, interrupts, time, progress |
//! | [`source_map`] | the map from positions in evaluated text to positions in the cell |
//! | [`completion`] | completion of lines |
//! | [`cell`] | a cell as an ordered list of directives |
//! | [`command`] | `:` commands: table and parser |
//! | [`magic`] | magics: parsing and planning |
//! | [`run`] | execution of a cell's directives |
//! | [`parallel`] | engines and everything that runs on them |
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
