//! Sockets: one owned task each, behind cloneable [`Sender`]s and one [`Receiver`].

mod actor;
mod backpressure;
mod driver;
mod endpoint;
mod guard;
mod in_process;
mod memory;
mod thread;
mod zmq;

pub use endpoint::{Endpoint, EndpointError};

use actor::{ReceiveQueue, SocketCommand};
use backpressure::{Backlog, SendQueueGauge, SendQueueGauges, UnreadBytes};
use bytes::Bytes;
use driver::Driver;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The frames of one message.
pub type Frames = Vec<Bytes>;

/// Received messages that wait for their reader; then the peer is no longer read.
const INBOX: usize = 256;
/// Bytes of them, beyond which the same holds; one message may have any number.
const INBOX_BYTES: usize = 64 << 20;

/// Time [`Sender::send`] waits for a peer that does not read.
pub const SEND_LIMIT: Duration = Duration::from_secs(5);

/// Time [`Socket::connect`] waits for the other side to listen.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The time a connected peer may take to say what it is.
pub const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// The pattern by which a socket handles messages; RFCs 28 and 29 of ZeroMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// Talks to many peers, each by the first frame. Also serves REQ (heartbeats): see [`echo`].
    Router,
    /// Talks to one peer; connects again when the connection breaks.
    Dealer,
    /// Publishes to every subscriber and says who subscribes (ZeroMQ's XPUB).
    Pub,
    /// Receives everything its publishers publish.
    Sub,
}

/// The routing identity of a peer; shown as text where it is text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoutingId(pub Bytes);

impl RoutingId {
    /// As text, where it is text.
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

/// An event of a socket for its reader.
///
/// Whatever a peer sent before it went comes before its `Disconnected`. A first message may come
/// before `Connected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message; on a ROUTER its first frame is the sender's identity.
    Message(Frames),
    /// A peer is there.
    Connected(RoutingId),
    /// A peer is gone. A DEALER tries to reach it again.
    Disconnected(RoutingId),
    /// Somebody subscribed to a topic (PUB).
    Subscribed(Bytes),
    /// Somebody no longer does (PUB).
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
        }
    }
}

impl SocketOptions {
    /// Names the socket to its peers; 1 to 255 bytes.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<RoutingId>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// See [`SEND_LIMIT`].
    #[must_use]
    pub fn send_limit(mut self, limit: Duration) -> Self {
        self.send_limit = limit;
        self
    }

    /// Sets the number of messages and bytes that may wait for one peer (10,000 and 64 MiB by
    /// default; fewer than 100,000).
    #[must_use]
    pub fn backlog(mut self, messages: usize, bytes: usize) -> Self {
        self.backlog = Backlog { messages, bytes };
        self
    }

    /// See [`GREETING_LIMIT`].
    #[must_use]
    pub fn greeting_limit(mut self, limit: Duration) -> Self {
        self.greeting_limit = limit;
        self
    }

    /// Another endpoint of the same peer, where a DEALER whose connection breaks finds it if it is no
    /// longer at the first: the peer was started again, and its Unix socket is another.
    #[must_use]
    pub fn otherwise(mut self, endpoint: Option<Endpoint>) -> Self {
        self.otherwise = endpoint;
        self
    }

    /// See [`CONNECT_LIMIT`].
    #[must_use]
    pub fn connect_limit(mut self, limit: Duration) -> Self {
        self.connect_limit = limit;
        self
    }
}

/// A socket could not listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {endpoint}: {reason}")]
pub struct BindError {
    /// The address.
    pub endpoint: Endpoint,
    /// The reason.
    pub reason: String,
}

/// A socket could not connect.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {endpoint}: {reason}")]
pub struct ConnectError {
    /// The address.
    pub endpoint: Endpoint,
    /// The reason.
    pub reason: String,
}

/// A message was not sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    /// The peer does not read; nothing of the message was sent.
    #[error("peer {peer} does not read its messages ({waiting} wait)")]
    Stalled {
        /// The peer.
        peer: RoutingId,
        /// The number of messages that wait for it.
        waiting: usize,
    },
    /// The socket is closed.
    #[error("the socket is closed")]
    Closed,
    /// A message needs a frame, on a ROUTER two.
    #[error("a message without frames")]
    Empty,
}

/// A socket was closed before all its messages had left.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} messages were not sent in time")]
pub struct CloseError(pub usize);

/// Sends on a socket. Clones share it.
#[derive(Clone, Debug)]
pub struct Sender {
    kind: SocketKind,
    // Unbounded, since what may wait in it is limited by the gauges.
    queue: mpsc::UnboundedSender<Frames>,
    commands: mpsc::Sender<SocketCommand>,
    gauges: Arc<SendQueueGauges>,
    limit: Duration,
}

