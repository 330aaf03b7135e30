//! Serialized outcomes of tasks, in the order in which they arrive.

use super::AsyncResultHandle;
use super::finished::FinishedCounts;
use crate::Error;
use crate::codec::{EncodedList, Read, read_frame};
use crate::host::Frame;
use crate::opaque::opaque;
use std::collections::{HashSet, VecDeque};

opaque! {
    /// Yields values as they arrive: in task order, or as tasks end.
    pub(super) struct Arrivals of ArrivalsState
}

/// The content of [`Arrivals`].
pub(super) struct ArrivalsState {
    handle: AsyncResultHandle,
    ordered: bool,
    /// True if a task's value is a list of items.
    lists: bool,
    ready: VecDeque<Result<Frame, Error>>,
    /// The list whose items are being yielded.
    list: Option<EncodedList>,
    /// The number of finished tasks per range; `None` before the first request.
    finished: Option<FinishedCounts>,
    /// The next task to yield, if ordered.
    next: usize,
    /// Finished tasks that precede their turn.
    early: HashSet<usize>,
    failed: bool,
}

impl Arrivals {
    #[inline(never)]
    pub(super) fn of(handle: &AsyncResultHandle, ordered: bool, lists: bool) -> Self {
        Self::wrap(ArrivalsState {
            handle: handle.clone(),
            ordered,
            lists,
            ready: VecDeque::new(),
            list: None,
            finished: None,
            next: 0,
            early: HashSet::new(),
            failed: false,
        })
    }

    /// Reads the next item, a value of type `type_name`.
    #[inline(never)]
    pub(super) fn next(
        &mut self,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Option<Result<(), Error>> {
        loop {
            if let Some(list) = &mut self.list {
                match list.read(type_name, read) {
                    Some(Ok(())) => return Some(Ok(())),
                    Some(Err(error)) => {
                        self.list = None;
                        return Some(Err(error));
                    }
                    None => self.list = None,
                }
            }
            match self.ready.pop_front() {
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(frame)) if self.lists => self.list = Some(EncodedList::of(frame)),
                Some(Ok(frame)) => return Some(read_frame(&frame, type_name, read)),
                None if self.failed
                    || self.finished.as_ref().is_some_and(FinishedCounts::is_over) =>
                {
                    return None;
                }
                None => {
                    if let Err(error) = self.advance() {
                        self.failed = true;
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

impl ArrivalsState {
    /// Takes the tasks that have ended; waits for one if there is none.
    fn advance(&mut self) -> Result<(), Error> {
        let finished = match &mut self.finished {
            Some(finished) => finished,
            None => self.finished.insert(FinishedCounts::of(&self.handle)?),
        };
        let ended = match finished.is_over() {
            true => Vec::new(),
            false => finished.next(&self.handle, None)?,
        };
        if !self.ordered {
            // Consecutive tasks are fetched in one request.
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
        let outcomes = self.handle.outcomes(from, to, false)?;
        self.ready.extend(outcomes.into_all());
        Ok(())
    }
}
