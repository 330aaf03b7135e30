//! Lost and restored connections, and the tasks whose messages may be lost with them.

use super::engines::EngineTable;
use super::message::Recovered;
use super::{EventTime, RECOVERY_INTERVAL, State, StateCommand, WatchedChannel};
use crate::engine::ClientEvent;
use crate::error::TaskError;

impl State {
    /// Handles that a channel has lost its connection. The one to the hub stands for all others.
    pub(super) fn channel_lost(
        &mut self,
        channel: WatchedChannel,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        self.lost.insert(channel);
        if channel != WatchedChannel::Query {
            return;
        }
        commands.push(StateCommand::StopSubscribing);
        if self.link.is_none() {
            self.link = Some(now.instant + self.unreachable);
            let lost = ClientEvent::ConnectionLost(self.unreachable);
            commands.push(StateCommand::Notify(lost));
        }
    }

    /// Handles that a channel is connected; the messages that were in transit when it was lost are
    /// lost, too.
    pub(super) fn channel_restored(
        &mut self,
        channel: WatchedChannel,
        commands: &mut Vec<StateCommand>,
    ) {
        if !self.lost.remove(&channel) {
            return;
        }
        match channel {
            // Subscribes first, so that no event after the hub's reply is missed.
            WatchedChannel::Query => commands.push(StateCommand::Subscribe),
            WatchedChannel::Mux | WatchedChannel::Task => self.doubt(commands),
        }
    }

    /// Handles that the connection is complete again. If the channel for queries is lost once more, another
    /// subscription follows.
    pub(super) fn subscribed(&mut self, commands: &mut Vec<StateCommand>) {
        if self.lost.contains(&WatchedChannel::Query) {
            return;
        }
        if self.link.take().is_some() {
            commands.push(StateCommand::Notify(ClientEvent::ConnectionBack));
            commands.push(StateCommand::QueryEngines);
            self.doubt(commands);
        }
    }

    /// Handles that the connection is given up: every task ends.
    pub(super) fn disconnected(
        &mut self,
        reason: String,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        self.ended = true;
        self.tasks.disconnected(&reason, now, commands);
        for (_, (_, ticket)) in std::mem::take(&mut self.pending_control) {
            commands.push(StateCommand::EnginesReplied(ticket));
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
