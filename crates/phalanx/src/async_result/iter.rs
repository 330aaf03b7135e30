//! The items of an AsyncResult, as they arrive.

use super::ends::Ends;
use super::{AsyncResult, Chunks, Many, Shape};
use crate::Error;
use crate::function::Travels;
use std::collections::{HashSet, VecDeque};

/// Yields items as they arrive: in the order of tasks, or, of an unordered map, as tasks end.
///
/// An item whose task failed is that failure; a task that failed yields it once, for all its items.
pub struct Items<R: Travels, S: Shape> {
    result: AsyncResult<R, S>,
    ready: VecDeque<Result<R, Error>>,
    /// The tasks that are known to have ended; `None` before the first is asked for.
    ends: Option<Ends>,
    /// The next task to give, where the order counts.
    next: usize,
    /// Tasks that ended before their turn.
    early: HashSet<usize>,
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
            ends: None,
            next: 0,
            early: HashSet::new(),
            failed: false,
        }
    }

    /// Takes what has ended; waits for something that has.
    fn advance(&mut self) -> Result<(), Error> {
        let ends = match &mut self.ends {
            Some(ends) => ends,
            None => self.ends.insert(Ends::of(&self.result.handle)?),
        };
        let ended = match ends.is_over() {
            true => Vec::new(),
            false => ends.next(&self.result.handle, None)?,
        };
        if !self.result.ordered {
            // Those that follow each other are had at once.
            for run in ended.chunk_by(|task, next| task + 1 == *next) {
                if let Some(from) = run.first() {
                    self.take(*from, from + run.len())?;
                }
            }
            return Ok(());
        }
        self.early.extend(ended);
        let from = self.next;
        while self.early.remove(&self.next) {
            self.next += 1;
        }
        self.take(from, self.next)
    }

    fn take(&mut self, from: usize, to: usize) -> Result<(), Error> {
        for value in self.result.task_values(from, to)? {
            match value {
                Ok(value) => self.ready.extend(S::items::<R>(value).into_iter().map(Ok)),
                Err(error) => self.ready.push_back(Err(error)),
            }
        }
        Ok(())
    }
}

impl<R: Travels, S: Itemised> Iterator for Items<R, S> {
    type Item = Result<R, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if self.failed || self.ends.as_ref().is_some_and(Ends::is_over) {
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
