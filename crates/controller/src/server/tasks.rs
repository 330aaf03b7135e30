//! Load-balanced tasks.

use super::channels::Senders;
use super::incoming::Port;
use super::replies::{Failure, Head};
use super::{Server, engine_uuid, post};
use crate::records::Queue;
use crate::scheduler::{SchedulerCommand, Task, Verdict};
use bytes::Bytes;
use phalanx_protocol::parallel::{ReplyMetadata, TaskMetadata};
use phalanx_transport::{Frames, RawMessage};
use serde_json::json;
use std::time::Instant;

const CLIENTS: usize = 0;
const ENGINES: usize = 1;

impl Server {
    pub(super) fn task_request(&mut self, frames: Frames, senders: &Senders) {
        let Some(message) = self.admit(Port::TaskClient, frames) else {
            return;
        };
        let id = match Head::of(&message.header) {
            Ok(head) => head.id(),
            Err(error) => return tracing::warn!(%error, "a task is dropped"),
        };
        let metadata = match serde_json::from_slice::<TaskMetadata>(&message.metadata) {
            Ok(metadata) => metadata,
            Err(error) => return tracing::warn!(task = %id, %error, "a task is dropped"),
        };
        self.records
            .submitted(id.clone(), &message, None, Queue::Task);
        let task = Task::new(id, message, metadata);
        let commands = self.scheduler.submit(task, Instant::now());
        self.perform(commands, senders);
    }

    pub(super) fn task_reply(&mut self, frames: Frames, senders: &Senders) {
        let Some(mut message) = self.admit(Port::TaskEngine, frames) else {
            return;
        };
        let engine = message
            .identities
            .first()
            .and_then(|name| engine_uuid(name));
        let parent = Head::of(&message.parent_header).map(|parent| parent.id());
        let (Some(engine), Ok(id)) = (engine, parent) else {
            return tracing::warn!("a reply to nothing");
        };
        if message.identities.len() < 2 {
            return tracing::warn!(%engine, "a reply that names no client");
        }
        let verdict = match serde_json::from_slice::<ReplyMetadata>(&message.metadata) {
            Ok(metadata) if !metadata.dependencies_met => Verdict::Unmet,
            Ok(metadata) if metadata.status == "ok" => Verdict::Ok,
            Ok(metadata) if metadata.status == "aborted" => Verdict::Aborted,
            _ => Verdict::Failed,
        };
        message.identities.swap(0, 1);
        let record = message.clone();
        let commands = self
            .scheduler
            .replied(&engine, &id, verdict, message.into_frames());
        match commands {
            Some(commands) => {
                if commands
                    .iter()
                    .any(|c| matches!(c, SchedulerCommand::Reply(_)))
                {
                    self.records.replied(id.clone(), Some(&engine), &record);
                }
                self.perform(commands, senders);
            }
            None => tracing::warn!(%engine, task = %id, "a reply that comes too late"),
        }
    }

    pub(super) fn perform(&mut self, commands: Vec<SchedulerCommand>, senders: &Senders) {
        for command in commands {
            match command {
                SchedulerCommand::Run {
                    task,
                    engine,
                    mut request,
                } => {
                    self.records.assigned(task, engine.clone());
                    let name = Bytes::copy_from_slice(engine.as_str().as_bytes());
                    request.identities.insert(0, name);
                    // An engine that does not read will miss its heartbeats.
                    post(&senders.task[ENGINES], request.into_frames());
                }
                SchedulerCommand::Reply(frames) => {
                    post(&senders.task[CLIENTS], frames);
                }
                SchedulerCommand::Fail(task, reason) => {
                    let content = match Failure::of_task(&reason, &task.id) {
                        Some(failure) => failure.content(),
                        None => json!({"status": "aborted"}),
                    };
                    let reply = self.task_failure(&task, &reason, &content);
                    self.records.replied(task.id.clone(), None, &reply);
                    post(&senders.task[CLIENTS], reply.into_frames());
                }
            }
        }
    }

    fn task_failure(
        &self,
        task: &Task,
        reason: &crate::scheduler::FailReason,
        content: &serde_json::Value,
    ) -> RawMessage {
        let msg_type = match Head::of(&task.request.header) {
            Ok(head) => head.msg_type.into_owned(),
            Err(_) => "apply_request".to_owned(),
        };
        let engine = match reason {
            crate::scheduler::FailReason::EngineDied(engine) => Some(engine),
            _ => None,
        };
        let identities = task.request.identities.clone();
        self.made_reply(identities, &task.request.header, &msg_type, engine, content)
    }
}
