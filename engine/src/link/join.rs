//! Registration with a controller, and the check that one is reachable.

use super::dealer;
use crate::config::EngineError;
use crate::machine::EngineIdentity;
use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::parallel::{
    ConnectionReply, ConnectionRequest, Content, RegistrationReply, RegistrationRequest,
};
use phalanx_transport::warn_rarely;
use phalanx_transport::{
    EngineConnectionFile, Envelope, Receiver, Sender, Session, Socket, SocketKind, SocketOptions,
};
use std::time::Duration;

/// Time limit for the controller's reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// An engine that has registered, and its connection to the hub.
pub(super) struct JoinedEngine {
    pub identity: EngineIdentity,
    pub hb_period: Duration,
    pub registration: (Sender, Receiver),
}

/// Registers an engine.
pub(super) async fn join(
    file: &EngineConnectionFile,
    uuid: &EngineUuid,
    id: Option<EngineId>,
    session: &Session,
    limit: Duration,
) -> Result<JoinedEngine, EngineError> {
    let endpoint = file.endpoint(file.registration)?;
    let mut socket = dealer(&endpoint, uuid.as_str(), limit).await?.split();
    let endpoint = endpoint.to_string();
    let request = RegistrationRequest {
        uuid: uuid.clone(),
        id,
        phalanx_batches: true,
    };
    let reply = ask(&mut socket, &request, session);
    match reply.await.map_err(|reason| EngineError::Send {
        endpoint: endpoint.clone(),
        reason,
    })? {
        Some(RegistrationReply::Ok { id, hb_period, .. }) => Ok(JoinedEngine {
            identity: EngineIdentity {
                id,
                uuid: uuid.clone(),
            },
            hb_period: Duration::from_millis(hb_period),
            registration: socket,
        }),
        Some(RegistrationReply::Error(error)) => Err(EngineError::Refused {
            endpoint,
            reason: error.evalue,
        }),
        None => Err(EngineError::NoReply(endpoint)),
    }
}

/// Returns true if a controller replies. The request is anonymous and does not affect the
/// controller.
pub(crate) async fn is_there(file: &EngineConnectionFile, session: &Session) -> bool {
    let Ok(endpoint) = file.endpoint(file.registration) else {
        return false;
    };
    let socket = Socket::connect(SocketKind::Dealer, &endpoint, SocketOptions::default()).await;
    let Ok(mut socket) = socket.map(Socket::split) else {
        return false;
    };
    let reply = ask::<_, ConnectionReply>(&mut socket, &ConnectionRequest {}, session);
    matches!(reply.await, Ok(Some(_)))
}

/// Sends a request and waits for the reply; `None` if the time limit is exceeded.
async fn ask<Q: Content, A: Content>(
    (sender, receiver): &mut (Sender, Receiver),
    request: &Q,
    session: &Session,
) -> Result<Option<A>, String> {
    let frames = session.message(request, None).seal(session.key());
    let frames = frames.map_err(|error| error.to_string())?;
    sender
        .send(frames)
        .await
        .map_err(|error| error.to_string())?;
    let reply = tokio::time::timeout(REPLY_TIMEOUT, reply(receiver, session));
    Ok(reply.await.ok().flatten())
}

async fn reply<A: Content>(receiver: &mut Receiver, session: &Session) -> Option<A> {
    loop {
        let frames = receiver.recv_message().await?;
        match Envelope::open(frames, session.key()).and_then(|envelope| envelope.content_of::<A>())
        {
            Ok(Some(reply)) => return Some(reply),
            Ok(None) => {}
            Err(error) => warn_rarely!(%error, "a message from the controller is dropped"),
        }
    }
}
