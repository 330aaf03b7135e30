//! The engine's connections to its controller.

mod heart;
mod join;

pub(crate) use heart::Heart;
pub(crate) use join::{Joined, join, registration};

use crate::machine::Channel;
use phalanx_transport::{Endpoint, EngineConnectionFile, Kind, Receiver, Sender, Socket};
use phalanx_transport::{SocketOptions, socket};
use std::collections::HashMap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Requests that wait for the engine; then their senders wait.
const REQUESTS: usize = 64;

/// The channels on which requests come, in one queue.
pub(crate) struct Channels {
    pub senders: HashMap<Channel, Sender>,
    pub requests: mpsc::Receiver<(Channel, socket::Frames)>,
    /// Ends with the channels.
    _readers: JoinSet<()>,
}

impl Channels {
    /// Connects all of them, under the engine's identity.
    pub async fn connect(
        file: &EngineConnectionFile,
        joined: &Joined,
    ) -> Result<Self, crate::EngineError> {
        let mut ports = vec![
            (Channel::Mux, file.mux),
            (Channel::Task, file.task),
            (Channel::Control, file.control),
        ];
        if !file.broadcast.is_empty() {
            let leaf = joined.identity.id.0 as usize % file.broadcast.len();
            ports.push((Channel::Broadcast, file.broadcast[leaf]));
        }
        let (sender, requests) = mpsc::channel(REQUESTS);
        let mut senders = HashMap::new();
        let mut readers = JoinSet::new();
        for (channel, port) in ports {
            let (socket, receiver) = dealer(&file.endpoint(port)?, joined.identity.uuid.as_str())
                .await?
                .split();
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

/// A socket that talks to the controller under the engine's identity.
pub(crate) async fn dealer(
    endpoint: &Endpoint,
    uuid: &str,
) -> Result<Socket, phalanx_transport::ConnectError> {
    let options = SocketOptions::default().identity(uuid);
    Socket::connect(Kind::Dealer, endpoint, options).await
}

async fn read(
    channel: Channel,
    mut receiver: Receiver,
    requests: mpsc::Sender<(Channel, socket::Frames)>,
) {
    while let Some(frames) = receiver.recv_message().await {
        if requests.send((channel, frames)).await.is_err() {
            return;
        }
    }
}
