//! DEALER, over the zeromq crate.

use super::super::driver::{Driver, SendOutcome};
use super::{BindError, ConnectError, Endpoint, Event, Frames, Guards, SocketKind, SocketOptions};
use futures::channel::mpsc;
use std::path::Path;
use std::time::Duration;
use zeromq::{DealerSocket, Socket, SocketEvent, SocketSend, ZmqError};

/// The first and the longest delay between two attempts to reconnect.
const BACKOFF: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];
/// Time limit of an attempt, since the peer may have moved to another address.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);

/// A DEALER that reconnects, unlike zeromq's.
pub(crate) struct Dealer {
    socket: DealerSocket,
    monitor: mpsc::Receiver<SocketEvent>,
    guards: Guards,
    endpoint: Option<Endpoint>,
    /// An alternative address of the peer.
    otherwise: Option<Endpoint>,
    connected: bool,
    pause: Duration,
}

impl Dealer {
    pub fn new(options: &SocketOptions) -> Self {
        let mut socket = DealerSocket::with_options(super::zmq_options(options));
        let monitor = socket.monitor();
        Self {
            socket,
            monitor,
            guards: Guards::new(SocketKind::Dealer, options),
            endpoint: None,
            otherwise: options.otherwise.clone(),
            connected: true,
            pause: BACKOFF[0],
        }
    }
}

impl Driver for Dealer {
    async fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        self.guards.bind(&mut self.socket, endpoint).await
    }

    fn shortcut(&self) -> Option<&Path> {
        self.guards.shortcut()
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        super::connect(&mut self.socket, endpoint).await?;
        self.endpoint = Some(endpoint.clone());
        Ok(())
    }

    fn ready(&self) -> bool {
        self.connected
    }

    async fn send(&mut self, frames: Frames) -> SendOutcome {
        let Some(message) = super::message(frames) else {
            return SendOutcome::NoPeer;
        };
        match self.socket.send(message).await {
            Ok(()) => SendOutcome::Yes,
            Err(ZmqError::ReturnToSender { .. }) => SendOutcome::NoPeer,
            Err(_) => SendOutcome::NoPeer,
        }
    }

    async fn recv(&mut self) -> Event {
        loop {
            if let (false, Some(endpoint)) = (self.connected, self.endpoint.clone()) {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(BACKOFF[1]);
                let attempt = super::connect(&mut self.socket, &endpoint);
                let attempt = tokio::time::timeout(ATTEMPT_LIMIT, attempt).await;
                self.connected = matches!(attempt, Ok(Ok(())));
                if let (false, Some(otherwise)) = (self.connected, &mut self.otherwise) {
                    self.endpoint = Some(std::mem::replace(otherwise, endpoint));
                }
                continue;
            }
            let event = super::received(&mut self.socket, &mut self.monitor).await;
            match &event {
                Event::Message(_) => {}
                Event::Disconnected(_) => self.connected = self.endpoint.is_none(),
                _ => self.pause = BACKOFF[0],
            }
            return event;
        }
    }

    async fn close(self, limit: Duration) -> bool {
        let backend = super::backend(&self.socket);
        let guards = self.guards;
        drop(self.socket);
        super::flushed(backend, limit).await && guards.close(limit).await
    }
}
