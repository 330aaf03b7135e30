//! The part of an AsyncResult that does not depend on the type of its values: waiting, timing,
//! metadata, outputs.

use super::named::NamedRanges;
use crate::error::{Error, LibraryError};
use crate::host;
use crate::opaque::opaque;
use chrono::{DateTime, Utc};
use phalanx_protocol::host::{
    AsyncResultQuery, AsyncResultSnapshot, CellRequest, GroupBy, HostReply, HostRequest,
    TaskMetadata, TaskProgress, TaskRange, TaskSnapshot,
};
use phalanx_protocol::id::{AsyncResultId, EngineId, EngineUuid, MsgId};
use phalanx_protocol::output::Display;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The displays of a task, in order; `data` has each by MIME type.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let rc = Client::connect()?;
/// let ar = rc.all().execute(r#"phalanx::html("<b>done</b>")?;"#)?;
/// ar.wait_for_output(None)?;
/// let outputs: Vec<phalanx::Outputs> = ar.outputs();
/// assert!(outputs.iter().all(|displays| displays.len() == 1));
/// # Ok::<(), phalanx::Error>(())
/// ```
pub type Outputs = Vec<Display>;

/// The part of an [`AsyncResult`](super::AsyncResult) that does not depend on the type of its values:
/// waiting, progress, timing, metadata, outputs.
///
/// The result of a map has two counts: [`tasks`](Self::tasks) is the number of messages to engines,
/// each of which may cover several of its [`len`](Self::len) items. Methods that do not return a
/// `Result` return zero, an empty value or `false` if the kernel does not reply.
///
/// ```no_run
/// use phalanx::{AsyncResultHandle, prelude::*};
/// fn report(ar: &AsyncResultHandle) {
///     println!("{}: {} of {} after {:?}", ar.name(), ar.progress(), ar.len(), ar.elapsed());
/// }
/// let ar = Client::connect()?.all().apply_async(|| println!("hi"))?;
/// report(&ar);
/// ar.wait_for_output(None)?;
/// assert!(ar.stdout().iter().all(|text| text == "hi\n"));
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AsyncResultHandle {
    ranges: Ranges,
}

opaque! {
    /// Ranges of tasks of the kernel's AsyncResults: one range, unless several results were joined.
    struct Ranges of Arc<NamedRanges>
}
opaque!(@clone Ranges);

impl PartialEq for Ranges {
    #[inline(never)]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Ranges {}

/// The condition on which [`wait_when`](super::AsyncResult::wait_when) returns, as in Python's
/// `concurrent.futures`.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let lbv = Client::connect()?.load_balanced_view();
/// let ar = lbv.map(|x: u64| 10 / x, 0..4u64).submit()?; // one divides by zero
/// let (done, _) = ar.wait_when(ReturnWhen::FirstException, None)?;
/// assert!(!done.is_empty());
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// Once all tasks have ended.
    #[default]
    AllCompleted,
    /// Once a task has ended.
    FirstCompleted,
    /// Once a task has failed, or all have ended.
    FirstException,
}

/// Shows outputs under the cell as they arrive; made by
/// [`stream_output`](AsyncResultHandle::stream_output). Dropping it waits for the rest.
///
/// ```no_run
/// use phalanx::prelude::*;
/// let ar = Client::connect()?.all().apply_async(|| println!("working"))?;
/// let stream = ar.stream_output(); // the cell goes on meanwhile
/// ar.wait()?;
/// drop(stream);
/// # Ok::<(), phalanx::Error>(())
/// ```
#[derive(Debug)]
pub struct StreamedOutput {
    #[expect(dead_code, reason = "dropping it waits")]
    worker: Worker,
}

opaque! {
    struct Worker of Streaming
}

#[derive(Debug)]
struct Streaming(Option<std::thread::JoinHandle<()>>);

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Drop for Streaming {
    /// Waits until all output of the tasks has been shown.
    fn drop(&mut self) {
        if let Some(worker) = self.0.take() {
            // If the worker panicked, no more output can be shown.
            let _ = worker.join();
        }
    }
}

/// Selects one timestamp of a task.
type TaskTime<'a> = dyn Fn(&TaskMetadata) -> Option<DateTime<Utc>> + 'a;

impl AsyncResultHandle {
    #[inline(never)]
    pub(crate) fn new(id: AsyncResultId) -> Self {
        let all = TaskRange {
            id,
            from: 0,
            to: usize::MAX,
        };
        Self::of_ranges(vec![all])
    }

