//! The cluster's engines: registrations, ids, heartbeats. Pure: event in, commands out.
//!
//! Only this module decides whether an engine is alive. ipyparallel's Hub (`hub.py`) completes a
//! registration at the second heartbeat; this one as soon as the engine has connected to every
//! channel and a publication of it has arrived on iopub, so that no message to or from it is lost.
//! If no publication arrives (its PUB socket was not subscribed to in time), the registration is
//! completed at the second heartbeat.
//!
//! An engine that does not respond for long counts as left as far as its tasks are concerned; but a
//! process that was stopped, or whose network was interrupted, may return with its state. If its
//! connections still exist, its next heartbeat registers it again; otherwise it sends a new
//! registration request.

mod engine;
#[cfg(test)]
mod tests;

pub use engine::EngineChannel;

use engine::{Engine, RegistrationPhase};
use phalanx_protocol::id::{EngineId, EngineUuid};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// The number of consecutive heartbeats an engine may miss; ipyparallel's
/// `max_heartmonitor_misses`.
pub const MAX_MISSES: u32 = 10;
/// The time after which an incomplete registration is dropped; ipyparallel's
/// `registration_timeout`.
pub const REGISTRATION_LIMIT: Duration = Duration::from_secs(30);
/// The time an engine has to restore a lost connection.
pub const RECONNECT_LIMIT: Duration = Duration::from_secs(10);

/// An event for the hub to handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// A peer has connected to a channel.
    Connected(EngineChannel, EngineUuid),
    /// A peer has disconnected from a channel.
    Disconnected(EngineChannel, EngineUuid),
    /// A publication of the engine has arrived on iopub.
    Published(EngineUuid),
    /// A request to register, possibly with a certain id.
    Register(EngineUuid, Option<EngineId>),
    /// A message that the engine leaves, from itself or its nanny.
    Unregister(EngineId),
    /// The engine returned the last heartbeat.
    Pong(EngineUuid),
    /// The next heartbeat is due.
    Beat,
    /// A deadline has passed.
    Tick,
}

/// A command from the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubCommand {
    /// Reply to its registration with this id.
    Accept(EngineUuid, EngineId),
    /// Refuse its registration.
    Refuse(EngineUuid, RefusedRegistration),
    /// Announce the engine to all clients.
    Joined(EngineId, EngineUuid),
    /// Resolve its tasks, and announce to all clients that it has left.
    Left(EngineId, EngineUuid, LeftReason),
}

/// The reason why a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRegistration {
    /// An engine with that uuid exists.
    #[error("uuid in use")]
    UuidInUse,
}

/// The reason why an engine counts as left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftReason {
    /// It was unregistered by itself or its nanny.
    #[error("unregistered")]
    Unregistered,
    /// Its connections are closed, as when a process exits.
    #[error("its connections are closed")]
    Disconnected,
    /// It lost a connection and did not restore it.
    #[error("a connection was lost and not made again")]
    NotReconnected,
    /// It did not return heartbeats.
    #[error("it missed more than {MAX_MISSES} heartbeats")]
    Heartbeats,
    /// It lost the connection, and registers again.
    #[error("it registers again")]
    Returned,
}

/// The registered engines, and pending registrations.
#[derive(Debug, Default)]
pub struct Hub {
    peers: HashMap<EngineUuid, Engine>,
    ids: BTreeMap<EngineId, EngineUuid>,
    next: u32,
}

impl Hub {
    /// The registered engines.
    pub fn engines(&self) -> BTreeMap<EngineId, EngineUuid> {
        let registered = |uuid: &EngineUuid| {
            self.peers
                .get(uuid)
                .is_some_and(|engine| matches!(engine.phase, RegistrationPhase::Registered(_)))
        };
        self.ids
            .iter()
            .filter(|(_, uuid)| registered(uuid))
            .map(|(id, uuid)| (*id, uuid.clone()))
            .collect()
    }

