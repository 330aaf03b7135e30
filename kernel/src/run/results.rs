//! The AsyncResults the kernel holds for the `phalanx` library.

use phalanx_client::AsyncResult;
use phalanx_client::render::Labels;
use phalanx_protocol::id::{AsyncResultId, EngineId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An AsyncResult that can be named.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name in this kernel; unique over all clusters of a session.
    pub id: AsyncResultId,
    /// What is known.
    pub result: AsyncResult,
    /// How its outputs are labelled.
    pub labels: Labels,
}

/// All AsyncResults of a session, kept for its life since a variable may name any of them. Clones
/// share them.
#[derive(Clone, Debug, Default)]
pub struct Results(
    /// Held for one look-up.
    Arc<Mutex<Table>>,
);

#[derive(Debug, Default)]
struct Table {
    held: HashMap<AsyncResultId, Held>,
    made: u64,
}

impl Results {
    /// Keeps an AsyncResult.
    pub fn hold(&self, result: AsyncResult, labels: Labels) -> Held {
        let mut table = self.table();
        table.made += 1;
        let id = AsyncResultId(table.made);
        let held = Held { id, result, labels };
        table.held.insert(id, held.clone());
        held
    }

    /// The one of that name.
    pub fn get(&self, id: AsyncResultId) -> Option<Held> {
        self.table().held.get(&id).cloned()
    }

    /// How many tasks of this session have not ended, for each engine that has any.
    pub fn pending(&self) -> HashMap<EngineId, usize> {
        let pending: Vec<AsyncResult> = self
            .table()
            .held
            .values()
            .filter(|held| !held.result.ready())
            .map(|held| held.result.clone())
            .collect();
        let mut tasks = HashMap::new();
        for engine in pending.iter().flat_map(AsyncResult::pending) {
            *tasks.entry(engine).or_default() += 1;
        }
        tasks
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
