//! Lost and restored connections, and the tasks whose messages may be lost with them.

use super::engines::EngineTable;
use super::message::Recovered;
use super::{EventTime, RECOVERY_INTERVAL, State, StateCommand};
use crate::engine::ClientEvent;
use crate::error::TaskError;

impl State {
    /// Handles that the connection is given up: every task ends.
    pub(super) fn disconnected(
        &mut self,
        reason: String,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        self.ended = true;
        self.tasks.disconnected(&reason, now, commands);
        for (_, (_, ticket)) in std::mem::take(&mut self.asked) {
            commands.push(StateCommand::Answered(ticket));
        }
        self.engines = EngineTable::default();
        commands.push(StateCommand::Notify(ClientEvent::Disconnected { reason }));
    }

    /// Marks all sent tasks as doubtful: their replies may be lost.
    pub(super) fn doubt(&mut self, commands: &mut Vec<StateCommand>) {
        self.tasks.doubt();
        self.recover(commands);
    }

    /// Queries the controller about doubtful tasks.
    pub(super) fn recover(&mut self, commands: &mut Vec<StateCommand>) {
        let doubtful = self.tasks.doubtful();
        if !doubtful.is_empty() {
            commands.push(StateCommand::Recover(doubtful));
        }
    }

    /// Handles the controller's report on doubtful tasks.
    pub(super) fn recovered(
        &mut self,
        recovered: Recovered,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        for reply in recovered.ended {
            self.replied(reply, now, commands);
        }
        // Messages sent while the connection was being restored may have arrived after the query.
        for msg_id in self.tasks.still_unknown(recovered.unknown) {
            let lost = TaskError::LostWithConnection;
            self.tasks.fail(&msg_id, lost, now, commands);
        }
        if !self.tasks.doubtful().is_empty() {
            self.recovery = Some(now.instant + RECOVERY_INTERVAL);
        }
    }
}
