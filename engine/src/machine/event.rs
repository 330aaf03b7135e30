//! Events that happen to an engine, and its commands in answer to them.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid, MsgId, RunId};
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{
    EchoedMetadata, EngineInfo, EngineOutput, EngineReply, EngineRequest,
};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::FunctionCall;
use phalanx_transport::wire::Header;
use std::path::PathBuf;

/// The channel by which a request came in and its reply goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RequestChannel {
    /// Direct requests.
    Mux,
    /// Load-balanced tasks.
    Task,
    /// Requests to many engines at once.
    Broadcast,
    /// Requests that concern the engine itself.
    Control,
}

/// A request from a client.
#[derive(Clone, Debug)]
pub(crate) struct EngineTask {
    pub channel: RequestChannel,
    /// The frames that lead the reply back.
    pub route: Vec<Bytes>,
    pub header: Header,
    /// The metadata that the reply repeats.
    pub echo: EchoedMetadata,
    /// It came with others in one message, and its reply may go with theirs.
    pub batched: bool,
    pub content: EngineRequest,
}

impl EngineTask {
    pub fn msg_id(&self) -> MsgId {
        MsgId::new(self.header.msg_id.clone())
    }

    /// Returns true if nothing is published for it unless it puts something out.
    pub fn is_quiet(&self) -> bool {
        self.batched
            || matches!(&self.content, EngineRequest::Apply(Ok(call)) if call.metadata.quiet)
    }
}

/// An event that the engine handles.
#[derive(Debug)]
pub(crate) enum EngineEvent {
    /// A client asks something.
    Requested(Box<EngineTask>),
    /// A client asks for several calls that differ in their arguments alone.
    Batch(Vec<EngineTask>),
    /// Replies have waited for others long enough.
    Flush,
    /// The artifacts of a run are here, or are not.
    Prepared {
        run: RunId,
        artifacts: Result<Vec<PathBuf>, ArtifactFailure>,
    },
    /// A new runtime is up.
    RuntimeStarted,
    /// No runtime could be started.
    RuntimeFailed { message: String },
    /// The runtime put something out.
    RuntimeOutput { run: Option<RunId>, output: Output },
    /// The value that a called function gave back; its end follows.
    RuntimeValue { run: RunId, value: Payload },
    /// A call that was sent ahead has not begun, and will not.
    RuntimeRecalled { run: RunId },
    /// A run is over.
    RuntimeEnded { run: RunId, outcome: Outcome },
    /// The runtime is gone.
    RuntimeExited { status: String },
    /// Somebody on this machine wants the running cell ended.
    Interrupt,
    /// The controller is silent or lost.
    Away,
    /// It is there again, as if nothing had been.
    Back,
    /// It was lost, and has been joined again under this identity. It has answered for all that the
    /// engine had.
    Rejoined(EngineIdentity),
}

/// The reason a run's artifacts are not here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ArtifactFailure {
    /// They have to be sent.
    Missing(Vec<ArtifactHash>),
    /// The artifacts sent are not those announced, or could not be kept.
    Broken(String),
}

/// A command of the machine.
#[derive(Debug)]
pub(crate) enum EngineCommand {
    /// Publish on iopub.
    Publish {
        /// The request it belongs to.
        parent: Option<Header>,
        output: EngineOutput,
    },
    /// Answer a request.
    Reply(Box<OutgoingReply>),
    /// Find the artifacts of a run; answered by [`EngineEvent::Prepared`].
    Prepare {
        run: RunId,
        shipment: Shipment,
        buffers: Vec<Bytes>,
    },
    /// Load a library into the runtime.
    Load(PathBuf),
    /// Run a cell in the runtime.
    Run { run: RunId, cell: CompiledCell },
    /// Stop the cell that runs; answered by its end.
    Interrupt,
    /// Call a function in the runtime, after those it has been given before.
    Call { run: RunId, call: FunctionCall },
    /// Take back the calls that have not begun; answered for each by its end or its return.
    Recall,
    /// End the runtime; answered by its exit.
    Kill,
    /// Send the runtime a signal.
    Signal(i32),
    /// Start a runtime; answered by its start or failure.
    StartRuntime,
    /// Leave the controller and end.
    Stop,
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct OutgoingReply {
    pub request: EngineTask,
    pub reply: EngineReply,
}

/// The artifacts of a request, and how they come.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shipment {
    /// The client's machine, to whose paths `paths` refer.
    pub host: String,
    /// In load order.
    pub artifacts: Vec<ArtifactHash>,
    /// By position, may be shorter.
    pub paths: Vec<PathBuf>,
    /// The indices of those that come as buffers: the i-th buffer is `artifacts[buffers[i]]`.
    pub buffers: Vec<usize>,
    /// The data on the client's machine that the arguments of a call are.
    pub args: Option<Segment>,
}

/// The engine's id and uuid.
#[derive(Clone, Debug)]
pub(crate) struct EngineIdentity {
    pub id: EngineId,
    pub uuid: EngineUuid,
}

impl EngineIdentity {
    /// As it stands in the errors this engine reports.
    pub fn info(&self, method: &str) -> EngineInfo {
        EngineInfo {
            engine_uuid: Some(self.uuid.clone()),
            engine_id: Some(self.id),
            method: Some(method.to_owned()),
        }
    }
}

/// The moment of an event.
pub(crate) type Now = DateTime<Utc>;
