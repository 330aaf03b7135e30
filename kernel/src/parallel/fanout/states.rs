//! The state each engine is taken to be in: what it said last, or what it is expected to be in once
//! the cells under way are done. An engine that is in another refuses the cell and says so.

use phalanx_client::Engine;
use phalanx_protocol::id::{EngineUuid, StateId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The states of all engines. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct States(
    /// Held for one look-up.
    Arc<Mutex<HashMap<EngineUuid, StateId>>>,
);

impl States {
    /// The state of an engine; what it said on joining, if no cell was sent to it since.
    pub fn of(&self, engine: &Engine) -> StateId {
        let known = self.table().get(&engine.uuid).cloned();
        let said = || {
            engine
                .handshake
                .as_ref()
                .map(|handshake| handshake.state.clone())
        };
        known.or_else(said).unwrap_or_else(StateId::empty)
    }

    /// A cell was sent that leads to this state.
    pub fn expect(&self, engine: &EngineUuid, next: StateId) {
        self.table().insert(engine.clone(), next);
    }

    /// A cell that should have led to `expected` has led to `true_state`. If no other was sent since, that is the engine's state now.
    pub fn learn(&self, engine: &EngineUuid, expected: &StateId, true_state: StateId) {
        let mut table = self.table();
        if table.get(engine) == Some(expected) {
            table.insert(engine.clone(), true_state);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<EngineUuid, StateId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::id::EngineId;

    #[test]
    fn what_is_learned_late_does_not_undo_what_is_expected() {
        let engine = Engine {
            id: EngineId(0),
            uuid: EngineUuid::new("e"),
            handshake: None,
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
