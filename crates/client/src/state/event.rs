//! Events and commands of a client.

use super::message::{OutgoingMessage, Recovered, Reply};
use crate::engine::ClientEvent;
use crate::error::TaskError;
use crate::result::TaskUpdate;
use crate::task::{EngineTask, TaskKey};
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::parallel::{EnginePublication, EngineRequest, Lineage, RefusalReason};
use std::time::Instant;

/// The time of an event, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventTime {
    pub instant: Instant,
    pub utc: DateTime<Utc>,
}

/// Identifies a caller that waits for replies of engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ticket(pub u64);

/// A channel whose connection the state watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WatchedChannel {
    /// Requests to the hub.
    Query,
    /// Direct requests.
    Mux,
    /// Load-balanced tasks.
    Task,
}

/// An event of a client.
#[derive(Debug)]
pub(crate) enum StateEvent {
    /// The user submits tasks.
    Submit { tasks: Vec<(TaskKey, EngineTask)> },
    /// The user submits a task in place of a refused one.
    Resend { key: TaskKey, work: EngineTask },
    /// The user ends a refused task.
    Fail {
        key: TaskKey,
        failure: RemoteFailure,
    },
    /// The user aborts tasks.
    Abort { keys: Vec<TaskKey>, ticket: Ticket },
    /// The user sends a request to engines.
    Control {
        engines: Vec<EngineId>,
        request: EngineRequest,
        ticket: Ticket,
    },
    /// The controller's list of engines.
    Engines {
        engines: Vec<(EngineId, EngineUuid)>,
        /// True if the scheduler supports several tasks in one message.
        batches: bool,
    },
    /// The controller reports that an engine has registered.
    Registered(EngineId, EngineUuid),
    /// The controller reports that an engine has left.
    Unregistered(EngineId, EngineUuid),
    /// A reply to one of our requests.
    Replied(Reply),
    /// Several replies at once.
    Batch(Vec<Reply>),
    /// A publication of an engine for one of our requests.
    Published {
        parent: MsgId,
        engine: Option<EngineUuid>,
        published: EnginePublication,
    },
    /// A message could not be sent.
    SendFailed { msg_id: MsgId, error: TaskError },
    /// The client has connected, subscribed and received the first list of engines.
    Connected,
    /// A channel has lost its connection, which the socket tries to restore.
    ChannelLost(WatchedChannel),
    /// A channel is connected, for the first time or again.
    ChannelRestored(WatchedChannel),
    /// The client has subscribed to notifications and publications again.
    Subscribed,
    /// The controller's report on tasks whose replies may be lost.
    Recovered(Recovered),
    /// The controller did not report.
    NotRecovered,
    /// The controller cannot be reached any more.
    Disconnected { reason: String },
    /// A deadline has passed.
    Tick,
}

/// A command of the state.
#[derive(Debug)]
pub(crate) enum StateCommand {
    /// Send a message.
    Send(OutgoingMessage),
    /// Update the record of a task.
    Update(TaskKey, TaskUpdate),
    /// Pass a refused task to its submitter.
    ReportRefusal {
        key: TaskKey,
        reason: RefusalReason,
        state: StateId,
        engine: EngineId,
        work: Box<EngineTask>,
    },
    /// Notify the subscribers.
    Notify(ClientEvent),
    /// The lineage requested with this ticket.
    Lineage(Ticket, Box<Lineage>),
    /// Every engine that was sent a request with this ticket has replied or left.
    EnginesReplied(Ticket),
    /// Return free memory to the system.
    Trim,
    /// Request the list of engines from the controller.
    QueryEngines,
    /// Subscribe to notifications and publications again; [`StateEvent::Subscribed`] follows.
    Subscribe,
    /// Give up the subscription that may be under way.
    StopSubscribing,
    /// Query the controller about these tasks.
    Recover(Vec<MsgId>),
}
