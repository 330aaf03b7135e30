//! Serialized outcomes of tasks: a cell compiles only the deserialization of its values.

use super::Values;
use super::finished::FinishedCounts;
use super::handle::AsyncResultHandle;
use crate::codec::{Read, read_frame, read_list};
use crate::error::{Error, LibraryError};
use crate::host::{self, Frame};
use crate::opaque::opaque;
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::{AsyncResultQuery, HostReply};
use phalanx_protocol::id::EngineId;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;

opaque! {
    /// The outcome of each of several tasks: a value or a failure.
    #[doc(hidden)]
    pub struct Outcomes of VecDeque<Result<Frame, Error>>
}

opaque! {
    /// The values of several tasks, none of which failed.
    #[doc(hidden)]
    pub struct Successes of Vec<Frame>
}

impl Outcomes {
    /// Combines the kernel's reply with its raw frames.
    pub(crate) fn of(values: Values, frames: Vec<Frame>) -> Self {
        let outcome = |(value, frame)| match value {
            None => Err(LibraryError::NotReady.into()),
            Some(Err(failure)) => Err(Error::new(Failure::Remote(Box::new(failure)))),
            Some(Ok(_)) => Ok(frame),
        };
        Self::wrap(values.into_iter().zip(frames).map(outcome).collect())
    }

    pub(super) fn into_all(self) -> VecDeque<Result<Frame, Error>> {
        self.into_content()
    }

    /// Reads the next outcome, if there is one.
    #[inline(never)]
    pub(crate) fn read(
        &mut self,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Option<Result<(), Error>> {
        let frame = self.pop_front()?;
        Some(frame.and_then(|frame| read_frame(&frame, type_name, read)))
    }

    /// Returns all values, or the failures as one error that is named after the call.
    pub(crate) fn successes(self, name: impl FnOnce() -> String) -> Result<Successes, Error> {
        let mut frames = Vec::new();
        let mut failures = Vec::<RemoteFailure>::new();
        for outcome in self.into_content() {
            match outcome.map_err(Error::into_failure) {
                Ok(frame) => frames.push(frame),
                Err(Failure::Remote(failure)) => failures.push(*failure),
                Err(failure) => return Err(Error::new(failure)),
            }
        }
        match failures.len() {
            0 => Ok(Successes::wrap(frames)),
            1 => Err(Error::new(Failure::Remote(Box::new(failures.remove(0))))),
            _ => Err(Error::new(Failure::Composite {
                message: name(),
                failures,
            })),
        }
    }
}

impl Successes {
    /// Reads every value.
    #[inline(never)]
    pub(crate) fn read(
        values: Result<Self, Error>,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Result<(), Error> {
        let values = values?;
        let mut frames = values.iter();
        frames.try_for_each(|frame| read_frame(frame, type_name, read))
    }

    /// Reads every item of every list.
    #[inline(never)]
    pub(crate) fn read_items(
        values: Result<Self, Error>,
        type_name: &str,
        read: &mut Read<'_>,
    ) -> Result<(), Error> {
        let values = values?;
        let mut frames = values.iter();
        frames.try_for_each(|frame| read_list(frame, type_name, read))
    }
}

impl AsyncResultHandle {
    /// Returns the outcomes of a range of tasks; with `wait`, once all have ended.
    #[inline(never)]
    pub(super) fn outcomes(&self, from: usize, to: usize, wait: bool) -> Result<Outcomes, Error> {
        let request = self.request(AsyncResultQuery::Values { from, to, wait });
        match host::call_with(&request, &[])? {
            (HostReply::Values(values), frames) => Ok(Outcomes::of(values, frames)),
            (other, _) => Err(host::unexpected(&other)),
        }
    }

    /// Waits for the values of all tasks, or their failures as one error.
    #[inline(never)]
    pub(crate) fn successes(&self) -> Result<Successes, Error> {
        let outcomes = self.outcomes(0, usize::MAX, true)?;
        outcomes.successes(|| self.name())
    }

    /// Like [`successes`](Self::successes), with a timeout.
    #[inline(never)]
    pub(super) fn successes_within(&self, timeout: Duration) -> Result<Successes, Error> {
        match self.wait_timeout(timeout)? {
            true => self.successes(),
            false => Err(LibraryError::NotReady.into()),
        }
    }

    /// Like [`successes`](Self::successes), but returns as soon as a task has failed.
    #[inline(never)]
    pub(super) fn successes_unless_one_fails(&self) -> Result<Successes, Error> {
        let mut counts = FinishedCounts::of(self)?;
        while !counts.is_over() {
            for task in counts.next(self, None)? {
                if let Some(Err(error)) = self.outcomes(task, task + 1, false)?.pop_back() {
                    return Err(error);
                }
            }
        }
        self.successes()
    }

    /// Waits for the outcomes of all tasks, each of which ran on an engine of its own.
    #[inline(never)]
    pub(super) fn successes_by_engine(&self) -> Result<(Vec<EngineId>, Outcomes), Error> {
        let frames = self.successes()?.into_content();
        let engines = self.engine_ids();
        let mut known = Vec::new();
        let mut values = VecDeque::new();
        let mut seen = HashSet::new();
        for (engine, frame) in engines.iter().zip(frames) {
            let Some(engine) = *engine else { continue };
            if !seen.insert(engine) {
                let tasks = engines.iter().filter(|id| **id == Some(engine)).count();
                return Err(LibraryError::SeveralTasks { engine, tasks }.into());
            }
            known.push(engine);
            values.push_back(Ok(frame));
        }
        Ok((known, Outcomes::wrap(values)))
    }

    /// Returns the outcome of one task.
    #[inline(never)]
    pub(super) fn outcome(&self, task: usize) -> Result<Outcomes, Error> {
        let mut outcomes = self.outcomes(task, task + 1, false)?;
        if outcomes.is_empty() {
            let tasks = self.tasks();
            outcomes.push_back(Err(LibraryError::NoTask { task, tasks }.into()));
        }
        Ok(outcomes)
    }
}

/// Returns the internal error for a missing value. Not inline: callers are compiled with each cell.
#[cold]
pub(crate) fn no_task() -> Error {
    LibraryError::NoTasks.into()
}
