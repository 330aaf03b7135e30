//! Events and commands of an engine.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use phalanx_protocol::evaluator::CompiledCell;
use phalanx_protocol::exit::RuntimeExit;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid, MsgId, RunId};
use phalanx_protocol::output::Output;
use phalanx_protocol::parallel::{
    EchoedMetadata, EngineInfo, EnginePublication, EngineReply, EngineRequest,
};
use phalanx_protocol::payload::{Payload, Segment};
use phalanx_protocol::runtime::Outcome;
use phalanx_runtime::FunctionCall;
use phalanx_transport::wire::Header;
use std::path::PathBuf;

/// The channel on which a request arrived and its reply is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EngineRequestChannel {
    /// Direct requests.
    Mux,
    /// Load-balanced tasks.
    Task,
    /// Broadcast requests to many engines.
    Broadcast,
    /// Requests about the engine itself.
    Control,
}

/// A request from a client.
#[derive(Clone, Debug)]
pub(crate) struct IncomingRequest {
    pub channel: EngineRequestChannel,
    /// The identities of the reply.
    pub route: Vec<Bytes>,
    pub header: Header,
    /// The metadata that the reply repeats.
    pub echo: EchoedMetadata,
    /// True if it arrived in a batch, so that its reply may be batched too.
    pub batched: bool,
    pub content: EngineRequest,
}

impl IncomingRequest {
    pub fn msg_id(&self) -> MsgId {
        MsgId::new(self.header.msg_id.clone())
    }

    /// Returns true if nothing is published for it unless it has output.
    pub fn is_quiet(&self) -> bool {
        self.batched
            || matches!(&self.content, EngineRequest::Apply(Ok(call)) if call.metadata.quiet)
    }
}

/// An event of an engine.
#[derive(Debug)]
pub(crate) enum EngineEvent {
    /// A request of a client.
    Requested(Box<IncomingRequest>),
    /// The arguments of a call have been stored for other engines, or cannot be (`None`).
    ArgumentsKept {
        /// The call.
        request: Box<IncomingRequest>,
        kept: Option<Segment>,
    },
    /// The memory of a client, identified by its session, can be opened here.
    ClientReached { client: String },
    /// Several calls in one message, which differ in their arguments only.
    Batch(Vec<IncomingRequest>),
    /// The deadline of held replies has passed.
    Flush,
    /// The time for which a client's turn is kept has passed.
    TurnOver,
    /// The artifacts of a run were found or not.
    Prepared {
        run: RunId,
        artifacts: Result<Vec<PathBuf>, ArtifactFailure>,
    },
    /// A new runtime has started.
    RuntimeStarted,
    /// The runtime could not be started.
    RuntimeFailed { message: String },
    /// Output of the runtime.
    RuntimeOutput { run: Option<RunId>, output: Output },
    /// The return value of a call; `RuntimeEnded` follows.
    RuntimeValue { run: RunId, value: Payload },
    /// A prefetched call was recalled before it began.
    RuntimeRecalled { run: RunId },
    /// A run has ended.
    RuntimeEnded { run: RunId, outcome: Outcome },
    /// The runtime process has ended.
    RuntimeExited { status: RuntimeExit },
    /// A signal to interrupt the running cell has arrived.
    Interrupt,
    /// The controller is silent or lost.
    Away,
    /// The controller is reachable again, and its connections have persisted.
    Back,
    /// The lost controller was joined again under this identity. It has replied to all earlier
    /// requests in the engine's place.
    Rejoined(EngineIdentity),
}

/// The reason why artifacts are not available.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ArtifactFailure {
    /// These artifacts must be sent.
    Missing(Vec<ArtifactHash>),
    /// The artifacts sent differ from their hashes or could not be stored.
    Broken(BrokenArtifact),
}

/// An artifact that was sent and cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum BrokenArtifact {
    /// A buffer stands for none of the artifacts.
    #[error("buffer {0} is none of the artifacts")]
    Position(usize),
    /// The bytes have another hash.
    #[error("artifact {0} arrived with other bytes than announced")]
    Bytes(ArtifactHash),
    /// It cannot be written to this engine's folder.
    #[error("artifact {hash} cannot be kept in {}: {error}", folder.display())]
    Kept {
        /// The artifact.
        hash: ArtifactHash,
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        error: String,
    },
}

/// A command of an engine.
#[derive(Debug)]
pub(crate) enum EngineCommand {
    /// Publish on iopub.
    Publish {
        /// The parent header.
        parent: Option<Header>,
        publication: EnginePublication,
    },
    /// Reply to a request.
    Reply(Box<OutgoingReply>),
    /// Store the arguments of a call in shared memory; [`EngineEvent::ArgumentsKept`] follows.
    KeepArguments(Box<IncomingRequest>),
    /// Open a segment of a client; [`EngineEvent::ClientReached`] follows if that is possible.
    OpenProbe {
        /// The client's session.
        client: String,
        probe: Segment,
    },
    /// Find the artifacts of a run; [`EngineEvent::Prepared`] follows.
    Prepare {
        run: RunId,
        shipment: Shipment,
        buffers: Vec<Bytes>,
    },
    /// Load a library into the runtime.
    Load(PathBuf),
    /// Run a cell in the runtime.
    Run { run: RunId, cell: CompiledCell },
    /// Interrupt the running cell; its end follows.
    Interrupt,
    /// Call a function in the runtime, after earlier calls.
    Call { run: RunId, call: FunctionCall },
    /// Recall calls that have not begun; the end or the recall of each follows.
    Recall,
    /// Kill the runtime; its exit follows.
    Kill,
    /// Send a signal to the runtime.
    Signal(i32),
    /// Start a runtime; its start or failure follows.
    StartRuntime,
    /// Leave the controller and end.
    Stop,
}

/// A reply to a request.
#[derive(Debug)]
pub(crate) struct OutgoingReply {
    pub request: IncomingRequest,
    pub reply: EngineReply,
    /// The positions of referenced values that are sent inline, since the client cannot open them.
    pub inlined: Vec<usize>,
}

/// The artifacts and arguments of a request, and how they are sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shipment {
    /// The client's machine, to which `paths` and `args` refer.
    pub host: String,
    /// The artifacts, in load order.
    pub artifacts: Vec<ArtifactHash>,
    /// The paths of the artifacts, in the same order; may be shorter.
    pub paths: Vec<PathBuf>,
    /// The indices of artifacts sent as buffers: the i-th buffer is `artifacts[buffers[i]]`.
    pub buffers: Vec<usize>,
    /// The arguments of a call in the shared memory of the client's machine.
    pub args: Option<Segment>,
}

/// An engine's id and uuid.
#[derive(Clone, Debug)]
pub(crate) struct EngineIdentity {
    pub id: EngineId,
    pub uuid: EngineUuid,
}

impl EngineIdentity {
    /// Returns the part of an error that identifies the engine.
    pub fn info(&self, method: &str) -> EngineInfo {
        EngineInfo {
            engine_uuid: Some(self.uuid.clone()),
            engine_id: Some(self.id),
            method: Some(method.to_owned()),
        }
    }
}

/// The time of an event.
pub(crate) type Now = DateTime<Utc>;
