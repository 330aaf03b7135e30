//! The snapshot that would take over from the running process. Pure.

use phalanx_protocol::id::RunId;
use phalanx_protocol::runtime::NoSnapshot;

/// A waiting snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StandbySnapshot {
    /// Its process.
    pub pid: u32,
    /// The number of snapshots taken, including this one.
    pub number: u32,
    /// The last run whose effects it includes.
    pub after: Option<RunId>,
    /// The processes started by cells before it was taken.
    pub children: Vec<u32>,
    /// The threads that were waiting, which it does not have.
    pub threads: Vec<String>,
}

/// The current snapshot of the running process.
#[derive(Debug, Default)]
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
    /// Replaces the previous snapshot, unless that is newer; returns the one that is not needed.
    pub(super) fn arrived(&mut self, standby: StandbySnapshot) -> Option<StandbySnapshot> {
        if standby.number <= self.newest {
            return Some(standby);
        }
        self.newest = standby.number;
        self.missing = None;
        self.standby.replace(standby)
    }

    /// Records that no snapshot could be taken; returns the previous one, which is out of date.
    pub(super) fn missing(
        &mut self,
        after: Option<RunId>,
        why: NoSnapshot,
    ) -> Option<StandbySnapshot> {
        self.missing = Some((after, why));
        self.standby.take()
    }

    /// Records that a run has ended and its effects must be kept.
    pub(super) fn record_run(&mut self, run: RunId) {
        self.last_run = Some(run);
    }

    /// Returns true if a snapshot has the state before the running cell.
    pub(super) fn is_ready(&self) -> bool {
        let standby = self.standby.as_ref();
        standby.is_some_and(|standby| standby.after == self.last_run)
    }

    /// Takes the snapshot that has the state before the running cell.
    pub(super) fn take_ready(&mut self) -> Option<StandbySnapshot> {
        let is_ready = self.is_ready();
        self.standby.take_if(|_| is_ready)
    }

    /// Returns true while it is not known whether there is a snapshot.
    pub(super) fn is_undecided(&self) -> bool {
        let known = self.missing.as_ref().map(|(after, _)| *after);
        !self.is_ready() && known != Some(self.last_run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standby(number: u32, after: RunId) -> StandbySnapshot {
        StandbySnapshot {
            pid: number,
            number,
            after: Some(after),
            children: Vec::new(),
            threads: Vec::new(),
        }
    }

    #[test]
    fn the_newest_snapshot_is_kept_in_any_order_of_arrival() {
        let (first, second) = (RunId(1), RunId(2));
        let mut snapshot = ActiveSnapshot::default();
        snapshot.record_run(second);
        assert_eq!(snapshot.arrived(standby(8, second)), None);
        assert!(snapshot.is_ready());
        let late = standby(7, first);
        assert_eq!(snapshot.arrived(late.clone()), Some(late));
        assert!(snapshot.is_ready(), "the older one is gone");
        let replaced = snapshot.arrived(standby(9, first));
        assert_eq!(replaced, Some(standby(8, second)));
        assert!(!snapshot.is_ready());
    }
}
