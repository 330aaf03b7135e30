//! The submission of tasks: the engine or the scheduler, and the way artifacts and arguments go.

use super::argument_cache::ArgumentRoute;
use super::artifacts::ArtifactPlan;
use super::message::{OutgoingContent, OutgoingMessage};
use super::tasks::TaskRoute;
use super::{EventTime, State, StateCommand, counter};
use crate::error::TaskError;
use crate::result::TaskUpdate;
use crate::task::{EngineTask, TaskKey};
use phalanx_protocol::id::MsgId;

impl State {
    /// Submits a task; it waits while what it needs is on its way to the engine's machine.
    pub(super) fn submit(
        &mut self,
        key: TaskKey,
        work: EngineTask,
        attempt: u32,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let msg_id = counter(&self.session, &mut self.sent)();
        let Some(id) = work.engine() else {
            self.submit_balanced(msg_id, key, work, attempt, now, commands);
            return;
        };
        let Some(engine) = self.engines.get(id) else {
            let gone = TaskError::Unregistered(id);
            self.fail_unsent(msg_id, key, work, gone, now, commands);
            return;
        };
        if let Some(why) = self.engines.unfit(id) {
            self.fail_unsent(msg_id, key, work, why, now, commands);
            return;
        }
        let host = engine.handshake().map_or("", |h| h.host.as_str());
        let remote_args = match work.segment_args() {
            Some(args) => self
                .artifacts
                .remote_cache(&engine.uuid, host)
                .zip(Some(args)),
            None => None,
        };
        let argument_route = remote_args
            .as_ref()
            .map(|(cache, args)| self.arguments.plan(cache, host, args, key));
        let plan = match argument_route {
            Some(ArgumentRoute::Wait) => ArtifactPlan::Wait,
            _ => self
                .artifacts
                .plan(&engine.uuid, host, &msg_id, work.hashes()),
        };
        if let (Some((cache, args)), Some(ArgumentRoute::Carry), ArtifactPlan::Buffers(_)) =
            (remote_args, &argument_route, &plan)
        {
            self.arguments.carried(cache, args.clone(), key);
        }
        let (by_path, buffers, sent) = match plan {
            ArtifactPlan::Paths => (true, Vec::new(), true),
            ArtifactPlan::Buffers(buffers) => (false, buffers, true),
            ArtifactPlan::Wait => (false, Vec::new(), false),
        };
        let uuid = engine.uuid;
        let task = TaskRoute {
            key,
            uuid: Some(uuid.clone()),
            attempt,
            sent,
        };
        self.tasks.begin(msg_id.clone(), task, work.clone());
        if !sent {
            return;
        }
        let update = TaskUpdate::Sent {
            msg_id: msg_id.clone(),
            engine_uuid: Some(uuid.clone()),
            at: now.utc,
        };
        commands.push(StateCommand::Update(key, update));
        commands.push(StateCommand::Send(OutgoingMessage {
            engine: Some(uuid),
            msg_id,
            body: OutgoingContent::Work {
                work: Box::new(work),
                by_path,
                buffers,
                argument_route,
                targets: Vec::new(),
                more: Vec::new(),
            },
        }));
    }

    /// Submits a task to the scheduler. Engines of this machine read its artifacts from files; if
    /// the chosen engine refuses it for lack of artifacts, they are sent along.
    fn submit_balanced(
        &mut self,
        msg_id: MsgId,
        key: TaskKey,
        work: EngineTask,
        attempt: u32,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let wanted = work.scheduling().map_or(&[][..], |b| &b.targets);
        let is_mixed = self.engines.is_mixed();
        // A stock scheduler would assign it to Python engines as well.
        let all = match is_mixed && wanted.is_empty() {
            true => self
                .engines
                .joined()
                .iter()
                .map(|engine| engine.id)
                .collect(),
            false => Vec::new(),
        };
        let targets: Vec<_> = wanted
            .iter()
            .chain(&all)
            .filter(|id| !self.engines.is_foreign(**id))
            .filter_map(|&id| Some(self.engines.get(id)?.uuid))
            .collect();
        if targets.is_empty() && (is_mixed || !wanted.is_empty()) {
            let why = self.engines.none_fit(wanted);
            let why = why.unwrap_or(TaskError::NoneRegistered);
            self.fail_unsent(msg_id, key, work, why, now, commands);
            return;
        }
        let task = TaskRoute {
            key,
            uuid: None,
            attempt,
            sent: true,
        };
        self.tasks.begin(msg_id.clone(), task, work.clone());
        let update = TaskUpdate::Sent {
            msg_id: msg_id.clone(),
            engine_uuid: None,
            at: now.utc,
        };
        commands.push(StateCommand::Update(key, update));
        let artifacts = work.artifacts().len();
        commands.push(StateCommand::Send(OutgoingMessage {
            engine: None,
            msg_id,
            body: OutgoingContent::Work {
                work: Box::new(work),
                by_path: true,
                buffers: (0..artifacts).filter(|_| attempt > 0).collect(),
                argument_route: None,
                targets,
                more: Vec::new(),
            },
        }));
    }

    /// Ends a task that no engine can run.
    fn fail_unsent(
        &mut self,
        msg_id: MsgId,
        key: TaskKey,
        work: EngineTask,
        why: TaskError,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let task = TaskRoute {
            key,
            uuid: None,
            attempt: 0,
            sent: true,
        };
        self.tasks.begin(msg_id.clone(), task, work);
        self.tasks.fail(&msg_id, why, now, commands);
    }

    /// Sends the tasks that waited for artifacts which have arrived or been lost.
    pub(super) fn release(&mut self, now: EventTime, commands: &mut Vec<StateCommand>) {
        for (key, work, attempt) in self.tasks.take_waiting() {
            self.submit(key, work, attempt, now, commands);
        }
    }
}
