//! Bookkeeping of the AsyncResults that variables name; the kernel may drop the others.

use crate::host;
use phalanx_protocol::host::{CellRequest, TaskRange};
use phalanx_protocol::id::AsyncResultId;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of released AsyncResults that are reported together. Fewer are reported when the cell
/// ends.
const BATCH: usize = 64;

/// Locked for single updates only.
static NAMES: Mutex<Names> = Mutex::new(Names {
    counts: BTreeMap::new(),
    lost: Vec::new(),
});

struct Names {
    /// The number of values that name each AsyncResult.
    counts: BTreeMap<AsyncResultId, usize>,
    /// The AsyncResults whose last value was dropped.
    lost: Vec<AsyncResultId>,
}

/// Ranges of tasks; the kernel keeps their AsyncResults as long as these live.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedRanges(Box<[TaskRange]>);

impl NamedRanges {
    pub(super) fn new(ranges: Vec<TaskRange>) -> Self {
        let mut names = names();
        for range in &ranges {
            *names.counts.entry(range.id).or_default() += 1;
        }
        Self(ranges.into())
    }
}

impl Deref for NamedRanges {
    type Target = [TaskRange];

    fn deref(&self) -> &[TaskRange] {
        &self.0
    }
}

impl Drop for NamedRanges {
    fn drop(&mut self) {
        let mut names = names();
        for range in &self.0 {
            names.drop_one(range.id);
        }
        let is_many = names.lost.len() >= BATCH;
        drop(names);
        if is_many {
            report();
        }
    }
}

impl Names {
    fn drop_one(&mut self, id: AsyncResultId) {
        match self.counts.get_mut(&id) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.counts.remove(&id);
                self.lost.push(id);
            }
        }
    }

    /// Takes the released AsyncResults that have no new name.
    fn take_lost(&mut self) -> Vec<AsyncResultId> {
        let mut lost = std::mem::take(&mut self.lost);
        lost.retain(|id| !self.counts.contains_key(id));
        lost
    }
}

/// Reports the AsyncResults that no value names any more to the kernel.
pub(crate) fn report() {
    let results = names().take_lost();
    if !results.is_empty() {
        // A kernel that has exited holds no results.
        let _ = host::call(&CellRequest::Released { results }.into());
    }
}

fn names() -> MutexGuard<'static, Names> {
    NAMES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(id: u64) -> TaskRange {
        TaskRange {
            id: AsyncResultId(id),
            from: 0,
            to: 1,
        }
    }

    /// Returns the released ids in a range that no other test uses.
    fn lost(ids: std::ops::Range<u64>) -> Vec<u64> {
        let lost = names().take_lost();
        let (own, others) = lost
            .into_iter()
            .partition::<Vec<_>, _>(|id| ids.contains(&id.0));
        names().lost.extend(others);
        own.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn result_is_dropped_with_its_last_name() {
        let first = NamedRanges::new(vec![range(9001), range(9002)]);
        let second = NamedRanges::new(vec![range(9002)]);
        drop(first);
        assert_eq!(lost(9001..9003), [9001]);
        drop(second);
        // The result has a name again before its release is reported.
        let third = NamedRanges::new(vec![range(9002)]);
        assert_eq!(lost(9001..9003), [0; 0]);
        drop(third);
        assert_eq!(lost(9001..9003), [9002]);
    }
}
