//! Registering with a controller.

use super::dealer;
use crate::config::{EngineConfig, EngineError};
use crate::machine::Identity;
use phalanx_protocol::id::{EngineId, EngineUuid};
use phalanx_protocol::parallel::{RegistrationReply, RegistrationRequest};
use phalanx_transport::{Envelope, Frames, Receiver, Sender, Session, WireError};
use std::time::Duration;

/// How long the controller may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An engine the controller has given an id.
pub(crate) struct Joined {
    pub identity: Identity,
    pub hb_period: Duration,
    pub registration: (Sender, Receiver),
}

/// Registers.
pub(crate) async fn join(
    config: &EngineConfig,
    uuid: &EngineUuid,
    session: &Session,
) -> Result<Joined, EngineError> {
    let endpoint = config.connection.endpoint(config.connection.registration)?;
    let mut socket = dealer(&endpoint, uuid.as_str()).await?.split();
    let endpoint = endpoint.to_string();
    let sent = match registration(uuid, config.id, session) {
        Ok(frames) => (socket.0.send(frames).await).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    sent.map_err(|reason| EngineError::Send {
        endpoint: endpoint.clone(),
        reason,
    })?;
    let answer = answer(&mut socket.1, session);
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Some(RegistrationReply::Ok { id, hb_period, .. })) => Ok(Joined {
            identity: Identity {
                id,
                uuid: uuid.clone(),
            },
            hb_period: Duration::from_millis(hb_period),
            registration: socket,
        }),
        Ok(Some(RegistrationReply::Error(error))) => Err(EngineError::Refused {
            endpoint,
            reason: error.evalue,
        }),
        Ok(None) | Err(_) => Err(EngineError::NoAnswer(endpoint)),
    }
}

/// The request by which an engine registers.
pub(crate) fn registration(
    uuid: &EngineUuid,
    id: Option<EngineId>,
    session: &Session,
) -> Result<Frames, WireError> {
    let request = RegistrationRequest {
        uuid: uuid.clone(),
        id,
        phalanx_batches: true,
    };
    session.message(&request, None).seal(session.key())
}

async fn answer(receiver: &mut Receiver, session: &Session) -> Option<RegistrationReply> {
    loop {
        let frames = receiver.recv_message().await?;
        match Envelope::open(frames, session.key())
            .and_then(|envelope| envelope.content_of::<RegistrationReply>())
        {
            Ok(Some(reply)) => return Some(reply),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a message from the controller is dropped"),
        }
    }
}
