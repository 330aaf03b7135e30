//! The heartbeat: every ping goes back as it came, with the state of the runtime behind it.

use super::dealer;
use crate::vitals::{VitalsMeter, WatchedProcess};
use phalanx_transport::{
    EngineConnectionFile, Receiver, SendError, Sender, Session, Socket, SocketKind, SocketOptions,
};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Answers the controller's heartbeat while it lives.
pub(crate) struct HeartbeatResponder {
    beats: watch::Receiver<u64>,
    /// Ends with the heart.
    _task: JoinSet<()>,
}

impl HeartbeatResponder {
    /// Connects and beats from now on; to be started before the engine registers, since the
    /// controller expects the first answer right after.
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

    /// Returns true where there has been a heartbeat since this was asked last.
    pub fn has_beaten(&mut self) -> bool {
        // An error means that the sockets are closed.
        let beaten = self.beats.has_changed().unwrap_or(false);
        self.beats.mark_unchanged();
        beaten
    }
}

/// Sends every ping back.
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
            // Stock controllers read the first frame alone.
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
