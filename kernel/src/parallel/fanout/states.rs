//! The expected state of each engine: the last one it reported, or that after the cells under way.
//! An engine in another state refuses the cell and reports its state.

use crate::parallel::compile::Compilation;
use phalanx_client::Engine;
use phalanx_protocol::apply::PushedName;
use phalanx_protocol::id::{DependenciesId, EngineUuid, StateId};
use phalanx_protocol::parallel::{Dependencies, Lineage};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The expected states of all engines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct States(
    /// Locked for a lookup.
    Arc<Mutex<Table>>,
);

#[derive(Debug, Default)]
struct Table {
    states: HashMap<EngineUuid, StateId>,
    /// The dependencies whose description was sent to each engine.
    described: HashSet<(EngineUuid, DependenciesId)>,
    /// The pushed values reported by each engine.
    reports: HashMap<EngineUuid, NamespaceReport>,
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
        let known = self.table().states.get(&engine.uuid).cloned();
        let initial = || engine.handshake().map(|handshake| handshake.state.clone());
        known.or_else(initial).unwrap_or_else(StateId::empty)
    }

    /// Records a cell that was sent and leads to this state.
    pub fn expect(&self, engine: &EngineUuid, next: StateId) {
        self.table().states.insert(engine.clone(), next);
    }

    /// Records the state to which a cell has led, where `expected` was assumed; ignored if a
    /// further cell was sent since, which ends in a state of its own.
    pub fn learn(&self, engine: &EngineUuid, expected: &StateId, true_state: StateId) {
        let mut table = self.table();
        if table.states.get(engine) == Some(expected) {
            table.states.insert(engine.clone(), true_state);
        }
    }

    /// Records an engine's report of its namespace.
    pub fn record_report(&self, engine: &EngineUuid, lineage: &Lineage) {
        let mut table = self.table();
        let before = table.states.insert(engine.clone(), lineage.state.clone());
        let mut records = lineage.records.iter();
        let known = records.position(|record| Some(&record.state) == before.as_ref());
        let new = &lineage.records[known.map_or(0, |at| at + 1)..];
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

    /// Returns the state of an engine and the pushed values it has last reported.
    pub fn last_reported(&self, engine: &Engine) -> (StateId, Vec<PushedName>) {
        let state = self.of(engine);
        let table = self.table();
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineId;
    use phalanx_protocol::parallel::EngineKind;

    #[test]
    fn a_late_report_does_not_replace_the_state_of_a_newer_cell() {
        let engine = Engine {
            id: EngineId(0),
            uuid: EngineUuid::new("e"),
            kind: EngineKind::Foreign,
        };
        let states = States::default();
        assert_eq!(states.of(&engine), StateId::empty());
        let (a, b) = (StateId::new("a"), StateId::new("b"));
        states.expect(&engine.uuid, a.clone());
        states.learn(&engine.uuid, &a, StateId::new("a~panicked"));
        assert_eq!(states.of(&engine), StateId::new("a~panicked"));
        states.expect(&engine.uuid, a.clone());
        states.expect(&engine.uuid, b.clone());
        states.learn(&engine.uuid, &a, StateId::new("a~panicked"));
        assert_eq!(states.of(&engine), b);
    }
}
