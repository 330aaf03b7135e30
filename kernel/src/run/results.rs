//! The AsyncResults the kernel holds for the `phalanx` library.

use phalanx_client::AsyncResult;
use phalanx_client::render::Labels;
use phalanx_protocol::id::AsyncResultId;
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
    last: Option<AsyncResultId>,
}

impl Results {
    /// Keeps an AsyncResult; it becomes the last.
    pub fn hold(&self, result: AsyncResult, labels: Labels) -> Held {
        let mut table = self.table();
        let id = AsyncResultId(table.last.map_or(1, |last| last.0 + 1));
        let held = Held { id, result, labels };
        table.held.insert(id, held.clone());
        table.last = Some(id);
        held
    }

    /// The one of that name.
    pub fn get(&self, id: AsyncResultId) -> Option<Held> {
        self.table().held.get(&id).cloned()
    }

    /// The last one, which `%pxresult` recalls.
    pub fn last(&self) -> Option<Held> {
        let last = self.table().last?;
        self.get(last)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
