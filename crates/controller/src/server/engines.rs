//! Engines that join and leave.

use super::engine_uuid;
use super::incoming::ServerSocket;
use super::state::{MAX_DEPARTED, NOBODY, NOTIFY_AFTER_REPLIES, ServerCommand, ServerState};
use crate::hub::{EngineChannel, HubCommand, HubEvent, LeftReason};
use crate::scheduler::Language;
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::{
    AbortRequest, RegistrationNotification, UnregistrationNotification,
};
use phalanx_transport::{Frames, RoutingId};

fn channel(port: ServerSocket) -> Option<EngineChannel> {
    match port {
        ServerSocket::MuxEngine => Some(EngineChannel::Mux),
        ServerSocket::TaskEngine => Some(EngineChannel::Task),
        ServerSocket::ControlEngine => Some(EngineChannel::Control),
        ServerSocket::Pong => Some(EngineChannel::Heartbeat),
        _ => None,
    }
}

impl ServerState {
    pub(super) fn connected(&mut self, port: ServerSocket, peer: &RoutingId) {
        if let (Some(channel), Some(engine)) = (channel(port), engine_uuid(&peer.0)) {
            self.hub_event(HubEvent::Connected(channel, engine));
        } else if port == ServerSocket::TaskClient {
            self.client_connected(&peer.0);
        }
    }

    pub(super) fn disconnected(&mut self, port: ServerSocket, peer: &RoutingId) {
        if let (Some(channel), Some(engine)) = (channel(port), engine_uuid(&peer.0)) {
            self.hub_event(HubEvent::Disconnected(channel, engine));
        } else if port == ServerSocket::TaskClient {
            self.client_disconnected(&peer.0);
        }
    }

    pub(super) fn beat(&mut self) {
        self.hub_event(HubEvent::Beat);
        let ping = format!(
            "{:.6}",
            self.now
                .saturating_duration_since(self.started)
                .as_secs_f64()
        );
        self.post(ServerSocket::Ping, vec![bytes::Bytes::from(ping.clone())]);
        self.pings.swap(0, 1);
        self.pings[0] = ping;
    }

    pub(super) fn pong(&mut self, mut frames: Frames) {
        let vitals = frames.split_off(frames.len().min(2));
        let [peer, payload] = frames.as_slice() else {
            return;
        };
        let ours = self.pings.iter().any(|ping| ping.as_bytes() == payload);
        if let (true, Some(engine)) = (ours, engine_uuid(peer)) {
            self.hub_event(HubEvent::Pong(engine.clone()));
            if !vitals.is_empty() {
                self.reported(engine, vitals);
            }
        }
    }

    pub(super) fn tick(&mut self) {
        self.clock.tick(self.now);
        self.hub_event(HubEvent::Tick);
        self.drop_tasks_of_absent_clients();
        self.takes_batches.retain(|uuid| self.hub.contains(uuid));
        self.vitals.retain(|uuid, _| self.hub.contains(uuid));
        let commands = self.scheduler.tick(self.now);
        self.perform(commands);
    }

    /// Sends the list of engines to a new subscriber, which may have missed some announcements.
    pub(super) fn subscribed(&mut self, port: ServerSocket) {
        if port == ServerSocket::Notification {
            for (id, uuid) in self.hub.engines() {
                self.announce_joined(id, uuid);
            }
        }
    }

    pub(super) fn hub_event(&mut self, event: HubEvent) {
        let now = self.clock.time(self.now);
        let commands = self.hub.handle(event, now);
        let listens = self.hub.listens();
        if listens != self.listens {
            self.listens = listens;
            self.out.push(ServerCommand::ReportPublishers(listens));
        }
        for command in commands {
            match command {
                HubCommand::Accept(uuid, id) => self.accept(&uuid, id),
                HubCommand::Refuse(uuid, reason) => self.refuse(&uuid, reason),
                HubCommand::Joined(id, uuid) => {
                    tracing::info!(engine = %id, %uuid, "an engine has joined");
                    // Only our engines announce support for batches.
                    let runs = match self.takes_batches.contains(&uuid) {
                        true => Language::Rust,
                        false => Language::Python,
                    };
                    let commands = self.scheduler.joined(uuid.clone(), runs);
                    self.announce_joined(id, uuid);
                    self.perform(commands);
                }
                HubCommand::Left(id, uuid, reason) => {
                    tracing::info!(engine = %id, %uuid, %reason, "an engine has left");
                    self.left(id, uuid, reason);
                }
            }
        }
    }

    /// Resolves all tasks and requests of an engine, then announces that it has left.
    fn left(&mut self, id: EngineId, uuid: EngineUuid, reason: LeftReason) {
        self.departed.push_back((uuid.clone(), id));
        if self.departed.len() > MAX_DEPARTED {
            self.departed.pop_front();
        }
        let mut replied = false;
        if reason != LeftReason::Unregistered && reason != LeftReason::Disconnected {
            let mut msg_ids = self.direct.queued_on(&uuid);
            msg_ids.extend(self.scheduler.running_on(&uuid));
            self.recall(&uuid, msg_ids);
        }
        for (msg_id, pending) in self.direct.left(&uuid) {
            self.reply_for_dead(id, &uuid, &msg_id, &pending);
            replied = true;
        }
        let commands = self.scheduler.left(&uuid, self.now);
        replied |= !commands.is_empty();
        self.perform(commands);
        self.records.left(&uuid);
        let notification = UnregistrationNotification { id, uuid };
        let notification = self.session.message(&notification, None);
        let Ok(frames) = notification.seal(self.session.key()) else {
            return;
        };
        let now = self.now;
        // Never before an announcement that is already waiting.
        let at = if replied {
            now + NOTIFY_AFTER_REPLIES
        } else {
            now
        };
        let at = self
            .announcements
            .back()
            .map_or(at, |(last, _)| at.max(*last));
        self.announcements.push_back((at, frames));
    }

    /// Notifies an engine of requests that it need not start: it may return after they have been
    /// answered on its behalf, or their client has left.
    pub(super) fn recall(&mut self, uuid: &EngineUuid, msg_ids: Vec<MsgId>) {
        if msg_ids.is_empty() {
            return;
        }
        let mut request = self.session.message(&AbortRequest { msg_ids }, None);
        let name = Bytes::copy_from_slice(uuid.as_str().as_bytes());
        request.identities = vec![name, Bytes::from_static(NOBODY)];
        if let Ok(frames) = request.seal(self.session.key()) {
            self.post(ServerSocket::ControlEngine, frames);
        }
    }

    pub(super) fn announce(&mut self) {
        let now = self.now;
        while self.announcements.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, frames)) = self.announcements.pop_front() {
                self.post(ServerSocket::Notification, frames);
            }
        }
    }

    fn announce_joined(&mut self, id: EngineId, uuid: EngineUuid) {
        let notification = RegistrationNotification { id, uuid };
        let notification = self.session.message(&notification, None);
        if let Ok(frames) = notification.seal(self.session.key()) {
            self.post(ServerSocket::Notification, frames);
        }
    }
}
