//! Engines that come and go.

use super::channels::Senders;
use super::incoming::Port;
use super::{DEPARTED, ENGINES, NOBODY, NOTIFY_AFTER_REPLIES, Server, engine_uuid, post};
use crate::hub::{Channel, HubCommand, HubEvent, LeftReason};
use crate::scheduler::Language;
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::parallel::{
    AbortRequest, RegistrationNotification, UnregistrationNotification,
};
use phalanx_transport::{Frames, Identity};
use std::sync::atomic::Ordering;
use std::time::Instant;

fn channel(port: Port) -> Option<Channel> {
    match port {
        Port::MuxEngine => Some(Channel::Mux),
        Port::TaskEngine => Some(Channel::Task),
        Port::ControlEngine => Some(Channel::Control),
        Port::Pong => Some(Channel::Heartbeat),
        _ => None,
    }
}

impl Server {
    pub(super) fn connected(&mut self, port: Port, peer: &Identity, senders: &Senders) {
        if let (Some(channel), Some(engine)) = (channel(port), engine_uuid(&peer.0)) {
            self.hub_event(HubEvent::Connected(channel, engine), senders);
        }
    }

    pub(super) fn disconnected(&mut self, port: Port, peer: &Identity, senders: &Senders) {
        if let (Some(channel), Some(engine)) = (channel(port), engine_uuid(&peer.0)) {
            self.hub_event(HubEvent::Disconnected(channel, engine), senders);
        }
    }

    pub(super) fn heard(&mut self, engine: EngineUuid, senders: &Senders) {
        self.hub_event(HubEvent::Heard(engine), senders);
    }

    pub(super) fn beat(&mut self, senders: &Senders) {
        self.hub_event(HubEvent::Beat, senders);
        let ping = format!("{:.6}", self.started.elapsed().as_secs_f64());
        post(&senders.ping, vec![bytes::Bytes::from(ping.clone())]);
        self.pings.swap(0, 1);
        self.pings[0] = ping;
    }

    pub(super) fn pong(&mut self, frames: &Frames, senders: &Senders) {
        let [peer, payload] = frames.as_slice() else {
            return;
        };
        let ours = self.pings.iter().any(|ping| ping.as_bytes() == payload);
        if let (true, Some(engine)) = (ours, engine_uuid(peer)) {
            self.hub_event(HubEvent::Pong(engine), senders);
        }
    }

    pub(super) fn tick(&mut self, senders: &Senders) {
        self.clock.tick(Instant::now());
        self.hub_event(HubEvent::Tick, senders);
        self.takes_batches.retain(|uuid| self.hub.knows(uuid));
        let commands = self.scheduler.tick(Instant::now());
        self.perform(commands, senders);
    }

    /// Tells a new subscriber which engines there are; it may have subscribed too late for some.
    pub(super) fn subscribed(&mut self, port: Port, senders: &Senders) {
        if port == Port::Notification {
            for (id, uuid) in self.hub.engines() {
                self.announce_joined(id, uuid, senders);
            }
        }
    }

    pub(super) fn hub_event(&mut self, event: HubEvent, senders: &Senders) {
        let now = self.clock.time(Instant::now());
        let commands = self.hub.handle(event, now);
        self.listens.store(self.hub.listens(), Ordering::Release);
        for command in commands {
            match command {
                HubCommand::Accept(uuid, id) => self.accept(&uuid, id, senders),
                HubCommand::Refuse(uuid, reason) => self.refuse(&uuid, reason, senders),
                HubCommand::Joined(id, uuid) => {
                    tracing::info!(engine = %id, %uuid, "an engine has joined");
                    // None but ours says that it takes batches.
                    let runs = match self.takes_batches.contains(&uuid) {
                        true => Language::Rust,
                        false => Language::Python,
                    };
                    let commands = self.scheduler.joined(uuid.clone(), runs);
                    self.announce_joined(id, uuid, senders);
                    self.perform(commands, senders);
                }
                HubCommand::Left(id, uuid, reason) => {
                    tracing::info!(engine = %id, %uuid, %reason, "an engine has left");
                    self.left(id, uuid, reason, senders);
                }
            }
        }
    }

    /// Resolves everything an engine had, then announces that it has gone.
    fn left(&mut self, id: EngineId, uuid: EngineUuid, reason: LeftReason, senders: &Senders) {
        self.departed.push_back((uuid.clone(), id));
        if self.departed.len() > DEPARTED {
            self.departed.pop_front();
        }
        let mut replied = false;
        if reason != LeftReason::Unregistered && reason != LeftReason::Disconnected {
            self.recall(&uuid, senders);
        }
        for (msg_id, pending) in self.direct.left(&uuid) {
            self.answer_for_dead(id, &uuid, &msg_id, &pending, senders);
            replied = true;
        }
        let commands = self.scheduler.left(&uuid, Instant::now());
        replied |= !commands.is_empty();
        self.perform(commands, senders);
        self.records.left(&uuid);
        let notification = UnregistrationNotification { id, uuid };
        let notification = self.session.message(&notification, None);
        let Ok(frames) = notification.seal(self.session.key()) else {
            return;
        };
        let now = Instant::now();
        // Never before one that waits already.
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

    /// Tells an engine that may come back what it need not begin any more: all of that is answered in
    /// its place.
    fn recall(&mut self, uuid: &EngineUuid, senders: &Senders) {
        let mut msg_ids = self.direct.queued_on(uuid);
        msg_ids.extend(self.scheduler.running_on(uuid));
        if msg_ids.is_empty() {
            return;
        }
        let mut request = self.session.message(&AbortRequest { msg_ids }, None);
        let name = Bytes::copy_from_slice(uuid.as_str().as_bytes());
        request.identities = vec![name, Bytes::from_static(NOBODY)];
        if let Ok(frames) = request.seal(self.session.key()) {
            post(&senders.control[ENGINES], frames);
        }
    }

    pub(super) fn announce(&mut self, senders: &Senders) {
        let now = Instant::now();
        while self.announcements.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, frames)) = self.announcements.pop_front() {
                post(&senders.notification, frames);
            }
        }
    }

    fn announce_joined(&mut self, id: EngineId, uuid: EngineUuid, senders: &Senders) {
        let notification = RegistrationNotification { id, uuid };
        let notification = self.session.message(&notification, None);
        if let Ok(frames) = notification.seal(self.session.key()) {
            post(&senders.notification, frames);
        }
    }
}
