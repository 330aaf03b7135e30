//! The records of the tasks of one AsyncResult; pure.

use super::compact::{CompactValue, Prefix};
use super::event::{TaskEvent, TaskEventKind};
use super::tracked_task::{TaskDetails, TrackedTask};
use crate::task::EngineTask;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::{AsyncResultSnapshot, TaskSnapshot, TaskStatus};
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::output::{MimeBundle, Output};
use phalanx_protocol::payload::Payload;
use std::ops::Range;

/// The memory of a task in addition to its record: its entry in the order of ends.
const ORDER_ENTRY_BYTES: usize = size_of::<usize>();

/// A change to one task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TaskUpdate {
    /// It was sent, for the first time or again, with this id.
    Sent {
        msg_id: MsgId,
        engine_uuid: Option<EngineUuid>,
        at: DateTime<Utc>,
    },
    /// Its engine refused it; it is sent again, or ends.
    Refused,
    /// It was submitted by another client, with this id.
    Known { msg_id: MsgId },
    /// The scheduler has assigned it to this engine.
    Placed { id: EngineId, uuid: EngineUuid },
    /// The engine published its source.
    Input { code: String, execution_count: u32 },
    /// An output.
    Output(Output),
    /// The value of the cell.
    Result {
        data: MimeBundle,
        execution_count: u32,
    },
    /// The engine published a failure.
    Error(RemoteFailure),
    /// It ended; later ends are ignored.
    Ended(Box<RecordedOutcome>),
    /// All its output has arrived.
    OutputDone,
}

/// The outcome of a task, as recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordedOutcome {
    pub status: TaskStatus,
    /// The failure, unless it completed.
    pub failure: Option<RemoteFailure>,
    pub execution_count: Option<u32>,
    /// The value of a function.
    pub value: Option<Payload>,
    pub started: Option<DateTime<Utc>>,
    pub completed: Option<DateTime<Utc>>,
    pub received: DateTime<Utc>,
    /// The engine's current state.
    pub state: Option<StateId>,
}

/// The progress of some tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts {
    pub ended: usize,
    pub failed: usize,
    pub settled: usize,
}

/// The times of some tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct TaskTimes {
    /// The earliest submission.
    pub submitted: Option<DateTime<Utc>>,
    /// The latest receipt so far.
    pub received: Option<DateTime<Utc>>,
    /// The sum of the engines' computing times, in seconds.
    pub serial: f64,
}

/// A finished task: its engine and its value, or its failure.
pub type TaskOutcome = Result<(Option<EngineId>, Payload), RemoteFailure>;

/// The tasks of one AsyncResult.
#[derive(Debug)]
pub(crate) struct ResultRecord {
    name: String,
    /// The prefix of the tasks' ids.
    prefix: Prefix,
    tasks: Vec<TrackedTask>,
    /// The finished tasks, in the order in which they ended.
    order: Vec<usize>,
    failed: usize,
    settled: usize,
    /// The memory of the functions' values, in bytes.
    bytes: usize,
    /// The number of tasks with details.
    detailed: usize,
}

impl ResultRecord {
    /// Creates the record of newly submitted tasks.
    pub fn new(name: String, tasks: &[EngineTask], submitted: DateTime<Utc>) -> Self {
        let tasks = tasks.iter().map(|task| TrackedTask::new(task, submitted));
        Self::of(name, tasks.collect())
    }

    /// Creates the record of tasks that were submitted elsewhere.
    pub fn unsubmitted(name: String, tasks: usize) -> Self {
        let tasks = std::iter::repeat_with(TrackedTask::default).take(tasks);
        Self::of(name, tasks.collect())
    }

    fn of(name: String, tasks: Vec<TrackedTask>) -> Self {
        Self {
            name,
            prefix: Prefix::default(),
            detailed: tasks.iter().filter(|task| task.details.is_some()).count(),
            tasks,
            order: Vec::new(),
            failed: 0,
            settled: 0,
            bytes: 0,
        }
    }

    /// The name of the function or magic that was run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of tasks.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The number of tasks that have ended.
    pub fn ended(&self) -> usize {
        self.order.len()
    }

    /// The number of tasks that have ended and whose output is complete.
    pub fn settled(&self) -> usize {
        self.settled
    }

