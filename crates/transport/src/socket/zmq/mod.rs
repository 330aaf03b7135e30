//! Drivers for the sockets of the `zeromq` crate, with workarounds for its faults.

mod dealer;
mod publisher;
mod router;
mod subscriber;

pub(crate) use dealer::Dealer;
pub(crate) use publisher::Publisher;
pub(crate) use router::Router;
pub(crate) use subscriber::Subscriber;

use super::guard::{BoundGuard, Guard, GuardOptions};
use super::{
    BindError, ConnectError, Endpoint, Event, Frames, RoutingId, SocketKind, SocketOptions,
};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use phalanx_sys::limits;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;
use zeromq::util::PeerIdentity;
use zeromq::{MultiPeerBackend, SocketEvent, ZmqError, ZmqMessage};

/// Interval at which a closing socket checks whether its writers have finished.
const FLUSH_POLL: Duration = Duration::from_millis(1);

fn zmq_options(options: &SocketOptions) -> zeromq::SocketOptions {
    let mut zmq = zeromq::SocketOptions::default();
    zmq.connect_timeout(options.connect_limit);
    if let Some(RoutingId(identity)) = &options.identity {
        // Longer than 255 bytes: the peer assigns an identity, as if none were set.
        if let Ok(identity) = PeerIdentity::try_from(identity.clone()) {
            zmq.peer_identity(identity);
        }
    }
    zmq
}

/// The guards of a socket, each in front of one of zeromq's listeners.
struct Guards {
    all: Vec<Guard>,
    options: GuardOptions,
}

impl Guards {
    /// Creates an empty list for a socket of this kind.
    fn new(kind: SocketKind, options: &SocketOptions) -> Self {
        Self {
            all: Vec::new(),
            options: GuardOptions {
                kind,
                greeting: options.greeting_limit,
                paused: options.paused(),
            },
        }
    }

    /// Binds another guard, and zeromq behind it.
    async fn bind<S: zeromq::Socket>(
        &mut self,
        socket: &mut S,
        endpoint: &Endpoint,
    ) -> Result<Endpoint, BindError> {
        let bound = BoundGuard::new(endpoint, self.options.paused.is_some()).await?;
        let behind = socket.bind(&bound.inner.to_string()).await;
        behind.map_err(|error| BindError {
            endpoint: endpoint.clone(),
            reason: reason(&error),
        })?;
        let taken = bound.endpoint.clone();
        self.all.push(bound.accept(&self.options));
        Ok(taken)
    }

    /// Returns the Unix socket for peers on this machine.
    fn shortcut(&self) -> Option<&Path> {
        self.all.first().map(Guard::shortcut)
    }

    /// Closes the guards; the zeromq socket must be closed.
    async fn close(self, limit: Duration) -> bool {
        let mut all = true;
        for guard in self.all {
            all &= guard.close(limit).await;
        }
        all
    }
}

/// Waits for the next message of a socket or event of its connections. Cancel safe.
async fn received<S: zeromq::SocketRecv>(
    socket: &mut S,
    monitor: &mut mpsc::Receiver<SocketEvent>,
) -> Event {
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Ok(message) => return Event::Message(message.into_vec()),
                Err(_) => tokio::task::yield_now().await,
            },
            event = next_event(monitor) => return event,
        }
    }
}

async fn connect<S: zeromq::Socket>(
    socket: &mut S,
    endpoint: &Endpoint,
) -> Result<(), ConnectError> {
    socket
        .connect(&endpoint.to_string())
        .await
        .map_err(|error| ConnectError {
            endpoint: endpoint.clone(),
            reason: reason(&error),
        })
}

fn reason(error: &ZmqError) -> String {
    match error {
        ZmqError::Network(error) => limits::describe(error),
        ZmqError::ConnectTimeout(limit) => format!("no reply within {limit:?}"),
        other => other.to_string(),
    }
}

fn message(frames: Frames) -> Option<ZmqMessage> {
    ZmqMessage::try_from(frames).ok()
}

/// Waits for the next relevant event of the monitor.
async fn next_event(monitor: &mut mpsc::Receiver<SocketEvent>) -> Event {
    loop {
        match monitor.next().await {
            Some(SocketEvent::Accepted(_, peer) | SocketEvent::Connected(_, peer)) => {
                return Event::Connected(identity(peer));
            }
            Some(SocketEvent::Disconnected(peer)) => return Event::Disconnected(identity(peer)),
            Some(SocketEvent::AcceptFailed(error)) => {
                tracing::debug!(%error, "a connection was refused");
            }
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}

fn identity(peer: PeerIdentity) -> RoutingId {
    RoutingId(Bytes::from(peer))
}

/// Waits until the tasks that write to the peers have written everything and ended.
///
/// Each of them holds the socket's backend; once the socket is dropped, they end after their queues
/// are written.
async fn flushed(backend: Weak<dyn MultiPeerBackend>, limit: Duration) -> bool {
    let written = async {
        while backend.strong_count() > 0 {
            tokio::time::sleep(FLUSH_POLL).await;
        }
    };
    tokio::time::timeout(limit, written).await.is_ok()
}

fn backend<S: zeromq::Socket>(socket: &S) -> Weak<dyn MultiPeerBackend> {
    Arc::downgrade(&socket.backend())
}
