//! Failover: a snapshot takes over from a process that a cell has crashed.

use super::RuntimeEvent;
use super::actor::Actor;
use super::notice;
use super::wire::Wire;
use crate::{IDLE, RUN_WORD};
use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::{
    NoSnapshot, RuntimeReply, RuntimeRequest, SnapshotRequest, SupervisorReply, SupervisorRequest,
};
use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The time for a snapshot to arrive that was being taken when its process exited.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(5);

/// The time for the processes started by the cell to exit.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// The time for a snapshot to resume; its memory may have been swapped out.
const WAKE_LIMIT: Duration = Duration::from_secs(5);

/// A waiting snapshot.
pub(super) struct StandbySnapshot {
    wire: Wire,
    pid: u32,
    number: u32,
    after: Option<RunId>,
    children: Vec<u32>,
    threads: Vec<String>,
}

impl StandbySnapshot {
    /// Waits for a snapshot's first message; `None` if its process exited before.
    pub(super) async fn arrived(mut wire: Wire) -> Option<Self> {
        match wire.next().await {
            Ok(RuntimeReply::Asleep {
                pid,
                number,
                after,
                children,
                threads,
            }) => Some(Self {
                wire,
                pid,
                number,
                after,
                children,
                threads,
            }),
            _ => None,
        }
    }
}

/// The current snapshot of the running process.
#[derive(Default)]
pub(super) struct ActiveSnapshot {
    standby: Option<StandbySnapshot>,
    /// The number of the newest snapshot that has arrived.
    newest: u32,
    /// The run after which no snapshot could be taken, and the reason.
    missing: Option<(Option<RunId>, NoSnapshot)>,
    /// The last run whose effects must be kept.
    last_run: Option<RunId>,
}

impl ActiveSnapshot {
    /// Replaces the previous snapshot, unless that is newer.
    pub(super) fn arrived(&mut self, standby: StandbySnapshot) {
        if standby.number > self.newest {
            self.newest = standby.number;
            self.missing = None;
            self.standby = Some(standby);
        }
    }

    pub(super) fn missing(&mut self, after: Option<RunId>, why: NoSnapshot) {
        self.standby = None;
        self.missing = Some((after, why));
    }

    /// Records that a run has ended and its effects must be kept.
    pub(super) fn record_run(&mut self, run: RunId) {
        self.last_run = Some(run);
    }

    /// Returns true if a snapshot has the state before the running cell.
    pub(super) fn is_ready(&self) -> bool {
        self.standby
            .as_ref()
            .is_some_and(|standby| standby.after == self.last_run)
    }

    /// Returns true while it is not known whether there is a snapshot.
    fn is_undecided(&self) -> bool {
        let known = self.missing.as_ref().map(|(after, _)| *after);
        !self.is_ready() && known != Some(self.last_run)
    }
}

impl Actor {
    /// Makes a snapshot take over from a process that has exited with `status`; returns false if
    /// there is none.
    pub(super) async fn fail_over(&mut self, status: &str) -> bool {
        let deadline = Instant::now() + ARRIVAL_LIMIT;
        while self.snapshot.is_undecided() {
            let arriving = self.next_arrival();
            if !matches!(
                tokio::time::timeout_at(deadline.into(), arriving).await,
                Ok(true)
            ) {
                break;
            }
        }
        if !self.snapshot.is_ready() {
            return false;
        }
        let Some(standby) = self.snapshot.standby.take() else {
            return false;
        };
        let threads = standby.threads.clone();
        if let Err(error) = self.wake(standby).await {
            tracing::error!(%error, "a snapshot does not take over");
            return false;
        }
        tracing::info!(status, "a snapshot took over");
        if !threads.is_empty() {
            let text = notice::without_threads(&threads);
            self.capture.notice(text);
        }
        let lost = self.take_unstarted_calls();
        self.capture.abandon(status);
        self.collect();
        let recalled = lost.into_iter().map(|run| RuntimeEvent::Recalled { run });
        self.backlog.extend(recalled);
        true
    }

    /// Waits for an event about a snapshot; returns false if none can follow.
    async fn next_arrival(&mut self) -> bool {
        tokio::select! {
            accepted = self.process.snapshots.accept() => match accepted {
                Ok((stream, _)) => self.await_standby(stream),
                Err(_) => return false,
            },
            Some(Ok(standby)) = self.arriving.join_next() => {
                if let Some(standby) = standby {
                    self.snapshot.arrived(standby);
                }
            }
            reply = self.process.control.next(), if self.control_open => match reply {
                Ok(reply) => self.reply(reply),
                Err(_) => self.control_open = false,
            },
        }
        true
    }

    async fn wake(&mut self, mut standby: StandbySnapshot) -> io::Result<()> {
        let snapshot = standby.pid;
        let spared = std::mem::take(&mut standby.children);
        self.request_supervisor(&SupervisorRequest::Settle { snapshot, spared })
            .await;
        let settled = async {
            loop {
                if let SupervisorReply::Settled = self.process.supervisor.next().await? {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        timeout(SETTLE_LIMIT, settled).await??;
        // No process of the cell is left that could write more.
        self.read_pipes();
        self.attribute_pending();
        self.process.page.words()[RUN_WORD].store(IDLE, Ordering::SeqCst);
        standby.wire.send(&SnapshotRequest::Wake).await?;
        let woken = timeout(WAKE_LIMIT, standby.wire.next()).await??;
        let RuntimeReply::Ready { pid } = woken else {
            return Err(io::Error::other("it sent an unexpected reply"));
        };
        self.process.control = standby.wire;
        self.control_open = true;
        self.process.pid = pid;
        self.pid.store(pid, Ordering::SeqCst);
        // The snapshot may be older than some of the libraries.
        for library in self.loaded.clone() {
            let request = RuntimeRequest::Load { library };
            self.process.control.send(&request).await?;
        }
        Ok(())
    }

    /// Notifies the user, once, that a cell runs without a snapshot.
    pub(super) fn unprotected(&mut self, why: &NoSnapshot) {
        if self.is_notified || self.capture.running().is_none() {
            return;
        }
        if let Some(text) = notice::unprotected(why) {
            self.is_notified = true;
            self.capture.notice(text);
        }
    }

    pub(super) async fn request_supervisor(&mut self, request: &SupervisorRequest) {
        if let Err(error) = self.process.supervisor.send(request).await {
            // Its exit is handled as an event.
            tracing::warn!(%error, "the runtime's supervisor takes no more requests");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    fn standby(number: u32, after: RunId) -> StandbySnapshot {
        let (stream, _) = UnixStream::pair().unwrap();
        StandbySnapshot {
            wire: Wire::new(stream),
            pid: number,
            number,
            after: Some(after),
            children: Vec::new(),
            threads: Vec::new(),
        }
    }

    #[tokio::test]
    async fn the_newest_snapshot_counts_in_whatever_order_they_are_heard_of() {
        let (first, second) = (RunId(1), RunId(2));
        let mut snapshot = ActiveSnapshot::default();
        snapshot.record_run(second);
        snapshot.arrived(standby(8, second));
        assert!(snapshot.is_ready());
        snapshot.arrived(standby(7, first));
        assert!(snapshot.is_ready(), "the older one is gone");
        snapshot.arrived(standby(9, first));
        assert!(!snapshot.is_ready());
    }
}
