//! Sockets: each is owned by a task, behind cloneable [`Sender`]s and one [`Receiver`].

mod actor;
mod backpressure;
mod driver;
mod endpoint;
mod guard;
mod in_process;
mod memory;
mod paused;
mod thread;
mod zmq;

pub use endpoint::{Endpoint, EndpointError};
pub use paused::ReadControl;

use actor::{ReceiveQueue, SocketCommand};
use backpressure::{Backlog, SendQueueGauge, SendQueueGauges, UnreadBytes};
use bytes::Bytes;
use driver::Driver;
use paused::PausedPeers;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The frames of one message.
pub type Frames = Vec<Bytes>;

/// Capacity of the receive queue, in messages; while it is full, the peers are not read.
const INBOX: usize = 256;
/// Default capacity of the receive queue, in bytes; a single message may exceed it.
const INBOX_BYTES: usize = 64 << 20;

/// Default time for which [`Sender::send`] waits for a peer that does not read.
pub const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Default time for which [`Socket::connect`] waits for a listener.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Default time limit of a peer's handshake.
pub const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// The messaging pattern of a socket (ZeroMQ RFCs 28 and 29).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Exchanges messages with many peers, addressed by the first frame. Also serves REQ
    /// (heartbeats): see [`echo`].
    Router,
    /// Exchanges messages with one peer; reconnects when the connection breaks.
    Dealer,
    /// Publishes to every subscriber and reports subscriptions (ZeroMQ's XPUB).
    Pub,
    /// Receives everything its publishers send.
    Sub,
}

/// The routing identity of a peer; displayed as text if it is text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoutingId(pub Bytes);

impl RoutingId {
    /// Returns the identity as text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Display for RoutingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) if text.chars().all(|c| c.is_ascii_graphic()) => f.write_str(text),
            _ => write!(f, "0x{:x}", self.0),
        }
    }
}

impl fmt::Debug for RoutingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self})")
    }
}

impl From<&str> for RoutingId {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Bytes> for RoutingId {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

/// An event of a socket.
///
/// All messages of a peer precede its `Disconnected`. The first may precede its `Connected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message; on a ROUTER its first frame is the sender's identity.
    Message(Frames),
    /// A peer has connected.
    Connected(RoutingId),
    /// A peer has disconnected. A DEALER tries to reconnect.
    Disconnected(RoutingId),
    /// A peer has subscribed to a topic (PUB).
    Subscribed(Bytes),
    /// A peer has unsubscribed from a topic (PUB).
    Unsubscribed(Bytes),
}

/// The options of a socket.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    identity: Option<RoutingId>,
    send_limit: Duration,
    connect_limit: Duration,
    backlog: Backlog,
    otherwise: Option<Endpoint>,
    greeting_limit: Duration,
    inbox_bytes: usize,
    read_control: Option<ReadControl>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            identity: None,
            send_limit: SEND_LIMIT,
            connect_limit: CONNECT_LIMIT,
            backlog: Backlog {
                messages: 10_000,
                bytes: 64 << 20,
            },
            otherwise: None,
            greeting_limit: GREETING_LIMIT,
            inbox_bytes: INBOX_BYTES,
            read_control: None,
        }
    }
}

impl SocketOptions {
    /// Sets the identity sent to peers; 1 to 255 bytes.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<RoutingId>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Sets the time for which sending waits; [`SEND_LIMIT`] by default.
    #[must_use]
    pub fn send_limit(mut self, limit: Duration) -> Self {
        self.send_limit = limit;
        self
    }

    /// Sets the number and size of messages queued for one peer (10,000 and 64 MiB by default;
    /// fewer than 100,000).
    #[must_use]
    pub fn backlog(mut self, messages: usize, bytes: usize) -> Self {
        self.backlog = Backlog { messages, bytes };
        self
    }

