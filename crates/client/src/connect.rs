//! Establishes the sockets of a connection file, and waits for the controller's reply.

use crate::state::StateEvent;
use crate::wire;
use phalanx_protocol::parallel::ConnectionRequest;
use phalanx_transport::socket::SEND_LIMIT;
use phalanx_transport::warn_rarely;
use phalanx_transport::wire::KeyError;
use phalanx_transport::{
    ClientConnectionFile, ConnectError, Envelope, Frames, Receiver, Sender, Session, Socket,
    SocketKind, SocketOptions, WireError,
};
use std::time::Duration;

/// The time limit for the controller's first reply, as in ipyparallel.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for which a task waits to be sent: without a limit, since the controller reads a
/// client's tasks only while it has room for them.
const TASK_SEND_LIMIT: Duration = Duration::MAX;

/// The reason why a client could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ControllerConnectError {
    /// The interface and ports in the file do not form an endpoint.
    #[error(transparent)]
    Endpoint(#[from] phalanx_transport::socket::EndpointError),
    /// The file's signature scheme is unknown.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The tunnel that the file requires cannot be opened.
    #[error(transparent)]
    Tunnel(#[from] phalanx_transport::connection::TunnelError),
    /// The address does not accept connections.
    #[error(transparent)]
    Socket(#[from] ConnectError),
    /// The controller refused the connection.
    #[error("the controller at {endpoint} refused the connection: {reason}")]
    Refused {
        /// The address of the controller.
        endpoint: String,
        /// The reason given by the controller.
        reason: String,
    },
    /// The peer does not reply as a controller does.
    #[error("no controller answered at {endpoint} within {} s", REPLY_TIMEOUT.as_secs())]
    NoReply {
        /// The address that was tried.
        endpoint: String,
    },
    /// A message could not be created or sent.
    #[error("cannot ask the controller at {endpoint}: {reason}")]
    Send {
        /// The address of the controller.
        endpoint: String,
        /// The reason.
        reason: String,
    },
}

/// The sockets of a client, each split into two halves.
pub(crate) struct Sockets {
    pub query: (Sender, Receiver),
    pub mux: (Sender, Receiver),
    /// The scheduler's socket.
    pub task: (Sender, Receiver),
    pub control: (Sender, Receiver),
    pub iopub: Receiver,
    pub notification: Receiver,
}

/// Connects every channel and requests the list of engines.
pub(crate) async fn connect(
    file: &ClientConnectionFile,
    session: &Session,
) -> Result<(Sockets, StateEvent), ControllerConnectError> {
    let open = async |port, limit| -> Result<(Sender, Receiver), ControllerConnectError> {
        // The identity by which replies are routed to the client, also after a reconnection.
        let options = SocketOptions::default().identity(session.id().as_str());
        let options = options.send_limit(limit);
        let options = options.otherwise(file.network_endpoint(port).ok());
        let endpoint = file.endpoint(port)?;
        let socket = Socket::connect(SocketKind::Dealer, &endpoint, options).await?;
        Ok(socket.split())
    };
    // Subscribes first, so that no event after the reply is missed.
    let (notification, iopub) = subscribe(file).await?;
    let (query, mux, task, control) = tokio::try_join!(
        open(file.registration, SEND_LIMIT),
        open(file.mux, SEND_LIMIT),
        open(file.task, TASK_SEND_LIMIT),
        open(file.control, SEND_LIMIT)
    )?;
    let mut sockets = Sockets {
        query,
        mux,
        task,
        control,
        iopub,
        notification,
    };
    let endpoint = file.endpoint(file.registration)?.to_string();
    let asked = connection_request(session).map_err(|error| error.to_string());
    let sent = match asked {
        Ok(frames) => (sockets.query.0.send(frames).await).map_err(|error| error.to_string()),
        Err(reason) => Err(reason),
    };
    sent.map_err(|reason| ControllerConnectError::Send {
        endpoint: endpoint.clone(),
        reason,
    })?;
    let reply = reply(&mut sockets.query.1, session);
    match tokio::time::timeout(REPLY_TIMEOUT, reply).await {
        Ok(Some(Ok(engines))) => Ok((sockets, engines)),
        Ok(Some(Err(reason))) => Err(ControllerConnectError::Refused { endpoint, reason }),
        Ok(None) | Err(_) => Err(ControllerConnectError::NoReply { endpoint }),
    }
}

/// Subscribes to notifications and to the publications of engines.
pub(crate) async fn subscribe(
    file: &ClientConnectionFile,
) -> Result<(Receiver, Receiver), ControllerConnectError> {
    let open = async |port| -> Result<Receiver, ControllerConnectError> {
        let endpoint = file.endpoint(port)?;
        let socket = Socket::connect(SocketKind::Sub, &endpoint, SocketOptions::default()).await?;
        Ok(socket.split().1)
    };
    tokio::try_join!(open(file.notification), open(file.iopub))
}

/// Builds the request for the list of engines.
pub(crate) fn connection_request(session: &Session) -> Result<Frames, WireError> {
    session
        .message(&ConnectionRequest {}, None)
        .seal(session.key())
}

async fn reply(query: &mut Receiver, session: &Session) -> Option<Result<StateEvent, String>> {
    loop {
        let frames = query.recv_message().await?;
        match Envelope::open(frames, session.key()) {
            Ok(envelope) => {
                if let Some(reply) = wire::connection_reply(&envelope) {
                    return Some(reply);
                }
            }
            Err(error) => warn_rarely!(%error, "a message from the controller is dropped"),
        }
    }
}
