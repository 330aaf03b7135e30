//! Load-balanced tasks.

use super::channels::Senders;
use super::incoming::Port;
use super::replies::{Failure, Head};
use super::{CLIENTS, ENGINES, Server, batch, engine_uuid, post};
use crate::records::{Parts, Queue};
use crate::scheduler::{BatchNo, SchedulerCommand, Task, Verdict};
use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{ReplyExtension, ReplyMetadata, TaskMetadata};
use phalanx_transport::warn_rarely;
use phalanx_transport::{Frames, RawMessage};
use serde::Deserialize;
use serde_json::json;
use std::time::Instant;

/// Tasks of one batch for one engine.
struct Together {
    engine: EngineUuid,
    batch: BatchNo,
    tasks: Vec<(MsgId, RawMessage)>,
}

/// Sends a task to an engine. One that does not read will miss its heartbeats.
fn run(engine: &EngineUuid, mut request: RawMessage, senders: &Senders) {
    let name = Bytes::copy_from_slice(engine.as_str().as_bytes());
    request.identities.insert(0, name);
    post(&senders.task[ENGINES], request.into_frames());
}

/// The verdict in a reply that reports an unmet dependency.
fn unmet(reply: &RawMessage) -> Verdict {
    #[derive(Deserialize)]
    struct Metadata {
        phalanx: Option<ReplyExtension>,
    }
    #[derive(Deserialize)]
    struct Content {
        #[serde(default)]
        evalue: String,
    }
    let reason = serde_json::from_slice(&reply.metadata)
        .ok()
        .and_then(|metadata: Metadata| metadata.phalanx?.reason);
    if reason.is_some() {
        return Verdict::Lacking;
    }
    let content = serde_json::from_slice(&reply.content);
    Verdict::Unmet(content.map_or_else(|_| String::new(), |content: Content| content.evalue))
}

impl Server {
    pub(super) fn task_request(&mut self, frames: Frames, senders: &Senders) {
        let Some(message) = self.admit(Port::TaskClient, frames) else {
            return;
        };
        let id = match Head::of(&message.header) {
            Ok(head) => head.id(),
            Err(error) => return warn_rarely!(%error, "a task is dropped"),
        };
        let mut metadata = match serde_json::from_slice::<TaskMetadata>(&message.metadata) {
            Ok(metadata) => metadata,
            Err(error) => return warn_rarely!(task = %id, %error, "a task is dropped"),
        };
        if !metadata.phalanx_batch.is_empty() {
            let ids = std::mem::take(&mut metadata.phalanx_batch);
            return self.batch_request(&message, ids, &metadata, senders);
        }
        self.records
            .submitted(id.clone(), &message, None, Queue::Task, Parts::copy);
        let task = Task::new(id, message, metadata);
        let commands = self.scheduler.submit(task, Instant::now());
        self.perform(commands, senders);
    }

    /// Several tasks that came in one message: to the scheduler they are as any others.
    fn batch_request(
        &mut self,
        message: &RawMessage,
        ids: Vec<MsgId>,
        metadata: &TaskMetadata,
        senders: &Senders,
    ) {
        let tasks = match batch::apart(message, ids) {
            Ok(tasks) => tasks,
            Err(error) => return warn_rarely!(%error, "a batch of tasks is dropped"),
        };
        self.batches += 1;
        let batch = Some(BatchNo(self.batches));
        let now = Instant::now();
        let mut commands = Vec::new();
        for (id, request) in tasks {
            self.records
                .submitted(id.clone(), &request, None, Queue::Task, Parts::of);
            let task = Task::new(id, request, metadata.clone());
            commands.extend(self.scheduler.submit(Task { batch, ..task }, now));
        }
        self.perform(commands, senders);
    }

    /// Tasks of a batch that ended well: the message goes on as it is.
    fn batch_reply(
        &mut self,
        engine: &EngineUuid,
        message: RawMessage,
        metadata: &ReplyMetadata,
        senders: &Senders,
    ) {
        let Some(commands) = self.scheduler.ended(engine, &metadata.phalanx_batch) else {
            return warn_rarely!(%engine, "replies that come too late");
        };
        match batch::replies(&message, metadata) {
            Ok(replies) => {
                for (id, reply) in replies {
                    self.records.replied(id, Some(engine), &reply, Parts::of);
                }
            }
            Err(error) => warn_rarely!(%error, "replies are not recorded"),
        }
        post(&senders.task[CLIENTS], message.into_frames());
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
            return warn_rarely!("a reply to nothing");
        };
        if message.identities.len() < 2 {
            return warn_rarely!(%engine, "a reply that names no client");
        }
        let metadata = serde_json::from_slice::<ReplyMetadata>(&message.metadata);
        if let Ok(metadata) = &metadata
            && !metadata.phalanx_batch.is_empty()
        {
            message.identities.swap(0, 1);
            return self.batch_reply(&engine, message, metadata, senders);
        }
        let verdict = match metadata {
            Ok(metadata) if !metadata.dependencies_met => unmet(&message),
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
                    self.records
                        .replied(id.clone(), Some(&engine), &record, Parts::copy);
                }
                self.perform(commands, senders);
            }
            None => warn_rarely!(%engine, task = %id, "a reply that comes too late"),
        }
    }

    pub(super) fn perform(&mut self, commands: Vec<SchedulerCommand>, senders: &Senders) {
        // The tasks of batches that go to engines together.
        let mut together: Vec<Together> = Vec::new();
        for command in commands {
            match command {
                SchedulerCommand::Run {
                    task,
                    engine,
                    request,
                    batch,
                } => {
                    self.records.assigned(task.clone(), engine.clone());
                    let open = together.iter().position(|open| open.engine == engine);
                    match (open, batch) {
                        (Some(open), Some(batch)) if together[open].batch == batch => {
                            together[open].tasks.push((task, request));
                            continue;
                        }
                        // What an engine gets comes in order.
                        (Some(open), _) => self.send_together(together.remove(open), senders),
                        (None, _) => {}
                    }
                    match batch {
                        Some(batch) if self.takes_batches.contains(&engine) => {
                            let tasks = vec![(task, request)];
                            together.push(Together {
                                engine,
                                batch,
                                tasks,
                            });
                        }
                        Some(_) => {
                            let request = batch::signed(request, self.session.key());
                            run(&engine, request, senders);
                        }
                        None => run(&engine, request, senders),
                    }
                }
                SchedulerCommand::Reply(frames) => {
                    post(&senders.task[CLIENTS], frames);
                }
                SchedulerCommand::Fail(task, reason) => {
                    let content = match Failure::of_task(&reason, &task.id, &self.departed) {
                        Some(failure) => failure.content(),
                        None => json!({"status": "aborted"}),
                    };
                    let reply = self.task_failure(&task, &reason, &content);
                    self.records
                        .replied(task.id.clone(), None, &reply, Parts::of);
                    post(&senders.task[CLIENTS], reply.into_frames());
                }
            }
        }
        for open in together {
            self.send_together(open, senders);
        }
    }

    fn send_together(&self, together: Together, senders: &Senders) {
        match batch::together(together.tasks, self.session.key()) {
            Some(Ok(request)) => run(&together.engine, request, senders),
            Some(Err(error)) => tracing::error!(%error, "tasks do not serialise"),
            None => {}
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
