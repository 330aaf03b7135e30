//! Clients that connect and disconnect.

use super::peer_name;
use super::state::ServerState;
use bytes::Bytes;

/// The maximum number of clients without tasks whose absence is recorded: those may have direct
/// requests, but anybody can connect and disconnect.
pub(super) const MAX_ABSENT: usize = 1024;

impl ServerState {
    /// Records that a client has connected or reconnected.
    pub(super) fn client_connected(&mut self, client: &[u8]) {
        if !self.absent.is_empty() {
            self.absent.remove(client);
        }
    }

    /// Records that a client has lost its connection; it may reconnect.
    pub(super) fn client_disconnected(&mut self, client: &[u8]) {
        if self.absent.len() >= MAX_ABSENT && !self.scheduler.has_tasks_of(client) {
            return;
        }
        let now = self.clock.time(self.now);
        self.absent.insert(Bytes::copy_from_slice(client), now);
    }

    /// Aborts the tasks that have not started of clients that have not reconnected in time.
    pub(super) fn drop_tasks_of_absent_clients(&mut self) {
        let now = self.clock.time(self.now);
        let limit = self.client_timeout;
        let gone = self
            .absent
            .extract_if(|_, since| now.saturating_duration_since(*since) >= limit);
        let mut gone: Vec<_> = gone.map(|(client, _)| client).collect();
        gone.sort();
        for client in gone {
            let commands = self.scheduler.client_left(&client);
            let waiting = self.direct.client_left(&client);
            let direct: usize = waiting.iter().map(|(_, ids)| ids.len()).sum();
            if !commands.is_empty() || direct > 0 {
                let (client, tasks) = (peer_name(Some(&client)), commands.len());
                tracing::info!(%client, tasks, direct, "a client has left, and its tasks that have not started are aborted");
            }
            self.perform(commands);
            for (engine, msg_ids) in waiting {
                self.recall(&engine, msg_ids);
            }
        }
    }
}
