//! The limits of stored results. Pure.

use phalanx_protocol::id::AsyncResultId;
use std::collections::{BTreeMap, BTreeSet};

/// The limits beyond which results are dropped, oldest first.
#[derive(Clone, Copy, Debug)]
struct RetentionLimits {
    /// The number of results.
    count: usize,
    /// The total size in bytes.
    bytes: usize,
    /// The total size, in bytes, of results to which no variable of the notebook refers.
    released_bytes: usize,
}

const LIMITS: RetentionLimits = RetentionLimits {
    count: 4096,
    bytes: 1 << 30,
    released_bytes: 40 << 20,
};

/// A value that takes memory and is done at some time.
pub(super) trait Retained {
    /// Returns true once it is done; from then on its size is constant.
    fn is_done(&self) -> bool;

    /// Returns its current size, in bytes.
    fn bytes(&self) -> usize;
}

/// Results by id. Those that are not done are never dropped.
#[derive(Debug)]
pub(super) struct Retention<T> {
    entries: BTreeMap<AsyncResultId, RetainedEntry<T>>,
    /// The results that were not done at the last count.
    under_way: BTreeSet<AsyncResultId>,
    /// The done results to which no variable refers.
    released: BTreeSet<AsyncResultId>,
    /// The sizes, in bytes, of the done results and of the released ones among them.
    bytes: usize,
    released_bytes: usize,
    /// The size of results dropped since the last [`has_forgotten`](Self::has_forgotten), in bytes.
    forgotten: usize,
    /// The latest results that were dropped because the user had purged them.
    purged: BTreeSet<AsyncResultId>,
    limits: RetentionLimits,
}

#[derive(Debug)]
struct RetainedEntry<T> {
    one: T,
    /// The size counted for it once it is done, in bytes.
    bytes: usize,
    is_released: bool,
    /// True if the user has purged it; it is gone once no variable refers to it.
    is_purged: bool,
}

/// The reason why a result is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForgottenCause {
    /// The user has purged it.
    Purged,
    /// It was dropped to make room, or there never was one.
    Limits,
}

/// The number of purged results that are remembered.
const PURGED: usize = 4096;

impl<T> Default for Retention<T> {
    fn default() -> Self {
        Self::with_limits(LIMITS)
    }
}

impl<T> Retention<T> {
    fn with_limits(limits: RetentionLimits) -> Self {
        Self {
            entries: BTreeMap::new(),
            under_way: BTreeSet::new(),
            released: BTreeSet::new(),
            bytes: 0,
            released_bytes: 0,
            forgotten: 0,
            purged: BTreeSet::new(),
            limits,
        }
    }

    /// Returns the result with this id.
    pub(super) fn get(&self, id: AsyncResultId) -> Option<&T> {
        self.entries.get(&id).map(|entry| &entry.one)
    }

    /// Returns the reason why there is no result with this id.
    pub(super) fn cause(&self, id: AsyncResultId) -> ForgottenCause {
        match self.purged.contains(&id) {
            true => ForgottenCause::Purged,
            false => ForgottenCause::Limits,
        }
    }

    /// Returns all results that were not purged, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let kept = self.entries.values().filter(|entry| !entry.is_purged);
        kept.map(|entry| &entry.one)
    }
}

impl<T: Retained> Retention<T> {
    /// Returns true, and resets the count, if at least this number of bytes was dropped.
    pub(super) fn has_forgotten(&mut self, bytes: usize) -> bool {
        let many = self.forgotten >= bytes;
        if many {
            self.forgotten = 0;
        }
        many
    }

    /// Stores a result after making room for it.
    pub(super) fn insert(&mut self, id: AsyncResultId, one: T) {
        self.shrink(1);
        let entry = RetainedEntry {
            one,
            bytes: 0,
            is_released: false,
            is_purged: false,
        };
        self.entries.insert(id, entry);
        self.under_way.insert(id);
    }

    /// Records that no variable refers to these any more; those that were purged are dropped.
    pub(super) fn release(&mut self, ids: &[AsyncResultId]) {
        for id in ids {
            let Some(entry) = self.entries.get_mut(id) else {
                continue;
            };
            if entry.is_purged {
                self.drop_purged(*id);
                continue;
            }
            if !std::mem::replace(&mut entry.is_released, true) && !self.under_way.contains(id) {
                self.released_bytes += entry.bytes;
                self.released.insert(*id);
            }
        }
        self.shrink(0);
    }

