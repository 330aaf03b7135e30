//! What an AsyncResult tells whatever its tasks yield: waiting, timing, metadata, outputs.

use crate::error::Error;
use crate::host;
use crate::progress::Bar;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::{
    AsyncResultQuery, AsyncResultSnapshot, GroupBy, HostReply, HostRequest, Progress, TaskMetadata,
    TaskRange, TaskSnapshot,
};
use phalanx_protocol::id::{AsyncResultId, EngineId, EngineUuid, MsgId};
use phalanx_protocol::output::Display;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Least time between two looks at tasks that are waited for.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// The outputs a task has shown: its displays, in order.
pub type Outputs = Vec<Display>;

/// Everything of an AsyncResult that does not depend on what its tasks yield.
#[derive(Clone, PartialEq, Eq)]
pub struct AsyncResultHandle {
    /// Ranges of tasks of AsyncResults of the kernel: one, unless it was joined or split.
    ranges: Arc<[TaskRange]>,
}

/// Streams outputs until it is dropped.
#[derive(Debug)]
pub struct StreamedOutput {
    worker: Option<std::thread::JoinHandle<()>>,
}

impl Drop for StreamedOutput {
    /// Waits until all output of the tasks is shown.
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has shown nothing more.
            let _ = worker.join();
        }
    }
}

impl AsyncResultHandle {
    pub(super) fn new(id: AsyncResultId) -> Self {
        let all = TaskRange {
            id,
            from: 0,
            to: usize::MAX,
        };
        Self {
            ranges: Arc::new([all]),
        }
    }

    pub(crate) fn of_ranges(ranges: Vec<TaskRange>) -> Self {
        Self {
            ranges: ranges.into(),
        }
    }

    /// What was run: `%px`, the name of a function, …
    pub fn name(&self) -> String {
        self.progresses().map_or_else(
            |_| String::new(),
            |progress| {
                progress
                    .into_iter()
                    .next()
                    .map_or_else(String::new, |p| p.name)
            },
        )
    }

    /// Whether every task is done, well or not.
    pub fn ready(&self) -> bool {
        self.counted().is_ok_and(|(ended, _, tasks)| ended == tasks)
    }

    /// Another name of [`ready`](Self::ready), from Python's futures.
    pub fn done(&self) -> bool {
        self.ready()
    }

    /// Whether every task ended well.
    ///
    /// # Errors
    /// When it is not ready.
    pub fn successful(&self) -> Result<bool, Error> {
        let (ended, failed, tasks) = self.counted()?;
        if ended < tasks {
            return Err(Error(Failure::Usage {
                message: "Cannot check successful() if not done.".to_owned(),
                hint: Some("`wait()` first".to_owned()),
            }));
        }
        Ok(failed == 0)
    }

