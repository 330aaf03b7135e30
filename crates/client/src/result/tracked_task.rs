//! The record of one task.

use super::compact::{CompactId, CompactValue, Prefix};
use super::event::TaskEventKind;
use super::log::OutputLog;
use super::record::{RecordedOutcome, TaskOutcome, TaskUpdate};
use crate::task::EngineTask;
use chrono::{DateTime, Utc};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::host::{ExecuteReply, TaskMetadata, TaskSnapshot, TaskStatus};
use phalanx_protocol::id::{EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::native::value;
use phalanx_protocol::output::{MimeBundle, Output, StreamName};
use phalanx_protocol::payload::Payload;
use serde_json::Value;
use std::collections::BTreeMap;

/// One task. A batch has millions of them, so fields that calls rarely need are in `TaskDetails`.
#[derive(Debug, Default)]
pub(super) struct TrackedTask {
    pub(super) engine: Option<EngineId>,
    pub(super) msg_id: Option<CompactId>,
    engine_uuid: Option<EngineUuid>,
    pub(super) submitted: Option<DateTime<Utc>>,
    pub(super) execution_count: Option<u32>,
    pub(super) end: Option<EndRecord>,
    pub(super) output_done: bool,
    pub(super) details: Option<Box<TaskDetails>>,
}

/// The end of a task, except for the parts in its details.
#[derive(Debug)]
pub(super) struct EndRecord {
    status: TaskStatus,
    pub(super) value: Option<CompactValue>,
    /// The engine's state at the end.
    pub(super) state: Option<StateId>,
    pub(super) started: Option<DateTime<Utc>>,
    pub(super) completed: Option<DateTime<Utc>>,
    pub(super) received: DateTime<Utc>,
    pub(super) has_failed: bool,
}

/// The fields of cells, and of calls that print, fail or have dependencies.
#[derive(Debug, Default)]
pub(super) struct TaskDetails {
    execute_input: Option<String>,
    execute_result: Option<MimeBundle>,
    /// The failure that the engine published.
    error: Option<RemoteFailure>,
    label: Option<String>,
    after: Vec<MsgId>,
    follow: Vec<MsgId>,
    data: BTreeMap<String, Value>,
    pub(super) log: OutputLog,
    /// The failure that the task ended with.
    failure: Option<RemoteFailure>,
}

impl TrackedTask {
    pub(super) fn new(task: &EngineTask, submitted: DateTime<Utc>) -> Self {
        let balanced = task.scheduling();
        let after = balanced.map_or(&[][..], |both| &both.after.dependencies);
        let follow = balanced.map_or(&[][..], |both| &both.follow.dependencies);
        let is_plain = task.source().is_none()
            && task.label().is_none()
            && after.is_empty()
            && follow.is_empty();
        let details = (!is_plain).then(|| TaskDetails {
            execute_input: task.source().map(str::to_owned),
            label: task.label().map(str::to_owned),
            after: after.to_vec(),
            follow: follow.to_vec(),
            ..TaskDetails::default()
        });
        Self {
            engine: task.engine(),
            submitted: Some(submitted),
            details: details.map(Box::new),
            ..Self::default()
        }
    }

    pub(super) fn settled(&self) -> bool {
        self.end.is_some() && self.output_done
    }

    /// Returns true if its engine has published that it runs it.
    pub(super) fn has_begun(&self) -> bool {
        self.execution_count.is_some()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.has_failed)
    }

    /// The failure that it ended with.
    pub(super) fn failure(&self) -> Option<&RemoteFailure> {
        self.details.as_ref()?.failure.as_ref()
    }

    /// The details, created if missing.
    fn details(&mut self) -> &mut TaskDetails {
        self.details.get_or_insert_default()
    }

    pub(super) fn apply(
        &mut self,
        update: TaskUpdate,
        prefix: &mut Prefix,
    ) -> Option<TaskEventKind> {
        match update {
            TaskUpdate::Sent {
                msg_id,
                engine_uuid,
                at,
            } => {
                // On a resend, `submitted` keeps the time of the user's request.
                self.submitted.get_or_insert(at);
                self.msg_id = Some(CompactId::new(msg_id, prefix));
                self.engine_uuid = engine_uuid.or(self.engine_uuid.take());
                None
            }
            TaskUpdate::Refused => {
                self.execution_count = None;
                None
            }
            TaskUpdate::Known { msg_id } => {
                self.msg_id = Some(CompactId::new(msg_id, prefix));
                None
            }
            TaskUpdate::Placed { id, uuid } => {
                self.engine = Some(id);
                self.engine_uuid = Some(uuid);
                None
            }
            TaskUpdate::Input {
                code,
                execution_count,
            } => {
                self.details().execute_input = Some(code);
                self.execution_count = Some(execution_count);
                Some(TaskEventKind::Started { execution_count })
            }
            TaskUpdate::Output(Output::Data(data)) => {
                self.details().data.extend(data);
                None
            }
            TaskUpdate::Output(output) => {
                self.details().log.push(output.clone());
                Some(TaskEventKind::Output(output))
            }
            TaskUpdate::Result {
                data,
                execution_count,
            } => {
                self.execution_count = Some(execution_count);
                let details = self.details();
                details.execute_result = Some(data.clone());
                details.log.push(Output::Result(data.clone()));
                Some(TaskEventKind::Output(Output::Result(data)))
            }
            TaskUpdate::Error(failure) => {
                self.details().error = Some(failure);
                None
            }
            TaskUpdate::Ended(end) => self.end(*end),
            TaskUpdate::OutputDone => {
                if self.output_done {
                    return None;
                }
                self.output_done = true;
                Some(TaskEventKind::OutputDone)
            }
        }
    }

    fn end(&mut self, end: RecordedOutcome) -> Option<TaskEventKind> {
        if self.end.is_some() {
            return None;
        }
        self.execution_count = end.execution_count.or(self.execution_count);
        let ok = end.failure.is_none();
        let state = end.state.clone();
        if let Some(mut failure) = end.failure {
            failure.engine = failure.engine.or(self.engine);
            self.details().failure = Some(failure);
        }
        self.end = Some(EndRecord {
            status: end.status,
            value: end.value.map(CompactValue::new),
            state: end.state,
            started: end.started,
            completed: end.completed,
            received: end.received,
            has_failed: !ok,
        });
        Some(TaskEventKind::Done { state, ok })
    }

    /// The value of a successful task: the function's value, or the cell's reply.
    pub(super) fn value(&self) -> Option<Payload> {
        let end = self.end.as_ref().filter(|end| !end.has_failed)?;
        if let Some(value) = &end.value {
            return Some(value.payload());
        }
        let details = self.details.as_ref();
        let reply = ExecuteReply {
            engine_id: self.engine,
            execution_count: self.execution_count.unwrap_or_default(),
            execute_result: details.and_then(|details| details.execute_result.clone()),
        };
        let mut bytes = vec![value::JSON];
        serde_json::to_writer(&mut bytes, &reply).ok()?;
        Some(Payload::Inline(bytes.into()))
    }

    pub(super) fn outcome(&self) -> Option<TaskOutcome> {
        self.end.as_ref()?;
        Some(match self.failure() {
            Some(failure) => Err(failure.clone()),
            None => Ok((self.engine, self.value().unwrap_or_default())),
        })
    }

    pub(super) fn snapshot(&self) -> TaskSnapshot {
        let end = self.end.as_ref();
        let mut metadata = TaskMetadata {
            msg_id: self.msg_id.as_ref().map(CompactId::id),
            submitted: self.submitted,
            started: end.and_then(|end| end.started),
            completed: end.and_then(|end| end.completed),
            received: end.map(|end| end.received),
            engine_uuid: self.engine_uuid.clone(),
            engine_id: self.engine,
            status: end.map(|end| end.status),
            execution_count: self.execution_count,
            ..TaskMetadata::default()
        };
        if let Some(details) = &self.details {
            metadata.follow.clone_from(&details.follow);
            metadata.after.clone_from(&details.after);
            metadata.execute_input.clone_from(&details.execute_input);
            metadata.execute_result.clone_from(&details.execute_result);
            metadata.error.clone_from(&details.error);
            metadata.label.clone_from(&details.label);
            metadata.data.clone_from(&details.data);
            metadata.stdout = details.log.text(StreamName::Stdout);
            metadata.stderr = details.log.text(StreamName::Stderr);
            metadata.outputs = details.log.displays();
        }
        let result = end.map(|_| self.failure().cloned().map_or(Ok(()), Err));
        TaskSnapshot { metadata, result }
    }
}
