//! Load-balanced tasks.

use super::incoming::ServerSocket;
use super::replies::HeaderFields;
use super::state::ServerState;
use super::vitals::RequestOutcome;
use super::{batch, engine_uuid};
use crate::error::ReplyFailure;
use crate::scheduler::{BalancedTask, BatchNo, FailReason, ReplyVerdict, SchedulerCommand};
use crate::stored::StoredMessage;
use bytes::Bytes;
use phalanx_protocol::id::{EngineUuid, MsgId};
use phalanx_protocol::parallel::{ReplyExtension, ReplyMetadata, SchedulingMetadata};
use phalanx_transport::warn_rarely;
use phalanx_transport::{Frames, RawMessage};
use serde::Deserialize;
use serde_json::json;

/// The tasks of one batch for one engine.
struct EngineBatch {
    engine: EngineUuid,
    batch: BatchNo,
    tasks: Vec<(MsgId, StoredMessage)>,
}

/// Reads the unmet dependency reported in a reply.
fn verdict_of_unmet(reply: &RawMessage) -> ReplyVerdict {
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
        return ReplyVerdict::Refused;
    }
    let content = serde_json::from_slice(&reply.content);
    ReplyVerdict::Unmet(content.map_or_else(|_| String::new(), |content: Content| content.evalue))
}

impl ServerState {
    /// Sends a task to an engine. An engine that does not read will miss heartbeats.
    fn run(&mut self, engine: &EngineUuid, mut request: RawMessage) {
        let name = Bytes::copy_from_slice(engine.as_str().as_bytes());
        request.identities.insert(0, name);
        self.post(ServerSocket::TaskEngine, request.into_frames());
    }

    pub(super) fn task_request(&mut self, frames: Frames) {
        let Some(message) = self.admit(ServerSocket::TaskClient, frames) else {
            return;
        };
        let id = match HeaderFields::of(&message.header) {
            Ok(head) => head.id(),
            Err(error) => return warn_rarely!(%error, "a task is dropped"),
        };
        self.client_connected(message.identities.first().map_or(&[], |name| name));
        let mut metadata = match serde_json::from_slice::<SchedulingMetadata>(&message.metadata) {
            Ok(metadata) => metadata,
            Err(error) => return warn_rarely!(task = %id, %error, "a task is dropped"),
        };
        if !metadata.phalanx_batch.is_empty() {
            let ids = std::mem::take(&mut metadata.phalanx_batch);
            return self.batch_request(&message, ids, &metadata);
        }
        let task = BalancedTask::new(id, self.stored(message), metadata);
        self.task_submitted(&task);
        let commands = self.scheduler.submit(task, self.now);
        self.perform(commands);
    }

    /// Submits the tasks of a batch to the scheduler, like any others.
    fn batch_request(
        &mut self,
        message: &RawMessage,
        ids: Vec<MsgId>,
        metadata: &SchedulingMetadata,
    ) {
        let tasks = match batch::split(message, ids) {
            Ok(tasks) => tasks,
            Err(error) => return warn_rarely!(%error, "a batch of tasks is dropped"),
        };
        self.batches += 1;
        let batch = Some(BatchNo(self.batches));
        let now = self.now;
        let mut commands = Vec::new();
        for (id, request) in tasks {
            let mut task = BalancedTask::new(id, request, metadata.clone());
            task.batch = batch;
            self.task_submitted(&task);
            commands.extend(self.scheduler.submit(task, now));
        }
        self.perform(commands);
    }

    /// Handles the successful tasks of a batch; the reply is relayed unchanged.
    fn batch_reply(&mut self, engine: &EngineUuid, message: RawMessage, metadata: &ReplyMetadata) {
        let Some(commands) = self
            .scheduler
            .batch_replied(engine, &metadata.phalanx_batch)
        else {
            return warn_rarely!(%engine, "late replies");
        };
        match batch::replies(&message, metadata) {
            Ok(replies) => {
                for (id, reply) in replies {
                    let reply = self.copied(&reply);
                    self.count(engine, RequestOutcome::Done);
                    self.replied(id, Some(engine), reply);
                }
            }
            Err(error) => warn_rarely!(%error, "replies are not recorded"),
        }
        self.post(ServerSocket::TaskClient, message.into_frames());
        self.perform(commands);
    }