    /// Waits until every task is done.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_for(None, |timeout| AsyncResultQuery::Wait { timeout })
            .map(drop)
    }

    /// Waits until every task is done, or for that long; whether it is ready.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, Error> {
        self.wait_for(Some(timeout), |timeout| AsyncResultQuery::Wait { timeout })
    }

    /// Waits until the output of every task has arrived too, or for that long.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_for_output(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        self.wait_for(timeout, |timeout| AsyncResultQuery::WaitForOutput {
            timeout,
        })
    }

    /// Waits until every task has been sent, or for that long: at once, since what is submitted is
    /// copied.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_for_send(&self, _timeout: Option<Duration>) -> Result<bool, Error> {
        self.counted().map(|_| true)
    }

    /// Whether every task has been sent.
    pub fn sent(&self) -> bool {
        true
    }

    /// Waits with a bar that shows in place how much is done.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_interactive(&self) -> Result<bool, Error> {
        self.wait_interactive_for(Duration::from_millis(100), None)
    }

    /// The same, with the time between updates and the time to wait at most.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn wait_interactive_for(
        &self,
        interval: Duration,
        timeout: Option<Duration>,
    ) -> Result<bool, Error> {
        if self.ranges.len() > 1 {
            return self.wait_joined(interval, timeout);
        }
        let interval = interval.as_secs_f64();
        self.wait_for(timeout, |timeout| AsyncResultQuery::WaitInteractive {
            interval,
            timeout,
        })
    }

    /// Waits for what was joined, with one bar over all of it.
    fn wait_joined(&self, interval: Duration, timeout: Option<Duration>) -> Result<bool, Error> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut bar = Bar::new(Some(self.len()));
        bar.begin();
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let pause = interval.max(LEAST_INTERVAL);
            let pause = left.map_or(pause, |left| left.min(pause));
            let is_ready = self.wait_timeout(pause)?;
            bar.reach(self.progress());
            if is_ready || left.is_some_and(|left| left.is_zero()) {
                return Ok(is_ready);
            }
        }
    }

    /// How many items are done: calls, or the items of a map.
    pub fn progress(&self) -> usize {
        self.sum(|progress| progress.items_ended)
    }

    /// How many items there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always a task")]
    pub fn len(&self) -> usize {
        self.sum(|progress| progress.items)
    }

    /// How many tasks there are.
    pub fn tasks(&self) -> usize {
        self.sum(|progress| progress.tasks)
    }

    /// Time since submission; once ready, the [`wall_time`](Self::wall_time).
    pub fn elapsed(&self) -> Duration {
        let longest = |all: Vec<Progress>| all.iter().map(|p| p.elapsed).fold(0.0, f64::max);
        seconds(self.progresses().map_or(0.0, longest))
    }

    /// Time from the first submission to the last reply.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn wall_time(&self) -> Result<Duration, Error> {
        self.timedelta(|task| task.submitted, |task| task.received)
    }

    /// Time all engines together spent computing; divided by the wall time, the speed-up.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn serial_time(&self) -> Result<Duration, Error> {
        let times = self
            .when_ready()?
            .into_iter()
            .filter_map(|metadata| (metadata.completed? - metadata.started?).to_std().ok());
        Ok(times.sum())
    }

    /// Time from the earliest of one moment to the latest of another:
    /// `ar.timedelta(|task| task.started, |task| task.completed)?`.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn timedelta(
        &self,
        start: impl Fn(&TaskMetadata) -> Option<DateTime<Utc>>,
        end: impl Fn(&TaskMetadata) -> Option<DateTime<Utc>>,
    ) -> Result<Duration, Error> {
        let tasks = self.when_ready()?;
        let first = tasks.iter().filter_map(start).min();
        let last = tasks.iter().filter_map(end).max();
        let between = first
            .zip(last)
            .and_then(|(first, last)| (last - first).to_std().ok());
        Ok(between.unwrap_or_default())
    }

    /// Everything known of each task: ids, timestamps, status, outputs.
    pub fn metadata(&self) -> Vec<TaskMetadata> {
        self.each(|task| task.metadata.clone())
    }

    /// What each task printed on stdout.
    pub fn stdout(&self) -> Vec<String> {
        self.each(|task| task.metadata.stdout.clone())
    }

    /// What each task printed on stderr.
    pub fn stderr(&self) -> Vec<String> {
        self.each(|task| task.metadata.stderr.clone())
    }

    /// What each task has shown.
    pub fn outputs(&self) -> Vec<Outputs> {
        self.each(|task| task.metadata.outputs.clone())
    }

    /// The engine of each task; `None` while the scheduler has not chosen it.
    pub fn engine_ids(&self) -> Vec<Option<EngineId>> {
        self.each(|task| task.metadata.engine_id)
    }

    /// Another name of [`engine_ids`](Self::engine_ids), which is ipyparallel's.
    pub fn engine_id(&self) -> Vec<Option<EngineId>> {
        self.engine_ids()
    }

    /// The routing identity of each task's engine.
    pub fn engine_uuid(&self) -> Vec<Option<EngineUuid>> {
        self.each(|task| task.metadata.engine_uuid.clone())
    }

    /// The message id of each task.
    pub fn msg_ids(&self) -> Vec<MsgId> {
        self.each(|task| task.metadata.msg_id.clone())
            .into_iter()
            .flatten()
            .collect()
    }

    /// The latest values that each task has published by [`publish_data`](crate::publish_data), as
    /// JSON, by name.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn data(&self) -> Vec<BTreeMap<String, serde_json::Value>> {
        self.each(|task| task.metadata.data.clone())
    }

    /// Whether this session submitted the tasks.
    pub fn owner(&self) -> bool {
        true
    }

    /// Drops the tasks that have not begun; one that is running goes on.
    ///
    /// # Errors
    /// When it is done already, or the kernel does not answer.
    pub fn abort(&self) -> Result<(), Error> {
        if self.ready() {
            return Err(Error(Failure::Usage {
                message: "Can't abort, I am already done!".to_owned(),
                hint: None,
            }));
        }
        for range in self.ranges.iter() {
            self.done_after(range.id, AsyncResultQuery::Abort)?;
        }
        Ok(())
    }

    /// Shows all outputs under the current cell: stdout, stderr, displays and results, as
    /// `%pxresult` does.
    ///
    /// # Errors
    /// `TimeoutError` when it is not ready.
    pub fn display_outputs(&self, group_by: GroupBy) -> Result<(), Error> {
        self.when_ready()?;
        for range in self.ranges.iter() {
            let query = AsyncResultQuery::DisplayOutputs {
                group_by,
                result_only: false,
            };
            self.done_after(range.id, query)?;
        }
        Ok(())
    }

    /// Shows outputs under the current cell as they arrive, first what has arrived; until all are
    /// here. Dropping what this returns waits for that.
    pub fn stream_output(&self) -> StreamedOutput {
        let handle = self.clone();
        let worker = std::thread::spawn(move || {
            for range in handle.ranges.iter() {
                // Nobody hears why it broke off; the outputs are kept and can be displayed.
                let _ = handle.done_after(range.id, AsyncResultQuery::StreamOutput);
            }
        });
        StreamedOutput {
            worker: Some(worker),
        }
    }

    pub(super) fn split(&self) -> Result<Vec<Self>, Error> {
        let mut parts = Vec::new();
        for range in self.ranges_now()? {
            for task in range.from..range.to {
                let one = TaskRange {
                    from: task,
                    to: task + 1,
                    ..range
                };
                parts.push(Self {
                    ranges: Arc::new([one]),
                });
            }
        }
        Ok(parts)
    }

    pub(super) fn join(parts: &[Self]) -> Result<Self, Error> {
        let mut ranges = Vec::new();
        for part in parts {
            ranges.extend(part.ranges_now()?);
        }
        if ranges.is_empty() {
            return Err(Error(Failure::Usage {
                message: "there is nothing to join".to_owned(),
                hint: None,
            }));
        }
        Ok(Self {
            ranges: ranges.into(),
        })
    }

    /// The ranges, their ends known.
    fn ranges_now(&self) -> Result<Vec<TaskRange>, Error> {
        let all = self.ranges.iter().zip(self.progresses_of_all()?);
        Ok(all
            .map(|(range, progress)| TaskRange {
                to: range.to.min(progress.tasks),
                ..*range
            })
            .collect())
    }

    /// Where tasks `from` to `to` of this are.
    pub(super) fn parts(&self, from: usize, to: usize) -> Vec<TaskRange> {
        if let [range] = *self.ranges {
            return vec![TaskRange {
                id: range.id,
                from: range.from + from,
                to: range.to.min(range.from.saturating_add(to)),
            }];
        }
        let mut parts = Vec::new();
        let mut before = 0;
        for range in self.ranges.iter() {
            let length = range.to - range.from;
            let (start, end) = (from.max(before), to.min(before + length));
            if start < end {
                parts.push(TaskRange {
                    id: range.id,
                    from: range.from + start - before,
                    to: range.from + end - before,
                });
            }
            before += length;
        }
        parts
    }

    /// The tasks that have ended after the first `seen`, in the order of their ends; waits for one.
    pub(super) fn next_ended(&self, seen: usize) -> Result<Vec<usize>, Error> {
        if let [
            TaskRange {
                id,
                from: 0,
                to: usize::MAX,
            },
        ] = *self.ranges
        {
            let timeout = None;
            let query = AsyncResultQuery::Next { seen, timeout };
            return match self.ask(id, query)? {
                HostReply::Ended(ended) => Ok(ended),
                other => Err(host::unexpected(&other)),
            };
        }
        // Parts of several: in the order of tasks, one after the other.
        let mut before = 0;
        for range in self.ranges.iter() {
            let length = range.to - range.from;
            if seen < before + length {
                let task = range.from + seen - before;
                let mut known = 0;
                loop {
                    let query = AsyncResultQuery::Next {
                        seen: known,
                        timeout: None,
                    };
                    let ended = match self.ask(range.id, query)? {
                        HostReply::Ended(ended) => ended,
                        other => return Err(host::unexpected(&other)),
                    };
                    if ended.contains(&task) {
                        return Ok(vec![seen]);
                    }
                    known += ended.len();
                }
            }
            before += length;
        }
        Ok(Vec::new())
    }

    pub(super) fn describe(&self, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok((ended, failed, tasks)) = self.counted() else {
            return write!(f, "<{kind}>");
        };
        let state = match (ended == tasks, failed) {
            (false, _) => "pending",
            (true, 0) => "finished",
            (true, _) => "failed",
        };
        write!(f, "<{kind}({}): {state}>", self.name())
    }

    fn each<T>(&self, mut f: impl FnMut(&TaskSnapshot) -> T) -> Vec<T> {
        let mut all = Vec::new();
        for range in self.ranges.iter() {
            if let Ok(snapshot) = self.snapshot(range.id) {
                let to = range.to.min(snapshot.tasks.len());
                all.extend(snapshot.tasks[range.from.min(to)..to].iter().map(&mut f));
            }
        }
        all
    }

    fn snapshot(&self, id: AsyncResultId) -> Result<AsyncResultSnapshot, Error> {
        match self.ask(id, AsyncResultQuery::Snapshot)? {
            HostReply::Snapshot(snapshot) => Ok(*snapshot),
            other => Err(host::unexpected(&other)),
        }
    }

    fn when_ready(&self) -> Result<Vec<TaskMetadata>, Error> {
        if self.ready() {
            Ok(self.metadata())
        } else {
            Err(not_ready())
        }
    }

    /// Whether all of it is one AsyncResult of the kernel.
    fn is_whole(&self) -> bool {
        matches!(
            *self.ranges,
            [TaskRange {
                from: 0,
                to: usize::MAX,
                ..
            }]
        )
    }

    fn progresses_of_all(&self) -> Result<Vec<Progress>, Error> {
        let progress = |range: &TaskRange| match self.ask(range.id, AsyncResultQuery::Progress)? {
            HostReply::Progress(progress) => Ok(progress),
            other => Err(host::unexpected(&other)),
        };
        self.ranges.iter().map(progress).collect()
    }

    /// How far each range is.
    fn progresses(&self) -> Result<Vec<Progress>, Error> {
        if self.is_whole() {
            return self.progresses_of_all();
        }
        let mut all = Vec::new();
        for (range, whole) in self.ranges.iter().zip(self.progresses_of_all()?) {
            let snapshot = self.snapshot(range.id)?;
            let to = range.to.min(snapshot.tasks.len());
            let tasks = &snapshot.tasks[range.from.min(to)..to];
            let ended = tasks.iter().filter(|task| task.result.is_some()).count();
            let failed = tasks
                .iter()
                .filter(|task| matches!(task.result, Some(Err(_))));
            all.push(Progress {
                tasks: tasks.len(),
                ended,
                failed: failed.count(),
                items: tasks.len(),
                items_ended: ended,
                ..whole
            });
        }
        Ok(all)
    }

    /// How many tasks have ended, failed, and are there at all.
    fn counted(&self) -> Result<(usize, usize, usize), Error> {
        let all = self.progresses()?;
        Ok(all.iter().fold((0, 0, 0), |sum, progress| {
            (
                sum.0 + progress.ended,
                sum.1 + progress.failed,
                sum.2 + progress.tasks,
            )
        }))
    }

    fn sum(&self, count: impl Fn(&Progress) -> usize) -> usize {
        self.progresses()
            .map_or(0, |all| all.iter().map(count).sum())
    }

    fn wait_for(
        &self,
        timeout: Option<Duration>,
        query: impl Fn(Option<f64>) -> AsyncResultQuery,
    ) -> Result<bool, Error> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        for range in self.ranges.iter() {
            let left = until.map(|at| at.saturating_duration_since(Instant::now()));
            let left = left.map(|left| left.as_secs_f64());
            match self.ask(range.id, query(left))? {
                HostReply::Ready(true) => {}
                HostReply::Ready(false) => return Ok(false),
                other => return Err(host::unexpected(&other)),
            }
        }
        Ok(true)
    }

    fn done_after(&self, id: AsyncResultId, query: AsyncResultQuery) -> Result<(), Error> {
        match self.ask(id, query)? {
            HostReply::Done => Ok(()),
            other => Err(host::unexpected(&other)),
        }
    }

    fn ask(&self, id: AsyncResultId, query: AsyncResultQuery) -> Result<HostReply, Error> {
        host::call(&HostRequest::AsyncResult { id, query })
    }
}

impl fmt::Debug for AsyncResultHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("AsyncResult", f)
    }
}

pub(super) fn not_ready() -> Error {
    Error(Failure::Timeout {
        message: "Result not ready.".to_owned(),
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