    /// Records that variables refer to these again.
    pub(super) fn retain(&mut self, ids: impl Iterator<Item = AsyncResultId>) {
        for id in ids {
            if let Some(entry) = self.entries.get_mut(&id)
                && std::mem::replace(&mut entry.is_released, false)
                && self.released.remove(&id)
            {
                self.released_bytes -= entry.bytes;
            }
        }
    }

    /// Records that variables may refer to any of them again, as after a crash, which restores
    /// dropped variables.
    pub(super) fn retain_all(&mut self) {
        self.released.clear();
        self.released_bytes = 0;
        for entry in self.entries.values_mut() {
            entry.is_released = false;
        }
    }

    /// Drops the done results selected by `gone`; those to which a variable refers, with the last such
    /// variable.
    pub(super) fn purge(&mut self, gone: impl Fn(AsyncResultId) -> bool) {
        let done = self.entries.iter().filter(|(_, entry)| entry.one.is_done());
        let ids: Vec<_> = done.map(|(id, _)| *id).filter(|id| gone(*id)).collect();
        for id in ids {
            match self.entries.get_mut(&id) {
                Some(entry) if !entry.is_released => entry.is_purged = true,
                _ => self.drop_purged(id),
            }
        }
    }

    fn drop_purged(&mut self, id: AsyncResultId) {
        self.remove(id);
        self.purged.insert(id);
        if self.purged.len() > PURGED {
            self.purged.pop_first();
        }
    }

    /// Drops results to make room for `more`.
    fn shrink(&mut self, more: usize) {
        let growing = self.count_done();
        let limits = self.limits;
        while self.released_bytes > limits.released_bytes {
            let Some(oldest) = self.released.first().copied() else {
                break;
            };
            self.remove(oldest);
        }
        while self.entries.len() + more > limits.count || self.bytes + growing > limits.bytes {
            let mut ids = self.entries.keys();
            let Some(done) = ids.find(|id| !self.under_way.contains(id)).copied() else {
                return;
            };
            self.remove(done);
        }
    }

    /// Counts the results that are done by now; returns the size of the others, in bytes.
    fn count_done(&mut self) -> usize {
        let mut growing = 0;
        self.under_way.retain(|id| {
            let Some(entry) = self.entries.get_mut(id) else {
                return false;
            };
            let (is_done, bytes) = (entry.one.is_done(), entry.one.bytes());
            if !is_done {
                growing += bytes;
                return true;
            }
            entry.bytes = bytes;
            self.bytes += bytes;
            if entry.is_released {
                self.released_bytes += bytes;
                self.released.insert(*id);
            }
            false
        });
        growing
    }

