//! An engine: joins a controller, owns a runtime, and runs compiled cells for clients.
//!
//! | module | contents |
//! |---|---|
//! | [`cli`] | the command line of `phalanx-engine` and `phalanx engine` |
//! | [`config`] | [`EngineConfig`]; the reasons for an engine's end |
//! | `machine` | the decisions of an engine; pure |
//! | `server` | the actor around the machine |
//! | `about` | the handshake: the engine's artifacts, machine and C library |
//! | `link`, `wire` | connections to the controller, and messages on them |
//! | `artifacts` | artifacts by hash |
//! | `runtime` | the runtime process, restarted when it ends |
//! | `vitals` | processor time and memory of the runtime process |
//! | `rank` | the rank among engines with the same command line |
//! | [`signals`], [`parent`] | external reasons for an engine's end |

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
mod server;
pub mod signals;
mod vitals;
mod wire;

pub use cli::{CliError, EngineArgs};
pub use config::{EngineConfig, EngineError, Exit};
pub use server::run;
