//! Messages received and sent by the state.

use super::argument_cache::ArgumentRoute;
use super::segments::ReceivedSegment;
use crate::task::EngineTask;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{EngineUuid, MsgId, StateId};
use phalanx_protocol::parallel::{EngineKind, EngineRequest, Lineage, RefusalReason};
use phalanx_protocol::payload::Payload;

/// A reply to one of our requests, from an engine or from the controller on its behalf.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub parent: MsgId,
    /// True if the engine itself replied, so that an `idle` follows on iopub.
    pub by_engine: bool,
    /// The engine that ran it, or exited while running it.
    pub engine: Option<EngineUuid>,
    pub started: Option<DateTime<Utc>>,
    pub completed: Option<DateTime<Utc>>,
    /// The engine's state, if it is a Rust engine.
    pub state: Option<StateId>,
    /// True if nothing was published for it, so that no `idle` follows.
    pub settled: bool,
    pub content: ReplyContent,
    /// The segment that contains the value, if the engine waits for its release.
    pub segment: Option<Box<ReceivedSegment>>,
}

/// The controller's report on tasks. A task in neither list is still pending.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// The replies to tasks that have ended.
    pub ended: Vec<Reply>,
    /// Tasks that the controller has no record of.
    pub unknown: Vec<MsgId>,
}

/// The content of a reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ReplyContent {
    Ok {
        execution_count: Option<u32>,
        /// The value of a function.
        value: Option<Payload>,
    },
    Failed(RemoteFailure),
    Aborted,
    Refused(RefusalReason),
    KernelInfo(EngineKind),
    /// `None` if it could not be decoded.
    Lineage(Option<Box<Lineage>>),
}

/// A message to send to an engine.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingMessage {
    /// The engine; `None` for tasks placed by the scheduler.
    pub engine: Option<EngineUuid>,
    pub msg_id: MsgId,
    pub body: OutgoingContent,
}

/// The content of a message to an engine.
#[derive(Clone, Debug)]
pub(crate) enum OutgoingContent {
    /// Over mux, or to the scheduler: a task.
    Work {
        work: Box<EngineTask>,
        /// True if the paths of its artifacts are sent, for engines on this machine.
        by_path: bool,
        /// The positions of the artifacts that are sent as buffers.
        buffers: Vec<usize>,
        /// The way its arguments are sent, if they are large and the engine is on another machine.
        argument_route: Option<ArgumentRoute>,
        /// The engines a scheduler may choose among; empty for all.
        targets: Vec<EngineUuid>,
        /// Tasks that differ only in their arguments, sent in the same message.
        more: Vec<(MsgId, Payload)>,
    },
    /// Over mux: the request for the engine's kind.
    KernelInfo,
    /// Over control: a request.
    Control(EngineRequest),
}

impl OutgoingMessage {
    /// The ids of the tasks it carries, or its own id.
    pub fn ids(&self) -> impl Iterator<Item = &MsgId> {
        let more = match &self.body {
            OutgoingContent::Work { more, .. } => more.as_slice(),
            _ => &[],
        };
        std::iter::once(&self.msg_id).chain(more.iter().map(|(msg_id, _)| msg_id))
    }
}