    /// Sets the time limit of handshakes; [`GREETING_LIMIT`] by default.
    #[must_use]
    pub fn greeting_limit(mut self, limit: Duration) -> Self {
        self.greeting_limit = limit;
        self
    }

    /// Sets the size of received messages that wait to be read, in bytes, beyond which no peer is
    /// read (64 MiB by default); a single message may exceed it.
    #[must_use]
    pub fn inbox(mut self, bytes: usize) -> Self {
        self.inbox_bytes = bytes;
        self
    }

    /// Makes it possible to pause the reading of single peers of a ROUTER that binds.
    #[must_use]
    pub fn read_control(mut self, control: &ReadControl) -> Self {
        self.read_control = Some(control.clone());
        self
    }

    fn paused(&self) -> Option<Arc<PausedPeers>> {
        self.read_control.as_ref().map(ReadControl::peers)
    }

    /// Sets an alternative endpoint of the same peer, tried when a DEALER reconnects: a restarted
    /// peer has another Unix socket.
    #[must_use]
    pub fn otherwise(mut self, endpoint: Option<Endpoint>) -> Self {
        self.otherwise = endpoint;
        self
    }

    /// Sets the time for which connecting waits; [`CONNECT_LIMIT`] by default.
    #[must_use]
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }
}

/// The error of a socket that could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {endpoint}: {reason}")]
pub struct BindError {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The cause.
    pub reason: String,
}

/// The error of a socket that could not be connected.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {endpoint}: {reason}")]
pub struct ConnectError {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The cause.
    pub reason: String,
}

/// The error of a message that was not sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    /// The peer does not read; no part of the message was sent.
    #[error("peer {peer} does not read its messages ({waiting} wait)")]
    Stalled {
        /// The peer.
        peer: RoutingId,
        /// The number of messages queued for it.
        waiting: usize,
    },
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// The message has no frame; on a ROUTER, it has fewer than two.
    #[error("a message without frames")]
    Empty,
}

/// The error of a socket that was closed before all its messages were sent; contains their number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} messages were not sent in time")]
pub struct CloseError(pub usize);

/// The sending half of a socket. Clones share it.
#[derive(Clone, Debug)]
pub struct Sender {
    kind: SocketKind,
    // Unbounded, since the gauges limit its length.
    queue: mpsc::UnboundedSender<Frames>,
    commands: mpsc::Sender<SocketCommand>,
    gauges: Arc<SendQueueGauges>,
    limit: Duration,
}

impl Sender {
    /// Sends a message, after waiting for room in the peer's queue.
    ///
    /// On a ROUTER the first frame identifies the peer; a message for an unknown peer is dropped,
    /// as in ZeroMQ.
    ///
    /// # Errors
    /// Returns an error if the peer does not read within the send limit, the socket is closed, or
    /// the message has too few frames.
    pub async fn send(&self, frames: Frames) -> Result<(), SendError> {
        self.check(&frames)?;
        let gauge = self.gauges.of(&frames);
        if !gauge.room(backpressure::cost(&frames), self.limit).await {
            return Err(self.stalled(&frames, &gauge));
        }
        self.enqueue(frames, &gauge)
    }

    /// Sends a message if there is room in the peer's queue.
    ///
    /// # Errors
    /// Returns an error if there is no room, the socket is closed, or the message has too few
    /// frames.
    pub fn try_send(&self, frames: Frames) -> Result<(), SendError> {
        self.check(&frames)?;
        let gauge = self.gauges.of(&frames);
        if !gauge.has_room_for(&frames) {
            return Err(self.stalled(&frames, &gauge));
        }
        self.enqueue(frames, &gauge)
    }

    fn check(&self, frames: &Frames) -> Result<(), SendError> {
        let least = if self.kind == SocketKind::Router {
            2
        } else {
            1
        };
        if frames.len() < least {
            return Err(SendError::Empty);
        }
        Ok(())
    }

    fn enqueue(&self, mut frames: Frames, gauge: &Arc<SendQueueGauge>) -> Result<(), SendError> {
        gauge.track(&mut frames);
        self.queue.send(frames).map_err(|_| SendError::Closed)
    }

