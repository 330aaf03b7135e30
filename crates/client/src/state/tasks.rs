//! The tasks that are under way, each from its submission to its last output.
//!
//! A task ends in exactly one of completed, failed, aborted ([`TaskUpdate::Ended`]); its output is
//! complete at iopub `idle` ([`TaskUpdate::OutputDone`]), which may come before or after the reply.

use super::end::{UnrecordedEnd, failure};
use super::message::{Reply, ReplyContent};
use super::{Command, Now};
use crate::result::TaskUpdate;
use crate::task::{EngineTask, TaskKey};
use phalanx_protocol::failure::RemoteFailure;
use phalanx_protocol::id::{ArtifactHash, EngineId, EngineUuid, MsgId, StateId};
use phalanx_protocol::parallel::{EngineOutput, EngineStatus, RefusalReason};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// Time a dead engine's tasks wait for a reply or output that may be under way.
pub(crate) const DEATH_GRACE: Duration = Duration::from_millis(50);

/// Time to wait for an `idle` after the reply, and after the last output.
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of times a cell is sent again because its engine lacks artifacts: once for a path
/// that is not there, once for a cache that is not its host's.
pub(crate) const ATTEMPTS: u32 = 2;

/// For how many tasks room is kept while there are none.
const FEW: usize = 1024;

/// So many tasks that were under way leave memory that is worth giving back to the system.
const MANY: usize = 50_000;

/// The tasks under way.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    by_msg: HashMap<MsgId, Box<SentTask>, foldhash::fast::RandomState>,
    /// The time at which each of those that wait for something is given up.
    deadlines: BTreeSet<(Instant, MsgId)>,
    /// Refused, and with whoever submitted them.
    parked: HashSet<TaskKey>,
    /// Sent over a connection that broke, and whether the controller has said that it does not know them.
    doubtful: HashMap<MsgId, bool>,
    /// True once many tasks have ended, and none is left.
    many_ended: bool,
}

/// The way a task is sent.
#[derive(Debug)]
pub(crate) struct TaskRoute {
    pub key: TaskKey,
    /// `None` while the scheduler has not said whom it chose.
    pub uuid: Option<EngineUuid>,
    /// The number of times it was sent before, for lack of artifacts.
    pub attempt: u32,
    /// `false` while it waits for its artifacts to travel with another message.
    pub sent: bool,
}

#[derive(Debug)]
struct SentTask {
    key: TaskKey,
    engine: Option<EngineId>,
    uuid: Option<EngineUuid>,
    work: EngineTask,
    attempt: u32,
    sent: bool,
    ended: bool,
    idle: bool,
    engine_left: bool,
    deadline: Option<Instant>,
}

/// The action a reply requires beyond updates.
#[derive(Debug)]
pub(crate) enum ReplyAction {
    None,
    /// Send the cell again, with these.
    NeedArtifacts {
        key: TaskKey,
        uuid: Option<EngineUuid>,
        work: Box<EngineTask>,
        attempt: u32,
        artifacts: Vec<ArtifactHash>,
    },
}

impl Tasks {
    /// Takes a task that is sent, or held back until its artifacts have travelled.
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

    /// Returns true if many tasks have ended, and none was left, since it last did.
    pub fn many_ended(&mut self) -> bool {
        std::mem::take(&mut self.many_ended)
    }

    /// Returns true if the task was refused and its submitter has not answered.
    pub fn is_parked(&self, key: TaskKey) -> bool {
        self.parked.contains(&key)
    }

    /// The task of a message.
    pub fn key(&self, msg_id: &MsgId) -> Option<TaskKey> {
        self.by_msg.get(msg_id).map(|task| task.key)
    }

    /// Takes the tasks that are held back, for another attempt at sending them.
    pub fn take_held(&mut self) -> Vec<(TaskKey, EngineTask, u32)> {
        let held: Vec<_> = self
            .by_msg
            .iter()
            .filter(|(_, task)| !task.sent && !task.ended)
            .map(|(msg_id, task)| (task.key, msg_id.clone()))
            .collect();
        let mut taken: Vec<_> = held
            .into_iter()
            .filter_map(|(key, msg_id)| {
                let task = self.forget(&msg_id)?;
                Some((key, task.work, task.attempt))
            })
            .collect();
        taken.sort_by_key(|(key, ..)| *key);
        taken
    }

