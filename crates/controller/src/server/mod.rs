//! The sockets and the loop around the state machines.

mod batch;
mod channels;
mod clock;
mod engines;
mod incoming;
mod iopub;
mod query;
mod records;
mod relay;
mod replies;
mod tasks;

pub use channels::Channels;
pub use records::store;

use crate::broadcast::Broadcast;
use crate::config::ControllerConfig;
use crate::direct::Direct;
use crate::hub::Hub;
use crate::records::Store;
use crate::scheduler::Scheduler;
use channels::Senders;
use clock::Clock;
use incoming::Port;
use iopub::Seen;
use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_transport::warn_rarely;
use phalanx_transport::{
    EngineConnectionFile, Event, Frames, Identity, SendError, Sender, Session,
};
use records::Records;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The time between two checks of timeouts.
const TICK: Duration = Duration::from_millis(250);
/// The delay between the replies given in an engine's place and the announcement of its end. Stock clients
/// make up their own replies then, and complain of ours if it comes second.
const NOTIFY_AFTER_REPLIES: Duration = Duration::from_millis(20);
/// Outputs that may wait to be kept.
const PUBLISHED: usize = 1024;
/// Engines that have left whose numbers are remembered, for errors that name them.
const DEPARTED: usize = 256;
/// The addressee of replies that nobody waits for, such as the results of tasks that are submitted again: no
/// peer has this name. Results are asked for by query.
const NOBODY: &[u8] = b"\0nobody";
/// Of a channel's two sockets, the one that faces clients.
const CLIENTS: usize = 0;
/// The one that faces engines.
const ENGINES: usize = 1;
/// The time messages may take to leave when the controller ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The controller's state and the loop that drives it.
pub struct Server {
    hub: Hub,
    scheduler: Scheduler,
    direct: Direct,
    broadcast: Broadcast,
    records: Records,
    session: Session,
    /// Of the engine's connection file, for registration replies.
    connection_info: serde_json::Value,
    heartbeat: Duration,
    queued_bytes: usize,
    /// The engines that left last, the oldest first.
    departed: VecDeque<(EngineUuid, EngineId)>,
    /// The engines that take several tasks in one message.
    takes_batches: HashSet<EngineUuid>,
    /// Messages with several tasks that have come.
    batches: u64,
    started: Instant,
    /// The time by which engines are late.
    clock: Clock,
    /// The last two heartbeats; either may be returned.
    pings: [String; 2],
    /// True if the iopub relay has to look who publishes.
    listens: Arc<AtomicBool>,
    /// Notifications that wait for their time.
    announcements: VecDeque<(Instant, Frames)>,
    ends: bool,
}

impl Server {
    /// A server without engines.
    pub fn new(
        config: &ControllerConfig,
        session: Session,
        engine: &EngineConnectionFile,
        store: Store,
    ) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        Self {
            hub: Hub::default(),
            scheduler: Scheduler::new(config.scheme, config.hwm, seed),
            direct: Direct::default(),
            broadcast: Broadcast::default(),
            records: Records::new(store),
            session,
            connection_info: channels::ports(engine),
            heartbeat: config.heartbeat,
            queued_bytes: config.queued_bytes,
            departed: VecDeque::new(),
            takes_batches: HashSet::new(),
            batches: 0,
            started: Instant::now(),
            clock: Clock::new(Instant::now(), TICK),
            pings: Default::default(),
            listens: Arc::default(),
            announcements: VecDeque::new(),
            ends: false,
        }
    }

    /// Serves until it is cancelled or a client asks it to end.
    pub async fn run(mut self, channels: Channels, cancel: CancellationToken) {
        let (senders, mut incoming, iopub) = channels.split();
        // Bounded, so that engines that publish faster than it is kept are slowed down.
        let (seen, mut published) = mpsc::channel(PUBLISHED);
        // Ends when this loop does, which aborts and awaits it.
        let relay = tokio::spawn(iopub.run(self.session.clone(), seen, self.listens.clone()));
        let mut beat = tokio::time::interval(self.heartbeat);
        let mut tick = tokio::time::interval(TICK);
        // After a stop of this process there is one heartbeat, not all that were missed.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.ends {
            let announcement = self.announcements.front().map(|(at, _)| *at);
            let room = self.records.has_room();
            let tasks = self.scheduler.queued_bytes() < self.queued_bytes;
            tokio::select! {
                (port, event) = incoming.next(tasks), if room => self.event(port, event, &senders),
                Some(seen) = published.recv(), if room => self.seen(seen, &senders),
                answer = self.records.next() => if let Some((ticket, answer)) = answer {
                    self.answered(ticket, answer, &senders);
                },
                _ = beat.tick() => self.beat(&senders),
                _ = tick.tick() => self.tick(&senders),
                () = until(announcement) => self.announce(&senders),
                () = cancel.cancelled() => self.ends = true,
            }
        }
        self.say_goodbye(&senders);
        senders.close(CLOSE_LIMIT).await;
        relay.abort();
        // The result is that it was aborted.
        drop(relay.await);
        self.records.close().await;
    }

    fn seen(&mut self, seen: Seen, senders: &Senders) {
        match seen {
            Seen::Engine(engine) => self.heard(engine, senders),
            Seen::Published(task, published) => self.records.published(task, published),
        }
    }

    fn event(&mut self, port: Port, event: Event, senders: &Senders) {
        match event {
            Event::Message(frames) => self.message(port, frames, senders),
            Event::Connected(peer) => self.connected(port, &peer, senders),
            Event::Disconnected(peer) => self.disconnected(port, &peer, senders),
            Event::Subscribed(_) => self.subscribed(port, senders),
            Event::Unsubscribed(_) => {}
        }
    }

    fn message(&mut self, port: Port, frames: Frames, senders: &Senders) {
        match port {
            Port::Registration => self.query(frames, senders),
            Port::MuxClient | Port::ControlClient => self.request(port, frames, senders),
            Port::MuxEngine | Port::ControlEngine => self.reply(port, frames, senders),
            Port::TaskClient => self.task_request(frames, senders),
            Port::TaskEngine => self.task_reply(frames, senders),
            Port::BroadcastClient => self.broadcast_request(frames, senders),
            Port::BroadcastEngine => self.broadcast_reply(frames, senders),
            Port::Pong => self.pong(&frames, senders),
            Port::Ping | Port::Notification => {}
        }
    }

    fn say_goodbye(&mut self, senders: &Senders) {
        let content = phalanx_protocol::parallel::ShutdownNotification {};
        let notification = self.session.message(&content, None);
        self.announcements.clear();
        if let Ok(frames) = notification.seal(self.session.key()) {
            post(&senders.notification, frames);
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Sends without ever waiting: a peer that does not read loses its messages, nobody else.
fn post(sender: &Sender, frames: Frames) -> bool {
    match sender.try_send(frames) {
        Ok(()) => true,
        Err(SendError::Closed) => false,
        Err(error) => {
            warn_rarely!(%error, "a message is dropped");
            false
        }
    }
}

/// An engine's name as a peer shows it; `None` for peers that are none.
fn engine_uuid(identity: &[u8]) -> Option<EngineUuid> {
    std::str::from_utf8(identity).ok().map(EngineUuid::new)
}

fn shown(identity: Option<&bytes::Bytes>) -> Identity {
    Identity(identity.cloned().unwrap_or_default())
}
