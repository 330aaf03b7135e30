//! One engine of the hub: its registration, step by step, and its connected channels. Pure.

use phalanx_protocol::id::EngineId;
use std::time::Instant;

/// A channel to which an engine connects, identified by its uuid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChannel {
    /// Direct requests.
    Mux,
    /// Load-balanced tasks.
    Task,
    /// Abort, signals, shutdown; a stock engine's nanny connects here.
    Control,
    /// Returned heartbeats.
    Heartbeat,
}

impl EngineChannel {
    const ALL: [Self; 4] = [Self::Mux, Self::Task, Self::Control, Self::Heartbeat];
}

/// The phase of an engine's registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegistrationPhase {
    /// Connected, without a registration request.
    Unknown,
    /// Has an id, but is not reachable on every channel yet.
    Registering(EngineId),
    /// Announced as an engine.
    Registered(EngineId),
    /// Announced as left, but still connected: it may respond again.
    Missed(EngineId),
}

#[derive(Debug)]
pub(super) struct Engine {
    pub phase: RegistrationPhase,
    pub since: Instant,
    pub has_published: bool,
    /// The time since which one of its connections has been missing.
    pub lost: Option<Instant>,
    connected: [bool; EngineChannel::ALL.len()],
    pongs: u32,
    answered: bool,
    misses: u32,
}

impl Engine {
    pub fn new(now: Instant) -> Self {
        Self {
            phase: RegistrationPhase::Unknown,
            since: now,
            has_published: false,
            lost: None,
            connected: [false; EngineChannel::ALL.len()],
            pongs: 0,
            answered: true,
            misses: 0,
        }
    }

    pub fn connected(&mut self, channel: EngineChannel) {
        self.connected[channel as usize] = true;
        if self.everywhere() {
            self.lost = None;
        }
    }

    pub fn disconnected(&mut self, channel: EngineChannel, now: Instant) {
        self.connected[channel as usize] = false;
        self.lost.get_or_insert(now);
    }

    /// Starts the registration, with this id.
    pub fn register(&mut self, id: EngineId, now: Instant) {
        self.phase = RegistrationPhase::Registering(id);
        self.since = now;
        self.has_published = false;
        self.pongs = 0;
    }

    pub fn pong(&mut self) {
        self.answered = true;
        if self.everywhere() {
            self.pongs += 1;
        }
    }

    /// Counts a missed heartbeat if the last one was not returned; returns the number of misses.
    pub fn beat(&mut self) -> u32 {
        self.misses = if self.answered { 0 } else { self.misses + 1 };
        // Before it is registered, it need not return heartbeats.
        self.answered = !matches!(self.phase, RegistrationPhase::Registered(_));
        self.misses
    }

    /// Returns true if it is reachable on every channel, and its publications arrive.
    pub fn complete(&self) -> bool {
        self.everywhere() && (self.has_published || self.pongs >= 2)
    }

    /// Returns true if its process has exited: both channels used for work are closed. (A stock
    /// engine's nanny may keep the control channel open.)
    pub fn has_ended(&self) -> bool {
        !self.connected[EngineChannel::Mux as usize]
            && !self.connected[EngineChannel::Task as usize]
    }

    /// Returns true if it is reachable on every channel.
    pub fn everywhere(&self) -> bool {
        self.connected.iter().all(|connected| *connected)
    }
}
