//! A client of a controller: engines, submissions, AsyncResults, and the rendering of their
//! outputs.
//!
//! | module | content |
//! |---|---|
//! | [`client`] | [`Client`]: the connection, and requests to engines |
//! | [`hub`] | the controller's records of tasks of all clients |
//! | [`submission`] | [`Submission`]: tasks for engines |
//! | [`task`] | the code of a task, a cell or a call, and its placement |
//! | [`async_result`] | [`AsyncResult`]: a handle on the tasks of one submission; selections of tasks |
//! | [`result`] | the records of those tasks |
//! | [`render`] | outputs of several engines in the form a notebook shows; pure |
//! | `state` | the decisions of the client about engines, artifacts and tasks; pure |
//! | `engine` | [`Engine`]: an engine that has joined, and the client's events |
//! | `query` | queries to the controller, and their replies |
//! | `record`, `hub_result` | the hub's record of a task, and AsyncResults of such tasks |
//! | `request`, `shared` | requests of handles to the actor, and the state they share with it |
//! | `recovery` | the state of tasks after a lost connection |
//! | `wire`, `connect`, `actor` | messages, sockets, and the event loop |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod actor;
pub mod async_result;
pub mod client;
mod connect;
mod engine;
mod error;
pub mod hub;
mod hub_result;
mod query;
mod record;
mod recovery;
pub mod render;
mod request;
pub mod result;
mod shared;
mod state;
pub mod submission;
pub mod task;
mod wire;

pub use async_result::{AlreadyDone, AsyncResult, SelectedTasks, TaskSelection};
pub use client::{CONTROL_TIMEOUT, Client, ClientCloser, UNREACHABLE, WaitError};
pub use connect::ControllerConnectError;
pub use engine::{ClientEvent, Engine};
pub use hub::{HubError, HubRecord, Purge};
pub use record::HubResult;
pub use request::RefusedTask;
pub use result::{TaskEvent, TaskEventKind, TaskOutcome};
pub use submission::Submission;
pub use task::{EngineCall, EngineCell, EngineTask, Placement};