    /// The positions and ids of the tasks that have not ended.
    pub fn pending(&self) -> impl Iterator<Item = usize> {
        self.tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.end.is_none())
            .map(|(index, _)| index)
    }

    /// The engines of all tasks, in task order.
    pub fn engines(&self) -> impl Iterator<Item = EngineId> {
        self.tasks.iter().filter_map(|task| task.engine)
    }

    /// The tasks with an id for which a predicate holds.
    pub fn tasks_where(
        &self,
        holds: impl Fn(&MsgId, Option<EngineId>, bool) -> bool,
    ) -> Vec<(usize, MsgId)> {
        let of = |(at, task): (usize, &TrackedTask)| {
            let id = task.msg_id.as_ref()?.id();
            holds(&id, task.engine, task.end.is_some()).then_some((at, id))
        };
        self.tasks.iter().enumerate().filter_map(of).collect()
    }

    /// The engines of the tasks that have not ended.
    pub fn pending_engines(&self) -> impl Iterator<Item = EngineId> {
        self.pending().filter_map(|task| self.tasks[task].engine)
    }

    /// Returns true if a task has neither ended nor, as far as its engine has published, begun.
    pub fn is_waiting(&self) -> bool {
        let mut tasks = self.tasks.iter();
        tasks.any(|task| task.end.is_none() && !task.has_begun())
    }

    /// Counts those of these tasks that have ended, that have failed, and whose output is complete.
    pub fn counts(&self, tasks: &Range<usize>) -> TaskCounts {
        if tasks.start == 0 && tasks.end >= self.len() {
            return TaskCounts {
                ended: self.ended(),
                failed: self.failed,
                settled: self.settled,
            };
        }
        let mut counts = TaskCounts::default();
        for task in self.in_range(tasks) {
            counts.ended += usize::from(task.end.is_some());
            counts.failed += usize::from(task.has_failed());
            counts.settled += usize::from(task.settled());
        }
        counts
    }

    /// Returns true once these tasks have ended and their output is complete.
    pub fn is_settled(&self, tasks: &Range<usize>) -> bool {
        let all = tasks.start == 0 && tasks.end >= self.len();
        match all {
            true => self.settled == self.len(),
            false => self.in_range(tasks).iter().all(TrackedTask::settled),
        }
    }

    /// Returns true if the outcomes of the finished ones of these tasks are complete: the reply to
    /// a cell announces its displays, which arrive on another channel.
    pub fn is_whole(&self, tasks: &Range<usize>) -> bool {
        let shows = |task: &&TrackedTask| {
            let end = task.end.as_ref();
            end.is_some_and(|end| !end.has_failed && end.value.is_none())
        };
        let mut cells = self.in_range(tasks).iter().filter(shows);
        cells.all(TrackedTask::settled)
    }

    /// The times at which these tasks were submitted and received, and the engines' computing time.
    pub fn times(&self, tasks: &Range<usize>) -> TaskTimes {
        let all = self.in_range(tasks).iter();
        let ends = all.clone().filter_map(|task| task.end.as_ref());
        TaskTimes {
            submitted: all.filter_map(|task| task.submitted).min(),
            received: ends.clone().map(|end| end.received).max(),
            serial: ends
                .filter_map(|end| Some(seconds(end.started?, end.completed?)))
                .sum(),
        }
    }

    /// The current state of these tasks.
    pub fn snapshots(&self, tasks: &Range<usize>) -> Vec<TaskSnapshot> {
        let tasks = self.in_range(tasks).iter();
        tasks.map(TrackedTask::snapshot).collect()
    }

    fn in_range(&self, tasks: &Range<usize>) -> &[TrackedTask] {
        let to = tasks.end.min(self.tasks.len());
        self.tasks.get(tasks.start..to).unwrap_or_default()
    }

    /// Applies an update; returns the event for subscribers, if any.
    pub fn apply(&mut self, index: usize, update: TaskUpdate) -> Option<TaskEvent> {
        let task = self.tasks.get_mut(index)?;
        let (pending, settled) = (task.end.is_none(), task.settled());
        let detailed = task.details.is_some();
        let kind = task.apply(update, &mut self.prefix);
        self.detailed += usize::from(task.details.is_some() && !detailed);
        self.settled += usize::from(task.settled() && !settled);
        if let (true, Some(end)) = (pending, &task.end) {
            self.order.push(index);
            self.failed += usize::from(end.has_failed);
            self.bytes += end.value.as_ref().map_or(0, CompactValue::size);
        }
        let kind = kind?;
        Some(TaskEvent {
            task: index,
            engine: task.engine?,
            kind,
        })
    }

    /// The events that lead to the current state, for a new subscriber.
    pub fn replay(&self) -> Vec<TaskEvent> {
        let mut events = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            let Some(engine) = task.engine else {
                continue;
            };
            let mut push = |kind| {
                events.push(TaskEvent {
                    task: index,
                    engine,
                    kind,
                });
            };
            if let Some(execution_count) = task.execution_count {
                push(TaskEventKind::Started { execution_count });
            }
            for output in task
                .details
                .iter()
                .flat_map(|details| details.log.entries())
            {
                push(TaskEventKind::Output(output.clone()));
            }
            if let Some(end) = &task.end {
                push(TaskEventKind::Done {
                    state: end.state.clone(),
                    ok: !end.has_failed,
                });
            }
            if task.output_done {
                push(TaskEventKind::OutputDone);
            }
        }
        events
    }

    /// The current state.
    pub fn snapshot(&self, now: DateTime<Utc>) -> AsyncResultSnapshot {
        AsyncResultSnapshot {
            name: self.name.clone(),
            tasks: self.tasks.iter().map(TrackedTask::snapshot).collect(),
            elapsed: self.elapsed(now),
        }
    }

    /// The time since the earliest submission, or [`Self::wall_time`] once all have ended, in
    /// seconds.
    pub fn elapsed(&self, now: DateTime<Utc>) -> f64 {
        let all = self.times(&(0..self.len()));
        all.elapsed((self.ended() < self.len()).then_some(now))
    }

    /// The time from the earliest submission to the latest receipt, in seconds.
    pub fn wall_time(&self) -> f64 {
        self.times(&(0..self.len())).elapsed(None)
    }

    /// The sum of the engines' computing times, in seconds.
    pub fn serial_time(&self) -> f64 {
        self.times(&(0..self.len())).serial
    }

    /// The tasks that have ended after the first `seen`, in the order in which they ended.
    pub fn ended_since(&self, seen: usize) -> &[usize] {
        self.order.get(seen..).unwrap_or_default()
    }

    /// The tasks of a range that have ended after its first `seen`, in the order in which they
    /// ended.
    pub fn ended_of(&self, tasks: &Range<usize>, seen: usize) -> impl Iterator<Item = usize> {
        // For the whole record, seen tasks can be skipped.
        let all = tasks.start == 0 && tasks.end >= self.len();
        let (order, seen) = match all {
            true => (self.ended_since(seen), 0),
            false => (&*self.order, seen),
        };
        let own = order.iter().filter(move |task| tasks.contains(task));
        own.skip(seen).copied()
    }

    /// The number of tasks that have failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// The outcomes of these tasks, with the engines that ran them; `None` for pending ones.
    pub fn outcomes(&self, tasks: Range<usize>) -> Vec<Option<TaskOutcome>> {
        let tasks = self.tasks.get(tasks).unwrap_or_default();
        tasks.iter().map(TrackedTask::outcome).collect()
    }

    /// The ids of the tasks that have one, and whether each has ended.
    pub fn ids(&self) -> Vec<(MsgId, bool)> {
        let ids = self.tasks.iter().filter_map(|task| {
            let id = task.msg_id.as_ref()?.id();
            Some((id, task.end.is_some()))
        });
        ids.collect()
    }

    /// The approximate memory use in bytes, mostly of the values of functions.
    pub fn bytes(&self) -> usize {
        let records = self.tasks.len() * (size_of::<TrackedTask>() + ORDER_ENTRY_BYTES);
        self.bytes + records + self.detailed * size_of::<TaskDetails>()
    }

    /// The values of these tasks; `None` for those that have not succeeded.
    #[cfg(test)]
    pub fn values(&self, tasks: Range<usize>) -> Vec<Option<Payload>> {
        let tasks = self.tasks.get(tasks).unwrap_or_default();
        tasks.iter().map(TrackedTask::value).collect()
    }

    /// The failures, in task order.
    pub fn failures(&self) -> Vec<RemoteFailure> {
        self.tasks
            .iter()
            .filter_map(|task| task.failure().cloned())
            .collect()
    }
}

