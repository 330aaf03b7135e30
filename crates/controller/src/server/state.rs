//! The state of a controller: events in, commands out. Pure.

use super::TICK;
use super::clock::Clock;
use super::incoming::ServerSocket;
use super::iopub::PublicationFact;
use super::records::Records;
use super::vitals::EngineVitals;
use crate::broadcast::Broadcast;
use crate::config::ControllerConfig;
use crate::direct::{PendingRequests, RequestRoute};
use crate::hub::{Hub, HubEvent};
use crate::records::{QueryTicket, RecordAnswer, RecordChange, RecordQuery};
use crate::scheduler::{ReadChange, Scheduler};
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_transport::{Event, Frames, ReplayGuard, Session};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// The delay between the replies on behalf of an engine and the announcement that it has left. At
/// the announcement, stock clients create replies of their own, and report an error if ours arrive
/// later.
pub(super) const NOTIFY_AFTER_REPLIES: Duration = Duration::from_millis(20);
/// The number of engines that have left whose ids are kept, for errors that name them.
pub(super) const MAX_DEPARTED: usize = 256;
/// The addressee of replies without a recipient, such as the results of resubmitted tasks, which
/// are queried: no peer has this identity.
pub(super) const NOBODY: &[u8] = b"\0nobody";

/// An event for the controller to handle.
#[derive(Debug)]
pub(super) enum ServerEvent {
    /// An event of a socket.
    Socket(ServerSocket, Event),
    /// A report of the iopub relay.
    Published(PublicationFact),
    /// The answer to a query of records.
    Answered(QueryTicket, RecordAnswer),
    /// A request was not sent, since the engine's queue is full.
    Undelivered(EngineUuid, MsgId),
    /// A heartbeat is due.
    Beat,
    /// A deadline has passed.
    Tick,
    /// The next announcement is due.
    Announce,
    /// The controller is shutting down.
    Ending,
}

/// A command of the controller's state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ServerCommand {
    /// Send a message, or drop it if its peer does not read.
    Post(ServerSocket, Frames),
    /// Send a request to an engine; on failure [`ServerEvent::Undelivered`] follows.
    Request {
        /// The socket.
        route: RequestRoute,
        /// The engine.
        engine: EngineUuid,
        /// The msg_id.
        id: MsgId,
        /// The message.
        frames: Frames,
    },
    /// Record a change of a task.
    Record(RecordChange),
    /// Query records; the answer is [`ServerEvent::Answered`].
    Query(QueryTicket, RecordQuery),
    /// Read the tasks of a client no longer, or again.
    Read(ReadChange),
    /// Start or stop the iopub relay's reports of publishing engines.
    ReportPublishers(bool),
    /// Flush messages, and end.
    End,
}

/// The controller's state: events in, commands out. Its only other input is the stamp of new
/// messages, their id and date.
pub(super) struct ServerState {
    pub hub: Hub,
    pub scheduler: Scheduler,
    pub direct: PendingRequests,
    pub broadcast: Broadcast,
    pub records: Records,
    pub session: Session,
    /// Of the engine's connection file, for registration replies.
    pub connection_info: serde_json::Value,
    pub heartbeat: Duration,
    /// The engines that left last, the oldest first.
    pub departed: VecDeque<(EngineUuid, EngineId)>,
    /// The engines that support several tasks in one message.
    pub takes_batches: HashSet<EngineUuid>,
    /// The number of messages received with several tasks.
    pub batches: u64,
    pub started: Instant,
    /// The clock for timeouts of engines.
    pub clock: Clock,
    /// The last two heartbeats; an engine may return either.
    pub pings: [String; 2],
    /// True if the iopub relay reports publishing engines.
    pub listens: bool,
    /// The messages received from each socket, to detect replays.
    pub replays: HashMap<ServerSocket, ReplayGuard>,
    /// Clients that have lost their connection, with the time of the loss.
    pub absent: HashMap<Bytes, Instant>,
    /// The time in which clients may reconnect.
    pub client_timeout: Duration,
    /// The state of engines, for display to users.
    pub vitals: HashMap<EngineUuid, EngineVitals>,
    /// The number of load-balanced tasks that have failed before an engine ran them.
    pub refused: usize,
    /// Notifications to be sent later.
    pub announcements: VecDeque<(Instant, Frames)>,
    /// The time of the event being handled.
    pub now: Instant,
    /// The commands of the event being handled.
    pub out: Vec<ServerCommand>,
}

