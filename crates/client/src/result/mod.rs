//! `AsyncResult`: the records of the tasks of one submission, shared between its handles.

mod compact;
mod event;
mod log;
mod record;
mod selection;
mod task_record;
mod text;

pub use event::{TaskEvent, TaskEventKind};
pub(crate) use log::OutputLog;
pub use record::TaskOutcome;
pub(crate) use record::{ResultRecord, TaskEnd, TaskUpdate};
pub use selection::{SelectedTasks, TaskSelection};
pub(crate) use text::apply_carriage_returns;

use crate::request::{Request, Requests};
use crate::task::{EngineTask, SubmissionId, TaskKey};
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::{AsyncResultSnapshot, TaskStatus};
use phalanx_protocol::id::{EngineId, MsgId};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// The results of a submission, which become available one by one; a handle, cheap to clone.
///
/// Every task ends as completed, failed or aborted. A task's output may arrive after its end, which
/// is the difference between [`wait`](Self::wait) and [`wait_for_output`](Self::wait_for_output).
#[derive(Clone)]
pub struct AsyncResult(Arc<ResultShared>);

struct ResultShared {
    id: SubmissionId,
    len: usize,
    requests: Requests,
    state: Mutex<ResultState>,
    counts: watch::Sender<Counts>,
}

struct ResultState {
    record: ResultRecord,
    /// Unbounded: a subscriber that stops reading must not block the others. The events have passed
    /// the limits on the publications of engines.
    subscribers: Vec<Subscriber>,
}

/// A subscriber to the events of some of the tasks.
struct Subscriber {
    tasks: Range<usize>,
    /// The subscriber's index of the first of them.
    first: usize,
    events: mpsc::UnboundedSender<TaskEvent>,
}

impl Subscriber {
    /// Sends an event; returns false if the receiver has been dropped.
    fn send(&self, event: &TaskEvent) -> bool {
        if !self.tasks.contains(&event.task) {
            return !self.events.is_closed();
        }
        let task = self.first + event.task - self.tasks.start;
        let event = TaskEvent {
            task,
            ..event.clone()
        };
        self.events.send(event).is_ok()
    }
}

