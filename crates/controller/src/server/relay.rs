//! The relay of direct requests and broadcasts, and of their replies.

use super::incoming::ServerSocket;
use super::replies::HeaderFields;
use super::state::{ServerCommand, ServerState};
use super::vitals::RequestOutcome;
use super::{engine_uuid, peer_name};
use crate::broadcast;
use crate::direct::{PendingRequest, RequestRoute};
use crate::error::ReplyFailure;
use crate::records::Queue;
use bytes::Bytes;
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::AbortRequest;
use phalanx_transport::warn_rarely;
use phalanx_transport::{Envelope, Frames, RawMessage, WireError};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

impl RequestRoute {
    /// The socket for clients.
    fn clients(self) -> ServerSocket {
        match self {
            Self::Mux => ServerSocket::MuxClient,
            Self::Control => ServerSocket::ControlClient,
            Self::Broadcast => ServerSocket::BroadcastClient,
        }
    }

    /// The socket for engines.
    pub(super) fn engines(self) -> ServerSocket {
        match self {
            Self::Mux => ServerSocket::MuxEngine,
            Self::Control => ServerSocket::ControlEngine,
            Self::Broadcast => ServerSocket::BroadcastEngine,
        }
    }
}

/// Returns true for requests of our clients. Other clients disconnect and fetch their results
/// later.
fn is_ours(metadata: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Metadata {
        phalanx: Option<IgnoredAny>,
    }
    let metadata = serde_json::from_slice(metadata);
    metadata.is_ok_and(|metadata: Metadata| metadata.phalanx.is_some())
}

impl ServerState {
    /// Admits messages with a valid signature that are not replays; others are dropped, with the
    /// sender logged.
    pub(super) fn admit(&mut self, port: ServerSocket, frames: Frames) -> Option<RawMessage> {
        let peer = peer_name(frames.first());
        let replays = self.replays.entry(port).or_default();
        RawMessage::verify(frames, self.session.key())
            .and_then(|message| replays.admit(&message).map(|()| message))
            .map_err(|error| warn_rarely!(?port, %peer, %error, "a message is dropped"))
            .ok()
    }

    /// Relays a request from a client to its engine.
    pub(super) fn request(&mut self, port: ServerSocket, frames: Frames) {
        let Some(mut message) = self.admit(port, frames) else {
            return;
        };
        if message.identities.len() < 2 {
            let peer = peer_name(message.identities.first());
            return warn_rarely!(?port, %peer, "a request that names no engine");
        }
        message.identities.swap(0, 1);
        let route = match port {
            ServerSocket::ControlClient => RequestRoute::Control,
            _ => RequestRoute::Mux,
        };
        if route == RequestRoute::Control {
            self.intercept(&message);
        }
        if let Err(error) = self.send_to_engine(route, message) {
            warn_rarely!(?port, %error, "a request is dropped");
        }
    }

    /// Handles an abort for tasks that are waiting here, which no engine has received.
    fn intercept(&mut self, message: &RawMessage) {
        let abort =
            HeaderFields::of(&message.header).is_ok_and(|head| head.msg_type == "abort_request");
        if abort && let Ok(request) = serde_json::from_slice::<AbortRequest>(&message.content) {
            let commands = self.scheduler.abort(&request.msg_ids);
            self.perform(commands);
        }
    }