    /// Returns the requests that drop these tasks; those that are held here end at once.
    pub fn abort(
        &mut self,
        keys: &[TaskKey],
        now: Now,
        commands: &mut Vec<Command>,
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
            self.end(&msg_id, UnrecordedEnd::Aborted, None, now, commands);
            self.settle(&msg_id, commands);
        }
        for &key in keys {
            if self.parked.remove(&key) {
                finish_parked(key, UnrecordedEnd::Aborted, now, commands);
            }
        }
        asked.sort();
        asked
    }

    /// Ends a task that was refused; ignored when it is not waiting for that.
    pub fn fail_parked(
        &mut self,
        key: TaskKey,
        failure: RemoteFailure,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        if self.parked.remove(&key) {
            finish_parked(key, UnrecordedEnd::Failed(failure), now, commands);
        }
    }

    /// Ends a task that could not be sent.
    pub fn fail(
        &mut self,
        msg_id: &MsgId,
        failure: RemoteFailure,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        self.end(msg_id, UnrecordedEnd::Failed(failure), None, now, commands);
        self.settle(msg_id, commands);
    }

    /// An engine published something on behalf of a request; unknown requests are not ours.
    pub fn published(
        &mut self,
        parent: &MsgId,
        engine: Option<(EngineId, EngineUuid)>,
        published: EngineOutput,
        now: Now,
        commands: &mut Vec<Command>,
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
            EngineOutput::Status(EngineStatus::Starting | EngineStatus::Busy)
            | EngineOutput::Kept(_) => return,
            EngineOutput::Status(EngineStatus::Idle) => {
                task.idle = true;
                if task.ended {
                    self.settle(parent, commands);
                }
                return;
            }
            EngineOutput::Input {
                code,
                execution_count,
            } => TaskUpdate::Input {
                code,
                execution_count,
            },
            EngineOutput::Output(output) => TaskUpdate::Output(output),
            EngineOutput::Result {
                data,
                execution_count,
            } => TaskUpdate::Result {
                data,
                execution_count,
            },
            EngineOutput::Error { error, .. } => {
                let mut failure = RemoteFailure::from(error);
                failure.engine = failure.engine.or(task.engine);
                failure.msg_id.get_or_insert_with(|| parent.clone());
                TaskUpdate::Error(failure)
            }
        };
        commands.push(Command::Update(key, update));
    }

    /// A reply came; a second reply to the same request is ignored.
    pub fn replied(
        &mut self,
        reply: Reply,
        engine: Option<(EngineId, EngineUuid)>,
        now: Now,
        commands: &mut Vec<Command>,
    ) -> ReplyAction {
        let parent = &reply.parent;
        let Some(task) = self.by_msg.get_mut(parent) else {
            return ReplyAction::None;
        };
        if task.ended {
            return ReplyAction::None;
        }
        task.place(engine, commands);
        let end = match reply.answer.clone() {
            ReplyContent::Refused(RefusalReason::NeedArtifacts { .. })
                if task.attempt == ATTEMPTS =>
            {
                let text = "the engine does not keep the artifacts it is sent".to_owned();
                UnrecordedEnd::Failed(failure("InternalError", text))
            }
            ReplyContent::Refused(reason) => {
                let parent = parent.clone();
                return self.refused(&parent, reason, reply.state, commands);
            }
            ReplyContent::Ok {
                execution_count,
                value,
            } => UnrecordedEnd::Ok {
                execution_count,
                value,
            },
            ReplyContent::KernelInfo(_) | ReplyContent::Lineage(_) => UnrecordedEnd::Ok {
                execution_count: None,
                value: None,
            },
            ReplyContent::Aborted => UnrecordedEnd::Aborted,
            ReplyContent::Failed(failure) => UnrecordedEnd::Failed(failure),
        };
        let over = reply.settled || matches!(end, UnrecordedEnd::Aborted);
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

    /// The replies to all tasks that are sent may be lost.
    pub fn doubt(&mut self) {
        let sent = self.ids(|task| task.sent && !task.ended);
        self.doubtful = sent.into_iter().map(|id| (id, false)).collect();
    }

    /// The tasks of which the controller is to be asked.
    pub fn doubtful(&self) -> Vec<MsgId> {
        let mut doubtful: Vec<_> = self.doubtful.keys().cloned().collect();
        doubtful.sort();
        doubtful
    }

    /// Takes what the controller does not know, all others being under way; those that it has not known
    /// before either.
    pub fn still_unknown(&mut self, unknown: Vec<MsgId>) -> Vec<MsgId> {
        let before = std::mem::take(&mut self.doubtful);
        let open = unknown.into_iter().filter(|id| before.contains_key(id));
        let (again, first): (Vec<_>, Vec<_>) = open.partition(|id| before[id]);
        self.doubtful = first.into_iter().map(|id| (id, true)).collect();
        again
    }

    /// An engine is gone. What it or the controller said last may still be under way.
    pub fn engine_left(&mut self, uuid: &EngineUuid, now: Now) {
        // The scheduler answers for what it has placed.
        for (msg_id, task) in &mut self.by_msg {
            // Of some it will be known what has become of them.
            if task.placed() == Some(uuid) && !self.doubtful.contains_key(msg_id) {
                task.engine_left = true;
                let until = now.instant + DEATH_GRACE;
                wait(&mut self.deadlines, msg_id, task, until);
            }
        }
    }

    /// The messages that are with that engine.
    pub fn sent_to(&self, uuid: &EngineUuid) -> Vec<MsgId> {
        self.ids(|task| task.uuid.as_ref() == Some(uuid) && task.sent)
    }

    /// Ends everything.
    pub fn disconnected(&mut self, reason: &str, now: Now, commands: &mut Vec<Command>) {
        for msg_id in self.ids(|_| true) {
            let lost = format!("the connection to the controller is lost: {reason}");
            self.fail(&msg_id, failure("EngineError", lost), now, commands);
        }
        for key in std::mem::take(&mut self.parked) {
            let lost = format!("the connection to the controller is lost: {reason}");
            finish_parked(
                key,
                UnrecordedEnd::Failed(failure("EngineError", lost)),
                now,
                commands,
            );
        }
    }

    /// The time [`tick`](Self::tick) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Gives up waiting for what is overdue.
    pub fn tick(&mut self, now: Now, commands: &mut Vec<Command>) {
        let due = self
            .deadlines
            .iter()
            .take_while(|(at, _)| *at <= now.instant);
        let due = due.filter_map(|(_, id)| Some((self.by_msg.get(id)?.key, id.clone())));
        let mut due: Vec<_> = due.collect();
        due.sort();
        for (_, msg_id) in due {
            if let Some(task) = self.by_msg.get(&msg_id) {
                let engine = task.engine.map_or("?".to_owned(), |id| id.to_string());
                let died = format!("Engine {engine} died while running task '{msg_id}'");
                let failure = failure("EngineError", died);
                self.end(&msg_id, UnrecordedEnd::Failed(failure), None, now, commands);
            }
            self.settle(&msg_id, commands);
        }
    }

    fn refused(
        &mut self,
        parent: &MsgId,
        reason: RefusalReason,
        state: Option<StateId>,
        commands: &mut Vec<Command>,
    ) -> ReplyAction {
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
        let Some(engine) = task.engine else {
            return ReplyAction::None;
        };
        self.parked.insert(key);
        commands.push(Command::Refuse {
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
        end: UnrecordedEnd,
        reply: Option<Reply>,
        now: Now,
        commands: &mut Vec<Command>,
    ) {
        let Some(task) = self.by_msg.get_mut(msg_id).filter(|task| !task.ended) else {
            return;
        };
        task.ended = true;
        let method = task.work.method();
        let ended = end.record(Some((msg_id, method)), task.engine, reply, now);
        commands.push(Command::Update(
            task.key,
            TaskUpdate::Ended(Box::new(ended)),
        ));
    }

    /// All output of an ended task is here, or no more is expected.
    fn settle(&mut self, msg_id: &MsgId, commands: &mut Vec<Command>) {
        if let Some(task) = self.forget(msg_id) {
            commands.push(Command::Update(task.key, TaskUpdate::OutputDone));
        }
    }

    fn forget(&mut self, msg_id: &MsgId) -> Option<Box<SentTask>> {
        let task = self.by_msg.remove(msg_id)?;
        self.doubtful.remove(msg_id);
        if self.by_msg.is_empty() {
            // The room of a hundred thousand tasks is a hundred megabytes.
            self.many_ended |= self.by_msg.capacity() >= MANY;
            self.by_msg.shrink_to(FEW);
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

    /// It turns out who has it.
    fn place(&mut self, engine: Option<(EngineId, EngineUuid)>, commands: &mut Vec<Command>) {
        if let Some((id, uuid)) = engine
            && self.work.engine().is_none()
            && self.uuid.as_ref() != Some(&uuid)
        {
            self.engine = Some(id);
            self.uuid = Some(uuid.clone());
            commands.push(Command::Update(self.key, TaskUpdate::Placed { id, uuid }));
        }
    }
}

/// A task waits for something until then.
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

/// Ends a task that is with its submitter, so that nothing is to come from an engine.
fn finish_parked(key: TaskKey, end: UnrecordedEnd, now: Now, commands: &mut Vec<Command>) {
    let ended = end.record(None, None, None, now);
    commands.push(Command::Update(key, TaskUpdate::Ended(Box::new(ended))));
    commands.push(Command::Update(key, TaskUpdate::OutputDone));
}
