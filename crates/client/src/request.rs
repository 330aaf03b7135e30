//! Requests of handles to the client's actor.

use crate::result::AsyncResult;
use crate::submission::RefusedTask;
use crate::task::{EngineTask, TaskKey};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::{EngineRequest, Lineage};
use phalanx_transport::Envelope;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// To the actor; unbounded, since it carries what a user asks for, never what a peer sends.
pub(crate) type Requests = mpsc::UnboundedSender<Request>;

/// A request of a handle.
#[derive(Debug)]
pub(crate) enum Request {
    /// Run these.
    Submit {
        result: AsyncResult,
        tasks: Vec<EngineTask>,
        refused: mpsc::UnboundedSender<RefusedTask>,
    },
    /// Run this in place of what was refused.
    Resend { key: TaskKey, work: EngineTask },
    /// End a refused task.
    Fail {
        key: TaskKey,
        failure: RemoteFailure,
    },
    /// Drop these tasks where they have not begun; answered once every engine has said so.
    Abort {
        keys: Vec<TaskKey>,
        done: oneshot::Sender<()>,
    },
    /// Something for engines' control channel; answered once every engine has replied or left.
    Control {
        engines: Vec<EngineId>,
        order: EngineRequest,
        done: oneshot::Sender<()>,
    },
    /// The cells that led to the state of an engine's namespace; dropped if it does not say.
    Lineage {
        engine: EngineId,
        done: oneshot::Sender<Lineage>,
    },
    /// Something for the controller; answered with its reply, or dropped when it is gone.
    Query {
        msg_type: &'static str,
        content: Value,
        done: oneshot::Sender<Envelope>,
    },
}
