//! The heartbeat: replies to each ping with the same frames, followed by the state of the runtime.

use super::dealer;
use crate::vitals::{VitalsMeter, WatchedProcess};
use phalanx_transport::{
    EngineConnectionFile, Receiver, SendError, Sender, Session, Socket, SocketKind, SocketOptions,
};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Replies to the controller's heartbeats until it is dropped.
pub(crate) struct HeartbeatResponder {
    beats: watch::Receiver<u64>,
    /// The task that replies.
    _task: JoinSet<()>,
}

impl HeartbeatResponder {
    /// Connects and starts to reply. Must be called before the engine registers, since the
    /// controller expects the first reply right after.
    pub async fn start(
        file: &EngineConnectionFile,
        session: &Session,
        limit: Duration,
        watched: WatchedProcess,
    ) -> Result<Self, crate::EngineError> {
        let uuid = session.id().as_str();
        let pong = dealer(&file.endpoint(file.hb_pong)?, uuid, limit).await?;
        let ping = file.endpoint(file.hb_ping)?;
        let options = SocketOptions::default().connect_limit(limit);
        let ping = Socket::connect(SocketKind::Sub, &ping, options).await?;
        let (beat, beats) = watch::channel(0);
        let mut task = JoinSet::new();
        let heart = PingEcho {
            pong: pong.split().0,
            beat,
            session: session.clone(),
            meter: VitalsMeter::new(watched),
        };
        task.spawn(heart.run(ping.split().1));
        Ok(Self { beats, _task: task })
    }

    /// Returns true if a heartbeat arrived since the last call.
    pub fn has_beaten(&mut self) -> bool {
        // An error means that the sockets are closed.
        let beaten = self.beats.has_changed().unwrap_or(false);
        self.beats.mark_unchanged();
        beaten
    }
}

/// Echoes every ping.
struct PingEcho {
    pong: Sender,
    beat: watch::Sender<u64>,
    session: Session,
    meter: VitalsMeter,
}

impl PingEcho {
    async fn run(mut self, mut ping: Receiver) {
        while let Some(mut frames) = ping.recv_message().await {
            self.beat.send_modify(|beats| *beats += 1);
            // ipyparallel's controllers only read the first frame.
            if let Some(vitals) = self.meter.read(Instant::now())
                && let Ok(vitals) = self.session.message(&vitals, None).seal(self.session.key())
            {
                frames.extend(vitals);
            }
            if let Err(SendError::Closed) = self.pong.try_send(frames) {
                return;
            }
        }
    }
}
