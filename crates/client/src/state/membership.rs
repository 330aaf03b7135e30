//! Engines that register, join and leave.

use super::engines::HandshakeAction;
use super::message::{OutgoingContent, OutgoingMessage};
use super::{EventTime, State, StateCommand, counter};
use crate::engine::ClientEvent;
use phalanx_protocol::id::{EngineId, EngineUuid};

impl State {
    /// Handles that an engine has registered.
    pub(super) fn registered(
        &mut self,
        id: EngineId,
        uuid: EngineUuid,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        if let Some(before) = self.engines.get(id)
            && before.uuid != uuid
        {
            self.left(id, &before.uuid, now, commands);
        }
        let mut next = counter(&self.session, &mut self.sent);
        let greeting = self.engines.registered(id, uuid, now.instant, &mut next);
        drop(next);
        self.greet(greeting, commands);
    }

    /// Handles that an engine has left.
    pub(super) fn left(
        &mut self,
        id: EngineId,
        uuid: &EngineUuid,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let Some(engine) = self.engines.left(id, uuid) else {
            return;
        };
        self.artifacts.left(uuid);
        self.arguments.left(uuid);
        self.tasks.engine_left(uuid, now);
        let pending: Vec<_> = self
            .pending_control
            .iter()
            .filter(|(_, (asked, _))| asked == uuid)
            .map(|(msg_id, _)| msg_id.clone())
            .collect();
        for msg_id in pending {
            self.control_replied(&msg_id, commands);
        }
        commands.push(StateCommand::Notify(ClientEvent::EngineLeft(engine.id)));
        // What the engine was carrying for its machine may not have arrived.
        let mut lost = false;
        for msg_id in self.tasks.sent_to(uuid) {
            lost |= self.artifacts.lost(&msg_id);
        }
        if lost {
            self.release(now, commands);
        }
    }

    /// Performs the next step of a handshake.
    pub(super) fn greet(
        &mut self,
        greeting: Option<HandshakeAction>,
        commands: &mut Vec<StateCommand>,
    ) {
        match greeting {
            None => {}
            Some(HandshakeAction::Ask(engine, msg_id)) => {
                commands.push(StateCommand::Send(OutgoingMessage {
                    engine: Some(engine),
                    msg_id,
                    body: OutgoingContent::KernelInfo,
                }))
            }
            Some(HandshakeAction::Joined(engine)) => {
                if let Some(handshake) = engine.handshake() {
                    self.artifacts.joined(&engine.uuid, handshake);
                }
                commands.push(StateCommand::Notify(ClientEvent::EngineJoined(engine)));
            }
        }
    }
}
