//! ROUTER, over the zeromq crate.

use super::super::driver::{Driver, SendOutcome};
use super::{BindError, ConnectError, Endpoint, Event, Frames, Guards, SocketKind, SocketOptions};
use futures::channel::mpsc;
use std::path::Path;
use std::time::Duration;
use zeromq::{RouterSocket, Socket, SocketEvent, SocketSend};

pub(crate) struct Router {
    socket: RouterSocket,
    monitor: mpsc::Receiver<SocketEvent>,
    guards: Guards,
}

impl Router {
    pub fn new(options: &SocketOptions) -> Self {
        let mut socket = RouterSocket::with_options(super::zmq_options(options));
        let monitor = socket.monitor();
        Self {
            socket,
            monitor,
            guards: Guards::new(SocketKind::Router, options),
        }
    }
}

impl Driver for Router {
    async fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        self.guards.bind(&mut self.socket, endpoint).await
    }

    fn shortcut(&self) -> Option<&Path> {
        self.guards.shortcut()
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        super::connect(&mut self.socket, endpoint).await
    }

    fn ready(&self) -> bool {
        true
    }

    async fn send(&mut self, frames: Frames) -> SendOutcome {
        let Some(message) = super::message(frames) else {
            return SendOutcome::NoPeer;
        };
        // Never blocks: a peer's gauge is full long before zeromq's queue for it, so the deadlock
        // of a full queue (zmq.rs issue 210) cannot occur.
        match self.socket.send(message).await {
            Ok(()) => SendOutcome::Yes,
            Err(_) => SendOutcome::NoPeer,
        }
    }

    async fn recv(&mut self) -> Event {
        super::received(&mut self.socket, &mut self.monitor).await
    }

    async fn close(self, limit: Duration) -> bool {
        let backend = super::backend(&self.socket);
        let guards = self.guards;
        drop(self.socket);
        super::flushed(backend, limit).await && guards.close(limit).await
    }
}
