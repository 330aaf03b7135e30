//! The connections to a controller.

mod channels;
mod contact;
mod heart;
mod join;
mod search;

pub(crate) use contact::TICK;
pub(crate) use join::is_there;
pub(crate) use search::{AttemptResult, ControllerSearch, SearchCommand, SearchEvent};

use crate::config::{EngineConfig, EngineError};
use crate::machine::{EngineIdentity, EngineRequestChannel};
use crate::vitals::WatchedProcess;
use channels::EngineSockets;
use heart::HeartbeatResponder;
use join::JoinedEngine;
use phalanx_protocol::id::{EngineId, EngineUuid, SessionId};
use phalanx_transport::connection::Tunnel;
use phalanx_transport::socket::{Event, Frames};
use phalanx_transport::{
    Endpoint, EngineConnectionFile, Receiver, Sender, Session, Socket, SocketKind, SocketOptions,
};
use std::time::Duration;

/// All connections of an engine that has joined.
pub(crate) struct EngineLink {
    pub identity: EngineIdentity,
    pub session: Session,
    pub hb_period: Duration,
    pub iopub: (Sender, Receiver),
    pub registration: (Sender, Receiver),
    channels: EngineSockets,
    heart: HeartbeatResponder,
    /// The connection file, with the local ends of the tunnel if there is one.
    file: EngineConnectionFile,
    /// The SSH tunnel of all connections, if there is one.
    tunnel: Option<Tunnel>,
}

/// An event of a link.
pub(crate) enum LinkEvent {
    Request(EngineRequestChannel, Frames),
    /// The controller has subscribed to the engine's publications.
    Subscribed,
    /// A connection is closed.
    Lost,
    /// An event that needs no action.
    Nothing,
}

impl EngineLink {
    /// Joins the controller of the configuration, requesting `id` if given. Each wait has the time
    /// limit `limit`.
    pub async fn join(
        config: &EngineConfig,
        uuid: &EngineUuid,
        id: Option<EngineId>,
        limit: Duration,
        watched: WatchedProcess,
    ) -> Result<Self, EngineError> {
        // A restarted controller may have written another file.
        let (file, tunnel) = config.current_connection().tunnelled().await?;
        let session = SessionId::new(uuid.as_str());
        let session = Session::with_id(session, "engine", file.signing_key()?);
        let heart = HeartbeatResponder::start(&file, &session, limit, watched).await?;
        let joined = join::join(&file, uuid, id, &session, limit).await?;
        let JoinedEngine {
            identity,
            hb_period,
            registration,
        } = joined;
        let channels = EngineSockets::connect(&file, &identity, limit).await?;
        let iopub = file.endpoint(file.iopub)?;
        let options = SocketOptions::default().connect_limit(limit);
        let iopub = Socket::connect(SocketKind::Pub, &iopub, options).await?;
        Ok(Self {
            identity,
            session,
            hb_period,
            iopub: iopub.split(),
            registration,
            channels,
            heart,
            file,
            tunnel,
        })
    }

    /// Waits for the next event. Cancel safe.
    pub async fn next(&mut self) -> LinkEvent {
        tokio::select! {
            Some(request) = self.channels.requests.recv() => match request {
                Some((channel, frames)) => LinkEvent::Request(channel, frames),
                None => LinkEvent::Lost,
            },
            event = self.iopub.1.recv() => match event {
                Some(Event::Subscribed(_)) => LinkEvent::Subscribed,
                None | Some(Event::Disconnected(_)) => LinkEvent::Lost,
                Some(_) => LinkEvent::Nothing,
            },
            event = self.registration.1.recv() => match event {
                None | Some(Event::Disconnected(_)) => LinkEvent::Lost,
                Some(_) => LinkEvent::Nothing,
            },
        }
    }

    /// Returns the connection file with the local ends of the tunnel; `None` without a tunnel.
    pub fn tunnelled_file(&self) -> Option<EngineConnectionFile> {
        self.tunnel.as_ref().map(|_| self.file.clone())
    }

    /// Returns true if a heartbeat arrived since the last call.
    pub fn has_beaten(&mut self) -> bool {
        self.heart.has_beaten()
    }

    /// Returns the sender of a channel.
    pub fn sender(&self, channel: EngineRequestChannel) -> Option<&Sender> {
        self.channels.senders.get(&channel)
    }

    /// Returns the senders of all channels.
    pub fn senders(&self) -> impl Iterator<Item = &Sender> {
        self.channels.senders.values()
    }
}

/// Connects a DEALER socket to the controller under the engine's identity.
async fn dealer(
    endpoint: &Endpoint,
    uuid: &str,
    limit: Duration,
) -> Result<Socket, phalanx_transport::ConnectError> {
    let options = SocketOptions::default().identity(uuid);
    Socket::connect(SocketKind::Dealer, endpoint, options.connect_limit(limit)).await
}
