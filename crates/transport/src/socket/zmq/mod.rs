//! The sockets of the `zeromq` crate as drivers, with its faults closed.

mod dealer;
mod publisher;
mod router;
mod subscriber;

pub(crate) use dealer::Dealer;
pub(crate) use publisher::Publisher;
pub(crate) use router::Router;
pub(crate) use subscriber::Subscriber;

use super::{BindError, ConnectError, Endpoint, Event, Frames, Identity, SocketOptions};
use bytes::Bytes;
use futures::StreamExt;
use futures::channel::mpsc;
use std::sync::{Arc, Weak};
use std::time::Duration;
use zeromq::util::PeerIdentity;
use zeromq::{MultiPeerBackend, SocketEvent, ZmqError, ZmqMessage};

/// How often a closing socket looks whether its writers have finished.
const FLUSH_POLL: Duration = Duration::from_millis(1);

fn zmq_options(options: &SocketOptions) -> zeromq::SocketOptions {
    let mut zmq = zeromq::SocketOptions::default();
    zmq.connect_timeout(options.connect_limit);
    if let Some(Identity(identity)) = &options.identity {
        // Longer than 255 bytes: the peer then gives us a name, as if we had none.
        if let Ok(identity) = PeerIdentity::try_from(identity.clone()) {
            zmq.peer_identity(identity);
        }
    }
    zmq
}

async fn bind<S: zeromq::Socket>(
    socket: &mut S,
    endpoint: &Endpoint,
) -> Result<Endpoint, BindError> {
    let refused = |reason: String| BindError {
        endpoint: endpoint.clone(),
        reason,
    };
    // zeromq panics at it.
    if *endpoint == Endpoint::Ipc("*".into()) {
        return Err(refused("a path is needed".to_owned()));
    }
    match socket.bind(&endpoint.to_string()).await {
        Ok(bound) => bound
            .to_string()
            .parse()
            .map_err(|_| refused(format!("bound at {bound}"))),
        Err(error) => Err(refused(reason(&error))),
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
        ZmqError::Network(error) => error.to_string(),
        ZmqError::ConnectTimeout(limit) => format!("nobody answers within {limit:?}"),
        other => other.to_string(),
    }
}

fn message(frames: Frames) -> Option<ZmqMessage> {
    ZmqMessage::try_from(frames).ok()
}

/// What the monitor saw, as far as anybody wants to know.
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

fn identity(peer: PeerIdentity) -> Identity {
    Identity(Bytes::from(peer))
}

/// Waits until the tasks that write to the peers have written everything and ended.
///
/// Each of them holds the socket's backend; once the socket is dropped they end after what is
/// queued for them.
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
