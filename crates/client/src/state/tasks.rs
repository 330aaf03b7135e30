//! The pending tasks, each from its submission to its last output.
//!
//! A task ends as completed, failed or aborted ([`TaskUpdate::Ended`]); its output is complete with
//! the `idle` on iopub ([`TaskUpdate::OutputDone`]), which may precede or follow the reply.

use super::message::{Reply, ReplyContent};
use super::outcome::UnrecordedOutcome;
use super::{EventTime, StateCommand};
use crate::error::TaskError;
use crate::result::TaskUpdate;
use crate::task::{EngineTask, TaskKey};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::parallel::{EnginePublication, EngineStatus, RefusalReason};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// The time for which tasks of an engine that has left wait for a reply or output in transit.
pub(crate) const DEATH_GRACE: Duration = Duration::from_millis(50);

/// The time to wait for an `idle` after the reply, and after the last output.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of times a cell is resent because its engine lacks artifacts: once for a missing
/// path, once for a cache that the engine does not share.
pub(crate) const MAX_RESENDS: u32 = 2;

/// The number of tasks for which capacity is kept while there are none.
const MIN_CAPACITY: usize = 1024;

/// The capacity for pending tasks from which their memory is returned to the system.
const TRIM_CAPACITY: usize = 50_000;

/// The pending tasks.
#[derive(Debug, Default)]
pub(crate) struct TaskTable {
    by_msg: HashMap<MsgId, Box<SentTask>, foldhash::fast::RandomState>,
    /// The deadlines of tasks that wait for something.
    deadlines: BTreeSet<(Instant, MsgId)>,
    /// Refused tasks that are with their submitter.
    parked: HashSet<TaskKey>,
    /// Tasks sent over a lost connection, with true for those that the controller has reported as
    /// unknown.
    doubtful: HashMap<MsgId, bool>,
    /// True once many tasks have ended, and none is left.
    many_ended: bool,
}

/// The routing of a task.
#[derive(Debug)]
pub(crate) struct TaskRoute {
    pub key: TaskKey,
    /// The engine; `None` until the scheduler's choice is known.
    pub uuid: Option<EngineUuid>,
    /// The number of times it was sent before and refused for lack of artifacts.
    pub attempt: u32,
    /// `false` while it waits for artifacts that another message carries.
    pub sent: bool,
}

/// A task between its submission and its last output. It is removed once it has ended and its
/// output is complete.
#[derive(Debug)]
struct SentTask {
    key: TaskKey,
    /// The engine it is on, once known.
    engine: Option<EngineId>,
    uuid: Option<EngineUuid>,
    work: EngineTask,
    /// The number of times it was sent before and refused for lack of artifacts.
    attempt: u32,
    /// False while it waits for artifacts that another message carries.
    sent: bool,
    /// True once its end is recorded, by a reply or in place of one.
    ended: bool,
    /// True once `idle` has arrived for it, before its reply.
    idle: bool,
    /// True once its engine has left: a reply or output may still be in transit.
    engine_left: bool,
    /// The time at which a reply or output that is in transit is given up.
    deadline: Option<Instant>,
}

/// The action that a reply requires in addition to updates.
#[derive(Debug)]
pub(crate) enum ReplyAction {
    None,
    /// Resend the cell with these artifacts.
    NeedArtifacts {
        key: TaskKey,
        uuid: Option<EngineUuid>,
        work: Box<EngineTask>,
        attempt: u32,
        artifacts: Vec<ArtifactHash>,
    },
}

impl TaskTable {
    /// Adds a task that is sent, or waits until its artifacts have arrived.
    pub fn begin(&mut self, msg_id: MsgId, sending: TaskRoute, work: EngineTask) {
        self.parked.remove(&sending.key);
        let task = SentTask {
            key: sending.key,
            engine: work.engine(),
            uuid: sending.uuid,
            work,
            attempt: sending.attempt,
            sent: sending.sent,
            ended: false,
            idle: false,
            engine_left: false,
            deadline: None,
        };
        self.by_msg.insert(msg_id, Box::new(task));
    }

    /// Returns true if many tasks have ended and none is left, once for each such time.
    pub fn many_ended(&mut self) -> bool {
        std::mem::take(&mut self.many_ended)
    }

    /// Returns true if the task was refused and its submitter has not responded.
    pub fn is_parked(&self, key: TaskKey) -> bool {
        self.parked.contains(&key)
    }

    /// The task of a message.
    pub fn key(&self, msg_id: &MsgId) -> Option<TaskKey> {
        self.by_msg.get(msg_id).map(|task| task.key)
    }

