//! The channels on which requests arrive.

use super::dealer;
use crate::machine::{EngineIdentity, EngineRequestChannel};
use phalanx_transport::socket::{Event, Frames};
use phalanx_transport::{EngineConnectionFile, Receiver, Sender};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Capacity of the queue of requests; senders wait while it is full.
const REQUESTS: usize = 64;

/// The channels on which requests arrive, merged into one queue.
pub(crate) struct EngineSockets {
    pub senders: HashMap<EngineRequestChannel, Sender>,
    /// The requests; `None` once a channel is closed.
    pub requests: mpsc::Receiver<Option<(EngineRequestChannel, Frames)>>,
    /// The tasks that read the channels.
    _readers: JoinSet<()>,
}

impl EngineSockets {
    /// Connects all channels under the engine's identity.
    pub async fn connect(
        file: &EngineConnectionFile,
        identity: &EngineIdentity,
        limit: Duration,
    ) -> Result<Self, crate::EngineError> {
        let mut ports = vec![
            (EngineRequestChannel::Mux, file.mux),
            (EngineRequestChannel::Task, file.task),
            (EngineRequestChannel::Control, file.control),
        ];
        if !file.broadcast.is_empty() {
            let leaf = identity.id.0 as usize % file.broadcast.len();
            ports.push((EngineRequestChannel::Broadcast, file.broadcast[leaf]));
        }
        let (sender, requests) = mpsc::channel(REQUESTS);
        let mut senders = HashMap::new();
        let mut readers = JoinSet::new();
        for (channel, port) in ports {
            let endpoint = file.endpoint(port)?;
            let socket = dealer(&endpoint, identity.uuid.as_str(), limit).await?;
            let (socket, receiver) = socket.split();
            senders.insert(channel, socket);
            readers.spawn(read(channel, receiver, sender.clone()));
        }
        Ok(Self {
            senders,
            requests,
            _readers: readers,
        })
    }
}

async fn read(
    channel: EngineRequestChannel,
    mut receiver: Receiver,
    requests: mpsc::Sender<Option<(EngineRequestChannel, Frames)>>,
) {
    while let Some(event) = receiver.recv().await {
        let event = match event {
            Event::Message(frames) => Some((channel, frames)),
            // Messages in transit are lost, and the controller has declared the engine dead.
            Event::Disconnected(_) => None,
            _ => continue,
        };
        if requests.send(event).await.is_err() {
            return;
        }
    }
}