    fn remove(&mut self, id: AsyncResultId) {
        let Some(entry) = self.entries.remove(&id) else {
            return;
        };
        self.forgotten += entry.one.bytes();
        self.under_way.remove(&id);
        self.bytes -= entry.bytes;
        if self.released.remove(&id) {
            self.released_bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// A result: true if it is done, and its size.
    #[derive(Clone, Default)]
    struct One(Rc<Cell<(bool, usize)>>);

    impl Retained for One {
        fn is_done(&self) -> bool {
            self.0.get().0
        }

        fn bytes(&self) -> usize {
            self.0.get().1
        }
    }

    fn limited(count: usize, bytes: usize) -> Retention<One> {
        Retention::with_limits(RetentionLimits {
            count,
            bytes,
            released_bytes: 50,
        })
    }

    fn kept(results: &Retention<One>) -> Vec<u64> {
        results.entries.keys().map(|id| id.0).collect()
    }

    fn insert(results: &mut Retention<One>, id: u64, done: bool, bytes: usize) -> One {
        let one = One::default();
        one.0.set((done, bytes));
        results.insert(AsyncResultId(id), one.clone());
        one
    }

    #[test]
    fn beyond_the_count_limit_the_oldest_finished_results_are_dropped() {
        let mut results = limited(3, 100);
        let first = insert(&mut results, 1, false, 0);
        for id in 2..6 {
            insert(&mut results, id, true, 0);
        }
        assert_eq!(kept(&results), [1, 4, 5], "1 is under way");
        first.0.set((true, 0));
        insert(&mut results, 6, true, 0);
        assert_eq!(kept(&results), [4, 5, 6]);
    }

    #[test]
    fn pending_results_are_kept_beyond_all_limits() {
        let mut results = limited(2, 100);
        for id in 1..6 {
            insert(&mut results, id, false, 1000);
        }
        assert_eq!(kept(&results), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_result_larger_than_the_limit_is_kept_until_the_next() {
        let mut results = limited(100, 100);
        let large = insert(&mut results, 1, false, 0);
        large.0.set((true, 1000));
        assert!(results.get(AsyncResultId(1)).is_some());
        insert(&mut results, 2, true, 5);
        assert_eq!((kept(&results), results.bytes), (vec![2], 0));
        insert(&mut results, 3, true, 5);
        assert_eq!((kept(&results), results.bytes), (vec![2, 3], 5));
    }

    #[test]
    fn beyond_the_byte_limit_the_oldest_finished_results_are_dropped() {
        let mut results = limited(100, 100);
        insert(&mut results, 1, true, 60);
        let growing = insert(&mut results, 2, false, 10);
        insert(&mut results, 3, true, 30);
        assert_eq!(kept(&results), [1, 2, 3]);
        insert(&mut results, 4, true, 5);
        assert_eq!(kept(&results), [1, 2, 3, 4], "100 are not too many");
        growing.0.set((false, 20));
        insert(&mut results, 5, true, 0);
        assert_eq!(kept(&results), [2, 3, 4, 5]);
        // It counts with its final size.
        growing.0.set((true, 66));
        insert(&mut results, 6, true, 0);
        assert_eq!(kept(&results), [3, 4, 5, 6]);
        assert_eq!(results.bytes, 35);
        results.release(&[AsyncResultId(3), AsyncResultId(5), AsyncResultId(6)]);
        results.purge(|id| id != AsyncResultId(4));
        assert_eq!((kept(&results), results.bytes), (vec![4], 5));
        assert!(results.has_forgotten(100) && !results.has_forgotten(1));
    }

    #[test]
    fn results_without_a_handle_have_a_smaller_limit() {
        let mut results = limited(100, 1000);
        let ids = |ids: &[u64]| ids.iter().map(|id| AsyncResultId(*id)).collect::<Vec<_>>();
        for id in 1..6 {
            insert(&mut results, id, true, 30);
        }
        let late = insert(&mut results, 6, false, 30);
        results.release(&ids(&[1, 3, 6, 77]));
        assert_eq!(kept(&results), [2, 3, 4, 5, 6], "60 are too many");
        results.release(&ids(&[3]));
        assert_eq!(results.released_bytes, 30, "it is counted once");
        late.0.set((true, 30));
        insert(&mut results, 7, true, 0);
        assert_eq!(
            kept(&results),
            [2, 4, 5, 6, 7],
            "6 was released before it was done"
        );
        results.retain(ids(&[6, 7]).into_iter());
        assert_eq!(results.released_bytes, 0);
        results.release(&ids(&[5]));
        results.retain_all();
        results.release(&ids(&[2]));
        assert_eq!(
            (kept(&results), results.released_bytes),
            (vec![2, 4, 5, 6, 7], 30)
        );
        results.release(&ids(&[4, 5, 6, 7]));
        results.purge(|_| true);
        assert_eq!((results.bytes, results.released_bytes), (0, 0));
    }

    #[test]
    fn a_purged_result_is_dropped_with_its_handle() {
        let mut results = limited(100, 1000);
        insert(&mut results, 1, true, 30);
        insert(&mut results, 2, true, 30);
        insert(&mut results, 3, false, 30);
        results.release(&[AsyncResultId(2)]);
        results.purge(|_| true);
        assert_eq!(kept(&results), [1, 3], "1 is named, 3 is under way");
        assert_eq!(results.iter().count(), 1, "only 3 is not purged");
        assert!(results.get(AsyncResultId(1)).is_some());
        results.release(&[AsyncResultId(1)]);
        assert_eq!(kept(&results), [3]);
        let cause = |id| results.cause(AsyncResultId(id));
        let (purged, limits) = (ForgottenCause::Purged, ForgottenCause::Limits);
        assert_eq!([cause(1), cause(2), cause(4)], [purged, purged, limits]);
    }
}
