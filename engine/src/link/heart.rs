//! The heartbeat: every ping goes back as it came.

use super::dealer;
use phalanx_transport::SocketOptions;
use phalanx_transport::{EngineConnectionFile, Kind, Receiver, SendError, Sender, Socket};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Answers the controller's heartbeat while it lives.
pub(crate) struct Heart {
    beats: watch::Receiver<u64>,
    /// Ends with the heart.
    _task: JoinSet<()>,
}

impl Heart {
    /// Connects and beats from now on; to be started before the engine registers, since the
    /// controller expects the first answer right after.
    pub async fn start(
        file: &EngineConnectionFile,
        uuid: &str,
        limit: Duration,
    ) -> Result<Self, crate::EngineError> {
        let pong = dealer(&file.endpoint(file.hb_pong)?, uuid, limit).await?;
        let ping = file.endpoint(file.hb_ping)?;
        let options = SocketOptions::default().connect_limit(limit);
        let ping = Socket::connect(Kind::Sub, &ping, options).await?;
        let (beat, beats) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(echo(ping.split().1, pong.split().0, beat));
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

async fn echo(mut ping: Receiver, pong: Sender, beat: watch::Sender<u64>) {
    while let Some(frames) = ping.recv_message().await {
        beat.send_modify(|beats| *beats += 1);
        if let Err(SendError::Closed) = pong.try_send(frames) {
            return;
        }
    }
}
