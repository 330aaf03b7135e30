//! What is kept of results, within limits. Pure.

use phalanx_protocol::id::AsyncResultId;
use std::collections::{BTreeMap, BTreeSet};

/// Most AsyncResults that are kept. Beyond, those that were done first are forgotten.
const KEPT: usize = 4096;

/// Most bytes of results that are kept, those of what functions gave back and those of the tasks.
const KEPT_BYTES: usize = 1 << 30;

/// Something that is done one day, and takes memory.
pub(super) trait Retained {
    /// Whether it is done, so that its size changes no more.
    fn is_done(&self) -> bool;

    /// The bytes it takes now.
    fn bytes(&self) -> usize;
}

/// Results by their number. What is under way is never forgotten.
#[derive(Debug)]
pub(super) struct Retention<T> {
    held: BTreeMap<AsyncResultId, T>,
    /// Those that were not done when they were looked at last.
    under_way: BTreeSet<AsyncResultId>,
    /// What the others take.
    bytes: usize,
    /// What those took that were forgotten since this was asked.
    forgotten: usize,
    most: usize,
    most_bytes: usize,
}

impl<T> Default for Retention<T> {
    fn default() -> Self {
        Self::with_limits(KEPT, KEPT_BYTES)
    }
}

impl<T> Retention<T> {
    fn with_limits(most: usize, most_bytes: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            under_way: BTreeSet::new(),
            bytes: 0,
            forgotten: 0,
            most,
            most_bytes,
        }
    }

    /// The one of that number.
    pub(super) fn get(&self, id: AsyncResultId) -> Option<&T> {
        self.held.get(&id)
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.held.values()
    }
}

impl<T: Retained> Retention<T> {
    /// Whether so many bytes were forgotten since it last said so.
    pub(super) fn has_forgotten(&mut self, bytes: usize) -> bool {
        let many = self.forgotten >= bytes;
        if many {
            self.forgotten = 0;
        }
        many
    }

    /// Keeps one, and makes room for it.
    pub(super) fn insert(&mut self, id: AsyncResultId, one: T) {
        self.shrink();
        self.held.insert(id, one);
        self.under_way.insert(id);
    }

    /// Forgets those that are done, where `gone` says so.
    pub(super) fn forget(&mut self, gone: impl Fn(AsyncResultId) -> bool) {
        let done = self.held.iter().filter(|(_, one)| one.is_done());
        let ids: Vec<_> = done.map(|(id, _)| *id).filter(|id| gone(*id)).collect();
        for id in ids {
            self.remove(id);
        }
    }

    fn shrink(&mut self) {
        let mut bytes = 0;
        self.under_way.retain(|id| {
            let Some(one) = self.held.get(id) else {
                return false;
            };
            let done = one.is_done();
            *if done { &mut self.bytes } else { &mut bytes } += one.bytes();
            !done
        });
        while self.held.len() >= self.most || self.bytes + bytes > self.most_bytes {
            let mut ids = self.held.keys();
            let Some(done) = ids.find(|id| !self.under_way.contains(id)).copied() else {
                return;
            };
            self.remove(done);
        }
    }

    fn remove(&mut self, id: AsyncResultId) {
        let Some(one) = self.held.remove(&id) else {
            return;
        };
        self.forgotten += one.bytes();
        if !self.under_way.remove(&id) {
            self.bytes -= one.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    /// Done or not, and its bytes.
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

    fn kept(results: &Retention<One>) -> Vec<u64> {
        results.held.keys().map(|id| id.0).collect()
    }

    fn insert(results: &mut Retention<One>, id: u64, done: bool, bytes: usize) -> One {
        let one = One::default();
        one.0.set((done, bytes));
        results.insert(AsyncResultId(id), one.clone());
        one
    }

    #[test]
    fn beyond_so_many_the_first_that_are_done_go() {
        let mut results = Retention::with_limits(3, 100);
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
    fn what_is_under_way_stays_however_much_there_is() {
        let mut results = Retention::with_limits(2, 100);
        for id in 1..6 {
            insert(&mut results, id, false, 1000);
        }
        assert_eq!(kept(&results), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_that_is_larger_than_all_may_be_is_there_until_the_next() {
        let mut results = Retention::with_limits(100, 100);
        let large = insert(&mut results, 1, false, 0);
        large.0.set((true, 1000));
        assert!(results.get(AsyncResultId(1)).is_some());
        insert(&mut results, 2, true, 5);
        assert_eq!((kept(&results), results.bytes), (vec![2], 0));
        insert(&mut results, 3, true, 5);
        assert_eq!((kept(&results), results.bytes), (vec![2, 3], 5));
    }

    #[test]
    fn beyond_so_many_bytes_the_first_that_are_done_go() {
        let mut results = Retention::with_limits(100, 100);
        insert(&mut results, 1, true, 60);
        let growing = insert(&mut results, 2, false, 10);
        insert(&mut results, 3, true, 30);
        assert_eq!(kept(&results), [1, 2, 3]);
        insert(&mut results, 4, true, 5);
        assert_eq!(kept(&results), [1, 2, 3, 4], "100 are not too many");
        growing.0.set((false, 20));
        insert(&mut results, 5, true, 0);
        assert_eq!(kept(&results), [2, 3, 4, 5]);
        // It counts with what it has in the end.
        growing.0.set((true, 66));
        insert(&mut results, 6, true, 0);
        assert_eq!(kept(&results), [3, 4, 5, 6]);
        assert_eq!(results.bytes, 35);
        results.forget(|id| id != AsyncResultId(4));
        assert_eq!((kept(&results), results.bytes), (vec![4], 5));
        assert!(results.has_forgotten(100) && !results.has_forgotten(1));
    }
}