    /// Takes the tasks that wait for artifacts, to try sending them again.
    pub fn take_waiting(&mut self) -> Vec<(TaskKey, EngineTask, u32)> {
        let waiting: Vec<_> = self
            .by_msg
            .iter()
            .filter(|(_, task)| !task.sent && !task.ended)
            .map(|(msg_id, task)| (task.key, msg_id.clone()))
            .collect();
        let mut taken: Vec<_> = waiting
            .into_iter()
            .filter_map(|(key, msg_id)| {
                let task = self.forget(&msg_id)?;
                Some((key, task.work, task.attempt))
            })
            .collect();
        taken.sort_by_key(|(key, ..)| *key);
        taken
    }

    /// Returns the requests that abort these tasks; those that wait for artifacts end at once.
    pub fn abort(
        &mut self,
        keys: &[TaskKey],
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) -> Vec<(Option<EngineUuid>, MsgId)> {
        let mut asked = Vec::new();
        let mut ours = Vec::new();
        let wanted: HashSet<&TaskKey> = keys.iter().collect();
        for (msg_id, task) in &self.by_msg {
            if wanted.contains(&task.key) && !task.ended {
                if task.sent {
                    asked.push((task.placed().cloned(), msg_id.clone()));
                } else {
                    ours.push(msg_id.clone());
                }
            }
        }
        for msg_id in ours {
            self.end(&msg_id, UnrecordedOutcome::Aborted, None, now, commands);
            self.settle(&msg_id, commands);
        }
        for &key in keys {
            if self.parked.remove(&key) {
                finish_parked(key, UnrecordedOutcome::Aborted, now, commands);
            }
        }
        asked.sort();
        asked
    }

    /// Ends a refused task in failure; ignored if its submitter has already responded.
    pub fn fail_parked(
        &mut self,
        key: TaskKey,
        failure: RemoteFailure,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        if self.parked.remove(&key) {
            finish_parked(key, UnrecordedOutcome::Failed(failure), now, commands);
        }
    }

    /// Ends a task that could not be sent.
    pub fn fail(
        &mut self,
        msg_id: &MsgId,
        error: TaskError,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        self.end(msg_id, error.into(), None, now, commands);
        self.settle(msg_id, commands);
    }

    /// Handles a publication of an engine; those for other clients' requests are ignored.
    pub fn published(
        &mut self,
        parent: &MsgId,
        engine: Option<(EngineId, EngineUuid)>,
        published: EnginePublication,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let Some(task) = self.by_msg.get_mut(parent) else {
            return;
        };
        task.place(engine, commands);
        if task.ended && !task.engine_left {
            wait(
                &mut self.deadlines,
                parent,
                task,
                now.instant + IDLE_TIMEOUT,
            );
        }
        let key = task.key;
        let update = match published {
            EnginePublication::Status(EngineStatus::Starting | EngineStatus::Busy)
            | EnginePublication::Kept(_) => return,
            EnginePublication::Status(EngineStatus::Idle) => {
                task.idle = true;
                if task.ended {
                    self.settle(parent, commands);
                }
                return;
            }
            EnginePublication::Input {
                code,
                execution_count,
            } => TaskUpdate::Input {
                code,
                execution_count,
            },
            EnginePublication::Output(output) => TaskUpdate::Output(output),
            EnginePublication::Result {
                data,
                execution_count,
            } => TaskUpdate::Result {
                data,
                execution_count,
            },
            EnginePublication::Error { error, .. } => {
                let mut failure = RemoteFailure::from(error);
                failure.engine = failure.engine.or(task.engine);
                failure.msg_id.get_or_insert_with(|| parent.clone());
                TaskUpdate::Error(failure)
            }
        };
        commands.push(StateCommand::Update(key, update));
    }