impl ServerState {
    /// Creates the state of a controller without engines. `connection_info` is included in
    /// registration replies, `seed` initializes the random schemes, `max_buffers` is the
    /// maximum size in bytes of the buffers kept of a message.
    pub fn new(
        config: &ControllerConfig,
        session: Session,
        connection_info: serde_json::Value,
        max_buffers: usize,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self {
            hub: Hub::default(),
            scheduler: Scheduler::new(config.scheme, config.hwm, config.queued_bytes, seed),
            direct: PendingRequests::default(),
            broadcast: Broadcast::default(),
            records: Records::new(max_buffers),
            session,
            connection_info,
            heartbeat: config.heartbeat,
            departed: VecDeque::new(),
            takes_batches: HashSet::new(),
            batches: 0,
            started: now,
            clock: Clock::new(now, TICK),
            pings: Default::default(),
            listens: false,
            replays: HashMap::new(),
            absent: HashMap::new(),
            vitals: HashMap::new(),
            refused: 0,
            client_timeout: config.client_timeout,
            announcements: VecDeque::new(),
            now,
            out: Vec::new(),
        }
    }

    /// Handles an event; returns the commands to perform, in order.
    pub fn handle(&mut self, event: ServerEvent, now: Instant) -> Vec<ServerCommand> {
        self.now = now;
        match event {
            ServerEvent::Socket(port, Event::Message(frames)) => self.message(port, frames),
            ServerEvent::Socket(port, Event::Connected(peer)) => self.connected(port, &peer),
            ServerEvent::Socket(port, Event::Disconnected(peer)) => self.disconnected(port, &peer),
            ServerEvent::Socket(port, Event::Subscribed(_)) => self.subscribed(port),
            ServerEvent::Socket(_, Event::Unsubscribed(_)) => {}
            ServerEvent::Published(PublicationFact::Engine(engine)) => {
                self.hub_event(HubEvent::Published(engine))
            }
            ServerEvent::Published(PublicationFact::Published(task, published)) => {
                self.keep(RecordChange::Published(task, published));
            }
            ServerEvent::Answered(ticket, answer) => self.answered(ticket, answer),
            ServerEvent::Undelivered(engine, id) => self.undelivered(&engine, &id),
            ServerEvent::Beat => self.beat(),
            ServerEvent::Tick => self.tick(),
            ServerEvent::Announce => self.announce(),
            ServerEvent::Ending => self.announce_shutdown(),
        }
        let reads = self.scheduler.read_changes().into_iter();
        self.out.extend(reads.map(ServerCommand::Read));
        std::mem::take(&mut self.out)
    }

    /// The time of the next [`ServerEvent::Announce`].
    pub fn next_announcement(&self) -> Option<Instant> {
        self.announcements.front().map(|(at, _)| *at)
    }

    /// Returns true if new load-balanced tasks can be accepted.
    pub fn takes_tasks(&self) -> bool {
        self.scheduler.has_room()
    }

    pub fn post(&mut self, port: ServerSocket, frames: Frames) {
        self.out.push(ServerCommand::Post(port, frames));
    }

    fn message(&mut self, port: ServerSocket, frames: Frames) {
        match port {
            ServerSocket::Registration => self.query(frames),
            ServerSocket::MuxClient | ServerSocket::ControlClient => self.request(port, frames),
            ServerSocket::MuxEngine | ServerSocket::ControlEngine => self.reply(port, frames),
            ServerSocket::TaskClient => self.task_request(frames),
            ServerSocket::TaskEngine => self.task_reply(frames),
            ServerSocket::BroadcastClient => self.broadcast_request(frames),
            ServerSocket::BroadcastEngine => self.broadcast_reply(frames),
            ServerSocket::Pong => self.pong(frames),
            ServerSocket::Ping | ServerSocket::Notification => {}
        }
    }

    fn announce_shutdown(&mut self) {
        let content = phalanx_protocol::parallel::ShutdownNotification {};
        let notification = self.session.message(&content, None);
        self.announcements.clear();
        if let Ok(frames) = notification.seal(self.session.key()) {
            self.post(ServerSocket::Notification, frames);
        }
    }
}
