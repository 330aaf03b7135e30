//! The heartbeat: every ping goes back as it came.

use super::dealer;
use phalanx_transport::SocketOptions;
use phalanx_transport::{EngineConnectionFile, Kind, Receiver, SendError, Sender, Socket};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// So many pings may be missed before the controller counts as gone.
const MISSED: u32 = 10;

/// Answers the controller's heartbeat while it lives.
pub(crate) struct Heart {
    last: watch::Receiver<Instant>,
    /// Ends with the heart.
    _task: JoinSet<()>,
}

impl Heart {
    /// Connects and beats from now on; to be started before the engine registers, since the
    /// controller expects the first answer right after.
    pub async fn start(
        file: &EngineConnectionFile,
        uuid: &str,
    ) -> Result<Self, crate::EngineError> {
        let pong = dealer(&file.endpoint(file.hb_pong)?, uuid).await?;
        let ping = file.endpoint(file.hb_ping)?;
        let ping = Socket::connect(Kind::Sub, &ping, SocketOptions::default()).await?;
        let (beat, last) = watch::channel(Instant::now());
        let mut task = JoinSet::new();
        task.spawn(echo(ping.split().1, pong.split().0, beat));
        Ok(Self { last, _task: task })
    }

    /// When too many pings have been missed; `None` where the controller does not beat.
    pub fn deadline(&self, period: Duration) -> Option<Instant> {
        let patience = period.checked_mul(MISSED)?;
        (!period.is_zero()).then(|| *self.last.borrow() + patience.max(Duration::from_secs(10)))
    }
}

async fn echo(mut ping: Receiver, pong: Sender, beat: watch::Sender<Instant>) {
    while let Some(frames) = ping.recv_message().await {
        beat.send_replace(Instant::now());
        if pong.try_send(frames) == Err(SendError::Closed) {
            return;
        }
    }
}