    /// Returns true if a peer is a registered engine or has a pending registration.
    pub fn contains(&self, uuid: &EngineUuid) -> bool {
        self.peers.contains_key(uuid)
    }

    /// The id of a registered engine.
    pub fn id_of(&self, uuid: &EngineUuid) -> Option<EngineId> {
        match self.peers.get(uuid)?.phase {
            RegistrationPhase::Registered(id) => Some(id),
            _ => None,
        }
    }

    /// Returns true if a registration waits for a publication on iopub.
    pub fn listens(&self) -> bool {
        self.peers.values().any(|engine| {
            !matches!(engine.phase, RegistrationPhase::Registered(_)) && !engine.has_published
        })
    }

    /// Handles an event; returns the commands to perform, in order.
    pub fn handle(&mut self, event: HubEvent, now: Instant) -> Vec<HubCommand> {
        match event {
            HubEvent::Connected(channel, uuid) => {
                let engine = self
                    .peers
                    .entry(uuid.clone())
                    .or_insert_with(|| Engine::new(now));
                engine.connected(channel);
                self.complete(&uuid)
            }
            HubEvent::Published(uuid) => match self.peers.get_mut(&uuid) {
                Some(engine) => {
                    engine.has_published = true;
                    self.complete(&uuid)
                }
                None => vec![],
            },
            HubEvent::Pong(uuid) => match self.peers.get_mut(&uuid) {
                Some(engine) => {
                    engine.pong();
                    match engine.phase {
                        RegistrationPhase::Missed(id) if engine.everywhere() => {
                            self.returned(uuid, id)
                        }
                        _ => self.complete(&uuid),
                    }
                }
                None => vec![],
            },
            HubEvent::Disconnected(channel, uuid) => self.disconnected(channel, &uuid, now),
            HubEvent::Register(uuid, wanted) => self.register(uuid, wanted, now),
            HubEvent::Unregister(id) => match self.ids.get(&id).cloned() {
                Some(uuid) => self.leave(&uuid, LeftReason::Unregistered),
                None => vec![],
            },
            HubEvent::Beat => {
                let dead = self.peers.iter_mut().filter_map(|(uuid, engine)| {
                    (engine.beat() > MAX_MISSES).then(|| uuid.clone())
                });
                let dead: Vec<_> = dead.collect();
                self.miss_all(dead, LeftReason::Heartbeats)
            }
            HubEvent::Tick => self.tick(now),
        }
    }

    fn register(
        &mut self,
        uuid: EngineUuid,
        wanted: Option<EngineId>,
        now: Instant,
    ) -> Vec<HubCommand> {
        let known = self.peers.entry(uuid.clone());
        let has = known.or_insert_with(|| Engine::new(now)).phase;
        // An engine that requests its previous id has returned; messages in transit to it are lost.
        let mut commands = Vec::new();
        match has {
            RegistrationPhase::Unknown | RegistrationPhase::Missed(_) => {}
            RegistrationPhase::Registering(id) | RegistrationPhase::Registered(id)
                if wanted == Some(id) =>
            {
                self.ids.remove(&id);
                if has == RegistrationPhase::Registered(id) {
                    let reason = LeftReason::Returned;
                    commands.push(HubCommand::Left(id, uuid.clone(), reason));
                }
            }
            _ => return vec![HubCommand::Refuse(uuid, RefusedRegistration::UuidInUse)],
        }
        let id = self.take_id(wanted, &uuid);
        if let Some(engine) = self.peers.get_mut(&uuid) {
            engine.register(id, now);
        }
        commands.push(HubCommand::Accept(uuid.clone(), id));
        commands.extend(self.complete(&uuid));
        commands
    }

    /// Assigns the requested id if it is free, otherwise a new one. Ids are not reused, except by
    /// an engine that requests its previous one.
    fn take_id(&mut self, wanted: Option<EngineId>, uuid: &EngineUuid) -> EngineId {
        let id = match wanted {
            Some(id) if !self.ids.contains_key(&id) => id,
            _ => EngineId(self.next),
        };
        self.next = self.next.max(id.0.saturating_add(1));
        self.ids.insert(id, uuid.clone());
        id
    }