    fn stalled(&self, frames: &Frames, gauge: &SendQueueGauge) -> SendError {
        let peer = match self.kind {
            SocketKind::Router => frames.first().cloned().unwrap_or_default(),
            _ => Bytes::new(),
        };
        SendError::Stalled {
            peer: RoutingId(peer),
            waiting: gauge.waiting(),
        }
    }

    /// Closes the socket once all earlier messages are sent.
    ///
    /// # Errors
    /// Returns an error if this takes longer than `limit`; the remaining messages are dropped.
    pub async fn close(&self, limit: Duration) -> Result<(), CloseError> {
        let (done, closed) = oneshot::channel();
        if self
            .commands
            .send(SocketCommand::Close { limit, done })
            .await
            .is_err()
        {
            return Ok(());
        }
        closed.await.unwrap_or(Ok(()))
    }
}

/// The receiving half of a socket. Cancel safe.
#[derive(Debug)]
pub struct Receiver {
    inbox: mpsc::Receiver<Event>,
    unread: Arc<UnreadBytes>,
}

impl Receiver {
    /// Waits for the next event; `None` once the socket is closed.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.inbox.recv().await?;
        self.unread.take(&event);
        Some(event)
    }

    /// Waits for the next message, skipping other events; `None` once the socket is closed.
    pub async fn recv_message(&mut self) -> Option<Frames> {
        loop {
            if let Event::Message(frames) = self.recv().await? {
                return Some(frames);
            }
        }
    }

    /// Returns the next event if one is queued.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.inbox.try_recv().ok()?;
        self.unread.take(&event);
        Some(event)
    }
}

/// A bound or connected socket. It exists until it is closed or both its halves are dropped;
/// messages sent before a drop are still delivered unless the process ends.
#[derive(Debug)]
pub struct Socket {
    sender: Sender,
    receiver: Receiver,
    endpoint: Endpoint,
    shortcut: Option<PathBuf>,
}

/// Removes the files of this process's sockets from the temporary folder. For a process that is
/// about to end: sockets are closed on a thread for which it does not wait.
pub fn remove_files() {
    guard::remove_folder();
}

/// Returns true if this process has refused connections because of too many open files.
pub fn ran_out_of_files() -> bool {
    guard::ran_out_of_files()
}

/// Evaluates an expression with the driver for a kind and an endpoint, on the driver's thread. The
/// only code that selects drivers.
macro_rules! with_driver {
    ($kind:expr, $endpoint:expr, $options:expr, |$driver:ident| $then:expr) => {
        match ($endpoint, $kind) {
            (Endpoint::Memory { .. }, kind) => {
                let $driver = memory::MemorySocket::new(kind, $options);
                $then.await
            }
            (_, SocketKind::Router) => {
                let $driver =
                    in_process::InProcessSocket::new(zmq::Router::new($options), $kind, $options);
                thread::run($then).await
            }
            (_, SocketKind::Dealer) => {
                let $driver = zmq::Dealer::new($options);
                thread::run($then).await
            }
            (_, SocketKind::Pub) => {
                let $driver = zmq::Publisher::new($options);
                thread::run($then).await
            }
            (_, SocketKind::Sub) => {
                let $driver = zmq::Subscriber::new($options);
                thread::run($then).await
            }
        }
    };
}

impl Socket {
    /// Binds an endpoint.
    ///
    /// # Errors
    /// Returns an error if the endpoint is in use or cannot be bound by this process.
    pub async fn bind(
        kind: SocketKind,
        endpoint: &Endpoint,
        options: SocketOptions,
    ) -> Result<Self, BindError> {
        let endpoint = endpoint.clone();
        with_driver!(kind, &endpoint, &options, |driver| {
            Self::bound(kind, driver, endpoint, options)
        })
    }

