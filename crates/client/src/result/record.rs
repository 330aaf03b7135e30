//! What is known of the tasks of one AsyncResult; pure bookkeeping.

use super::event::{TaskEvent, TaskEventKind};
use super::log::OutputLog;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::{
    AsyncResultSnapshot, ExecuteReply, TaskMetadata, TaskSnapshot, TaskStatus,
};
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::output::{MimeBundle, Output, StreamName};

/// A change to one task.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Update {
    /// It was sent, for the first time or again, under this id.
    Sent {
        msg_id: MsgId,
        engine_uuid: Option<EngineUuid>,
        at: DateTime<Utc>,
    },
    /// The engine published what it runs.
    Input { code: String, execution_count: u32 },
    /// It put something out.
    Output(Output),
    /// It put out its value.
    Result {
        data: MimeBundle,
        execution_count: u32,
    },
    /// The engine published a failure.
    Error(RemoteFailure),
    /// It ended; every later end is ignored.
    Ended(Box<TaskEnd>),
    /// All its output has arrived.
    OutputDone,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TaskEnd {
    pub status: TaskStatus,
    /// `Some` unless it ran to its end.
    pub failure: Option<RemoteFailure>,
    pub execution_count: Option<u32>,
    pub started: Option<DateTime<Utc>>,
    pub completed: Option<DateTime<Utc>>,
    pub received: DateTime<Utc>,
    /// The engine's state now.
    pub state: Option<StateId>,
}

/// The tasks of one AsyncResult.
#[derive(Debug)]
pub(crate) struct ResultRecord {
    name: String,
    tasks: Vec<TaskRecord>,
}

#[derive(Debug)]
struct TaskRecord {
    engine: EngineId,
    metadata: TaskMetadata,
    log: OutputLog,
    end: Option<TaskEnd>,
    output_done: bool,
}

impl ResultRecord {
    /// A record of tasks just submitted: one per engine.
    pub fn new(
        name: String,
        tasks: impl Iterator<Item = (EngineId, String)>,
        submitted: DateTime<Utc>,
    ) -> Self {
        let tasks = tasks
            .map(|(engine, source)| TaskRecord {
                engine,
                metadata: TaskMetadata {
                    submitted: Some(submitted),
                    engine_id: Some(engine),
                    execute_input: Some(source),
                    ..TaskMetadata::default()
                },
                log: OutputLog::default(),
                end: None,
                output_done: false,
            })
            .collect();
        Self { name, tasks }
    }

    /// The name of what was run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How many have ended.
    pub fn ended(&self) -> usize {
        self.tasks.iter().filter(|task| task.end.is_some()).count()
    }

    /// How many have ended with all their output here.
    pub fn settled(&self) -> usize {
        self.tasks.iter().filter(|task| task.settled()).count()
    }

    /// The positions and ids of the tasks that have not ended.
    pub fn pending(&self) -> impl Iterator<Item = usize> {
        self.tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.end.is_none())
            .map(|(index, _)| index)
    }

    /// The engines of all tasks, in their order.
    pub fn engines(&self) -> impl Iterator<Item = EngineId> {
        self.tasks.iter().map(|task| task.engine)
    }

    /// The engines of the tasks that have not ended.
    pub fn pending_engines(&self) -> impl Iterator<Item = EngineId> {
        self.pending().map(|task| self.tasks[task].engine)
    }

    /// Applies a change; the event it makes for subscribers, if any.
    pub fn apply(&mut self, index: usize, update: Update) -> Option<TaskEvent> {
        let task = self.tasks.get_mut(index)?;
        let kind = task.apply(update)?;
        Some(TaskEvent {
            task: index,
            engine: task.engine,
            kind,
        })
    }

    /// The events that lead to what is known now, for a subscriber who comes late.
    pub fn replay(&self) -> Vec<TaskEvent> {
        let mut events = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            let mut push = |kind| {
                events.push(TaskEvent {
                    task: index,
                    engine: task.engine,
                    kind,
                });
            };
            if let Some(execution_count) = task.metadata.execution_count {
                push(TaskEventKind::Started { execution_count });
            }
            for output in task.log.entries() {
                push(TaskEventKind::Output(output.clone()));
            }
            if let Some(end) = &task.end {
                push(end.event());
            }
            if task.output_done {
                push(TaskEventKind::OutputDone);
            }
        }
        events
    }

    /// Everything known now.
    pub fn snapshot(&self, now: DateTime<Utc>) -> AsyncResultSnapshot {
        AsyncResultSnapshot {
            name: self.name.clone(),
            tasks: self.tasks.iter().map(TaskRecord::snapshot).collect(),
            elapsed: self.elapsed(now),
        }
    }

    /// Seconds since the earliest submission, or [`Self::wall_time`] once all have ended.
    pub fn elapsed(&self, now: DateTime<Utc>) -> f64 {
        if self.ended() == self.len() {
            return self.wall_time();
        }
        self.submitted().map_or(0.0, |from| seconds(from, now))
    }

    /// Seconds from the earliest submission to the latest receipt.
    pub fn wall_time(&self) -> f64 {
        let last = self.tasks.iter().filter_map(|t| t.metadata.received).max();
        match (self.submitted(), last) {
            (Some(from), Some(to)) => seconds(from, to),
            _ => 0.0,
        }
    }

    /// Seconds the engines spent, one after the other.
    pub fn serial_time(&self) -> f64 {
        self.tasks
            .iter()
            .filter_map(|task| Some(seconds(task.metadata.started?, task.metadata.completed?)))
            .sum()
    }

    /// The failures, in the order of tasks.
    pub fn failures(&self) -> Vec<RemoteFailure> {
        self.tasks
            .iter()
            .filter_map(|task| task.end.as_ref()?.failure.clone())
            .collect()
    }

    fn submitted(&self) -> Option<DateTime<Utc>> {
        self.tasks.iter().filter_map(|t| t.metadata.submitted).min()
    }
}