    /// Registers an engine that counted as left and responds again.
    fn returned(&mut self, uuid: EngineUuid, had: EngineId) -> Vec<HubCommand> {
        let id = self.take_id(Some(had), &uuid);
        if let Some(engine) = self.peers.get_mut(&uuid) {
            engine.phase = RegistrationPhase::Registered(id);
        }
        vec![HubCommand::Joined(id, uuid)]
    }

    fn complete(&mut self, uuid: &EngineUuid) -> Vec<HubCommand> {
        let Some(engine) = self.peers.get_mut(uuid) else {
            return vec![];
        };
        match engine.phase {
            RegistrationPhase::Registering(id) if engine.complete() => {
                engine.phase = RegistrationPhase::Registered(id);
                vec![HubCommand::Joined(id, uuid.clone())]
            }
            _ => vec![],
        }
    }

    fn disconnected(
        &mut self,
        channel: EngineChannel,
        uuid: &EngineUuid,
        now: Instant,
    ) -> Vec<HubCommand> {
        let Some(engine) = self.peers.get_mut(uuid) else {
            return vec![];
        };
        engine.disconnected(channel, now);
        if engine.has_ended() {
            return self.leave(uuid, LeftReason::Disconnected);
        }
        vec![]
    }

    fn tick(&mut self, now: Instant) -> Vec<HubCommand> {
        let passed = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        let mut lost = Vec::new();
        for (uuid, engine) in &self.peers {
            let gone = match engine.phase {
                RegistrationPhase::Registered(_) => engine
                    .lost
                    .is_some_and(|since| passed(since, RECONNECT_LIMIT)),
                RegistrationPhase::Registering(_) => passed(engine.since, REGISTRATION_LIMIT),
                RegistrationPhase::Unknown | RegistrationPhase::Missed(_) => false,
            };
            if gone {
                lost.push(uuid.clone());
            }
        }
        self.miss_all(lost, LeftReason::NotReconnected)
    }

    fn miss_all(&mut self, uuids: Vec<EngineUuid>, reason: LeftReason) -> Vec<HubCommand> {
        let mut left: Vec<_> = uuids
            .iter()
            .flat_map(|uuid| self.miss(uuid, reason))
            .collect();
        left.sort_by_key(|command| match command {
            HubCommand::Left(id, ..) => Some(*id),
            _ => None,
        });
        left
    }

    /// Marks an unresponsive engine as left; it is not removed while it is connected.
    fn miss(&mut self, uuid: &EngineUuid, reason: LeftReason) -> Vec<HubCommand> {
        let Some(engine) = self.peers.get_mut(uuid) else {
            return vec![];
        };
        match engine.phase {
            RegistrationPhase::Registered(id) => {
                engine.phase = RegistrationPhase::Missed(id);
                self.ids.remove(&id);
                vec![HubCommand::Left(id, uuid.clone(), reason)]
            }
            RegistrationPhase::Missed(_) => vec![],
            RegistrationPhase::Unknown | RegistrationPhase::Registering(_) => {
                self.leave(uuid, reason)
            }
        }
    }

    /// Removes an engine; its leaving is announced only if it had been announced.
    fn leave(&mut self, uuid: &EngineUuid, reason: LeftReason) -> Vec<HubCommand> {
        let Some(engine) = self.peers.remove(uuid) else {
            return vec![];
        };
        match engine.phase {
            RegistrationPhase::Unknown | RegistrationPhase::Missed(_) => vec![],
            RegistrationPhase::Registering(id) => {
                self.ids.remove(&id);
                vec![]
            }
            RegistrationPhase::Registered(id) => {
                self.ids.remove(&id);
                vec![HubCommand::Left(id, uuid.clone(), reason)]
            }
        }
    }
}
