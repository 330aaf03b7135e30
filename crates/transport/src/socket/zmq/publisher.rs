//! PUB, over the zeromq crate's XPUB.

use super::super::driver::{Driver, SendOutcome};
use super::{
    BindError, ConnectError, Endpoint, Event, Frames, Guards, RoutingId, SocketKind, SocketOptions,
};
use futures::channel::mpsc;
use std::collections::HashSet;
use std::time::Duration;
use zeromq::util::PeerIdentity;
use zeromq::{Socket, SocketEvent, SocketRecv, SocketSend, XPubSocket};

/// An XPUB, since zeromq's PUB silently drops messages beyond 100,000 in one burst; XPUB writes
/// each message to the connections and waits for it.
pub(crate) struct Publisher {
    socket: XPubSocket,
    monitor: mpsc::Receiver<SocketEvent>,
    guards: Guards,
    /// The connected peers.
    peers: HashSet<RoutingId>,
}

impl Publisher {
    pub fn new(options: &SocketOptions) -> Self {
        let mut socket = XPubSocket::with_options(super::zmq_options(options));
        let monitor = socket.monitor();
        Self {
            socket,
            monitor,
            guards: Guards::new(SocketKind::Pub, options),
            peers: HashSet::new(),
        }
    }
}

impl Driver for Publisher {
    async fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        self.guards.bind(&mut self.socket, endpoint).await
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        super::connect(&mut self.socket, endpoint).await
    }

    fn ready(&self) -> bool {
        true
    }

    async fn send(&mut self, frames: Frames) -> SendOutcome {
        if let Some(message) = super::message(frames)
            && let Err(error) = self.socket.send(message).await
        {
            tracing::debug!(%error, "a subscriber is gone");
        }
        SendOutcome::Yes
    }

    async fn recv(&mut self) -> Event {
        loop {
            tokio::select! {
                message = self.socket.recv() => {
                    let Ok(message) = message else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    let Some(frame) = message.get(0) else { continue };
                    match frame.first() {
                        Some(1) => return Event::Subscribed(frame.slice(1..)),
                        Some(0) => return Event::Unsubscribed(frame.slice(1..)),
                        _ => {}
                    }
                }
                event = super::next_event(&mut self.monitor) => {
                    match &event {
                        Event::Connected(peer) => drop(self.peers.insert(peer.clone())),
                        Event::Disconnected(peer) => drop(self.peers.remove(peer)),
                        _ => {}
                    }
                    return event;
                }
            }
        }
    }

    async fn close(self, limit: Duration) -> bool {
        // Every send has waited until its message was written to the connection or the guard.
        let backend = self.socket.backend();
        for RoutingId(peer) in self.peers {
            // The task of a connection keeps its reading half alive, so dropping the socket alone
            // does not close the connection.
            if let Ok(peer) = PeerIdentity::try_from(peer) {
                backend.peer_disconnected(&peer);
            }
        }
        drop(self.socket);
        self.guards.close(limit).await
    }
}
