//! A client of a controller: engines, submissions, AsyncResults, and the rendering of their
//! outputs.
//!
//! | module | content |
//! |---|---|
//! | [`client`] | [`Client`]: the connection, and what is asked of engines |
//! | [`hub`] | what the controller knows of everybody's tasks |
//! | [`submission`] | [`Submission`]: compiled cells for engines, and what comes back when one is refused |
//! | [`task`] | what one task runs, and where: a cell or a call, on an engine or load-balanced |
//! | [`result`] | [`AsyncResult`]: what is known of the tasks of one submission |
//! | [`render`] | outputs of several engines as what a notebook shows; pure |
//! | `state` | everything the client decides: engines, artifacts, tasks; pure |
//! | `record` | the hub's record of a task |
//! | `shared` | the state that handles share with the actor |
//! | `recovery` | what has become of tasks after a connection broke |
//! | `wire`, `connect`, `actor` | messages, sockets, and the loop around the state |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod actor;
pub mod client;
mod connect;
mod engine;
pub mod hub;
mod hub_result;
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

pub use client::{CONTROL_TIMEOUT, Client, UNREACHABLE, WaitError};
pub use connect::ConnectError;
pub use engine::{ClientEvent, Engine};
pub use hub::{HubError, HubRecord, Purge, QueueStatus, ResultStatus};
pub use record::HubResult;
pub use result::{
    AlreadyDone, AsyncResult, SelectedTasks, TaskEvent, TaskEventKind, TaskOutcome, TaskSelection,
};
pub use submission::{RefusedTask, Submission};
pub use task::{EngineCall, EngineCell, EngineTask, Placement, SchedulingOptions};
