//! The items of an AsyncResult, as they arrive.

use super::{AsyncResult, Chunks, Many, Shape};
use crate::Error;
use crate::function::Travels;
use std::collections::{HashMap, VecDeque};

/// Yields items as they arrive: in the order of tasks, or, of an unordered map, as tasks end.
///
/// An item whose task failed is that failure; a task that failed yields it once, for all its items.
pub struct Items<R: Travels, S: Shape> {
    result: AsyncResult<R, S>,
    ready: VecDeque<Result<R, Error>>,
    /// How many tasks are known to have ended.
    seen: usize,
    /// The next task to give, where the order counts.
    next: usize,
    /// Tasks that ended before their turn.
    early: HashMap<usize, ()>,
    failed: bool,
}

/// What can be iterated over item by item.
#[doc(hidden)]
pub trait Itemised: Shape {
    /// One task's items.
    fn items<R: Travels>(task: Self::Task<R>) -> VecDeque<R>;
}

impl Itemised for Many {
    fn items<R: Travels>(task: R) -> VecDeque<R> {
        VecDeque::from([task])
    }
}

impl Itemised for Chunks {
    fn items<R: Travels>(task: Vec<R>) -> VecDeque<R> {
        task.into()
    }
}

impl<R: Travels, S: Itemised> Items<R, S> {
    fn new(result: AsyncResult<R, S>) -> Self {
        Self {
            result,
            ready: VecDeque::new(),
            seen: 0,
            next: 0,
            early: HashMap::new(),
            failed: false,
        }
    }

    /// Takes what has ended; waits for something that has.
    fn advance(&mut self) -> Result<(), Error> {
        let ended = self.result.next_ended(self.seen)?;
        self.seen += ended.len();
        if !self.result.ordered {
            for task in ended {
                self.take(task)?;
            }
            return Ok(());
        }
        self.early.extend(ended.into_iter().map(|task| (task, ())));
        let from = self.next;
        while self.early.remove(&self.next).is_some() {
            self.next += 1;
        }
        for (task, value) in (from..self.next).zip(self.result.task_values(from, self.next)?) {
            self.give(task, value);
        }
        Ok(())
    }

    fn take(&mut self, task: usize) -> Result<(), Error> {
        let value = self.result.task_values(task, task + 1)?.pop();
        if let Some(value) = value {
            self.give(task, value);
        }
        Ok(())
    }

    fn give(&mut self, _task: usize, value: Result<S::Task<R>, Error>) {
        match value {
            Ok(value) => self.ready.extend(S::items::<R>(value).into_iter().map(Ok)),
            Err(error) => self.ready.push_back(Err(error)),
        }
    }
}

impl<R: Travels, S: Itemised> Iterator for Items<R, S> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.failed || self.seen >= self.result.tasks() {
                return None;
            }
            if let Err(error) = self.advance() {
                self.failed = true;
                return Some(Err(error));
            }
        }
    }
}

impl<R: Travels, S: Itemised> AsyncResult<R, S> {
    /// The items as they arrive.
    pub fn iter(&self) -> Items<R, S> {
        Items::new(self.clone())
    }
}

impl<R: Travels, S: Itemised> IntoIterator for &AsyncResult<R, S> {
    type Item = Result<R, Error>;
    type IntoIter = Items<R, S>;

    fn into_iter(self) -> Items<R, S> {
        self.iter()
    }
}

impl<R: Travels, S: Itemised> IntoIterator for AsyncResult<R, S> {
    type Item = Result<R, Error>;
    type IntoIter = Items<R, S>;

    fn into_iter(self) -> Items<R, S> {
        Items::new(self)
    }
}
