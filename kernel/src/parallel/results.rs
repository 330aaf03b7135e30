//! The AsyncResults stored for the `phalanx` library, whose values in the notebook are handles on
//! them.

use super::retention::{Retained, Retention};
use phalanx_client::render::Labels;
use phalanx_client::{AsyncResult, SelectedTasks, TaskSelection};
use phalanx_protocol::host::{TaskProgress, TaskRange};
use phalanx_protocol::id::{AsyncResultId, EngineId, MsgId};
use phalanx_sys::heap;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use super::retention::ForgottenCause;

/// The size of dropped results, in bytes, at which memory is returned to the system.
const TRIM_THRESHOLD: usize = 64 << 20;

/// An AsyncResult with an id.
#[derive(Clone, Debug)]
pub struct StoredResult {
    /// The id, unique across all clusters of a session.
    pub id: AsyncResultId,
    /// The tasks and their records.
    pub result: AsyncResult,
    /// The labels of its outputs.
    pub labels: Labels,
    /// The number of items of each task, such as the arguments of a chunk of `map`; empty if each has
    /// one.
    sizes: Arc<[usize]>,
}

/// A selection of tasks: all of an AsyncResult, some of it, or some of several.
#[derive(Clone, Debug)]
pub struct ChosenTasks {
    /// The AsyncResult of each part of `tasks`.
    ids: Vec<AsyncResultId>,
    /// The tasks and their records.
    pub tasks: TaskSelection,
    /// The labels of their outputs.
    pub labels: Labels,
    /// The number of items of each task; empty if each has one.
    sizes: Arc<[usize]>,
}

impl From<&StoredResult> for ChosenTasks {
    fn from(stored: &StoredResult) -> Self {
        Self {
            ids: vec![stored.id],
            tasks: stored.result.clone().into(),
            labels: stored.labels,
            sizes: Arc::clone(&stored.sizes),
        }
    }
}

impl ChosenTasks {
    /// Selects tasks of several AsyncResults.
    fn of_several(parts: Vec<(StoredResult, Range<usize>)>) -> Self {
        let part = |(stored, tasks): &(StoredResult, Range<usize>)| SelectedTasks {
            result: stored.result.clone(),
            tasks: tasks.clone(),
        };
        let tasks: TaskSelection = parts.iter().map(part).collect();
        let mut sizes = Vec::new();
        if parts.iter().any(|(stored, _)| !stored.sizes.is_empty()) {
            for ((stored, _), part) in parts.iter().zip(tasks.parts()) {
                match stored.sizes.get(part.tasks.clone()) {
                    Some(own) if !stored.sizes.is_empty() => sizes.extend(own),
                    _ => sizes.extend(part.tasks.clone().map(|_| 1)),
                }
            }
        }
        Self {
            labels: match tasks.len() {
                1 => Labels::None,
                _ => Labels::Engines,
            },
            ids: parts.iter().map(|(stored, _)| stored.id).collect(),
            tasks,
            sizes: sizes.into(),
        }
    }

    /// Returns the ranges of the tasks.
    pub fn ranges(&self) -> Vec<TaskRange> {
        let parts = self.ids.iter().zip(self.tasks.parts());
        parts
            .map(|(id, part)| TaskRange {
                id: *id,
                from: part.tasks.start,
                to: part.tasks.end,
            })
            .collect()
    }

    /// Returns the progress of the tasks.
    pub fn progress(&self) -> TaskProgress {
        let tasks = &self.tasks;
        TaskProgress {
            name: tasks.name(),
            tasks: tasks.len(),
            ended: tasks.progress(),
            failed: tasks.failed(),
            items: self.items(),
            items_ended: self.items_ended(),
            elapsed: tasks.elapsed(),
            serial: tasks.serial_time(),
        }
    }

    /// Returns the number of items.
    pub fn items(&self) -> usize {
        match &*self.sizes {
            [] => self.tasks.len(),
            sizes => sizes.iter().sum(),
        }
    }

    /// Returns the number of items that are done.
    pub fn items_ended(&self) -> usize {
        match &*self.sizes {
            [] => self.tasks.progress(),
            sizes => {
                let ended = self.tasks.ended();
                ended.iter().filter_map(|task| sizes.get(*task)).sum()
            }
        }
    }
}

/// The stored AsyncResults of a session: the latest ones, up to limits of their number and size, and
/// all that are not done. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Results(
    /// Locked for a lookup.
    Arc<Mutex<Table>>,
);

#[derive(Debug, Default)]
struct Table {
    retained: Retention<StoredResult>,
    /// The number of AsyncResults that were ever stored, which is the id of the latest.
    stored: u64,
}

