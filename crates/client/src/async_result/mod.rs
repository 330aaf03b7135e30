//! `AsyncResult`: a handle on the tasks of one submission.

mod selection;

pub use selection::{SelectedTasks, TaskSelection};

use crate::request::{HandleRequest, Requests};
use crate::result::{ResultRecord, ResultTracker, TaskEvent, TaskOutcome};
use crate::task::{EngineTask, SubmissionId, TaskKey};
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::AsyncResultSnapshot;
use phalanx_protocol::id::{EngineId, MsgId};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The results of a submission, which become available one by one; a handle, cheap to clone.
///
/// Every task ends as completed, failed or aborted. A task's output may arrive after its end, which
/// is the difference between [`wait`](Self::wait) and [`wait_for_output`](Self::wait_for_output).
#[derive(Clone)]
pub struct AsyncResult {
    tracker: Arc<ResultTracker>,
    requests: Requests,
}

/// The error of aborting an AsyncResult whose tasks have all ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("can't abort, every task is already done")]
pub struct AlreadyDone;

impl AsyncResult {
    pub(crate) fn new(
        id: SubmissionId,
        name: String,
        tasks: &[EngineTask],
        submitted: DateTime<Utc>,
        requests: Requests,
    ) -> Self {
        Self::of(id, ResultRecord::new(name, tasks, submitted), requests)
    }

    pub(crate) fn unsubmitted(
        id: SubmissionId,
        name: String,
        tasks: usize,
        requests: Requests,
    ) -> Self {
        Self::of(id, ResultRecord::unsubmitted(name, tasks), requests)
    }

    fn of(id: SubmissionId, record: ResultRecord, requests: Requests) -> Self {
        Self {
            tracker: Arc::new(ResultTracker::new(id, record)),
            requests,
        }
    }

    /// The record that the event loop updates.
    pub(crate) fn tracker(&self) -> &Arc<ResultTracker> {
        &self.tracker
    }

    /// The name of the function or magic that was run: `%px`, `execute`, …
    pub fn name(&self) -> String {
        self.tracker.state().record.name().to_owned()
    }

    /// The number of tasks.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Returns true if it has no tasks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true once every task has ended.
    pub fn ready(&self) -> bool {
        self.progress() == self.len()
    }

    /// The number of tasks that have ended.
    pub fn progress(&self) -> usize {
        self.tracker.progress()
    }

    /// The engines of the tasks that have not ended.
    pub fn pending(&self) -> Vec<EngineId> {
        self.tracker.state().record.pending_engines().collect()
    }

    /// Returns true if a cell has neither ended nor, as far as its engine has published, begun.
    pub fn is_waiting(&self) -> bool {
        self.tracker.state().record.is_waiting()
    }

    /// The tasks for which a predicate of id, engine and completion holds.
    pub fn tasks_where(
        &self,
        holds: impl Fn(&MsgId, Option<EngineId>, bool) -> bool,
    ) -> Vec<(usize, MsgId)> {
        self.tracker.state().record.tasks_where(holds)
    }

    /// The current state, without waiting.
    pub fn snapshot(&self) -> AsyncResultSnapshot {
        self.tracker.state().record.snapshot(Utc::now())
    }

    /// The time since submission, or the wall time once ready, in seconds.
    pub fn elapsed(&self) -> f64 {
        self.tracker.state().record.elapsed(Utc::now())
    }

    /// The time from submission to the receipt of the latest result, in seconds.
    pub fn wall_time(&self) -> f64 {
        self.tracker.state().record.wall_time()
    }

    /// The sum of the engines' computing times for finished tasks, in seconds.
    pub fn serial_time(&self) -> f64 {
        self.tracker.state().record.serial_time()
    }

    /// The outcomes of these tasks; `None` for pending ones. The first byte of a value determines
    /// its format (`phalanx_protocol::native::value`).
    pub fn outcomes(&self, tasks: Range<usize>) -> Vec<Option<TaskOutcome>> {
        self.tracker.state().record.outcomes(tasks)
    }

    /// Waits until more than `seen` tasks have ended, or all; returns the additional ones, in the
    /// order in which they ended, or an empty list after the timeout.
    pub async fn ended_since(&self, seen: usize, timeout: Option<Duration>) -> Vec<usize> {
        let len = self.len();
        self.tracker
            .wait_until(timeout, |counts| counts.ended > seen || counts.ended == len)
            .await;
        self.tracker.state().record.ended_since(seen).to_vec()
    }

    /// The finished tasks, in the order in which they ended.
    pub fn ended(&self) -> Vec<usize> {
        self.tracker.state().record.ended_since(0).to_vec()
    }

    /// The number of tasks that have failed.
    pub fn failed(&self) -> usize {
        self.tracker.state().record.failed()
    }

    /// The ids of the tasks that were sent, and whether each has ended.
    pub fn ids(&self) -> Vec<(MsgId, bool)> {
        self.tracker.state().record.ids()
    }

    /// The approximate memory use in bytes, mostly of the values of functions.
    pub fn bytes(&self) -> usize {
        self.tracker.state().record.bytes()
    }

    /// The failures so far as one: `Remote` for a single failure, `Composite` for several.
    pub fn failure(&self) -> Option<Failure> {
        self.tracker.failure()
    }

    /// The failures so far, in the order of the tasks.
    pub fn failures(&self) -> Vec<RemoteFailure> {
        self.tracker.state().record.failures()
    }

    /// The engines of all tasks, in task order.
    pub fn engines(&self) -> Vec<EngineId> {
        self.tracker.state().record.engines().collect()
    }

    /// Waits until every task has ended, at most for `timeout`; returns true if all have.
    pub async fn wait(&self, timeout: Option<Duration>) -> bool {
        let len = self.len();
        self.tracker
            .wait_until(timeout, |counts| counts.ended == len)
            .await
    }

    /// Waits until every task has ended and its output has arrived, at most for `timeout`; returns
    /// true if all has arrived.
    pub async fn wait_for_output(&self, timeout: Option<Duration>) -> bool {
        let len = self.len();
        self.tracker
            .wait_until(timeout, |counts| counts.settled == len)
            .await
    }

    /// Aborts the tasks that have not started. Returns once every engine has replied. Running tasks
    /// are not stopped.
    ///
    /// # Errors
    /// [`AlreadyDone`] if every task has ended.
    pub async fn abort(&self) -> Result<(), AlreadyDone> {
        self.abort_tasks(|_| true).await
    }

    /// Like [`abort`](Self::abort), for some of the tasks.
    async fn abort_tasks(&self, meant: impl Fn(usize) -> bool) -> Result<(), AlreadyDone> {
        let keys: Vec<_> = self
            .tracker
            .state()
            .record
            .pending()
            .filter(|task| meant(*task))
            .map(|task| TaskKey {
                submission: self.tracker.id(),
                task,
            })
            .collect();
        if keys.is_empty() {
            return Err(AlreadyDone);
        }
        let (done, replied) = oneshot::channel();
        if self
            .requests
            .send(HandleRequest::Abort { keys, done })
            .is_ok()
        {
            // An error means that the client has ended, and with it all tasks.
            let _ = replied.await;
        }
        Ok(())
    }

    /// Subscribes to the events of the tasks, starting with past ones; the channel closes once the
    /// output of the last task is complete.
    pub fn events(&self) -> mpsc::UnboundedReceiver<TaskEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.tracker.subscribe(0..self.len(), 0, sender);
        receiver
    }
}

impl fmt::Debug for AsyncResult {
    /// Formats as ipyparallel does: `<AsyncResult(%px): pending>`, `finished` or `failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.tracker, f)
    }
}
