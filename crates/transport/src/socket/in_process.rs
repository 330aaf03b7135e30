//! A socket with a shortcut for peers in the same process.

use super::driver::{Driver, SendOutcome};
use super::memory::{self, MemorySocket};
use super::{BindError, ConnectError, Endpoint, Event, Frames, SocketKind, SocketOptions};
use std::path::Path;
use std::time::Duration;

/// A socket that peers in the same process reach without system calls: if it has a Unix socket, it
/// listens in memory too.
pub(crate) struct InProcessSocket<D> {
    far: D,
    near: MemorySocket,
}

impl<D: Driver> InProcessSocket<D> {
    pub fn new(far: D, kind: SocketKind, options: &SocketOptions) -> Self {
        let near = MemorySocket::new(kind, options);
        Self { far, near }
    }
}

impl<D: Driver> Driver for InProcessSocket<D> {
    async fn bind(&mut self, endpoint: &Endpoint) -> Result<Endpoint, BindError> {
        let endpoint = self.far.bind(endpoint).await?;
        if let Some(path) = self.far.shortcut() {
            self.near.bind(&memory::behind(path)).await?;
        }
        Ok(endpoint)
    }

    fn shortcut(&self) -> Option<&Path> {
        self.far.shortcut()
    }

    async fn connect(&mut self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        self.far.connect(endpoint).await
    }

    fn ready(&self) -> bool {
        self.far.ready()
    }

    async fn send(&mut self, frames: Frames) -> SendOutcome {
        match frames.first() {
            Some(peer) if self.near.has(peer) => self.near.send(frames).await,
            _ => self.far.send(frames).await,
        }
    }

    async fn recv(&mut self) -> Event {
        tokio::select! {
            event = self.near.recv() => event,
            event = self.far.recv() => event,
        }
    }

    async fn close(self, limit: Duration) -> bool {
        self.near.close(limit).await && self.far.close(limit).await
    }
}
