//! The AsyncResults the kernel holds for the `phalanx` library.

use super::retention::{Retained, Retention};
use phalanx_client::AsyncResult;
use phalanx_client::render::Labels;
use phalanx_protocol::host::{Progress, TaskRange};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use std::collections::{HashMap, HashSet};
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
    /// How many items each task stands for; empty where each is one.
    sizes: Arc<[usize]>,
}

impl Held {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        let result = &self.result;
        let ended = result.progress();
        Progress {
            name: result.name(),
            tasks: result.len(),
            ended,
            failed: result.failed(),
            items: self.items(),
            items_ended: self.items_ended(),
            elapsed: result.elapsed(),
            serial: result.serial_time(),
        }
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        match &*self.sizes {
            [] => self.result.len(),
            sizes => sizes.iter().sum(),
        }
    }

    /// How many items are done.
    pub fn items_ended(&self) -> usize {
        match &*self.sizes {
            [] => self.result.progress(),
            sizes => {
                let ended = self.result.ended();
                ended.iter().filter_map(|task| sizes.get(*task)).sum()
            }
        }
    }
}

/// The AsyncResults of a session, since variables name them: the latest, within limits. Clones share
/// them.
#[derive(Clone, Debug, Default)]
pub struct Results(
    /// Held for one look-up.
    Arc<Mutex<Table>>,
);

#[derive(Debug, Default)]
struct Table {
    held: Retention<Held>,
    made: u64,
}

impl Retained for Held {
    fn is_done(&self) -> bool {
        self.result.ready()
    }

    fn bytes(&self) -> usize {
        self.result.bytes()
    }
}

impl Results {
    /// Keeps an AsyncResult.
    pub fn hold(&self, result: AsyncResult, labels: Labels) -> Held {
        self.hold_items(result, labels, Vec::new())
    }

    /// Keeps an AsyncResult whose tasks stand for so many items each.
    pub fn hold_items(&self, result: AsyncResult, labels: Labels, sizes: Vec<usize>) -> Held {
        let mut table = self.table();
        table.made += 1;
        let id = AsyncResultId(table.made);
        let held = Held {
            id,
            result,
            labels,
            sizes: sizes.into(),
        };
        table.held.insert(id, held.clone());
        held
    }

    /// The one of that name.
    pub fn get(&self, id: AsyncResultId) -> Option<Held> {
        self.table().held.get(id).cloned()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Held> {
        self.table().held.iter().cloned().collect()
    }

    /// Where these tasks are, if all of them are of this session.
    pub fn ranges(&self, tasks: &[MsgId]) -> Option<Vec<TaskRange>> {
        let wanted: HashSet<&MsgId> = tasks.iter().collect();
        let mut places = HashMap::new();
        for held in self.all() {
            let ids = held.result.ids().into_iter().enumerate();
            let ids = ids.filter(|(_, (id, _))| wanted.contains(id));
            places.extend(ids.map(|(at, (id, _))| (id, (held.id, at))));
        }
        let mut ranges: Vec<TaskRange> = Vec::new();
        for task in tasks {
            let (id, at) = *places.get(task)?;
            match ranges.last_mut() {
                Some(range) if range.id == id && range.to == at => range.to += 1,
                _ => ranges.push(TaskRange {
                    id,
                    from: at,
                    to: at + 1,
                }),
            }
        }
        Some(ranges)
    }

    /// The tasks of all, in order, and whether they have ended.
    pub fn tasks(&self) -> Vec<(MsgId, bool)> {
        self.all()
            .iter()
            .flat_map(|held| held.result.ids())
            .collect()
    }

    /// Forgets these, or all, where they are done.
    pub fn purge(&self, which: &[AsyncResultId]) {
        let named = |id: AsyncResultId| which.is_empty() || which.contains(&id);
        self.table().held.forget(named);
    }

    /// How many tasks of this session have not ended, for each engine that has any.
    pub fn pending(&self) -> HashMap<EngineId, usize> {
        let pending: Vec<AsyncResult> = self
            .table()
            .held
            .iter()
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