/// The number of tasks that have ended, and of those whose output is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    ended: usize,
    settled: usize,
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
        Self(Arc::new(ResultShared {
            id,
            len: record.len(),
            requests,
            state: Mutex::new(ResultState {
                record,
                subscribers: Vec::new(),
            }),
            counts: watch::Sender::new(Counts::default()),
        }))
    }

    /// The id of the submission.
    pub(crate) fn id(&self) -> SubmissionId {
        self.0.id
    }

    /// The name of the function or magic that was run: `%px`, `execute`, …
    pub fn name(&self) -> String {
        self.state().record.name().to_owned()
    }

    /// The number of tasks.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Returns true if it has no tasks.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Returns true once every task has ended.
    pub fn ready(&self) -> bool {
        self.progress() == self.len()
    }

    /// The number of tasks that have ended.
    pub fn progress(&self) -> usize {
        self.0.counts.borrow().ended
    }

    /// The engines of the tasks that have not ended.
    pub fn pending(&self) -> Vec<EngineId> {
        self.state().record.pending_engines().collect()
    }

    /// The tasks for which a predicate of id, engine and completion holds.
    pub fn tasks_where(
        &self,
        holds: impl Fn(&MsgId, Option<EngineId>, bool) -> bool,
    ) -> Vec<(usize, MsgId)> {
        self.state().record.tasks_where(holds)
    }

    /// The current state, without waiting.
    pub fn snapshot(&self) -> AsyncResultSnapshot {
        self.state().record.snapshot(Utc::now())
    }

    /// The time since submission, or the wall time once ready, in seconds.
    pub fn elapsed(&self) -> f64 {
        self.state().record.elapsed(Utc::now())
    }

    /// The time from submission to the receipt of the latest result, in seconds.
    pub fn wall_time(&self) -> f64 {
        self.state().record.wall_time()
    }

    /// The sum of the engines' computing times for finished tasks, in seconds.
    pub fn serial_time(&self) -> f64 {
        self.state().record.serial_time()
    }

    /// The outcomes of these tasks; `None` for pending ones. The first byte of a value determines
    /// its format (`phalanx_protocol::native::value`).
    pub fn outcomes(&self, tasks: std::ops::Range<usize>) -> Vec<Option<TaskOutcome>> {
        self.state().record.outcomes(tasks)
    }

    /// Waits until more than `seen` tasks have ended, or all; returns the additional ones, in the
    /// order in which they ended, or an empty list after the timeout.
    pub async fn ended_since(&self, seen: usize, timeout: Option<Duration>) -> Vec<usize> {
        let len = self.len();
        self.wait_until(timeout, |counts| counts.ended > seen || counts.ended == len)
            .await;
        self.state().record.ended_since(seen).to_vec()
    }

    /// The finished tasks, in the order in which they ended.
    pub fn ended(&self) -> Vec<usize> {
        self.state().record.ended_since(0).to_vec()
    }

    /// The number of tasks that have failed.
    pub fn failed(&self) -> usize {
        self.state().record.failed()
    }

    /// The ids of the tasks that were sent, and whether each has ended.
    pub fn ids(&self) -> Vec<(MsgId, bool)> {
        self.state().record.ids()
    }

    /// The approximate memory use in bytes, mostly of the values of functions.
    pub fn bytes(&self) -> usize {
        self.state().record.bytes()
    }

    /// The failures so far as one: `Remote` for a single failure, `Composite` for several.
    pub fn failure(&self) -> Option<Failure> {
        let state = self.state();
        Failure::composite(state.record.name(), state.record.failures())
    }

    /// The failures so far, in the order of the tasks.
    pub fn failures(&self) -> Vec<RemoteFailure> {
        self.state().record.failures()
    }

    /// The engines of all tasks, in task order.
    pub fn engines(&self) -> Vec<EngineId> {
        self.state().record.engines().collect()
    }

    /// Waits until every task has ended, at most for `timeout`; returns true if all have.
    pub async fn wait(&self, timeout: Option<Duration>) -> bool {
        let len = self.len();
        self.wait_until(timeout, |counts| counts.ended == len).await
    }

    /// Waits until every task has ended and its output has arrived, at most for `timeout`; returns
    /// true if all has arrived.
    pub async fn wait_for_output(&self, timeout: Option<Duration>) -> bool {
        let len = self.len();
        self.wait_until(timeout, |counts| counts.settled == len)
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
            .state()
            .record
            .pending()
            .filter(|task| meant(*task))
            .map(|task| TaskKey {
                submission: self.0.id,
                task,
            })
            .collect();
        if keys.is_empty() {
            return Err(AlreadyDone);
        }
        let (done, answered) = oneshot::channel();
        if self.0.requests.send(Request::Abort { keys, done }).is_ok() {
            // An error means that the client has ended, and with it all tasks.
            let _ = answered.await;
        }
        Ok(())
    }

    /// Subscribes to the events of the tasks, starting with past ones; the channel closes once the
    /// output of the last task is complete.
    pub fn events(&self) -> mpsc::UnboundedReceiver<TaskEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribe(0..self.len(), 0, sender);
        receiver
    }

    /// Like [`events`](Self::events), for some of the tasks, the first of which has index `first`
    /// for the subscriber.
    fn subscribe(
        &self,
        tasks: Range<usize>,
        first: usize,
        events: mpsc::UnboundedSender<TaskEvent>,
    ) {
        let subscriber = Subscriber {
            tasks,
            first,
            events,
        };
        let mut state = self.state();
        for event in state.record.replay() {
            // Closed subscribers are removed below.
            let _ = subscriber.send(&event);
        }
        if !state.record.is_settled(&subscriber.tasks) {
            state.subscribers.push(subscriber);
        }
    }

    pub(crate) fn apply(&self, task: usize, update: TaskUpdate) {
        let mut state = self.state();
        let ResultState {
            record,
            subscribers,
        } = &mut *state;
        let settled = record.settled();
        if let Some(event) = record.apply(task, update) {
            subscribers.retain(|subscriber| subscriber.send(&event));
        }
        let counts = Counts {
            ended: record.ended(),
            settled: record.settled(),
        };
        if counts.settled > settled {
            subscribers.retain(|subscriber| !record.is_settled(&subscriber.tasks));
        }
        drop(state);
        self.0.counts.send_if_modified(|known| {
            let changed = *known != counts;
            *known = counts;
            changed
        });
    }

    /// Returns true once every task has ended and its output is complete.
    pub(crate) fn settled(&self) -> bool {
        self.0.counts.borrow().settled == self.len()
    }

    /// Returns true if no other handle exists.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Ends every task in failure, for results without an actor.
    pub(crate) fn fail_all(&self, reason: &str) {
        for task in 0..self.len() {
            let failure = RemoteFailure {
                ename: "EngineError".to_owned(),
                evalue: reason.to_owned(),
                traceback: Vec::new(),
                engine: None,
                msg_id: None,
                method: "execute".to_owned(),
            };
            self.fail(task, failure);
        }
    }

    /// Ends a task in failure, for results without an actor.
    pub(crate) fn fail(&self, task: usize, failure: RemoteFailure) {
        let end = TaskEnd {
            status: TaskStatus::Error,
            failure: Some(failure),
            execution_count: None,
            value: None,
            started: None,
            completed: None,
            received: Utc::now(),
            state: None,
        };
        self.apply(task, TaskUpdate::Ended(Box::new(end)));
        self.apply(task, TaskUpdate::OutputDone);
    }

    async fn wait_until(&self, timeout: Option<Duration>, done: impl Fn(&Counts) -> bool) -> bool {
        let mut counts = self.0.counts.subscribe();
        // The sender lives as long as `self`, so that waiting ends only when the condition holds.
        let wait = async { counts.wait_for(|counts| done(counts)).await.is_ok() };
        match timeout {
            None => wait.await,
            Some(timeout) => tokio::time::timeout(timeout, wait).await.unwrap_or(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, ResultState> {
        // The record is consistent after every statement, so a panic of another holder does no
        // harm.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AsyncResult {
    /// Formats as ipyparallel does: `<AsyncResult(%px): pending>`, `finished` or `failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match (self.ready(), self.failure().is_some()) {
            (false, _) => "pending",
            (true, false) => "finished",
            (true, true) => "failed",
        };
        write!(f, "<AsyncResult({}): {status}>", self.name())
    }
}