    /// Connects to an endpoint, waiting for a listener.
    ///
    /// # Errors
    /// Returns an error if nothing listens within the connect limit.
    pub async fn connect(
        kind: SocketKind,
        endpoint: &Endpoint,
        options: SocketOptions,
    ) -> Result<Self, ConnectError> {
        let within = match kind {
            SocketKind::Dealer => memory::within(endpoint),
            // The guard disconnects a subscriber that does not read.
            _ => None,
        };
        let endpoint = within.unwrap_or_else(|| endpoint.clone());
        with_driver!(kind, &endpoint, &options, |driver| {
            Self::connected(kind, driver, endpoint, options)
        })
    }

    async fn bound<D: Driver>(
        kind: SocketKind,
        mut driver: D,
        endpoint: Endpoint,
        options: SocketOptions,
    ) -> Result<Self, BindError> {
        let endpoint = driver.bind(&endpoint).await?;
        let shortcut = driver.shortcut().map(Path::to_owned);
        Ok(Self {
            shortcut,
            ..Self::start(kind, driver, endpoint, &options)
        })
    }

    async fn connected<D: Driver>(
        kind: SocketKind,
        mut driver: D,
        endpoint: Endpoint,
        options: SocketOptions,
    ) -> Result<Self, ConnectError> {
        driver.connect(&endpoint).await?;
        Ok(Self::start(kind, driver, endpoint, &options))
    }

    fn start<D: Driver>(
        kind: SocketKind,
        driver: D,
        endpoint: Endpoint,
        options: &SocketOptions,
    ) -> Self {
        let gauges = Arc::new(SendQueueGauges::new(
            kind == SocketKind::Router,
            options.backlog,
        ));
        let (queue, outgoing) = mpsc::unbounded_channel();
        let (events, incoming) = mpsc::channel(INBOX);
        let unread = UnreadBytes::new(options.inbox_bytes);
        let inbox = ReceiveQueue {
            events,
            unread: unread.clone(),
        };
        let (commands, control) = mpsc::channel(1);
        // Ends when both halves are dropped.
        tokio::spawn(actor::run(driver, outgoing, inbox, control, gauges.clone()));
        Self {
            sender: Sender {
                kind,
                queue,
                commands,
                gauges,
                limit: options.send_limit,
            },
            receiver: Receiver {
                inbox: incoming,
                unread,
            },
            endpoint,
            shortcut: None,
        }
    }

    /// Returns the endpoint: the bound one with the actual port, or the connected one.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the Unix socket, in a folder of mode 0700, by which peers on this machine reach a
    /// listening socket without the network. Sockets that publish have none, since the guard must
    /// disconnect subscribers that do not read.
    pub fn shortcut(&self) -> Option<&Path> {
        self.shortcut.as_deref()
    }

    /// Returns a sender of the socket.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Sends a message, as [`Sender::send`] does.
    ///
    /// # Errors
    /// Returns the errors of [`Sender::send`].
    pub async fn send(&self, frames: Frames) -> Result<(), SendError> {
        self.sender.send(frames).await
    }

    /// Waits for the next event, as [`Receiver::recv`] does.
    pub async fn recv(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// Waits for the next message, as [`Receiver::recv_message`] does.
    pub async fn recv_message(&mut self) -> Option<Frames> {
        self.receiver.recv_message().await
    }

    /// Splits the socket into its halves.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// Closes the socket, as [`Sender::close`] does.
    ///
    /// # Errors
    /// Returns the errors of [`Sender::close`].
    pub async fn close(self, limit: Duration) -> Result<(), CloseError> {
        self.sender.close(limit).await
    }
}

/// Returns every message to its sender until the socket is closed: Jupyter's heartbeat.
pub async fn echo(socket: Socket) {
    let (sender, mut receiver) = socket.split();
    while let Some(frames) = receiver.recv_message().await {
        if sender.try_send(frames) == Err(SendError::Closed) {
            return;
        }
    }
}
