//! The expected state of each engine: that after the cells under way, or else the last one it reported.
//! An engine in another state refuses the cell and reports its state.

use crate::parallel::compile::Compilation;
use phalanx_client::Engine;
use phalanx_protocol::apply::PushedName;
use phalanx_protocol::id::{DependenciesId, EngineUuid, StateId};
use phalanx_protocol::parallel::{Dependencies, Lineage};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The expected states of all engines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct States(Arc<SharedStates>);

#[derive(Debug, Default)]
struct SharedStates {
    /// Locked for a lookup.
    table: Mutex<Table>,
    /// Notified of every change to the cells under way.
    changes: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Table {
    engines: HashMap<EngineUuid, EngineState>,
    /// The number of submissions so far.
    submissions: u64,
    /// The number of cells sent so far.
    sent: u64,
    /// The dependencies whose description was sent to each engine.
    described: HashSet<(EngineUuid, DependenciesId)>,
    /// The pushed values reported by each engine.
    reports: HashMap<EngineUuid, NamespaceReport>,
}

/// A submission, in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubmissionOrder(u64);

/// The state of an engine, as far as it is known.
#[derive(Debug, Default)]
struct EngineState {
    /// The last state that it reported.
    reported: Option<StateId>,
    /// The number of the cell with whose reply it did.
    reported_with: u64,
    /// The cells under way, in the order of their submission.
    cells: Vec<PendingCell>,
}

/// A cell that was sent to an engine.
#[derive(Debug)]
struct PendingCell {
    submission: SubmissionOrder,
    /// The state to which it leads.
    next: StateId,
    /// The number under which it was last sent; an engine replies in this order.
    number: u64,
    /// True if the engine has refused it, and it was not sent again.
    refused: bool,
}

/// An engine's last report of its namespace.
#[derive(Debug)]
struct NamespaceReport {
    pushed: Vec<PushedName>,
    /// The names of those that became variables since the last report.
    bound: Vec<String>,
    /// True until the report is taken.
    is_new: bool,
}

impl States {
    /// Returns the expected state of an engine; before its first cell, the one in its handshake.
    pub fn of(&self, engine: &Engine) -> StateId {
        let table = self.table();
        let known = table.engines.get(&engine.uuid);
        let known = known.and_then(|known| known.expected().cloned());
        let initial = || engine.handshake().map(|handshake| handshake.state.clone());
        known.or_else(initial).unwrap_or_else(StateId::empty)
    }

    /// Returns the order of a new submission.
    pub(super) fn submission(&self) -> SubmissionOrder {
        let mut table = self.table();
        table.submissions += 1;
        SubmissionOrder(table.submissions)
    }

    /// Records the cell of a submission, which is sent, possibly again, and leads to state `next`.
    pub(super) fn sent(&self, engine: &EngineUuid, submission: SubmissionOrder, next: StateId) {
        let mut table = self.table();
        table.sent += 1;
        let number = table.sent;
        let engine = table.engines.entry(engine.clone()).or_default();
        engine.sent(submission, next, number);
        drop(table);
        self.0.changes.send_replace(());
    }

    /// Records that an engine in this state has refused the cell of a submission.
    pub(super) fn refused(&self, engine: &EngineUuid, submission: SubmissionOrder, state: StateId) {
        if let Some(engine) = self.table().engines.get_mut(engine) {
            engine.refused(submission, state);
        }
        self.0.changes.send_replace(());
    }

    /// Records the end of a submission's cell, and the state in which it has left its engine, if that
    /// has reported one.
    pub(super) fn ended(
        &self,
        engine: &EngineUuid,
        submission: SubmissionOrder,
        state: Option<StateId>,
    ) {
        if let Some(engine) = self.table().engines.get_mut(engine) {
            engine.ended(submission, state);
        }
        self.0.changes.send_replace(());
    }

