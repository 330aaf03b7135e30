//! The cluster's engines: registrations, ids, heartbeats. Pure: event in, commands out.
//!
//! This alone decides whether an engine is alive. ipyparallel's Hub (`hub.py`) completes a
//! registration at the second heartbeat; this one as soon as the engine has been seen on every
//! channel and heard on iopub, so that nothing sent to it or by it is lost. Engines that are not
//! heard (a PUB that was not subscribed in time) fall back to two heartbeats.
//!
//! An engine that is silent for long has left, as far as its tasks are concerned; but a process that was
//! stopped, or whose network was cut, comes back with all it holds. Where its connections are still
//! there, its next heartbeat makes it an engine again; where they are not, it registers again.

mod engine;
#[cfg(test)]
mod tests;

pub use engine::EngineChannel;

use engine::{Engine, RegistrationPhase};
use phalanx_protocol::id::{EngineId, EngineUuid};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Heartbeats an engine may miss in a row; ipyparallel's `max_heartmonitor_misses`.
pub const MAX_MISSES: u32 = 10;
/// The time a registration may stay incomplete; ipyparallel's `registration_timeout`.
pub const REGISTRATION_LIMIT: Duration = Duration::from_secs(30);
/// The time an engine that lost one of its connections has to make it again.
pub const RECONNECT_LIMIT: Duration = Duration::from_secs(10);

/// An event for the hub to handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// A peer of that name has connected to a channel.
    Connected(EngineChannel, EngineUuid),
    /// It is gone from there.
    Disconnected(EngineChannel, EngineUuid),
    /// It was heard on iopub.
    Heard(EngineUuid),
    /// It asks to be an engine, perhaps of a certain id.
    Register(EngineUuid, Option<EngineId>),
    /// The engine says that it leaves, or its nanny that it has gone.
    Unregister(EngineId),
    /// It returned the last heartbeat.
    Pong(EngineUuid),
    /// A heartbeat is about to be sent.
    Beat,
    /// Time has passed.
    Tick,
}

/// A command from the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubCommand {
    /// Answer its registration: this is its id.
    Accept(EngineUuid, EngineId),
    /// Answer its registration: refused.
    Refuse(EngineUuid, RefusedRegistration),
    /// Tell everybody that it is there.
    Joined(EngineId, EngineUuid),
    /// Resolve its tasks and tell everybody that it has gone.
    Left(EngineId, EngineUuid, LeftReason),
}

/// The reason a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedRegistration {
    /// There is one of that uuid.
    #[error("uuid in use")]
    UuidInUse,
}

/// The reason an engine is taken for gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftReason {
    /// It said so, or its nanny.
    #[error("unregistered")]
    Unregistered,
    /// Its connections are closed, as they are when a process ends.
    #[error("its connections are closed")]
    Disconnected,
    /// It lost one connection and did not make it again.
    #[error("a connection was lost and not made again")]
    NotReconnected,
    /// It did not return the heartbeats.
    #[error("it missed {MAX_MISSES} heartbeats")]
    Heartbeats,
    /// It had lost us, and registers again.
    #[error("it registers again")]
    Returned,
}

/// The engines there are, and those that are about to be.
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

    /// Returns true if a peer of that name is an engine, or may become one.
    pub fn knows(&self, uuid: &EngineUuid) -> bool {
        self.peers.contains_key(uuid)
    }

    /// The id of a registered engine.
    pub fn id_of(&self, uuid: &EngineUuid) -> Option<EngineId> {
        match self.peers.get(uuid)?.phase {
            RegistrationPhase::Registered(id) => Some(id),
            _ => None,
        }
    }

    /// Returns true if a registration waits for its engine to be heard on iopub.
    pub fn listens(&self) -> bool {
        self.peers.values().any(|engine| {
            !matches!(engine.phase, RegistrationPhase::Registered(_)) && !engine.heard
        })
    }

    /// Decides.
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
            HubEvent::Heard(uuid) => match self.peers.get_mut(&uuid) {
                Some(engine) => {
                    engine.heard = true;
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
        // One that asks for the id it has comes back; what was on the way to it is lost.
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

    /// The wanted id if it is free, else a new one. Ids are not given twice, except to one who asks
    /// for the one it had.
    fn take_id(&mut self, wanted: Option<EngineId>, uuid: &EngineUuid) -> EngineId {
        let id = match wanted {
            Some(id) if !self.ids.contains_key(&id) => id,
            _ => EngineId(self.next),
        };
        self.next = self.next.max(id.0.saturating_add(1));
        self.ids.insert(id, uuid.clone());
        id
    }

    /// An engine that was taken for gone is heard again.
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

    /// Takes a silent engine for gone; it is not forgotten while it is connected.
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

    /// Forgets an engine; it is only announced as gone if it had been announced as there.
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