impl TaskTimes {
    /// Combines the times of two sets of tasks.
    pub fn and(self, others: Self) -> Self {
        Self {
            submitted: self.submitted.into_iter().chain(others.submitted).min(),
            received: self.received.max(others.received),
            serial: self.serial + others.serial,
        }
    }

    /// The time from the earliest submission to the latest receipt, or to `now` if a task is
    /// pending, in seconds.
    pub fn elapsed(&self, now: Option<DateTime<Utc>>) -> f64 {
        match (self.submitted, now.or(self.received)) {
            (Some(from), Some(to)) => seconds(from, to),
            _ => 0.0,
        }
    }
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::host::ExecuteReply;
    use phalanx_protocol::native::value;
    use phalanx_protocol::output::StreamName;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap()
    }

    fn record() -> ResultRecord {
        let tasks = [0, 1].map(|id| crate::state::tests::cell(id).into());
        ResultRecord::new("%px".to_owned(), &tasks, at(0))
    }

    fn end(started: i64, completed: i64, failure: Option<RemoteFailure>) -> TaskUpdate {
        TaskUpdate::Ended(Box::new(RecordedOutcome {
            status: if failure.is_some() {
                TaskStatus::Error
            } else {
                TaskStatus::Ok
            },
            failure,
            execution_count: Some(3),
            value: None,
            started: Some(at(started)),
            completed: Some(at(completed)),
            received: at(completed + 5),
            state: None,
        }))
    }

    fn failure(ename: &str) -> RemoteFailure {
        RemoteFailure {
            ename: ename.to_owned(),
            evalue: "boom".to_owned(),
            traceback: Vec::new(),
            engine: Some(EngineId(1)),
            msg_id: None,
            method: "execute".to_owned(),
        }
    }

    #[test]
    fn times_are_those_of_ipyparallel() {
        let mut record = record();
        assert_eq!(record.elapsed(at(250)), 0.25);
        record.apply(0, end(10, 110, None));
        assert_eq!((record.ended(), record.elapsed(at(300))), (1, 0.3));
        record.apply(1, end(20, 220, None));
        assert!((record.serial_time() - 0.3).abs() < 1e-9);
        assert!((record.wall_time() - 0.225).abs() < 1e-9);
        assert_eq!(record.elapsed(at(9999)), record.wall_time());
    }

    #[test]
    fn a_task_waits_until_its_engine_publishes_its_source() {
        let mut record = record();
        record.apply(0, end(0, 1, None));
        assert!(record.is_waiting());
        let code = "x".to_owned();
        let execution_count = 1;
        record.apply(
            1,
            TaskUpdate::Input {
                code,
                execution_count,
            },
        );
        assert!(!record.is_waiting());
        // It had begun, and is refused for variables that the engine has lost.
        record.apply(1, TaskUpdate::Refused);
        assert!(record.is_waiting());
        assert!(record.replay().iter().all(|event| event.task == 0));
    }

    #[test]
    fn the_failure_of_a_task_without_a_reply_names_its_engine() {
        let mut record = record();
        let unsent = RemoteFailure {
            engine: None,
            ..failure("TaskAborted")
        };
        record.apply(1, end(0, 1, Some(unsent)));
        assert_eq!(record.failures()[0].engine, Some(EngineId(1)));
    }

    #[test]
    fn a_task_ends_once() {
        let mut record = record();
        assert!(record.apply(1, end(0, 1, None)).is_some());
        assert_eq!(
            record.apply(1, end(0, 1, Some(failure("EngineError")))),
            None
        );
        let snapshot = record.snapshot(at(5));
        assert_eq!(snapshot.tasks[1].metadata.status, Some(TaskStatus::Ok));
        assert!(matches!(snapshot.tasks[1].result, Some(Ok(_))));
        assert_eq!(snapshot.tasks[0].result, None);
    }

    #[test]
    fn a_result_that_arrives_after_the_reply_is_part_of_it() {
        let mut record = record();
        record.apply(0, end(0, 1, None));
        record.apply(
            0,
            TaskUpdate::Result {
                data: MimeBundle::plain("42"),
                execution_count: 3,
            },
        );
        let values = record.values(0..2);
        assert_eq!(values[1], None);
        let (&tag, json) = values[0].as_ref().unwrap().frame().split_first().unwrap();
        assert_eq!(tag, value::JSON);
        let reply: ExecuteReply = serde_json::from_slice(json).unwrap();
        assert_eq!(format!("{reply:?}"), "<ExecuteReply[3]: 42>");
        assert_eq!((record.ended(), record.settled()), (1, 0));
        record.apply(0, TaskUpdate::OutputDone);
        assert_eq!(record.settled(), 1);
    }

    #[test]
    fn a_late_subscriber_sees_what_an_early_one_saw() {
        let mut record = record();
        let updates = [
            TaskUpdate::Input {
                code: "x".to_owned(),
                execution_count: 3,
            },
            TaskUpdate::Output(Output::Stream {
                name: StreamName::Stdout,
                text: "hé\n".to_owned(),
            }),
            end(0, 1, Some(failure("Panic"))),
            TaskUpdate::OutputDone,
        ];
        let live: Vec<_> = updates
            .into_iter()
            .filter_map(|update| record.apply(1, update))
            .collect();
        assert_eq!(live.len(), 4);
        assert_eq!(record.replay(), live);
        assert_eq!(record.failures().len(), 1);
        assert_eq!(record.pending().collect::<Vec<_>>(), [0]);
    }
}
