//! The state each engine is taken to be in: what it said last, or what it is expected to be in once
//! the cells under way are done. An engine that is in another refuses the cell and says so.

use crate::parallel::compile::Compilation;
use phalanx_client::Engine;
use phalanx_protocol::apply::PushedName;
use phalanx_protocol::id::{DependenciesId, EngineUuid, StateId};
use phalanx_protocol::parallel::{Dependencies, Lineage};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The states of all engines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct States(
    /// Held for one look-up.
    Arc<Mutex<Table>>,
);

#[derive(Debug, Default)]
struct Table {
    states: HashMap<EngineUuid, StateId>,
    /// The dependencies that each engine has been told of.
    described: HashSet<(EngineUuid, DependenciesId)>,
    /// The values that engines say functions find there.
    heard: HashMap<EngineUuid, HeardState>,
}

#[derive(Debug)]
struct HeardState {
    pushed: Vec<PushedName>,
    /// The names of those that were made variables, as far as that is news.
    bound: Vec<String>,
    /// True until somebody has asked for them.
    is_new: bool,
}

impl States {
    /// The state of an engine; what it said on joining, if no cell was sent to it since.
    pub fn of(&self, engine: &Engine) -> StateId {
        let known = self.table().states.get(&engine.uuid).cloned();
        let said = || engine.handshake().map(|handshake| handshake.state.clone());
        known.or_else(said).unwrap_or_else(StateId::empty)
    }

    /// A cell was sent that leads to this state.
    pub fn expect(&self, engine: &EngineUuid, next: StateId) {
        self.table().states.insert(engine.clone(), next);
    }

    /// A cell that should have led to `expected` has led to `true_state`. If no other was sent since, that is the engine's state now.
    pub fn learn(&self, engine: &EngineUuid, expected: &StateId, true_state: StateId) {
        let mut table = self.table();
        if table.states.get(engine) == Some(expected) {
            table.states.insert(engine.clone(), true_state);
        }
    }

    /// An engine has told of its namespace.
    pub fn found(&self, engine: &EngineUuid, lineage: &Lineage) {
        let mut table = self.table();
        let before = table.states.insert(engine.clone(), lineage.state.clone());
        let mut records = lineage.records.iter();
        let known = records.position(|record| Some(&record.state) == before.as_ref());
        let new = &lineage.records[known.map_or(0, |at| at + 1)..];
        let heard = HeardState {
            pushed: lineage.pushed.clone(),
            bound: new
                .iter()
                .filter_map(|record| record.binds.clone())
                .collect(),
            is_new: true,
        };
        table.heard.insert(engine.clone(), heard);
    }

    /// Returns true if an engine has told of its namespace.
    pub fn has_heard(&self, engine: &EngineUuid) -> bool {
        self.table().heard.contains_key(engine)
    }

    /// The state of an engine, and the values that it has last said functions find there.
    pub fn last_heard(&self, engine: &Engine) -> (StateId, Vec<PushedName>) {
        let state = self.of(engine);
        let table = self.table();
        let heard = table.heard.get(&engine.uuid);
        let pushed = heard.map(|heard| heard.pushed.clone());
        (state, pushed.unwrap_or_default())
    }

    /// An engine is to be asked again.
    pub fn forget(&self, engine: &EngineUuid) {
        self.table().heard.remove(engine);
    }

    /// The values that an engine says functions find there, and the names of others that have become variables
    /// since; if it has told since this was asked.
    pub fn take_pushed(&self, engine: &EngineUuid) -> Option<(Vec<PushedName>, Vec<String>)> {
        let mut table = self.table();
        let heard = table.heard.get_mut(engine)?;
        let is_new = std::mem::replace(&mut heard.is_new, false);
        is_new.then(|| (heard.pushed.clone(), std::mem::take(&mut heard.bound)))
    }

    /// The dependencies of a cell for an engine, the first time it is sent any with them.
    pub fn describe(&self, engine: &EngineUuid, compilation: &Compilation) -> Option<Dependencies> {
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
    fn what_is_learned_late_does_not_undo_what_is_expected() {
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