    /// Waits until the cells submitted before a refused one have ended, or were sent again, and returns
    /// the state to which they lead.
    pub(super) async fn base(&self, engine: &EngineUuid, submission: SubmissionOrder) -> StateId {
        let mut changes = self.0.changes.subscribe();
        loop {
            let base = match self.table().engines.get(engine) {
                Some(engine) => engine.base(submission),
                None => Some(StateId::empty()),
            };
            if let Some(base) = base {
                return base;
            }
            // The sender is in `self`.
            let _ = changes.changed().await;
        }
    }

    /// Records an engine's report of its namespace.
    pub fn record_report(&self, engine: &EngineUuid, lineage: &Lineage) {
        let mut table = self.table();
        let known = table.engines.entry(engine.clone()).or_default();
        let before = known.reported.replace(lineage.state.clone());
        let mut records = lineage.records.iter();
        let last = records.position(|record| Some(&record.state) == before.as_ref());
        let new = &lineage.records[last.map_or(0, |at| at + 1)..];
        let report = NamespaceReport {
            pushed: lineage.pushed.clone(),
            bound: new
                .iter()
                .filter_map(|record| record.binds.clone())
                .collect(),
            is_new: true,
        };
        table.reports.insert(engine.clone(), report);
    }

    /// Returns true if an engine has reported its namespace.
    pub fn has_report(&self, engine: &EngineUuid) -> bool {
        self.table().reports.contains_key(engine)
    }

    /// Returns the state and the pushed values that an engine has last reported.
    pub fn last_reported(&self, engine: &Engine) -> (StateId, Vec<PushedName>) {
        let expected = self.of(engine);
        let table = self.table();
        let state = table.engines.get(&engine.uuid);
        let state = state.and_then(|engine| engine.reported.clone());
        let state = state.unwrap_or(expected);
        let report = table.reports.get(&engine.uuid);
        let pushed = report.map(|report| report.pushed.clone());
        (state, pushed.unwrap_or_default())
    }

    /// Drops the report of an engine, so that it is queried again.
    pub fn forget(&self, engine: &EngineUuid) {
        self.table().reports.remove(engine);
    }

    /// Takes the report of an engine, if it is new: its pushed values, and the names of others that
    /// have become variables since.
    pub fn take_pushed(&self, engine: &EngineUuid) -> Option<(Vec<PushedName>, Vec<String>)> {
        let mut table = self.table();
        let report = table.reports.get_mut(engine)?;
        let is_new = std::mem::replace(&mut report.is_new, false);
        is_new.then(|| (report.pushed.clone(), std::mem::take(&mut report.bound)))
    }

