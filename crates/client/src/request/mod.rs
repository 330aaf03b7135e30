//! Requests from handles to the client's actor.

mod refusal;

pub(crate) use refusal::RefusalDecision;
pub use refusal::RefusedTask;

use crate::result::ResultTracker;
use crate::task::{EngineTask, TaskKey};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::EngineId;
use phalanx_protocol::parallel::{EngineRequest, HubRequest, Lineage};
use phalanx_transport::Envelope;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The channel to the actor; unbounded, since it contains requests of the user, never messages of a
/// peer.
pub(crate) type Requests = mpsc::UnboundedSender<HandleRequest>;

/// A request of a handle.
#[derive(Debug)]
pub(crate) enum HandleRequest {
    /// Submits tasks.
    Submit {
        result: Arc<ResultTracker>,
        tasks: Vec<EngineTask>,
        refused: mpsc::UnboundedSender<RefusedTask>,
    },
    /// Submits a task in place of a refused one.
    Resend { key: TaskKey, work: EngineTask },
    /// Ends a refused task in failure.
    Fail {
        key: TaskKey,
        failure: RemoteFailure,
    },
    /// Aborts tasks that have not started; completed once every engine has replied.
    Abort {
        keys: Vec<TaskKey>,
        done: oneshot::Sender<()>,
    },
    /// Sends a request on engines' control channel; completed once every engine has replied or left.
    Control {
        engines: Vec<EngineId>,
        request: EngineRequest,
        done: oneshot::Sender<()>,
    },
    /// Requests the cells that led to the state of an engine's namespace; dropped if it does not
    /// reply.
    Lineage {
        engine: EngineId,
        done: oneshot::Sender<Lineage>,
    },
    /// Sends a request to the hub; completed with the reply, which `query.rs` decodes, or dropped
    /// if the controller is lost.
    Hub {
        request: HubRequest,
        done: oneshot::Sender<Envelope>,
    },
}
