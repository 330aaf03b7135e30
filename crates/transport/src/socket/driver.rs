//! The interface between [`Socket`](super::Socket) and a socket library.

use super::{BindError, ConnectError, Endpoint, Event, Frames};
use std::path::Path;
use std::time::Duration;

/// The interface of a socket library, which separates [`super::Socket`] from ZeroMQ.
pub(crate) trait Driver: Send + 'static {
    /// Binds an endpoint; returns it with the actual port.
    fn bind(
        &mut self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Endpoint, BindError>> + Send;

    /// Returns the listener's Unix socket for peers of the same user on this machine, which bypasses
    /// the guard unless single peers can be paused.
    fn shortcut(&self) -> Option<&Path> {
        None
    }

    /// Connects to an endpoint.
    fn connect(
        &mut self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<(), ConnectError>> + Send;

    /// Returns true if a message can be sent now.
    fn ready(&self) -> bool;

    /// Sends a message.
    fn send(&mut self, frames: Frames) -> impl Future<Output = SendOutcome> + Send;

    /// Waits for the next message or event. Cancel safe.
    fn recv(&mut self) -> impl Future<Output = Event> + Send;

    /// Closes the socket once everything is sent; returns false if the time limit is exceeded.
    fn close(self, limit: Duration) -> impl Future<Output = bool> + Send;
}

/// The outcome of sending a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// The message was accepted.
    Yes,
    /// No peer with this identity is connected.
    NoPeer,
}
