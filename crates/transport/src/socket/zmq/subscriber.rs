//! SUB, over the zeromq crate.

use super::super::driver::{Driver, SendOutcome};
use super::{BindError, ConnectError, Endpoint, Event, Frames, Guards, SocketKind, SocketOptions};
use futures::channel::mpsc;
use std::path::Path;
use std::time::Duration;
use zeromq::{Socket, SocketEvent, SubSocket};

/// A SUB socket subscribed to everything; reconnects by itself.
pub(crate) struct Subscriber {
    socket: SubSocket,
    monitor: mpsc::Receiver<SocketEvent>,
    guards: Guards,
    subscribed: bool,
}

impl Subscriber {
    pub fn new(options: &SocketOptions) -> Self {
        let mut socket = SubSocket::with_options(super::zmq_options(options));
        let monitor = socket.monitor();
        Self {
            socket,
            monitor,
            guards: Guards::new(SocketKind::Sub, options),
            subscribed: false,
        }
    }

    /// Called before any peer connects, so that each receives the subscription as it connects.
    async fn subscribe(&mut self) -> Result<(), String> {
        if !self.subscribed {
            self.socket
                .subscribe("")
                .await
                .map_err(|error| super::reason(&error))?;
            self.subscribed = true;
        }
        Ok(())
    }
}

impl Driver for Subscriber {
    async fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        self.subscribe().await.map_err(|reason| BindError {
            endpoint: endpoint.clone(),
            reason,
        })?;
        self.guards.bind(&mut self.socket, endpoint).await
    }

    fn shortcut(&self) -> Option<&Path> {
        self.guards.shortcut()
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        self.subscribe().await.map_err(|reason| ConnectError {
            endpoint: endpoint.clone(),
            reason,
        })?;
        super::connect(&mut self.socket, endpoint).await
    }

    fn ready(&self) -> bool {
        true
    }

    async fn send(&mut self, _frames: Frames) -> SendOutcome {
        SendOutcome::NoPeer
    }

    async fn recv(&mut self) -> Event {
        super::received(&mut self.socket, &mut self.monitor).await
    }

    async fn close(self, _limit: Duration) -> bool {
        true
    }
}
