//! The shared record of a submission.

use super::{RecordedOutcome, ResultRecord, TaskEvent, TaskUpdate};
use crate::error::TaskError;
use crate::task::SubmissionId;
use chrono::Utc;
use phalanx_protocol::failure::{Failure, RemoteFailure};
use phalanx_protocol::host::TaskStatus;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The record of a submission, which the event loop updates and handles read, and the subscribers
/// to its changes.
pub(crate) struct ResultTracker {
    id: SubmissionId,
    len: usize,
    state: Mutex<ResultState>,
    counts: watch::Sender<Counts>,
}

pub(crate) struct ResultState {
    pub record: ResultRecord,
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
pub(crate) struct Counts {
    pub ended: usize,
    pub settled: usize,
}

impl ResultTracker {
    pub fn new(id: SubmissionId, record: ResultRecord) -> Self {
        Self {
            id,
            len: record.len(),
            state: Mutex::new(ResultState {
                record,
                subscribers: Vec::new(),
            }),
            counts: watch::Sender::new(Counts::default()),
        }
    }

    /// The id of the submission.
    pub fn id(&self) -> SubmissionId {
        self.id
    }

    /// The number of tasks.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if nobody else holds the tracker.
    pub fn is_abandoned(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) == 1
    }

    /// The number of tasks that have ended.
    pub fn progress(&self) -> usize {
        self.counts.borrow().ended
    }

    /// The failures so far as one: `Remote` for a single failure, `Composite` for several.
    pub fn failure(&self) -> Option<Failure> {
        let state = self.state();
        Failure::composite(state.record.name(), state.record.failures())
    }

    /// A receiver that is notified when a task ends or its output is complete.
    pub fn changes(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Sends the events of some of the tasks, starting with past ones; the first task has index
    /// `first` for the subscriber.
    pub fn subscribe(
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

    /// Updates the record of a task, and notifies subscribers.
    pub fn apply(&self, task: usize, update: TaskUpdate) {
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
        self.counts.send_if_modified(|known| {
            let changed = *known != counts;
            *known = counts;
            changed
        });
    }

    /// Returns true once every task has ended and its output is complete.
    pub fn settled(&self) -> bool {
        self.counts.borrow().settled == self.len
    }

    /// Ends every task in failure, for results without an actor.
    pub fn fail_all(&self, error: &TaskError) {
        for task in 0..self.len {
            let failure = RemoteFailure {
                method: "execute".to_owned(),
                ..error.clone().into()
            };
            self.fail(task, failure);
        }
    }

    /// Ends a task in failure, for results without an actor.
    pub fn fail(&self, task: usize, failure: RemoteFailure) {
        let end = RecordedOutcome {
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

    /// Waits until the counts satisfy a condition, at most for `timeout`; returns true if they do.
    pub async fn wait_until(
        &self,
        timeout: Option<Duration>,
        done: impl Fn(&Counts) -> bool,
    ) -> bool {
        let mut counts = self.counts.subscribe();
        // The sender lives as long as `self`, so that waiting ends only when the condition holds.
        let wait = async { counts.wait_for(|counts| done(counts)).await.is_ok() };
        match timeout {
            None => wait.await,
            Some(timeout) => tokio::time::timeout(timeout, wait).await.unwrap_or(false),
        }
    }

    pub fn state(&self) -> MutexGuard<'_, ResultState> {
        // The record is consistent after every statement, so a panic of another holder does no
        // harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ResultTracker {
    /// Formats as ipyparallel formats an AsyncResult: `<AsyncResult(%px): pending>`, `finished` or
    /// `failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match (self.progress() == self.len, self.failure().is_some()) {
            (false, _) => "pending",
            (true, false) => "finished",
            (true, true) => "failed",
        };
        write!(f, "<AsyncResult({}): {status}>", self.state().record.name())
    }
}
