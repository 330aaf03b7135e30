//! The controller: registration of engines and scheduling of tasks, with ipyparallel 9's wire
//! protocol.
//!
//! | module | content |
//! |---|---|
//! | [`hub`] | registrations, ids, heartbeats: a pure state machine |
//! | [`scheduler`] | load-balanced tasks: a pure state machine |
//! | `direct` | pending direct requests |
//! | `broadcast` | broadcasts, with separate or combined replies |
//! | `stored`, `hash` | messages that are kept, in little memory; hash maps for ids |
//! | `records` | records of tasks for clients' queries: in memory or in SQLite |
//! | `controller`, `config` | [`Controller`], the handle on a running one, and its settings |
//! | `earlier`, `stale` | connection files of a controller that is replaced, and of killed ones |
//! | `error` | errors in starting, and those in replies on behalf of engines |
//! | `server` | the state that combines them, also pure, and the sockets and the event loop |
//! | [`cli`] | `phalanx controller` |
//! | [`ipython`] | the folders of IPython's profiles, and ipyparallel's cluster file |
//!
//! ```no_run
//! # async fn example() -> Result<(), phalanx_controller::StartError> {
//! use phalanx_controller::{Controller, ControllerConfig};
//! let controller = Controller::start(ControllerConfig::default()).await?;
//! println!("engines: phalanx-engine --file {}", controller.engine_path().display());
//! let file = controller.client_file(); // for phalanx-client
//! # drop(file.clone());
//! controller.shutdown().await;
//! # Ok(()) }
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod broadcast;
pub mod cli;
mod config;
mod controller;
mod direct;
mod earlier;
mod error;
mod hash;
pub mod hub;
pub mod ipython;
mod records;
pub mod scheduler;
mod server;
mod stale;
mod stored;

pub use cli::{ServerArgs, run_server};
pub use config::{ControllerConfig, TaskDatabase};
pub use controller::Controller;
pub use error::StartError;
#[cfg(feature = "sqlite")]
pub use records::OpenError;