    pub(super) fn task_reply(&mut self, frames: Frames) {
        let Some(mut message) = self.admit(ServerSocket::TaskEngine, frames) else {
            return;
        };
        let engine = message
            .identities
            .first()
            .and_then(|name| engine_uuid(name));
        let parent = HeaderFields::of(&message.parent_header).map(|parent| parent.id());
        let (Some(engine), Ok(id)) = (engine, parent) else {
            return warn_rarely!("a reply to an unknown request");
        };
        if message.identities.len() < 2 {
            return warn_rarely!(%engine, "a reply that names no client");
        }
        let metadata = serde_json::from_slice::<ReplyMetadata>(&message.metadata);
        if let Ok(metadata) = &metadata
            && !metadata.phalanx_batch.is_empty()
        {
            message.identities.swap(0, 1);
            return self.batch_reply(&engine, message, metadata);
        }
        let verdict = match metadata {
            Ok(metadata) if !metadata.dependencies_met => verdict_of_unmet(&message),
            Ok(metadata) if metadata.status == "ok" => ReplyVerdict::Ok,
            Ok(metadata) if metadata.status == "aborted" => ReplyVerdict::Aborted,
            _ => ReplyVerdict::Failed,
        };
        message.identities.swap(0, 1);
        let outcome = match verdict {
            // What another engine may repeat is an error of this one.
            ReplyVerdict::Failed => self.record_outcome(&engine, &message),
            ReplyVerdict::Unmet(_) | ReplyVerdict::Refused => RequestOutcome::Refused,
            ReplyVerdict::Ok | ReplyVerdict::Aborted => RequestOutcome::Done,
        };
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
                    let reply = self.copied(&record);
                    self.count(&engine, outcome);
                    self.replied(id.clone(), Some(&engine), reply);
                }
                self.perform(commands);
            }
            None => warn_rarely!(%engine, task = %id, "a late reply"),
        }
    }

    pub(super) fn perform(&mut self, commands: Vec<SchedulerCommand>) {
        // The tasks that are sent together, by engine.
        let mut batches: Vec<EngineBatch> = Vec::new();
        for command in commands {
            match command {
                SchedulerCommand::Run {
                    task,
                    engine,
                    request,
                    batch,
                } => {
                    self.assigned(task.clone(), engine.clone());
                    let open = batches.iter().position(|open| open.engine == engine);
                    match (open, batch) {
                        (Some(open), Some(batch)) if batches[open].batch == batch => {
                            batches[open].tasks.push((task, request));
                            continue;
                        }
                        // The order of messages to an engine is kept.
                        (Some(open), _) => self.send_batch(batches.remove(open)),
                        (None, _) => {}
                    }
                    match batch {
                        Some(batch) if self.takes_batches.contains(&engine) => {
                            let tasks = vec![(task, request)];
                            batches.push(EngineBatch {
                                engine,
                                batch,
                                tasks,
                            });
                        }
                        Some(_) => {
                            let request = batch::signed(request.to_raw(), self.session.key());
                            self.run(&engine, request);
                        }
                        None => self.run(&engine, request.to_raw()),
                    }
                }
                SchedulerCommand::Reply(frames) => {
                    self.post(ServerSocket::TaskClient, frames);
                }
                SchedulerCommand::Fail(task, reason) => {
                    match &reason {
                        FailReason::EngineDied(engine) => {
                            self.count(engine, RequestOutcome::Failed)
                        }
                        FailReason::Timeout
                        | FailReason::ImpossibleDependency(_)
                        | FailReason::InvalidDependency
                        | FailReason::NoEngines => self.refused += 1,
                        FailReason::Aborted | FailReason::ClientLeft => {}
                    }
                    let content = match ReplyFailure::of_task(&reason, &task.id, &self.departed) {
                        Some(failure) => failure.content(),
                        None => json!({"status": "aborted"}),
                    };
                    let reply = self.task_failure(&task, &reason, &content);
                    let record = self.copied(&reply);
                    self.replied(task.id.clone(), None, record);
                    self.post(ServerSocket::TaskClient, reply.into_frames());
                }
            }
        }
        for open in batches {
            self.send_batch(open);
        }
    }

    fn send_batch(&mut self, batch: EngineBatch) {
        match batch::merge(&batch.tasks, self.session.key()) {
            Some(Ok(request)) => self.run(&batch.engine, request),
            Some(Err(error)) => tracing::error!(%error, "tasks could not be serialized"),
            None => {}
        }
    }

    fn task_failure(
        &self,
        task: &BalancedTask,
        reason: &FailReason,
        content: &serde_json::Value,
    ) -> RawMessage {
        let request = task.request.to_raw();
        let msg_type = match HeaderFields::of(&request.header) {
            Ok(head) => head.msg_type.into_owned(),
            Err(_) => "apply_request".to_owned(),
        };
        let engine = match reason {
            FailReason::EngineDied(engine) => Some(engine),
            _ => None,
        };
        let RawMessage {
            identities, header, ..
        } = request;
        self.build_reply(identities, &header, &msg_type, engine, content)
    }
}