    /// Handles a reply; a second reply to the same request is ignored.
    pub fn replied(
        &mut self,
        reply: Reply,
        engine: Option<(EngineId, EngineUuid)>,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) -> ReplyAction {
        let parent = &reply.parent;
        let Some(task) = self.by_msg.get_mut(parent) else {
            return ReplyAction::None;
        };
        if task.ended {
            return ReplyAction::None;
        }
        task.place(engine, commands);
        let end = match reply.content.clone() {
            ReplyContent::Refused(RefusalReason::NeedArtifacts { .. })
                if task.attempt == MAX_RESENDS =>
            {
                TaskError::ArtifactsNotKept.into()
            }
            ReplyContent::Refused(reason) => {
                let parent = parent.clone();
                return self.refused(&parent, reason, reply.state, now, commands);
            }
            ReplyContent::Ok {
                execution_count,
                value,
            } => UnrecordedOutcome::Ok {
                execution_count,
                value,
            },
            ReplyContent::KernelInfo(_) | ReplyContent::Lineage(_) => UnrecordedOutcome::Ok {
                execution_count: None,
                value: None,
            },
            ReplyContent::Aborted => UnrecordedOutcome::Aborted,
            ReplyContent::Failed(failure) => UnrecordedOutcome::Failed(failure),
        };
        let over = reply.settled || matches!(end, UnrecordedOutcome::Aborted);
        let from_engine = reply.by_engine && !task.engine_left;
        let limit = if from_engine {
            IDLE_TIMEOUT
        } else {
            DEATH_GRACE
        };
        let over = over || task.idle;
        if !over {
            wait(&mut self.deadlines, parent, task, now.instant + limit);
        }
        let parent = parent.clone();
        self.end(&parent, end, Some(reply), now, commands);
        if over {
            self.settle(&parent, commands);
        }
        ReplyAction::None
    }

    /// Marks all sent tasks as doubtful: their replies may be lost.
    pub fn doubt(&mut self) {
        let sent = self.ids(|task| task.sent && !task.ended);
        self.doubtful = sent.into_iter().map(|id| (id, false)).collect();
    }

    /// The doubtful tasks, about which the controller is queried.
    pub fn doubtful(&self) -> Vec<MsgId> {
        let mut doubtful: Vec<_> = self.doubtful.keys().cloned().collect();
        doubtful.sort();
        doubtful
    }

    /// Handles the controller's report: tasks not in `unknown` are pending. Returns those that were
    /// unknown the previous time as well.
    pub fn still_unknown(&mut self, unknown: Vec<MsgId>) -> Vec<MsgId> {
        let before = std::mem::take(&mut self.doubtful);
        let open = unknown.into_iter().filter(|id| before.contains_key(id));
        let (again, first): (Vec<_>, Vec<_>) = open.partition(|id| before[id]);
        self.doubtful = first.into_iter().map(|id| (id, true)).collect();
        again
    }

    /// Handles that an engine has left. Its last messages, or the controller's, may be in transit.
    pub fn engine_left(&mut self, uuid: &EngineUuid, now: EventTime) {
        // The scheduler reports the end of the tasks it has placed.
        for (msg_id, task) in &mut self.by_msg {
            // The outcome of a doubtful task is reported by the controller.
            if task.placed() == Some(uuid) && !self.doubtful.contains_key(msg_id) {
                task.engine_left = true;
                let until = now.instant + DEATH_GRACE;
                wait(&mut self.deadlines, msg_id, task, until);
            }
        }
    }

    /// The messages sent to an engine.
    pub fn sent_to(&self, uuid: &EngineUuid) -> Vec<MsgId> {
        self.ids(|task| task.uuid.as_ref() == Some(uuid) && task.sent)
    }

    /// Ends all tasks in failure.
    pub fn disconnected(&mut self, reason: &str, now: EventTime, commands: &mut Vec<StateCommand>) {
        let lost = TaskError::Disconnected {
            reason: reason.to_owned(),
        };
        for msg_id in self.ids(|_| true) {
            self.fail(&msg_id, lost.clone(), now, commands);
        }
        for key in std::mem::take(&mut self.parked) {
            finish_parked(key, lost.clone().into(), now, commands);
        }
    }

    /// The time at which [`tick`](Self::tick) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Ends the waiting of overdue tasks.
    pub fn tick(&mut self, now: EventTime, commands: &mut Vec<StateCommand>) {
        let due = self
            .deadlines
            .iter()
            .take_while(|(at, _)| *at <= now.instant);
        let due = due.filter_map(|(_, id)| Some((self.by_msg.get(id)?.key, id.clone())));
        let mut due: Vec<_> = due.collect();
        due.sort();
        for (_, msg_id) in due {
            if let Some(task) = self.by_msg.get(&msg_id) {
                let died = TaskError::EngineDied {
                    engine: task.engine,
                    msg_id: msg_id.clone(),
                };
                self.end(&msg_id, died.into(), None, now, commands);
            }
            self.settle(&msg_id, commands);
        }
    }