impl Sender {
    /// Sends a message, waiting while too much waits for that peer already.
    ///
    /// On a ROUTER the first frame names the peer; a message for a peer that is not there is
    /// dropped, as ZeroMQ does.
    ///
    /// # Errors
    /// When the peer does not read for the socket's send limit, or the socket is closed.
    pub async fn send(&self, frames: Frames) -> Result<(), SendError> {
        self.check(&frames)?;
        let gauge = self.gauges.of(&frames);
        if !gauge.room(backpressure::cost(&frames), self.limit).await {
            return Err(self.stalled(&frames, &gauge));
        }
        self.enqueue(frames, &gauge)
    }

    /// Sends a message unless it would have to wait.
    ///
    /// # Errors
    /// When too much waits for that peer, or the socket is closed.
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

    /// Closes the socket once everything sent before has left this process.
    ///
    /// # Errors
    /// When that takes longer than `limit`; the rest is dropped.
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

/// Receives from a socket. Cancel-safe.
#[derive(Debug)]
pub struct Receiver {
    inbox: mpsc::Receiver<Event>,
    unread: Arc<UnreadBytes>,
}

impl Receiver {
    /// The next event; `None` once the socket is closed.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.inbox.recv().await?;
        self.unread.take(&event);
        Some(event)
    }

    /// The next message; other events are passed over.
    pub async fn recv_message(&mut self) -> Option<Frames> {
        loop {
            if let Event::Message(frames) = self.recv().await? {
                return Some(frames);
            }
        }
    }

    /// Returns the next event if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.inbox.try_recv().ok()?;
        self.unread.take(&event);
        Some(event)
    }
}

/// A bound or connected socket. It lives until it is closed or both its halves are dropped; what
/// was sent before a drop still leaves as long as the process lives.
#[derive(Debug)]
pub struct Socket {
    sender: Sender,
    receiver: Receiver,
    endpoint: Endpoint,
    shortcut: Option<PathBuf>,
}

/// Leaves nothing of this process's sockets in the temporary folder. For a process that is about to
/// end: sockets close in a thread of their own, which it does not wait for.
pub fn remove_files() {
    guard::remove_folder();
}

/// Returns true if this process has refused connections since too many files were open.
pub fn ran_out_of_files() -> bool {
    guard::ran_out_of_files()
}

/// Goes on with the driver of a kind for an endpoint: the one place that knows which there are, and
/// where they work.
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
    /// Listens.
    ///
    /// # Errors
    /// When the endpoint is taken or not ours to take.
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

    /// Connects, waiting for the other side to listen.
    ///
    /// # Errors
    /// When nobody listens there within the connect limit.
    pub async fn connect(
        kind: SocketKind,
        endpoint: &Endpoint,
        options: SocketOptions,
    ) -> Result<Self, ConnectError> {
        let within = match kind {
            SocketKind::Dealer => memory::within(endpoint),
            // A subscriber that does not read must be cut off.
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
        let unread = UnreadBytes::new(INBOX_BYTES);
        let inbox = ReceiveQueue {
            events,
            unread: unread.clone(),
        };
        let (commands, control) = mpsc::channel(1);
        // Ends by itself when both halves are dropped.
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

    /// The address it listens on, with the port that was taken, or the one it is connected to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A Unix socket, in a folder of mode 0700, by which peers on this machine reach a socket that
    /// listens without the detour over the network. Sockets that publish have none: a subscriber
    /// that does not read must be cut off.
    pub fn shortcut(&self) -> Option<&Path> {
        self.shortcut.as_deref()
    }

    /// A sender for it.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// See [`Sender::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&self, frames: Frames) -> Result<(), SendError> {
        self.sender.send(frames).await
    }

    /// See [`Receiver::recv`].
    pub async fn recv(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }

    /// See [`Receiver::recv_message`].
    pub async fn recv_message(&mut self) -> Option<Frames> {
        self.receiver.recv_message().await
    }

    /// The two halves.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// See [`Sender::close`].
    ///
    /// # Errors
    /// As there.
    pub async fn close(self, limit: Duration) -> Result<(), CloseError> {
        self.sender.close(limit).await
    }
}

/// Sends every message back where it came from, until the socket is closed: Jupyter's heartbeat.
pub async fn echo(socket: Socket) {
    let (sender, mut receiver) = socket.split();
    while let Some(frames) = receiver.recv_message().await {
        if sender.try_send(frames) == Err(SendError::Closed) {
            return;
        }
    }
}
