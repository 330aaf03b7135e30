use super::{BindError, ConnectError, Endpoint, Event, Frames};
use std::path::Path;
use std::time::Duration;

/// The interface of a socket library: the seam between [`super::Socket`] and ZeroMQ.
pub(crate) trait Driver: Send + 'static {
    /// Listens; answers with the port that was taken.
    fn bind(
        &mut self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Endpoint, BindError>> + Send;

    /// The Unix socket behind the listener, which peers of this machine and user may connect to:
    /// they need no guard.
    fn shortcut(&self) -> Option<&Path> {
        None
    }

    /// Connects.
    fn connect(
        &mut self,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<(), ConnectError>> + Send;

    /// Returns true if messages can be handed over; they wait while not.
    fn ready(&self) -> bool;

    /// Hands a message over.
    fn send(&mut self, frames: Frames) -> impl Future<Output = SendOutcome> + Send;

    /// The next message or event. Cancel-safe.
    fn recv(&mut self) -> impl Future<Output = Event> + Send;

    /// Ends once everything handed over has left the process; `false` when that takes too long.
    fn close(self, limit: Duration) -> impl Future<Output = bool> + Send;
}

/// The result of handing a message over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// It is on its way.
    Yes,
    /// Nobody of that name is there.
    NoPeer,
}