    fn refused(
        &mut self,
        parent: &MsgId,
        reason: RefusalReason,
        state: Option<StateId>,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) -> ReplyAction {
        let engine = self.by_msg.get(parent).and_then(|task| task.engine);
        if engine.is_none() && !matches!(reason, RefusalReason::NeedArtifacts { .. }) {
            // Its submitter could not tell which engine to prepare for it.
            self.fail(parent, TaskError::RefusedByUnknown, now, commands);
            return ReplyAction::None;
        }
        let Some(task) = self.forget(parent) else {
            return ReplyAction::None;
        };
        let key = task.key;
        if let RefusalReason::NeedArtifacts { artifacts } = reason {
            return ReplyAction::NeedArtifacts {
                key,
                uuid: task.uuid,
                work: Box::new(task.work),
                attempt: task.attempt + 1,
                artifacts,
            };
        }
        let Some(engine) = engine else {
            return ReplyAction::None;
        };
        self.parked.insert(key);
        commands.push(StateCommand::Update(key, TaskUpdate::Refused));
        commands.push(StateCommand::ReportRefusal {
            key,
            reason,
            state: state.unwrap_or_else(StateId::empty),
            engine,
            work: Box::new(task.work),
        });
        ReplyAction::None
    }

    fn end(
        &mut self,
        msg_id: &MsgId,
        end: UnrecordedOutcome,
        reply: Option<Reply>,
        now: EventTime,
        commands: &mut Vec<StateCommand>,
    ) {
        let Some(task) = self.by_msg.get_mut(msg_id).filter(|task| !task.ended) else {
            return;
        };
        task.ended = true;
        let method = task.work.method();
        let ended = end.record(Some((msg_id, method)), task.engine, reply, now);
        commands.push(StateCommand::Update(
            task.key,
            TaskUpdate::Ended(Box::new(ended)),
        ));
    }

    /// Removes an ended task, whose output has arrived or is no longer expected.
    fn settle(&mut self, msg_id: &MsgId, commands: &mut Vec<StateCommand>) {
        if let Some(task) = self.forget(msg_id) {
            commands.push(StateCommand::Update(task.key, TaskUpdate::OutputDone));
        }
    }

    fn forget(&mut self, msg_id: &MsgId) -> Option<Box<SentTask>> {
        let task = self.by_msg.remove(msg_id)?;
        self.doubtful.remove(msg_id);
        if self.by_msg.is_empty() {
            // The capacity for a hundred thousand tasks takes a hundred megabytes.
            self.many_ended |= self.by_msg.capacity() >= TRIM_CAPACITY;
            self.by_msg.shrink_to(MIN_CAPACITY);
        }
        if let Some(at) = task.deadline {
            self.deadlines.remove(&(at, msg_id.clone()));
        }
        Some(task)
    }

    fn ids(&self, which: impl Fn(&SentTask) -> bool) -> Vec<MsgId> {
        let mut ids: Vec<_> = self
            .by_msg
            .iter()
            .filter(|(_, task)| which(task))
            .map(|(msg_id, task)| (task.key, msg_id.clone()))
            .collect();
        ids.sort();
        ids.into_iter().map(|(_, msg_id)| msg_id).collect()
    }
}

impl SentTask {
    /// The engine it was addressed to.
    fn placed(&self) -> Option<&EngineUuid> {
        self.uuid.as_ref().filter(|_| self.work.engine().is_some())
    }

    /// Records the engine that has it.
    fn place(&mut self, engine: Option<(EngineId, EngineUuid)>, commands: &mut Vec<StateCommand>) {
        if let Some((id, uuid)) = engine
            && self.work.engine().is_none()
            && self.uuid.as_ref() != Some(&uuid)
        {
            self.engine = Some(id);
            self.uuid = Some(uuid.clone());
            commands.push(StateCommand::Update(
                self.key,
                TaskUpdate::Placed { id, uuid },
            ));
        }
    }
}

/// Sets the deadline of a task.
fn wait(
    deadlines: &mut BTreeSet<(Instant, MsgId)>,
    msg_id: &MsgId,
    task: &mut SentTask,
    until: Instant,
) {
    if let Some(before) = task.deadline.replace(until) {
        deadlines.remove(&(before, msg_id.clone()));
    }
    deadlines.insert((until, msg_id.clone()));
}

/// Ends a task that is with its submitter; no messages of an engine are expected.
fn finish_parked(
    key: TaskKey,
    end: UnrecordedOutcome,
    now: EventTime,
    commands: &mut Vec<StateCommand>,
) {
    let ended = end.record(None, None, None, now);
    commands.push(StateCommand::Update(
        key,
        TaskUpdate::Ended(Box::new(ended)),
    ));
    commands.push(StateCommand::Update(key, TaskUpdate::OutputDone));
}