    /// Sends a request with identities `[engine, client, …]`, or replies if that is not possible.
    fn send_to_engine(
        &mut self,
        route: RequestRoute,
        message: RawMessage,
    ) -> Result<(), WireError> {
        let head = HeaderFields::of(&message.header)?;
        let (id, msg_type) = (head.id(), head.msg_type.into_owned());
        let Some(engine) = message
            .identities
            .first()
            .and_then(|name| engine_uuid(name))
        else {
            return Ok(());
        };
        let client = message.identities.get(1).cloned().unwrap_or_default();
        let header = message.header.clone();
        let registered = self.hub.id_of(&engine);
        if route == RequestRoute::Mux {
            let to = Some(engine.clone());
            let request = self.copied(&message);
            self.submitted(id.clone(), request, to, Queue::Mux);
        }
        let expects_reply = msg_type.ends_with("_request");
        if expects_reply {
            let pending = PendingRequest {
                route,
                client,
                header,
                msg_type,
                detached: !is_ours(&message.metadata),
            };
            self.direct.sent(engine.clone(), id.clone(), pending);
        }
        if registered.is_none() {
            self.undelivered(&engine, &id);
            return Ok(());
        }
        let frames = message.into_frames();
        self.out.push(match expects_reply {
            true => ServerCommand::Request {
                route,
                engine,
                id,
                frames,
            },
            false => ServerCommand::Post(route.engines(), frames),
        });
        Ok(())
    }

    /// Replies to a request that could not be delivered: the engine does not exist, or does not
    /// read.
    pub(super) fn undelivered(&mut self, engine: &EngineUuid, id: &MsgId) {
        let failure = match self.hub.id_of(engine) {
            Some(number) => ReplyFailure::NotRead(number),
            None => ReplyFailure::NoEngine(engine.clone()),
        };
        if let Some(pending) = self.direct.take(engine, id) {
            self.reply_on_behalf(engine, id, &pending, &failure.content());
        }
    }

    /// Replies to a request of an engine that has exited.
    pub(super) fn reply_for_dead(
        &mut self,
        number: EngineId,
        engine: &EngineUuid,
        id: &MsgId,
        pending: &PendingRequest,
    ) {
        let content = if pending.msg_type == "shutdown_request" {
            // The engine was requested to shut down.
            json!({"status": "ok", "restart": false})
        } else {
            let died = ReplyFailure::EngineDied {
                engine: number,
                task: id.clone(),
            };
            died.content()
        };
        self.reply_on_behalf(engine, id, pending, &content);
    }

    /// Replies to a request in place of its engine.
    fn reply_on_behalf(
        &mut self,
        engine: &EngineUuid,
        id: &MsgId,
        pending: &PendingRequest,
        content: &Value,
    ) {
        let name = Bytes::copy_from_slice(engine.as_str().as_bytes());
        let mut identities = vec![pending.client.clone()];
        if pending.route != RequestRoute::Broadcast {
            identities.push(name);
        }
        let reply = self.build_reply(
            identities,
            &pending.header,
            &pending.msg_type,
            Some(engine),
            content,
        );
        match pending.route {
            RequestRoute::Mux => {
                self.count(engine, RequestOutcome::Failed);
                let reply = self.copied(&reply);
                self.replied(id.clone(), Some(engine), reply);
            }
            RequestRoute::Control => {}
            RequestRoute::Broadcast => {
                if let Some(one) = self.coalesce(engine, id, &reply) {
                    if let Some(one) = one {
                        self.post(ServerSocket::BroadcastClient, one);
                    }
                    return;
                }
            }
        }
        self.post(pending.route.clients(), reply.into_frames());
    }

    /// Relays a reply from an engine to its client.
    pub(super) fn reply(&mut self, port: ServerSocket, frames: Frames) {
        let Some(mut message) = self.admit(port, frames) else {
            return;
        };
        let Some(engine) = sending_engine(&message) else {
            return;
        };
        if message.identities.len() < 2 {
            return warn_rarely!(?port, %engine, "a reply that names no client");
        }
        if let Ok(parent) = HeaderFields::of(&message.parent_header) {
            let id = parent.id();
            if self.direct.take(&engine, &id).is_none() {
                // A reply was sent on the engine's behalf when it counted as left, or it replies
                // twice.
                return tracing::debug!(%engine, task = %id, "a late reply");
            }
            if port == ServerSocket::MuxEngine {
                let outcome = self.record_outcome(&engine, &message);
                self.count(&engine, outcome);
                let reply = self.copied(&message);
                self.replied(id, Some(&engine), reply);
            }
        }
        message.identities.swap(0, 1);
        let route = match port {
            ServerSocket::ControlEngine => RequestRoute::Control,
            _ => RequestRoute::Mux,
        };
        self.post(route.clients(), message.into_frames());
    }