    /// Returns the dependencies of a cell unless their description was sent to the engine before, and
    /// records that it is sent.
    pub fn dependencies_to_describe(
        &self,
        engine: &EngineUuid,
        compilation: &Compilation,
    ) -> Option<Dependencies> {
        let (id, dependencies) = &*compilation.dependencies;
        let first = self.table().described.insert((engine.clone(), id.clone()));
        first.then(|| dependencies.clone())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EngineState {
    /// The state after the cells under way, or else the last one reported.
    fn expected(&self) -> Option<&StateId> {
        let last = self.cells.last().map(|cell| &cell.next);
        last.or(self.reported.as_ref())
    }

    fn sent(&mut self, submission: SubmissionOrder, next: StateId, number: u64) {
        self.cells.retain(|cell| cell.submission != submission);
        let at = self
            .cells
            .partition_point(|cell| cell.submission < submission);
        let cell = PendingCell {
            submission,
            next,
            number,
            refused: false,
        };
        self.cells.insert(at, cell);
    }

    fn refused(&mut self, submission: SubmissionOrder, state: StateId) {
        let mut cells = self.cells.iter_mut();
        if let Some(cell) = cells.find(|cell| cell.submission == submission) {
            cell.refused = true;
            let number = cell.number;
            self.report(number, state);
        }
    }

    fn ended(&mut self, submission: SubmissionOrder, state: Option<StateId>) {
        let mut cells = self.cells.iter();
        if let Some(at) = cells.position(|cell| cell.submission == submission) {
            let cell = self.cells.remove(at);
            if let Some(state) = state {
                self.report(cell.number, state);
            }
        }
    }

    /// Records the state in a reply; ignored if that to a later cell was recorded before.
    fn report(&mut self, number: u64, state: StateId) {
        if number >= self.reported_with {
            self.reported_with = number;
            self.reported = Some(state);
        }
    }

    /// Returns the state from which a refused cell is to be compiled, unless it depends on an earlier
    /// cell whose outcome is not known.
    fn base(&self, submission: SubmissionOrder) -> Option<StateId> {
        let reported = || self.reported.clone().unwrap_or_else(StateId::empty);
        let mut cells = self.cells.iter();
        let Some(at) = cells.position(|cell| cell.submission == submission) else {
            return Some(reported());
        };
        let (earlier, number) = (&self.cells[..at], self.cells[at].number);
        // The engine has replied to those that were sent before.
        if earlier
            .iter()
            .any(|cell| cell.refused || cell.number < number)
        {
            return None;
        }
        let last = earlier.last().map(|cell| cell.next.clone());
        Some(last.unwrap_or_else(reported))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineId;
    use phalanx_protocol::parallel::EngineKind;

    const FIRST: SubmissionOrder = SubmissionOrder(1);
    const SECOND: SubmissionOrder = SubmissionOrder(2);

    fn state(name: &str) -> StateId {
        StateId::new(name)
    }

    /// Returns an engine to which two cells were sent, which lead to the states `1` and `2`.
    fn with_two_cells() -> EngineState {
        let mut engine = EngineState::default();
        engine.sent(FIRST, state("1"), 1);
        engine.sent(SECOND, state("2"), 2);
        engine
    }

    #[test]
    fn a_late_report_does_not_replace_the_state_of_a_newer_cell() {
        let engine = Engine {
            id: EngineId(0),
            uuid: EngineUuid::new("e"),
            kind: EngineKind::Foreign,
        };
        let states = States::default();
        assert_eq!(states.of(&engine), StateId::empty());
        let (first, second) = (states.submission(), states.submission());
        states.sent(&engine.uuid, first, state("a"));
        assert_eq!(states.of(&engine), state("a"));
        states.sent(&engine.uuid, second, state("b"));
        states.ended(&engine.uuid, first, Some(state("a~panicked")));
        assert_eq!(states.of(&engine), state("b"));
        states.ended(&engine.uuid, second, Some(state("c")));
        assert_eq!(states.of(&engine), state("c"));

        let mut engine = with_two_cells();
        engine.ended(SECOND, Some(state("2~panicked")));
        engine.ended(FIRST, Some(state("1")));
        assert_eq!(engine.expected(), Some(&state("2~panicked")));
    }

    #[test]
    fn a_refused_cell_is_compiled_from_the_state_after_the_cells_before_it() {
        let mut engine = with_two_cells();
        // The refusals are recorded in any order.
        engine.refused(SECOND, state("x"));
        assert_eq!(engine.base(SECOND), None);
        engine.refused(FIRST, state("x"));
        assert_eq!(engine.base(FIRST), Some(state("x")));
        assert_eq!(engine.base(SECOND), None);
        assert_eq!(engine.expected(), Some(&state("2")));
        engine.sent(FIRST, state("x1"), 3);
        assert_eq!(engine.base(SECOND), Some(state("x1")));
        engine.ended(FIRST, Some(state("x1~panicked")));
        assert_eq!(engine.base(SECOND), Some(state("x1~panicked")));
        engine.sent(SECOND, state("x2"), 4);
        assert_eq!(engine.expected(), Some(&state("x2")));
    }

    #[test]
    fn a_cell_that_never_runs_leaves_no_state_behind() {
        let mut engine = with_two_cells();
        engine.refused(FIRST, state("x"));
        engine.refused(SECOND, state("x"));
        engine.sent(FIRST, state("x1"), 3);
        // Its resend has come too late: it was aborted.
        engine.ended(FIRST, None);
        assert_eq!(engine.base(SECOND), Some(state("x")));
        engine.ended(SECOND, None);
        assert_eq!(engine.expected(), Some(&state("x")));
    }
}
