//! The controller's state, and the event loop that does the I/O.

mod batch;
mod channels;
mod clients;
mod clock;
mod engines;
mod incoming;
mod iopub;
mod query;
mod records;
mod relay;
mod replies;
mod state;
mod store;
mod tasks;
#[cfg(test)]
mod tests;
mod vitals;

pub use channels::Channels;
pub use store::store;

use crate::config::ControllerConfig;
use crate::records::RecordStore;
use crate::scheduler::ReadChange;
use channels::Senders;
use incoming::ServerSocket;
use phalanx_protocol::id::EngineUuid;
use phalanx_transport::warn_rarely;
use phalanx_transport::{EngineConnectionFile, Frames, RoutingId, SendError, Session, until};
use state::{ServerCommand, ServerEvent, ServerState};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The time between two checks of timeouts.
const TICK: Duration = Duration::from_millis(250);
/// The maximum number of outputs waiting to be recorded.
const PUBLISHED_CAPACITY: usize = 1024;
/// The time limit for flushing messages when the controller shuts down.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The event loop: waits for events, passes them to the state and performs its commands.
pub struct Server {
    state: ServerState,
    store: RecordStore,
    heartbeat: Duration,
    /// True if the iopub relay must report publishing engines.
    listens: Arc<AtomicBool>,
    ends: bool,
}

impl Server {
    /// Creates a server without engines.
    pub fn new(
        config: &ControllerConfig,
        session: Session,
        engine: &EngineConnectionFile,
        store: RecordStore,
    ) -> Self {
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let (ports, now) = (channels::ports(engine), Instant::now());
        Self {
            state: ServerState::new(config, session, ports, store.max_buffers(), seed, now),
            store,
            heartbeat: config.heartbeat,
            listens: Arc::default(),
            ends: false,
        }
    }

    /// Runs until it is cancelled or a client requests its shutdown.
    pub async fn run(mut self, channels: Channels, cancel: CancellationToken) {
        let (senders, mut incoming, iopub) = channels.split();
        // Bounded, so that engines that publish faster than their output is recorded are slowed
        // down.
        let (seen, mut published) = mpsc::channel(PUBLISHED_CAPACITY);
        let session = self.state.session.clone();
        // Ends with this loop, which aborts and awaits it.
        let relay = tokio::spawn(iopub.run(session, seen, self.listens.clone()));
        let mut beat = tokio::time::interval(self.heartbeat);
        let mut tick = tokio::time::interval(TICK);
        // After a stop of this process, one heartbeat is sent instead of all missed ones.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.ends {
            let announcement = self.state.next_announcement();
            let room = self.store.has_room();
            let tasks = self.state.takes_tasks();
            let event = tokio::select! {
                (port, event) = incoming.next(tasks), if room => ServerEvent::Socket(port, event),
                Some(seen) = published.recv(), if room => ServerEvent::Published(seen),
                answer = self.store.next() => match answer {
                    Some((ticket, answer)) => ServerEvent::Answered(ticket, answer),
                    None => continue,
                },
                _ = beat.tick() => ServerEvent::Beat,
                _ = tick.tick() => ServerEvent::Tick,
                () = until(announcement) => ServerEvent::Announce,
                () = cancel.cancelled() => break,
            };
            self.handle(event, &senders);
        }
        self.handle(ServerEvent::Ending, &senders);
        senders.close(CLOSE_LIMIT).await;
        relay.abort();
        // The result is always the abortion.
        drop(relay.await);
        self.store.close().await;
    }

    /// Handles an event, and the events that its commands lead to.
    fn handle(&mut self, event: ServerEvent, senders: &Senders) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for command in self.state.handle(event, Instant::now()) {
                events.extend(self.perform(command, senders));
            }
        }
    }

    fn perform(&mut self, command: ServerCommand, senders: &Senders) -> Option<ServerEvent> {
        match command {
            ServerCommand::Post(port, frames) => {
                post(senders, port, frames);
            }
            ServerCommand::Request {
                route,
                engine,
                id,
                frames,
            } => {
                let sent = post(senders, route.engines(), frames);
                return (!sent).then_some(ServerEvent::Undelivered(engine, id));
            }
            ServerCommand::Record(change) => store::keep_change(&mut self.store, change),
            ServerCommand::Query(ticket, query) => {
                let answer = self.store.ask(ticket, query)?;
                return Some(ServerEvent::Answered(ticket, answer));
            }
            ServerCommand::Read(ReadChange::Pause(client)) => {
                let peer = peer_name(Some(&client));
                tracing::debug!(%peer, "its tasks are not read until some have ended");
                senders.task_clients.pause(&client);
            }
            ServerCommand::Read(ReadChange::Resume(client)) => {
                senders.task_clients.resume(&client);
            }
            ServerCommand::ReportPublishers(listens) => {
                self.listens.store(listens, Ordering::Release)
            }
            ServerCommand::End => self.ends = true,
        }
        None
    }
}

/// Sends without waiting: a peer that does not read loses its own messages only.
fn post(senders: &Senders, port: ServerSocket, frames: Frames) -> bool {
    match senders.of(port).try_send(frames) {
        Ok(()) => true,
        Err(SendError::Closed) => false,
        Err(error) => {
            warn_rarely!(?port, %error, "a message is dropped");
            false
        }
    }
}

/// The uuid of an engine from a peer's identity; `None` for other peers.
fn engine_uuid(identity: &[u8]) -> Option<EngineUuid> {
    std::str::from_utf8(identity).ok().map(EngineUuid::new)
}

fn peer_name(identity: Option<&bytes::Bytes>) -> RoutingId {
    RoutingId(identity.cloned().unwrap_or_default())
}
