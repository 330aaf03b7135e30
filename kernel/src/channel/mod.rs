//! The five channels to the frontend: shell, control, iopub, stdin, heartbeat.
//!
//! | file | contents |
//! |---|---|
//! | `request.rs` | requests on shell and control, parsed |
//! | `stdin.rs` | input requests of cells |
//! | `iopub.rs` | published messages |
//! | `output_sink.rs` | the sink of a cell's outputs |

mod iopub;
mod output_sink;
mod request;
mod stdin;

pub use iopub::{IoPub, Publication, status};
pub use output_sink::{OutputSink, OutputVisibility};
pub use request::{ReplyType, Request, RequestContent, Requester, SubshellId};
pub use stdin::{InputOutcome, InputPrompter, StdinRequests};

use phalanx_protocol::jupyter::connection_info::{ConnectionInfo, Transport};
use phalanx_protocol::jupyter::{IoPubWelcome, JupyterMessageContent};
use phalanx_transport::socket::{self, EndpointError};
use phalanx_transport::wire::KeyError;
use phalanx_transport::{
    BindError, CloseError, Endpoint, Envelope, Event, Frames, RawMessage, Receiver, ReplayGuard,
    SendError, Sender, Session, SigningKey, Socket, SocketKind, SocketOptions,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Time limit for sending the last messages when the kernel ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The channel on which a request arrived, and on which its reply is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestChannel {
    /// Requests served in order.
    Shell,
    /// Requests that do not wait for a running cell.
    Control,
}

/// The error of opening the channels.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A port cannot be bound.
    #[error("the {channel} channel: {source}")]
    Bind {
        /// The channel.
        channel: &'static str,
        /// The cause.
        source: BindError,
    },
    /// The connection file's address is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The connection file's signature scheme is not supported.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The five channels, open.
#[derive(Debug)]
pub struct Channels {
    session: Arc<Session>,
    shell: (Sender, Receiver),
    control: (Sender, Receiver),
    stdin: (StdinRequests, Receiver),
    iopub: (IoPub, Receiver),
    has_subscriber: bool,
    replays: ReplayGuard,
    heartbeat: JoinHandle<()>,
}

impl Channels {
    /// Binds the five ports; returns the connection with port 0 replaced by the ports in use.
    ///
    /// # Errors
    /// Returns an error if a port cannot be bound, or if the connection file's address or signature
    /// scheme is not supported.
    pub async fn open(mut info: ConnectionInfo) -> Result<(Self, ConnectionInfo), OpenError> {
        let key = SigningKey::from_file(&info.signature_scheme, &info.key)?;
        let session = Arc::new(Session::new("kernel", key));
        let shell = bind(&info, "shell", SocketKind::Router, info.shell_port).await?;
        info.shell_port = shell.endpoint().port().unwrap_or(info.shell_port);
        let control = bind(&info, "control", SocketKind::Router, info.control_port).await?;
        info.control_port = control.endpoint().port().unwrap_or(info.control_port);
        let stdin = bind(&info, "stdin", SocketKind::Router, info.stdin_port).await?;
        info.stdin_port = stdin.endpoint().port().unwrap_or(info.stdin_port);
        let iopub = bind(&info, "iopub", SocketKind::Pub, info.iopub_port).await?;
        info.iopub_port = iopub.endpoint().port().unwrap_or(info.iopub_port);
        let heartbeat = bind(&info, "heartbeat", SocketKind::Router, info.hb_port).await?;
        info.hb_port = heartbeat.endpoint().port().unwrap_or(info.hb_port);
        let (iopub, subscriptions) = iopub.split();
        let (stdin, replies) = stdin.split();
        let channels = Self {
            shell: shell.split(),
            control: control.split(),
            stdin: (StdinRequests::new(Arc::clone(&session), stdin), replies),
            iopub: (IoPub::new(Arc::clone(&session), iopub), subscriptions),
            session,
            has_subscriber: false,
            replays: ReplayGuard::default(),
            // Ends with the channels. A task of its own, so that nothing delays the echo.
            heartbeat: tokio::spawn(socket::echo(heartbeat)),
        };
        Ok((channels, info))
    }

    /// Returns the iopub channel.
    pub fn iopub(&self) -> &IoPub {
        &self.iopub.0
    }

    /// Returns the stdin channel.
    pub fn input(&self) -> &StdinRequests {
        &self.stdin.0
    }

    /// Waits for the next request; control takes precedence over shell. Cancel safe.
    pub async fn next(&mut self) -> Request {
        loop {
            let event = tokio::select! {
                biased;
                event = self.control.1.recv() => (RequestChannel::Control, event),
                event = self.shell.1.recv() => (RequestChannel::Shell, event),
                event = self.iopub.1.recv() => {
                    self.subscribed(event).await;
                    continue;
                }
                event = self.stdin.1.recv() => {
                    self.replied(event);
                    continue;
                }
            };
            match event {
                (channel, Some(Event::Message(frames))) => {
                    if let Some(request) = self.request(channel, frames) {
                        return request;
                    }
                }
                (_, Some(_)) => {}
                // A closed channel yields nothing; the others continue.
                (_, None) => std::future::pending().await,
            }
        }
    }

    fn request(&mut self, channel: RequestChannel, frames: Frames) -> Option<Request> {
        let envelope = self.open_envelope(frames)?;
        Some(Request::new(channel, envelope))
    }

    fn replied(&mut self, event: Option<Event>) {
        if let Some(Event::Message(frames)) = event
            && let Some(reply) = self.open_envelope(frames)
        {
            self.stdin.0.replied(reply);
        }
    }

    /// Decodes a message; `None` unless the frontend has signed it.
    fn open_envelope(&mut self, frames: Frames) -> Option<Envelope> {
        let from = frames.first().cloned().unwrap_or_default();
        let opened = RawMessage::verify(frames, self.session.key()).and_then(|raw| {
            self.replays.admit(&raw)?;
            Envelope::parse(raw)
        });
        opened
            .inspect_err(|error| {
                tracing::warn!(?from, %error, "dropped a message without a valid signature");
            })
            .ok()
    }

    /// Sends `iopub_welcome` to a subscriber (JEP 65), which from then on receives every message.
    /// The first subscriber also receives the status `starting`.
    async fn subscribed(&mut self, event: Option<Event>) {
        if let Some(Event::Subscribed(topic)) = event {
            let subscription = String::from_utf8_lossy(&topic).into_owned();
            self.iopub.0.welcome(IoPubWelcome { subscription }).await;
            if !std::mem::replace(&mut self.has_subscriber, true) {
                self.iopub.0.starting().await;
            }
        }
    }

    /// Sends a reply to the peer of its request.
    pub async fn reply(&self, requester: &Requester, content: JupyterMessageContent) {
        let sender = match requester.channel {
            RequestChannel::Shell => &self.shell.0,
            RequestChannel::Control => &self.control.0,
        };
        match requester
            .envelope(&self.session, &content)
            .seal(self.session.key())
        {
            Ok(frames) => log_send(sender.send(frames).await),
            Err(error) => tracing::error!(%error, "a reply could not be encoded"),
        }
    }

    /// Closes the channels once all pending messages are sent.
    pub async fn close(self) {
        self.heartbeat.abort();
        let iopub = self.iopub.0.close(CLOSE_LIMIT);
        let control = self.control.0.close(CLOSE_LIMIT);
        let shell = self.shell.0.close(CLOSE_LIMIT);
        let (iopub, control, shell) = tokio::join!(iopub, control, shell);
        log_close("iopub", iopub);
        log_close("control", control);
        log_close("shell", shell);
    }
}

async fn bind(
    info: &ConnectionInfo,
    channel: &'static str,
    kind: SocketKind,
    port: u16,
) -> Result<Socket, OpenError> {
    let scheme = match info.transport {
        Transport::TCP => "tcp",
        Transport::IPC => "ipc",
    };
    let endpoint = Endpoint::of(&format!("{scheme}://{}", info.ip), port)?;
    Socket::bind(kind, &endpoint, SocketOptions::default())
        .await
        .map_err(|source| OpenError::Bind { channel, source })
}

fn log_send(sent: Result<(), SendError>) {
    if let Err(error) = sent {
        tracing::warn!(%error, "a message to the frontend was not sent");
    }
}

fn log_close(channel: &str, closed: Result<(), CloseError>) {
    if let Err(error) = closed {
        tracing::warn!(channel, %error, "the kernel ends before all messages are sent");
    }
}