    /// Sends a broadcast to every engine named in its metadata.
    pub(super) fn broadcast_request(&mut self, frames: Frames) {
        let request = self
            .admit(ServerSocket::BroadcastClient, frames)
            .map(Envelope::parse);
        let request = match request {
            Some(Ok(request)) => request,
            Some(Err(error)) => return warn_rarely!(%error, "a broadcast is dropped"),
            None => return,
        };
        let original = request.msg_id();
        let targets = broadcast::targets(&request.metadata);
        let client = request.identities.first().cloned().unwrap_or_default();
        if broadcast::is_coalescing(&request.metadata) && !targets.is_empty() {
            self.broadcast.collect(original.clone(), targets.clone());
        }
        for target in targets {
            let mut copy = request.clone();
            copy.header.msg_id = broadcast::engine_msg_id(&original, &target.0)
                .as_str()
                .to_owned();
            copy.identities = vec![
                Bytes::copy_from_slice(target.0.as_str().as_bytes()),
                client.clone(),
            ];
            let metadata = broadcast::copy_metadata(&original, target);
            broadcast::replace(&mut copy.metadata, &metadata);
            let sent = copy
                .seal(self.session.key())
                .and_then(RawMessage::split)
                .and_then(|message| self.send_to_engine(RequestRoute::Broadcast, message));
            if let Err(error) = sent {
                warn_rarely!(%error, "a broadcast is dropped");
            }
        }
    }

    pub(super) fn broadcast_reply(&mut self, frames: Frames) {
        let Some(mut message) = self.admit(ServerSocket::BroadcastEngine, frames) else {
            return;
        };
        let Some(engine) = sending_engine(&message) else {
            return;
        };
        let Ok(id) = HeaderFields::of(&message.parent_header).map(|parent| parent.id()) else {
            return warn_rarely!(%engine, "a reply to an unknown request");
        };
        if self.direct.take(&engine, &id).is_none() {
            return tracing::debug!(%engine, task = %id, "a late reply");
        }
        let outcome = self.record_outcome(&engine, &message);
        self.count(&engine, outcome);
        message.identities.remove(0);
        match self.coalesce(&engine, &id, &message) {
            Some(Some(one)) => {
                self.post(ServerSocket::BroadcastClient, one);
            }
            Some(None) => {}
            None => {
                self.post(ServerSocket::BroadcastClient, message.into_frames());
            }
        }
    }

    /// Collects the reply to a coalescing broadcast and returns the combined one after the last;
    /// `None` if the reply is relayed by itself.
    fn coalesce(
        &mut self,
        engine: &EngineUuid,
        id: &MsgId,
        reply: &RawMessage,
    ) -> Option<Option<Frames>> {
        let suffix = format!("_{engine}");
        let original = MsgId::new(id.as_str().strip_suffix(&suffix)?);
        if !self.broadcast.collects(&original) {
            return None;
        }
        let mut reply = Envelope::parse(reply.clone()).ok()?;
        let buffers = std::mem::take(&mut reply.buffers);
        let one = self
            .broadcast
            .replied(&original, engine.clone(), &reply.content, buffers);
        let Some(one) = one else { return Some(None) };
        if let Some(error) = one.error {
            reply.content = error;
        }
        reply.buffers = one.buffers;
        broadcast::replace(&mut reply.metadata, &one.metadata);
        Some(reply.seal(self.session.key()).ok())
    }
}

/// Returns the engine that sent a message, by the identity of its socket.
fn sending_engine(message: &RawMessage) -> Option<EngineUuid> {
    message
        .identities
        .first()
        .and_then(|name| engine_uuid(name))
}
