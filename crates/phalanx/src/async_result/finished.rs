//! Tasks in the order in which they end.

use super::AsyncResultHandle;
use super::handle::ReturnWhen;
use super::parts::Parts;
use crate::Error;
use phalanx_protocol::host::TaskRange;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The number of tasks known to have ended, range by range.
pub(super) struct FinishedCounts {
    /// One past the last task of each range, counted over all ranges.
    to: Vec<usize>,
    finished: Vec<usize>,
}

impl FinishedCounts {
    /// Starts with no finished tasks.
    pub(super) fn of(handle: &AsyncResultHandle) -> Result<Self, Error> {
        let ranges = handle.ranges_now()?;
        let to = ranges.iter().scan(0, |to, range: &TaskRange| {
            *to += range.to - range.from;
            Some(*to)
        });
        Ok(Self {
            to: to.collect(),
            finished: vec![0; ranges.len()],
        })
    }

    /// Returns true once all tasks are known to have ended.
    pub(super) fn is_over(&self) -> bool {
        self.finished.iter().sum::<usize>() >= self.to.last().copied().unwrap_or_default()
    }

    /// Returns the tasks that have ended since the last call; waits for one, at most for `timeout`.
    pub(super) fn next(
        &mut self,
        handle: &AsyncResultHandle,
        timeout: Option<Duration>,
    ) -> Result<Vec<usize>, Error> {
        let ended = handle.next_ended(&self.finished, timeout)?;
        for task in &ended {
            let range = self.to.partition_point(|to| to <= task);
            if let Some(count) = self.finished.get_mut(range) {
                *count += 1;
            }
        }
        Ok(ended)
    }
}

/// Waits, at most for `timeout`, until the condition holds; returns the finished and the pending
/// tasks.
#[inline(never)]
pub(super) fn wait_when(
    handle: &AsyncResultHandle,
    when: ReturnWhen,
    timeout: Option<Duration>,
) -> Result<(Parts, Parts), Error> {
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut counts = FinishedCounts::of(handle)?;
    let mut ended = HashSet::new();
    while !counts.is_over() {
        let remaining = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let now = counts.next(handle, remaining)?;
        let is_late = now.is_empty();
        ended.extend(now);
        let is_enough = match when {
            ReturnWhen::AllCompleted => false,
            ReturnWhen::FirstCompleted => true,
            ReturnWhen::FirstException => handle.has_failed()?,
        };
        if is_late || is_enough {
            break;
        }
    }
    let all = handle.split()?.into_iter().enumerate();
    let (done, pending): (Vec<_>, Vec<_>) = all.partition(|(task, _)| ended.contains(task));
    let handles = |tasks: Vec<(usize, AsyncResultHandle)>| {
        Parts::of(tasks.into_iter().map(|(_, one)| one).collect())
    };
    Ok((handles(done), handles(pending)))
}