    #[inline(never)]
    pub(crate) fn of_ranges(ranges: Vec<TaskRange>) -> Self {
        Self {
            ranges: Ranges::wrap(Arc::new(NamedRanges::new(ranges))),
        }
    }

    /// Returns the name of the function or magic that was run: `%px`, …
    pub fn name(&self) -> String {
        self.now().map_or_else(|_| String::new(), |now| now.name)
    }

    /// Returns true once every task has ended, successfully or not.
    pub fn ready(&self) -> bool {
        self.now().is_ok_and(|now| now.ended == now.tasks)
    }

    /// Alias of [`ready`](Self::ready), as in Python's futures.
    pub fn done(&self) -> bool {
        self.ready()
    }

    /// Returns true if every task succeeded.
    ///
    /// # Errors
    /// `UsageError` if a task is not done.
    pub fn successful(&self) -> Result<bool, Error> {
        let now = self.now()?;
        if now.ended < now.tasks {
            return Err(LibraryError::NotDone.into());
        }
        Ok(now.failed == 0)
    }

    /// Waits until every task is done.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait(&self) -> Result<(), Error> {
        self.is_ready_after(AsyncResultQuery::Wait { timeout: None })
            .map(drop)
    }

    /// Waits until every task is done, at most for `timeout`; returns true if all are done.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, Error> {
        self.is_ready_after(AsyncResultQuery::Wait {
            timeout: Some(timeout.as_secs_f64()),
        })
    }

    /// Waits until the output of every task has arrived as well, at most for `timeout`; returns
    /// true if it has.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait_for_output(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        self.is_ready_after(AsyncResultQuery::WaitForOutput {
            timeout: timeout.map(|timeout| timeout.as_secs_f64()),
        })
    }

    /// Returns true immediately: submitting copies the arguments, so every task has been sent.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait_for_send(&self, _timeout: Option<Duration>) -> Result<bool, Error> {
        self.now().map(|_| true)
    }

    /// Returns true once every task has been sent: always, since submitting copies the arguments.
    pub fn sent(&self) -> bool {
        true
    }

    /// Waits with a progress bar, updated in place ten times a second; returns true.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait_interactive(&self) -> Result<bool, Error> {
        self.wait_interactive_for(Duration::from_millis(100), None)
    }

    /// Waits with a progress bar that is updated at `interval`, at most for `timeout`; returns true
    /// if all tasks are done.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn wait_interactive_for(
        &self,
        interval: Duration,
        timeout: Option<Duration>,
    ) -> Result<bool, Error> {
        self.is_ready_after(AsyncResultQuery::WaitInteractive {
            interval: interval.as_secs_f64(),
            timeout: timeout.map(|timeout| timeout.as_secs_f64()),
        })
    }

    /// Returns the number of items that are done: calls, or the items of a map.
    pub fn progress(&self) -> usize {
        self.now().map_or(0, |now| now.items_ended)
    }

    /// Returns the number of items: calls, or the items of a map.
    #[expect(clippy::len_without_is_empty, reason = "there is always a task")]
    pub fn len(&self) -> usize {
        self.now().map_or(0, |now| now.items)
    }

    /// Returns the number of tasks.
    pub fn tasks(&self) -> usize {
        self.now().map_or(0, |now| now.tasks)
    }

    /// Returns the time since submission; once ready, the [`wall_time`](Self::wall_time).
    pub fn elapsed(&self) -> Duration {
        seconds(self.now().map_or(0.0, |now| now.elapsed))
    }

    /// Returns the time from the first submission to the last reply.
    ///
    /// # Errors
    /// `TimeoutError` if a task is not done.
    pub fn wall_time(&self) -> Result<Duration, Error> {
        self.timedelta(|task| task.submitted, |task| task.received)
    }

    /// Returns the sum of the times that engines spent computing; divided by the wall time, it is
    /// the speed-up.
    ///
    /// # Errors
    /// `TimeoutError` if a task is not done.
    pub fn serial_time(&self) -> Result<Duration, Error> {
        let times = self
            .when_ready()?
            .into_iter()
            .filter_map(|metadata| (metadata.completed? - metadata.started?).to_std().ok());
        Ok(times.sum())
    }

    /// Returns the time from the earliest of one timestamp to the latest of another:
    /// `ar.timedelta(|task| task.started, |task| task.completed)?`.
    ///
    /// # Errors
    /// `TimeoutError` if a task is not done.
    pub fn timedelta(
        &self,
        start: impl Fn(&TaskMetadata) -> Option<DateTime<Utc>>,
        end: impl Fn(&TaskMetadata) -> Option<DateTime<Utc>>,
    ) -> Result<Duration, Error> {
        self.between(&start, &end)
    }

    #[inline(never)]
    fn between(&self, start: &TaskTime<'_>, end: &TaskTime<'_>) -> Result<Duration, Error> {
        let tasks = self.when_ready()?;
        let first = tasks.iter().filter_map(start).min();
        let last = tasks.iter().filter_map(end).max();
        let between = first
            .zip(last)
            .and_then(|(first, last)| (last - first).to_std().ok());
        Ok(between.unwrap_or_default())
    }

    /// Returns the record of each task: ids, timestamps, status, outputs.
    pub fn metadata(&self) -> Vec<TaskMetadata> {
        self.each(|task| task.metadata.clone())
    }

    /// Returns the stdout of each task.
    pub fn stdout(&self) -> Vec<String> {
        self.each(|task| task.metadata.stdout.clone())
    }

    /// Returns the stderr of each task.
    pub fn stderr(&self) -> Vec<String> {
        self.each(|task| task.metadata.stderr.clone())
    }

    /// Returns the displays of each task.
    pub fn outputs(&self) -> Vec<Outputs> {
        self.each(|task| task.metadata.outputs.clone())
    }

    /// Returns the engine of each task; `None` while the scheduler has not chosen it.
    pub fn engine_ids(&self) -> Vec<Option<EngineId>> {
        self.each(|task| task.metadata.engine_id)
    }

    /// Alias of [`engine_ids`](Self::engine_ids), as in ipyparallel.
    pub fn engine_id(&self) -> Vec<Option<EngineId>> {
        self.engine_ids()
    }

    /// Returns the routing identity of each task's engine.
    pub fn engine_uuid(&self) -> Vec<Option<EngineUuid>> {
        self.each(|task| task.metadata.engine_uuid.clone())
    }

    /// Returns the message id of each task.
    pub fn msg_ids(&self) -> Vec<MsgId> {
        self.each(|task| task.metadata.msg_id.clone())
            .into_iter()
            .flatten()
            .collect()
    }

    /// Returns the latest value of each name that a task has published with
    /// [`publish_data`](crate::publish_data), as JSON.
    ///
    /// # Errors
    /// `InternalError` if the kernel does not reply.
    pub fn data(&self) -> Vec<BTreeMap<String, serde_json::Value>> {
        self.each(|task| task.metadata.data.clone())
    }

    /// Returns true if this session submitted the tasks: always.
    pub fn owner(&self) -> bool {
        true
    }

    /// Aborts the tasks that have not started; running tasks continue.
    ///
    /// # Errors
    /// `UsageError` if all tasks are done; `InternalError` if the kernel does not reply.
    pub fn abort(&self) -> Result<(), Error> {
        if self.ready() {
            return Err(LibraryError::AlreadyDone.into());
        }
        self.done_after(AsyncResultQuery::Abort)
    }

    /// Shows all outputs under the current cell (stdout, stderr, displays and results), as
    /// `%pxresult` does; grouped by a `GroupBy` such as `GroupBy::Engine`, or by its name,
    /// `"engine"`.
    ///
    /// ```no_run
    /// use phalanx::prelude::*;
    /// let ar = Client::connect()?.all().apply_async(|| println!("hi"))?;
    /// ar.wait_for_output(None)?;
    /// ar.display_outputs("engine")?; // all outputs of an engine, then those of the next
    /// ar.display_outputs("type")?; // all stdout, all stderr, displays, results
    /// ar.display_outputs("order")?; // the first display of every engine, then the second, …
    /// ar.display_outputs(GroupBy::Engine)?;
    /// # Ok::<(), phalanx::Error>(())
    /// ```
    ///
    /// # Errors
    /// `TimeoutError` if a task is not done, `UsageError` if `group_by` is not the name of a
    /// grouping.
    pub fn display_outputs<G>(&self, group_by: G) -> Result<(), Error>
    where
        G: TryInto<GroupBy>,
        Error: From<G::Error>,
    {
        self.display_grouped(group_by.try_into()?)
    }

    fn display_grouped(&self, group_by: GroupBy) -> Result<(), Error> {
        self.when_ready()?;
        self.done_after(AsyncResultQuery::DisplayOutputs {
            group_by,
            result_only: false,
        })
    }

    /// Shows outputs under the current cell: those that have arrived, then the others as they
    /// arrive. Dropping the returned value waits for the last.
    pub fn stream_output(&self) -> StreamedOutput {
        let handle = self.clone();
        let worker = std::thread::spawn(move || {
            // No caller receives the error; the outputs are kept and can be displayed later.
            let _ = handle.done_after(AsyncResultQuery::StreamOutput);
        });
        StreamedOutput {
            worker: Worker::wrap(Streaming(Some(worker))),
        }
    }

    #[inline(never)]
    pub(super) fn split(&self) -> Result<Vec<Self>, Error> {
        let mut parts = Vec::new();
        for range in self.ranges_now()? {
            let one = |task| TaskRange {
                from: task,
                to: task + 1,
                ..range
            };
            parts.extend((range.from..range.to).map(|task| Self::of_ranges(vec![one(task)])));
        }
        Ok(parts)
    }

    pub(crate) fn join(parts: &[Self]) -> Result<Self, Error> {
        let ranges = parts.iter().flat_map(|part| part.ranges.iter());
        let ranges: Vec<TaskRange> = ranges.copied().collect();
        if ranges.is_empty() {
            return Err(LibraryError::NothingToJoin.into());
        }
        Ok(Self::of_ranges(ranges))
    }

    /// Returns the ranges, with their ends resolved.
    pub(super) fn ranges_now(&self) -> Result<Vec<TaskRange>, Error> {
        match self.ask(AsyncResultQuery::Ranges)? {
            HostReply::Tasks(ranges) => Ok(ranges),
            other => Err(host::unexpected(&other)),
        }
    }

    /// Returns the tasks of each range that have ended beyond the first `seen`; waits for one.
    pub(crate) fn next_ended(
        &self,
        finished: &[usize],
        timeout: Option<Duration>,
    ) -> Result<Vec<usize>, Error> {
        let query = AsyncResultQuery::Next {
            seen: finished.to_vec(),
            timeout: timeout.map(|timeout| timeout.as_secs_f64()),
        };
        match self.ask(query)? {
            HostReply::Ended(ended) => Ok(ended),
            other => Err(host::unexpected(&other)),
        }
    }

    pub(super) fn describe(&self, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(now) = self.now() else {
            return write!(f, "<{kind}>");
        };
        let state = match (now.ended == now.tasks, now.failed) {
            (false, _) => "pending",
            (true, 0) => "finished",
            (true, _) => "failed",
        };
        write!(f, "<{kind}({}): {state}>", now.name)
    }

    fn each<T>(&self, f: impl FnMut(&TaskSnapshot) -> T) -> Vec<T> {
        let snapshot = match self.ask(AsyncResultQuery::Snapshot) {
            Ok(HostReply::Snapshot(snapshot)) => *snapshot,
            _ => AsyncResultSnapshot::default(),
        };
        snapshot.tasks.iter().map(f).collect()
    }

    fn when_ready(&self) -> Result<Vec<TaskMetadata>, Error> {
        if self.ready() {
            Ok(self.metadata())
        } else {
            Err(LibraryError::NotReady.into())
        }
    }

    /// Returns true if a task has failed.
    pub(super) fn has_failed(&self) -> Result<bool, Error> {
        Ok(self.now()?.failed > 0)
    }

    /// Requests the progress.
    fn now(&self) -> Result<TaskProgress, Error> {
        match self.ask(AsyncResultQuery::Progress)? {
            HostReply::Progress(progress) => Ok(progress),
            other => Err(host::unexpected(&other)),
        }
    }

    fn is_ready_after(&self, query: AsyncResultQuery) -> Result<bool, Error> {
        match self.ask(query)? {
            HostReply::Ready(ready) => Ok(ready),
            other => Err(host::unexpected(&other)),
        }
    }

    fn done_after(&self, query: AsyncResultQuery) -> Result<(), Error> {
        match self.ask(query)? {
            HostReply::Done => Ok(()),
            other => Err(host::unexpected(&other)),
        }
    }

    fn ask(&self, query: AsyncResultQuery) -> Result<HostReply, Error> {
        host::call(&self.request(query))
    }

    pub(super) fn request(&self, query: AsyncResultQuery) -> HostRequest {
        CellRequest::AsyncResult {
            of: self.ranges.to_vec(),
            query,
        }
        .into()
    }
}

impl fmt::Debug for AsyncResultHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("AsyncResult", f)
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
