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
use crate::scheduler::Scheduler;
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_transport::{Event, Frames, ReplayGuard, Session};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// The delay between the replies given in an engine's place and the announcement of its end. Stock clients
/// make up their own replies then, and complain of ours if it comes second.
pub(super) const NOTIFY_AFTER_REPLIES: Duration = Duration::from_millis(20);
/// Engines that have left whose numbers are remembered, for errors that name them.
pub(super) const DEPARTED: usize = 256;
/// The addressee of replies that nobody waits for, such as the results of tasks that are submitted again: no
/// peer has this name. Results are asked for by query.
pub(super) const NOBODY: &[u8] = b"\0nobody";

/// An event for the controller to handle.
#[derive(Debug)]
pub(super) enum ServerEvent {
    /// Something came by a socket.
    Came(ServerSocket, Event),
    /// The iopub relay has seen something.
    Seen(PublicationFact),
    /// The records somebody asked for are there.
    Answered(QueryTicket, RecordAnswer),
    /// An engine's queue of requests is full: this one was not sent.
    Undelivered(EngineUuid, MsgId),
    /// A heartbeat is due.
    Beat,
    /// Time has passed.
    Tick,
    /// The next announcement is due.
    Announce,
    /// The controller ends.
    Ending,
}

/// A command of the controller's state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ServerCommand {
    /// Send a message, or drop it where its peer does not read.
    Post(ServerSocket, Frames),
    /// Send a request to an engine; [`ServerEvent::Undelivered`] where it does not read.
    Request {
        /// The socket.
        route: RequestRoute,
        /// The addressee.
        engine: EngineUuid,
        /// The request.
        id: MsgId,
        /// The message.
        frames: Frames,
    },
    /// Remember something of a task.
    Keep(RecordChange),
    /// Ask for records; the answer comes as [`ServerEvent::Answered`].
    Ask(QueryTicket, RecordQuery),
    /// The iopub relay has to look who publishes, or no longer.
    Listen(bool),
    /// Send what is sent, and end.
    End,
}

/// The controller's state: events in, commands out. Its own only input is the stamp of new messages, their id
/// and date.
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
    pub queued_bytes: usize,
    /// The engines that left last, the oldest first.
    pub departed: VecDeque<(EngineUuid, EngineId)>,
    /// The engines that take several tasks in one message.
    pub takes_batches: HashSet<EngineUuid>,
    /// Messages with several tasks that have come.
    pub batches: u64,
    pub started: Instant,
    /// The time by which engines are late.
    pub clock: Clock,
    /// The last two heartbeats; either may be returned.
    pub pings: [String; 2],
    /// True if the iopub relay looks who publishes.
    pub listens: bool,
    /// The messages that have come by each socket.
    pub replays: HashMap<ServerSocket, ReplayGuard>,
    /// Clients that have lost their connection, with the time of that.
    pub absent: HashMap<Bytes, Instant>,
    /// The time clients have to come back.
    pub client_timeout: Duration,
    /// The state of engines, for people to look at.
    pub vitals: HashMap<EngineUuid, EngineVitals>,
    /// Notifications that wait for their time.
    pub announcements: VecDeque<(Instant, Frames)>,
    /// The time of the event that is handled.
    pub now: Instant,
    /// The commands it has led to so far.
    pub out: Vec<ServerCommand>,
}

impl ServerState {
    /// A controller without engines. `connection_info` is what registration replies carry, `seed` is for the
    /// random schemes, `most` the number of bytes of a message's buffers that are kept.
    pub fn new(
        config: &ControllerConfig,
        session: Session,
        connection_info: serde_json::Value,
        most: usize,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self {
            hub: Hub::default(),
            scheduler: Scheduler::new(config.scheme, config.hwm, seed),
            direct: PendingRequests::default(),
            broadcast: Broadcast::default(),
            records: Records::new(most),
            session,
            connection_info,
            heartbeat: config.heartbeat,
            queued_bytes: config.queued_bytes,
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
            client_timeout: config.client_timeout,
            announcements: VecDeque::new(),
            now,
            out: Vec::new(),
        }
    }

    /// Decides.
    pub fn handle(&mut self, event: ServerEvent, now: Instant) -> Vec<ServerCommand> {
        self.now = now;
        match event {
            ServerEvent::Came(port, Event::Message(frames)) => self.message(port, frames),
            ServerEvent::Came(port, Event::Connected(peer)) => self.connected(port, &peer),
            ServerEvent::Came(port, Event::Disconnected(peer)) => self.disconnected(port, &peer),
            ServerEvent::Came(port, Event::Subscribed(_)) => self.subscribed(port),
            ServerEvent::Came(_, Event::Unsubscribed(_)) => {}
            ServerEvent::Seen(PublicationFact::Engine(engine)) => {
                self.hub_event(HubEvent::Heard(engine))
            }
            ServerEvent::Seen(PublicationFact::Published(task, published)) => {
                self.keep(RecordChange::Published(task, published));
            }
            ServerEvent::Answered(ticket, answer) => self.answered(ticket, answer),
            ServerEvent::Undelivered(engine, id) => self.undelivered(&engine, &id),
            ServerEvent::Beat => self.beat(),
            ServerEvent::Tick => self.tick(),
            ServerEvent::Announce => self.announce(),
            ServerEvent::Ending => self.say_goodbye(),
        }
        std::mem::take(&mut self.out)
    }

    /// The time of the next [`ServerEvent::Announce`].
    pub fn next_announcement(&self) -> Option<Instant> {
        self.announcements.front().map(|(at, _)| *at)
    }

    /// Returns true if new load-balanced tasks can be taken.
    pub fn takes_tasks(&self) -> bool {
        self.scheduler.queued_bytes() < self.queued_bytes
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

    fn say_goodbye(&mut self) {
        let content = phalanx_protocol::parallel::ShutdownNotification {};
        let notification = self.session.message(&content, None);
        self.announcements.clear();
        if let Ok(frames) = notification.seal(self.session.key()) {
            self.post(ServerSocket::Notification, frames);
        }
    }
}