impl TaskRecord {
    fn settled(&self) -> bool {
        self.end.is_some() && self.output_done
    }

    fn apply(&mut self, update: Update) -> Option<TaskEventKind> {
        match update {
            Update::Sent {
                msg_id,
                engine_uuid,
                at,
            } => {
                // Sent again: `submitted` stays the moment the user asked.
                self.metadata.submitted.get_or_insert(at);
                self.metadata.msg_id = Some(msg_id);
                self.metadata.engine_uuid = engine_uuid.or(self.metadata.engine_uuid.take());
                None
            }
            Update::Input {
                code,
                execution_count,
            } => {
                self.metadata.execute_input = Some(code);
                self.count(execution_count)
            }
            Update::Output(output) => {
                self.log.push(output.clone());
                Some(TaskEventKind::Output(output))
            }
            Update::Result {
                data,
                execution_count,
            } => {
                self.metadata.execution_count = Some(execution_count);
                self.metadata.execute_result = Some(data.clone());
                self.log.push(Output::Result(data.clone()));
                Some(TaskEventKind::Output(Output::Result(data)))
            }
            Update::Error(failure) => {
                self.metadata.error = Some(failure);
                None
            }
            Update::Ended(end) => self.end(*end),
            Update::OutputDone => {
                if self.output_done {
                    return None;
                }
                self.output_done = true;
                Some(TaskEventKind::OutputDone)
            }
        }
    }

    fn count(&mut self, execution_count: u32) -> Option<TaskEventKind> {
        self.metadata.execution_count = Some(execution_count);
        Some(TaskEventKind::Started { execution_count })
    }

    fn end(&mut self, end: TaskEnd) -> Option<TaskEventKind> {
        if self.end.is_some() {
            return None;
        }
        self.metadata.status = Some(end.status);
        self.metadata.started = end.started;
        self.metadata.completed = end.completed;
        self.metadata.received = Some(end.received);
        if end.execution_count.is_some() {
            self.metadata.execution_count = end.execution_count;
        }
        let event = end.event();
        self.end = Some(end);
        Some(event)
    }

    fn snapshot(&self) -> TaskSnapshot {
        let mut metadata = self.metadata.clone();
        metadata.stdout = self.log.text(StreamName::Stdout);
        metadata.stderr = self.log.text(StreamName::Stderr);
        metadata.outputs = self.log.displays();
        let failure = self.end.as_ref().map(|end| end.failure.clone());
        let result = match failure {
            None => None,
            Some(Some(failure)) => Some(Err(failure)),
            Some(None) => Some(Ok(ExecuteReply {
                engine_id: Some(self.engine),
                execution_count: self.metadata.execution_count.unwrap_or_default(),
                execute_result: self.metadata.execute_result.clone(),
            })),
        };
        TaskSnapshot { metadata, result }
    }
}

impl TaskEnd {
    fn event(&self) -> TaskEventKind {
        TaskEventKind::Done {
            state: self.state.clone(),
            ok: self.failure.is_none(),
        }
    }
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_700_000_000_000 + millis).unwrap()
    }

    fn record() -> ResultRecord {
        let engines = [0, 1].map(|id| (EngineId(id), "x + 1".to_owned()));
        ResultRecord::new("%px".to_owned(), engines.into_iter(), at(0))
    }

    fn end(started: i64, completed: i64, failure: Option<RemoteFailure>) -> Update {
        Update::Ended(Box::new(TaskEnd {
            status: if failure.is_some() {
                TaskStatus::Error
            } else {
                TaskStatus::Ok
            },
            failure,
            execution_count: Some(3),
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
            Update::Result {
                data: MimeBundle::plain("42"),
                execution_count: 3,
            },
        );
        let Some(Ok(reply)) = &record.snapshot(at(1)).tasks[0].result else {
            panic!("not a success");
        };
        assert_eq!(format!("{reply:?}"), "<ExecuteReply[3]: 42>");
        assert_eq!((record.ended(), record.settled()), (1, 0));
        record.apply(0, Update::OutputDone);
        assert_eq!(record.settled(), 1);
    }

    #[test]
    fn a_late_subscriber_sees_what_an_early_one_saw() {
        let mut record = record();
        let updates = [
            Update::Input {
                code: "x".to_owned(),
                execution_count: 3,
            },
            Update::Output(Output::Stream {
                name: StreamName::Stdout,
                text: "hé\n".to_owned(),
            }),
            end(0, 1, Some(failure("Panic"))),
            Update::OutputDone,
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
