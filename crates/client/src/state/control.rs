//! Requests on engines' control channel.

use super::message::{OutgoingContent, OutgoingMessage};
use super::{State, StateCommand, Ticket, counter};
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId};
use phalanx_protocol::parallel::EngineRequest;
use std::collections::BTreeMap;

impl State {
    /// Aborts tasks; each engine that may have one is asked.
    pub(super) fn abort(
        &mut self,
        tasks: Vec<(Option<EngineUuid>, MsgId)>,
        ticket: Ticket,
        commands: &mut Vec<StateCommand>,
    ) {
        let mut by_engine: BTreeMap<EngineUuid, Vec<MsgId>> = BTreeMap::new();
        for (uuid, msg_id) in tasks {
            // The scheduler's choice is not known yet, so all engines are notified.
            let uuids = match uuid {
                Some(uuid) => vec![uuid],
                None => self.engines.joined().into_iter().map(|e| e.uuid).collect(),
            };
            for uuid in uuids {
                by_engine.entry(uuid).or_default().push(msg_id.clone());
            }
        }
        if by_engine.is_empty() {
            commands.push(StateCommand::EnginesReplied(ticket));
        }
        for (uuid, ids) in by_engine {
            self.ask(uuid, EngineRequest::Abort(ids), ticket, commands);
        }
    }

    /// Sends a request to those of these engines that are registered.
    pub(super) fn control(
        &mut self,
        engines: &[EngineId],
        request: &EngineRequest,
        ticket: Ticket,
        commands: &mut Vec<StateCommand>,
    ) {
        let there: Vec<_> = engines
            .iter()
            .filter_map(|&id| self.engines.get(id))
            .collect();
        if there.is_empty() {
            commands.push(StateCommand::EnginesReplied(ticket));
        }
        for engine in there {
            self.ask(engine.uuid, request.clone(), ticket, commands);
        }
    }

    fn ask(
        &mut self,
        engine: EngineUuid,
        request: EngineRequest,
        ticket: Ticket,
        commands: &mut Vec<StateCommand>,
    ) {
        let msg_id = counter(&self.session, &mut self.sent)();
        self.pending_control
            .insert(msg_id.clone(), (engine.clone(), ticket));
        commands.push(StateCommand::Send(OutgoingMessage {
            engine: Some(engine),
            msg_id,
            body: OutgoingContent::Control(request),
        }));
    }

    /// Handles that an engine has replied, or will not.
    pub(super) fn control_replied(&mut self, msg_id: &MsgId, commands: &mut Vec<StateCommand>) {
        if let Some((_, ticket)) = self.pending_control.remove(msg_id)
            && !self
                .pending_control
                .values()
                .any(|(_, other)| *other == ticket)
        {
            commands.push(StateCommand::EnginesReplied(ticket));
        }
    }
}