impl Retained for StoredResult {
    fn is_done(&self) -> bool {
        self.result.ready()
    }

    fn bytes(&self) -> usize {
        self.result.bytes()
    }
}

impl Results {
    /// Stores an AsyncResult.
    pub fn store(&self, result: AsyncResult, labels: Labels) -> StoredResult {
        self.store_items(result, labels, Vec::new())
    }

    /// Stores an AsyncResult whose tasks have these numbers of items.
    pub fn store_items(
        &self,
        result: AsyncResult,
        labels: Labels,
        sizes: Vec<usize>,
    ) -> StoredResult {
        let mut table = self.table();
        table.stored += 1;
        let id = AsyncResultId(table.stored);
        let stored = StoredResult {
            id,
            result,
            labels,
            sizes: sizes.into(),
        };
        table.retained.insert(id, stored.clone());
        trim_heap(table);
        stored
    }

    /// Returns the AsyncResult with this id.
    pub fn get(&self, id: AsyncResultId) -> Option<StoredResult> {
        self.table().retained.get(id).cloned()
    }

    /// Selects these tasks.
    ///
    /// # Errors
    /// Returns the id of an AsyncResult that does not exist.
    pub fn choose(&self, ranges: &[TaskRange]) -> Result<ChosenTasks, AsyncResultId> {
        let stored = |id| self.get(id).ok_or(id);
        if let [range] = ranges {
            let stored = stored(range.id)?;
            if range.from == 0 && range.to >= stored.result.len() {
                return Ok(ChosenTasks::from(&stored));
            }
        }
        let parts = ranges
            .iter()
            .map(|range| Ok((stored(range.id)?, range.from..range.to)));
        Ok(ChosenTasks::of_several(parts.collect::<Result<_, _>>()?))
    }

    /// Returns all AsyncResults that were not purged, oldest first.
    pub fn all(&self) -> Vec<StoredResult> {
        self.table().retained.iter().cloned().collect()
    }

    /// Returns these tasks as ranges of AsyncResults, if all of them are of this session.
    pub fn ranges(&self, tasks: &[MsgId]) -> Option<Vec<TaskRange>> {
        let wanted: HashSet<&MsgId> = tasks.iter().collect();
        let mut indices = HashMap::new();
        for stored in self.all() {
            let here = stored.result.tasks_where(|id, _, _| wanted.contains(id));
            indices.extend(here.into_iter().map(|(at, id)| (id, (stored.id, at))));
        }
        let mut ranges: Vec<TaskRange> = Vec::new();
        for task in tasks {
            let (id, at) = *indices.get(task)?;
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

    /// Returns all tasks, oldest first, with true for those that are done.
    pub fn tasks(&self) -> Vec<(MsgId, bool)> {
        self.all()
            .iter()
            .flat_map(|stored| stored.result.ids())
            .collect()
    }

    /// Records that no variable refers to these any more.
    pub fn release(&self, ids: &[AsyncResultId]) {
        let mut table = self.table();
        table.retained.release(ids);
        trim_heap(table);
    }

    /// Records that variables refer to these again.
    pub fn retain(&self, ids: impl IntoIterator<Item = AsyncResultId>) {
        self.table().retained.retain(ids.into_iter());
    }

    /// Records that variables may refer to any of them again.
    pub fn retain_all(&self) {
        self.table().retained.retain_all();
    }

    /// Returns the reason why there is no AsyncResult with this id.
    pub fn cause(&self, id: AsyncResultId) -> ForgottenCause {
        self.table().retained.cause(id)
    }

    /// Drops these, or all, if they are done; those to which a variable refers stay for it alone.
    pub fn purge(&self, which: &[AsyncResultId]) {
        let named = |id: AsyncResultId| which.is_empty() || which.contains(&id);
        let mut table = self.table();
        table.retained.purge(named);
        trim_heap(table);
    }

    /// Returns the number of pending tasks of this session, for each engine that has any.
    pub fn pending(&self) -> HashMap<EngineId, usize> {
        let pending: Vec<AsyncResult> = self
            .table()
            .retained
            .iter()
            .filter(|stored| !stored.result.ready())
            .map(|stored| stored.result.clone())
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

/// Returns the memory of dropped results to the system, if there are enough, after unlocking.
fn trim_heap(mut table: MutexGuard<'_, Table>) {
    let is_due = table.retained.has_forgotten(TRIM_THRESHOLD);
    drop(table);
    if is_due {
        heap::trim();
    }
}
