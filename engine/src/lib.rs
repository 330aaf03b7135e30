//! An engine: joins a controller, owns a runtime, runs the compiled cells clients send.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line of `phalanx-engine` and `phalanx engine` |
//! | [`config`] | [`EngineConfig`], and how an engine ends |
//! | `machine` | everything an engine decides; pure |
//! | `server` | the loop around it |
//! | `link`, `wire` | its connections to the controller, and the messages on them |
//! | `artifacts` | what came over the wire, by hash |
//! | `handed` | large values that clients of this machine take over |
//! | `runtime` | the runtime process, started again when it is gone |
//! | `vitals` | the state of the runtime's process |
//! | `rank` | which of several engines of one command line this is |
//! | [`signals`], [`parent`] | what ends an engine from outside |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod about;
mod artifacts;
pub mod cli;
pub mod config;
mod link;
mod machine;
pub mod parent;
mod rank;
mod runtime;
mod segment_store;
mod server;
pub mod signals;
mod vitals;
mod wire;

pub use cli::{CliError, EngineArgs};
pub use config::{EngineConfig, EngineError, Exit};
pub use server::run;
